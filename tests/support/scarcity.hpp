// Too few threads, and names that nobody resolves, for a real nginx that a test runs.
//
// A preloaded library (scarcity_shim.c) steered through a mapped file, as DiskFaults is. Nothing is scarce at first.
// Any thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "tests/support/scarcity_control.h"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class Scarcity {
public:
    // The control file goes into `folder`, which must outlive the servers.
    explicit Scarcity(const TempFolder& folder);
    Scarcity(const Scarcity&) = delete;
    Scarcity& operator=(const Scarcity&) = delete;
    ~Scarcity();  // Ends all of it.

    // For the server that is to feel it.
    [[nodiscard]] std::map<std::string, std::string> env() const;

    // Each process may have so many threads beside its first.
    void allow_threads(int threads_max);
    // Look-ups of names wait until end(), and then fail.
    void let_names_hang();
    void forget_names();
    void end();

    [[nodiscard]] int threads_denied() const;
    [[nodiscard]] int names_waiting() const;

private:
    std::filesystem::path library_;
    std::filesystem::path control_path_;
    scarcity_control* control_;
};

}  // namespace runledger::test
