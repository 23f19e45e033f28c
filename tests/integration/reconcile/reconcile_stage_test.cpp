// What is looked up, when, and what an ending that the provider tells becomes.
#include <gmock/gmock.h>

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/reconcile/reconcile_fixture.hpp"

namespace runledger::test {
namespace {

using testing::Each;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

// A killed container sends nothing, however far its run had come.
TEST_F(Reconcile, EndsTheRunOfAKilledContainerByTheProvidersReport) {
    constexpr std::array statuses{"not-started", "queued", "started", "running", "uploading", "processing"};
    for (const char* status : statuses) {
        api().script(status, ComfyApiAnswer::run(status, "failed"));
        silent_run(status, status);
    }
    const std::int64_t queued = count("settle_queue");

    const auto daemon = start();

    for (const char* status : statuses) {
        is_ended(status);
        EXPECT_EQ(run(status, "terminal_status, status, reported_status"), "failed|failed|failed") << status;
        EXPECT_EQ(api().requests_for(status), 1U) << status;
    }
    EXPECT_EQ(count("settle_queue"), queued + static_cast<std::int64_t>(statuses.size()));
    EXPECT_EQ(count("reconcile_lookups"), 0);
    EXPECT_THAT(api().requests(), Each(Field(&ComfyApiRequest::authorization, "Bearer " + std::string(key))));
}

TEST_F(Reconcile, KeepsTheProvidersTimesApartFromReceiveTimes) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "success"));
    silent_run("run-1", "running");
    const std::string running_before = run("run-1", "running_at, running_boot_id, running_boottime_us");

    const auto daemon = start();

    is_ended("run-1");
    EXPECT_EQ(run("run-1", "running_at, running_boot_id, running_boottime_us"), running_before);
    EXPECT_EQ(run("run-1", "num_nulls(finished_at, finished_boot_id, finished_boottime_us, uploading_at, queued_at)"),
              "5");
    EXPECT_EQ(run("run-1",
                  "to_char(provider_started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), "
                  "to_char(provider_ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"),
              "2025-08-29 02:35:40.250000|2025-08-29 02:35:52.750500");
    EXPECT_EQ(value("SELECT concat_ws('|', duration_us, run_duration_s, queued_at < started_at, output_count) "
                    "FROM runledger.provider_reports"),
              "12500500|12.5005|t|0");
    EXPECT_EQ(value("SELECT concat_ws('|', provider_duration_us, measured_duration_us IS NULL, difference_us IS NULL) "
                    "FROM runledger.provider_differences_v1"),
              "12500500|t|t");
}

TEST_F(Reconcile, TakesOutputsFromTheReport) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "success",
                                              "[" + picture("new") + ", " + picture("both", "2026-01-01T00:00:00Z") +
                                                  R"(, {"id": "odd", "data": {"text": ["\ud800"]}}])"));
    apply_events({{event_text({.outputs = "[" + picture("old") + ", " + picture("both") + "]"}), 0}});
    set_silence("run-1", "1 hour");

    const auto daemon = start();

    is_ended("run-1");
    EXPECT_EQ(value("SELECT string_agg(concat_ws(':', output_key, output IS NOT NULL, output ->> 'updated_at'), '|' "
                    "ORDER BY output_key) FROM runledger.run_outputs"),
              "both:t:2026-01-01T00:00:00Z|new:t:2025-08-29T02:35:38.214Z|odd:t|old:t:2025-08-29T02:35:38.214Z");
    EXPECT_EQ(value("SELECT output_count FROM runledger.provider_reports"), "3");
}

struct Silence {
    const char* name;
    const char* status;
    const char* heard_of;
    bool is_looked_up;
};

constexpr std::array silences{
    Silence{"queued_not_yet", "queued", "14 minutes", false},
    Silence{"queued", "queued", "16 minutes", true},
    Silence{"started_not_yet", "started", "14 minutes", false},
    Silence{"started", "started", "16 minutes", true},
    Silence{"running_not_yet", "running", "9 minutes", false},
    Silence{"running", "running", "11 minutes", true},
    Silence{"uploading_not_yet", "uploading", "4 minutes", false},
    Silence{"uploading", "uploading", "6 minutes", true},
    Silence{"unknown_not_yet", "processing", "14 minutes", false},
    Silence{"unknown", "processing", "16 minutes", true},
    Silence{"ended", "cancelled", "1 hour", false},
    Silence{"beyond_looking_back", "running", "8 days", false},
    Silence{"runledger-simulated-0123456789abcdef0123456789abcdef", "running", "1 hour", false}};

TEST_F(Reconcile, LooksUpARunAfterASilenceThatSuitsItsState) {
    for (const Silence& silence : silences) {
        silent_run(silence.name, silence.status, silence.heard_of);
    }
    api().script("witness", ComfyApiAnswer::run("witness", "failed"));
    silent_run("witness", "running");

    const auto daemon = start();

    is_ended("witness");  // All are enrolled by the same statement.
    for (const Silence& silence : silences) {
        EXPECT_EQ(lookup(silence.name, "run_id") != "none", silence.is_looked_up) << silence.name;
    }
}

TEST_F(Reconcile, LooksUpAGenerationOfWhichNothingWasEverReceived) {
    api().script("unheard", ComfyApiAnswer::run("unheard", "success", "[" + picture("a") + "]"));
    insert_generation("unheard");
    insert_generation("young");
    {
        pqxx::work work(db());
        work.exec(
            "UPDATE runledger.generations SET request_timestamp = now() - interval '16 minutes' "
            "WHERE run_id = 'unheard'");
        work.commit();
    }

    const auto daemon = start();

    is_ended("unheard");
    EXPECT_EQ(run("unheard", "terminal_status, event_count, num_nulls(latest_at, first_received_at, finished_at)"),
              "success|0|3");
    EXPECT_EQ(count("run_outputs WHERE run_id = 'unheard'"), 1);
    EXPECT_EQ(api().requests_for("young"), 0U);
}

TEST_F(Reconcile, AsksAgainLaterWhileTheProviderSaysThatItRuns) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "running"));
    silent_run("run-1", "running");
    const auto daemon = start();
    eventually("it was asked three times", [&] { return api().requests_for("run-1") >= 3; });
    EXPECT_EQ(run("run-1", "terminal_status IS NULL, status"), "t|running");
    EXPECT_EQ(count("provider_reports"), 0);
    EXPECT_EQ(lookup("run-1", "last_status, last_error, attempts >= 3"), "running|t");

    api().script("run-1", ComfyApiAnswer::run("run-1", "timeout"));

    is_ended("run-1");
    EXPECT_EQ(run("run-1", "terminal_status"), "timeout");
}

TEST_F(Reconcile, ForgetsARunThatIsHeardOfAgain) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "running"));
    silent_run("run-1", "running");
    const auto daemon = start();
    eventually("it was asked", [&] { return api().requests_for("run-1") >= 1; });

    apply_events({{event_text({.status = "uploading"}), 1}});

    eventually("it is forgotten", [&] { return lookup("run-1", "run_id") == "none"; });
}

// Promise 3, over both kinds of event: the webhook's ending is the clock that is charged by.
TEST_F(Reconcile, LetsAWebhookThatComesDuringTheLookUpWin) {
    ComfyApiAnswer held = ComfyApiAnswer::run("run-1", "success");
    held.waits_for_release = true;
    api().script("run-1", held);
    silent_run("run-1", "running");
    const auto daemon = start();
    eventually("the look-up is under way", [&] { return api().requests_for("run-1") == 1; });

    apply_events({{event_text({.status = "cancelled"}), 12'000'000}});
    api().release();

    eventually("the report is kept", [&] { return count("provider_reports") == 1; });
    EXPECT_EQ(run("run-1", "terminal_status, reported_status, finished_at IS NOT NULL"), "cancelled|success|t");
    EXPECT_EQ(value("SELECT concat_ws('|', measured_duration_us, measured_clock, provider_duration_us, difference_us) "
                    "FROM runledger.provider_differences_v1"),
              "12000000|boottime|12500500|-500500");
}

TEST_F(Reconcile, AsksOnceForEachDueTimeHoweverManyDaemonsThereAre) {
    constexpr int runs = 40;
    config.retry_delay_min = std::chrono::milliseconds{400};
    std::vector<ComfyApiRequest> requests;
    for (int i = 0; i < runs; ++i) {
        const std::string run_id = "run-" + std::to_string(i);
        api().script(run_id, ComfyApiAnswer::run(run_id, "running"));
        silent_run(run_id, "running");
    }
    {
        const auto one = start("daemon-1");
        const auto other = start("daemon-2");
        eventually("each was asked at least twice",
                   [&] { return count("reconcile_lookups WHERE attempts >= 2") == runs; });
        EXPECT_GT(one->counters().not_ended, 0U);
        EXPECT_GT(other->counters().not_ended, 0U);
        requests = api().requests();  // Before the end: what one daemon gives back, the other may ask at once.
    }

    std::map<std::string, std::chrono::steady_clock::time_point> last_asked_at;
    for (const ComfyApiRequest& request : requests) {
        const auto [last, is_first] = last_asked_at.try_emplace(request.run_id, request.at);
        if (!is_first) {
            // Jitter leaves half of the delay; another quarter is for a stand-in that is slow to take a request.
            EXPECT_GE(request.at - last->second, config.retry_delay_min / 4) << request.run_id;
            last->second = request.at;
        }
    }
    EXPECT_EQ(count("reconcile_lookups WHERE lease_owner IS NOT NULL"), 0);
}

TEST_F(Reconcile, TakesOverTheLookUpOfADaemonThatDied) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "failed"));
    silent_run("run-1", "running");
    const auto leased_at = std::chrono::steady_clock::now();
    {
        pqxx::work work(db());
        work.exec(
            "INSERT INTO runledger.reconcile_lookups (run_id, attempts, lease_owner, lease_until, last_asked_at) "
            "VALUES ('run-1', 1, 'dead', now() + interval '700 milliseconds', now())");
        work.commit();
    }

    const auto daemon = start();

    is_ended("run-1");
    EXPECT_EQ(daemon->counters().ended, 1U);
    EXPECT_GE(api().requests().front().at - leased_at, std::chrono::milliseconds{700});
}

TEST_F(Reconcile, GivesBackWhatIsUnderWayWhenItIsStopped) {
    ComfyApiAnswer held = ComfyApiAnswer::run("run-1", "success");
    held.waits_for_release = true;
    api().script("run-1", held);
    silent_run("run-1", "running");
    const auto daemon = start();
    eventually("the look-up is under way", [&] { return api().requests_for("run-1") == 1; });

    daemon->stop();

    EXPECT_EQ(lookup("run-1", "attempts, lease_owner IS NULL, next_at <= now()"), "0|t|t");
}

TEST_F(Reconcile, AsksForARunWhoseIdIsNoPlainWord) {
    const std::string odd = "../a b?c#d%2e/Ü";
    api().script(odd, ComfyApiAnswer::run(odd, "failed"));
    silent_run(odd, "running");

    const auto daemon = start();

    is_ended(odd);
    EXPECT_EQ(api().requests().front().path, "/run/%2E%2E%2Fa%20b%3Fc%23d%252e%2F%C3%9C");
}

TEST_F(Reconcile, StopsLookingUpAfterAWhile) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "running"));
    silent_run("run-1", "running");
    looked_up_for_eight_days("run-1");

    const auto daemon = start();

    eventually("it is given up", [&] { return lookup("run-1", "next_at = 'infinity'") == "t"; });
    EXPECT_EQ(api().requests_for("run-1"), 1U);
    EXPECT_EQ(daemon->counters().given_up, 1U);
    EXPECT_EQ(run("run-1", "terminal_status IS NULL"), "t");
    EXPECT_THAT(log_lines_with("is no longer looked up"), SizeIs(1));
}

TEST_F(Reconcile, KeepsAFetchedEndingWhileSomebodyIsForgotten) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "failed"));
    silent_run("run-1", "running");
    looked_up_for_eight_days("run-1");
    const auto other = another_connection();
    pqxx::work forgetting(*other);
    forgetting.exec("SELECT pg_advisory_xact_lock(hashtextextended('runledger.forget', 0))");

    const auto daemon = start();
    eventually("storing the ending has failed",
               [&] { return daemon->counters().turns_failed > 0 || daemon->counters().given_up > 0; });
    forgetting.abort();

    ASSERT_EQ(daemon->counters().given_up, 0U);
    is_ended("run-1");
    EXPECT_EQ(api().requests_for("run-1"), 1U);
    EXPECT_THAT(log_lines_with("can't be stored"), IsEmpty());
}

TEST_F(Reconcile, KeepsNothingOfAPersonWhoIsForgottenDuringTheCallAndAsksNoMore) {
    auto answer = ComfyApiAnswer::run("run-1", "failed");
    answer.waits_for_release = true;
    api().script("run-1", answer);
    const std::int64_t generation = insert_generation("run-1");
    silent_run("run-1", "running");
    const auto daemon = start();
    eventually("the provider is asked", [&] { return api().requests_for("run-1") == 1; });
    {
        pqxx::work work(db());
        libpqxx::run(work, "SELECT runledger.forget_generation($1)", generation);
        work.exec("UPDATE runledger.runs SET applied_at = now() - interval '1 hour'");  // As silent as before.
        work.commit();
    }
    api().script("run-2", ComfyApiAnswer::run("run-2", "failed"));

    api().release();
    eventually("the report is dropped", [&] { return daemon->counters().too_late == 1; });
    silent_run("run-2", "running");
    is_ended("run-2");  // Looked for in the same way, and later.

    EXPECT_EQ(count("provider_reports WHERE run_id <> 'run-2'"), 0);
    EXPECT_EQ(count("reconcile_lookups"), 0);
    EXPECT_EQ(count("runs WHERE run_id = 'run-1'"), 0);
    EXPECT_THAT(api().requests(), SizeIs(2));
    EXPECT_THAT(log_lines_with("came too late and is not kept"), SizeIs(1));
}

TEST_F(Reconcile, LooksUpARunThatIsSilentAgainBeforeItsOldLookUpIsRemoved) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "failed"));
    silent_run("run-1", "running");
    {
        // The walk that removes look-ups of heard runs reads 256 a turn, so it comes to this one in its second turn.
        pqxx::work work(db());
        work.exec(R"(
            INSERT INTO runledger.reconcile_lookups (run_id, next_at, lease_owner, lease_until)
            SELECT 'other-' || n, now() - interval '1 day', 'another daemon', now() + interval '1 day'
            FROM generate_series(1, 300) AS n;
            INSERT INTO runledger.reconcile_lookups (run_id, enrolled_at, attempts, next_at, last_asked_at)
            VALUES ('run-1', now() - interval '4 hours', 3, now() + interval '1 hour', now() - interval '3 hours'))");
        work.commit();
    }

    const auto daemon = start();

    is_ended("run-1");
}

TEST_F(Reconcile, LeavesEndedRunsAlone) {
    silent_run("run-1", "success");
    api().script("run-2", ComfyApiAnswer::run("run-2", "success"));
    silent_run("run-2", "running");

    const auto daemon = start();

    is_ended("run-2");
    EXPECT_EQ(api().requests_for("run-1"), 0U);
    EXPECT_THAT(log_lines_with("[error]"), IsEmpty());
}

TEST_F(Reconcile, BeginsAsSoonAsItGetsAKey) {
    api().script("run-1", ComfyApiAnswer::run("run-1", "success"));
    silent_run("run-1", "running");
    const Secret given = std::exchange(config.api_key, Secret{});
    tuning.poll_interval = std::chrono::hours{1};
    const auto daemon = start();

    config.api_key = given;
    daemon->use(config);

    is_ended("run-1");
    EXPECT_THAT(api().requests(), Each(Field(&ComfyApiRequest::authorization, "Bearer " + std::string(key))));
}

TEST_F(Reconcile, AsksWithANewKeyAtOnceThoughTheOldOneWasRefused) {
    api().script_all({.status = 401});
    silent_run("run-1", "running");
    tuning.key_retry = std::chrono::hours{1};
    const auto daemon = start();
    eventually("the key is refused", [&] { return daemon->counters().key_is_refused.load(); });

    api().script_all(ComfyApiAnswer::run("run-1", "success"));
    config.api_key = Secret("cd-test-key-of-the-next-month");
    daemon->use(config);

    is_ended("run-1");
    EXPECT_EQ(api().requests().back().authorization, "Bearer cd-test-key-of-the-next-month");
    EXPECT_FALSE(daemon->counters().key_is_refused.load());
}

TEST_F(Reconcile, EndsALookUpBeforeItsSettingsChange) {
    ComfyApiAnswer held = ComfyApiAnswer::run("run-1", "success");
    held.waits_for_release = true;
    api().script("run-1", held);
    silent_run("run-1", "running");
    const auto daemon = start();
    eventually("it is being looked up", [&] { return api().requests_for("run-1") == 1; });

    config.concurrency = 1;
    config.api_key = Secret("cd-test-key-of-the-next-month");
    daemon->use(config);
    silent_run("run-2", "running");
    api().script("run-2", ComfyApiAnswer::run("run-2", "success"));
    api().release();

    is_ended("run-1");
    is_ended("run-2");
    EXPECT_EQ(api().requests_for("run-1"), 1U);
    EXPECT_EQ(api().requests().back().authorization, "Bearer cd-test-key-of-the-next-month");
}

}  // namespace
}  // namespace runledger::test
