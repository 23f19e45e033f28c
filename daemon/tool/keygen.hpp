// `runledger keygen NAME`: a CURVE key pair, in two files.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

namespace runledger::tool {

struct KeygenOptions {
    std::string name;
    std::filesystem::path folder{"."};
};

// Writes NAME.secret, which only its owner may read, and NAME.public, and prints the public line. Overwrites nothing.
// Returns what main() is to return. Throws std::runtime_error where a file can't be made; then neither is left behind.
int make_keys(const KeygenOptions& options, std::FILE* out);

}  // namespace runledger::tool
