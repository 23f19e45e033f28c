#include "daemon/notify/pace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "tests/stand_ins/bot_api_pace.hpp"

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
                now = std::min(end, std::max(pace.next_ready(now).value_or(end), now + milliseconds{1}));
            }
        }
        return sent;
    }
};

TEST_F(PaceTest, LetsAChatBurstThenOneASecond) {
    EXPECT_EQ(sent_within(chat, milliseconds{1}), 3);
    EXPECT_EQ(sent_within(chat, seconds{3}), 0);
    EXPECT_EQ(sent_within(chat, seconds{30}), 30);
}

TEST_F(PaceTest, KeepsWhatWasSentAndHeldWhenItsLimitsChange) {
    pace.hold_chat(7, now + seconds{30}, now);
    EXPECT_EQ(sent_within(chat, milliseconds{1}), 3);
    EXPECT_EQ(sent_within(group, milliseconds{1}), 3);
    const Pace::Time group_is_back = pace.chat_ready_at(group, 18);
    PaceLimits other;
    other.chat.messages = 2;
    other.group.messages = 40;

    pace.change(other);

    EXPECT_FALSE(pace.chat_is_ready(7, now + seconds{29}));
    EXPECT_TRUE(pace.chat_is_ready(7, now + seconds{30}));
    EXPECT_FALSE(pace.chat_is_ready(chat, now)) << "what it has sent counts on";
    EXPECT_EQ(sent_within(chat, seconds{4}), 2);
    EXPECT_LT(pace.chat_ready_at(group, 37), group_is_back) << "twenty more than before";
    EXPECT_GE(pace.chat_ready_at(group, 38), group_is_back);
}

TEST_F(PaceTest, KeepsAGroupToTwentyInAnyMinute) {
    EXPECT_EQ(sent_within(group, minutes{1}), 20);
    EXPECT_EQ(sent_within(group, minutes{1}), 20);
    EXPECT_EQ(sent_within(group, minutes{1}), 20);
}

// Whatever stalls lie between: what was not sent in time may be made up for, but never within less than a window.
TEST_F(PaceTest, KeepsTheBotToThirtyInAnySecondThoughItIsSentUnevenly) {
    std::deque<Pace::Time> sent;
    std::minstd_rand random(7);
    const auto end = now + minutes{1};
    for (std::int64_t id = 1; now < end; now += milliseconds{random() % 90}) {
        for (std::size_t left = pace.bot_allows(now); left > 0; --left) {
            pace.take(id++, 1, now);
            sent.push_back(now);
        }
    }

    for (std::size_t i = 30; i < sent.size(); ++i) {
        ASSERT_GT(sent[i] - sent[i - 30], seconds{1}) << i;
    }
    EXPECT_GE(sent.size(), 60U * 30 * 92 / 100) << "the stalls cost none of the pace";
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

    EXPECT_FALSE(pace.chat_is_ready(chat, now + seconds{9}));
    EXPECT_TRUE(pace.chat_is_ready(chat, now + milliseconds{10'200}));
    EXPECT_EQ(pace.bot_allows(now), 20U);
    EXPECT_EQ(pace.bot_allows(now + milliseconds{1020}), 30U);
}

TEST_F(PaceTest, LetsAnAlbumGoWhenThereIsRoomForAllOfIt) {
    for (std::int64_t other = 1; other <= 25; ++other) {
        pace.take(other, 1, now);
    }
    pace.take(group, 1, now);

    EXPECT_GT(pace.bot_ready_at(10), now);
    EXPECT_LE(pace.bot_ready_at(10), now + milliseconds{1020});
    EXPECT_EQ(pace.chat_ready_at(group, 2), Pace::Time{}) << "two of three are there";
    EXPECT_EQ(pace.chat_ready_at(group, 10), now + milliseconds{3050})
        << "more than a chat's bucket, less than a group's";
    EXPECT_EQ(pace.chat_ready_at(group, 20), now + milliseconds{60'200});
}

TEST_F(PaceTest, NamesTheChatsThatWaitAndForgetsThoseAtRest) {
    pace.take(chat, 3, now);
    pace.take(group, 1, now);

    EXPECT_THAT(pace.chats_not_ready(now), ElementsAre(chat));
    EXPECT_EQ(pace.next_ready(now), now + milliseconds{3050});
    EXPECT_THAT(pace.chats_not_ready(now + milliseconds{3050}), IsEmpty());
    EXPECT_THAT(pace.chats_not_ready(now + minutes{2}), IsEmpty());
    EXPECT_EQ(pace.next_ready(now + minutes{2}), std::nullopt);
    EXPECT_EQ(pace.chats_kept(), 0U);
}

TEST_F(PaceTest, NamesTheChatsThatOnlyNewLimitsHold) {
    pace.take(chat, 2, now);
    EXPECT_THAT(pace.chats_not_ready(now), IsEmpty());
    PaceLimits other;
    other.chat.messages = 2;

    pace.change(other);

    EXPECT_THAT(pace.chats_not_ready(now), ElementsAre(chat));
    EXPECT_EQ(pace.next_ready(now), now + milliseconds{3050});
}

TEST_F(PaceTest, KeepsTheLimitsWhereSeveralDaemonsShareThem) {
    for (const unsigned daemons : {2U, 3U, 4U, 7U, 40U}) {
        const PaceLimits all{};
        const PaceLimits share = divided(all, daemons);
        const auto per_hour = [](const Limit& limit) {
            return static_cast<double>(limit.messages) * 3.6e6 / static_cast<double>(limit.window.count());
        };

        EXPECT_LE(per_hour(share.bot) * daemons, per_hour(all.bot) * 1.0000001) << daemons;
        EXPECT_LE(per_hour(share.chat) * daemons, per_hour(all.chat) * 1.0000001) << daemons;
        EXPECT_LE(per_hour(share.group) * daemons, per_hour(all.group) * 1.0000001) << daemons;
        EXPECT_GE(per_hour(share.bot) * daemons, per_hour(all.bot) * 0.98) << daemons;
        EXPECT_LE(share.bot.messages * daemons, std::max<std::size_t>(30, daemons)) << "no burst is over the limit";
    }
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
