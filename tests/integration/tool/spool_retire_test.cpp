// `runledger spool retire`: it must never say "safe" while an event is on this host alone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/spool_format.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/schema.hpp"
#include "tests/integration/tool/tool_fixture.hpp"
#include "tests/support/frames.hpp"
#include "tests/support/postgres_server.hpp"

namespace runledger::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SpoolRetire : public ToolFixture {
protected:
    void expect_safe(const Finished& finished) {
        EXPECT_EQ(finished.status.code, 0) << finished.output;
        EXPECT_THAT(finished.output, HasSubstr("safe to delete: every event of"));
    }
    void expect_not_safe(const Finished& finished, std::string_view why) {
        EXPECT_EQ(finished.status.code, 3) << finished.output;
        EXPECT_THAT(finished.output, AllOf(HasSubstr(std::string{why}), HasSubstr("NOT safe to delete")));
    }
};

TEST_F(SpoolRetire, SaysNoWhileNginxRunsAndWhileSomethingIsNotRetired) {
    start_nginx();
    const auto bodies = post_until_answered(2);
    expect_not_safe(spool({"retire", nginx().spool().string()}), "nginx has ");

    nginx().quit();

    expect_not_safe(spool({"retire", nginx().spool().string()}), "are not retired");
}

TEST_F(SpoolRetire, SaysYesOnceAllIsDeliveredAndNginxHasEnded) {
    start_daemon();
    start_nginx();
    const auto bodies = post_until_answered(2);
    expect_delivered(bodies);

    nginx().quit();
    nginx().start();  // Its new worker adopts what the old one could not retire any more.
    eventually("only what nginx holds open objects", [&] {
        const std::string said = spool({"retire", nginx().spool().string()}).output;
        return said.find("not retired") == std::string::npos;
    });
    nginx().quit();

    expect_safe(spool({"retire", nginx().spool().string(), "--wait", "5"}));
}

TEST_F(SpoolRetire, AsksTheLedgerForWhatIsNotRetired) {
    PostgresServer postgres({.fsync = false});
    const auto connection = postgres.connect();
    migrate(*connection, [](std::string_view) {});
    const auto config = folder().write_file("d.toml", fmt::format("[postgres]\nuri = \"{}\"\n", postgres.daemon_uri()));
    const auto spool_folder = make_spool("s", {1, 2});
    const auto retire = [&] { return spool({"--config", config.string(), "spool", "retire", spool_folder.string()}); };
    const std::string segment = segment_id(0xC3).hex();
    const auto run_sql = [&](const std::string& sql) {
        pqxx::work work(*connection);
        work.exec(sql);
        work.commit();
    };
    expect_not_safe(retire(), "2 batches are not all in the ledger");

    run_sql(fmt::format("INSERT INTO runledger.spool_segments (segment_id, edge) VALUES ('{}', 'e')", segment));
    run_sql(
        fmt::format("INSERT INTO runledger.ingested_batches (segment_id, batch_number, digest, event_count) "
                    "VALUES ('{}', 1, '\\x00112233445566778899aabbccddeeff', 1)",
                    segment));
    expect_not_safe(retire(), "2 batches are not all in the ledger");

    run_sql(
        fmt::format("INSERT INTO runledger.ingested_batches (segment_id, batch_number, digest, event_count) "
                    "VALUES ('{}', 0, '\\x00112233445566778899aabbccddeeff', 1)",
                    segment));
    expect_safe(retire());

    run_sql("DELETE FROM runledger.ingested_batches");
    run_sql("UPDATE runledger.spool_segments SET retired_at = now(), batch_count = 2");
    expect_safe(retire());
}

TEST_F(SpoolRetire, SaysNoToDamage) {
    const auto spool_folder = make_spool("s", {1, 2});
    const std::string name = segment_file_name(segment_id(0xC3));
    std::filesystem::rename(spool_folder / name, spool_folder / (name + ".damaged"));

    expect_not_safe(spool({"retire", spool_folder.string()}), "is damaged");
}

TEST_F(SpoolRetire, TakesNoNoticeOfWhatIsKept) {
    const auto spool_folder = make_spool("s", {1, 2});
    const std::string name = segment_file_name(segment_id(0xC3));
    std::filesystem::rename(spool_folder / name, spool_folder / (name + ".kept"));

    expect_safe(spool({"retire", spool_folder.string()}));
}

}  // namespace
}  // namespace runledger::test
