#include "daemon/notify/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using telegram::Answer;
using telegram::Verdict;
using testing::HasSubstr;

constexpr double most = 1.0;
constexpr double least = 0.0;
constexpr NotifyPolicy policy{};

Answer answer_of(Verdict verdict) { return {.verdict = verdict, .description = "words"}; }

TEST(NotifyPolicy, EndsWhatWasSent) {
    const Decision decision = decide(answer_of(Verdict::sent), {}, policy, most);

    EXPECT_EQ(decision.state, NextState::sent);
    EXPECT_EQ(decision.error, "");
}

TEST(NotifyPolicy, DoublesTheDelayUpToItsMost) {
    const auto delay = [](unsigned attempts, double chance) {
        return decide(answer_of(Verdict::unavailable), {.attempts = attempts}, policy, chance).delay;
    };

    EXPECT_EQ(delay(1, most), milliseconds{500});
    EXPECT_EQ(delay(1, least), milliseconds{250});
    EXPECT_EQ(delay(2, most), milliseconds{1000});
    EXPECT_EQ(delay(5, most), seconds{8});
    EXPECT_EQ(delay(11, most), seconds{300});
    EXPECT_EQ(delay(11, least), seconds{150});
}

TEST(NotifyPolicy, GivesUpAfterTheLastAttempt) {
    EXPECT_EQ(decide(answer_of(Verdict::unavailable), {.attempts = 11}, policy, most).state, NextState::pending);

    const Decision last = decide(answer_of(Verdict::unavailable), {.attempts = 12}, policy, most);
    EXPECT_EQ(last.state, NextState::dead);
    EXPECT_THAT(last.error, HasSubstr("12 attempts: words"));
}

TEST(NotifyPolicy, CountsNoAttemptOfWhatNeverLeft) {
    const Decision decision = decide(answer_of(Verdict::unreached), {.attempts = 12}, policy, most);

    EXPECT_EQ(decision.state, NextState::pending);
    EXPECT_TRUE(decision.gives_attempt_back);
    EXPECT_GT(decision.delay, milliseconds{0});
}

TEST(NotifyPolicy, RetriesTheUncertainOnce) {
    const Decision first =
        decide(answer_of(Verdict::uncertain), {.attempts = 1, .uncertain_attempts = 0}, policy, most);
    EXPECT_EQ(first.state, NextState::pending);
    EXPECT_TRUE(first.may_have_arrived);

    const Decision second =
        decide(answer_of(Verdict::uncertain), {.attempts = 2, .uncertain_attempts = 1}, policy, most);
    EXPECT_EQ(second.state, NextState::uncertain);
    EXPECT_TRUE(second.may_have_arrived);
    EXPECT_NE(second.error, "");
}

TEST(NotifyPolicy, CallsUncertainNotDeadWhatMayHaveArrivedAtLast) {
    EXPECT_EQ(decide(answer_of(Verdict::uncertain), {.attempts = 12}, policy, most).state, NextState::uncertain);
}

TEST(NotifyPolicy, WaitsOutTooManyRequestsWithoutCountingThem) {
    Answer answer = answer_of(Verdict::too_many);
    answer.retry_after = seconds{17};

    const Decision decision = decide(answer, {.attempts = 12}, policy, most);

    EXPECT_EQ(decision.state, NextState::pending);
    EXPECT_EQ(decision.delay, seconds{17});
    EXPECT_TRUE(decision.gives_attempt_back);
}

TEST(NotifyPolicy, BoundsHowLongItIsHeldBack) {
    Answer answer = answer_of(Verdict::too_many);
    answer.retry_after = hours{24};

    EXPECT_EQ(decide(answer, {}, policy, most).delay, hours{1});
    EXPECT_EQ(decide(answer, {}, policy, most).chat, ChatEffect::held);
}

TEST(NotifyPolicy, KeepsEverythingWhenTheTokenIsRefused) {
    const Decision decision = decide(answer_of(Verdict::unauthorized), {.attempts = 500}, policy, most);

    EXPECT_EQ(decision.state, NextState::pending);
    EXPECT_EQ(decision.delay, milliseconds{0});
    EXPECT_TRUE(decision.gives_attempt_back);
}

TEST(NotifyPolicy, SendsAgainAtTheNewIdAndInText) {
    Answer migrated = answer_of(Verdict::migrated);
    migrated.migrate_to = -100;

    const Decision moved = decide(migrated, {}, policy, most);
    EXPECT_EQ(moved.state, NextState::send_again);
    EXPECT_EQ(moved.new_chat_id, -100);

    const Decision in_text = decide(answer_of(Verdict::media_refused), {}, policy, most);
    EXPECT_EQ(in_text.state, NextState::send_again);
    EXPECT_EQ(in_text.new_chat_id, std::nullopt);
}

TEST(NotifyPolicy, BoundsTheCallsOfOneAttempt) {
    EXPECT_EQ(decide(answer_of(Verdict::migrated), {.calls = 4}, policy, most).state, NextState::send_again);
    EXPECT_EQ(decide(answer_of(Verdict::migrated), {.calls = 5}, policy, most).state, NextState::dead);
}

TEST(NotifyPolicy, TakesARefusalForGood) {
    const Decision decision = decide(answer_of(Verdict::refused), {}, policy, most);

    EXPECT_EQ(decision.state, NextState::dead);
    EXPECT_EQ(decision.error, "words");
}

}  // namespace
}  // namespace runledger
