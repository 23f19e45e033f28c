#include <fmt/format.h>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

constexpr const char* settled_row =
    "SELECT concat_ws('|', status, coalesce(duration_ms::text, 'NULL'), coalesce(cost_usd::text, 'NULL'), "
    "coalesce(cost_note, '-'), coalesce(status_reason, '-')) FROM runledger.generations";

TEST_F(Ledger, PricesASuccessByTheMicrosecond) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0},
                  {event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 12'345'678}});

    EXPECT_EQ(settle("run-1"), "settled");

    EXPECT_EQ(value(settled_row), "completed|12345.678|0.004160493486|-|-");
    EXPECT_EQ(value("SELECT concat_ws('|', outcome, duration_us, duration_clock, rate_amount, rate_unit, cost_usd) "
                    "FROM runledger.settlements"),
              "settled|12345678|boottime|0.000337|second|0.004160493486");
    EXPECT_EQ(value("SELECT concat_ws('|', kind, chat_id, state, payload ->> 'status', "
                    "payload #>> '{outputs,0,data,images,0,url}') FROM runledger.notifications"),
              "ending|42|pending|completed|https://example.com/a.png");
    EXPECT_EQ(settle("run-1"), "unchanged");
    EXPECT_EQ(count("notifications"), 1);
}

struct Ending {
    const char* name;
    const char* status;
    const char* live_status;
    const char* progress;
    const char* extra;
    const char* row;
};

void PrintTo(const Ending& ending, std::ostream* out) { *out << ending.name; }

class Endings : public Ledger, public testing::WithParamInterface<Ending> {};

TEST_P(Endings, SayWhatIsKnown) {
    const Ending& ending = GetParam();
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0},
                  {event_text({.status = ending.status,
                               .live_status = ending.live_status,
                               .progress = ending.progress,
                               .extra = ending.extra}),
                   1'000'000}});

    EXPECT_EQ(settle("run-1"), "settled");

    EXPECT_EQ(value(settled_row), ending.row);
}

INSTANTIATE_TEST_SUITE_P(
    Ledger, Endings,
    testing::Values(
        Ending{"success", "success", "\"Executing SaveImage\"", "1.0", "", "completed|1000.000|0.000337000000|-|-"},
        Ending{"failed", "failed", "\"Executing KSampler\"", "0.7099999785423279", "",
               "failed|1000.000|NULL|not_charged|failed while Executing KSampler (71 %)"},
        Ending{"failed_with_error", "failed", "null", "0.0", R"(, "error": "CUDA out of memory")",
               "failed|1000.000|NULL|not_charged|CUDA out of memory"},
        Ending{"timeout", "timeout", "null", "0.25", "", "failed|1000.000|NULL|not_charged|timed out (25 %)"},
        Ending{"cancelled", "cancelled", "\"Executing KSampler\"", "NaN", "",
               "cancelled|1000.000|NULL|not_charged|cancelled while Executing KSampler"}),
    [](const auto& ending) { return std::string(ending.param.name); });

struct Rate {
    const char* name;
    const char* json;
    const char* cost_and_note;  // For a run of 90 seconds.
};

void PrintTo(const Rate& rate, std::ostream* out) { *out << rate.name; }

class Rates : public Ledger, public testing::WithParamInterface<Rate> {};

TEST_P(Rates, PriceOrSayWhyNot) {
    insert_metadata(fmt::format(R"({{"run_id": "run-1"{}}})", GetParam().json));
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 90'000'000}});

    EXPECT_EQ(settle("run-1"), "settled");

    EXPECT_EQ(
        value("SELECT coalesce(cost_usd::text, 'NULL') || '|' || coalesce(cost_note, '-') FROM runledger.generations"),
        GetParam().cost_and_note);
}

INSTANTIATE_TEST_SUITE_P(
    Ledger, Rates,
    testing::Values(
        Rate{"second", R"(, "costRate": {"amount": 0.000337, "currency": "USD", "unit": "second"})",
             "0.030330000000|-"},
        Rate{"decimal_string", R"(, "costRate": {"amount": "0.00114", "currency": "USD", "unit": "seconds"})",
             "0.102600000000|-"},
        Rate{"minute", R"(, "costRate": {"amount": 0.1, "currency": "USD", "unit": "minute"})", "0.150000000000|-"},
        Rate{"hour", R"(, "costRate": {"amount": "1", "currency": "USD", "unit": "hours"})", "0.025000000000|-"},
        Rate{"rounded_third", R"(, "costRate": {"amount": 0.0000000001, "currency": "USD", "unit": "hour"})",
             "0.000000000003|-"},
        Rate{"flat", R"(, "costRate": {"amount": 0.25, "currency": "USD", "unit": "run"})", "0.250000000000|-"},
        Rate{"zero", R"(, "costRate": {"amount": 0, "currency": "USD", "unit": "second"})", "0.000000000000|-"},
        Rate{"missing", "", "NULL|rate_missing"}, Rate{"null", R"(, "costRate": null)", "NULL|rate_missing"},
        Rate{"error_string", R"(, "costRate": "error: no such gpu")", "NULL|rate_malformed"},
        Rate{"amount_missing", R"(, "costRate": {"currency": "USD", "unit": "second"})", "NULL|rate_malformed"},
        Rate{"amount_word", R"(, "costRate": {"amount": "cheap", "currency": "USD", "unit": "second"})",
             "NULL|rate_malformed"},
        Rate{"amount_absurd", R"(, "costRate": {"amount": 1e300, "currency": "USD", "unit": "second"})",
             "NULL|rate_malformed"},
        Rate{"negative", R"(, "costRate": {"amount": -0.1, "currency": "USD", "unit": "second"})",
             "NULL|rate_negative"},
        Rate{"euro", R"(, "costRate": {"amount": 0.1, "currency": "EUR", "unit": "second"})", "NULL|currency_not_usd"},
        Rate{"no_currency", R"(, "costRate": {"amount": 0.1, "unit": "second"})", "NULL|currency_not_usd"},
        Rate{"fortnight", R"(, "costRate": {"amount": 0.1, "currency": "USD", "unit": "fortnight"})",
             "NULL|unit_unknown"}),
    [](const auto& rate) { return std::string(rate.param.name); });

TEST_F(Ledger, KnowsNoDurationWithoutARunningEvent) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "success"}), 0}});

    settle("run-1");

    EXPECT_EQ(value(settled_row), "completed|NULL|NULL|no_running_event|-");
}

TEST_F(Ledger, BelievesNoNegativeDuration) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 5}, {event_text({.status = "success"}), 4}});

    settle("run-1");

    EXPECT_EQ(value(settled_row), "completed|NULL|NULL|running_after_end|-");
}

TEST_F(Ledger, BelievesNoAbsurdDuration) {
    insert_generation("run-1");
    apply_events(
        {{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 8LL * 24 * 3600 * 1'000'000}});

    settle("run-1");

    EXPECT_EQ(value(settled_row), "completed|NULL|NULL|clock_implausible|-");
}

TEST_F(Ledger, MeasuresByWallClockAcrossABootAndSaysSo) {
    insert_generation("run-1");
    const MadeBatch before({segment(1), 0}, {{event_text({.status = "running"}), 0}}, 1);
    const MadeBatch after({segment(2), 0}, {{event_text({.status = "success"}), 3'000'001}}, 2);
    apply({&before, &after});

    settle("run-1");

    EXPECT_EQ(value(settled_row), "completed|3000.001|0.001011000337|clocks_differ|-");
    EXPECT_EQ(value("SELECT duration_clock FROM runledger.settlements"), "realtime");
}

TEST_F(Ledger, MarksARunningRunAsProcessing) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0}});

    EXPECT_EQ(settle("run-1"), "processing");

    EXPECT_EQ(value("SELECT status FROM runledger.generations"), "processing");
    EXPECT_EQ(count("settlements"), 0);
    EXPECT_EQ(count("notifications"), 0);
}

TEST_F(Ledger, LetsTheOutputsOfAnOvertakenSuccessCatchUpBeforeAnythingIsSaid) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 1'000'000}});
    settle("run-1");
    EXPECT_EQ(value("SELECT not_before > now() + interval '2 seconds' FROM runledger.notifications"), "t");

    apply_events({{event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 1'100'000}});
    EXPECT_EQ(settle("run-1"), "resettled");

    EXPECT_EQ(count("notifications"), 1);
    EXPECT_EQ(value("SELECT concat_ws('|', kind, not_before <= now(), payload #>> '{outputs,0,data,images,0,url}') "
                    "FROM runledger.notifications"),
              "ending|t|https://example.com/a.png");
    EXPECT_EQ(value(settled_row), "completed|1000.000|0.000337000000|-|-");
}

TEST_F(Ledger, SendsOneFollowUpForOutputsThatComeAfterTheMessage) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "success"}), 1'000'000}});
    settle("run-1");
    {
        pqxx::work work(db());
        work.exec("UPDATE runledger.notifications SET state = 'sent', sent_at = now()");
        work.commit();
    }

    apply_events({{event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 1'100'000}});
    settle("run-1");
    apply_events({{event_text({.status = "success", .outputs = "[" + picture("b") + "]"}), 1'200'000}});
    settle("run-1");

    EXPECT_EQ(value("SELECT string_agg(kind, ',' ORDER BY id) FROM runledger.notifications"), "ending,follow_up");
    EXPECT_EQ(value("SELECT jsonb_array_length(response_payload -> 'outputs') FROM runledger.generations"), "2");
}

// It moves no timing: the outputs alone are the news.
TEST_F(Ledger, QueuesARunWhoseOutputsComeAfterItsEnding) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 1'000'000}});
    EXPECT_EQ(settle("run-1"), "settled");
    {
        pqxx::work settler(db());
        settler.exec("DELETE FROM runledger.settle_queue");
        settler.commit();
    }
    const std::string late = event_text({.status = "uploading", .outputs = "[" + picture("late") + "]"});

    apply_events({{late, 1'500'000}});
    EXPECT_EQ(value("SELECT string_agg(run_id, ' ') FROM runledger.settle_queue"), "run-1");
    EXPECT_EQ(settle("run-1"), "resettled");
    apply_events({{late, 1'600'000, true}});

    EXPECT_EQ(value("SELECT string_agg(run_id, ' ') FROM runledger.settle_queue"), "run-1 run-1")
        << "the same version, received later, is the newer one";
}

TEST_F(Ledger, CorrectsATimingInSilence) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "success"}), 10'000'000}});
    settle("run-1");
    {
        pqxx::work work(db());
        work.exec("UPDATE runledger.notifications SET state = 'sent', sent_at = now()");
        work.commit();
    }

    apply_events({{event_text({.status = "running"}), 4'000'000}});
    EXPECT_EQ(settle("run-1"), "resettled");

    EXPECT_EQ(value(settled_row), "completed|6000.000|0.002022000000|-|-");
    EXPECT_EQ(value("SELECT why FROM runledger.settlements ORDER BY id DESC LIMIT 1"), "timing changed, cost changed");
    EXPECT_EQ(value("SELECT before ->> 'cost_note' FROM runledger.settlements ORDER BY id DESC LIMIT 1"),
              "no_running_event");
    EXPECT_EQ(count("notifications"), 1);
}

TEST_F(Ledger, SendsOneCorrectionForAnotherStatus) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "failed"}), 10'000'000}});
    settle("run-1");
    {
        pqxx::work work(db());
        work.exec("UPDATE runledger.notifications SET state = 'sent', sent_at = now()");
        work.commit();
    }

    apply_events({{event_text({.status = "cancelled"}), 9'000'000}});
    EXPECT_EQ(settle("run-1"), "resettled");
    EXPECT_EQ(settle("run-1"), "unchanged");

    EXPECT_EQ(value("SELECT string_agg(kind || ':' || for_status, ',' ORDER BY id) FROM runledger.notifications"),
              "ending:,correction:cancelled");
}

TEST_F(Ledger, SendsACorrectionForEachChangeOfTheStatus) {
    insert_generation("run-1");
    std::int64_t at_us = 10'000'000;
    for (const char* status : {"success", "failed", "success", "failed", "success"}) {
        apply_events({{event_text({.status = status}), at_us -= 1'000'000}});
        settle("run-1");
        pqxx::work work(db());
        work.exec("UPDATE runledger.notifications SET state = 'sent', sent_at = now()");
        work.commit();
    }

    EXPECT_EQ(value("SELECT string_agg(kind || ' ' || (payload ->> 'status'), ', ' ORDER BY id) "
                    "FROM runledger.notifications"),
              "ending completed, correction failed, correction completed, correction failed, correction completed");
    EXPECT_EQ(value("SELECT string_agg(n.id::text, ',' ORDER BY id) FROM runledger.notifications AS n "
                    "WHERE NOT runledger.is_corrected(n)"),
              "5");
}

// The row had another run meanwhile, and its first one had another ending when it came back.
TEST_F(Ledger, SendsACorrectionIfTheRowComesBackToARunThatEndedInAnotherWay) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "success"}), 10'000'000}});
    settle("run-1");
    const auto names = [&](const char* run) {
        pqxx::work work(db());
        work.exec(
            fmt::format("UPDATE runledger.notifications SET state = 'sent', sent_at = now() WHERE state = "
                        "'pending'; UPDATE runledger.generations SET metadata = metadata || "
                        "'{{\"run_id\": \"{}\"}}'",
                        run));
        work.commit();
        settle("run-1");
        settle("run-2");
    };

    names("run-2");
    apply_events({{event_text({.status = "failed"}), 9'000'000}});
    names("run-1");
    names("run-2");
    names("run-1");

    EXPECT_EQ(value("SELECT string_agg(concat_ws(' ', kind, run_id, payload ->> 'status', state), ', ' ORDER BY id) "
                    "FROM runledger.notifications"),
              "ending run-1 completed sent, correction run-1 failed sent");
}

TEST_F(Ledger, LeavesARowThatWasEditedByHand) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 1'000'000}});
    settle("run-1");
    {
        pqxx::work work(db());
        work.exec("UPDATE runledger.generations SET cost_usd = 0");
        work.commit();
    }

    apply_events({{event_text({.status = "running"}), -1'000'000}});
    EXPECT_EQ(settle("run-1"), "edited_by_hand");
    EXPECT_EQ(settle("run-1"), "edited_by_hand");

    EXPECT_EQ(value("SELECT cost_usd FROM runledger.generations"), "0");
    EXPECT_EQ(count("settlements WHERE outcome = 'edited_by_hand'"), 1) << "reported once";
}

TEST_F(Ledger, KeepsTheEndingThatTheApplicationWrote) {
    insert_generation("run-1");
    {
        pqxx::work work(db());
        work.exec("UPDATE runledger.generations SET status = 'cancelled'");
        work.commit();
    }
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 1'000'000}});

    EXPECT_EQ(settle("run-1"), "kept");
    EXPECT_EQ(settle("run-1"), "unchanged");

    EXPECT_EQ(value(settled_row), "cancelled|1000.000|0.000337000000|-|-");
    EXPECT_EQ(count("notifications"), 0);
}

TEST_F(Ledger, PricesARepairedRateInSilenceAndKeepsTheOneItCopied) {
    insert_metadata(R"({"run_id": "run-1", "costRate": "error: timeout", "telegramChatId": "42"})");
    apply_events({{event_text({.status = "running"}), 0}, {event_text({.status = "success"}), 1'000'000}});
    settle("run-1");
    const auto set_rate = [&](const char* amount) {
        pqxx::work work(db());
        libpqxx::run(work,
                     "UPDATE runledger.generations SET metadata = metadata || jsonb_build_object('costRate', "
                     "jsonb_build_object('amount', $1::numeric, 'currency', 'USD', 'unit', 'second'))",
                     amount);
        work.commit();
    };

    set_rate("0.5");
    EXPECT_EQ(settle("run-1"), "resettled");
    set_rate("7");
    EXPECT_EQ(settle("run-1"), "unchanged");

    EXPECT_EQ(value("SELECT cost_usd FROM runledger.generations"), "0.500000000000");
    EXPECT_EQ(count("notifications"), 1);
}

TEST_F(Ledger, SkipsTheNoticeToAMalformedChatAndSaysSo) {
    insert_metadata(R"({"run_id": "run-1", "telegramChatId": "someone"})");
    insert_metadata(R"({"run_id": "run-2"})");
    apply_events({{event_text({.run_id = "run-1", .status = "success"}), 0},
                  {event_text({.run_id = "run-2", .status = "success"}), 0}});

    settle("run-1");
    settle("run-2");

    EXPECT_EQ(value("SELECT string_agg(run_id || ':' || state || ':' || last_error, ',') FROM runledger.notifications"),
              "run-1:skipped:metadata.telegramChatId is no chat: neither a whole number, a string of digits nor "
              "@channelname");
}

TEST_F(Ledger, PostponesARowThatTheApplicationHasLocked) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "success"}), 0}});
    const auto application = another_connection();
    pqxx::work lock(*application);
    lock.exec("SELECT FROM runledger.generations FOR UPDATE");
    const auto begun = std::chrono::steady_clock::now();

    EXPECT_EQ(settle("run-1"), "locked");

    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds{5}) << "lock_timeout is ten";
    lock.abort();
    EXPECT_EQ(settle("run-1"), "settled");
}

TEST_F(Ledger, PostponesARowThatTheApplicationsOwnTriggerRefuses) {
    insert_generation("run-1");
    apply_events({{event_text({.status = "success"}), 0}});
    {
        pqxx::work work(db());
        work.exec(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'not on my watch'; END $$");
        work.exec(
            "CREATE TRIGGER refuse BEFORE UPDATE ON runledger.generations FOR EACH ROW EXECUTE FUNCTION refuse()");
        work.commit();
    }

    EXPECT_EQ(settle("run-1"), "failed");

    EXPECT_EQ(count("settlements"), 0);
    EXPECT_EQ(count("notifications"), 0);
}

TEST_F(Ledger, RaisesOnNoMetadata) {
    for (const char* metadata : {"null",
                                 "7",
                                 "\"text\"",
                                 "[]",
                                 "{}",
                                 R"({"run_id": 7})",
                                 R"({"run_id": ""})",
                                 R"({"run_id": null})",
                                 R"({"telegramChatId": 1e30})",
                                 R"({"telegramChatId": "99999999999999999999"})",
                                 R"({"telegramChatId": {}})",
                                 R"({"telegramChatId": 1.5})",
                                 R"({"telegramChatId": true})",
                                 R"({"costRate": []})",
                                 R"({"telegramChatId": "42.0"})",
                                 R"({"telegramChatId": 1234567890123456789.0})",
                                 R"("{\"run_id\": ")",
                                 R"("{\"run_id\": 7}")",
                                 R"("[{\"run_id\": \"in a list\"}]")",
                                 R"("\"{}\"")"}) {
        EXPECT_NO_THROW(insert_metadata(metadata)) << metadata;
    }
    EXPECT_EQ(count("generations WHERE run_id IS NOT NULL OR telegram_chat_id IS NOT NULL"), 0);

    insert_metadata(R"({"run_id": "a", "telegramChatId": "-1001234567890123"})");
    insert_metadata(R"({"run_id": "b", "telegramChatId": -42})");
    insert_metadata(R"({"run_id": "c", "telegramChatId": 42.0})");
    insert_metadata(R"({"run_id": "d", "telegramChatId": -1.001234567890123e15})");
    insert_metadata(R"("{\"run_id\": \"e\", \"telegramChatId\": 43}")");
    EXPECT_EQ(value("SELECT string_agg(telegram_chat_id::text, ',' ORDER BY run_id) FROM runledger.generations "
                    "WHERE run_id IS NOT NULL"),
              "-1001234567890123,-42,42,-1001234567890123,43");
}

TEST_F(Ledger, ReadsMetadataThatWasEncodedTwiceAsTheObjectThatItHolds) {
    insert_metadata(R"("{\"run_id\": \"run-1\", \"telegramChatId\": \"42\", \"message_thread_id\": 7.0, )"
                    R"(\"costRate\": {\"amount\": \"0.5\", \"currency\": \"USD\", \"unit\": \"run\"}}")");
    insert_metadata(R"("{\"run_id\": \"run-2\", \"telegramChatId\": \"someone\"}")");
    apply_events({{event_text({.status = "success"}), 0}, {event_text({.run_id = "run-2", .status = "success"}), 0}});

    EXPECT_EQ(settle("run-1"), "settled");
    EXPECT_EQ(settle("run-2"), "settled");

    EXPECT_EQ(value("SELECT string_agg(trim_scale(cost_usd)::text, ',') FROM runledger.generations"), "0.5");
    EXPECT_EQ(
        value("SELECT string_agg(state || ' ' || coalesce(chat_id || ' ' || (payload ->> 'message_thread_id'), "
              "last_error), ', ' ORDER BY run_id) FROM runledger.notifications"),
        "pending 42 7, skipped metadata.telegramChatId is no chat: neither a whole number, a string of digits nor "
        "@channelname");
}

}  // namespace
}  // namespace runledger::test
