// Whom metadata names, in every spelling: each chat gets a message of its own, what names nobody says so, and nothing
// that an application writes there ever fails its INSERT or a settlement.
#include <fmt/format.h>

#include <array>
#include <random>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {
namespace {

struct Named {
    const char* name;
    const char* metadata;
    const char* recipients;  // recipient=chat_id, place; or recipient: fault; or recipient elsewhere.
    const char* column;      // generations.telegram_chat_id
};

void PrintTo(const Named& named, std::ostream* out) { *out << named.name; }

constexpr const char* no_chat = "is no chat: neither a whole number, a string of digits nor @channelname";

std::string with_fault(std::string text) {
    for (std::size_t at = text.find("NO CHAT"); at != std::string::npos; at = text.find("NO CHAT")) {
        text.replace(at, 7, no_chat);
    }
    return text;
}

const std::vector<Named>& table() {
    static const std::vector<Named> all{
        {"Number", R"({"telegramChatId": 42})", "42=42", "42"},
        {"Group", R"({"telegramChatId": -1001234567890123.0})", "-1001234567890123=-1001234567890123",
         "-1001234567890123"},
        {"Digits", R"({"telegramChatId": "0042"})", "42=42", "42"},
        {"Channel", R"({"telegramChatId": "@Some_Channel"})", "@some_channel=NAME", "NULL"},
        {"ChannelOfThreeLetters", R"({"telegramChatId": "@abc"})",
         "metadata.telegramChatId: metadata.telegramChatId NO CHAT", "NULL"},
        {"Nobody", "{}", "", "NULL"},
        {"Null", R"({"telegramChatId": null})", "", "NULL"},
        {"EmptyList", R"({"telegramChatId": []})", "", "NULL"},
        {"Several", R"({"telegramChatId": [42, "-43", "@channel", 42.0, "42"]})", "42=42, -43=-43, @channel=NAME",
         "42"},
        {"ChannelFirst", R"({"telegramChatId": ["@channel", 43]})", "@channel=NAME, 43=43", "43"},
        {"OneOfThemBad", R"({"telegramChatId": [42, {}, [43], null, true, 1.5, "x", 44]})",
         "42=42, metadata.telegramChatId[1]: metadata.telegramChatId[1] NO CHAT, "
         "metadata.telegramChatId[2]: metadata.telegramChatId[2] NO CHAT, "
         "metadata.telegramChatId[3]: metadata.telegramChatId[3] NO CHAT, "
         "metadata.telegramChatId[4]: metadata.telegramChatId[4] NO CHAT, "
         "metadata.telegramChatId[5]: metadata.telegramChatId[5] NO CHAT, "
         "metadata.telegramChatId[6]: metadata.telegramChatId[6] NO CHAT, 44=44",
         "42"},
        {"TooMany", R"({"telegramChatId": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22]})",
         "1=1, 2=2, 3=3, 4=4, 5=5, 6=6, 7=7, 8=8, 9=9, 10=10, 11=11, 12=12, 13=13, 14=14, 15=15, 16=16, 17=17, 18=18, "
         "19=19, 20=20, metadata.telegramChatId: metadata.telegramChatId has 22 elements: those after the first 20 get "
         "no message",
         "1"},
        {"ThreadAndReply", R"({"telegramChatId": [42, 43], "message_thread_id": "7", "telegramMessageId": 8})",
         R"(42=42 {"message_thread_id": 7, "reply_to_message_id": 8}, 43=43)", "42"},
        {"BadThread", R"({"telegramChatId": 42, "message_thread_id": "seven", "reply_to_message_id": 0})",
         R"(42=42 {"left_out": "metadata.message_thread_id is no positive whole number"})", "42"},
        {"Context",
         R"({"notificationContext": {"platform": "telegram", "chatId": "42", "replyToMessageId": 8, "messageThreadId": 7, "userId": "u"}})",
         R"(42=42 {"message_thread_id": 7, "reply_to_message_id": 8})", "42"},
        {"ContextWithoutPlatform", R"({"notificationContext": {"chatId": ["@channel", -43]}})",
         "@channel=NAME, -43=-43", "-43"},
        {"PlatformInCapitals", R"({"notificationContext": {"platform": "Telegram", "chatId": 42}})", "42=42", "42"},
        {"BothTheSame",
         R"({"telegramChatId": "42", "notificationContext": {"platform": "telegram", "chatId": 42, "replyToMessageId": 8}})",
         R"(42=42 {"reply_to_message_id": 8})", "42"},
        {"BothAndOthers",
         R"({"telegramChatId": 42, "telegramMessageId": 1, "notificationContext": {"chatId": 43, "replyToMessageId": 8}})",
         R"(42=42 {"reply_to_message_id": 1}, 43=43 {"reply_to_message_id": 8})", "42"},
        {"AnotherPlatform", R"({"notificationContext": {"platform": "discord", "chatId": "99887766"}})",
         "platform discord elsewhere", "NULL"},
        {"AnotherPlatformBesideAChat",
         R"({"telegramChatId": 42, "notificationContext": {"platform": "web", "chatId": 43}})",
         "platform web elsewhere, 42=42", "42"},
        {"PlatformThatLooksLikeAChat",
         R"({"telegramChatId": 42, "notificationContext": {"platform": "42", "chatId": 43}})",
         "platform 42 elsewhere, 42=42", "42"},
        {"PlatformIsNoString", R"({"notificationContext": {"platform": 7, "chatId": 43}})",
         "metadata.notificationContext.platform: metadata.notificationContext.platform is no string", "NULL"},
        {"ContextIsNoObject", R"({"telegramChatId": 42, "notificationContext": "42"})",
         "metadata.notificationContext: metadata.notificationContext is no object, 42=42", "42"},
        {"ContextWithoutChat", R"({"notificationContext": {"platform": "telegram", "userId": 7}})", "", "NULL"},
        {"ContextWithBadPlace",
         R"({"notificationContext": {"chatId": 42, "replyToMessageId": {}, "messageThreadId": -1}})",
         R"(42=42 {"left_out": "metadata.notificationContext.messageThreadId is no positive whole number; )"
         R"(metadata.notificationContext.replyToMessageId is no positive whole number"})",
         "42"},
        {"BadChatInContext", R"({"notificationContext": {"chatId": {"id": 42}}})",
         "metadata.notificationContext.chatId: metadata.notificationContext.chatId NO CHAT", "NULL"},
        {"EncodedTwice", R"("{\"telegramChatId\": [42, \"x\"]}")",
         "42=42, metadata.telegramChatId[1]: metadata.telegramChatId[1] NO CHAT", "42"},
        {"AScalar", "7", "", "NULL"},
        {"AList", R"(["telegramChatId", 42])", "", "NULL"},
        {"TooManyDigits", R"({"telegramChatId": 1234567890123456789})",
         "metadata.telegramChatId: metadata.telegramChatId NO CHAT", "NULL"},
        {"AHugeNumber", R"({"telegramChatId": 1e100000})", "metadata.telegramChatId: metadata.telegramChatId NO CHAT",
         "NULL"},
    };
    return all;
}

class RecipientsOf : public Ledger, public testing::WithParamInterface<Named> {
protected:
    RecipientsOf() : Ledger(DatabaseOf::the_suite) {}
};

TEST_P(RecipientsOf, AreNamedEachOnce) {
    const Named& named = GetParam();
    pqxx::work work(db());

    const auto row = libpqxx::run1(
        work,
        "SELECT coalesce(string_agg(recipient || CASE WHEN is_elsewhere THEN ' elsewhere' WHEN chat_id IS NULL THEN ': "
        "' || "
        "fault WHEN recipient LIKE '@%' THEN CASE WHEN chat_id < -1000000000000000000 THEN '=NAME' ELSE '=' || chat_id "
        "END ELSE '=' || chat_id END || CASE place::text WHEN '{}' THEN '' ELSE ' ' || place::text END, ', '), ''), "
        "coalesce(runledger.chat_id_of($1::jsonb)::text, 'NULL') FROM runledger.recipients_of($1::jsonb)",
        named.metadata);

    EXPECT_EQ(row[0].as<std::string>(), with_fault(named.recipients));
    EXPECT_EQ(row[1].as<std::string>(), named.column);
}

INSTANTIATE_TEST_SUITE_P(Ledger, RecipientsOf, testing::ValuesIn(table()),
                         [](const auto& row) { return row.param.name; });

// Random JSON where the keys are: nothing that is valid jsonb may raise, in the INSERT or in the settlement.
std::string random_json(std::mt19937& random, int depth) {
    static constexpr std::array leaves{"null",
                                       "true",
                                       "42",
                                       "-42",
                                       "0",
                                       "1.5",
                                       "42.000",
                                       "1e300",
                                       "-1e400",
                                       "12345678901234567890",
                                       "\"\"",
                                       "\"42\"",
                                       "\"-7\"",
                                       "\"@channel\"",
                                       "\"@x\"",
                                       "\"@\"",
                                       "\"4 2\"",
                                       "\"\\u0001\"",
                                       "\"\\ud83d\\ude00\"",
                                       "\"telegram\"",
                                       "\"Discord\"",
                                       "\"{\\\"telegramChatId\\\": 1}\"",
                                       "\"\\\\\"",
                                       "[]",
                                       "{}"};
    static constexpr std::array keys{"telegramChatId",
                                     "notificationContext",
                                     "chatId",
                                     "platform",
                                     "replyToMessageId",
                                     "messageThreadId",
                                     "message_thread_id",
                                     "telegramMessageThreadId",
                                     "reply_to_message_id",
                                     "telegramMessageId",
                                     "userId",
                                     "deliveryHints",
                                     "telegram",
                                     "language"};
    const auto pick = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>{0, count - 1}(random);
    };
    const std::size_t shape = depth == 0 ? 2 : depth > 3 ? 0 : pick(4);
    if (shape < 2 && depth > 0) {
        return leaves[pick(leaves.size())];
    }
    const bool is_object = shape == 2;
    std::string json(is_object ? "{" : "[");
    for (std::size_t i = 0, count = pick(5); i < count; ++i) {
        json += i == 0 ? "" : ", ";
        json += is_object ? fmt::format("\"{}\": ", keys[pick(keys.size())]) : "";
        json += random_json(random, depth + 1);
    }
    return json + (is_object ? "}" : "]");
}

TEST_F(Ledger, RaisesOnNoRecipientWhateverMetadataHolds) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);

    for (int i = 0; i < 2000; ++i) {
        const std::string metadata = random_json(random, 0);
        pqxx::work work(db());
        ASSERT_NO_THROW({
            const auto row =
                libpqxx::run1(work,
                              "SELECT count(*), count(DISTINCT recipient), count(*) FILTER (WHERE (chat_id IS NULL) <> "
                              "(fault IS NOT NULL "
                              "OR is_elsewhere)), count(*) FILTER (WHERE recipient IS NULL OR place IS NULL) FROM "
                              "runledger.recipients_of($1::jsonb)",
                              metadata);
            EXPECT_EQ(row[0].as<int>(), row[1].as<int>()) << metadata << ": each is named once";
            EXPECT_EQ(row[2].as<int>(), 0) << metadata << ": a chat, or why there is none";
            EXPECT_EQ(row[3].as<int>(), 0) << metadata;
        }) << metadata;
    }
}

TEST_F(Ledger, SettlesWhateverNamesItsChats) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);

    for (int i = 0; i < 40; ++i) {
        const std::string run = fmt::format("run-{}", i);
        // The run's id comes last: of a key that comes twice, jsonb keeps the last.
        const std::string metadata =
            fmt::format(R"({{"telegramChatId": {}, "notificationContext": {}, "run_id": "{}"}})",
                        random_json(random, 1), random_json(random, 1), run);
        ASSERT_NO_THROW(insert_metadata(metadata)) << metadata;
        apply_events({{event_text({.run_id = run, .status = "failed"}), 0}});
        EXPECT_EQ(settle(run), "settled") << metadata;
        apply_events({{event_text({.run_id = run, .status = "success"}), -1'000'000}});
        EXPECT_EQ(settle(run), "resettled") << metadata;
    }
}

class SeveralChats : public Ledger {
protected:
    std::string outbox() {
        return value(
            "SELECT string_agg(concat_ws(' ', kind, nullif(for_status, ''), recipient, state, payload ->> 'status', "
            "payload ->> 'reply_to_message_id', last_error), ', ' ORDER BY id) FROM runledger.notifications");
    }
    void all_are(const std::string& state, const std::string& condition) {
        pqxx::work work(db());
        work.exec(
            fmt::format("UPDATE runledger.notifications SET state = '{}', sent_at = now() WHERE {}", state, condition));
        work.commit();
    }
};

TEST_F(SeveralChats, GetAMessageEachAndABadOneHarmsNoOther) {
    insert_metadata(R"({"run_id": "run-1", "telegramChatId": [42, "x", "@Channel"], "telegramMessageId": 7,
                        "notificationContext": {"platform": "discord", "chatId": "1"}})");
    apply_events({{event_text({.status = "success", .outputs = "[" + picture("a") + "]"}), 0}});

    EXPECT_EQ(settle("run-1"), "settled");

    EXPECT_EQ(outbox(),
              with_fault("ending platform discord elsewhere completed, ending 42 pending completed 7, "
                         "ending metadata.telegramChatId[1] skipped completed metadata.telegramChatId[1] NO CHAT, "
                         "ending @channel pending completed"));
    EXPECT_EQ(value("SELECT string_agg(recipient, ',' ORDER BY recipient) FROM runledger.failed_notifications_v1"),
              "metadata.telegramChatId[1]")
        << "another platform is no failure";
    EXPECT_EQ(count("notifications WHERE chat_id IS NOT NULL AND jsonb_array_length(payload -> 'outputs') = 1"), 2);
}

TEST_F(SeveralChats, HearOfAChangeByWhatEachWasToldBefore) {
    insert_metadata(R"({"run_id": "run-1", "telegramChatId": [42, 43], "telegramMessageId": 7})");
    apply_events({{event_text({.status = "failed"}), 0}});
    settle("run-1");
    all_are("sent", "recipient = '43'");

    apply_events({{event_text({.status = "success"}), -1'000'000}});
    EXPECT_EQ(settle("run-1"), "resettled");

    EXPECT_EQ(outbox(),
              "ending 42 pending completed 7, ending 43 sent failed, correction completed 43 pending completed");
}

TEST_F(SeveralChats, HearOfACorrectionAfterAllWereTold) {
    insert_metadata(R"({"run_id": "run-1", "telegramChatId": [42, "@channel", "x"]})");
    apply_events({{event_text({.status = "failed"}), 0}});
    settle("run-1");
    all_are("sent", "state = 'pending'");

    apply_events({{event_text({.status = "success"}), -1'000'000}});
    settle("run-1");

    EXPECT_EQ(count("notifications WHERE kind = 'correction' AND state = 'pending'"), 2);
    EXPECT_EQ(count("notifications WHERE kind = 'correction' AND recipient = '@channel' AND chat_id < 0"), 1);
    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications AS n WHERE runledger.is_corrected(n)"), "2")
        << "each by its own";
}

TEST_F(SeveralChats, AreToldAgainIfTheRowComesBackToItsRun) {
    const auto id = insert_metadata(R"({"run_id": "run-1", "telegramChatId": [42, 43]})");
    apply_events({{event_text({.run_id = "run-1", .status = "failed"}), 0},
                  {event_text({.run_id = "run-2", .status = "failed"}), 0}});
    settle("run-1");
    all_are("sent", "recipient = '42'");
    const auto names = [&](const std::string& run) {
        pqxx::work work(db());
        libpqxx::run(work,
                     "UPDATE runledger.generations SET metadata = metadata || jsonb_build_object('run_id', $1::text) "
                     "WHERE id = $2::bigint",
                     run, id);
        work.commit();
    };

    names("run-2");
    settle("run-2");
    names("run-1");
    settle("run-1");

    EXPECT_EQ(value("SELECT string_agg(recipient || ' ' || state, ', ' ORDER BY id) FROM runledger.notifications WHERE "
                    "run_id = 'run-1'"),
              "42 sent, 43 pending");
}

}  // namespace
}  // namespace runledger::test
