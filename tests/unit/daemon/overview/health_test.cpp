#include "daemon/overview/health.hpp"

#include <gmock/gmock.h>

#include <functional>

#include "daemon/overview/overview.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

HealthFacts sound() {
    return {.phase = DaemonPhase::running,
            .stages = {{.name = "apply", .silent_for = milliseconds{20}, .silence_max = seconds{600}}},
            .postgres_away_for = std::nullopt,
            .sends_messages = true,
            .looks_up_runs = true};
}

struct HealthCase {
    std::string name;
    std::function<void(HealthFacts&)> change;
    Verdict verdict;
    bool is_alive;
    std::string component;  // Of which this is said:
    Condition condition;
    std::string says;
};

class HealthVerdict : public testing::TestWithParam<HealthCase> {};

TEST_P(HealthVerdict, FollowsFromTheFacts) {
    HealthFacts facts = sound();
    GetParam().change(facts);

    const Health health = judge(facts);

    EXPECT_EQ(health.verdict, GetParam().verdict) << health.sentence;
    EXPECT_EQ(health.is_alive, GetParam().is_alive);
    const auto component = std::ranges::find(health.components, GetParam().component, &Component::name);
    ASSERT_NE(component, health.components.end());
    EXPECT_EQ(component->condition, GetParam().condition);
    EXPECT_THAT(component->says, testing::HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Each, HealthVerdict,
    testing::Values(
        HealthCase{"Sound", [](HealthFacts&) {}, Verdict::flowing, true, "daemon", Condition::ok, "all stages work"},
        HealthCase{"Starting", [](HealthFacts& f) { f.phase = DaemonPhase::starting; }, Verdict::stopped, true,
                   "daemon", Condition::failed, "waits for PostgreSQL"},
        HealthCase{"Draining", [](HealthFacts& f) { f.phase = DaemonPhase::draining; }, Verdict::stopped, true,
                   "daemon", Condition::failed, "stops"},
        HealthCase{"AStageHangs", [](HealthFacts& f) { f.stages[0].silent_for = seconds{601}; }, Verdict::stopped,
                   false, "daemon", Condition::failed, "\"apply\" has not moved for 10 min"},
        HealthCase{"TurnsFail", [](HealthFacts& f) { f.stages[0].failing_for = seconds{12}; }, Verdict::degraded, true,
                   "daemon", Condition::degraded, "the turns of \"apply\" have failed for 12 s"},
        HealthCase{"ATurnHasFailed", [](HealthFacts& f) { f.stages[0].failing_for = seconds{2}; }, Verdict::flowing,
                   true, "daemon", Condition::ok, "all stages work"},
        HealthCase{"SettlementFails",
                   [](HealthFacts& f) {
                       f.stages.push_back(
                           {.name = "settle slow", .failing_for = seconds{61}, .silence_max = seconds{60}});
                   },
                   Verdict::degraded, true, "settlement", Condition::degraded, "its turns have failed for 1 min"},
        HealthCase{"TurnsFailWhilePostgresIsAway",
                   [](HealthFacts& f) {
                       f.stages[0].failing_for = seconds{75};
                       f.postgres_away_for = seconds{75};
                   },
                   Verdict::degraded, true, "daemon", Condition::ok, "all stages work"},
        HealthCase{"PostgresAway", [](HealthFacts& f) { f.postgres_away_for = seconds{75}; }, Verdict::degraded, true,
                   "postgresql", Condition::degraded, "away for 1 min"},
        HealthCase{"PostgresRefusesBatches", [](HealthFacts& f) { f.batches_set_back = 3; }, Verdict::degraded, true,
                   "postgresql", Condition::degraded, "refuses 3 batches"},
        HealthCase{"TokenRefused", [](HealthFacts& f) { f.telegram_token_is_refused = true; }, Verdict::degraded, true,
                   "telegram", Condition::degraded, "refuses the bot's token"},
        HealthCase{"TelegramAway", [](HealthFacts& f) { f.telegram_unanswered = 3; }, Verdict::degraded, true,
                   "telegram", Condition::degraded, "does not answer"},
        HealthCase{"OneCallUnanswered", [](HealthFacts& f) { f.telegram_unanswered = 2; }, Verdict::flowing, true,
                   "telegram", Condition::ok, "go out"},
        HealthCase{"MessagesOld",
                   [](HealthFacts& f) {
                       f.messages_retrying = 1;
                       f.oldest_message = seconds{4000};
                   },
                   Verdict::degraded, true, "telegram", Condition::degraded, "waited for 1 h 6 min"},
        HealthCase{"MessagesLogged",
                   [](HealthFacts& f) {
                       f.sends_messages = false;
                       f.telegram_unanswered = 9;
                   },
                   Verdict::flowing, true, "telegram", Condition::off, "written to the log"},
        HealthCase{"KeyRefused", [](HealthFacts& f) { f.comfydeploy_key_is_refused = true; }, Verdict::degraded, true,
                   "comfydeploy", Condition::degraded, "refuses the key"},
        HealthCase{"NoKey", [](HealthFacts& f) { f.looks_up_runs = false; }, Verdict::flowing, true, "comfydeploy",
                   Condition::off, "not looked up"}),
    [](const auto& test) { return test.param.name; });

Overview::Numbers numbers_with(LiveNumbers live, std::vector<EdgeNumbers> edges) {
    Overview::Numbers numbers;
    numbers.live.value = std::make_shared<const LiveNumbers>(std::move(live));
    numbers.edges.value = std::make_shared<const std::vector<EdgeNumbers>>(std::move(edges));
    return numbers;
}

TEST(HealthWithNumbers, IsWorseIfRunsWaitToBeSettled) {
    const Health health =
        with_numbers(judge(sound()), numbers_with({.unsettled = 4, .unsettled_oldest_seconds = 61}, {}));

    EXPECT_EQ(health.verdict, Verdict::degraded);
    EXPECT_EQ(health.components.back().says, "4 runs wait to be settled, the oldest for 1 min");
}

TEST(HealthWithNumbers, NeverSaysThatSettlementIsWellWhileItsTurnsFail) {
    HealthFacts facts = sound();
    facts.stages.push_back({.name = "settle", .failing_for = seconds{6}, .silence_max = seconds{60}});

    const Health health = with_numbers(judge(facts), numbers_with({.unsettled = 1, .unsettled_oldest_seconds = 6}, {}));

    EXPECT_EQ(health.verdict, Verdict::degraded);
    EXPECT_EQ(std::ranges::count(health.components, "settlement", &Component::name), 1);
    EXPECT_EQ(health.components.back().says, "its turns have failed for 6 s");
}

TEST(HealthWithNumbers, IsWorseIfAnEdgeDoesNotAnswerOrItsSpoolIsFilling) {
    for (const EdgeNumbers& edge :
         {EdgeNumbers{.name = "edge-1", .error = "refused"},
          EdgeNumbers{.name = "edge-1", .error = "", .spool_bytes = 81, .spool_bytes_max = 100}}) {
        const Health health = with_numbers(judge(sound()), numbers_with({}, {edge}));

        EXPECT_EQ(health.verdict, Verdict::degraded);
        EXPECT_THAT(health.components.back().says, testing::HasSubstr("edge-1"));
    }
}

TEST(HealthWithNumbers, IsAsBeforeIfAllIsWell) {
    const Health health = with_numbers(
        judge(sound()), numbers_with({}, {{.name = "e", .error = "", .spool_bytes = 10, .spool_bytes_max = 100}}));

    EXPECT_EQ(health.verdict, Verdict::flowing);
}

TEST(InWords, SaysALengthOfTime) {
    EXPECT_EQ(in_words(seconds{-1}), "0 s");
    EXPECT_EQ(in_words(seconds{59}), "59 s");
    EXPECT_EQ(in_words(seconds{60}), "1 min");
    EXPECT_EQ(in_words(seconds{3600}), "1 h");
    EXPECT_EQ(in_words(seconds{3900}), "1 h 5 min");
    EXPECT_EQ(in_words(seconds{86'400}), "1 d");
    EXPECT_EQ(in_words(seconds{97'200}), "1 d 3 h");
}

}  // namespace
}  // namespace runledger
