#include "nginx-module/link/resources.hpp"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <future>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "nginx-module/spool/files.hpp"

namespace runledger::edge {
namespace {

// A context with one I/O thread starts two threads: that one, and the reaper. Twice as many are to spare.
constexpr int threads_needed = 2;
constexpr int threads_probed = 3 * threads_needed;

// Three mailboxes and two epoll descriptors; the event loop may accept connections meanwhile.
constexpr int descriptors_needed = 5;
constexpr int descriptors_probed = 4 * descriptors_needed;

void check_descriptors() {
    std::vector<Fd> probed;
    for (int i = 0; i < descriptors_probed; ++i) {
        probed.emplace_back(::eventfd(0, EFD_CLOEXEC));
        if (!probed.back()) {
            throw std::system_error(errno, std::generic_category(), "too few descriptors for ZeroMQ");
        }
    }
}

// A thread that was joined counts against a limit until the kernel has released it, a moment later.
void wait_until_released(const std::vector<long>& thread_ids) {
    constexpr int looks_max = 100;
    int looks = 0;
    for (const long id : thread_ids) {
        const std::string task = "/proc/self/task/" + std::to_string(id);
        while (::access(task.c_str(), F_OK) == 0) {
            if (++looks > looks_max) {
                throw std::system_error(EAGAIN, std::generic_category(), "threads that have ended still count");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }
}

// All of them live at once. What std::thread throws says that there are too few.
void check_threads() {
    struct Probe {
        std::promise<long> id;
        std::thread thread;
    };
    std::promise<void> release;
    const std::shared_future<void> released = release.get_future().share();
    std::vector<Probe> probes(threads_probed);
    std::vector<long> ids;
    std::exception_ptr failure;
    try {
        for (Probe& probe : probes) {
            std::future<long> id = probe.id.get_future();
            probe.thread = std::thread([&probe, released] {
                probe.id.set_value(::syscall(SYS_gettid));
                released.wait();
            });
            ids.push_back(id.get());
        }
    } catch (const std::exception&) {
        failure = std::current_exception();  // Rethrown below, when those that live have ended.
    }
    release.set_value();
    for (Probe& probe : probes) {
        if (probe.thread.joinable()) {
            probe.thread.join();
        }
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    wait_until_released(ids);
}

}  // namespace

void check_resources_for_zeromq() {
    check_descriptors();
    check_threads();
}

}  // namespace runledger::edge
