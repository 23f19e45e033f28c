// The daemon's figures for Prometheus, through prometheus-cpp, at the configured address; other routes are served
// there, too (daemon/web).
//
// The stages count in plain atomics, which are read at each scrape.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/backlog/backlog.hpp"
#include "daemon/ingest/apply.hpp"
#include "daemon/ingest/intake.hpp"
#include "daemon/notify/notify.hpp"
#include "daemon/reconcile/reconcile.hpp"
#include "daemon/reload.hpp"
#include "daemon/settle/maintain.hpp"
#include "daemon/settle/settle.hpp"
#include "daemon/tell/tell.hpp"
#include "daemon/web/listener.hpp"
#include "daemon/webhooks/sender.hpp"

namespace runledger {

// Written by the listener's threads.
struct WebCounters {
    std::atomic<std::uint64_t> tokens_refused{0};  // Of the page.
};

struct Counters {
    IntakeCounters intake;
    ApplyCounters apply;
    SettleCounters settle;
    NotifyCounters notify;
    MaintainCounters maintain;
    ReconcileCounters reconcile;
    BacklogGauges backlog;
    TellCounters tell;
    ConfigCounters config;
    WebCounters web;
    WebhookCounters webhooks;
};

class Metrics {
public:
    // Listens at once; `counters` outlives this. `postgres_is_away` is asked at each scrape, on a thread of the
    // listener. Throws std::runtime_error naming the address if it can't listen.
    Metrics(const std::string& listen, const Counters& counters, std::function<bool()> postgres_is_away,
            std::vector<web::Route> others = {});
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;
    ~Metrics();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace runledger
