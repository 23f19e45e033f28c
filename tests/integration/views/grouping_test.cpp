// What of metadata groups costs: the columns, whatever the application writes there; the views by them; and the views
// that name the keys from which nothing could be taken.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/views/views_fixture.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Grouping : public Views {
protected:
    // The columns that are taken from it.
    [[nodiscard]] std::string taken_from(const std::string& metadata) {
        const auto id = insert_metadata(metadata);
        return rows(fmt::format("SELECT group_key, group_size, account_key, tool_key FROM runledger.generations "
                                "WHERE id = {}",
                                id))
            .front();
    }
    [[nodiscard]] std::vector<std::string> unusable() {
        return rows(
            "SELECT key, column_name, reason FROM runledger.unusable_metadata_v1 ORDER BY generation_id, key COLLATE "
            "\"C\"");
    }
    [[nodiscard]] std::vector<std::string> misspelt() {
        return rows("SELECT key, meant FROM runledger.misspelt_metadata_v1 ORDER BY generation_id, key COLLATE \"C\"");
    }
    [[nodiscard]] std::string group(const std::string& id) {
        const auto found =
            rows(fmt::format("SELECT runs, group_size, ended, settled, unpriced, trim_scale(cost_usd), all_ended "
                             "FROM runledger.group_costs_v1 WHERE group_id = '{}'",
                             id));
        return found.empty() ? "none" : found.front();
    }
    void end_run(const std::string& run_id, const std::string& status = "success") {
        apply_events(
            {{event_text({.run_id = run_id}), 0}, {event_text({.run_id = run_id, .status = status}), 1'000'000}});
        ASSERT_EQ(settle(run_id), "settled");
    }
    static std::string of_group(const std::string& run_id, const std::string& more = "") {
        return fmt::format(R"({{"run_id": "{}", "groupId": "g", "costRate": {{"amount": 0.5, "currency": "USD", )"
                           R"("unit": "second"}}{}}})",
                           run_id, more);
    }
};

struct Taken {
    const char* name;
    const char* metadata;
    const char* columns;
};
void PrintTo(const Taken& taken, std::ostream* out) { *out << taken.name; }

class TakenFromMetadata : public Grouping, public testing::WithParamInterface<Taken> {};

TEST_P(TakenFromMetadata, IsTakenOrNullAndNeverRefused) {
    EXPECT_EQ(taken_from(GetParam().metadata), GetParam().columns);
}

INSTANTIATE_TEST_SUITE_P(
    Grouping, TakenFromMetadata,
    testing::Values(
        Taken{"all", R"({"groupId": "g", "groupSize": 3, "accountId": "a", "tool": "t"})", "g 3 a t"},
        Taken{"none", "{}", "- - - -"},  //
        Taken{"parent", R"({"parentRunId": "p"})", "p - - -"},
        Taken{"group_before_parent", R"({"parentRunId": "p", "groupId": "g"})", "g - - -"},
        Taken{"parent_if_the_group_is_unusable", R"({"parentRunId": "p", "groupId": 7})", "p - - -"},
        Taken{"numbers", R"({"groupId": 1, "accountId": 42, "tool": 3.5})", "- - - -"},
        Taken{"objects", R"({"groupId": {}, "groupSize": {}, "accountId": [], "tool": {"a": "b"}})", "- - - -"},
        Taken{"null_and_false", R"({"groupId": null, "groupSize": false, "accountId": true, "tool": null})", "- - - -"},
        Taken{"empty", R"({"groupId": "", "groupSize": "", "accountId": "", "tool": ""})", "- - - -"},
        Taken{"size_as_text", R"({"groupSize": "12"})", "- 12 - -"},
        Taken{"size_with_a_point", R"({"groupSize": 12.0})", "- 12 - -"},
        Taken{"size_zero", R"({"groupSize": 0})", "- - - -"}, Taken{"size_negative", R"({"groupSize": -1})", "- - - -"},
        Taken{"size_broken", R"({"groupSize": 1.5})", "- - - -"},
        Taken{"size_huge", R"({"groupSize": 123456789012345678901234567890})", "- - - -"},
        Taken{"size_exponent", R"({"groupSize": 1e3})", "- 1000 - -"},
        Taken{"an_array", R"(["groupId", "tool"])", "- - - -"}, Taken{"a_number", "7", "- - - -"},
        Taken{"encoded_twice", R"("{\"groupId\": \"g\", \"tool\": \"t\"}")", "g - - t"},
        Taken{"encoded_twice_with_nul", R"("{\"groupId\": \"g\\u0000\", \"tool\": \"t\"}")", "- - - -"},
        Taken{"no_json_in_it", R"("groupId")", "- - - -"}),
    [](const auto& taken) { return taken.param.name; });

TEST_F(Grouping, TakesWordsOfUpTo128Bytes) {
    EXPECT_EQ(taken_from(fmt::format(R"({{"groupId": "{}"}})", std::string(128, 'x'))),
              std::string(128, 'x') + " - - -");
    EXPECT_EQ(taken_from(fmt::format(R"({{"groupId": "{}"}})", std::string(129, 'x'))), "- - - -");
    EXPECT_THAT(unusable(), ElementsAre("groupId group_key a string of more than 128 bytes"));
}

TEST_F(Grouping, NamesWhatItCouldNotTake) {
    insert_metadata(
        R"({"run_id": 7, "groupId": 1, "groupSize": "many", "accountId": {}, "tool": "", "telegramChatId": "@me"})");
    insert_metadata("[]");
    insert_metadata(R"({"groupId": null, "tool": "fine"})");

    EXPECT_THAT(
        unusable(),
        ElementsAre("accountId account_key an object, not a string", "groupId group_key a number, not a string",
                    "groupSize group_size no whole number from 1 to 999999", "run_id run_id a number, not a string",
                    "telegramChatId telegram_chat_id no chat: neither a whole number, a string of digits nor "
                    "@channelname",
                    "tool tool_key an empty string", "- metadata is no JSON object, and no string that holds one"));
}

TEST_F(Grouping, NamesEachChatThatIsNone) {
    insert_metadata(R"({"telegramChatId": "@our_channel"})");
    insert_metadata(R"({"telegramChatId": [42, "@our_channel", "me"]})");
    insert_metadata(R"({"telegramChatId": 42, "notificationContext": {"chatId": "nobody"}})");
    insert_metadata(R"({"telegramChatId": 42, "notificationContext": {"platform": "discord", "chatId": "room"}})");
    insert_metadata(R"({"telegramChatId": {}, "notificationContext": 7})");

    const std::string none = " telegram_chat_id no chat: neither a whole number, a string of digits nor @channelname";
    EXPECT_THAT(unusable(), ElementsAre("telegramChatId[2]" + none, "notificationContext.chatId" + none,
                                        "notificationContext telegram_chat_id no object", "telegramChatId" + none));
}

// What a function or a view takes from metadata is a key of ours, so that a misspelling of it is named.
TEST_F(Grouping, KnowsEveryKeyThatIsRead) {
    const std::string read = R"(
        SELECT DISTINCT key FROM (
            SELECT pg_get_functiondef(oid) FROM pg_proc
            WHERE pronamespace = 'runledger'::regnamespace AND prokind = 'f'
            UNION ALL
            SELECT pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = 'runledger'::regnamespace AND relkind = 'v'
        ) AS made (text)
        CROSS JOIN LATERAL regexp_matches(
            made.text, 'said_in\(\w*\.?metadata\) ->>? ''(\w+)''|_at\(\w*\.?metadata, ''(\w+)''', 'g') AS found (words)
        CROSS JOIN LATERAL (SELECT coalesce(found.words[1], found.words[2])) AS named (key))";

    EXPECT_THAT(rows(read), testing::IsSupersetOf({"run_id", "costRate", "tokenCount", "workflow"}));
    EXPECT_THAT(rows(read + " WHERE key <> ALL (runledger.metadata_words())"), IsEmpty());
}

TEST_F(Grouping, NamesKeysThatLookLikeOurs) {
    insert_metadata(
        R"({"telegramChatID": 1, "groupid": "g", "gpuu": "T4", "RunId": "r", "cost_rate": {}, "tol": "x"})");
    insert_metadata(R"({"telegram_chat_id": 1, "gropuId": "g", "acountId": "a", "parentRunld": "p", "tools": "t"})");
    insert_metadata(R"({"chatid": 1})");
    insert_metadata(R"("{\"gup\": \"T4\"}")");

    EXPECT_THAT(misspelt(), ElementsAre("RunId run_id", "cost_rate costRate", "gpuu gpu", "groupid groupId",
                                        "telegramChatID telegramChatId", "tol tool",  //
                                        "acountId accountId", "gropuId groupId", "parentRunld parentRunId",
                                        "telegram_chat_id telegramChatId", "tools tool",  //
                                        "chatid telegramChatId", "gup gpu"));
}

TEST_F(Grouping, LeavesTheApplicationsOwnKeysAlone) {
    insert_metadata(R"({"cpu": 4, "prompt": "a cat", "workflow": "w", "pool": 1, "user": 2, "run": 3, "g": 1, "": 1})");
    insert_metadata(R"({"telegramChatId": 1, "chatId": 2, "run_id": "r", "runId": "own", "gpu": "T4", "gpus": 2})");
    insert_metadata(R"({"reply_to_message_id": 1, "telegramMessageThreadId": 2, "costRate": {"amuont": 1}})");

    EXPECT_THAT(misspelt(), IsEmpty());
}

TEST_F(Grouping, LooksAtTheLastDaysOnly) {
    insert_metadata(R"({"gpuu": "T4", "groupId": 7})");
    execute("UPDATE runledger.generations SET request_timestamp = now() - interval '8 days'");

    EXPECT_THAT(misspelt(), IsEmpty());
    EXPECT_THAT(unusable(), IsEmpty());
}

TEST_F(Grouping, TakesTheKeysThatTheOwnerChooses) {
    EXPECT_EQ(taken_from(R"({"castId": "c", "groupId": "g", "workflow": "w"})"), "g - - -");

    execute(
        "SELECT runledger.use_metadata_keys('group_key', 'castId', 'cookId', 'groupId');"
        "SELECT runledger.use_metadata_keys('tool_key', 'workflow');"
        "SELECT runledger.use_metadata_keys('account_key', VARIADIC '{}')");

    EXPECT_EQ(taken_from(R"({"castId": "c", "groupId": "g", "workflow": "w", "accountId": "a"})"), "c - - w");
    EXPECT_EQ(taken_from(R"({"cookId": "k", "tool": "t"})"), "k - - -");
    EXPECT_EQ(rows("SELECT group_key FROM runledger.generations ORDER BY id LIMIT 1").front(), "g") << "as it was";
    execute("UPDATE runledger.generations SET metadata = metadata");
    EXPECT_EQ(rows("SELECT group_key FROM runledger.generations ORDER BY id LIMIT 1").front(), "c");
}

// Whatever reads an account or a tool reads the column.
TEST_F(Grouping, TakesThemForQuotesAndChargesToo) {
    execute(
        "SELECT runledger.use_metadata_keys('tool_key', 'model');"
        "SELECT runledger.use_metadata_keys('account_key', 'customer');"
        R"(INSERT INTO runledger.generations (metadata, response_timestamp, status, duration_ms, cost_usd) VALUES
           ('{"tool": "t", "model": "m", "accountId": "a", "customer": "c"}', now(), 'completed', 1, 2))");

    EXPECT_THAT(rows("SELECT kind, name FROM runledger.run_estimates_v1"), ElementsAre("tool m"));
    EXPECT_THAT(rows(R"(SELECT "SubAccountId", "SubAccountName" FROM runledger.focus_costs_v1)"), ElementsAre("c c"));
}

TEST_F(Grouping, RefusesKeysThatCantBe) {
    EXPECT_THAT(error_of("SELECT runledger.use_metadata_keys('group_id', 'x')"), HasSubstr("is none of group_key"));
    EXPECT_THAT(error_of("SELECT runledger.use_metadata_keys('group_key', '')"), HasSubstr("of 1 to 64 bytes"));
    EXPECT_THAT(error_of("SELECT runledger.use_metadata_keys('group_key', 'a', 'b', 'c', 'd')"),
                HasSubstr("not up to three"));
    EXPECT_THAT(error_of("SELECT runledger.use_metadata_keys('group_key', VARIADIC NULL::text[])"),
                HasSubstr("not up to three"));
}

TEST_F(Grouping, AddsAGroupUp) {
    EXPECT_EQ(group("g"), "none");
    insert_metadata(of_group("r-1"));
    insert_metadata(of_group("r-2"));
    insert_metadata(R"({"run_id": "r-3", "groupId": "g"})");
    insert_metadata(R"({"run_id": "r-4", "groupId": "other"})");
    EXPECT_EQ(group("g"), "3 - 0 0 0 - f");

    end_run("r-1");
    end_run("r-2", "failed");
    EXPECT_EQ(group("g"), "3 - 2 2 0 0.5 f");
    end_run("r-3");

    EXPECT_EQ(group("g"), "3 - 3 3 1 0.5 t");
    EXPECT_EQ(group("other"), "1 - 0 0 0 - f");
}

TEST_F(Grouping, WaitsForAsManyAsTheGroupWillHave) {
    insert_metadata(of_group("r-1", R"(, "groupSize": 2)"));
    end_run("r-1");
    EXPECT_EQ(group("g"), "1 2 1 1 0 0.5 f");

    insert_metadata(of_group("r-2"));
    end_run("r-2");

    EXPECT_EQ(group("g"), "2 2 2 2 0 1 t");
}

TEST_F(Grouping, CountsARowThatTheApplicationHasEndedAsNotSettled) {
    execute(R"(INSERT INTO runledger.generations (metadata, status) VALUES ('{"groupId": "g"}', 'failed'))");

    EXPECT_EQ(group("g"), "1 - 1 0 0 - t");
}

TEST_F(Grouping, AddsAccountsAndToolsUpByDay) {
    const auto insert = [&](const std::string& metadata, const std::string& day, const std::string& cost) {
        execute(
            fmt::format("INSERT INTO runledger.generations (metadata, response_timestamp, status, cost_usd) "
                        "VALUES ('{}', '{} 12:00Z', 'completed', {})",
                        metadata, day, cost));
    };
    insert(R"({"accountId": "a", "tool": "t"})", "2025-08-29", "0.1");
    insert(R"({"accountId": "a", "tool": "u"})", "2025-08-29", "0.2");
    insert(R"({"accountId": "b", "tool": "t"})", "2025-08-30", "0.4");
    insert(R"({"accountId": 42})", "2025-08-30", "0.8");

    EXPECT_THAT(rows("SELECT day, account_id, generations, cost_usd FROM runledger.account_costs_v1 "
                     "ORDER BY day, account_id NULLS LAST"),
                ElementsAre("2025-08-29 a 2 0.3", "2025-08-30 b 1 0.4", "2025-08-30 - 1 0.8"));
    EXPECT_THAT(rows("SELECT day, tool, generations, cost_usd FROM runledger.tool_costs_v1 "
                     "ORDER BY day, tool NULLS LAST"),
                ElementsAre("2025-08-29 t 1 0.1", "2025-08-29 u 1 0.2", "2025-08-30 t 1 0.4", "2025-08-30 - 1 0.8"));
}

TEST_F(Grouping, KeepsTheToolOfAForgottenGenerationAndNothingElseOfIt) {
    const auto id =
        insert_metadata(R"({"run_id": "r-1", "groupId": "g", "groupSize": 2, "accountId": "a", "tool": "t"})");

    execute(fmt::format("SELECT runledger.forget_generation({})", id));

    EXPECT_EQ(rows("SELECT group_key, group_size, account_key, tool_key FROM runledger.generations").front(),
              "- - - t");
}

}  // namespace
}  // namespace runledger::test
