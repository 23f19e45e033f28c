// What the notify stage does about links of hosts that it may fetch from, on a real TLS server.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/https_files.hpp"
#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class NotifyMedia : public NotifyFixture {
protected:
    void SetUp() override {
        NotifyFixture::SetUp();
        config_.fetch_hosts = {"media.example"};
        config_.fetch_timeout = std::chrono::seconds{3};
        tuning_.fetch = files_.options();
    }

    std::int64_t there_is_a_link(const std::string& path) {
        return there_is({.payload = picture_payload(HttpsFiles::url(path))});
    }

    HttpsFiles files_;
};

TEST_F(NotifyMedia, UploadsWhatItFetched) {
    const auto id = there_is_a_link("/a.png");

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendPhoto");
    EXPECT_EQ(sends()[0].fields.get("photo"), "attach://file0");
    EXPECT_EQ(sends()[0].fields.uploads.at("file0"), std::string(HttpsFiles::picture).size());
    EXPECT_EQ(sends()[0].fields.get("caption"), "Finished in 12.3 s");
}

TEST_F(NotifyMedia, UploadsADocumentUnderTheNameThatTheRecordGivesIt) {
    const auto id =
        there_is({.payload = fmt::format(
                      R"({{"status": "completed", "hints": {{"send-as": "document", "filename": "mine.png"}}, )"
                      R"("outputs": [{{"images": ["{}"]}}]}})",
                      HttpsFiles::url("/a.png"))});

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendDocument");
    EXPECT_EQ(sends()[0].fields.file_names.at("file0"), "mine.png");
    EXPECT_EQ(row(id).last_error, "");
}

TEST_F(NotifyMedia, GoesOnThoughATurnFailedInTheMiddle) {
    may_log_critical_ = true;
    log_.fails_once_at("a link is not uploaded");
    const auto id = there_is_a_link("/gone");
    const auto next = there_is_a_link("/a.png");

    start();
    becomes(id, "sent");
    becomes(next, "sent");

    EXPECT_EQ(row(id).attempts, 2);
    EXPECT_EQ(row(id).uncertain_attempts, 0);
}

TEST_F(NotifyMedia, UploadsAnAlbumInOneCall) {
    const auto id = there_is(
        {.payload = fmt::format(
             R"({{"status": "completed", "outputs": [{{"images": ["{}", "{}", "https://h.example/c.png"]}}]}})",
             HttpsFiles::url("/a.png"), HttpsFiles::url("/b.png"))});

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendMediaGroup");
    EXPECT_THAT(sends()[0].fields.uploads, SizeIs(2));
    EXPECT_TRUE(sends()[0].mentions("https://h.example/c.png")) << "of another host: Telegram fetches it";
}

TEST_F(NotifyMedia, SaysThatALinkIsDeadAndNeverGivesItToTelegram) {
    const auto id = there_is_a_link("/refused");

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendMessage");
    EXPECT_THAT(sends()[0].fields.get("text"), HasSubstr("links have expired"));
    EXPECT_THAT(row(id).last_error, HasSubstr("403"));
}

TEST_F(NotifyMedia, LinksWhatDoesNotAnswerJustNow) {
    const auto id = there_is_a_link("/broken");

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].method, "sendMessage");
    EXPECT_THAT(sends()[0].fields.get("text"), HasSubstr("<a href=\"https://files.media.example/broken\">a.png</a>"));
}

TEST_F(NotifyMedia, LeavesToTelegramWhatIsTooLargeToHold) {
    const auto id = there_is_a_link("/huge");

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(1));
    EXPECT_EQ(sends()[0].fields.get("photo"), HttpsFiles::url("/huge"));
}

TEST_F(NotifyMedia, NeverConnectsToWhereTheRuleForbids) {
    tuning_.fetch.is_allowed_address = nullptr;
    const auto id = there_is_a_link("/a.png");

    start();
    becomes(id, "sent");

    EXPECT_EQ(files_.requests(), 0);
    EXPECT_EQ(sends()[0].method, "sendMessage");
}

TEST_F(NotifyMedia, TellsAnUploadThatMayHaveArrivedFromOneThatCantHave) {
    bot_api_->script({.answer = BotAnswer::accept_then_drop()});
    const auto id = there_is_a_link("/a.png");

    start();
    becomes(id, "sent");

    ASSERT_THAT(sends(), SizeIs(2));
    EXPECT_TRUE(sends()[1].mentions("Possibly a duplicate"));
    EXPECT_EQ(row(id).uncertain_attempts, 1);
}

TEST_F(NotifyMedia, GivesBackWhatItFetchesForInTheEnd) {
    const auto id = there_is_a_link("/silent");
    start();
    eventually("it is being fetched", [&] { return files_.requests() == 1; });

    stop();

    EXPECT_EQ(row(id).state, "pending");
    EXPECT_EQ(row(id).attempts, 0);
}

}  // namespace
}  // namespace runledger::test
