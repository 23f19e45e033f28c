// `runledger keygen NAME`: a CURVE key pair, in two files.
#pragma once

#include <filesystem>
#include <string>

#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

struct KeygenOptions {
    std::string name;
    std::filesystem::path folder{"."};
};

// Writes NAME.secret, which only its owner may read, and NAME.public, and prints the public line. Overwrites nothing.
// Returns exit_yes. Throws Misused for a name that is none, std::runtime_error where a file can't be made; then neither
// is left behind.
int make_keys(const KeygenOptions& options, Output& out);

}  // namespace runledger::tool
