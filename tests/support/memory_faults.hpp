// Memory and threads of a real runledgerd that run out when a test says so.
//
// It is a preloaded library (memory_fault_shim.c) steered through a mapped file. What is set fails once, in whichever
// process that was started with env() comes to it, also after a restart. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "tests/support/memory_fault_control.h"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class MemoryFaults {
public:
    // The control file, of this name, goes into `folder`, which must outlive the daemon.
    MemoryFaults(const TempFolder& folder, std::string_view name);
    MemoryFaults(const MemoryFaults&) = delete;
    MemoryFaults& operator=(const MemoryFaults&) = delete;
    ~MemoryFaults();

    // For the daemon whose memory it is.
    [[nodiscard]] std::map<std::string, std::string> env() const;

    // The allocation of this number, from 1, of the stage's thread ("rl-apply") fails.
    void fail_allocation(std::string_view stage, std::int64_t number);
    // The thread of this number that the process starts, from 1, can't be started.
    void fail_thread(int number);

    [[nodiscard]] bool has_struck() const;
    // The program or library that the memory or thread was refused to: "runledgerd", "libpq.so.5".
    [[nodiscard]] std::string culprit() const;
    // So far, by stage.
    [[nodiscard]] std::map<std::string, std::int64_t> allocations() const;
    [[nodiscard]] int threads() const;

private:
    std::filesystem::path library_;
    std::filesystem::path control_path_;
    memory_fault_control* control_;
};

}  // namespace runledger::test
