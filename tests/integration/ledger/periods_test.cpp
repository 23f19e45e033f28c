// Closed months: nothing changes what one says, what changes later is a correction, and the two add up to the live
// books; whichever of a settlement and the closing commits first.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <memory>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/integration/tool/focus/focus_rules.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

// All moments are of August 2025, unless a test says otherwise.
constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t three_days_us = 3LL * 24 * 3600 * second_us;  // To September.

class Periods : public Ledger {
protected:
    explicit Periods(DatabaseOf database = DatabaseOf::the_suite) : Ledger(database) {}

    void execute(const std::string& statements) {
        pqxx::work work(db());
        work.exec(statements);
        work.commit();
    }
    // An event that came so many microseconds after the epoch.
    void receive(const std::string& run_id, const std::string& status, std::int64_t at_us) {
        const MadeBatch batch({segment(0xCC), batches_++}, {{event_text({.run_id = run_id, .status = status}), at_us}});
        apply({&batch});
    }
    void run_and_end(const std::string& run_id, std::int64_t seconds, std::int64_t begin_us = 0) {
        receive(run_id, "running", begin_us);
        receive(run_id, "success", begin_us + seconds * second_us);
    }
    // A settled run of so many seconds at 0.000337 USD.
    std::int64_t settled_run(const std::string& run_id, std::int64_t seconds, std::int64_t begin_us = 0) {
        const std::int64_t id = insert_generation(run_id);
        run_and_end(run_id, seconds, begin_us);
        settle_all();
        return id;
    }
    void settle_all() {
        for (const char* const again : {"first", "again"}) {  // A run can be settled by what another one has left.
            (void)again;
            pqxx::work work(db());
            work.exec(
                "SELECT runledger.settle_run(run_id, interval '3 seconds', interval '7 days') FROM (SELECT DISTINCT "
                "run_id FROM runledger.settle_queue ORDER BY run_id) AS q");
            work.commit();
        }
        execute("DELETE FROM runledger.settle_queue");
    }
    // As settle would have written it: so many runs at this cost each; again for runs that were settled before.
    static void settle_many_in(pqxx::work& work, const std::string& name, int runs, const std::string& cost) {
        work.exec(fmt::format(
            "UPDATE runledger.settlements SET is_replaced = true WHERE run_id LIKE '{0}-%' AND generation_id <= {1};"
            "INSERT INTO runledger.settlements (generation_id, run_id, outcome, why, status, finished_at, duration_us, "
            "duration_clock, cost_usd, output_count, before) SELECT n, '{0}-' || n, 'settled', '', 'completed', "
            "'2025-08-29', n, 'boottime', {2}, 0, '{{}}' FROM generate_series(1, {1}) AS n",
            name, runs, cost));
    }
    void settle_many(const std::string& name, int runs, const std::string& cost) {
        pqxx::work work(db());
        settle_many_in(work, name, runs, cost);
        work.commit();
    }
    static std::string close_in(pqxx::work& work, const std::string& month, bool allows_unsettled = false) {
        return work
            .exec(fmt::format("SELECT is_new FROM runledger.close_period('{}', {})", month, allows_unsettled))[0][0]
            .as<std::string>();
    }
    std::string close(const std::string& month = "2025-08", bool allows_unsettled = false) {
        pqxx::work work(db());
        std::string is_new = close_in(work, month, allows_unsettled);
        work.commit();
        return is_new;
    }
    // Of the database and of this session, which is older.
    void set_zone(const std::string& zone) {
        execute(
            fmt::format("ALTER DATABASE \"{0}\" SET runledger.report_time_zone = {1}; "
                        "SET runledger.report_time_zone = {1}",
                        value("SELECT current_database()"), zone));
    }
    // SQLSTATE and sentence.
    std::string refusal_of(const std::string& statement) {
        try {
            execute(statement);
        } catch (const pqxx::sql_error& error) {
            return error.sqlstate() + " " + error.what();
        }
        return "";
    }
    // All that the month says, but for what is looked up: run ids, chats.
    [[nodiscard]] std::string said(const std::string& month = "2025-08") {
        return value(fmt::format(
            "SELECT (SELECT p::text FROM runledger.closed_periods_v1 AS p WHERE period = '{0}') || string_agg(l::text, "
            "E'\\n' ORDER BY l.settlement_id) FROM (SELECT settlement_id, generation_id, finished_at, status, "
            "duration_ms, gpu, rate_amount, rate_unit, cost_usd, cost_note FROM runledger.closed_runs_v1 WHERE period "
            "= "
            "'{0}') AS l",
            month));
    }
    [[nodiscard]] std::string corrections() {
        return value(
            "SELECT coalesce(string_agg(format('%s %s %s->%s: %s', period, reason, coalesce(cost_usd_before::text, "
            "'-'), coalesce(cost_usd_after::text, '-'), difference_usd), ', ' ORDER BY correction_id), 'none') FROM "
            "runledger.corrections_v1");
    }
    // What the month's charges break of FOCUS, in the form of its files, and corrections of another month's time.
    [[nodiscard]] std::vector<std::string> broken_by_charges(const std::string& month) {
        pqxx::work work(db());
        work.exec("SET LOCAL TimeZone = 'UTC'");
        std::map<std::int64_t, FocusRow> charges;
        for (const auto& field : work.exec(fmt::format(
                 "SELECT f.number, each.key, regexp_replace(each.value, '^([0-9-]+T[0-9:]+)[+]00:00$', '\\1Z') FROM "
                 "(SELECT row_number() OVER () AS number, to_jsonb(c) AS charge FROM runledger.focus_costs_v1 AS c "
                 "WHERE \"x_BillingMonth\" = '{}') AS f CROSS JOIN LATERAL jsonb_each_text(f.charge) AS each",
                 month))) {
            charges[field[0].as<std::int64_t>()][field[1].c_str()] =
                field[2].is_null() ? std::nullopt : std::optional<std::string>(field[2].c_str());
        }
        std::vector<std::string> broken;
        for (const auto& [number, charge] : charges) {
            for (const std::string& rule : broken_by_row(charge)) {
                broken.push_back(charge.at("ChargeDescription").value_or("") + ": " + rule);
            }
            const auto& corrected = charge.at("x_CorrectedMonth");
            const std::string ended = charge.at("ChargePeriodEnd").value_or("").substr(0, 7);
            if (corrected && ended != *corrected) {
                broken.push_back(
                    fmt::format("the correction of {} is of a charge that ended in \"{}\"", *corrected, ended));
            }
        }
        return broken;
    }
    void expect_balance() {
        EXPECT_EQ(value("SELECT coalesce(string_agg(b::text, ' '), 'agrees') FROM runledger.period_balance_v1 AS b "
                        "WHERE NOT agrees"),
                  "agrees");
    }
    static std::string settle_in(pqxx::work& work, const std::string& run_id) {
        return work
            .exec(fmt::format("SELECT outcome FROM runledger.settle_run('{}', interval '3 seconds', interval '7 days')",
                              run_id))[0][0]
            .as<std::string>();
    }

    // A transaction of another session, which stays open until it is committed.
    struct OtherSession {
        explicit OtherSession(std::unique_ptr<pqxx::connection> made)
            : connection(std::move(made)), work(*connection) {}
        std::unique_ptr<pqxx::connection> connection;
        pqxx::work work;
    };
    // One on its own thread, which commits when it has done what it was begun for.
    struct Waiting {
        int pid{};
        std::future<std::string> committed{};
    };
    // Returns when the session waits there.
    [[nodiscard]] Waiting begin_elsewhere(const std::string& where, std::function<std::string(pqxx::work&)> does) {
        const std::shared_ptr<pqxx::connection> session = another_connection();
        Waiting waiting{.pid = session->backendpid(),
                        .committed = std::async(std::launch::async, [session, does = std::move(does)] {
                            pqxx::work work(*session);
                            std::string answer = does(work);
                            work.commit();
                            return answer;
                        })};
        wait_until_it_waits(waiting, where);
        return waiting;
    }
    [[nodiscard]] Waiting close_elsewhere(const std::string& where, bool allows_unsettled = false) {
        return begin_elsewhere(
            where, [allows_unsettled](pqxx::work& work) { return close_in(work, "2025-08", allows_unsettled); });
    }
    void wait_until_it_waits(const Waiting& waiting, const std::string& where) {
        wait_until_it_waits(waiting.pid, where);
    }
    void wait_until_it_waits(int pid, const std::string& where) {
        eventually("the other session waits", [&] {
            return value(fmt::format("SELECT wait_event FROM pg_stat_activity WHERE pid = {}", pid)) == where;
        });
    }
    // The run has ended, and its row is to be settled.
    void run_that_waits(const std::string& run_id, std::int64_t seconds) {
        insert_generation(run_id);
        run_and_end(run_id, seconds);
        execute("DELETE FROM runledger.settle_queue");
    }

private:
    std::uint64_t batches_{0};
};

TEST_F(Periods, FreezesAMonthWithALineForEachRun) {
    settled_run("a", 10);
    settled_run("b", 20);
    settled_run("later", 10, three_days_us);

    EXPECT_EQ(close(), "t");

    EXPECT_EQ(
        value("SELECT concat_ws('|', period, begins_at AT TIME ZONE 'UTC', ends_at AT TIME ZONE 'UTC', time_zone, "
              "closed_by, runs, completed, priced, unpriced, duration_ms, cost_usd, billed_usd) FROM "
              "runledger.closed_periods_v1"),
        "2025-08|2025-08-01 00:00:00|2025-09-01 00:00:00|UTC|postgres|2|2|2|0|30000.000|0.010110000000|"
        "0.010110000000");
    EXPECT_EQ(value("SELECT string_agg(concat_ws('|', run_id, telegram_chat_id, status, duration_ms, rate_amount, "
                    "rate_unit, cost_usd), ' ' ORDER BY run_id) FROM runledger.closed_runs_v1"),
              "a|42|completed|10000.000|0.000337|second|0.003370000000 "
              "b|42|completed|20000.000|0.000337|second|0.006740000000");
    expect_balance();
}

TEST_F(Periods, SayForWhomALineIsAndWhatItsPriceCounts) {
    insert_metadata(
        R"({"run_id": "a", "accountId": "studio", "tool": "write", "tokenCount": 1201,
            "costRate": {"amount": "0.0000025", "currency": "USD", "unit": "token"}})");
    run_and_end("a", 10);
    settle_all();
    close();

    EXPECT_EQ(value("SELECT concat_ws('|', account_id, tool, rate_amount, rate_unit, token_count, amount_usd, "
                    "amount_usd = rate_amount * token_count) FROM runledger.statement_lines_v1"),
              "studio|write|0.0000025|token|1201|0.003002500000|t");
}

TEST_F(Periods, AreClosedOnceAndSayWhenAndByWhom) {
    settled_run("a", 10);
    close();
    const std::string closed_at = value("SELECT closed_at FROM runledger.closed_periods_v1");

    EXPECT_EQ(close(), "f");

    EXPECT_EQ(value("SELECT (closed).closed_at || ' ' || (closed).closed_by FROM runledger.close_period('2025-08')"),
              closed_at + " postgres");
}

TEST_F(Periods, AreClosedInTheirOrderAfterTheirEnd) {
    EXPECT_THAT(refusal_of("SELECT runledger.close_period('2999-12')"),
                HasSubstr("55000 ERROR:  the month 2999-12 ends"));
    EXPECT_THAT(refusal_of("SELECT runledger.close_period('2025-13')"),
                HasSubstr("22023 ERROR:  \"2025-13\" is no month"));
    EXPECT_THAT(refusal_of("SELECT runledger.close_period('2025-08')"),
                HasSubstr("55000 ERROR:  no run that ended in 2025-08 or before was ever settled"));
    settled_run("a", 10);
    EXPECT_THAT(refusal_of("SELECT runledger.close_period('1025-08')"),
                HasSubstr("55000 ERROR:  no run that ended in 1025-08 or before was ever settled"));
    close("2025-08");

    EXPECT_THAT(refusal_of("SELECT runledger.close_period('2025-10')"),
                HasSubstr("55000 ERROR:  the month 2025-10 can't be closed before 2025-09"));
    EXPECT_THAT(refusal_of("SELECT runledger.close_period('2025-07')"),
                HasSubstr("55000 ERROR:  the month 2025-07 is before the first month"));
    EXPECT_EQ(close("2025-09"), "t");
    EXPECT_EQ(close("2025-10"), "t");
}

TEST_F(Periods, HaveNoGapAndNoOverlapIfTheTimeZoneChanges) {
    settled_run("a", 10);
    set_zone("'Europe/Paris'");
    close("2025-08");
    set_zone("'America/New_York'");
    close("2025-09");

    EXPECT_EQ(
        value("SELECT string_agg(concat_ws('|', period, begins_at AT TIME ZONE 'UTC', ends_at AT TIME ZONE 'UTC', "
              "time_zone), ' ' ORDER BY period) FROM runledger.closed_periods_v1"),
        "2025-08|2025-07-31 22:00:00|2025-08-31 22:00:00|Europe/Paris "
        "2025-09|2025-08-31 22:00:00|2025-10-01 04:00:00|America/New_York");
    set_zone("DEFAULT");  // The next test has the same database.
}

// Who may only close may not choose when a month ends.
TEST_F(Periods, AreClosedByTheDatabasesTimeZoneNotTheSessions) {
    settled_run("a", 10);
    execute("SET runledger.report_time_zone = 'Pacific/Kiritimati'");

    EXPECT_THAT(refusal_of("SELECT runledger.close_period('2025-08')"),
                HasSubstr("55000 ERROR:  runledger.report_time_zone is \"Pacific/Kiritimati\" here, and \"UTC\" in the "
                          "database"));

    execute("RESET runledger.report_time_zone");
    EXPECT_EQ(close("2025-08"), "t");
}

TEST_F(Periods, AreNotClosedWhileTheirRunsWaitToBeSettledUnlessThatIsAllowed) {
    settled_run("a", 10);
    insert_generation("waits");
    run_and_end("waits", 5);
    insert_generation("waits-in-september");
    run_and_end("waits-in-september", 5, three_days_us);

    EXPECT_THAT(refusal_of("SELECT runledger.close_period('2025-08')"),
                testing::AllOf(HasSubstr("55000 ERROR:  1 runs that ended in 2025-08 wait to be settled"),
                               HasSubstr("The first ones: waits\n")));
    EXPECT_EQ(count("closed_runs"), 0);

    EXPECT_EQ(close("2025-08", true), "t");
    settle_all();

    EXPECT_EQ(value("SELECT concat_ws('|', runs, unsettled) FROM runledger.closed_periods_v1"), "1|1");
    EXPECT_EQ(corrections(), "2025-08 settled -->0.001685000000: 0.001685000000");
    expect_balance();
}

class ChangesAfterTheClosing;
struct Change {
    const char* name;
    std::function<void(ChangesAfterTheClosing&)> make;
    const char* corrections;
};
void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }

class ChangesAfterTheClosing : public Periods, public testing::WithParamInterface<Change> {
public:
    using Periods::execute;
    using Periods::insert_generation;
    using Periods::receive;
    using Periods::run_and_end;
    using Periods::settle_all;
    using Periods::settled_run;
    using Periods::value;
    void insert_priced(const std::string& run_id, const std::string& usd) {
        insert_metadata(fmt::format(
            R"({{"run_id": "{}", "costRate": {{"amount": {}, "currency": "USD", "unit": "run"}}}})", run_id, usd));
    }
    void end_at(const std::string& run_id, const std::string& at) {
        execute(
            fmt::format("UPDATE runledger.runs SET finished_at = '{1}' WHERE run_id = '{0}'; INSERT INTO "
                        "runledger.settle_queue (run_id) VALUES ('{0}')",
                        run_id, at));
        settle_all();
    }
};

std::vector<Change> changes() {
    return {
        {"nothing", [](ChangesAfterTheClosing&) {}, "none"},
        {"an_earlier_running",
         [](ChangesAfterTheClosing& t) {
             t.receive("a", "running", -5 * second_us);
             t.settle_all();
         },
         "2025-08 resettled 0.003370000000->0.005055000000: 0.001685000000"},
        {"a_run_that_comes_late", [](ChangesAfterTheClosing& t) { t.settled_run("late", 20, second_us); },
         "2025-08 settled -->0.006740000000: 0.006740000000"},
        {"an_ending_that_moves_to_another_month",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "UPDATE runledger.runs SET finished_at = '2025-09-02 12:00Z' WHERE run_id = 'a'; INSERT INTO "
                 "runledger.settle_queue (run_id) VALUES ('a')");
             t.settle_all();
         },
         "2025-08 resettled 0.003370000000->-: -0.003370000000"},
        {"an_ending_that_moves_into_the_month",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "UPDATE runledger.runs SET finished_at = '2025-08-31 12:00Z' WHERE run_id = 'september'; "
                 "INSERT INTO runledger.settle_queue (run_id) VALUES ('september')");
             t.settle_all();
         },
         "2025-08 resettled -->0.003370000000: 0.003370000000"},
        {"another_price",
         [](ChangesAfterTheClosing& t) {
             t.execute("UPDATE runledger.gpu_rates SET usd_per_second = 0.0004 WHERE gpu = 'A10G'");
             t.execute(
                 "SELECT runledger.reprice_generation(id, 'A10G', '2025-08-01Z', '2025-09-01Z') FROM "
                 "runledger.generations WHERE run_id = 'gpu'");
         },
         "2025-08 repriced 0.003370000000->0.004000000000: 0.000630000000"},
        {"a_price_for_what_had_none",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "UPDATE runledger.generations SET metadata = metadata || '{\"costRate\": {\"amount\": 1, "
                 "\"currency\": \"USD\", \"unit\": \"run\"}}' WHERE run_id = 'unpriced'");
             t.settle_all();
         },
         "2025-08 resettled -->1.000000000000: 1.000000000000"},
        {"new_outputs_alone",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "INSERT INTO runledger.run_outputs (run_id, output_key, updated_at, received_at, boot_id, "
                 "boottime_us, digest, position, output) VALUES ('a', 'k', now(), now(), gen_random_uuid(), 1, "
                 "1, 0, '{}'); INSERT INTO runledger.settle_queue (run_id) VALUES ('a')");
             t.settle_all();
         },
         "none"},
        {"the_row_names_another_run",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "UPDATE runledger.generations SET metadata = metadata || '{\"run_id\": \"other\"}' WHERE "
                 "run_id = 'a'");
             t.settle_all();
         },
         "2025-08 reopened 0.003370000000->-: -0.003370000000"},
        {"the_run_is_given_to_another_row",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "UPDATE runledger.generations SET metadata = metadata || '{\"run_id\": \"other\"}' WHERE "
                 "run_id = 'a'");
             t.insert_generation("a");
             t.settle_all();
         },
         "2025-08 reopened 0.003370000000->-: -0.003370000000, 2025-08 settled -->0.003370000000: 0.003370000000"},
        {"an_ending_that_moves_to_another_month_and_back",
         [](ChangesAfterTheClosing& t) {
             t.end_at("a", "2025-09-02 12:00Z");
             t.end_at("a", "2025-08-30 12:00Z");
         },
         "2025-08 resettled 0.003370000000->-: -0.003370000000, 2025-08 resettled -->0.003370000000: 0.003370000000"},
        // The month then stands on the settlement of the row that was deleted, though another one is the latest.
        {"a_run_goes_back_to_the_deleted_row_and_on_to_a_third",
         [](ChangesAfterTheClosing& t) {
             t.execute("DELETE FROM runledger.generations WHERE run_id = 'a'");
             t.insert_priced("a", "1");
             t.settle_all();
             t.execute(
                 "UPDATE runledger.generations SET metadata = metadata || '{\"run_id\": \"other\"}' WHERE "
                 "run_id = 'a'");
             t.settle_all();
             t.insert_priced("a", "2");
             t.settle_all();
         },
         "2025-08 settled 0.003370000000->1.000000000000: 0.996630000000, "
         "2025-08 reopened 1.000000000000->0.003370000000: -0.996630000000, "
         "2025-08 settled 0.003370000000->2.000000000000: 1.996630000000"},
        {"the_application_deletes_the_row",
         [](ChangesAfterTheClosing& t) {
             t.execute("DELETE FROM runledger.generations WHERE run_id = 'a'");
             t.receive("a", "running", -5 * second_us);
             t.settle_all();
         },
         "none"},
        {"the_deleted_rows_run_comes_again_in_another",
         [](ChangesAfterTheClosing& t) {
             t.execute("DELETE FROM runledger.generations WHERE run_id = 'a'");
             t.insert_generation("a");
             t.settle_all();
         },
         "none"},
        {"the_deleted_rows_run_comes_again_at_another_price",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "DELETE FROM runledger.generations WHERE run_id = 'a'; INSERT INTO runledger.generations "
                 "(metadata) VALUES ('{\"run_id\": \"a\", \"costRate\": {\"amount\": 1, \"currency\": \"USD\", "
                 "\"unit\": \"run\"}}')");
             t.settle_all();
         },
         "2025-08 settled 0.003370000000->1.000000000000: 0.996630000000"},
        {"an_edit_by_hand_and_news",
         [](ChangesAfterTheClosing& t) {
             t.execute("UPDATE runledger.generations SET cost_usd = 7 WHERE run_id = 'a'");
             t.receive("a", "running", -5 * second_us);
             t.settle_all();
         },
         "none"},
        {"a_report_of_the_provider",
         [](ChangesAfterTheClosing& t) {
             t.execute(
                 "UPDATE runledger.runs SET reported_status = 'failed', reported_at = now(), reported_digest = "
                 "1 WHERE run_id = 'a'; INSERT INTO runledger.settle_queue (run_id) VALUES ('a')");
             t.settle_all();
         },
         "none"},
        // The settlement of the first one is replaced, too.
        {"retention_of_everything_after_two_changes",
         [](ChangesAfterTheClosing& t) {
             t.end_at("a", "2025-09-02 12:00Z");
             t.end_at("a", "2025-08-30 12:00Z");
             for (const int earlier : {5, 10}) {
                 t.receive("a", "running", -earlier * second_us);
                 t.settle_all();
             }
             t.execute(
                 "UPDATE runledger.settlements SET settled_at = settled_at - interval '400 days'; UPDATE "
                 "runledger.runs SET changed_at = changed_at - interval '400 days', applied_at = applied_at - "
                 "interval '400 days'");
             for (const char* what : {"runs", "settlements", "notifications"}) {
                 t.execute(fmt::format("SELECT runledger.remove_expired('{}', 365, 1000)", what));
             }
             EXPECT_EQ(t.value("SELECT count(*) FROM runledger.closed_runs_v1 WHERE run_id IS NULL"), "0");
             EXPECT_EQ(t.value("SELECT count(*) FROM runledger.corrections_v1 WHERE run_id IS NULL"), "0");
         },
         "2025-08 resettled 0.003370000000->-: -0.003370000000, 2025-08 resettled -->0.003370000000: 0.003370000000, "
         "2025-08 resettled 0.003370000000->0.005055000000: 0.001685000000, "
         "2025-08 resettled 0.005055000000->0.006740000000: 0.001685000000"},
        {"forgetting_a_person",
         [](ChangesAfterTheClosing& t) {
             t.execute("SELECT runledger.forget_generation(id) FROM runledger.generations WHERE run_id = 'a'");
             EXPECT_EQ(t.value("SELECT string_agg(concat_ws('|', left(run_id, 10), telegram_chat_id), ' ') FROM "
                               "runledger.closed_runs_v1 WHERE cost_usd = 0.00337 AND gpu IS NULL"),
                       "forgotten-");
         },
         "none"},
        {"news_of_a_forgotten_person",
         [](ChangesAfterTheClosing& t) {
             t.execute("SELECT runledger.forget_generation(id) FROM runledger.generations WHERE run_id = 'a'");
             t.execute(
                 "UPDATE runledger.runs SET running_boottime_us = running_boottime_us - 5000000 WHERE run_id "
                 "LIKE 'forgotten-%'; INSERT INTO runledger.settle_queue (run_id) SELECT run_id FROM "
                 "runledger.runs WHERE run_id LIKE 'forgotten-%'");
             t.settle_all();
         },
         "2025-08 resettled 0.003370000000->0.005055000000: 0.001685000000"},
    };
}

TEST_P(ChangesAfterTheClosing, ChangeNothingThatTheMonthSaysAndAddUp) {
    settled_run("a", 10);
    settled_run("september", 10, three_days_us);
    const auto with = [this](const std::string& metadata, const std::string& run_id) {
        insert_metadata(metadata);
        run_and_end(run_id, 10);
        settle_all();
    };
    with(R"({"run_id": "gpu", "gpu": "A10G"})", "gpu");
    with(R"({"run_id": "unpriced"})", "unpriced");
    close();
    const std::string before = said();
    const std::string asked_at = value("SELECT clock_timestamp()");
    const std::string statement = fmt::format(
        "SELECT (s.runs, s.priced, s.duration_ms, s.cost_usd, s.billed_usd, s.corrections_since, "
        "s.restated_usd)::text FROM runledger.statement('2025-08', '{}') AS s",
        asked_at);
    const std::string stated = value(statement);

    GetParam().make(*this);

    EXPECT_EQ(corrections(), GetParam().corrections);
    EXPECT_EQ(said(), before);
    EXPECT_EQ(value(statement), stated);
    expect_balance();
    EXPECT_EQ(value("SELECT count(*) FROM runledger.corrections_v1 WHERE posted_in <> '2025-09'"), "0");
    EXPECT_EQ(
        value("SELECT string_agg((sum = coalesce(billed_usd, 0))::text, '') FROM (SELECT sum(coalesce(amount_usd, "
              "0)), period FROM runledger.statement_lines_v1 GROUP BY period) AS l JOIN "
              "runledger.closed_periods_v1 USING (period)"),
        "true");
    EXPECT_THAT(broken_by_charges("2025-09"), testing::IsEmpty());

    // With the next month they are billed.
    close("2025-09");
    EXPECT_EQ(value("SELECT corrections_taken_usd = (SELECT coalesce(sum(difference_usd), 0) FROM "
                    "runledger.corrections_v1) FROM runledger.closed_periods_v1 WHERE period = '2025-09'"),
              "t");
    expect_balance();
    EXPECT_THAT(broken_by_charges("2025-09"), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Periods, ChangesAfterTheClosing, testing::ValuesIn(changes()),
                         [](const auto& change) { return std::string(change.param.name); });

TEST_F(Periods, HaveASettlementThatCommitsBeforeTheClosing) {
    settled_run("a", 10);
    run_that_waits("b", 20);
    OtherSession settling(another_connection());
    settle_in(settling.work, "b");

    auto closing = close_elsewhere("PgSleep");
    EXPECT_EQ(count("closed_periods"), 0);
    settling.work.commit();
    closing.committed.get();

    EXPECT_EQ(value("SELECT runs || ' ' || cost_usd FROM runledger.closed_periods_v1"), "2 0.010110000000");
    EXPECT_EQ(corrections(), "none");
    expect_balance();
}

// Its number is below one that is committed.
TEST_F(Periods, HaveASettlementThatCommitsAfterALaterOne) {
    settled_run("a", 10);
    run_that_waits("b", 20);
    OtherSession settling(another_connection());
    settle_in(settling.work, "b");
    settled_run("later", 30);

    auto closing = close_elsewhere("PgSleep");
    settling.work.commit();
    closing.committed.get();

    EXPECT_EQ(value("SELECT runs || ' ' || cost_usd FROM runledger.closed_periods_v1"), "3 0.020220000000");
    EXPECT_EQ(corrections(), "none");
    expect_balance();
}

TEST_F(Periods, CorrectASettlementThatCommitsAfterTheClosing) {
    settled_run("a", 10);
    run_that_waits("b", 20);
    OtherSession closing(another_connection());
    close_in(closing.work, "2025-08");

    auto settling = begin_elsewhere("advisory", [](pqxx::work& work) { return settle_in(work, "b"); });
    EXPECT_EQ(count("settlements"), 1);
    closing.work.commit();
    EXPECT_EQ(settling.committed.get(), "settled");

    EXPECT_EQ(value("SELECT runs || ' ' || cost_usd FROM runledger.closed_periods_v1"), "1 0.003370000000");
    EXPECT_EQ(corrections(), "2025-08 settled -->0.006740000000: 0.006740000000");
    expect_balance();
}

// A closing that takes longer than settle waits refuses nothing: the application is told of refused rows only.
TEST_F(Periods, LetARunWaitWhileTheyAreBeingClosed) {
    insert_generation("a");
    run_and_end("a", 10);
    OtherSession closing(another_connection());
    closing.work.exec("SELECT runledger.take_lock_alone('runledger.periods', true)");

    {
        pqxx::work work(db());
        work.exec("SET LOCAL lock_timeout = '50ms'");
        EXPECT_EQ(settle_in(work, "a"), "busy");
    }

    closing.work.commit();
    settle_all();
    EXPECT_EQ(value("SELECT status FROM runledger.generations"), "completed");
}

// The lines are copied while settling goes on: what is settled meanwhile is copied again.
TEST_F(Periods, HaveWhatIsSettledWhileTheLinesAreCopied) {
    settled_run("a", 10);
    receive("a", "running", -5 * second_us);
    run_that_waits("b", 20);
    OtherSession blocking(another_connection());
    blocking.work.exec("LOCK TABLE runledger.closed_runs IN SHARE MODE");

    auto closing = close_elsewhere("relation");  // It is about to copy.
    OtherSession settling(another_connection());
    settle_in(settling.work, "a");
    settle_in(settling.work, "b");
    blocking.work.commit();
    wait_until_it_waits(closing, "PgSleep");  // It has copied, and waits for what is being settled.
    settling.work.commit();
    closing.committed.get();

    EXPECT_EQ(value("SELECT runs || ' ' || cost_usd FROM runledger.closed_periods_v1"), "2 0.011795000000");
    EXPECT_EQ(corrections(), "none");
    expect_balance();
}

// Between the first look at what waits and the last one, some runs are settled, and others end.
TEST_F(Periods, CountTheRunsThatWaitWhenTheyAreClosed) {
    settled_run("a", 10);
    insert_generation("b");
    run_and_end("b", 20);
    // Closed while this is done.
    const auto close_beside = [&](bool allows_unsettled, const std::function<void()>& done) {
        OtherSession blocking(another_connection());
        blocking.work.exec("LOCK TABLE runledger.closed_runs IN SHARE MODE");
        auto closing = close_elsewhere("relation", allows_unsettled);
        done();
        blocking.work.commit();
        closing.committed.get();
    };

    execute("DELETE FROM runledger.settle_queue");
    EXPECT_THROW(close_beside(false, [&] { execute("INSERT INTO runledger.settle_queue (run_id) VALUES ('b')"); }),
                 pqxx::sql_error);
    EXPECT_EQ(count("closed_periods"), 0);
    close_beside(true, [&] { settle_all(); });

    EXPECT_EQ(value("SELECT concat_ws('|', runs, unsettled, cost_usd) FROM runledger.closed_periods_v1"),
              "2|0|0.010110000000");
    EXPECT_EQ(corrections(), "none");
    expect_balance();
}

TEST_F(Periods, CountACorrectionOnceThatIsPostedWhileTheyAreBeingClosed) {
    settled_run("a", 10);
    close("2025-08");
    receive("a", "running", -5 * second_us);
    OtherSession blocking(another_connection());
    blocking.work.exec("LOCK TABLE runledger.closed_runs IN SHARE MODE");
    auto closing = begin_elsewhere("relation", [](pqxx::work& work) { return close_in(work, "2025-09"); });

    settle_all();
    blocking.work.commit();
    closing.committed.get();

    EXPECT_EQ(value("SELECT concat_ws('|', corrections_taken, corrections_taken_usd) FROM runledger.closed_periods_v1 "
                    "WHERE period = '2025-09'"),
              "1|0.001685000000");
    expect_balance();
}

// A sum is written with the digits of its lines, not of those that it had before.
TEST_F(Periods, AreAddedUpToTheLastDigitThoughALineIsTakenOut) {
    settled_run("a", 10);
    settle_many("many", 3, "0.1234567890123456789");
    insert_generation("b");
    run_and_end("b", 20);
    execute("DELETE FROM runledger.settle_queue");
    const auto blocker = another_connection();
    pqxx::work blocking(*blocker);
    blocking.exec("LOCK TABLE runledger.closed_runs IN SHARE MODE");
    const auto closer = another_connection();
    const int pid = closer->backendpid();
    auto closing = std::async(std::launch::async, [&] {
        pqxx::work work(*closer);
        close_in(work, "2025-08");
        work.commit();
    });
    wait_until_it_waits(pid, "relation");  // It is about to copy.
    const auto other = another_connection();
    pqxx::work settling(*other);
    settling.exec("SELECT runledger.settle_run('b', interval '3 seconds', interval '7 days')");
    settle_many_in(settling, "many", 3, "0.5");
    blocking.commit();
    wait_until_it_waits(pid, "PgSleep");  // It has added up, and waits for what is being settled.
    settling.commit();
    closing.get();

    EXPECT_EQ(value("SELECT runs || ' ' || cost_usd || ' ' || duration_us FROM runledger.closed_periods"),
              value("SELECT count(*) || ' ' || sum(cost_usd) || ' ' || sum(duration_us) FROM runledger.closed_runs"));
    EXPECT_EQ(value("SELECT cost_usd FROM runledger.closed_periods"), "1.510110000000");
    expect_balance();
}

class LargePeriods : public Periods {
protected:
    LargePeriods() : Periods(DatabaseOf::each_test) {}  // It changes a function.
};

// However many runs the month has, settle waits for a few of them: those that were settled while it was added up.
TEST_F(LargePeriods, AreClosedInAMomentThatDoesNotDependOnTheirSize) {
    constexpr int runs = 20'000;
    constexpr int settled_meanwhile = 2'000;
    constexpr int read_at_most = 3'000;
    settle_many("many", runs, "0.25");
    execute(
        "CREATE TABLE read_before (lines bigint);"
        "CREATE FUNCTION lines_read() RETURNS bigint LANGUAGE sql AS $$"
        " SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
        " WHERE schemaname = 'runledger' $$;"
        "ALTER FUNCTION runledger.take_lock_alone(text, boolean) RENAME TO take_lock_alone_at_last;"
        "CREATE FUNCTION runledger.take_lock_alone(p_name text, p_waits boolean) RETURNS void LANGUAGE plpgsql "
        "SECURITY DEFINER AS $$ "
        "BEGIN PERFORM runledger.take_lock_alone_at_last(p_name, p_waits);"
        " IF p_name = 'runledger.periods' THEN INSERT INTO public.read_before SELECT public.lines_read(); END IF; "
        "END $$");
    const auto blocker = another_connection();
    pqxx::work blocking(*blocker);
    blocking.exec("LOCK TABLE runledger.closed_runs IN SHARE MODE");
    const auto closer = another_connection();
    const int pid = closer->backendpid();
    auto closing = std::async(std::launch::async, [&] {
        pqxx::work work(*closer);
        close_in(work, "2025-08");
        const auto read = work.exec("SELECT public.lines_read() - max(lines), public.lines_read() FROM read_before")[0];
        work.commit();
        return std::pair{read[0].as<int>(), read[1].as<int>()};
    });
    wait_until_it_waits(pid, "relation");  // It is about to copy.
    settle_many("many", settled_meanwhile, "0.5");
    blocking.commit();

    const auto [read_alone, read] = closing.get();

    EXPECT_GT(read, runs) << "nothing was counted";
    EXPECT_LT(read_alone, read_at_most);
    EXPECT_EQ(value("SELECT runs || ' ' || cost_usd FROM runledger.closed_periods"),
              fmt::format("{} {}.00", runs, runs / 4 + settled_meanwhile / 4));
    EXPECT_EQ(corrections(), "none");
    expect_balance();
}

TEST_F(Periods, AnswerAsOfAnInstantOnlyWhenNoEarlierCorrectionCanAppear) {
    settled_run("a", 10);
    close();
    receive("a", "running", -5 * second_us);
    execute("DELETE FROM runledger.settle_queue");
    OtherSession settling(another_connection());
    settle_in(settling.work, "a");
    const std::string instant = value("SELECT clock_timestamp()");

    auto asking = begin_elsewhere("PgSleep", [&](pqxx::work& work) {
        return work
            .exec(fmt::format("SELECT corrections_since FROM runledger.statement('2025-08', '{}')", instant))[0][0]
            .as<std::string>();
    });
    settling.work.commit();

    EXPECT_EQ(asking.committed.get(), "1");
    EXPECT_EQ(value("SELECT corrections_since_usd FROM runledger.statement('2025-08')"), "0.001685000000");
}

TEST_F(Periods, HaveBilledNothingBeforeTheyWereClosed) {
    settled_run("a", 10);
    const std::string instant = value("SELECT clock_timestamp()");
    const std::string asked = fmt::format(
        "SELECT concat_ws('|', state, coalesce(runs::text, '-'), coalesce(billed_usd::text, '-')) FROM "
        "runledger.statement('2025-08', '{}')",
        instant);
    EXPECT_EQ(value(asked), "open|-|-");
    EXPECT_EQ(value("SELECT concat_ws('|', state, runs, billed_usd) FROM runledger.statement('2025-08')"),
              "open|1|0.003370000000")
        << "so far";

    close();

    EXPECT_EQ(value(asked), "open|-|-");
    EXPECT_EQ(value("SELECT concat_ws('|', state, runs, billed_usd, restated_usd) FROM runledger.statement('2025-08')"),
              "closed|1|0.003370000000|0.003370000000");
    EXPECT_THAT(refusal_of("SELECT runledger.statement('2025-08', now() + interval '1 hour')"),
                HasSubstr("22023 ERROR"));
}

TEST_F(Periods, PostEachChangeOfARunBesideItsLastCorrection) {
    settled_run("a", 10);
    close();

    for (const int earlier : {5, 10}) {
        receive("a", "running", -earlier * second_us);
        settle_all();
    }

    EXPECT_EQ(corrections(),
              "2025-08 resettled 0.003370000000->0.005055000000: 0.001685000000, "
              "2025-08 resettled 0.005055000000->0.006740000000: 0.001685000000");
    expect_balance();
}

TEST_F(Periods, BillACorrectionWithTheEarliestOpenMonth) {
    settled_run("a", 10);
    close("2025-08");
    close("2025-09");

    receive("a", "running", -5 * second_us);
    settle_all();
    close("2025-10");

    EXPECT_EQ(value("SELECT period || ' ' || posted_in FROM runledger.corrections_v1"), "2025-08 2025-10");
    EXPECT_EQ(value("SELECT string_agg(concat_ws('|', period, corrections_taken), ' ' ORDER BY period) FROM "
                    "runledger.closed_periods_v1"),
              "2025-08|0 2025-09|0 2025-10|1");
    expect_balance();
}

TEST_F(Periods, HaveTheirFirstInstantAndNotTheirLast) {
    settled_run("first", 10);
    settled_run("next", 20);
    execute(
        "UPDATE runledger.runs SET finished_at = CASE run_id WHEN 'first' THEN timestamptz '2025-08-01 00:00Z' "
        "ELSE '2025-09-01 00:00Z' END; INSERT INTO runledger.settle_queue (run_id) SELECT run_id FROM "
        "runledger.runs");
    settle_all();

    close("2025-08");
    close("2025-09");

    EXPECT_EQ(value("SELECT string_agg(concat_ws('|', period, run_id), ' ' ORDER BY period) FROM "
                    "runledger.closed_runs_v1"),
              "2025-08|first 2025-09|next");
    expect_balance();
}

// With an older snapshot, what was committed while it waited for a lock would be missing.
TEST_F(Periods, AreRefusedToATransactionThatSeesNoLaterCommits) {
    settled_run("a", 10);

    for (const char* statement : {"runledger.close_period('2025-08')", "runledger.statement('2025-08', now())"}) {
        EXPECT_THAT(refusal_of(fmt::format("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT {}", statement)),
                    HasSubstr("25000 ERROR:"))
            << statement;
    }
}

TEST_F(Periods, AreNeverChangedByAnybody) {
    settled_run("a", 10);
    close();
    settled_run("late", 10);
    ASSERT_EQ(count("corrections"), 1);

    for (const char* table : {"closed_periods", "closed_runs", "corrections"}) {
        for (const std::string& statement :
             {fmt::format("UPDATE runledger.{} SET period = period", table),
              fmt::format("DELETE FROM runledger.{}", table), fmt::format("TRUNCATE runledger.{}", table)}) {
            EXPECT_THAT(refusal_of(statement), HasSubstr("55000 ERROR:")) << statement;
        }
    }
}

// Nor by its owner: no line and no correction comes into a month behind its closing.
TEST_F(Periods, TakeNothingMoreWhenTheyAreClosed) {
    settled_run("a", 10);
    close();
    settled_run("late", 10);
    ASSERT_EQ(count("corrections"), 1);
    const std::string line =
        "INSERT INTO runledger.closed_runs SELECT settlement_id + 1000, period, generation_id, finished_at, status, "
        "duration_us, gpu, rate_amount, rate_unit, cost_usd, cost_note FROM runledger.closed_runs";
    const std::string correction =
        "INSERT INTO runledger.corrections (period, posted_in, posted_at, posted_by, reason, settlement_id, "
        "line_settlement_id, generation_id, status_after, cost_usd_after) SELECT period, posted_in, now(), posted_by, "
        "reason, settlement_id + 1000, settlement_id + 1000, generation_id, status_after, cost_usd_after FROM "
        "runledger.corrections";

    EXPECT_THAT(refusal_of(line), HasSubstr("a closed month gets no more lines"));
    EXPECT_EQ(refusal_of(correction), "") << "the month that it is posted into is open";
    close("2025-09");
    EXPECT_THAT(refusal_of(correction), HasSubstr("a closed month takes no more corrections"));
}

// Of a line and of a correction. The application chooses its own ids, and uses one again.
TEST_F(Periods, LookUpNobodyInARowThatHasTheIdOfADeletedOne) {
    const auto id = settled_run("run-1", 10);
    close();
    receive("run-1", "success", 5 * second_us);
    settle_all();
    const char* const names =
        "SELECT count(*) || ' ' || count(telegram_chat_id) || ' ' || count(account_id) FROM runledger.";
    ASSERT_EQ(value(std::string(names) + "statement_lines_v1"), "2 2 0");

    execute(
        fmt::format("DELETE FROM runledger.generations; INSERT INTO runledger.generations (id, metadata) VALUES "
                    R"(({}, '{{"telegramChatId": 7, "accountId": "acme"}}'))",
                    id));

    EXPECT_EQ(value(std::string(names) + "statement_lines_v1"), "2 0 0");
    EXPECT_EQ(value(std::string(names) + "closed_runs_v1"), "1 0 0");
    EXPECT_EQ(value("SELECT count(*) || ' ' || count(\"SubAccountId\") FROM runledger.focus_costs_v1"), "2 0");
}

}  // namespace
}  // namespace runledger::test
