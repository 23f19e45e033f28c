// The settle stage as a daemon runs it: a settler for each lane, on threads of their own, until the object is gone.
#pragma once

#include <string>
#include <thread>

#include "daemon/settle/settle.hpp"

namespace runledger::test {

class RunningSettlers {
public:
    explicit RunningSettlers(const std::string& uri)
        : prompt_({}, uri, SettleLane::prompt, wakeup_, outbox_, counters_),
          patient_({}, uri, SettleLane::patient, slow_wakeup_, outbox_, counters_),
          prompt_thread_([this] { prompt_.run(); }),
          patient_thread_([this] { patient_.run(); }) {}
    RunningSettlers(const RunningSettlers&) = delete;
    RunningSettlers& operator=(const RunningSettlers&) = delete;
    ~RunningSettlers() {
        wakeup_.stop();
        slow_wakeup_.stop();
        prompt_thread_.join();
        patient_thread_.join();
    }

    void use(const SettleSettings& settings) {
        prompt_.use(settings);
        patient_.use(settings);
    }
    [[nodiscard]] const SettleCounters& counters() const { return counters_; }

private:
    Wakeup wakeup_;
    Wakeup slow_wakeup_;
    Wakeup outbox_;
    SettleCounters counters_;
    Settler prompt_;
    Settler patient_;
    std::thread prompt_thread_;
    std::thread patient_thread_;
};

}  // namespace runledger::test
