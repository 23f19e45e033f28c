// Which links another Bot API server than Telegram's own is given. It may fetch them from inside the operator's
// network, and whoever can post an event chooses them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class NotifyLinks : public NotifyFixture {};

TEST_F(NotifyLinks, ThatLeadInwardsAreTextsToAnotherBotApiServer) {
    const std::vector<std::string> inward{
        "http://169.254.169.254/latest/meta-data/a.png",
        "https://169.254.169.254/a.png",
        "https://2852039166/a.png",
        "https://0xa9.0xfe.0xa9.0xfe/a.png",
        "https://[::ffff:169.254.169.254]/a.png",
        "https://pictures.example:8443/a.png",
        "https://metadata/a.png",
        "https://localhost/a.png",
        "https://metadata.google.internal/a.png",
        "https://printer.local/a.png",
        "http://pictures.example/a.png",
    };
    for (std::size_t i = 0; i < inward.size(); ++i) {
        there_is({.chat_id = static_cast<std::int64_t>(i) + 1, .payload = picture_payload(inward[i])});
    }

    start();
    all_become_sent();

    ASSERT_THAT(sends(), SizeIs(inward.size()));
    for (const BotCall& call : sends()) {
        EXPECT_EQ(call.method, "sendMessage") << call.fields.get("photo");
        EXPECT_THAT(call.fields.get("text"), HasSubstr("a.png</a>")) << "the person can follow it";
    }
    EXPECT_THAT(row(1).last_error,
                AllOf(HasSubstr("is not handed over"), HasSubstr("a.png"), Not(HasSubstr("meta-data"))));
}

TEST_F(NotifyLinks, AreAllTextsIfTheDaemonIsToUpload) {
    config_.links = LinkUse::upload;
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendMessage");
    EXPECT_THAT(sends()[0].fields.get("text"), HasSubstr(picture_url(1)));
}

TEST_F(NotifyLinks, ToPublicNamesAreHandedOver) {
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    EXPECT_EQ(sends()[0].fields.get("photo"), picture_url(1));
    EXPECT_EQ(row(id).last_error, "");
}

}  // namespace
}  // namespace runledger::test
