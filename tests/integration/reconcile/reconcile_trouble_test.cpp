// What the stage does when the provider answers badly, or not at all.
#include <gmock/gmock.h>

#include "tests/integration/reconcile/reconcile_fixture.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::SizeIs;

struct BadAnswer {
    const char* name;
    ComfyApiAnswer answer;
    const char* says;  // Of the look-up's last_error.
};

void PrintTo(const BadAnswer& bad, std::ostream* out) { *out << bad.name; }

class BadAnswers : public Reconcile, public testing::WithParamInterface<BadAnswer> {};

TEST_P(BadAnswers, EndNothingAndHoldUpNobody) {
    tuning.answer_bytes_max = 64UL * 1024;
    config.timeout = milliseconds{300} * patience_factor;
    api().script("bad", GetParam().answer);
    api().script("good", ComfyApiAnswer::run("good", "failed"));
    silent_run("bad", "running");
    silent_run("good", "running");

    const auto daemon = start();

    is_ended("good");
    eventually("the bad one was asked about again", [&] { return api().requests_for("bad") >= 2; });
    EXPECT_THAT(lookup("bad", "last_error"), HasSubstr(GetParam().says));
    EXPECT_EQ(run("bad", "terminal_status IS NULL"), "t");
    EXPECT_EQ(count("provider_reports"), 1);
    EXPECT_EQ(api().requests_for("elsewhere"), 0U) << "a redirect was followed, with the key";
}

INSTANTIATE_TEST_SUITE_P(
    Reconcile, BadAnswers,
    testing::Values(BadAnswer{"garbage", {.body = "<html>502</html>"}, "unreadable answer: it is no JSON object"},
                    BadAnswer{"cut_off", {.body = R"({"id": "bad", "status": "success")"}, "unreadable answer"},
                    BadAnswer{"no_status", {.body = R"({"id": "bad"})"}, "unreadable answer: status is missing"},
                    BadAnswer{"another_run", ComfyApiAnswer::run("good", "success"), "it is about another run"},
                    BadAnswer{"huge", {.body = R"({"x": ")" + std::string(200'000, 'x') + "\"}"}, "more than 65536"},
                    BadAnswer{"slow", {.delay = std::chrono::minutes{1}}, "Timeout was reached"},
                    BadAnswer{"redirect", {.status = 302, .location = "/run/elsewhere"}, "it redirects with 302"},
                    BadAnswer{"not_found", {.status = 404}, "not_found"},
                    BadAnswer{"gone", {.status = 410}, "it answers 410"},
                    BadAnswer{"server_error", {.status = 503, .body = "{}"}, "it answers 503"},
                    BadAnswer{"key_refused", {.status = 403}, "refused: 403"},
                    BadAnswer{"too_many", {.status = 429}, "too_many: 429"}),
    [](const auto& bad) { return std::string(bad.param.name); });

TEST_F(Reconcile, BacksOffWhileTheProviderIsAwayAndResumes) {
    constexpr int runs = 8;
    for (int i = 0; i < runs; ++i) {
        const std::string run_id = "run-" + std::to_string(i);
        api().script(run_id, ComfyApiAnswer::run(run_id, "failed"));
        silent_run(run_id, "running");
    }
    api().goes_away();
    const auto started_at = steady_clock::now();
    const auto daemon = start();

    eventually("eight look-ups failed", [&] { return daemon->counters().failed >= 8; });

    // The first four fail together, which takes the wait to its most, 320 ms; from then on there is one at a time, and
    // before each of the other four at least half of that.
    EXPECT_GE(steady_clock::now() - started_at, milliseconds{4 * 160});
    EXPECT_THAT(log_lines_with("the provider can't be asked"), SizeIs(1)) << "said once, not with each failure";
    EXPECT_EQ(count("runs WHERE terminal_status IS NOT NULL"), 0);

    api().comes_back();

    eventually("all are ended", [&] { return count("runs WHERE terminal_status IS NOT NULL") == runs; });
    EXPECT_THAT(log_lines_with("the provider answers again"), SizeIs(1));
}

TEST_F(Reconcile, DegradesLoudlyWhileTheKeyIsRefusedAndRecovers) {
    constexpr int runs = 6;
    api().script_all({.status = 401, .body = std::string(key)});
    for (int i = 0; i < runs; ++i) {
        silent_run("run-" + std::to_string(i), "running");
    }
    config.concurrency = 1;
    const auto started_at = steady_clock::now();
    const auto daemon = start();

    eventually("the key was tried three times", [&] { return daemon->counters().refused >= 3; });

    EXPECT_GE(steady_clock::now() - started_at, 2 * tuning.key_retry) << "nothing is asked in between";
    EXPECT_TRUE(daemon->counters().key_is_refused);
    EXPECT_THAT(log_lines_with("the provider refuses the key"), SizeIs(1));

    for (int i = 0; i < runs; ++i) {
        const std::string run_id = "run-" + std::to_string(i);
        api().script(run_id, ComfyApiAnswer::run(run_id, "failed"));
    }

    eventually("all are ended", [&] { return count("runs WHERE terminal_status IS NOT NULL") == runs; });
    EXPECT_FALSE(daemon->counters().key_is_refused);
}

TEST_F(Reconcile, WaitsAsLongAsTheProviderAsksForWithTooManyRequests) {
    api().script_all({.status = 429, .retry_after_seconds = 1});
    silent_run("run-1", "running");
    const auto daemon = start();

    eventually("it was asked twice", [&] { return api().requests().size() >= 2; });

    const auto requests = api().requests();
    EXPECT_GE(requests[1].at - requests[0].at, std::chrono::seconds{1});
    EXPECT_GE(daemon->counters().too_many, 1U);
}

TEST_F(Reconcile, AsksAboutAFewRunsAtATime) {
    constexpr int runs = 20;
    config.concurrency = 3;
    for (int i = 0; i < runs; ++i) {
        const std::string run_id = "run-" + std::to_string(i);
        ComfyApiAnswer slow = ComfyApiAnswer::run(run_id, "failed");
        slow.delay = milliseconds{20};
        api().script(run_id, slow);
        silent_run(run_id, "running");
    }

    const auto daemon = start();

    eventually("all are ended", [&] { return count("runs WHERE terminal_status IS NOT NULL") == runs; });
    EXPECT_LE(api().under_way_most(), 3U);
    EXPECT_GE(api().under_way_most(), 2U);
}

TEST_F(Reconcile, GoesOnAfterItsConnectionIsLost) {
    ComfyApiAnswer held = ComfyApiAnswer::run("run-1", "failed");
    held.waits_for_release = true;
    api().script("run-1", held);
    silent_run("run-1", "running");
    const auto daemon = start();
    eventually("the look-up is under way", [&] { return api().requests_for("run-1") == 1; });

    {
        pqxx::work work(db());
        work.exec(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'runledgerd reconcile' AND datname = current_database()");
        work.commit();
    }
    api().release();

    is_ended("run-1");
    EXPECT_EQ(api().requests_for("run-1"), 1U) << "what was answered is not asked again";
}

}  // namespace
}  // namespace runledger::test
