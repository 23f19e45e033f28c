#include "daemon/telegram/bot_answer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace runledger::telegram {
namespace {

using testing::HasSubstr;

struct Row {
    const char* name;
    CallResult result;
    bool has_media;
    Verdict verdict;
};

CallResult http(long status, std::string body) { return HttpAnswer{.status = status, .body = std::move(body)}; }

CallResult refused(int code, const std::string& description) {
    return http(code,
                R"({"ok":false,"error_code":)" + std::to_string(code) + R"(,"description":")" + description + "\"}");
}

constexpr bool with_media = true;
constexpr bool text_only = false;

class BotAnswers : public testing::TestWithParam<Row> {};

TEST_P(BotAnswers, MeanOneThing) {
    EXPECT_EQ(classify(GetParam().result, GetParam().has_media).verdict, GetParam().verdict);
}

INSTANTIATE_TEST_SUITE_P(
    Documented, BotAnswers,
    testing::Values(
        Row{"sent", http(200, R"({"ok":true,"result":{"message_id":7}})"), text_only, Verdict::sent},
        Row{"sent_without_id", http(200, R"({"ok":true,"result":true})"), text_only, Verdict::sent},
        Row{"too_many", refused(429, "Too Many Requests: retry after 5"), text_only, Verdict::too_many},
        Row{"blocked", refused(403, "Forbidden: bot was blocked by the user"), with_media, Verdict::chat_refused},
        Row{"deactivated", refused(403, "Forbidden: user is deactivated"), with_media, Verdict::chat_refused},
        Row{"forbidden_otherwise", refused(403, "Forbidden: not enough rights"), text_only, Verdict::refused},
        Row{"kicked", refused(403, "Forbidden: bot was kicked from the group chat"), with_media, Verdict::chat_refused},
        Row{"token_wrong", refused(401, "Unauthorized"), with_media, Verdict::unauthorized},
        Row{"token_malformed", refused(404, "Not Found"), with_media, Verdict::unauthorized},
        Row{"no_chat", refused(400, "Bad Request: chat not found"), with_media, Verdict::refused},
        Row{"no_chat_in_text", refused(400, "Bad Request: chat not found"), text_only, Verdict::refused},
        Row{"no_conversation", refused(400, "Bad Request: can't initiate conversation with a user"), with_media,
            Verdict::refused},
        Row{"no_thread", refused(400, "Bad Request: message thread not found"), with_media, Verdict::thread_refused},
        Row{"button_url", refused(400, "Bad Request: BUTTON_URL_INVALID"), with_media, Verdict::buttons_refused},
        Row{"button_url_in_words",
            refused(400, "Bad Request: inline keyboard button URL 'http://localhost' is invalid: Wrong HTTP URL"),
            text_only, Verdict::buttons_refused},
        Row{"button_data", refused(400, "Bad Request: BUTTON_DATA_INVALID"), with_media, Verdict::buttons_refused},
        Row{"too_many_buttons", refused(400, "Bad Request: REPLY_MARKUP_TOO_LONG"), text_only,
            Verdict::buttons_refused},
        Row{"an_edit_that_changes_nothing",
            refused(400,
                    "Bad Request: message is not modified: specified new message content and reply markup are "
                    "exactly the same as a current content and reply markup of the message"),
            text_only, Verdict::refused},
        Row{"no_thread_for_text", refused(400, "Bad Request: message thread not found"), text_only,
            Verdict::thread_refused},
        Row{"too_many_in_an_album",
            refused(
                400,
                R"(Bad Request: failed to send message #2 with the error message \"Too Many Requests: retry after 4\")"),
            with_media, Verdict::too_many},
        Row{"media_in_an_album",
            refused(
                400,
                R"(Bad Request: failed to send message #1 with the error message \"Wrong type of the web page content\")"),
            with_media, Verdict::media_refused},
        Row{"closed", refused(400, "Bad Request: TOPIC_CLOSED"), with_media, Verdict::refused},
        Row{"bad_url", refused(400, "Bad Request: wrong file identifier/HTTP URL specified"), with_media,
            Verdict::media_refused},
        Row{"no_content", refused(400, "Bad Request: failed to get HTTP URL content"), with_media,
            Verdict::media_refused},
        Row{"wrong_type", refused(400, "Bad Request: wrong type of the web page content"), with_media,
            Verdict::media_refused},
        Row{"no_photos_here", refused(400, "Bad Request: not enough rights to send photos to the chat"), with_media,
            Verdict::media_forbidden},
        Row{"no_media_here", refused(400, "Bad Request: CHAT_SEND_MEDIA_FORBIDDEN"), with_media,
            Verdict::media_forbidden},
        Row{"odd_size", refused(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"), with_media, Verdict::media_refused},
        Row{"too_large", refused(413, "Request Entity Too Large"), with_media, Verdict::media_refused},
        Row{"too_large_text", refused(413, "Request Entity Too Large"), text_only, Verdict::refused},
        Row{"bad_text", refused(400, "Bad Request: can't parse entities"), text_only, Verdict::refused},
        Row{"no_text_here", refused(400, "Bad Request: not enough rights to send text messages to the chat"), text_only,
            Verdict::refused},
        Row{"bad_gateway", refused(502, "Bad Gateway"), text_only, Verdict::unavailable},
        Row{"internal", refused(500, "Internal Server Error"), text_only, Verdict::unavailable},
        Row{"code_in_body_counts", http(200, R"({"ok":false,"error_code":403,"description":"Forbidden"})"), text_only,
            Verdict::refused}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Foreign, BotAnswers,
    testing::Values(Row{"proxys_403", http(403, "<html>Forbidden</html>"), text_only, Verdict::unavailable},
                    Row{"proxys_400", http(400, "Bad Request"), with_media, Verdict::unavailable},
                    Row{"proxys_429", http(429, "slow down"), text_only, Verdict::too_many},
                    Row{"proxys_502", http(502, ""), text_only, Verdict::unavailable},
                    Row{"wrong_path", http(404, "<html>"), text_only, Verdict::unauthorized},
                    Row{"login_wanted", http(401, "<html>"), text_only, Verdict::unauthorized},
                    Row{"redirect", http(301, ""), text_only, Verdict::unauthorized},
                    Row{"page_for_an_answer", http(200, "<html>"), text_only, Verdict::uncertain},
                    Row{"empty_200", http(200, ""), text_only, Verdict::uncertain},
                    Row{"json_without_ok", http(200, R"({"result":{}})"), text_only, Verdict::uncertain},
                    Row{"ok_is_a_word", http(200, R"({"ok":"true"})"), text_only, Verdict::uncertain},
                    Row{"json_array", http(403, "[]"), text_only, Verdict::unavailable},
                    Row{"ok_with_a_refusing_status", http(503, R"({"ok":true,"result":{}})"), text_only,
                        Verdict::unavailable},
                    Row{"deep", http(200, std::string(100'000, '[')), text_only, Verdict::uncertain},
                    Row{"not_connected", Broken{.may_have_arrived = false, .why = "Couldn't connect to server"},
                        text_only, Verdict::unreached},
                    Row{"timed_out", Broken{.may_have_arrived = true, .why = "Timeout was reached"}, text_only,
                        Verdict::uncertain}),
    [](const auto& row) { return row.param.name; });

TEST(BotAnswer, TellsTheMessagesId) {
    EXPECT_EQ(classify(http(200, R"({"ok":true,"result":{"message_id":7}})"), text_only).message_id, 7);
    EXPECT_EQ(classify(http(200, R"({"ok":true,"result":[{"message_id":8},{"message_id":9}]})"), with_media).message_id,
              8);
    EXPECT_EQ(classify(http(200, R"({"ok":true,"result":[]})"), with_media).message_id, std::nullopt);
    EXPECT_EQ(classify(http(200, R"({"ok":true,"result":{"message_id":"7"}})"), text_only).message_id, std::nullopt);
}

TEST(BotAnswer, TellsHowLongToWait) {
    using std::chrono::seconds;
    const auto body = R"({"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":17}})";

    EXPECT_EQ(classify(HttpAnswer{.status = 429, .body = body, .retry_after = seconds{3}}, text_only).retry_after,
              seconds{17});
    EXPECT_EQ(classify(HttpAnswer{.status = 429, .body = "", .retry_after = seconds{3}}, text_only).retry_after,
              seconds{3});
    EXPECT_EQ(classify(http(429, ""), text_only).retry_after, seconds{5});
    EXPECT_EQ(
        classify(http(429, R"({"ok":false,"error_code":429,"parameters":{"retry_after":-1}})"), text_only).retry_after,
        seconds{1});
}

TEST(BotAnswer, TellsHowLongAnAlbumsRefusalSaysToWait) {
    const auto answer = classify(
        refused(
            400,
            R"(Bad Request: failed to send message #2 with the error message \"Too Many Requests: retry after 4\")"),
        with_media);

    EXPECT_EQ(answer.retry_after, std::chrono::seconds{4});
}

TEST(BotAnswer, BelievesInNoWaitOfMoreThanADay) {
    const auto body =
        R"({"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":9223372036854775807}})";

    EXPECT_EQ(classify(http(429, body), text_only).retry_after, std::chrono::hours{24});
}

TEST(BotAnswer, TellsTheGroupsNewId) {
    const Answer answer = classify(
        http(
            400,
            R"({"ok":false,"error_code":400,"description":"x","parameters":{"migrate_to_chat_id":-1001234567890123}})"),
        with_media);

    EXPECT_EQ(answer.verdict, Verdict::migrated);
    EXPECT_EQ(answer.migrate_to, -1001234567890123);
}

TEST(BotAnswer, DescribesInOneBoundedLine) {
    const Answer answer = classify(refused(400, R"(a\nb)" + std::string(5000, 'x')), text_only);

    EXPECT_THAT(answer.description, HasSubstr("400 a b"));
    EXPECT_LE(answer.description.size(), 300U);
}

}  // namespace
}  // namespace runledger::telegram
