// The daemon as an operator runs it who gives it no more than it needs: all its work, as a member of runledger_daemon.
#include <gmock/gmock.h>

#include <random>

#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class LeastPrivilege : public Pipeline {
protected:
    void expect_a_group_is_told_of() {
        const auto connection = connect_to(application_uri);
        pqxx::work work(*connection);
        work.exec(R"(INSERT INTO runledger.generations (metadata, status) VALUES ('{"groupId": "g"}', 'failed'))");
        work.commit();

        eventually("the group is told of", [&] {
            return value("SELECT count(told_at) FROM runledger.group_costs_v1 WHERE group_id = 'g'") == "1";
        });
    }
};

TEST_F(LeastPrivilege, IsEnoughForTheDaemonsWholeWork) {
    daemon_extra =
        "[retention]\nwebhook_events_days = 30\nruns_days = 30\nnotifications_days = 30\nsettlements_days = 30\n"
        "quarantine_days = 30\ntombstones_days = 30\nnews_days = 30\n[application]\nprogress_interval_ms = 1\n";
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const auto runs = make_runs({.seed = seed, .runs = 100, .arrival_span = std::chrono::seconds{2}});

    const auto deliveries = send(runs);

    expect_the_oracle_agrees(runs, deliveries, {});
    expect_the_books_balance();
    eventually("the days ahead are made", [&] {
        return value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'runledger.webhook_events'::regclass") == "6";
    });
    expect_a_group_is_told_of();
    EXPECT_THAT(daemon().log_text(), Not(HasSubstr("permission denied")));
    EXPECT_THAT(daemon().log_text(), Not(HasSubstr("X-Amz-Signature=")));
    EXPECT_EQ(value("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runledgerd%' AND usename <> "
                    "'ledger_daemon'"),
              "0");
}

}  // namespace
}  // namespace runledger::test
