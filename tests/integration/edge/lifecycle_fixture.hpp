// What the tests of signals, reloads and upgrades share: a load that runs meanwhile, and what must hold afterwards.
//
// With RUNLEDGER_OTHER_SITES=1 in the environment each test runs beside a site whose connections stay open for longer
// than the test: old workers live on for them, and must only have let go of what is the webhooks'.
//
// Invariant: when a test ends, nginx has quit and nobody owns a segment of its spool any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/integration/edge/load.hpp"
#include "tests/integration/edge/raw_connection.hpp"

namespace runledger::test {

// An nginx.conf that serves nothing of ours: with the line that loads the module, or without even that.
[[nodiscard]] std::string bare_conf(bool loads_module);

class LifecycleFixture : public EdgeFixture {
protected:
    // The bound that operators are told: how long an old worker may live once its held requests are answered.
    static constexpr std::chrono::milliseconds old_worker_lifetime_max{10'000};

    void TearDown() override;

    // As EdgeFixture's, with the other site's connections.
    void start_nginx(NginxConf conf = {}, NginxOptions options = {});
    void prepare_nginx(std::string conf, NginxOptions options = {});
    // Does nothing without another site. Some for each worker, whose requests are not complete.
    void open_other_connections();
    void close_other_connections() { other_connections_.clear(); }
    [[nodiscard]] static bool is_beside_another_site();
    // SIGQUIT; returns when nginx has ended.
    void quit_nginx();

    static void expect_gone(std::string_view who, const std::vector<ProcessId>& processes,
                            std::chrono::milliseconds patience = old_worker_lifetime_max);
    // Beside another site: that they have neither a segment nor a link, and only serve that site.
    void expect_workers_gone(const std::vector<ProcessId>& old);
    // All but those that only serve the other site still.
    [[nodiscard]] std::vector<ProcessId> without_draining(std::vector<ProcessId> workers) const;
    void wait_for_serving_workers(std::uint64_t count);
    // Returns when exactly so many workers run, none of which is of `old`.
    void wait_for_workers(std::size_t count, const std::vector<ProcessId>& old);

    // Ends the load; no request of it may have been without its 200. Returns what was posted.
    static std::vector<std::string> end_load_without_failure(Load& load);
    // Waits until the daemon has each of these, and none of them twice. It may have more: an event whose sender was not
    // answered may still have been stored.
    void expect_has_each_once(const std::vector<std::string>& answered);

    // Of runledger_status, by name with labels; 0 where there is no such sample.
    [[nodiscard]] std::uint64_t sample(std::string_view name);
    void wait_for_sample(const std::string& name, std::uint64_t value);

    // Only the files that are there already can be written: a courier that starts can make no segment.
    void spool_becomes_unwritable();
    void spool_becomes_writable();
    // Kills the workers; returns when others run in their place.
    void replace_workers_by_force();

    // Every segment in the folder can be adopted: whoever owned it has let go.
    static void expect_nobody_owns_a_segment(const std::filesystem::path& spool);

private:
    std::vector<std::unique_ptr<RawConnection>> other_connections_;
    std::vector<ProcessId> draining_;
};

// The same with the daemon there all the time, or away until the end.
class LifecycleWithAndWithoutDaemon : public LifecycleFixture, public ::testing::WithParamInterface<bool> {
protected:
    [[nodiscard]] static bool has_daemon() { return GetParam(); }
    void start_daemon_if_it_is_there();
    void start_daemon_if_it_was_away();
};

// A suite's instances are called …/DaemonAlive and …/DaemonDead.
[[nodiscard]] std::string name_of_daemon_state(const ::testing::TestParamInfo<bool>& info);

}  // namespace runledger::test
