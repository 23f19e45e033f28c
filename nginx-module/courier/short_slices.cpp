#include "nginx-module/courier/short_slices.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace runledger::edge {
namespace {

// Whether a seccomp filter lies on this process, as systemd's SystemCallFilter= and containers make one (proc(5),
// Seccomp). Where that can't be told: true.
bool is_system_call_filtered() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("Seccomp:")) {
            return !line.ends_with("\t0");
        }
    }
    return true;
}

}  // namespace

// The courier sleeps in fdatasync most of the time and works for microseconds in between, while requests wait for it. A
// scheduler that goes by deadlines (Linux 6.6 and later) would let whoever has the processor end its slice first, some
// three milliseconds; one who asks for short slices is let in before. Linux before 6.12 takes no notice.
void ask_for_short_slices() {
    if (::sched_getscheduler(0) != SCHED_OTHER) {
        return;  // The operator's choice.
    }
    if (is_system_call_filtered()) {
        return;  // A filter may kill whoever calls what it does not know, and a worker is not worth the risk.
    }
    struct {  // struct sched_attr, as far as every kernel knows it; the kernel's header clashes with the C library's.
        std::uint32_t size{48};
        std::uint32_t policy{0};  // SCHED_OTHER, as before.
        std::uint64_t flags{0};
        std::int32_t nice{0};
        std::uint32_t priority{0};
        std::uint64_t runtime_ns{100'000};  // The least that may be asked for.
        std::uint64_t deadline_ns{0};
        std::uint64_t period_ns{0};
    } wanted;
    static_assert(sizeof wanted == 48);
    wanted.nice = ::getpriority(PRIO_PROCESS, 0);        // The worker's, by its worker_priority.
    (void)::syscall(SYS_sched_setattr, 0, &wanted, 0U);  // Refused, the courier is only later.
}

}  // namespace runledger::edge
