#include "tests/support/disk_faults.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace runledger::test {
namespace {

// The shim's side of each is GCC's __atomic builtins.
void put(std::int32_t& field, int value) { std::atomic_ref{field}.store(value, std::memory_order_release); }
int get(std::int32_t& field) { return std::atomic_ref{field}.load(std::memory_order_acquire); }

disk_fault_control* map_control(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    void* mapped = MAP_FAILED;
    if (fd >= 0 && ::ftruncate(fd, sizeof(disk_fault_control)) == 0) {
        mapped = ::mmap(nullptr, sizeof(disk_fault_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    const int error = errno;
    if (fd >= 0) {
        ::close(fd);  // The mapping stays.
    }
    if (mapped == MAP_FAILED) {
        throw std::system_error(error, std::generic_category(), "map " + path.string());
    }
    return static_cast<disk_fault_control*>(mapped);  // Zeros: no rule is armed.
}

}  // namespace

DiskFaults::DiskFaults(const TempFolder& folder, const std::filesystem::path& target)
    : library_(install_executable(
          folder, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "tests" / "support" / "disk_fault_shim.so")),
      target_(target),
      control_path_(folder.write_file("disk_faults", "")),
      control_(map_control(control_path_)) {}

DiskFaults::~DiskFaults() {
    heal();
    ::munmap(control_, sizeof *control_);  // Fails only for an address that is not ours.
}

std::map<std::string, std::string> DiskFaults::env() const {
    return {{"LD_PRELOAD", library_.string()},
            {"RUNLEDGER_FAULT_FOLDER", target_.string()},
            {"RUNLEDGER_FAULT_CONTROL", control_path_.string()}};
}

void DiskFaults::set(disk_call_kind kind, const DiskFault& fault) {
    disk_fault_rule& rule = control_->rules[kind];
    put(rule.armed, 0);
    put(rule.error, fault.error);
    put(rule.after, fault.after);
    put(rule.times, fault.times);
    put(rule.delay_ms, static_cast<int>(fault.delay.count()));
    put(rule.bytes_max, fault.bytes_max);
    put(rule.armed, 1);
}

void DiskFaults::hang(disk_call_kind kind) { put(control_->rules[kind].hang, 1); }

void DiskFaults::heal() {
    for (disk_fault_rule& rule : control_->rules) {
        put(rule.armed, 0);
        put(rule.hang, 0);
    }
}

int DiskFaults::calls(disk_call_kind kind) const { return get(control_->rules[kind].calls); }

int DiskFaults::failed(disk_call_kind kind) const { return get(control_->rules[kind].failed); }

int DiskFaults::failed() const {
    int sum = 0;
    for (disk_fault_rule& rule : control_->rules) {
        sum += get(rule.failed);
    }
    return sum;
}

int DiskFaults::hanging(disk_call_kind kind) const { return get(control_->rules[kind].hanging); }

int DiskFaults::written_after_error() const { return get(control_->written_after_error); }

}  // namespace runledger::test
