// [intake] of the configuration: where edges connect. docs/settings.md says what each key does.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/net/curve_keys.hpp"

namespace runledger {

struct IntakeSettings {
    std::vector<std::string> bind{"ipc:///run/runledger/daemon.sock"};
    std::optional<CurveServer> curve{};  // For what is tcp://.

    bool operator==(const IntakeSettings&) const = default;
};

}  // namespace runledger
