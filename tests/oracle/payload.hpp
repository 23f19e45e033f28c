// How the oracle reads outputs out of a generation's response_payload; internal to oracle*.cpp.
//
// It asks little of the payload's shape: wherever they stand, each output's id is there once as a member "id", and each
// of its URLs is there.
#pragma once

#include "tests/oracle/oracle.hpp"

namespace runledger::test {

void compare_outputs(const StoredGeneration& row, const ExpectedGeneration& expected, Findings& findings);

}  // namespace runledger::test
