#include "tests/stand_ins/bot_api.hpp"

#include <gmock/gmock.h>

#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

class StandIn : public testing::Test {
protected:
    BotApi api_;

    std::string method_url(std::string_view method, std::string_view token = "100:test-token") const {
        return api_.url() + "/bot" + std::string{token} + "/" + std::string{method};
    }
    HttpAnswer say(std::string_view chat, std::string_view words) const {
        return http_post(method_url("sendMessage"),
                         R"({"chat_id": )" + std::string{chat} + R"(, "text": ")" + std::string{words} + "\"}");
    }
};

TEST_F(StandIn, TakesAMessageAsJsonAsAFormAndAsMultipart) {
    const HttpAnswer json = say("42", "one");
    const HttpAnswer form = http_call({.url = method_url("sendMessage"),
                                       .body = "chat_id=42&text=two%21",
                                       .headers = {"Content-Type: application/x-www-form-urlencoded"}});
    const HttpAnswer multipart = http_call(
        {.url = method_url("sendPhoto"), .parts = {{"chat_id", "42"}, {"caption", "three"}, {"@photo", "bytes"}}});

    EXPECT_EQ(json.status, 200) << json.error;
    EXPECT_THAT(json.body, HasSubstr(R"("message_id":1,)"));
    EXPECT_EQ(form.status, 200) << form.body;
    EXPECT_EQ(multipart.status, 200) << multipart.body;
    const std::vector<BotCall> sent = api_.sent_to("42");
    ASSERT_EQ(sent.size(), 3U);
    EXPECT_EQ(sent[0].fields.get("text"), "one");
    EXPECT_EQ(sent[1].fields.get("text"), "two!");
    EXPECT_EQ(sent[2].fields.get("caption"), "three");
    EXPECT_EQ(sent[2].fields.uploads.at("photo"), 5U);
}

TEST_F(StandIn, RefusesAnotherToken) {
    const HttpAnswer answer = http_get(method_url("getMe", "1:wrong"));

    EXPECT_EQ(answer.status, 401);
    EXPECT_THAT(answer.body, HasSubstr(R"("ok":false)"));
    EXPECT_EQ(http_get(method_url("getMe")).status, 200);
}

TEST_F(StandIn, AnswersAsScriptedAndThenAsUsual) {
    api_.script({.answer = BotAnswer::too_many_requests(7), .calls = 2, .chat_id = "42"});

    const HttpAnswer first = say("42", "a");
    EXPECT_EQ(first.status, 429);
    EXPECT_THAT(first.body, HasSubstr(R"("parameters":{"retry_after":7})"));
    EXPECT_THAT(first.headers, HasSubstr("Retry-After: 7"));
    EXPECT_EQ(say("43", "b").status, 200) << "the rule is for chat 42";
    EXPECT_EQ(say("42", "c").status, 429);
    EXPECT_EQ(say("42", "d").status, 200);
    EXPECT_EQ(api_.refused().size(), 2U);
    EXPECT_EQ(api_.sent_to("42").size(), 1U);
}

TEST_F(StandIn, FetchesMediaAndKeepsABadLinkBad) {
    BotApi telegram({.fetches_media = true});
    const auto show = [&](const std::string& url) {
        return http_post(telegram.url() + "/bot100:test-token/sendPhoto",
                         R"({"chat_id": 42, "photo": ")" + url + "\"}");
    };
    const std::string good = api_.url() + "/_messages";
    const std::string bad = api_.url() + "/nothing.png";

    EXPECT_EQ(show(good).status, 200);
    EXPECT_THAT(show(bad).body, HasSubstr("failed to get HTTP URL content"));
    EXPECT_THAT(show(bad).body, HasSubstr("failed to get HTTP URL content"));

    EXPECT_EQ(telegram.fetched_urls(), (std::vector<std::string>{good, bad})) << "the bad one is not asked again";
}

TEST_F(StandIn, LosesAsManyAnswersAsItIsTold) {
    BotApi telegram({.lost_answers_per_thousand = 100, .seed = 3});
    int lost = 0;
    for (int i = 0; i < 200; ++i) {
        lost +=
            http_post(telegram.url() + "/bot100:test-token/sendMessage", R"({"chat_id": 42, "text": "x"})").status == 0;
    }

    EXPECT_EQ(telegram.accepted().size(), 200U);
    EXPECT_GT(lost, 8);
    EXPECT_LT(lost, 40);
}

TEST_F(StandIn, TellsOfAGroupsNewId) {
    api_.script({.answer = BotAnswer::migrated("-100777"), .calls = -1, .chat_id = "-5"});

    EXPECT_THAT(say("-5", "a").body, HasSubstr(R"("migrate_to_chat_id":-100777)"));
    EXPECT_EQ(say("-5", "a").status, 400);
    EXPECT_EQ(say("-100777", "a").status, 200);
}

TEST_F(StandIn, AcceptsAndDropsTheConnection) {
    api_.script({.answer = BotAnswer::accept_then_drop()});
    api_.script({.answer = BotAnswer::drop()});

    EXPECT_EQ(say("42", "arrived").status, 0);
    EXPECT_EQ(say("42", "lost").status, 0);

    ASSERT_EQ(api_.sent_to("42").size(), 1U);
    EXPECT_TRUE(api_.sent_to("42")[0].mentions("arrived"));
    EXPECT_FALSE(api_.sent_to("42")[0].answered);
}

TEST_F(StandIn, IsSlowWhenToldToAndDoesNotHoldUpItsEnd) {
    api_.script({.answer = BotAnswer::slow(std::chrono::minutes{10})});

    const HttpAnswer answer = http_call({.url = method_url("sendMessage"),
                                         .body = R"({"chat_id": 1, "text": "a"})",
                                         .timeout = std::chrono::milliseconds{200}});

    EXPECT_EQ(answer.status, 0);
    EXPECT_EQ(api_.sent_to("1").size(), 1U) << "it arrived all the same";
}

TEST_F(StandIn, KeepsWhatIsInAChatAsAPersonWouldSeeIt) {
    ASSERT_EQ(say("42", "running").status, 200);
    const std::string edit = R"({"chat_id": 42, "message_id": 1, "text": "half way"})";

    EXPECT_EQ(http_post(method_url("editMessageText"), edit).status, 200);
    EXPECT_THAT(http_post(method_url("editMessageText"), edit).body, HasSubstr("message is not modified"));
    ASSERT_EQ(api_.visible_in("42").size(), 1U);
    EXPECT_EQ(api_.visible_in("42")[0].fields.get("text"), "half way");

    EXPECT_EQ(http_post(method_url("deleteMessage"), R"({"chat_id": 42, "message_id": 1})").status, 200);
    EXPECT_TRUE(api_.visible_in("42").empty());
    EXPECT_THAT(http_post(method_url("editMessageText"), edit).body, HasSubstr("message to edit not found"));
}

TEST_F(StandIn, GivesAnAlbumAMessageForEachPart) {
    const std::string part = R"({\"type\":\"photo\",\"media\":\"https://a/b.png\"})";

    const HttpAnswer answer = http_post(method_url("sendMediaGroup"), R"({"chat_id": 42, "media": ")"
                                                                      "[" +
                                                                          part + "," + part + R"(]"})");

    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(api_.visible_in("42").size(), 2U);
    EXPECT_TRUE(api_.sent_to("42")[0].mentions("https://a/b.png"));
}

TEST_F(StandIn, RefusesConnectionsWhileItIsAwayAndRemembers) {
    ASSERT_EQ(say("42", "before").status, 200);

    api_.goes_away();
    EXPECT_EQ(say("42", "while away").status, 0);
    api_.comes_back();

    EXPECT_EQ(say("42", "after").status, 200);
    EXPECT_EQ(api_.sent_to("42").size(), 2U);
}

TEST_F(StandIn, ShowsWhatItRecorded) {
    ASSERT_EQ(say("42", "seen").status, 200);
    ASSERT_EQ(say("42", "").status, 400);

    const HttpAnswer recorded = http_get(api_.url() + "/_messages");

    EXPECT_THAT(recorded.body, HasSubstr(R"("text":"seen")"));
    EXPECT_THAT(recorded.body, HasSubstr(R"("error_code":400)"));
    EXPECT_THAT(to_line(api_.calls()[0]), HasSubstr("sendMessage chat=42 message_id=1 text=seen"));
}

TEST(StandInWithPace, AnswersTooManyRequests) {
    BotApi api({.pace = PaceLimits{}});
    int refused = 0;

    for (int i = 0; i < 6; ++i) {
        const HttpAnswer answer =
            http_post(api.url() + "/bot100:test-token/sendMessage", R"({"chat_id": 1, "text": "a"})");
        refused += answer.status == 429 ? 1 : 0;
    }

    EXPECT_GE(refused, 1);
    EXPECT_EQ(api.refused().size(), static_cast<std::size_t>(refused));
}

}  // namespace
}  // namespace runledger::test
