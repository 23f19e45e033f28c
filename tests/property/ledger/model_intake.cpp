// What comes from the edges and the provider, and what retention takes away.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "tests/property/ledger/model.hpp"

namespace runledger::test::whole_ledger {
namespace {

// What its bytes say.
std::string text_of(const BatchPlan& batch) {
    return whole_ledger::text_of(Command{Apply{.events = batch.news, .segment = batch.segment}}) +
           fmt::format(" {} {} {} {}", batch.number, batch.boot, batch.is_emptied, fmt::join(batch.scrubbed, " "));
}

}  // namespace

std::vector<BatchPlan> Model::plan(const Apply& command) const {
    std::vector<BatchPlan> turn;
    const int segment = current_segment(command.segment);
    const auto known = segments_.find(segment);
    std::uint64_t number = known == segments_.end() ? 0 : known->second.open.size();
    for (const News& news : command.events) {
        if (turn.empty() || !command.in_one_batch || turn.back().boot != news.boot) {
            turn.push_back({.segment = segment, .number = number++, .boot = news.boot, .news = {}});
        }
        turn.back().news.push_back(news);
    }
    if (command.copy > 0) {
        if (auto copy = plan(Copy{command.copy - 1})) {
            turn.push_back(*std::move(copy));
        }
    }
    return turn;
}

std::optional<BatchPlan> Model::plan(const Copy& command) const {
    if (batches_.empty()) {
        return std::nullopt;
    }
    const BatchPlan& batch = batches_[static_cast<std::size_t>(command.batch) % batches_.size()];
    // Once the tombstone is gone nothing tells a copy from news: tombstones_days is how late one may be.
    const Segment& segment = segments_.at(batch.segment);
    return segment.is_retired && !segment.has_tombstone ? std::nullopt : std::optional{batch};
}

std::optional<BatchPlan> Model::plan(const Conflict& command) const {
    auto batch = plan(Copy{command.batch});
    if (batch) {
        batch->is_other = true;
        for (News& news : batch->news) {
            news.redelivered = !news.redelivered;
        }
        if (segments_.at(batch->segment).is_retired) {
            batch->number = segments_.at(batch->segment).batch_count + 1;
        }
    }
    return batch;
}

std::optional<BatchPlan> Model::plan(const Replay& command) const {
    if (command.what == 0 || batches_aside_.empty()) {
        return std::nullopt;
    }
    const BatchPlan& batch = batches_aside_[static_cast<std::size_t>(command.what - 1) % batches_aside_.size()];
    // Once the tombstone is gone nothing tells its name from news: tombstones_days is how late one may be.
    const Segment& segment = segments_.at(batch.segment);
    return batch.is_emptied || (segment.is_retired && !segment.has_tombstone) ? std::nullopt : std::optional{batch};
}

std::size_t Model::place_of(const BatchPlan& aside) const {
    std::size_t place = 0;
    for (const BatchPlan& batch : batches_aside_) {
        if (text_of(batch) == text_of(aside)) {
            break;
        }
        place += batch.segment == aside.segment && batch.number == aside.number ? 1 : 0;
    }
    return place;
}

const Segment& Model::segment(int number) const {
    static const Segment none;
    const auto known = segments_.find(number);
    return known == segments_.end() ? none : known->second;
}

void Model::run(const Apply& command) {
    const auto turn = plan(command);
    take(turn, command.one_by_one);
    if (command.answer == Apply::is_lost) {
        take(turn, command.one_by_one);
    }
}

void Model::run(const Copy& command) {
    if (const auto batch = plan(command)) {
        take({*batch});
    }
}

void Model::run(const Conflict& command) {
    if (const auto batch = plan(command)) {
        take({*batch});
    }
}

// It is stored under a name of its own, which is the same for the same bytes.
void Model::run(const Replay& command) {
    auto batch = plan(command);
    if (!batch) {
        return;
    }
    const auto same = [&](const BatchPlan& other) { return text_of(other) == text_of(*batch); };
    batches_aside_.erase(std::find_if(batches_aside_.begin(), batches_aside_.end(), same));
    batch->segment =
        renamed_.try_emplace(text_of(*batch), first_renamed + static_cast<int>(renamed_.size())).first->second;
    batch->is_other = false;
    take({*batch});
}

std::map<std::string, RunFacts> Model::all_facts() const {
    std::map<std::string, RunFacts> facts;
    for (const auto& [id, run] : runs_) {
        facts.emplace(id, facts_of(run));
    }
    return facts;
}

void Model::queue_changed(const std::map<std::string, RunFacts>& before) {
    for (const auto& [id, now] : all_facts()) {
        const RunFacts was = before.contains(id) ? before.at(id) : RunFacts{};
        if (now.running != was.running || now.ending != was.ending || now.outputs != was.outputs) {
            queue_.insert(id);
        }
    }
}

void Model::take(const std::vector<BatchPlan>& turn, bool one_by_one) {
    const auto before = all_facts();
    // Which runs retention has removed is asked once for a turn.
    std::vector<std::pair<News, int>> news;
    for (const BatchPlan& batch : turn) {
        Segment& segment = segments_[batch.segment];
        segment.is_known = true;
        const auto events = static_cast<std::int64_t>(batch.news.size());
        const bool is_known =
            segment.is_retired ? batch.number < segment.batch_count : segment.open.contains(batch.number);
        if (is_known && !batch.is_other) {
            segment.duplicate += events;
        } else if (is_known || segment.is_retired) {
            segment.quarantined += events;
            batches_aside_.push_back(batch);
            for (const News& one : batch.news) {
                if (forgotten_.contains(run_id_of(one.run))) {
                    batches_aside_.back().scrubbed.insert(run_id_of(one.run));
                }
            }
        } else {
            segment.open.emplace(batch.number, batch.news.size());
            ++segment.batches;
            if (batch.segment < first_renamed) {
                batches_.push_back(batch);
            }
            for (const News& one : batch.news) {
                news.emplace_back(one, batch.segment);
            }
        }
    }
    std::set<std::string> removed;
    for (const auto& [one, segment] : news) {
        if (is_removed(name_now(one.run))) {
            removed.insert(name_now(one.run));
        }
    }
    for (const auto& [one, number] : news) {
        Segment& segment = segments_.at(number);
        if (removed.contains(name_now(one.run))) {
            ++segment.quarantined;
            ++events_aside_;
        } else {
            const auto before_it = one_by_one ? all_facts() : std::map<std::string, RunFacts>{};
            take_event(one, segment);
            if (one_by_one) {
                queue_changed(before_it);
            }
        }
    }
    queue_changed(before);
}

void Model::take_event(const News& news, Segment& segment) {
    const std::string name = name_now(news.run);
    const bool is_late = is_pseudonym(name);
    runs_[name].events.push_back({.news = news,
                                  .error = is_late ? "" : statuses[static_cast<std::size_t>(news.status)].error,
                                  .digest = digest_of(is_late ? scrubbed_body_of(news) : body_of(news)),
                                  .has_output = !is_late && news.output != 0});
    ++segment.applied;
    ++events_applied_;
    ++events_stored_;
}

std::string Model::name_now(int run) const {
    const std::string id = run_id_of(run);
    return forgotten_.contains(id) ? pseudonym_of(id) : id;
}

bool Model::is_settled(const std::string& run) const {
    const auto names_it = [&](const std::vector<Settlement>& history) {
        return std::any_of(history.begin(), history.end(), [&](const Settlement& s) { return s.run == run; });
    };
    return std::any_of(rows_.begin(), rows_.end(), [&](const auto& row) { return names_it(row.second.history); }) ||
           std::any_of(settlements_of_deleted_.begin(), settlements_of_deleted_.end(),
                       [&](const auto& deleted) { return names_it(deleted.second); });
}

bool Model::is_removed(const std::string& run) const { return !runs_.contains(run) && is_settled(run); }

void Model::run(const Retire& command) {
    int& current = current_[static_cast<std::size_t>(command.segment)];
    const auto found = segments_.find(current);
    if (found == segments_.end() || command.off != 0) {
        return;
    }
    Segment& segment = found->second;
    segment.is_retired = true;
    segment.has_tombstone = true;
    segment.batch_count = segment.open.size();
    segment.open.clear();
    current = ++last_segment_;
}

void Model::run(const Report& command) {
    const std::string id = run_id_of(command.run);
    // Of a person who is forgotten nothing is kept; of a run that is removed it comes too late, as an event does.
    if (forgotten_.contains(id) || is_removed(id) || !reports_[id].insert(text_of(Command{command})).second) {
        return;
    }
    Run& run = runs_[id];
    if (run.report) {
        return;  // The first one counts.
    }
    const auto time = [](int place) {
        return place == 0 ? std::nullopt : std::optional{walls[static_cast<std::size_t>(place)]};
    };
    run.report =
        ProviderTimes{.status = command.status, .started = time(command.started), .ended = time(command.ended)};
    if (!facts_of(run).ending) {
        queue_.insert(id);
    }
}

void Model::run(const Expire& command) {
    switch (command.what) {
        case Expire::runs:
            if (!command.beside_a_turn) {
                for (const std::string& id : runs_to_remove()) {
                    runs_.erase(id);
                    reports_.erase(id);
                }
            }
            break;
        case Expire::notifications:
            std::erase_if(notifications_, [](const auto& n) { return n.second.state != "pending"; });
            break;
        case Expire::settlements: {
            const auto remove_replaced = [this](std::vector<Settlement>& history) {
                for (std::size_t i = 0; i < history.size();) {
                    const bool is_replaced =
                        std::any_of(history.begin() + static_cast<std::ptrdiff_t>(i) + 1, history.end(),
                                    [&](const Settlement& newer) {
                                        return newer.run == history[i].run && newer.outcome != "edited_by_hand";
                                    });
                    if (is_replaced && !stood_on_.contains(history[i].number)) {
                        history.erase(history.begin() + static_cast<std::ptrdiff_t>(i));
                    } else {
                        ++i;
                    }
                }
            };
            for (auto& [id, row] : rows_) {
                remove_replaced(row.history);
            }
            for (auto& [id, history] : settlements_of_deleted_) {
                remove_replaced(history);
            }
            break;
        }
        case Expire::quarantine:
            events_aside_ = 0;
            batches_aside_.clear();
            break;
        case Expire::tombstones:
            for (auto& [number, segment] : segments_) {
                segment.has_tombstone = false;
            }
            break;
        default:
            throw std::logic_error("Expire");
    }
}

// Ended, settled or named by no row, and not queued.
std::vector<std::string> Model::runs_to_remove() const {
    std::vector<std::string> found;
    for (const auto& [id, run] : runs_) {
        const bool has_ended = run.report || facts_of(run).ending;
        if (has_ended && (is_settled(id) || !row_of(id)) && !queue_.contains(id)) {
            found.push_back(id);
        }
    }
    return found;
}

void Model::run(const DropDay&) { events_stored_ = 0; }

}  // namespace runledger::test::whole_ledger
