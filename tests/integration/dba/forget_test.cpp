// `runledger forget`, as it is typed; what is left is looked for in a dump of the whole schema.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <future>
#include <regex>

#include "common/event.hpp"
#include "common/wire.hpp"
#include "tests/integration/dba/dba_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Forget : public Dba {
protected:
    void SetUp() override {
        migrate();
        run(R"(
            INSERT INTO runledger.generations (metadata, request_payload)
            SELECT jsonb_build_object('run_id', 'run-of-' || who, 'telegramChatId', chat, 'user', 'name-of-' || who,
                                      'costRate', '{"amount": 0.5, "currency": "USD", "unit": "run"}'::jsonb),
                   jsonb_build_object('prompt', 'prompt-of-' || who)
            FROM (VALUES ('ann', -10987654321), ('bob', 5)) AS g (who, chat);
            INSERT INTO runledger.runs (run_id, running_at, running_boot_id, running_boottime_us, running_redelivered,
                terminal_status, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest,
                latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, latest_status,
                latest_live_status, first_received_at, event_count)
            SELECT run_id, now(), boot, 1, false, 'success', now(), boot, 2000001, false, 1, now(), boot, 2000001, false, 1, 'success',
                   'live-of-' || run_id, now(), 1
            FROM runledger.generations, gen_random_uuid() AS boot;
            INSERT INTO runledger.run_outputs (run_id, output_key, updated_at, received_at, boot_id, boottime_us, digest, position, output)
            SELECT run_id, 'k', now(), now(), gen_random_uuid(), 1, 1, 0,
                   jsonb_build_object('url', 'https://h/url-of-' || run_id || '.png?X-Amz-Signature=s')
            FROM runledger.runs;
            INSERT INTO runledger.webhook_events (segment_id, batch_number, event_index, edge, received_at, boot_id,
                boottime_us, redelivered, run_id, event_type, status, body)
            SELECT gen_random_uuid(), 0, 0, 'e', now(), gen_random_uuid(), 1, false, run_id, 'run.updated', 'success',
                   json_build_object('run_id', run_id, 'outputs', 'url-of-' || run_id)::text
            FROM runledger.runs;
            SELECT runledger.settle_run(run_id, '0', '7 days') FROM runledger.runs;)");
    }

    // A batch whose name was another's.
    void set_aside(const std::vector<std::byte>& frame, std::size_t events) const {
        std::string digits;
        for (const std::byte byte : frame) {
            digits += fmt::format("{:02x}", std::to_integer<int>(byte));
        }
        run(
            fmt::format("INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, edge, content, "
                        "batch_event_count) VALUES ('batch', 'digest_conflict: x', gen_random_uuid(), 3, 'edge', "
                        "decode('{}', 'hex'), {})",
                        digits, events));
    }
    [[nodiscard]] std::vector<std::byte> set_aside() const {
        const std::string digits = value("SELECT encode(content, 'hex') FROM runledger.quarantine");
        std::vector<std::byte> frame;
        for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
            frame.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
        }
        return frame;
    }

    // Data only: the words of comments are no one's.
    [[nodiscard]] std::string dump() const {
        const Finished dumped = run_to_end({.argv = {(PostgresServer::bin_folder() / "pg_dump").string(), "--data-only",
                                                     "--dbname", server().uri(database())}},
                                           folder());
        EXPECT_TRUE(dumped.status.clean()) << dumped.output;
        // \restrict and \unrestrict have a random word each time; sequences count what is rolled back, too.
        return std::regex_replace(dumped.output, std::regex(R"(\\(un)?restrict \w+|SELECT pg_catalog.setval\(.*)"), "");
    }
};

TEST_F(Forget, LeavesNoTraceOfAChatInADumpOfTheDatabase) {
    ASSERT_THAT(dump(), HasSubstr("of-ann"));
    const std::string cost = value("SELECT sum(cost_usd) FROM runledger.generations");
    ASSERT_EQ(cost, "1.000000000000");

    const Finished forgotten = tool({"forget", "--chat", "-10987654321"});

    EXPECT_TRUE(forgotten.status.clean()) << forgotten.output;
    EXPECT_THAT(forgotten.output, HasSubstr("generations                     1 scrubbed"));
    EXPECT_THAT(forgotten.output, HasSubstr("run_outputs                     1 deleted"));
    const std::string left = dump();
    // Names, prompt, links and live status all end so; the chat; the run's id as bytea of a quarantine.
    EXPECT_THAT(left, Not(HasSubstr("of-ann")));
    EXPECT_THAT(left, Not(HasSubstr("10987654321")));
    EXPECT_THAT(left, Not(HasSubstr("6f662d616e6e")));
    EXPECT_THAT(left, HasSubstr("prompt-of-bob"));
    EXPECT_EQ(value("SELECT sum(cost_usd) FROM runledger.generations"), cost);
}

TEST_F(Forget, FindsAChatThatARecordNamesBesideOthers) {
    run(R"(
        UPDATE runledger.generations
            SET metadata = metadata || '{"telegramChatId": [-10987654321, 66778899], "notificationContext": {"chatId": "@annchannel"}}'
            WHERE run_id = 'run-of-ann';
        DELETE FROM runledger.notifications;
        INSERT INTO runledger.generations (metadata) VALUES ('{"run_id": "of-others", "telegramChatId": [5, 66778899]}');
        INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, recipient, payload)
        SELECT id, run_id, 'ending', '', 66778899, '66778899', '{}' FROM runledger.generations WHERE run_id = 'of-others';
        INSERT INTO runledger.telegram_chats (chat_id, held_until, last_error)
        VALUES (runledger.chat_named('@annchannel'), now(), 'x'), (66778899, now(), 'x');)");

    const Finished forgotten = tool({"forget", "--chat", "@annchannel"});

    EXPECT_TRUE(forgotten.status.clean()) << forgotten.output;
    EXPECT_THAT(forgotten.output, HasSubstr("generations                     1 scrubbed"));
    EXPECT_THAT(dump(), Not(HasSubstr("of-ann")));
    EXPECT_EQ(value("SELECT count(*) FROM runledger.telegram_chats"), "1") << "the other chat is somebody else's, too";
    EXPECT_EQ(value("SELECT count(*) FROM runledger.notifications"), "1");

    EXPECT_TRUE(tool({"forget", "--chat", "66778899"}).status.clean());
    EXPECT_THAT(dump(), Not(HasSubstr("66778899")));
}

// Or a forgotten run would be priced anew when a late event settles it again.
TEST_F(Forget, KeepsEachRateAsItIsRead) {
    EXPECT_EQ(value(R"(
        SELECT string_agg(m::text || ': ' || before::text || ' became ' || after::text, E'\n')
        FROM (
            SELECT jsonb_build_object('run_id', 'r', 'gpu', 'A100', 'tokenCount', tokens, 'costRate',
                                      jsonb_build_object('amount', amount, 'currency', currency, 'unit', unit))
            FROM unnest(ARRAY['0.5', '"0.5"', '1e-3', '2E5', '"1e-3"', '"4e-05"', '"2E5"', '"1.25e+2"', '-1', '"-1e-3"', '1e-45',
                              '123456789012345678901234567890.123456789012', '0', '"0"', 'null', 'true', '[1]', '"1.2.3"',
                              '"ann"', '"1e999"', '""']::jsonb[]) AS amount,
                 unnest(ARRAY['USD', 'EUR', 'of ann, who lives there']) AS currency,
                 unnest(ARRAY['second', 'hours', 'run', 'request', 'tokens', 'a room of ann, who lives there']) AS unit,
                 unnest(ARRAY['1200', '1200.0', '"1200"', '1.2e3', '"1.2e3"', 'null', '-1']::jsonb[]) AS tokens
            UNION ALL SELECT '{"costRate": "error: no rate"}' UNION ALL SELECT '{"gpu": "A100"}') AS g (m),
            runledger.rate_of(m) AS before, runledger.rate_of(runledger.scrubbed_metadata(m)) AS after
        WHERE before IS DISTINCT FROM after OR runledger.scrubbed_metadata(m)::text LIKE '%ann%')"),
              "NULL");
}

// Whatever place the chat has among those that a record names.
TEST_F(Forget, TakesOutAChatThatARecordNamesBehindAnother) {
    const auto name_chats = [this](const std::string& chats) {
        run(fmt::format(R"(
            INSERT INTO runledger.generations (metadata)
            VALUES ('{{"run_id": "run-of-second", "user": "name-of-second", "telegramChatId": {0}}}');
            INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, recipient, payload, state,
                                                 last_error)
            SELECT id, run_id, 'ending', '', chat, chat::text, jsonb_build_object('chat', chat), 'dead', 'chat ' || chat
            FROM runledger.generations, unnest('{{5, 66778899}}'::bigint[]) AS chat WHERE run_id = 'run-of-second';
            INSERT INTO runledger.telegram_chats (chat_id, refused_at, last_error) VALUES (66778899, now(), 'of 66778899');
            INSERT INTO runledger.application_news (id, kind, generation_id, run_id, chat_id, detail)
            SELECT id, 'message_dead', id, run_id, 66778899, 'of 66778899' FROM runledger.generations
            WHERE run_id = 'run-of-second';)",
                        chats));
    };
    const std::string many = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,66778899]";
    for (const std::string& chats : {std::string("[5, 66778899]"), std::string(R"(["5", "66778899"])"), many}) {
        SCOPED_TRACE(chats);
        name_chats(chats);
        if (chats == many) {
            run("DELETE FROM runledger.notifications WHERE chat_id = 66778899");
        }

        const Finished forgotten = tool({"forget", "--chat", "66778899"});

        EXPECT_TRUE(forgotten.status.clean()) << forgotten.output;
        const std::string left = dump();
        EXPECT_THAT(left, Not(HasSubstr("66778899")));
        EXPECT_THAT(left, Not(HasSubstr("of-second")));
        EXPECT_THAT(left, HasSubstr("name-of-bob")) << "the first chat is named by another record";
        run("DELETE FROM runledger.generations WHERE metadata ->> 'run_id' LIKE 'forgotten-%'");
    }
}

// The row of the chat is locked by who refuses it, and he waits for the news at his end: neither may wait for the
// other.
TEST_F(Forget, LetsARefusedChatBeToldDuringADryRun) {
    run(R"(
        INSERT INTO runledger.generations (metadata)
        SELECT jsonb_build_object('run_id', 'run-of-ann-' || n, 'telegramChatId', -10987654321) FROM generate_series(1, 3) AS n;
        INSERT INTO runledger.telegram_chats (chat_id, last_error) VALUES (-10987654321, 'none');)");
    pqxx::connection daemon(server().uri(database()));
    pqxx::work refusal(daemon);
    refusal.exec("UPDATE runledger.telegram_chats SET refused_at = now(), last_error = 'blocked'");

    auto trying = std::async(std::launch::async, [&] {
        return tool({"forget", "--chat", "-10987654321", "--dry-run"});
    });
    eventually("the dry run waits for the chat", [&] {
        return value("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted") == "1";
    });

    EXPECT_EQ(value("SELECT pg_try_advisory_xact_lock(hashtextextended('runledger.application_news', 0))"), "t")
        << "nobody can be told anything";
    EXPECT_NO_THROW(refusal.commit());
    const Finished tried = trying.get();
    EXPECT_TRUE(tried.status.clean()) << tried.output;
    EXPECT_EQ(value("SELECT count(*) FROM runledger.application_news WHERE chat_id = -10987654321"), "1");
}

TEST_F(Forget, SaysInADryRunWhatItWouldDoAndChangesNothing) {
    const std::string id = value("SELECT id FROM runledger.generations WHERE run_id = 'run-of-ann'");
    const std::string before = dump();

    const Finished said = tool({"forget", "--generation", id, "--dry-run"});

    EXPECT_TRUE(said.status.clean()) << said.output;
    EXPECT_THAT(said.output, HasSubstr("nothing was changed"));
    EXPECT_EQ(dump(), before);
    const Finished done = tool({"forget", "--generation", id});
    EXPECT_EQ(said.output.substr(0, said.output.rfind('\n', said.output.size() - 2)),
              done.output.substr(0, done.output.rfind('\n', done.output.size() - 2)));
}

TEST_F(Forget, CountsInADryRunOfAChatWhatTheRunWillCount) {
    run(R"(
        INSERT INTO runledger.generations (metadata)
        SELECT jsonb_build_object('run_id', 'run-of-ann-' || n, 'telegramChatId', -10987654321) FROM generate_series(1, 3) AS n;
        INSERT INTO runledger.telegram_chats (chat_id, migrated_to, last_error) VALUES (-10987654321, -77, 'moved');
        INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload)
        SELECT id, run_id, 'ending', '', -77, '{}' FROM runledger.generations WHERE run_id LIKE 'run-of-ann-%';)");

    const Finished said = tool({"forget", "--chat", "-10987654321", "--dry-run", "--json"});
    const Finished done = tool({"forget", "--chat", "-10987654321", "--json"});

    EXPECT_TRUE(done.status.clean()) << done.output;
    EXPECT_THAT(done.output, HasSubstr(R"("table":"notifications","action":"deleted","rows":4)"));
    EXPECT_EQ(std::regex_replace(said.output, std::regex("true"), "false"), done.output);
}

TEST_F(Forget, TakesOnlyThePersonsEventsOutOfABatchThatWasSetAside) {
    const auto body = [](std::string_view who) {
        return fmt::format(
            R"({{"run_id": "run-of-{0}", "status": "uploading", "progress": 0.5, "live_status": "live-of-{0}"}})", who);
    };
    const std::vector<std::string> bodies{body("ann"), body("bob"), R"({"run_id": "run-of-ann", "status": )"};
    wire::BatchEncoder encoder({.boot = {}, .edge_name = "edge"});
    for (const std::string& text : bodies) {
        encoder.add({.stamp = {}, .flags = wire::redelivered, .body = text});
    }
    SegmentId segment;
    segment.bytes.fill(7);
    set_aside(encoder.finish({segment, 3}), bodies.size());

    const Finished forgotten = tool({"forget", "--chat", "-10987654321"});

    EXPECT_TRUE(forgotten.status.clean()) << forgotten.output;
    EXPECT_THAT(forgotten.output, HasSubstr("quarantine                      1 scrubbed"));
    const std::vector<std::byte> frame = set_aside();
    const auto decoded = wire::decode_batch(frame);
    ASSERT_TRUE(std::holds_alternative<wire::Batch>(decoded));
    const auto& batch = std::get<wire::Batch>(decoded);
    ASSERT_EQ(batch.events.size(), bodies.size());
    EXPECT_EQ(batch.name, (BatchName{segment, 3}));
    EXPECT_EQ(batch.edge_name, "edge");
    EXPECT_EQ(batch.events[1].body, bodies[1]);
    EXPECT_EQ(batch.events[1].flags, wire::redelivered);
    const auto scrubbed = decode_event(batch.events[0].body);
    ASSERT_TRUE(std::holds_alternative<Event>(scrubbed)) << batch.events[0].body;
    EXPECT_EQ(std::get<Event>(scrubbed).run_id, value("SELECT runledger.pseudonym_of('run-of-ann')"));
    EXPECT_EQ(std::get<Event>(scrubbed).status, RunStatus::uploading);
    EXPECT_EQ(std::get<Event>(scrubbed).progress, 0.5);
    for (const wire::Event& event : batch.events) {
        EXPECT_THAT(std::string(event.body), Not(HasSubstr("of-ann")));
    }
}

// An object-relational mapper writes all that it has read before, or deletes the row and inserts it.
TEST_F(Forget, StaysIfTheApplicationSavesTheOldMetadataAgain) {
    const std::string id = value("SELECT id FROM runledger.generations WHERE run_id = 'run-of-ann'");
    const std::string old = value("SELECT metadata FROM runledger.generations WHERE id = " + id);
    ASSERT_TRUE(tool({"forget", "--generation", id}).status.clean());
    const auto costs = [this] {
        run("DO $$ DECLARE one text; BEGIN FOR one IN SELECT DISTINCT run_id FROM runledger.settle_queue LOOP "
            "PERFORM runledger.settle_run(one, '0', '7 days'); END LOOP; DELETE FROM runledger.settle_queue; END $$");
        return value("SELECT string_agg(status || ' ' || cost_usd, ', ' ORDER BY id) FROM runledger.generations") +
               " of " + value("SELECT count(*) || ' ' || sum(cost_usd) FROM runledger.billed_runs_v1");
    };
    const std::string before = costs();
    ASSERT_EQ(before, "completed 0.500000000000, completed 0.500000000000 of 2 1.000000000000");

    run(fmt::format(
        "SET ROLE runledger_application; UPDATE runledger.generations SET metadata = '{}', request_payload = "
        "'\"prompt-of-ann\"' WHERE id = {}",
        old, id));

    EXPECT_EQ(costs(), before);
    EXPECT_THAT(dump(), Not(HasSubstr("of-ann")));

    run(fmt::format(
        "DELETE FROM runledger.generations WHERE id = {0}; INSERT INTO runledger.generations (id, metadata, "
        "request_payload) VALUES ({0}, '{1}', '\"prompt-of-ann\"')",
        id, old));

    EXPECT_EQ(costs(), before);
    EXPECT_THAT(dump(), Not(HasSubstr("of-ann")));

    run(fmt::format("INSERT INTO runledger.generations (metadata) VALUES ('{}')", old));

    EXPECT_THAT(dump(), Not(HasSubstr("of-ann"))) << "a run is one row's";
    EXPECT_EQ(value("SELECT count(*) FROM runledger.generations WHERE run_id IS NULL"), "1");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.settle_queue WHERE run_id LIKE '%ann'"), "0");
}

// As docs/dba.md says it.
TEST_F(Forget, IsNotNeededForPostgresqlsLogIfThatHasNoParameters) {
    const auto is_logged_by_a_replay = [this](const std::string& secret, const std::string& settings) {
        run(fmt::format(
            R"(INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, received_at,
                   boot_id, boottime_us, run_id, content, redelivered)
               SELECT 'event', 'x', gen_random_uuid(), 0, 0, 'e', now(), gen_random_uuid(), 1, run_id,
                      convert_to(json_build_object('run_id', run_id, 'status', 'success', 'live_status', '{0}', 'outputs',
                                 json_build_array(json_build_object('id', '{0}')))::text, 'UTF8'), false
               FROM runledger.runs WHERE run_id = 'run-of-ann')",
            secret));
        run(fmt::format("ALTER DATABASE {0} SET log_min_duration_statement = 0; {1}", database(), settings));
        EXPECT_TRUE(tool({"quarantine", "replay", "--all"}).status.clean());
        run(fmt::format("ALTER DATABASE {} RESET log_min_duration_statement", database()));
        // The last line of what this session has logged is in the file once the next one has been answered.
        return server().log_text().find("upsert", 0) != std::string::npos &&
               server().log_text().find(secret) != std::string::npos;
    };
    ASSERT_TRUE(is_logged_by_a_replay("words-" + std::string("in-the-log"), ""));

    EXPECT_FALSE(is_logged_by_a_replay("words-" + std::string("kept-out"),
                                       fmt::format("ALTER DATABASE {0} SET log_parameter_max_length = 0; "
                                                   "ALTER DATABASE {0} SET log_error_verbosity = terse;",
                                                   database())));
}

TEST_F(Forget, SaysWhereNothingIsKeptAndRefusesToGuessWhom) {
    EXPECT_EQ(tool({"forget", "--chat", "77"}).status.code, 3);
    EXPECT_EQ(tool({"forget", "--generation", "77"}).status.code, 3);
    EXPECT_EQ(tool({"forget"}).status.code, 2);
    EXPECT_EQ(tool({"forget", "--chat", "5", "--generation", "1"}).status.code, 2);
}

}  // namespace
}  // namespace runledger::test
