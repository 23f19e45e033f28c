// A real Prometheus in the test's folder, with a configuration of the test, that is asked by PromQL.
//
// Invariant: it is gone when the object is. Not for sharing between threads.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class PrometheusServer {
public:
    // Starts it; returns when it is ready. Throws with its log otherwise.
    PrometheusServer(const TempFolder& folder, std::string_view configuration);
    PrometheusServer(const PrometheusServer&) = delete;
    PrometheusServer& operator=(const PrometheusServer&) = delete;

    struct Answer {
        std::string error{};  // Empty: it has answered.
        std::vector<double> values{};
    };
    // An instant query, now.
    [[nodiscard]] Answer ask(std::string_view query) const;
    // The first value; nothing if there is none.
    [[nodiscard]] std::optional<double> value(std::string_view query) const;

    // Of the alerts in its rule files, as it has evaluated them.
    struct Alert {
        std::string name;
        std::string query;
        std::string health;  // "ok" if the query could be evaluated.
        std::string error;
    };
    [[nodiscard]] std::vector<Alert> alerts() const;

private:
    [[nodiscard]] rapidjson::Document get(std::string_view path, std::string_view query = {}) const;

    std::uint16_t port_;
    std::filesystem::path log_;
    std::optional<ChildProcess> process_;
};

}  // namespace runledger::test
