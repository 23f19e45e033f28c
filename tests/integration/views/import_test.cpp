// sql/import/json_lines.sql, as docs/application.md has it run.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/integration/views/views_fixture.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Import : public Views {
protected:
    Finished import(const std::string& lines) {
        // Copies, since psql may run as somebody who can't read this checkout.
        folder_.write_file("import.sql",
                           read_text(std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "sql/import/json_lines.sql"));
        folder_.write_file("lines", lines);
        return run_to_end({.argv = {"sh", "-c",
                                    fmt::format("'{}' -X -d '{}' -f import.sql < lines",
                                                (PostgresServer::bin_folder() / "psql").string(), uri())},
                           .cwd = folder_.path()},
                          folder_);
    }

private:
    TempFolder folder_;
};

TEST_F(Import, KeepsEachCharacterAndEachDecimal) {
    const Finished done = import(
        R"({"metadata": {"run_id": "r-1", "costRate": {"amount": 0.1, "currency": "USD", "unit": "second"}, "title": "a \"quoted\"\\path, tab\tline\nünï\u0041"}, "requestTimestamp": "2025-08-29T02:35:38.214159Z", "requestPayload": {"seed": 12345678901234567890123}, "status": "completed", "responseTimestamp": {"$date": "2025-08-29T02:36:00Z"}, "durationMs": 2012.345, "costUsd": {"$numberDecimal": "0.000678160265"}})"
        "\n\n"
        R"({"metadata": {"telegramChatId": "-1001"}, "requestTimestamp": {"$date": "2025-08-30T00:00:00Z"}})"
        "\n");

    EXPECT_TRUE(done.status.clean()) << done.output;
    EXPECT_EQ(done.output, "2 generations imported, 0 were there already\n");
    EXPECT_THAT(rows("SELECT run_id, telegram_chat_id, status, request_timestamp, request_payload ->> 'seed', "
                     "response_timestamp, duration_ms, cost_usd FROM runledger.generations ORDER BY id"),
                ElementsAre("r-1 - completed 2025-08-29 02:35:38.214159+00 12345678901234567890123 "
                            "2025-08-29 02:36:00+00 2012.345 0.000678160265",
                            "- -1001 pending 2025-08-30 00:00:00+00 - - - -"));
    EXPECT_EQ(value("SELECT metadata ->> 'title' FROM runledger.generations WHERE run_id = 'r-1'"),
              "a \"quoted\"\\path, tab\tline\nünïA");
}

// mongoexport --jsonFormat=canonical, and an application that stored extended JSON in its own metadata.
TEST_F(Import, ReadsExtendedJsonWhereverItStands) {
    const Finished done = import(
        R"({"_id": {"$oid": "68b1142a9e1b8c0001a1b2c3"}, "metadata": {"run_id": "r-1", "telegramChatId": {"$numberLong": "-1001234567890123"}, "costRate": {"amount": {"$numberDecimal": "0.000337"}, "currency": "USD", "unit": "second"}, "message_thread_id": {"$numberInt": "7"}, "tags": [{"$numberDouble": "0.5"}, {"$oid": "68b1142a9e1b8c0001a1b2c3"}, {"$numberDouble": "NaN"}]}, "requestTimestamp": {"$date": {"$numberLong": "1756434938214"}}, "requestPayload": {"seed": {"$numberLong": "12345678901234567"}, "at": {"$date": {"$numberLong": "-1"}}, "price": {"$numberDecimal": "1", "of": "two keys: as it is"}}, "status": "completed", "responseTimestamp": {"$date": "2025-08-29T02:36:00Z"}, "durationMs": {"$numberDouble": "2012.345"}, "costUsd": {"$numberDecimal": "6.78160265E-4"}})"
        "\n");

    EXPECT_TRUE(done.status.clean()) << done.output;
    EXPECT_EQ(done.output, "1 generations imported, 0 were there already\n");
    EXPECT_THAT(rows("SELECT run_id, telegram_chat_id, request_timestamp, response_timestamp, duration_ms, cost_usd "
                     "FROM runledger.generations"),
                ElementsAre("r-1 -1001234567890123 2025-08-29 02:35:38.214+00 2025-08-29 02:36:00+00 2012.345 "
                            "0.000678160265"));
    EXPECT_EQ(value("SELECT metadata #>> '{costRate,amount}' || ' ' || (metadata ->> 'message_thread_id') || ' ' || "
                    "(metadata ->> 'tags') FROM runledger.generations"),
              R"(0.000337 7 [0.5, "68b1142a9e1b8c0001a1b2c3", "NaN"])");
    EXPECT_EQ(
        value("SELECT request_payload::text FROM runledger.generations"),
        R"({"at": "1969-12-31T23:59:59.999Z", "seed": 12345678901234567, "price": {"of": "two keys: as it is", "$numberDecimal": "1"}})");
}

TEST_F(Import, PassesByWhatIsThereAlready) {
    insert_generation("r-1");

    const Finished done =
        import(R"({"metadata": {"run_id": "r-1", "telegramChatId": 7}, "requestTimestamp": "2025-08-29T02:35:38Z"})"
               "\n"
               R"({"metadata": {"run_id": "r-2"}, "requestTimestamp": "2025-08-29T02:35:38Z"})");

    EXPECT_EQ(done.output, "1 generations imported, 1 were there already\n");
    EXPECT_THAT(rows("SELECT run_id, telegram_chat_id FROM runledger.generations ORDER BY run_id"),
                ElementsAre("r-1 42", "r-2 -"));
}

TEST_F(Import, NamesEachBadLineAndImportsNone) {
    const Finished done = import(R"({"metadata": {"run_id": "r-1"}, "requestTimestamp": "2025-08-29T02:35:38Z"})"
                                 "\n{\"metadata\": {\n"
                                 R"({"metadata": "none", "requestTimestamp": "2025-08-29T02:35:38Z"})"
                                 "\n"
                                 R"({"metadata": {}})"
                                 "\n"
                                 R"({"metadata": {}, "requestTimestamp": "yesterday-ish"})"
                                 "\n"
                                 R"({"metadata": {}, "requestTimestamp": "2025-08-29T02:35:38Z", "status": "done"})"
                                 "\n"
                                 R"({"metadata": {"title": "\u0000"}, "requestTimestamp": "2025-08-29T02:35:38Z"})"
                                 "\n");

    EXPECT_FALSE(done.status.clean());
    EXPECT_THAT(done.output, HasSubstr("line 2: invalid input syntax for type json"));
    EXPECT_THAT(done.output, HasSubstr("line 3: no document with an object metadata"));
    EXPECT_THAT(done.output, HasSubstr("line 4: null value in column \"request_timestamp\""));
    EXPECT_THAT(done.output, HasSubstr("line 5: invalid input syntax for type timestamp with time zone"));
    EXPECT_THAT(done.output, HasSubstr("line 6: new row for relation \"generations\" violates check constraint"));
    EXPECT_THAT(done.output, HasSubstr("line 7: unsupported Unicode escape sequence"));
    EXPECT_THAT(done.output, HasSubstr("6 of 7 lines were refused: nothing was imported"));
    EXPECT_EQ(count("generations"), 0);
}

}  // namespace
}  // namespace runledger::test
