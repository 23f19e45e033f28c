#include "tests/property/ledger/model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace runledger::test::whole_ledger {
namespace {

std::string text_of(const std::optional<std::string>& text) { return text.value_or(""); }
std::string text_of(const std::optional<Decimal>& value) { return value ? value->text() : ""; }
std::string text_of(const std::optional<Instant>& at) { return !at ? "" : *at == told ? "told" : std::to_string(*at); }
std::string duration_text(const std::optional<std::int64_t>& us) { return us ? milliseconds_of(*us).text() : ""; }
std::string text_of(const std::optional<Moment>& m) {
    return m ? fmt::format("{} {} {} {}", m->wall, m->boot, m->boottime, m->redelivered ? "again" : "first") : "";
}

std::string text_of(const Run& run) {
    const RunFacts facts = facts_of(run);
    const std::string reported =
        run.report ? fmt::format("{} {} {}", statuses[static_cast<std::size_t>(run.report->status)].word,
                                 text_of(run.report->started), text_of(run.report->ended))
                   : "";
    const std::optional<Moment> ended = facts.ending ? std::optional{facts.ending->at} : std::nullopt;
    return fmt::format("queued {} | running {} | ended {} {} | latest {} | first {} | {} events | reported {} | [{}]",
                       text_of(facts.queued), text_of(facts.running), facts.ending ? facts.ending->status : "",
                       text_of(ended), facts.latest_status, text_of(facts.first_received), run.events.size(), reported,
                       facts.payload());
}

std::string text_of(const Row& row) {
    return fmt::format("{} | {} {} | {} ms | {} USD {} | at {} | {}", text_of(row.run), row.status, text_of(row.reason),
                       duration_text(row.duration_us), text_of(row.cost), row.note, text_of(row.response),
                       row.payload ? "[" + *row.payload + "]" : "");
}

std::string text_of(const Segment& s) {
    return fmt::format("{} batches | {} = {} applied + {} duplicate + {} quarantined", s.batches,
                       s.applied + s.duplicate + s.quarantined, s.applied, s.duplicate, s.quarantined);
}

std::string text_of(const std::vector<Settlement>& history) {
    std::string text;
    for (const Settlement& s : history) {
        text += fmt::format("\n        {} {} {} {} | {} us {} {} | {} {} {} {} {} | {} {} | at {} | {} outputs",
                            s.outcome, s.run, s.status, text_of(s.reason),
                            s.duration_us ? std::to_string(*s.duration_us) : "", s.clock, s.duration_note, s.gpu,
                            text_of(s.rate), s.unit, s.tokens ? std::to_string(*s.tokens) : "", s.source,
                            text_of(s.cost), s.note, text_of(s.finished), s.output_count);
    }
    return text;
}

}  // namespace

const char* word_of(Gpu gpu) {
    switch (gpu) {
        case Gpu::none:
            return "";
        case Gpu::priced:
            return "priced";
        case Gpu::unknown:
            return "unknown";
    }
    throw std::logic_error("Gpu");
}

std::string chat_of(Chat chat) {
    switch (chat) {
        case Chat::none:
            return "";
        case Chat::number:
            return "42";
        case Chat::text:
            return "-43";
        case Chat::malformed:
            return "somebody";
    }
    throw std::logic_error("Chat");
}

const char* word_of(Group group) {
    switch (group) {
        case Group::none:
            return "";
        case Group::batch:
            return "batch";
        case Group::pair:
            return "pair";
    }
    throw std::logic_error("Group");
}

std::string metadata_of(const Row& row) {
    std::string text = R"({"of": "the application")";
    if (row.run) {
        text += fmt::format(R"(, "run_id": "{}")", *row.run);
    }
    switch (row.rate) {
        case Rate::none:
            break;
        case Rate::of_a_second:
            text += R"(, "costRate": {"amount": 0.000337, "currency": "USD", "unit": "second"})";
            break;
        case Rate::of_a_minute:
            text += R"(, "costRate": {"amount": "123456.789012345678", "currency": "USD", "unit": "minutes"})";
            break;
        case Rate::of_a_run:
            text += R"(, "costRate": {"amount": 0.5, "currency": "USD", "unit": "run"})";
            break;
        case Rate::malformed:
            text += R"(, "costRate": "error: no rate")";
            break;
        case Rate::of_a_request:
            text += R"(, "costRate": {"amount": "0.25", "currency": "USD", "unit": "request"})";
            break;
        case Rate::of_tokens:
            text += R"(, "costRate": {"amount": "0.0000000000025", "currency": "USD", "unit": "tokens"})";
            text += R"(, "tokenCount": "1201")";
            break;
        case Rate::of_uncounted_tokens:
            text += R"(, "costRate": {"amount": 3, "currency": "USD", "unit": "token"})";
            break;
        case Rate::of_malformed_tokens:
            text += R"(, "costRate": {"amount": 3, "currency": "USD", "unit": "token"}, "tokenCount": 1.5)";
            break;
    }
    if (row.gpu != Gpu::none) {
        text += fmt::format(R"(, "gpu": "{}")", word_of(row.gpu));
    }
    if (row.chat != Chat::none) {
        const char* quote = row.chat == Chat::number ? "" : "\"";
        text += fmt::format(R"(, "telegramChatId": {}{}{})", quote, chat_of(row.chat), quote);
    }
    if (row.group != Group::none) {
        text += fmt::format(R"(, "groupId": "{}"{})", word_of(row.group),
                            row.group == Group::pair ? R"(, "groupSize": 2)" : "");
    }
    return text + "}";
}

void Model::run(const Command& command) {
    const Members before = members();
    reopened_.clear();
    std::visit([this](const auto& c) { run(c); }, command);
    tell_groups(before);
}

Model::Members Model::members() const {
    Members members;
    for (const auto& [id, row] : rows_) {
        if (row.group != Group::none) {
            members.emplace(id, std::pair{row.group, row.status != "pending" && row.status != "processing"});
        }
    }
    return members;
}

void Model::tell_groups(const Members& before) {
    const Members now = members();
    std::set<Group> changed = reopened_;
    std::set<Group> opened = reopened_;
    for (const auto& [id, member] : now) {
        const auto was = before.find(id);
        if (was == before.end() || was->second.first != member.first) {
            opened.insert(member.first);
        }
        if (was == before.end() || was->second != member) {
            changed.insert(member.first);
        }
    }
    for (const auto& [id, member] : before) {
        const auto is = now.find(id);
        if (is == now.end() || is->second.first != member.first) {
            changed.insert(member.first);
        }
    }
    for (const Group group : changed) {
        GroupState& state = groups_[group];
        state.members = 0;
        bool have_ended = true;
        for (const auto& [id, member] : now) {
            if (member.first == group) {
                ++state.members;
                have_ended = have_ended && member.second;
            }
        }
        have_ended = have_ended && state.members >= (group == Group::pair ? 2U : 1U);
        if (have_ended && (!state.is_told || opened.contains(group))) {
            ++state.times_told;
        }
        state.is_told = have_ended;
        if (state.members == 0) {
            groups_.erase(group);
        }
    }
}

std::optional<std::int64_t> Model::find_row(int row) const {
    const std::int64_t id = 100 * (row + 1) + rows_made_[static_cast<std::size_t>(row)];
    return rows_.contains(id) ? std::optional{id} : std::nullopt;
}

std::optional<std::int64_t> Model::new_row(const Insert& command) const {
    if (find_row(command.row) || (command.run < run_count && row_of(run_id_of(command.run)))) {
        return std::nullopt;
    }
    return 100 * (command.row + 1) + rows_made_[static_cast<std::size_t>(command.row)] + 1;
}

void Model::run(const Insert& command) {
    const auto id = new_row(command);
    if (!id) {
        return;
    }
    ++rows_made_[static_cast<std::size_t>(command.row)];
    Row row{.run = command.run < run_count ? std::optional{run_id_of(command.run)} : std::nullopt,
            .rate = Rate{static_cast<std::uint8_t>(command.rate)},
            .gpu = Gpu{static_cast<std::uint8_t>(command.gpu)},
            .chat = Chat{static_cast<std::uint8_t>(command.chat)},
            .status = command.status == 0   ? "pending"
                      : command.status == 2 ? "failed"
                                            : "completed"};
    if (command.status == 3) {
        row.duration_us = 5'100'000;
        row.cost = Decimal::parse("3");
    }
    row.group = Group{static_cast<std::uint8_t>(command.group)};
    scrub(rows_.emplace(*id, std::move(row)).first->second);
}

void Model::scrub(Row& row) {
    if (row.run && forgotten_.contains(*row.run)) {
        const std::string pseudonym = pseudonym_of(*row.run);
        row.run.reset();
        if (!row_of(pseudonym)) {  // A run is one row's.
            row.run = pseudonym;
        }
        row.is_forgotten = true;
        row.chat = Chat::none;
        row.group = Group::none;
    }
    if (row.run) {
        queue_.insert(*row.run);
    }
}

void Model::renew(Row& row) {
    for (Settlement& s : row.history) {
        s.row_is_gone = true;
    }
    row.status = "pending";
    row.reason.reset();
    row.response.reset();
    row.payload.reset();
    row.duration_us.reset();
    row.cost.reset();
    row.note.clear();
}

bool Model::applies(const Resave& command) const {
    const auto id = find_row(command.row);
    if (!id || held_ == id || rows_.at(*id).is_forgotten) {
        return false;
    }
    const auto named_by = command.run < run_count ? row_of(run_id_of(command.run)) : std::nullopt;
    return !named_by || named_by == id;
}

void Model::run(const Resave& command) {
    if (applies(command)) {
        Row& row = rows_.at(*find_row(command.row));
        renew(row);
        row.run.reset();
        if (command.run < run_count) {
            row.run = run_id_of(command.run);
        }
        scrub(row);
    }
}

std::optional<std::string> Model::old_run(const SaveOld& command) const {
    const auto id = find_row(command.row);
    if (!id || held_ == id || !rows_.at(*id).is_forgotten) {
        return std::nullopt;
    }
    for (int run = 0; run < run_count; ++run) {
        if (rows_.at(*id).run == pseudonym_of(run_id_of(run))) {
            return run_id_of(run);
        }
    }
    return std::nullopt;
}

void Model::run(const SaveOld& command) {
    if (const auto run = old_run(command)) {
        Row& row = rows_.at(*find_row(command.row));
        if (command.is_inserted) {
            renew(row);
        }
        row.run = run;
        scrub(row);
    }
}

bool Model::applies(const Change& command) const {
    const auto id = find_row(command.row);
    if (!id || held_ == id || rows_.at(*id).is_forgotten) {
        return false;
    }
    return command.what != Change::run || command.value >= run_count || !row_of(run_id_of(command.value));
}

void Model::run(const Change& command) {
    if (!applies(command)) {
        return;
    }
    Row& row = rows_.at(*find_row(command.row));
    const Row before = row;
    switch (command.what) {
        case Change::run:
            row.run = command.value < run_count ? std::optional{run_id_of(command.value)} : std::nullopt;
            break;
        case Change::rate:
            row.rate = Rate{static_cast<std::uint8_t>(command.value)};
            break;
        case Change::gpu:
            row.gpu = Gpu{static_cast<std::uint8_t>(command.value % 3)};
            break;
        case Change::chat:
            row.chat = Chat{static_cast<std::uint8_t>(command.value % 4)};
            break;
        case Change::group:
            row.group = Group{static_cast<std::uint8_t>(command.value % group_count)};
            break;
        default:
            throw std::logic_error("Change");
    }
    if (metadata_of(row) != metadata_of(before)) {
        scrub(row);
        if (before.run) {
            queue_.insert(*before.run);
        }
    }
}

bool Model::applies(const Hold& command) const {
    const auto id = find_row(command.row);
    return id && !held_ && !rows_.at(*id).is_forgotten;
}

void Model::run(const Hold& command) {
    if (applies(command)) {
        held_ = find_row(command.row);
    }
}

void Model::run(const Release&) {
    if (held_ && rows_.at(*held_).run) {
        queue_.insert(*rows_.at(*held_).run);
    }
    held_.reset();
}

bool Model::applies(const Delete& command) const {
    const auto id = find_row(command.row);
    return id && held_ != id;
}

void Model::run(const Delete& command) {
    if (applies(command)) {
        const auto row = rows_.extract(*find_row(command.row));
        settlements_of_deleted_.emplace(row.key(), row.mapped().history);
    }
}

bool Model::applies(const Edit& command) const {
    const auto id = find_row(command.row);
    if (!id || held_ == id || rows_.at(*id).is_forgotten) {
        return false;
    }
    const Settlement* last = last_written(rows_.at(*id));
    return last != nullptr && last->outcome != "reopened";
}

void Model::run(const Edit& command) {
    if (!applies(command)) {
        return;
    }
    Row& row = rows_.at(*find_row(command.row));
    switch (command.what) {
        case Edit::cost:
            row.cost = Decimal::parse("7");
            break;
        case Edit::reason:
            row.reason = "looked at";
            break;
        case Edit::empty:
            row.status = "pending";
            row.reason.reset();
            row.response.reset();
            row.payload.reset();
            row.duration_us.reset();
            row.cost.reset();
            row.note.clear();
            break;
        case Edit::give_back: {
            const Settlement* last = last_written(row);
            row.status = last->status;
            row.reason = last->reason;
            row.response = last->finished;
            row.duration_us = last->duration_us;  // The payload is not in the audit.
            row.cost = last->cost;
            row.note = last->note;
            break;
        }
        case Edit::status:
            row.status = "pending";
            break;
        default:
            throw std::logic_error("Edit");
    }
}

void Model::run(const RateChange& command) {
    static const std::array<std::optional<Decimal>, 4> amounts{std::nullopt, Decimal::parse("0.001"),
                                                               Decimal::parse("0.0025"), Decimal::parse("0.01")};
    for (int i = command.from; i <= command.to; ++i) {
        rates_[static_cast<std::size_t>(i)] = amounts[static_cast<std::size_t>(command.amount)];
    }
}

bool Model::applies(const Forget& command) const { return find_row(command.row) && !held_; }

std::set<std::string> Model::runs_to_forget(std::int64_t id) const {
    const Row& row = rows_.at(id);
    std::set<std::string> runs;
    if (row.run) {
        runs.insert(*row.run);
    }
    for (const Settlement& s : row.history) {
        runs.insert(s.run);
    }
    for (const auto& [key, notification] : notifications_) {
        if (key.row == id) {
            runs.insert(key.run);
        }
    }
    std::erase_if(runs, is_pseudonym);
    std::erase_if(runs, [&](const std::string& run) {  // It is somebody else's now.
        const auto named_by = row_of(run);
        return named_by && *named_by != id;
    });
    return runs;
}

void Model::run(const Forget& command) {
    if (applies(command) && !command.beside_a_turn) {
        forget(*find_row(command.row));
    }
}

std::vector<std::int64_t> Model::rows_of(const ForgetChat& command) const {
    std::vector<std::int64_t> ids;
    for (const auto& [id, row] : rows_) {
        const bool is_told = std::any_of(notifications_.begin(), notifications_.end(), [&, row_id = id](const auto& n) {
            return n.first.row == row_id && n.second.chat == chat_of(Chat{static_cast<std::uint8_t>(command.chat)});
        });
        if (is_told || row.chat == Chat{static_cast<std::uint8_t>(command.chat)}) {
            ids.push_back(id);
        }
    }
    return held_ ? std::vector<std::int64_t>{} : ids;
}

void Model::run(const ForgetChat& command) {
    if (held_) {
        return;
    }
    for (const std::int64_t id : rows_of(command)) {
        forget(id);
    }
    std::erase_if(notifications_, [&](const auto& notification) {
        return notification.second.chat == chat_of(Chat{static_cast<std::uint8_t>(command.chat)});
    });
}

void Model::forget(std::int64_t id) {
    Row& row = rows_.at(id);
    const std::set<std::string> runs = runs_to_forget(id);
    const Chat chat = row.chat;
    forgotten_.insert(runs.begin(), runs.end());
    const auto name_of = [&](const std::string& run) { return runs.contains(run) ? pseudonym_of(run) : run; };

    rename_in_months(runs);
    row.is_forgotten = true;
    row.chat = Chat::none;
    row.group = Group::none;
    if (row.run && !is_pseudonym(*row.run)) {
        const std::string pseudonym = pseudonym_of(*row.run);
        row.run = row_of(pseudonym) ? std::nullopt : std::optional{pseudonym};  // A run is one row's.
        if (row.run) {
            queue_.insert(pseudonym);
        }
    }
    if (row.payload) {
        row.payload = "";
    }
    if (row.reason) {
        row.reason = "forgotten";
    }
    for (auto& [other_id, other] : rows_) {
        for (Settlement& s : other.history) {
            s.run = name_of(s.run);
        }
    }
    for (auto& [deleted_id, history] : settlements_of_deleted_) {
        for (Settlement& s : history) {
            s.run = name_of(s.run);
        }
    }
    for (Settlement& s : row.history) {
        if (s.reason) {
            s.reason = "forgotten";
        }
        if (s.payload) {
            s.payload = "";
        }
    }
    // By the function; `runledger forget` takes the person's events out of them first.
    for (BatchPlan& batch : batches_aside_) {
        batch.is_emptied = batch.is_emptied || std::any_of(batch.news.begin(), batch.news.end(), [&](const News& news) {
                               const std::string run_id = run_id_of(news.run);
                               return runs.contains(run_id) && !batch.scrubbed.contains(run_id);
                           });
    }
    for (const std::string& id_before : runs) {
        queue_.erase(id_before);
        reports_.erase(id_before);
        auto run = runs_.extract(id_before);
        if (!run.empty()) {
            for (TakenEvent& event : run.mapped().events) {
                event.has_output = false;
                event.error.clear();
            }
            run.key() = pseudonym_of(id_before);
            runs_.insert(std::move(run));
        }
    }
    const bool is_chat_known = chat == Chat::number || chat == Chat::text;
    const bool is_chat_of_others =
        std::any_of(rows_.begin(), rows_.end(), [&](const auto& other) { return other.second.chat == chat; });
    std::erase_if(notifications_, [&](const auto& notification) {
        return notification.first.row == id || runs.contains(notification.first.run) ||
               (is_chat_known && !is_chat_of_others && notification.second.chat == chat_of(chat));
    });
}

void Model::run(const Tell& command) {
    const bool sends_logged = command.how == Tell::send_logged;
    const char* const then = sends_logged ? "pending" : command.how == Tell::logged ? "logged" : "sent";
    const auto before = notifications_;
    const auto is_corrected = [&](const NotificationKey& first, std::size_t number) {
        return std::any_of(before.begin(), before.end(), [&](const auto& later) {
            return later.first.row == first.row && later.first.recipient == first.recipient &&
                   later.first.kind == "correction" && later.second.number > number &&
                   (later.second.state == "pending" || later.second.state == "sent");
        });
    };
    for (auto& [key, notification] : notifications_) {
        if (notification.state == (sends_logged ? "logged" : "pending")) {
            notification.state = sends_logged && is_corrected(key, notification.number) ? "skipped" : then;
        }
    }
}

void Model::queue_all() {
    for (const auto& [id, run] : runs_) {
        queue_.insert(id);
    }
}

Rows Model::rows() const {
    Rows rows;
    for (const auto& [id, run] : runs_) {
        rows["run " + id] = text_of(run);
    }
    for (const auto& [id, row] : rows_) {
        rows[fmt::format("row {}", id)] = text_of(row);
        if (!row.history.empty()) {
            rows[fmt::format("settlements {}", id)] = text_of(row.history);
        }
    }
    for (const auto& [id, history] : settlements_of_deleted_) {
        if (!history.empty()) {
            rows[fmt::format("settlements {}", id)] = text_of(history);
        }
    }
    for (const auto& [group, state] : groups_) {
        rows[fmt::format("group {}", word_of(group))] = fmt::format("{} members | told {} times | {}", state.members,
                                                                    state.times_told, state.is_told ? "ended" : "open");
    }
    std::map<std::string, int> changes;
    for (const auto& [key, n] : notifications_) {
        const std::string name =
            fmt::format("notification {} {} {} {} {}", key.row, key.run, key.kind, key.for_status, key.recipient);
        rows[fmt::format("{} {}", name, ++changes[name])] = fmt::format("{} {} | {}", n.state, n.chat, n.told);
    }
    Segment renamed;
    for (const auto& [number, s] : segments_) {
        if (number >= first_renamed) {
            renamed.batches += s.batches;
            renamed.applied += s.applied;
            renamed.duplicate += s.duplicate;
            renamed.quarantined += s.quarantined;
            continue;
        }
        rows[fmt::format("books of segment {}", number)] = text_of(s);
    }
    if (!renamed_.empty()) {
        rows["books of what was replayed"] = text_of(renamed);
    }
    for (const std::string& run : queue_) {
        rows["queued " + run] = "";
    }
    rows["balance"] = fmt::format("{0} events, {0} in runs | {1} and {2} batches aside", events_applied_, events_aside_,
                                  batches_aside_.size());
    rows["events"] = fmt::format("{}", events_stored_);
    add_months_to(rows);
    return rows;
}

}  // namespace runledger::test::whole_ledger
