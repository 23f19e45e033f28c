// `runledger forget`, as it is typed; what is left is looked for in a dump of the whole schema.
#include <gmock/gmock.h>

#include <regex>

#include "tests/integration/dba/dba_fixture.hpp"

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

TEST_F(Forget, SaysWhereNothingIsKeptAndRefusesToGuessWhom) {
    EXPECT_EQ(tool({"forget", "--chat", "77"}).status.code, 3);
    EXPECT_EQ(tool({"forget", "--generation", "77"}).status.code, 3);
    EXPECT_EQ(tool({"forget"}).status.code, 1);
    EXPECT_EQ(tool({"forget", "--chat", "5", "--generation", "1"}).status.code, 1);
}

}  // namespace
}  // namespace runledger::test
