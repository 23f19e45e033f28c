// What closed months say, and what has changed since: docs/ARCHITECTURE.md "Closed months", docs/dba.md "Closed
// months".
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "tests/property/ledger/model.hpp"

namespace runledger::test::whole_ledger {
namespace {

constexpr Instant march_us = 2 * second_us;  // epoch_us is two seconds before it.

// The months of `months` that an instant can be in; nothing: one that has not ended.
std::optional<int> month_of(const Settlement& s) {
    return s.finished == told ? std::nullopt : std::optional{*s.finished < march_us ? 0 : 1};
}

auto line_of(const Settlement& s) { return std::tie(s.status, s.duration_us, s.rate, s.unit, s.cost, s.note); }

std::string sums_of(const std::vector<const Settlement*>& lines) {
    constexpr int decimals = 12;
    std::size_t priced = 0;
    std::int64_t duration_us = 0;
    Int128 cost = 0;
    for (const Settlement* line : lines) {
        duration_us += line->duration_us.value_or(0);
        if (line->cost) {
            ++priced;
            Int128 unscaled = line->cost->unscaled();
            for (int scale = line->cost->scale(); scale < decimals; ++scale) {
                unscaled *= 10;
            }
            cost += unscaled;
        }
    }
    return fmt::format("{} runs | {} priced | {} us | {} USD", lines.size(), priced, duration_us,
                       Decimal(cost, decimals).text());
}

}  // namespace

void Model::write(Row& row, const Settlement& s) {
    row.history.push_back(s);
    row.history.back().number = ++settlements_made_;
    row.status = s.status;
    row.reason = s.reason;
    row.response = s.finished;
    row.payload = s.payload;
    row.duration_us = s.duration_us;
    row.cost = s.cost;
    row.note = s.note;
    post(s.run, settlements_made_);
}

// Each run's last settlement that was not withdrawn, in whatever row.
std::map<std::string, Settlement> Model::billed() const {
    std::map<std::string, Settlement> billed;
    const auto look_at = [&](const std::vector<Settlement>& history) {
        std::set<std::string> seen;
        for (auto s = history.rbegin(); s != history.rend(); ++s) {
            if (s->outcome == "edited_by_hand" || !seen.insert(s->run).second || s->outcome == "reopened") {
                continue;
            }
            const auto [at, is_new] = billed.try_emplace(s->run, *s);
            if (!is_new && at->second.number < s->number) {
                at->second = *s;
            }
        }
    };
    for (const auto& [id, row] : rows_) {
        look_at(row.history);
    }
    for (const auto& [id, history] : settlements_of_deleted_) {
        look_at(history);
    }
    return billed;
}

void Model::post(const std::string& run, std::size_t number) {
    const auto live = billed();
    const auto now = live.find(run);
    for (const auto& [month, frozen] : closed_) {
        const auto was = stated_.find({run, month});
        const bool is_in = now != live.end() && month_of(now->second) == month;
        if (is_in ? was != stated_.end() && line_of(was->second) == line_of(now->second) : was == stated_.end()) {
            continue;
        }
        stood_on_.insert(number);
        if (is_in) {
            stated_.insert_or_assign({run, month}, now->second);
        } else {
            stated_.erase(was);
        }
    }
}

bool Model::may_close(const Close& command) const {
    if (closed_.empty()) {  // The first one has a run, or is a later one.
        return std::ranges::any_of(billed(), [&](const auto& run) {
            const auto month = month_of(run.second);
            return month && *month <= command.month;
        });
    }
    return closed_.contains(command.month) || closed_.contains(command.month - 1);
}

void Model::run(const Close& command) {
    if (!may_close(command) || closed_.contains(command.month)) {
        return;
    }
    std::vector<const Settlement*> lines;
    const auto live = billed();
    for (const auto& [run, s] : live) {
        if (month_of(s) == command.month) {
            lines.push_back(&s);
            stated_.insert_or_assign({run, command.month}, s);
            stood_on_.insert(s.number);
        }
    }
    closed_.emplace(command.month, sums_of(lines));
}

void Model::rename_in_months(const std::set<std::string>& runs) {
    for (const auto& [month, frozen] : closed_) {
        for (const std::string& run : runs) {
            auto stated = stated_.extract({run, month});
            if (!stated.empty()) {
                stated.key().first = pseudonym_of(run);
                stated_.insert(std::move(stated));
            }
        }
    }
}

void Model::add_months_to(Rows& rows) const {
    for (const auto& [month, frozen] : closed_) {
        const std::string name = months[static_cast<std::size_t>(month)];
        std::vector<const Settlement*> lines;
        for (const auto& [key, s] : stated_) {
            if (key.second == month) {
                lines.push_back(&s);
            }
        }
        rows["month " + name] = frozen;
        rows["month " + name + " as of its closing"] = frozen;
        rows["month " + name + " with its corrections"] = sums_of(lines);
    }
}

}  // namespace runledger::test::whole_ledger
