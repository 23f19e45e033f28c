// The options of a message, each as Telegram gets it, and what becomes of one that it refuses.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

class NotifyOptions : public NotifyFixture {
protected:
    std::int64_t there_is_with(const std::string& hints, const std::string& status = "completed") {
        return there_is(
            {.payload = fmt::format(R"({{"status": "{}", "generation_id": 7, "hints": {}, "outputs": [{{"images": )"
                                    R"(["https://h.example/1.png"]}}]}})",
                                    status, hints)});
    }
    BotCall last_send() { return sends().back(); }
};

TEST_F(NotifyOptions, SilenceSuccessAndLeaveFailureLoud) {
    config_.options.silent_success = true;
    start();

    becomes(there_is_with("null"), "sent");
    EXPECT_EQ(last_send().fields.get("disable_notification"), "true");
    becomes(there_is_with("null", "failed"), "sent");
    EXPECT_EQ(last_send().fields.get("disable_notification"), "");
    becomes(there_is_with(R"({"disable_notification": false})"), "sent");
    EXPECT_EQ(last_send().fields.get("disable_notification"), "");
}

TEST_F(NotifyOptions, ProtectTheContentOfAlbumsToo) {
    config_.options.protect_content = true;
    const auto id = there_is({.payload = pictures_payload(2)});

    start();
    becomes(id, "sent");

    EXPECT_EQ(last_send().method, "sendMediaGroup");
    EXPECT_EQ(last_send().fields.get("protect_content"), "true");
}

TEST_F(NotifyOptions, ComeFromTheRecordThatWasSettledAndWhatIsOddIsNamed) {
    settle_somewhere(R"(, "deliveryHints": {"telegram": {"disable_notification": true, "protect_content": "yes"}})");

    start();
    eventually("it is told", [&] { return count_in_state({"sent"}) == 1; });

    EXPECT_EQ(last_send().fields.get("disable_notification"), "true");
    EXPECT_EQ(last_send().fields.get("protect_content"), "");
    EXPECT_THAT(value("SELECT last_error FROM runledger.notifications"),
                HasSubstr("metadata.deliveryHints.telegram.protect_content is neither true nor false"));
}

TEST_F(NotifyOptions, SendDocuments) {
    const auto id = there_is_with(R"({"send-as": "document"})");

    start();
    becomes(id, "sent");

    EXPECT_EQ(last_send().method, "sendDocument");
    EXPECT_EQ(row(id).last_error, "");
}

TEST_F(NotifyOptions, SaySoIfAFileNameCouldNotBeGiven) {
    const auto id = there_is_with(R"({"send-as": "document", "filename": "a.png"})");

    start();
    becomes(id, "sent");

    EXPECT_EQ(row(id).last_error, "the file name needs an upload, and no link's host is in [telegram] fetch_hosts");
}

struct RefusedDocument {
    const char* name;
    BotAnswer answer;
};

class NotifyRefusedDocuments : public NotifyOptions, public testing::WithParamInterface<RefusedDocument> {};

TEST_P(NotifyRefusedDocuments, AreSentAsThePicturesThatTheyAre) {
    bot_api_->script({.answer = GetParam().answer, .calls = -1, .method = "sendDocument"});
    const auto id = there_is_with(R"({"send-as": "document"})");

    start();
    becomes(id, "sent");

    ASSERT_EQ(sends().size(), 2U);
    EXPECT_EQ(last_send().method, "sendPhoto");
    EXPECT_THAT(row(id).last_error, HasSubstr(GetParam().answer.description));
}

INSTANTIATE_TEST_SUITE_P(
    NotifyOptions, NotifyRefusedDocuments,
    testing::Values(RefusedDocument{"not_fetched",
                                    BotAnswer::bad_request("Bad Request: failed to get HTTP URL content")},
                    RefusedDocument{"too_big", {.error_code = 413, .description = "Request Entity Too Large"}},
                    RefusedDocument{"too_big_by_url", BotAnswer::bad_request("Bad Request: file is too big")}),
    [](const auto& row) { return row.param.name; });

TEST_F(NotifyOptions, SendATextIfThePicturesAreRefusedToo) {
    bot_api_->script({.answer = BotAnswer::bad_request("Bad Request: failed to get HTTP URL content"), .calls = 2});
    const auto id = there_is_with(R"({"send-as": "document"})");

    start();
    becomes(id, "sent");

    ASSERT_EQ(sends().size(), 3U);
    EXPECT_EQ(last_send().method, "sendMessage");
    EXPECT_THAT(last_send().fields.get("text"), HasSubstr("https://h.example/1.png"));
}

TEST_F(NotifyOptions, PutButtonsUnderTheMessage) {
    const auto id = there_is_with(R"({"buttons": [[{"text": "Again", "callback_data": "again:{generation_id}"}]]})");

    start();
    becomes(id, "sent");

    EXPECT_EQ(last_send().method, "sendPhoto");
    EXPECT_EQ(last_send().fields.get("reply_markup"),
              R"({"inline_keyboard":[[{"text":"Again","callback_data":"again:7"}]]})");
    EXPECT_EQ(row(id).last_error, "");
}

TEST_F(NotifyOptions, SendTheMessageWithoutTheButtonsThatTelegramRefuses) {
    const auto id = there_is_with(R"({"buttons": [[{"text": "Open", "url": "http://localhost/x"}]]})");

    start();
    becomes(id, "sent");

    ASSERT_EQ(sends().size(), 2U);
    EXPECT_EQ(last_send().method, "sendPhoto") << "only the buttons are left out";
    EXPECT_EQ(last_send().fields.get("reply_markup"), "");
    EXPECT_THAT(row(id).last_error, HasSubstr("inline keyboard button URL 'http://localhost/x' is invalid"));
    EXPECT_EQ(value("SELECT without_buttons || ' ' || fallbacks FROM runledger.notifications"), "true 1");
}

TEST_F(NotifyOptions, RememberTheRefusalOfTheButtonsWhenTheMessageIsTriedAgain) {
    bot_api_->script({.answer = BotAnswer::bad_request("Bad Request: BUTTON_DATA_INVALID"), .calls = 1});
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = 1});
    const auto id = there_is_with(R"({"buttons": [[{"text": "Again", "callback_data": "a"}]]})");

    start();
    becomes(id, "sent");

    ASSERT_EQ(sends().size(), 3U);
    EXPECT_EQ(sends()[1].fields.get("reply_markup"), "");
    EXPECT_EQ(sends()[2].fields.get("reply_markup"), "");
}

TEST_F(NotifyOptions, SendTheButtonsOfAnAlbumBehindIt) {
    config_.options.buttons = {{telegram::make_button({.text = "Again", .url = {}, .callback_data = "{run_id}"})}};
    const auto id = there_is({.payload = pictures_payload(3)});

    start();
    becomes(id, "sent");

    ASSERT_EQ(sends().size(), 2U);
    EXPECT_EQ(sends()[0].method, "sendMediaGroup");
    EXPECT_EQ(sends()[0].fields.get("reply_markup"), "");
    EXPECT_EQ(sends()[1].fields.get("text"), "What next?");
    EXPECT_THAT(sends()[1].fields.get("reply_markup"), HasSubstr("run-1"));
}

TEST_F(NotifyOptions, ChooseTheLanguageOfTheSentences) {
    config_.text.by_language["fr"].set("failed", "Raté");
    config_.text.by_language["de"].set("failed", "Gescheitert");
    config_.text.language = "de";
    start();

    for (const auto& [context, text] :
         {std::pair{R"({"language": "fr-CA"})", "Raté"},
          std::pair{R"({"languageCode": "fr", "platform": "telegram"})", "Raté"},
          std::pair{R"({"language": "it"})", "Gescheitert"}, std::pair{R"({"language": ["fr"]})", "Gescheitert"}}) {
        const auto before = count_in_state({"sent"});
        settle_somewhere(fmt::format(R"(, "notificationContext": {})", context));
        eventually("it is told", [&] { return count_in_state({"sent"}) == before + 1; });
        EXPECT_THAT(last_send().fields.get("text"), HasSubstr(text)) << context;
    }
    EXPECT_THAT(value("SELECT last_error FROM runledger.notifications ORDER BY id DESC LIMIT 1"),
                HasSubstr("metadata.notificationContext.language or languageCode is no language's tag"));
}

TEST_F(NotifyOptions, ThatAreTooLargeAreLeftOut) {
    settle_somewhere(fmt::format(R"(, "deliveryHints": {{"telegram": {{"x": "{}"}}}})", std::string(9000, 'x')));

    start();
    eventually("it is told", [&] { return count_in_state({"sent"}) == 1; });

    EXPECT_EQ(value("SELECT last_error FROM runledger.notifications"),
              "metadata.deliveryHints.telegram has more than 8192 bytes");
}

}  // namespace
}  // namespace runledger::test
