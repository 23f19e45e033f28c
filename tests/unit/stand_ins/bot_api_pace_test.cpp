#include "tests/stand_ins/bot_api_pace.hpp"

#include <gtest/gtest.h>

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Pace : public testing::Test {
protected:
    BotPace pace_;
    BotPace::Time now_{seconds{1'000}};

    bool passes(std::string_view chat, int messages = 1) { return !pace_.refuse(chat, messages, now_).has_value(); }
    int passed_of(int attempts, std::string_view chat) {
        int passed = 0;
        for (int i = 0; i < attempts; ++i) {
            passed += passes(chat) ? 1 : 0;
        }
        return passed;
    }
};

TEST_F(Pace, LetsAShortBurstIntoOneChatAndThenOneASecond) {
    EXPECT_EQ(passed_of(10, "1"), 3);

    now_ += seconds{1};

    EXPECT_EQ(passed_of(10, "1"), 1);
}

TEST_F(Pace, LetsThirtyASecondThroughForTheBot) {
    int passed = 0;
    for (int chat = 1; chat <= 100; ++chat) {
        passed += passes(std::to_string(chat)) ? 1 : 0;
    }

    EXPECT_EQ(passed, 30);
}

TEST_F(Pace, LetsTwentyAMinuteIntoAGroup) {
    int passed = 0;
    for (int second = 0; second < 60; ++second, now_ += seconds{1}) {
        passed += passes("-5") ? 1 : 0;
    }

    EXPECT_EQ(passed, 20 + 19) << "a full bucket, and what 59 seconds refill at one in three";
    EXPECT_EQ(passed_of(5, "5"), 3) << "a private chat is bounded by its own pace only";
}

TEST_F(Pace, SaysHowLongToWaitAndHoldsToIt) {
    ASSERT_EQ(passed_of(10, "1"), 3);

    const auto wait = pace_.refuse("1", 1, now_);

    ASSERT_EQ(wait, seconds{1});
    now_ += *wait;
    EXPECT_TRUE(passes("1"));
}

TEST_F(Pace, CountsEachPartOfAnAlbumAndLetsALargeOneThrough) {
    ASSERT_TRUE(passes("1", 10)) << "more than the bucket holds, and it is full";

    EXPECT_FALSE(passes("1"));
    now_ += seconds{7};
    EXPECT_FALSE(passes("1"));
    now_ += seconds{1};
    EXPECT_TRUE(passes("1"));
}

TEST_F(Pace, DoesNotCountWhatItRefuses) {
    ASSERT_EQ(passed_of(1'000, "1"), 3);

    EXPECT_TRUE(passes("2")) << "or the bot's own bucket would be empty";
}

}  // namespace
}  // namespace runledger::test
