// The reconcile stage on a real PostgreSQL and the stand-in for ComfyDeploy's API, and the language its tests are
// written in.
//
// The stage runs on a thread of its own, as in the daemon. After each test the log and the tables' error texts are
// searched for the key.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/reconcile/reconcile.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/stand_ins/comfy_api.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {

// A reconciler on its thread, until it is stopped.
class RunningReconciler {
public:
    RunningReconciler(const ReconcileSettings& config, const std::string& uri, const std::string& owner,
                      const ReconcileTuning& tuning);
    ~RunningReconciler();
    RunningReconciler(const RunningReconciler&) = delete;
    RunningReconciler& operator=(const RunningReconciler&) = delete;

    void stop();
    void use(const ReconcileSettings& config) { reconciler_.use(config); }
    [[nodiscard]] const ReconcileCounters& counters() const noexcept { return counters_; }

private:
    Wakeup stop_;
    Wakeup settle_;
    ReconcileCounters counters_;
    Reconciler reconciler_;
    std::thread thread_;
};

class Reconcile : public Ledger {
protected:
    static constexpr std::string_view key = "cd-test-key-0f1e2d3c4b5a";

    Reconcile();
    void TearDown() override;

    [[nodiscard]] ComfyApiStandIn& api() { return api_; }
    // Short delays, the rest as it is shipped; a test may change both before it starts a daemon.
    ReconcileSettings config;
    ReconcileTuning tuning;
    std::unique_ptr<RunningReconciler> start(const std::string& owner = "daemon-1");

    // One event of the run came; then nothing for so long.
    void silent_run(std::string_view run_id, std::string_view status, std::string_view silence = "1 hour");
    // So old that one more failed attempt gives it up.
    void looked_up_for_eight_days(std::string_view run_id);
    void set_silence(std::string_view run_id, std::string_view silence);
    void is_ended(std::string_view run_id);
    [[nodiscard]] std::string run(std::string_view run_id, std::string_view columns);
    [[nodiscard]] std::string lookup(std::string_view run_id, std::string_view columns);
    [[nodiscard]] std::vector<std::string> log_lines_with(std::string_view text) const;

private:
    ComfyApiStandIn api_;
    std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> log_;
};

}  // namespace runledger::test
