// An edge whose figures a test reads.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/support/prometheus_text.hpp"

namespace runledger::test {

class StatusFixture : public EdgeFixture {
protected:
    // As Prometheus scrapes it.
    [[nodiscard]] std::string text();
    [[nodiscard]] std::map<std::string, double> samples() { return samples_of(text()); }
    // Fails the test where there is no such sample.
    [[nodiscard]] double sample(const std::string& name);
    void wait_for_sample(const std::string& name, double value);

    [[nodiscard]] static std::string requests(std::string_view outcome) {
        return "runledger_edge_requests_total{outcome=\"" + std::string{outcome} + "\"}";
    }
};

}  // namespace runledger::test
