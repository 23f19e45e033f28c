// The stage within runledgerd: with a key, a run is ended and settled; without one, nobody is asked.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/integration/reconcile/reconcile_fixture.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/prometheus_text.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class ReconcileDaemon : public Reconcile {
protected:
    [[nodiscard]] DaemonConf conf(bool with_key) {
        std::string section = fmt::format("[comfydeploy]\napi_url = \"{}/\"\n", api().url());
        if (with_key) {
            section +=
                fmt::format("api_key_file = \"{}\"\n", folder_.write_secret("key", std::string(key) + "\n").string());
        }
        return {.postgres_uri = daemon_uri(),
                .direct_uri = direct_daemon_uri(),
                .owner_uri = owner_uri(),
                .extra = section};
    }

    void a_silent_run() {
        api().script("run-1", ComfyApiAnswer::run("run-1", "success", "[" + picture("a") + "]"));
        insert_generation("run-1");
        silent_run("run-1", "running");
    }

    TempFolder folder_;
};

TEST_F(ReconcileDaemon, EndsAndSettlesASilentRun) {
    a_silent_run();
    DaemonProcess daemon(folder_, conf(true));

    daemon.start();

    eventually("the generation is settled",
               [&] { return count("generations WHERE status = 'completed' AND cost_note = 'provider_times'") == 1; });
    EXPECT_EQ(samples_of(http_get(daemon.metrics_url()).body).at("runledger_lookups_total{outcome=\"ended\"}"), 1);
    daemon.stop();
    EXPECT_THAT(daemon.log_text(), HasSubstr("reconcile=on"));
    EXPECT_THAT(daemon.log_text(), Not(HasSubstr(std::string(key))));
}

TEST_F(ReconcileDaemon, AsksNobodyWithoutAKey) {
    a_silent_run();
    DaemonProcess daemon(folder_, conf(false));

    daemon.start();

    // Settle works, so the daemon is wholly up; reconcile's first look would have been before.
    insert_generation("run-2");
    apply_events({{event_text({.run_id = "run-2", .status = "success"}), 0}});
    eventually("another run is settled", [&] { return count("settlements WHERE run_id = 'run-2'") == 1; });
    daemon.stop();
    EXPECT_TRUE(api().requests().empty());
    EXPECT_EQ(count("reconcile_lookups"), 0);
    EXPECT_THAT(daemon.log_text(), HasSubstr("reconcile=off, no key"));
}

}  // namespace
}  // namespace runledger::test
