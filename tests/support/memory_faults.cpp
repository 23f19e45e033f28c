#include "tests/support/memory_faults.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace runledger::test {
namespace {

// The shim's side of each is GCC's __atomic builtins.
template <class Number>
void put(Number& field, Number value) {
    std::atomic_ref{field}.store(value, std::memory_order_release);
}
template <class Number>
Number get(Number& field) {
    return std::atomic_ref{field}.load(std::memory_order_acquire);
}

memory_fault_control* map_control(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    void* mapped = MAP_FAILED;
    if (fd >= 0 && ::ftruncate(fd, sizeof(memory_fault_control)) == 0) {
        mapped = ::mmap(nullptr, sizeof(memory_fault_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    const int error = errno;
    if (fd >= 0) {
        ::close(fd);  // The mapping stays.
    }
    if (mapped == MAP_FAILED) {
        throw std::system_error(error, std::generic_category(), "map " + path.string());
    }
    return static_cast<memory_fault_control*>(mapped);  // Zeros: nothing fails.
}

}  // namespace

MemoryFaults::MemoryFaults(const TempFolder& folder, std::string_view name)
    : library_(install_executable(
          folder, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "tests" / "support" / "memory_fault_shim.so")),
      control_path_(folder.write_file(name, "")),
      control_(map_control(control_path_)) {}

MemoryFaults::~MemoryFaults() {
    ::munmap(control_, sizeof *control_);  // Fails only for an address that is not ours.
}

std::map<std::string, std::string> MemoryFaults::env() const {
    return {{"LD_PRELOAD", library_.string()}, {"RUNLEDGER_MEMORY_CONTROL", control_path_.string()}};
}

void MemoryFaults::fail_allocation(std::string_view stage, std::int64_t number) {
    stage.copy(static_cast<char*>(control_->fail_stage), memory_name_bytes - 1);
    put(control_->fail_allocation, number);
}

void MemoryFaults::fail_thread(int number) { put<std::int32_t>(control_->fail_thread, number); }

bool MemoryFaults::has_struck() const { return get(control_->failed) > 0; }

std::string MemoryFaults::culprit() const { return static_cast<const char*>(control_->culprit); }

std::map<std::string, std::int64_t> MemoryFaults::allocations() const {
    std::map<std::string, std::int64_t> counts;
    const std::int32_t stages = get(control_->stages);
    for (std::int32_t i = 0; i < stages; ++i) {
        counts.emplace(static_cast<const char*>(control_->stage[i].name), get(control_->stage[i].allocations));
    }
    return counts;
}

int MemoryFaults::threads() const { return get(control_->threads); }

}  // namespace runledger::test
