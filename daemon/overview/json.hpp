// The numbers and the verdict as JSON: /readyz, /overview.json and `runledger status --json`. Pure.
#pragma once

#include <optional>
#include <string>

#include "daemon/overview/health.hpp"
#include "daemon/overview/overview.hpp"
#include "daemon/overview/rates.hpp"

namespace runledger {

// {"verdict": "flowing", "sentence": …, "components": [{"name", "condition", "says", "cure"}], "rates": {…}}
[[nodiscard]] std::string health_json(const Health& health, const std::optional<WorkRates>& rates);

// The same, with the ledger's numbers in "live", "month" and "edges". What was not read is null, with the reason in
// "live_error" and the like.
[[nodiscard]] std::string overview_json(const std::optional<Health>& health, const std::optional<WorkRates>& rates,
                                        const Overview::Numbers& numbers);

}  // namespace runledger
