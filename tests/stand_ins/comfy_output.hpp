// The outputs that a simulated run has: images, videos under `files`, texts, and now and then something that
// PostgreSQL's jsonb refuses (docs/sender.md, "Numbers and strings"). Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/stand_ins/comfy_run.hpp"
#include "tests/support/dice.hpp"

namespace runledger::test {

struct OutputOptions {
    double odd{};  // How often an output holds what jsonb refuses, or a number beyond any type.
    std::size_t text_bytes{};
    std::string picture_url{};  // Without a slash at its end.
};

// None, one or several; a URL is unique by its run's id and its file's name.
[[nodiscard]] std::vector<PlannedOutput> make_outputs(Dice& dice, const std::string& run_id,
                                                      const OutputOptions& options);

}  // namespace runledger::test
