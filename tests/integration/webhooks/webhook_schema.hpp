// The JSON schema of webhooks that docs/ has.
#pragma once

#include <string>

#include "daemon/base/json.hpp"

namespace runledger::test {

// The body, parsed; the test fails if the schema refuses it.
[[nodiscard]] JsonDocument held_to_schema(const std::string& body);

}  // namespace runledger::test
