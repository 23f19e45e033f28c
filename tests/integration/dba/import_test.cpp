// `runledger import`: documents of a document store, a line each, from a file that grows.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "tests/integration/dba/dba_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;

// As mongoexport writes it, of the application that this was first described for.
std::string document(int number, std::string_view status = "success", std::string_view cost = "0.25") {
    return fmt::format(
        R"({{"_id": {{"$oid": "68b1142a9e1b8c0001{:06x}"}}, "userId": {{"$oid": "68b1142a9e1b8c0001ffffff"}}, "serviceName": "comfy", "metadata": {{"run_id": "r-{}", "telegramChatId": {{"$numberLong": "42"}}}}, "requestTimestamp": {{"$date": {{"$numberLong": "1756434938214"}}}}, "status": "{}", "responseTimestamp": {{"$date": "2025-08-29T02:36:00Z"}}, "durationMs": {{"$numberDouble": "2012.345"}}, "costUsd": {{"$numberDecimal": "{}"}}}})",
        number, number, status, cost);
}

class ImportCommand : public Dba {
protected:
    void SetUp() override {
        migrate();
        run("INSERT INTO runledger.status_words (word, status) VALUES ('success', 'completed'), ('timeout', 'failed')");
    }
    [[nodiscard]] std::filesystem::path file() const { return folder().path() / "documents.jsonl"; }
    void append(const std::string& text) const { std::ofstream(file(), std::ios::app) << text; }
    void write(const std::string& text) const { std::ofstream(file(), std::ios::trunc) << text; }
    [[nodiscard]] Finished import(std::vector<std::string> more = {}) const {
        std::vector<std::string> words{"import", file().string()};
        words.insert(words.end(), more.begin(), more.end());
        return tool(words);
    }
    [[nodiscard]] std::string count() const { return value("SELECT count(*) FROM runledger.generations"); }
};

TEST_F(ImportCommand, KeepsTheDocumentsKeyItsUserAndEachDigit) {
    append(document(1, "success", "0.000678160265") + "\n");

    const Finished done = import();

    EXPECT_TRUE(done.status.clean()) << done.output;
    EXPECT_EQ(done.output, "1 imported, 0 changed, 0 there already, 0 refused\n");
    EXPECT_EQ(value("SELECT run_id || ' ' || telegram_chat_id || ' ' || status || ' ' || application_status || ' ' || "
                    "request_timestamp || ' ' || response_timestamp || ' ' || duration_ms || ' ' || cost_usd FROM "
                    "runledger.generations"),
              "r-1 42 completed success 2025-08-29 02:35:38.214+00 2025-08-29 02:36:00+00 2012.345 0.000678160265");
    EXPECT_EQ(value("SELECT concat_ws(' ', metadata ->> '_id', metadata ->> 'userId', metadata ->> 'serviceName') FROM "
                    "runledger.generations"),
              "68b1142a9e1b8c0001000001 68b1142a9e1b8c0001ffffff comfy");
}

TEST_F(ImportCommand, KeepsEachCharacterAndEachDecimal) {
    append(
        R"({"metadata": {"run_id": "r-1", "costRate": {"amount": 0.1, "currency": "USD", "unit": "second"}, "title": "a \"quoted\"\\path, tab\tline\nünï\u0041"}, "requestTimestamp": "2025-08-29T02:35:38.214159Z", "requestPayload": {"seed": 12345678901234567890123}, "status": "completed", "responseTimestamp": {"$date": "2025-08-29T02:36:00Z"}, "durationMs": 2012.345, "costUsd": {"$numberDecimal": "0.000678160265"}})"
        "\r\n\n"
        R"({"metadata": {"telegramChatId": "-1001"}, "requestTimestamp": {"$date": "2025-08-30T00:00:00Z"}})"
        "\n");

    EXPECT_EQ(import().output, "2 imported, 0 changed, 0 there already, 0 refused\n");

    EXPECT_EQ(value("SELECT concat_ws(' ', run_id, telegram_chat_id, status, request_timestamp, request_payload ->> "
                    "'seed', duration_ms, cost_usd) FROM runledger.generations ORDER BY id LIMIT 1"),
              "r-1 completed 2025-08-29 02:35:38.214159+00 12345678901234567890123 2012.345 0.000678160265");
    EXPECT_EQ(value("SELECT metadata ->> 'title' FROM runledger.generations WHERE run_id = 'r-1'"),
              "a \"quoted\"\\path, tab\tline\nünïA");
    EXPECT_EQ(value("SELECT status || telegram_chat_id FROM runledger.generations WHERE run_id IS NULL"),
              "pending-1001");
}

// mongoexport --jsonFormat=canonical, and an application that stored extended JSON in its own metadata.
TEST_F(ImportCommand, ReadsExtendedJsonWhereverItStands) {
    append(
        R"({"_id": {"$oid": "68b1142a9e1b8c0001a1b2c3"}, "metadata": {"run_id": "r-1", "telegramChatId": {"$numberLong": "-1001234567890123"}, "costRate": {"amount": {"$numberDecimal": "0.000337"}, "currency": "USD", "unit": "second"}, "message_thread_id": {"$numberInt": "7"}, "tags": [{"$numberDouble": "0.5"}, {"$oid": "68b1142a9e1b8c0001a1b2c3"}, {"$numberDouble": "NaN"}]}, "requestTimestamp": {"$date": {"$numberLong": "1756434938214"}}, "requestPayload": {"seed": {"$numberLong": "12345678901234567"}, "at": {"$date": {"$numberLong": "-1"}}, "price": {"$numberDecimal": "1", "of": "two keys: as it is"}}, "status": "completed", "responseTimestamp": {"$date": "2025-08-29T02:36:00Z"}, "durationMs": {"$numberDouble": "NaN"}, "costUsd": {"$numberDecimal": "6.78160265E-4"}})"
        "\n");

    EXPECT_TRUE(import().status.clean());

    EXPECT_EQ(
        value("SELECT concat_ws(' ', telegram_chat_id, request_timestamp, response_timestamp, duration_ms, cost_usd) "
              "FROM runledger.generations"),
        "-1001234567890123 2025-08-29 02:35:38.214+00 2025-08-29 02:36:00+00 0.000678160265");
    EXPECT_EQ(value("SELECT metadata #>> '{costRate,amount}' || ' ' || (metadata ->> 'message_thread_id') || ' ' || "
                    "(metadata ->> 'tags') FROM runledger.generations"),
              R"(0.000337 7 [0.5, "68b1142a9e1b8c0001a1b2c3", "NaN"])");
    EXPECT_EQ(
        value("SELECT request_payload::text FROM runledger.generations"),
        R"({"at": "1969-12-31T23:59:59.999Z", "seed": 12345678901234567, "price": {"of": "two keys: as it is", "$numberDecimal": "1"}})");
}

TEST_F(ImportCommand, TakesNoNumberAndNoTimeThatNoViewCanAddUp) {
    const auto line = [this](const std::string& members) { append(R"({"metadata": {}, )" + members + "}\n"); };
    const std::string at = R"("requestTimestamp": "2025-08-29T02:35:38Z", )";
    line(at + R"("costUsd": "inf", "durationMs": "nan")");
    line(at + R"("costUsd": {"$numberDouble": "Nan"}, "durationMs": "-Infinity")");
    line(at + R"("costUsd": 1e30)");
    line(at + R"("durationMs": 9e15)");
    line(R"("requestTimestamp": "-infinity")");
    line(R"("requestTimestamp": "now")");
    line(R"("requestTimestamp": "10000-01-01T00:00:00Z")");
    line(R"("requestTimestamp": {"$date": {"$numberLong": "-999999999999999"}})");
    line(at + R"("responseTimestamp": "0044-03-15T12:00:00Z BC")");

    EXPECT_THAT(import().output, HasSubstr("2 imported, 0 changed, 0 there already, 7 refused"));

    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations WHERE cost_usd IS NULL AND duration_ms IS NULL"), "2");
    EXPECT_EQ(value("SELECT string_agg(regexp_replace(reason, '^.*constraint ', ''), ', ' ORDER BY line_number) "
                    "FROM runledger.import_refusals"),
              "\"generations_cost_is_finite\", \"generations_duration_is_finite\", "
              "requestTimestamp is no time of the years 1970 to 9999, "
              "requestTimestamp is no time of the years 1970 to 9999, "
              "requestTimestamp is no time of the years 1970 to 9999, "
              "requestTimestamp is no time of the years 1970 to 9999, "
              "responseTimestamp is no time of the years 1970 to 9999");
}

TEST_F(ImportCommand, NamesWhatIsWrongInEachLine) {
    append(
        "{\"metadata\": {\n"
        R"({"metadata": "none", "requestTimestamp": "2025-08-29T02:35:38Z"})"
        "\n"
        R"({"metadata": {}})"
        "\n"
        R"({"metadata": {}, "requestTimestamp": "yesterday-ish"})"
        "\n"
        R"({"metadata": {}, "requestTimestamp": "2025-08-29T02:35:38Z", "costUsd": "much"})"
        "\n"
        R"({"metadata": {"title": "\u0000"}, "requestTimestamp": "2025-08-29T02:35:38Z"})"
        "\n");

    const Finished done = import();

    for (const char* said :
         {"line 1: invalid input syntax for type json", "line 2: it is no document with an object metadata",
          "line 3: it has no requestTimestamp", "line 4: requestTimestamp is no time of the years 1970 to 9999",
          "line 5: costUsd is no number", "line 6: unsupported Unicode escape sequence"}) {
        EXPECT_THAT(done.output, HasSubstr(said));
    }
    EXPECT_EQ(count(), "0");
}

TEST_F(ImportCommand, GoesOnWhereItWasAndImportsNoDocumentTwice) {
    append(document(1) + "\n" + document(2) + "\n");
    ASSERT_TRUE(import().status.clean());
    append(document(3) + "\n" + document(2) + "\n");

    EXPECT_EQ(import().output, "1 imported, 0 changed, 1 there already, 0 refused\n");
    EXPECT_EQ(import().output, "0 imported, 0 changed, 0 there already, 0 refused\n");
    EXPECT_EQ(import({"--again"}).output, "0 imported, 0 changed, 4 there already, 0 refused\n");
    EXPECT_EQ(count(), "3");
    EXPECT_EQ(value("SELECT line_count || ' ' || (position_bytes > 0) FROM runledger.imports"), "4 true");
}

TEST_F(ImportCommand, TakesWhatIsNewInADocumentButNoSecondEnding) {
    append(document(1, "pending") + "\n");
    ASSERT_TRUE(import().status.clean());
    append(document(1, "success", "0.5") + "\n" + document(1, "timeout", "0.75") + "\n");

    EXPECT_EQ(import().output, "0 imported, 2 changed, 0 there already, 0 refused\n");

    EXPECT_EQ(value("SELECT status || ' ' || cost_usd FROM runledger.generations"), "completed 0.5");
}

// With --follow a document usually comes twice: when it was asked for, and when it has ended.
TEST_F(ImportCommand, TellsNobodyOfAnEndingThatALaterDocumentBrings) {
    append(document(1, "pending") + "\n");
    ASSERT_TRUE(import().status.clean());
    EXPECT_EQ(value("SELECT count(adopted_at) FROM runledger.generations"), "0");
    append(document(1) + "\n");
    ASSERT_TRUE(import().status.clean());

    run("INSERT INTO runledger.webhook_settings (to_url, host_suffixes, metadata_keys, events) VALUES (true, '{}', "
        "'{}', '{settled}');"
        "INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, "
        "event_count) VALUES ('r-1', 'success', 'success', now(), 1, 0);"
        "SELECT runledger.settle_run('r-1', '0', '7 days')");

    EXPECT_EQ(value("SELECT count(adopted_at) FROM runledger.generations"), "1");
    EXPECT_EQ(value("SELECT string_agg(channel || ' ' || state, ', ') FROM runledger.notifications"),
              "webhook skipped");
}

// No day and no sum has them.
TEST_F(ImportCommand, CountsTheEndedWithoutATimeUntilItIsGivenTheKeys) {
    append(
        R"({"_id": 1, "metadata": {}, "requestTimestamp": "2025-08-29T02:35:38Z", "createdAt": "2025-08-28T00:00:00Z", "status": "completed", "finishedAt": {"$date": "2025-08-29T02:36:00Z"}, "costUsd": 0.25})"
        "\n"
        R"({"_id": 2, "metadata": {}, "requestTimestamp": "2025-08-29T02:35:38Z", "status": "pending"})"
        "\n");
    const auto priced = [this] { return value("SELECT coalesce(sum(priced), 0) FROM runledger.day_costs_v1"); };

    const Finished without = import();
    EXPECT_EQ(without.output,
              "2 imported, 0 changed, 0 there already, 0 refused, 1 without the time of their ending\n");
    EXPECT_EQ(without.status.code, 0);
    EXPECT_EQ(priced(), "0");

    EXPECT_EQ(
        import({"--again", "--requested-at", "createdAt,requestTimestamp", "--ended-at", "endedAt,finishedAt"}).output,
        "0 imported, 1 changed, 1 there already, 0 refused\n");
    EXPECT_EQ(
        value("SELECT request_timestamp || ' ' || response_timestamp || ' ' || metadata FROM "
              "runledger.generations WHERE metadata ->> '_id' = '1'"),
        R"(2025-08-28 00:00:00+00 2025-08-29 02:36:00+00 {"_id": 1, "requestTimestamp": "2025-08-29T02:35:38Z"})");
    EXPECT_EQ(priced(), "1");
}

TEST_F(ImportCommand, NamesABadLineAndGoesOn) {
    append(document(1) + "\n\n{\"metadata\"\n" + document(2, "refunded") + "\n\xff\n" + document(3) + "\n" +
           document(4, "success", "-1") + "\n");

    const Finished done = import();

    EXPECT_EQ(done.status.code, 3) << done.output;
    EXPECT_THAT(done.output, HasSubstr("2 imported, 0 changed, 0 there already, 4 refused"));
    for (const char* said : {"line 3: ", "line 4: nobody has said what its status 'refunded' means",
                             "line 5: ", "line 7: new row for relation"}) {
        EXPECT_THAT(done.output, HasSubstr(said));
    }
    EXPECT_EQ(value("SELECT string_agg(line_number::text, ' ' ORDER BY line_number) FROM runledger.import_refusals"),
              "3 4 5 7");
    run("INSERT INTO runledger.status_words (word, status) VALUES ('refunded', 'completed')");
    EXPECT_THAT(import({"--again"}).output, HasSubstr("1 imported, 0 changed, 2 there already, 3 refused"));
    EXPECT_EQ(value("SELECT string_agg(line_number::text, ' ' ORDER BY line_number) FROM runledger.import_refusals"),
              "3 5 7");
}

TEST_F(ImportCommand, EndsAtABadLineIfItIsToBeStrict) {
    append(document(1) + "\nno document\n" + document(2) + "\n");

    const Finished done = import({"--strict"});

    EXPECT_EQ(done.status.code, 1);
    EXPECT_THAT(done.output, HasSubstr("line 2: "));
    EXPECT_EQ(count(), "0");
}

TEST_F(ImportCommand, LeavesALineThatIsStillBeingWritten) {
    const std::string half = document(2);
    append(document(1) + "\n" + half.substr(0, 50));

    const Finished first = import();
    EXPECT_EQ(first.status.code, 3);
    EXPECT_THAT(first.output, HasSubstr("line 2, the last one, has no end"));
    EXPECT_EQ(value("SELECT count(*) FROM runledger.import_refusals"), "0");
    append(half.substr(50));

    EXPECT_EQ(import().output, "1 imported, 0 changed, 0 there already, 0 refused\n");
    EXPECT_EQ(count(), "2");
}

TEST_F(ImportCommand, ReadsAnotherFileOfTheSameNameFromItsBeginning) {
    append(document(1) + "\n");
    ASSERT_TRUE(import().status.clean());
    write(document(2) + "\n" + document(3) + "\n");

    const Finished done = import();

    EXPECT_THAT(done.output, HasSubstr("is another file"));
    EXPECT_THAT(done.output, HasSubstr("2 imported"));
}

// It is the same file if all that was read is there still, not if some of it is.
TEST_F(ImportCommand, ReadsAnotherFileThatHasMuchInCommonFromItsBeginning) {
    const auto lines = [](int changed) {
        std::string text;
        for (int number = 1; number <= 40; ++number) {
            text += document(number == changed ? 900 + number : number + 100) + "\n";
        }
        return text;
    };
    write(lines(0));
    ASSERT_TRUE(import().status.clean());
    for (const int changed : {1, 20, 40}) {
        write(lines(changed));

        const Finished done = import();

        EXPECT_THAT(done.output, HasSubstr("is another file")) << changed;
        EXPECT_THAT(done.output, HasSubstr("1 imported, 0 changed, 39 there already")) << changed;
    }
    // A copy that was continued elsewhere is none.
    const auto copy = folder().path() / "copy.jsonl";
    std::filesystem::copy_file(file(), copy);
    std::filesystem::rename(copy, file());
    append(document(950) + "\n");
    EXPECT_EQ(import().output, "1 imported, 0 changed, 0 there already, 0 refused\n");
}

// Two ids are one only if the document store takes them for one.
TEST_F(ImportCommand, KeepsDocumentsWithDifferentIdsApart) {
    const char* row = R"({{"_id": {}, "metadata": {{}}, "requestTimestamp": "2025-08-29T02:35:38Z"}})";
    const std::vector<std::string> ids{"1",
                                       R"("1")",
                                       R"({"$oid": "68b1142a9e1b8c0001a1b2c3"})",
                                       R"("68b1142a9e1b8c0001a1b2c3")",
                                       R"({"$date": "2025-08-29T02:35:38.000Z"})",
                                       R"("2025-08-29T02:35:38.000Z")",
                                       "true",
                                       R"("true")",
                                       R"({"a": 1})",
                                       R"("{\"a\": 1}")",
                                       R"([1])",
                                       R"({"$numberDouble": "NaN"})",
                                       R"("NaN")"};
    for (const std::string& id : ids) {
        append(fmt::format(fmt::runtime(row), id) + "\n");
    }

    EXPECT_EQ(import().output, fmt::format("{} imported, 0 changed, 0 there already, 0 refused\n", ids.size()));

    // The same ids as the other form of extended JSON writes them.
    for (const char* id :
         {R"({"$numberInt": "1"})", R"({"$numberLong": "1"})", R"({"$date": {"$numberLong": "1756434938000"}})",
          R"({"a": {"$numberInt": "1"}})", R"([{"$numberInt": "1"}])"}) {
        append(fmt::format(fmt::runtime(row), id) + "\n");
    }
    EXPECT_EQ(import().status.code, 0);
    EXPECT_EQ(count(), std::to_string(ids.size()));
}

// A document that is left out is counted as refused, unless it is there.
TEST_F(ImportCommand, RefusesAnotherDocumentAboutARunThatIsThere) {
    const char* row =
        R"({{{}"metadata": {{"run_id": "r-1"}}, "requestTimestamp": "2025-08-29T02:35:38Z", "costUsd": {}}})";
    append(fmt::format(fmt::runtime(row), R"("_id": "y1", )", 1) + "\n");
    append(fmt::format(fmt::runtime(row), R"("_id": "y2", )", 3) + "\n");
    append(fmt::format(fmt::runtime(row), "", 4) + "\n");

    const Finished done = import();

    EXPECT_THAT(done.output, HasSubstr("1 imported, 0 changed, 1 there already, 1 refused"));
    EXPECT_THAT(done.output, HasSubstr("line 2: another generation has its run_id"));
    EXPECT_EQ(value("SELECT line_number FROM runledger.import_refusals"), "2");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.imported_documents"), "1");
}

TEST_F(ImportCommand, ReadsStandardInput) {
    append(document(1) + "\n" + document(2));
    const auto configuration = folder().write_file(
        "owner.toml", fmt::format("[postgres]\nuri = \"{}\"\n", server().uri_as("ledger_owner", database())));
    const auto program =
        install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger");

    const Finished done = run_to_end({.argv = {"sh", "-c",
                                               fmt::format("'{}' --config '{}' import - < '{}'", program.string(),
                                                           configuration.string(), file().string())}},
                                     folder());

    EXPECT_EQ(done.output, "2 imported, 0 changed, 0 there already, 0 refused\n");
}

TEST_F(ImportCommand, FollowsAFileThroughAKill) {
    append("");
    const auto configuration = folder().write_file(
        "owner.toml", fmt::format("[postgres]\nuri = \"{}\"\n", server().uri_as("ledger_owner", database())));
    const auto program =
        install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger");
    const Command follow{
        .argv = {program.string(), "--config", configuration.string(), "import", "--follow", file().string()}};
    const std::string last = document(700);
    {
        ChildProcess importer(follow);
        for (int number = 1; number <= 600; ++number) {
            append(document(number) + "\n");
        }
        append(last.substr(0, 40));
        eventually("the complete lines are imported", [&] { return count() == "600"; });
        importer.kill();
    }
    for (int number = 601; number < 700; ++number) {
        append(number == 601 ? last.substr(40) + "\n" : document(number) + "\n");
    }

    ChildProcess importer(follow);

    eventually("the rest is imported", [&] { return count() == "699"; });
    std::filesystem::remove(file());
    write(document(800) + "\n");
    eventually("the new file is imported", [&] { return count() == "700"; });
    EXPECT_EQ(value("SELECT count(*) FROM runledger.import_refusals"), "0");
    EXPECT_TRUE(importer.running());
    importer.signal(SIGTERM);
}

// A writer that ends its lines late, and a rotation; and one that was cut off in the middle of a line.
TEST_F(ImportCommand, FollowsAFileToItsLastDocumentThoughItIsReplaced) {
    append(document(1) + "\n" + document(2));
    const auto configuration = folder().write_file(
        "owner.toml", fmt::format("[postgres]\nuri = \"{}\"\n", server().uri_as("ledger_owner", database())));
    const auto program =
        install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger");
    ChildProcess importer(
        Command{.argv = {program.string(), "--config", configuration.string(), "import", "--follow", file().string()}});
    eventually("the first is imported", [&] { return count() == "1"; });

    std::filesystem::rename(file(), folder().path() / "documents.1");
    write(document(3) + "\n" + document(4).substr(0, 60));
    eventually("the new file is imported",
               [&] { return value("SELECT count(*) FROM runledger.generations WHERE run_id = 'r-3'") == "1"; });
    EXPECT_EQ(count(), "3");
    write(document(5) + "\n" + document(6));  // Cut to nothing and written anew.
    eventually("and the next",
               [&] { return value("SELECT count(*) FROM runledger.generations WHERE run_id = 'r-5'") == "1"; });
    std::filesystem::remove(file());
    write(document(7) + "\n");
    eventually("and the last",
               [&] { return value("SELECT count(*) FROM runledger.generations WHERE run_id = 'r-7'") == "1"; });

    EXPECT_EQ(count(), "6");
    EXPECT_EQ(value("SELECT refused FROM runledger.imports"), "1") << "the half of a document";
    importer.signal(SIGTERM);
}

TEST_F(ImportCommand, DoesNotBringBackWhoWasForgotten) {
    append(document(1) + "\n");
    ASSERT_TRUE(import().status.clean());
    ASSERT_TRUE(tool({"forget", "--chat", "42"}).status.clean());
    append(document(1, "success", "0.75") + "\n");

    EXPECT_EQ(import().output, "0 imported, 0 changed, 1 there already, 0 refused\n");

    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations WHERE metadata::text LIKE '%ffffff%'"), "0");
    EXPECT_EQ(value("SELECT generation_id FROM runledger.imported_documents"), "NULL");
}

TEST_F(ImportCommand, KeepsAnEndingWhoseRunTheLedgerHas) {
    const auto row = [this](int number) {
        return value(
            fmt::format("SELECT concat_ws(' ', status, application_status, cost_usd, duration_ms, "
                        "response_timestamp, response_payload, cost_note) FROM runledger.generations WHERE "
                        "run_id = 'r-{}'",
                        number));
    };
    const std::string payload = R"("responsePayload": {"images": ["a.png"]}, "costUsd")";
    for (int number = 1; number <= 4; ++number) {
        std::string text = document(number, number == 2 ? "timeout" : "success", "1.5");
        text.replace(text.find("\"costUsd\""), 9, payload);
        if (number == 3) {
            text.replace(text.find("\"_id\""), 5, "\"_was\"");  // A document without one.
        }
        if (number == 4) {
            text = std::regex_replace(text, std::regex(R"(, "durationMs".*)"), "}");  // Nor has it all of an ending.
        }
        append(text + "\n");
    }
    ASSERT_TRUE(import().status.clean());
    const std::string as_imported = row(1);
    ASSERT_EQ(as_imported, R"(completed success 1.5 2012.345 2025-08-29 02:36:00+00 {"images": ["a.png"]})");

    for (const char* run : {"r-1", "r-2", "r-3", "r-4"}) {
        end_run(run, "success");
    }

    EXPECT_EQ(row(1), as_imported);
    EXPECT_EQ(row(2), R"(failed timeout 1.5 2012.345 2025-08-29 02:36:00+00 {"images": ["a.png"]})");
    EXPECT_EQ(row(3), as_imported);
    EXPECT_EQ(row(4), R"(completed success 2000.000 2025-08-29 02:36:00+00 {"outputs": []} rate_missing)")
        << "only what the document left open is written";
    EXPECT_EQ(value("SELECT string_agg(concat_ws(' ', outcome, cost_usd, duration_clock), ', ' ORDER BY run_id) FROM "
                    "runledger.settlements"),
              "kept 1.5 application, kept 1.5 application, kept 1.5 application, kept boottime");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications"), "0");
    EXPECT_EQ(import({"--again"}).output, "0 imported, 0 changed, 4 there already, 0 refused\n");
}

// An application that chooses its own ids uses one again.
TEST_F(ImportCommand, GivesADocumentOfADeletedRowToNoOtherRow) {
    append(document(1, "pending") + "\n");
    ASSERT_TRUE(import().status.clean());
    run("DELETE FROM runledger.generations; INSERT INTO runledger.generations (id, metadata) VALUES (1, '{}')");
    append(document(1, "success") + "\n");

    EXPECT_EQ(import().output, "0 imported, 0 changed, 1 there already, 0 refused\n");

    EXPECT_EQ(value("SELECT status || ' ' || metadata FROM runledger.generations"), "pending {}");
}

}  // namespace
}  // namespace runledger::test
