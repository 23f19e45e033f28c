// Everything through Debian's pgbouncer in transaction mode, with fewer server connections than the daemon has: each
// transaction may come upon another session than the last.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/pgbouncer.hpp"

namespace runledger::test {
namespace {

class ThroughPgBouncer : public Pipeline {
protected:
    static constexpr int pool_size = 2;

    ThroughPgBouncer() : pgbouncer_(folder(), postgres(), {.mode = PoolMode::transaction, .size = pool_size}) {
        daemon_uri = pgbouncer_.uri("runledger", Logins::daemon);
        postgres_extra = "appliers = 3\n";
    }

    PgBouncer pgbouncer_;
};

TEST_F(ThroughPgBouncer, SettlesRunsThoughItIsRestartedUnderLoad) {
    start_all();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    // Without chats: a message's lease that the restart leaves behind takes most of a minute to run out.
    const auto runs = make_runs({.seed = seed, .runs = 80, .arrival_span = std::chrono::seconds{3}, .with_chat = 0.0});

    std::size_t delivered = 0;
    const auto deliveries = send(runs, 64, [&](const Delivery&) {
        if (++delivered == 250) {
            pgbouncer_.restart();
        }
    });

    EXPECT_GT(delivered, 250U);
    expect_the_oracle_agrees(runs, deliveries, {.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}});
    expect_the_books_balance();
    // Whichever stages had the pool's connections last. LISTEN goes past it, by direct_uri.
    const std::string names = value(
        "SELECT coalesce(string_agg(application_name, ', '), '') FROM pg_stat_activity "
        "WHERE application_name LIKE 'runledgerd %' AND application_name <> 'runledgerd listen'");
    EXPECT_NE(names, "") << "the daemon's names do not come through";
    EXPECT_LT(std::count(names.begin(), names.end(), ','), pool_size) << names << ": it went past the pool";
    EXPECT_EQ(daemon().tool({"audit"}).status.code, 0);
}

}  // namespace
}  // namespace runledger::test
