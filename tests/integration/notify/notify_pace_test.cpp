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

}  // namespace
}  // namespace runledger::test
