#include "daemon/pace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/bot_api_pace.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t chat = 42;
constexpr std::int64_t group = -42;

class PaceTest : public testing::Test {
protected:
    Pace pace{PaceLimits{}};
    Pace::Time now = Pace::Time{} + std::chrono::hours{1};

    // As the notify stage does it: waits until something may go, sends, goes on until the time is over.
    int sent_within(std::int64_t chat_id, milliseconds time) {
        const auto end = now + time;
        int sent = 0;
        while (now < end) {
            if (pace.bot_allows(now) > 0 && pace.chat_is_ready(chat_id, now)) {
                pace.take(chat_id, 1, now);
                ++sent;
            } else {
                now = std::max(pace.next_ready(now).value_or(end), now + milliseconds{1});
            }
        }
        return sent;
    }
};

TEST_F(PaceTest, LetsAChatBurstThenOneASecond) {
    EXPECT_EQ(sent_within(chat, milliseconds{1}), 3);
    EXPECT_EQ(sent_within(chat, seconds{10}), 10);
}

TEST_F(PaceTest, KeepsAGroupToTwentyInAnyMinute) {
    EXPECT_LE(sent_within(group, minutes{1}), 20);
    EXPECT_GE(sent_within(group, minutes{1}), 16);
    EXPECT_LE(sent_within(group, minutes{1}), 20);
}

TEST_F(PaceTest, KeepsTheBotToThirtyInAnySecond) {
    int sent = 0;
    const auto end = now + seconds{1};
    for (std::int64_t id = 1; now < end;) {
        if (pace.bot_allows(now) > 0) {
            pace.take(id++, 1, now);
            ++sent;
        } else {
            now = std::max(*pace.next_ready(now), now + milliseconds{1});
        }
    }

    EXPECT_LE(sent, 30);
    EXPECT_GE(sent, 25);
}

// The stand-in's own buckets are another's reading of the same page.
TEST_F(PaceTest, IsNeverTooFastForTheStandIn) {
    test::BotPace limits;
    int refused = 0;
    for (int i = 0; i < 3000; ++i) {
        const std::int64_t id = i % 2 == 0 ? i % 14 + 1 : -(i % 22) - 1;
        while (pace.bot_allows(now) == 0 || !pace.chat_is_ready(id, now)) {
            now = std::max(pace.next_ready(now).value_or(now), now + milliseconds{1});
        }
        pace.take(id, 1, now);
        refused += limits.refuse(std::to_string(id), 1, now).has_value() ? 1 : 0;
    }

    EXPECT_EQ(refused, 0);
}

TEST_F(PaceTest, DelaysWhatFollowsAnAlbum) {
    pace.take(chat, 10, now);

    EXPECT_FALSE(pace.chat_is_ready(chat, now + milliseconds{7900}));
    EXPECT_TRUE(pace.chat_is_ready(chat, now + milliseconds{8000}));
    EXPECT_EQ(pace.bot_allows(now), 0U);
    EXPECT_GE(pace.bot_allows(now + milliseconds{240}), 1U);
}

TEST_F(PaceTest, NamesTheChatsThatWaitAndForgetsThoseAtRest) {
    pace.take(chat, 3, now);
    pace.take(group, 1, now);

    EXPECT_THAT(pace.chats_not_ready(now), ElementsAre(chat));
    EXPECT_EQ(pace.next_ready(now), now + seconds{1});
    EXPECT_THAT(pace.chats_not_ready(now + seconds{1}), IsEmpty());
    EXPECT_THAT(pace.chats_not_ready(now + minutes{1}), IsEmpty());
    EXPECT_EQ(pace.next_ready(now + minutes{1}), std::nullopt);
}

TEST_F(PaceTest, HoldsAChatThatHadTooMany) {
    pace.hold_chat(chat, now + seconds{17}, now);

    EXPECT_FALSE(pace.chat_is_ready(chat, now + milliseconds{16'999}));
    EXPECT_TRUE(pace.chat_is_ready(chat, now + seconds{17}));
    EXPECT_GT(pace.bot_allows(now), 0U) << "others may be written to";
    EXPECT_TRUE(pace.chat_is_ready(chat + 1, now));
}

TEST_F(PaceTest, HoldsEverythingWhenItRepeatsAcrossChats) {
    pace.hold_chat(1, now + seconds{17}, now);
    pace.hold_chat(1, now + seconds{17}, now);
    pace.hold_chat(2, now + seconds{17}, now);
    EXPECT_GT(pace.bot_allows(now), 0U);

    pace.hold_chat(3, now + seconds{17}, now + seconds{1});

    EXPECT_EQ(pace.bot_allows(now + milliseconds{16'999}), 0U);
    EXPECT_GT(pace.bot_allows(now + seconds{17}), 0U);
}

TEST_F(PaceTest, TakesHoldsThatLieApartForChatsOwn) {
    pace.hold_chat(1, now + minutes{1}, now);
    pace.hold_chat(2, now + minutes{1}, now + seconds{6});
    pace.hold_chat(3, now + minutes{1}, now + seconds{12});

    EXPECT_GT(pace.bot_allows(now + seconds{12}), 0U);
}

TEST_F(PaceTest, NeverShortensAHold) {
    pace.hold_all(now + seconds{30});
    pace.hold_all(now + seconds{1});

    EXPECT_EQ(pace.bot_allows(now + seconds{29}), 0U);
}

}  // namespace
}  // namespace runledger
