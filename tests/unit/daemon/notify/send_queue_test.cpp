#include "daemon/notify/send_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class TheSendQueue : public testing::Test {
protected:
    void waits(std::int64_t id, std::int64_t chat_id, std::size_t messages = 1) {
        queue_.add({.id = id, .chat_id = chat_id, .messages = messages, .since = now_});
    }

    SendQueue::Time now_{SendQueue::Time{} + seconds{1000}};
    Pace pace_{PaceLimits{.bot = {10, seconds{1}}, .chat = {1, seconds{1}}, .group = {20, seconds{60}}}};
    SendQueue queue_;
};

TEST_F(TheSendQueue, SendsWhatThePaceAllowsInOrder) {
    waits(1, 101);
    waits(2, 102);
    waits(3, 101);

    EXPECT_THAT(queue_.take_due(now_, pace_).may_go, ElementsAre(1, 2));

    EXPECT_EQ(queue_.messages(), 1U);
    EXPECT_EQ(queue_.ready_at(pace_), now_ + seconds{1});
    EXPECT_THAT(queue_.take_due(now_ + milliseconds{999}, pace_).may_go, IsEmpty());
    EXPECT_THAT(queue_.take_due(now_ + seconds{1}, pace_).may_go, ElementsAre(3));
    EXPECT_TRUE(queue_.is_empty());
}

TEST_F(TheSendQueue, LetsNobodyOvertakeAnAlbumThatWaitsForTheBot) {
    pace_.take(200, 1, now_);
    waits(1, 101, 10);
    waits(2, 102);

    EXPECT_THAT(queue_.take_due(now_, pace_).may_go, IsEmpty());
    EXPECT_THAT(queue_.take_due(now_ + seconds{1}, pace_).may_go, ElementsAre(1));
}

TEST_F(TheSendQueue, LetsOthersOvertakeAMessageThatWaitsForItsChat) {
    pace_.take(101, 1, now_);
    waits(1, 101);
    waits(2, 102);

    EXPECT_THAT(queue_.take_due(now_, pace_).may_go, ElementsAre(2));
}

TEST_F(TheSendQueue, PutsOffWhatWouldWaitForTooLong) {
    pace_.hold_chat(101, now_ + seconds{6}, now_);
    waits(1, 101);
    waits(2, 102);

    const SendQueue::Due due = queue_.take_due(now_, pace_);

    ASSERT_EQ(due.put_off.size(), 1U);
    EXPECT_EQ(due.put_off[0].id, 1);
    EXPECT_EQ(due.put_off[0].delay, seconds{6});
    EXPECT_THAT(due.may_go, ElementsAre(2));
    EXPECT_TRUE(queue_.is_empty());
}

}  // namespace
}  // namespace runledger
