// What a row says of its run, and who is told: docs/ARCHITECTURE.md "Settle", docs/dba.md "Money and time".
#include <algorithm>
#include <stdexcept>

#include "tests/property/ledger/model.hpp"

namespace runledger::test::whole_ledger {
namespace {

constexpr std::int64_t duration_max_us = 7LL * 24 * 3600 * second_us;
constexpr std::int64_t minute_us = 60 * second_us;

bool is_edited(const Row& row, const Settlement& last) {
    return row.status != last.status || row.reason != last.reason || row.response != last.finished ||
           row.duration_us != last.duration_us || row.cost != last.cost || row.note != last.note ||
           (last.payload && row.payload != last.payload);
}

std::string told_of(const Settlement& s) {
    return s.status + " " + s.reason.value_or("-") + " " +
           (s.duration_us ? milliseconds_of(*s.duration_us).text() : "-") + " " + (s.cost ? s.cost->text() : "-") +
           " " + (s.note.empty() ? "-" : s.note) + " [" + s.payload.value_or("") + "]";
}

struct Duration {
    std::optional<std::int64_t> us{};
    std::string clock{};
    std::string note{};
};

Duration duration_of(const Run& run, const RunFacts& facts) {
    Duration d;
    if (!facts.ending) {
        if (!run.report->started || !run.report->ended) {
            return {.note = "provider_times_missing"};
        }
        d = {.us = *run.report->ended - *run.report->started, .clock = "provider", .note = "provider_times"};
    } else if (!facts.running) {
        return {.note = "no_running_event"};
    } else if (facts.running->boot == facts.ending->at.boot) {
        d = {.us = facts.ending->at.boottime - facts.running->boottime, .clock = "boottime"};
    } else {
        d = {.us = facts.ending->at.wall - facts.running->wall, .clock = "realtime", .note = "clocks_differ"};
    }
    if (*d.us < 0 || *d.us > duration_max_us) {
        return {.note = d.clock == "provider" ? "provider_times_implausible"
                        : *d.us < 0           ? "running_after_end"
                                              : "clock_implausible"};
    }
    return d;
}

struct SaidRate {
    std::optional<Decimal> amount{};
    std::string unit{};
    std::string note{};
    std::optional<std::int64_t> tokens{};
};

SaidRate rate_in_metadata(Rate rate) {
    switch (rate) {
        case Rate::none:
            return {.note = "rate_missing"};
        case Rate::of_a_second:
            return {.amount = Decimal::parse("0.000337"), .unit = "second"};
        case Rate::of_a_minute:
            return {.amount = Decimal::parse("123456.789012345678"), .unit = "minute"};
        case Rate::of_a_run:
            return {.amount = Decimal::parse("0.5"), .unit = "run"};
        case Rate::malformed:
            return {.note = "rate_malformed"};
        case Rate::of_a_request:
            return {.amount = Decimal::parse("0.25"), .unit = "request"};
        case Rate::of_tokens:
            return {.amount = Decimal::parse("0.0000000000025"), .unit = "token", .tokens = 1201};
        case Rate::of_uncounted_tokens:
            return {.note = "tokens_missing"};
        case Rate::of_malformed_tokens:
            return {.note = "tokens_malformed"};
    }
    throw std::logic_error("Rate");
}

std::string reason_of(const std::string& status, const std::string& error) {
    return !error.empty() ? error : status == "timeout" ? "timed out" : status;
}

std::size_t place_in_time(Instant at) {
    return static_cast<std::size_t>(
        std::count_if(walls.begin(), walls.end(), [at](Instant wall) { return wall <= at; }));
}

bool is_by_time(const std::string& unit) { return unit == "second" || unit == "minute"; }

std::optional<Decimal> cost_at(const Decimal& rate, const std::string& unit, std::optional<std::int64_t> duration_us,
                               std::optional<std::int64_t> tokens) {
    if (unit == "token") {
        return cost_of({.amount = rate, .duration_us = tokens.value(), .unit_us = 1});
    }
    if (!is_by_time(unit)) {
        return rate;
    }
    return duration_us ? std::optional{cost_of({.amount = rate,
                                                .duration_us = *duration_us,
                                                .unit_us = unit == "minute" ? minute_us : second_us})}
                       : std::nullopt;
}

}  // namespace

const Settlement* last_written(const Row& row) {
    const auto found = std::find_if(row.history.rbegin(), row.history.rend(), [](const Settlement& s) {
        return s.outcome != "edited_by_hand" && !s.row_is_gone;
    });
    return found == row.history.rend() ? nullptr : &*found;
}

std::optional<Decimal> Model::rate_in_force(const std::string& gpu, Instant at) const {
    return gpu == word_of(Gpu::priced) ? rates_[place_in_time(at)] : std::nullopt;
}

std::optional<std::int64_t> Model::row_of(const std::string& run) const {
    const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const auto& row) { return row.second.run == run; });
    return found == rows_.end() ? std::nullopt : std::optional{found->first};
}

void Model::report_edit(Row& row, const Settlement& s) {
    if (row.history.empty() || row.history.back().row_is_gone ||
        row.history.back().outcome != "edited_by_hand") {  // Once.
        row.history.push_back(s);
        row.history.back().outcome = "edited_by_hand";
        row.history.back().payload.reset();
    }
}

// The row names another run now: what the old one gave it is withdrawn. False where it was edited by hand.
bool Model::reopen(std::int64_t id) {
    Row& row = rows_.at(id);
    const Settlement last = *last_written(row);
    if (is_edited(row, last) && row.status != "pending" && row.status != "processing") {
        report_edit(row, last);
        return false;
    }
    if (!last.keeps_status && row.status != "pending" && row.status != "processing") {
        reopened_.insert(row.group);
        reopened_.erase(Group::none);
    }
    write(row, {.run = last.run,
                .outcome = "reopened",
                .status = last.keeps_status ? row.status : "pending",
                .reason = last.keeps_status ? row.reason : std::nullopt,
                .keeps_status = last.keeps_status});
    for (auto& [key, notification] : notifications_) {
        if (key.row == id && key.run == last.run &&
            (notification.state == "pending" || notification.state == "logged")) {
            notification.state = "skipped";
            notification.is_withdrawn = true;
        }
    }
    return true;
}

Model::Settled Model::reopen_rows_of(const std::string& run) {
    std::vector<std::int64_t> stale;
    for (const auto& [id, row] : rows_) {
        const bool was_settled_by_it =
            std::any_of(row.history.begin(), row.history.end(), [&](const Settlement& s) { return s.run == run; });
        // A row that names no run, while no other names that one, keeps the money that was spent.
        if (was_settled_by_it && row.run != run && (row.run || row_of(run))) {
            stale.push_back(id);
        }
    }
    if (held_ && std::count(stale.begin(), stale.end(), *held_) > 0) {
        return Settled::locked;
    }
    for (const std::int64_t id : stale) {
        const Settlement* last = last_written(rows_.at(id));
        if (last != nullptr && last->run == run && last->outcome != "reopened") {
            reopen(id);
        }
    }
    return Settled::done;
}

Model::Settled Model::settle(const std::string& run) {
    const auto id = row_of(run);
    if (!runs_.contains(run)) {
        // Nobody else can have its price, if it had one: that stays where it is. But its row keeps no other run's.
        const Settlement* of_another = id ? last_written(rows_.at(*id)) : nullptr;
        if (of_another != nullptr && of_another->run != run && of_another->outcome != "reopened") {
            if (held_ == id) {
                return Settled::locked;
            }
            reopen(*id);
        }
        return Settled::done;
    }
    if (held_ && held_ == id) {
        return Settled::locked;
    }
    if (reopen_rows_of(run) == Settled::locked) {
        return Settled::locked;
    }
    if (!id) {
        return Settled::done;
    }
    Row& row = rows_.at(*id);
    const Settlement* last = last_written(row);
    if (last != nullptr && last->run != run && last->outcome != "reopened" && !reopen(*id)) {
        return Settled::done;
    }
    last = last_written(row);
    if (last == nullptr || last->outcome == "reopened") {
        settle_first(*id, run);
        return Settled::done;
    }
    const RunFacts facts = facts_of(runs_.at(run));
    if (!facts.ending && !runs_.at(run).report) {
        return Settled::done;
    }
    Settlement s = settlement_of(row, run, last);
    const Settlement before = *last;
    if (is_edited(row, before)) {
        report_edit(row, s);
        return Settled::done;
    }
    const bool is_changed = s.status != before.status || s.duration_us != before.duration_us || s.cost != before.cost ||
                            s.note != before.note || s.finished != before.finished || s.reason != before.reason ||
                            s.payload != row.payload;
    if (is_changed) {
        s.outcome = s.keeps_status ? "kept" : "resettled";
        write(row, s);
        if (!s.keeps_status) {
            notify_again(*id, before, s);
        }
    }
    return Settled::done;
}

void Model::settle_first(std::int64_t id, const std::string& run) {
    Row& row = rows_.at(id);
    const Run& of = runs_.at(run);
    const RunFacts facts = facts_of(of);
    if (!facts.ending && !of.report) {
        if (facts.running && row.status == "pending") {
            row.status = "processing";
        }
        return;
    }
    Settlement s = settlement_of(row, run, nullptr);
    s.outcome = s.keeps_status ? "kept" : "settled";
    write(row, s);
    if (s.keeps_status) {
        return;
    }
    std::erase_if(notifications_, [&](const auto& made) {  // The row has come back to the run.
        return made.first.row == id && made.first.run == run && made.second.is_withdrawn;
    });
    if (row.chat != Chat::none) {
        const bool is_malformed = row.chat == Chat::malformed;
        const NotificationKey key{.row = id,
                                  .run = run,
                                  .kind = "ending",
                                  .recipient = is_malformed ? "metadata.telegramChatId" : chat_of(row.chat)};
        const bool is_new = notifications_
                                .try_emplace(key, Notification{.state = is_malformed ? "skipped" : "pending",
                                                               .chat = is_malformed ? "" : chat_of(row.chat),
                                                               .told = told_of(s),
                                                               .number = ++notifications_made_})
                                .second;
        if (!is_new && !is_malformed) {
            correct(id, s);
        }
    }
}

// The row has come back to a run about which its chat was told before, perhaps another status.
void Model::correct(std::int64_t id, const Settlement& s) {
    const Row& row = rows_.at(id);
    const Notification* last = nullptr;
    for (const auto& [made, notification] : notifications_) {
        if (made.row == id && made.run == s.run && made.recipient == chat_of(row.chat) && made.kind != "follow_up" &&
            (last == nullptr || notification.number > last->number)) {
            last = &notification;
        }
    }
    if (last != nullptr && !last->told.starts_with(s.status + " ")) {
        const NotificationKey key{.row = id,
                                  .run = s.run,
                                  .kind = "correction",
                                  .for_status = s.status,
                                  .recipient = chat_of(row.chat),
                                  .change = ++notifications_made_};
        notifications_.emplace(
            key, Notification{
                     .state = "pending", .chat = chat_of(row.chat), .told = told_of(s), .number = notifications_made_});
    }
}

Settlement Model::settlement_of(const Row& row, const std::string& run, const Settlement* last) const {
    const Run& of = runs_.at(run);
    const RunFacts facts = facts_of(of);
    const std::string ended =
        facts.ending ? facts.ending->status : statuses[static_cast<std::size_t>(of.report->status)].word;
    const std::string error =
        facts.ending
            ? facts.ending->error
            : std::string{is_pseudonym(run) ? "" : statuses[static_cast<std::size_t>(of.report->status)].error};
    Settlement s{.run = run};
    s.keeps_status = last == nullptr ? row.status != "pending" && row.status != "processing" : last->keeps_status;
    if (s.keeps_status) {
        s.status = row.status;
        s.reason = row.reason;
    } else {
        s.status = ended == "success" ? "completed" : ended == "cancelled" ? "cancelled" : "failed";
        if (ended != "success") {
            s.reason = reason_of(ended, error);
        }
        if (s.reason && row.is_forgotten) {
            s.reason = "forgotten";
        }
    }
    s.finished = facts.ending ? facts.ending->at.wall : told;
    const Duration duration = duration_of(of, facts);
    s.duration_us = duration.us;
    s.clock = duration.clock;
    s.duration_note = duration.note;
    s.output_count = facts.outputs.size();
    s.payload = facts.payload();
    price(s, row, last, ended == "success");
    if (s.keeps_status) {
        // What the application gave, where nothing else says it.
        const std::optional<std::int64_t> given_us = last == nullptr                ? row.duration_us
                                                     : last->clock == "application" ? last->duration_us
                                                                                    : std::nullopt;
        const std::optional<Decimal> given_cost = last == nullptr ? row.cost : last->rate ? std::nullopt : last->cost;
        if (!s.duration_us && given_us) {
            s.duration_us = given_us;
            s.clock = "application";
        }
        if (!s.cost && given_cost && s.note != "not_charged") {
            s.cost = given_cost;
            s.note.clear();
            s.rate.reset();
            s.unit.clear();
            s.tokens.reset();
            s.source.clear();
        }
    }
    return s;
}

// A rate is copied once; a repaired one prices what had none; one of gpu_rates is that of the ending that counts.
void Model::price(Settlement& s, const Row& row, const Settlement* last, bool is_success) const {
    SaidRate rate = rate_in_metadata(row.rate);
    std::string source = rate.amount ? "metadata" : "";
    const std::string gpu = row.gpu == Gpu::none ? "" : word_of(row.gpu);
    if (!rate.amount && rate.note == "rate_missing" && row.gpu != Gpu::none) {
        rate.amount = rate_in_force(gpu, *s.finished);
        rate.unit = rate.amount ? "second" : "";
        rate.note = rate.amount ? "" : "gpu_rate_missing";
        source = rate.amount ? "gpu_rates" : "";
    }
    s.gpu = gpu;
    if (last != nullptr && last->rate) {
        const bool is_of_gpu = last->source == "gpu_rates";
        s.gpu = is_of_gpu || gpu.empty() ? last->gpu : gpu;
        const bool is_looked_up_again = is_of_gpu && last->finished != s.finished;
        rate = {.amount = is_looked_up_again ? rate_in_force(last->gpu, *s.finished) : last->rate,
                .unit = last->unit,
                .tokens = last->tokens};
        source = last->source;
        if (!rate.amount) {
            rate = {.note = "gpu_rate_missing"};
            source.clear();
        }
    }
    s.rate = rate.amount;
    s.unit = rate.unit;
    s.tokens = rate.tokens;
    s.source = source;
    if (!is_success) {
        s.note = "not_charged";
    } else if (!rate.amount) {
        s.note = rate.note;
    } else {
        s.cost = cost_at(*rate.amount, rate.unit, s.duration_us, s.tokens);
        s.note = is_by_time(rate.unit) ? s.duration_note : "";
    }
}

void Model::notify_again(std::int64_t id, const Settlement& last, const Settlement& s) {
    NotificationKey key{.row = id, .run = s.run};
    if (s.status != last.status) {
        key.kind = "correction";
        key.for_status = s.status;
        key.change = notifications_made_ + 1;
    } else if (s.output_count > 0 && last.output_count == 0 && s.status == "completed") {
        key.kind = "follow_up";
    } else {
        return;
    }
    const Row& row = rows_.at(id);
    key.recipient = chat_of(row.chat);
    bool is_put_into_others = false;
    bool is_put_into_its_own = false;
    bool had_an_ending = false;
    for (auto& [made, notification] : notifications_) {
        if (made.row == id && made.run == s.run && made.kind == "ending") {
            const bool is_its_own = made.recipient == key.recipient;
            if (notification.state == "pending") {
                notification.told = told_of(s);
                (is_its_own ? is_put_into_its_own : is_put_into_others) = true;
            }
            had_an_ending = had_an_ending || is_its_own;
        }
    }
    if (is_put_into_its_own || (is_put_into_others && !had_an_ending)) {
        return;
    }
    if (row.chat == Chat::number || row.chat == Chat::text) {
        notifications_.try_emplace(
            key,
            Notification{
                .state = "pending", .chat = chat_of(row.chat), .told = told_of(s), .number = ++notifications_made_});
    }
}

void Model::run(const Reprice& command) {
    const auto in_range = [&](Instant at) {
        const auto place = static_cast<int>(place_in_time(at));
        return command.from <= place && place <= command.to;
    };
    for (auto& [id, row] : rows_) {
        const Settlement* last = last_written(row);
        if (last == nullptr || last->outcome == "reopened" || last->gpu != word_of(Gpu::priced) ||
            !in_range(*last->finished) || (row.run && row.run != last->run) || held_ == id) {
            continue;
        }
        const auto rate = rate_in_force(last->gpu, *last->finished);
        const bool is_priced_by_metadata =
            last->source == "metadata" || (last->source.empty() && rate_in_metadata(row.rate).note != "rate_missing");
        if (is_priced_by_metadata || !rate || rate == last->rate || is_edited(row, *last)) {
            continue;
        }
        Settlement s = *last;
        s.outcome = "repriced";
        s.rate = rate;
        s.unit = "second";
        s.source = "gpu_rates";
        s.payload = row.payload;
        if (s.note != "not_charged") {
            s.cost = cost_at(*rate, s.unit, s.duration_us, s.tokens);
            s.note = s.duration_note;
        }
        write(row, s);
    }
}

std::vector<std::string> Model::runs_of(const Settle& command) const {
    std::vector<std::string> runs;
    for (int run = 0; run < run_count; ++run) {
        if ((command.runs & (1 << run)) != 0) {
            runs.push_back(run_id_of(run));
            runs.push_back(pseudonym_of(run_id_of(run)));
        }
    }
    std::sort(runs.begin(), runs.end());
    return runs;
}

void Model::run(const Settle& command) {
    for (const std::string& run : runs_of(command)) {
        if (queue_.contains(run) && settle(run) == Settled::done) {
            queue_.erase(run);
        }
    }
}

}  // namespace runledger::test::whole_ledger
