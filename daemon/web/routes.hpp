// The routes that need no token: metrics and health.
#pragma once

#include <prometheus/collectable.h>

#include <functional>
#include <memory>
#include <optional>

#include "daemon/overview/health.hpp"
#include "daemon/overview/rates.hpp"
#include "daemon/web/listener.hpp"

namespace runledger::web {

// /metrics, in Prometheus' text format, with the listener's own exposer_… beside the collectable's.
[[nodiscard]] Route metrics_route(std::shared_ptr<prometheus::Collectable> collectable);

using AskHealth = std::function<HealthFacts()>;
using AskRates = std::function<WorkRates()>;

// /healthz: whether the process does its work at all. /readyz: whether work flows, by component. Text, or JSON by
// ?format=json or an Accept header.
[[nodiscard]] std::vector<Route> health_routes(AskHealth facts, AskRates rates);

}  // namespace runledger::web
