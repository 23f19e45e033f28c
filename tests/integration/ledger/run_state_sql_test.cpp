// The C++ fold and the SQL upsert are the same merge: the same events, folded in memory and written in one turn to one
// database, and applied to another in random order, with copies, batch by batch, in turns of random sizes, give the
// same rows.
//
// RUNLEDGER_DIFFERENTIAL_CASES says how many runs are tried; RUNLEDGER_SEED repeats what was seen.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/property/run_events.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

// By run: its row, its outputs and its other statuses. What differs by nature is left out: when the daemon wrote it,
// and how many copies came.
constexpr const char* rows_of_runs =
    "SELECT r.run_id, concat_ws(E'\\n', (to_jsonb(r) - 'applied_at' - 'changed_at' - 'quiet_from' - "
    "'event_count')::text,"
    " (SELECT string_agg(to_jsonb(o)::text, E'\\n' ORDER BY output_key) FROM runledger.run_outputs AS o"
    "  WHERE o.run_id = r.run_id),"
    " (SELECT string_agg(to_jsonb(s)::text, E'\\n' ORDER BY status) FROM runledger.run_other_statuses AS s"
    "  WHERE s.run_id = r.run_id)), r.event_count FROM runledger.runs AS r";

class Differential : public Ledger {
protected:
    struct Case {
        std::string run_id;
        std::vector<SentEvent> events;
        std::size_t sent{0};  // With the copies that went to the split ledger.
    };

    Differential() : split_uri_(server().create_database("split_" + std::to_string(++databases_), "runledger")) {
        split_ = connect_to(split_uri_);
    }

    [[nodiscard]] std::vector<Case> draw_cases(std::size_t first, std::size_t count) {
        std::vector<Case> cases;
        for (std::size_t i = first; i < first + count; ++i) {
            const std::string run_id = fmt::format("run-{}", i);
            const int size = static_cast<int>(2 + i % 12);
            cases.push_back({run_id, some_events(run_id)(rc::Random(seed_ + i), size).value(), 0});
        }
        return cases;
    }

    // A batch an event: an event's boot is its batch's.
    MadeBatch batch_of(const SentEvent& event) {
        return MadeBatch({segment(1), next_batch_++}, event.body, event.stamp(), event.boot_id(), event.redelivered);
    }

    void apply_in_one_turn(const std::vector<Case>& cases) {
        std::deque<MadeBatch> batches;
        for (const Case& one : cases) {
            for (const SentEvent& event : one.events) {
                batches.push_back(batch_of(event));
            }
        }
        write(db(), batches);
    }

    void apply_in_many_turns(std::vector<Case>& cases) {
        std::vector<const SentEvent*> events;
        for (Case& one : cases) {
            const std::size_t before = events.size();
            for (const SentEvent& event : one.events) {
                events.insert(events.end(), 1 + random_() % 7 / 6, &event);  // Each seventh one twice.
            }
            one.sent = events.size() - before;
        }
        std::shuffle(events.begin(), events.end(), random_);
        for (std::size_t i = 0; i < events.size();) {
            std::deque<MadeBatch> turn;
            for (std::size_t end = std::min(events.size(), i + 1 + random_() % (2 * cases.size())); i < end; ++i) {
                turn.push_back(batch_of(*events[i]));
            }
            write(*split_, turn);
            ++turns_;
        }
    }

    struct Rows {
        std::string text;
        std::size_t event_count{};
    };

    [[nodiscard]] static std::map<std::string, Rows> rows(pqxx::connection& connection) {
        pqxx::work work(connection);
        std::map<std::string, Rows> found;
        for (const auto& row : work.exec(rows_of_runs)) {
            found.emplace(row[0].c_str(), Rows{row[1].c_str(), row[2].as<std::size_t>()});
        }
        work.exec(
            "DELETE FROM runledger.run_outputs; DELETE FROM runledger.run_other_statuses; "
            "DELETE FROM runledger.runs");
        work.commit();
        return found;
    }

    // By run: the running and the ending that count, as the row has them. In microseconds; "-" for none.
    [[nodiscard]] std::map<std::string, std::string> stored_moments() {
        pqxx::work work(db());
        std::map<std::string, std::string> found;
        for (const auto& row : work.exec("SELECT run_id, concat_ws('/', coalesce((extract(epoch FROM running_at) * "
                                         "1000000)::bigint::text, '-'),"
                                         " coalesce(running_boottime_us::text, '-'),"
                                         " coalesce((extract(epoch FROM finished_at) * 1000000)::bigint::text, '-'),"
                                         " coalesce(finished_boottime_us::text, '-')) FROM runledger.runs")) {
            found.emplace(row[0].c_str(), row[1].c_str());
        }
        return found;
    }
    [[nodiscard]] static std::string moments_of(const RunState& state) {
        const auto text = [](const EventStamp* stamp) {
            return stamp == nullptr ? std::string{"-/-"}
                                    : fmt::format("{}/{}", stamp->received_at.time_since_epoch().count(),
                                                  stamp->boottime.since_boot.count());
        };
        const RunEnding* ending = state.first_ending();
        return text(state.first_running()) + "/" + text(ending == nullptr ? nullptr : &ending->stamp);
    }

    [[nodiscard]] std::map<std::string, Rows> folded_rows() { return rows(db()); }
    [[nodiscard]] std::map<std::string, Rows> split_rows() { return rows(*split_); }

    std::uint64_t seed_{from_environment<std::uint64_t>("RUNLEDGER_SEED", std::random_device{}(), 0)};
    std::uint64_t turns_{0};

private:
    static void write(pqxx::connection& connection, const std::deque<MadeBatch>& batches) {
        std::vector<const wire::Batch*> views;
        for (const MadeBatch& made : batches) {
            views.push_back(&made.batch());
        }
        pqxx::work work(connection);
        (void)write_turn(work, views, ApplyMode::together);
        work.commit();
    }

    static inline int databases_{0};
    std::string split_uri_;
    std::unique_ptr<pqxx::connection> split_;
    BatchNumber next_batch_{0};
    std::mt19937_64 random_{seed_};
};

TEST_F(Differential, MergesInSqlAsInMemory) {
    SCOPED_TRACE(fmt::format("RUNLEDGER_SEED={}", seed_));
    const std::size_t cases_wanted = from_environment<std::size_t>("RUNLEDGER_DIFFERENTIAL_CASES", 600);
    constexpr std::size_t cases_a_round = 100;
    std::size_t compared = 0;
    std::size_t events = 0;
    std::size_t differences = 0;

    while (compared < cases_wanted) {
        auto cases = draw_cases(compared, cases_a_round);
        apply_in_one_turn(cases);
        apply_in_many_turns(cases);
        const auto moments = stored_moments();
        const auto folded = folded_rows();
        const auto split = split_rows();

        ASSERT_EQ(folded.size(), cases.size());
        for (const Case& one : cases) {
            ++compared;
            events += one.events.size();
            const auto found = split.find(one.run_id);
            ASSERT_NE(found, split.end()) << one.run_id;
            EXPECT_EQ(folded.at(one.run_id).event_count, one.events.size());
            EXPECT_EQ(found->second.event_count, one.sent);
            // Both databases choose among the boots in SQL, so this is held against the choice in memory.
            EXPECT_EQ(moments.at(one.run_id), moments_of(fold(one.events))) << rc::toString(one.events);
            if (found->second.text != folded.at(one.run_id).text) {
                ++differences;
                ADD_FAILURE() << one.run_id << " folded\n"
                              << folded.at(one.run_id).text << "\nsplit\n"
                              << found->second.text << "\nevents\n"
                              << rc::toString(one.events);
                ASSERT_LT(differences, 3U);
            }
        }
    }

    std::cout << fmt::format("{} cases, {} events, {} turns, {} differences, seed {}\n", compared, events, turns_,
                             differences, seed_);
}

}  // namespace
}  // namespace runledger::test
