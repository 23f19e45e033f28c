#include "tests/support/scarcity.hpp"

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

scarcity_control* map_control(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    void* mapped = MAP_FAILED;
    if (fd >= 0 && ::ftruncate(fd, sizeof(scarcity_control)) == 0) {
        mapped = ::mmap(nullptr, sizeof(scarcity_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    const int error = errno;
    if (fd >= 0) {
        ::close(fd);  // The mapping stays.
    }
    if (mapped == MAP_FAILED) {
        throw std::system_error(error, std::generic_category(), "map " + path.string());
    }
    return static_cast<scarcity_control*>(mapped);
}

constexpr int any_number = -1;

}  // namespace

Scarcity::Scarcity(const TempFolder& folder)
    : library_(install_executable(
          folder, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "tests" / "support" / "scarcity_shim.so")),
      control_path_(folder.write_file("scarcity", "")),
      control_(map_control(control_path_)) {
    put(control_->threads_max, any_number);
    std::filesystem::permissions(control_path_, std::filesystem::perms{0666});  // A worker has another user.
}

Scarcity::~Scarcity() {
    end();
    ::munmap(control_, sizeof *control_);  // Fails only for an address that is not ours.
}

std::map<std::string, std::string> Scarcity::env() const {
    return {{"LD_PRELOAD", library_.string()}, {"RUNLEDGER_SCARCITY_CONTROL", control_path_.string()}};
}

void Scarcity::allow_threads(int threads_max) { put(control_->threads_max, threads_max); }

void Scarcity::let_names_hang() { put(control_->names_hang, 1); }

void Scarcity::forget_names() { put(control_->names_unknown, 1); }

void Scarcity::end() {
    put(control_->threads_max, any_number);
    put(control_->names_hang, 0);
    put(control_->names_unknown, 0);
}

int Scarcity::threads_denied() const { return get(control_->threads_denied); }

int Scarcity::names_waiting() const { return get(control_->names_waiting); }

}  // namespace runledger::test
