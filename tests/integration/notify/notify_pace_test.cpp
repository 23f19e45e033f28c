// The notify stage at Telegram's real pace, against a stand-in that enforces it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class NotifyPace : public NotifyFixture {
protected:
    void SetUp() override {
        NotifyFixture::SetUp();
        bot_api_ = std::make_unique<BotApi>(BotApiOptions{.token = std::string(token), .pace = PaceLimits{}});
        config_.api_url = bot_api_->url();
        tuning_.pace = std::nullopt;
    }
};

TEST_F(NotifyPace, NeverMeetsALimit) {
    for (int i = 0; i < 6; ++i) {
        there_is_a_picture(1);
        there_is_a_picture(2);
    }
    for (int chat = 10; chat < 60; ++chat) {
        there_is_a_picture(chat);
    }
    for (int i = 0; i < 3; ++i) {
        there_is_a_picture(-7);
    }

    start();
    all_become_sent();

    EXPECT_THAT(bot_api_->refused(), IsEmpty());
    EXPECT_THAT(sends(), SizeIs(65));
}

TEST_F(NotifyPace, LetsNoChatHoldUpTheOthers) {
    for (int i = 0; i < 150; ++i) {
        there_is_a_picture(1);
    }
    const auto other = there_is_a_picture(2);

    start();
    becomes(other, "sent");

    EXPECT_THAT(bot_api_->sent_to("1"), SizeIs(testing::Le(10)));
    EXPECT_THAT(bot_api_->refused(), IsEmpty());
}

// Each try of a long album waits for the pace, so each is an attempt of its own.
TEST_F(NotifyPace, GivesUpAnAlbumsFormForGoodThoughItWaitsBetweenTheTries) {
    bot_api_->script({.answer = BotAnswer::bad_request("Bad Request: failed to send message #1 with the error message "
                                                       "\"Wrong type of the web page content\""),
                      .calls = -1,
                      .method = "sendMediaGroup"});
    const auto id = there_is({.payload = pictures_payload(5)});
    const auto next = there_is_a_picture();

    start();
    all_become_sent(std::chrono::seconds{40});

    const auto calls = sends();
    ASSERT_THAT(calls, SizeIs(4));
    EXPECT_TRUE(calls[0].mentions("photo"));
    EXPECT_TRUE(calls[1].mentions("document"));
    EXPECT_EQ(calls[2].method, "sendMessage");
    EXPECT_EQ(row(id).state, "sent");
    EXPECT_EQ(row(next).state, "sent");
}

TEST_F(NotifyPace, SendsAnAlbumAsATextThatIsAlwaysTooMany) {
    bot_api_->script({.answer = BotAnswer::too_many_requests(1), .calls = -1, .method = "sendMediaGroup"});
    const auto id = there_is({.payload = pictures_payload(3)});

    start();
    becomes(id, "sent");

    const auto calls = sends();
    ASSERT_THAT(calls, SizeIs(4));
    EXPECT_EQ(calls[2].method, "sendMediaGroup");
    EXPECT_EQ(calls[3].method, "sendMessage");
}

}  // namespace
}  // namespace runledger::test
