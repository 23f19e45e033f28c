// A disk under one folder of a real nginx that a test makes fail, hang and recover while nginx runs.
//
// It is a preloaded library (disk_fault_shim.c) steered through a mapped file, so what is set holds from the next call
// on, in every process that was started with env(), forked ones included. Nothing is wrong with the disk at first.
// Any thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>

#include "tests/support/disk_fault_control.h"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

struct DiskFault {
    static constexpr int for_ever = -1;

    int error{0};                       // An errno; 0: the calls go through, late or short.
    int after{0};                       // So many calls pass first.
    int times{for_ever};                // Then so many fail.
    std::chrono::milliseconds delay{};  // Before each call.
    int bytes_max{0};                   // What one write takes at most; 0: all.
};

class DiskFaults {
public:
    // `target` need not exist yet. The control file goes into `folder`, which must outlive the servers.
    DiskFaults(const TempFolder& folder, const std::filesystem::path& target);
    DiskFaults(const DiskFaults&) = delete;
    DiskFaults& operator=(const DiskFaults&) = delete;
    ~DiskFaults();  // Heals: nobody who waits is left behind.

    // For the server whose disk it is.
    [[nodiscard]] std::map<std::string, std::string> env() const;

    // Replaces what was set for this kind of call.
    void set(disk_call_kind kind, const DiskFault& fault);
    // Calls of this kind wait until heal().
    void hang(disk_call_kind kind);
    // Everything works again, and what hangs goes on.
    void heal();

    [[nodiscard]] int calls(disk_call_kind kind) const;    // Since the start.
    [[nodiscard]] int failed(disk_call_kind kind) const;   // Of those, on our account.
    [[nodiscard]] int failed() const;                      // Of every kind.
    [[nodiscard]] int hanging(disk_call_kind kind) const;  // Now.
    // Writes to a file of which a write or a sync has failed before.
    [[nodiscard]] int written_after_error() const;

private:
    std::filesystem::path library_;
    std::filesystem::path target_;
    std::filesystem::path control_path_;
    disk_fault_control* control_;
};

}  // namespace runledger::test
