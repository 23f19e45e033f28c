// bench_sync_loop: how long a bare write and fdatasync take on a disk, one after another, and prints it as one JSON
// object. It writes as the spool does: forward, into 16 MiB of reserved space, and into another file when that is full.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr off_t file_bytes = 16L * 1024 * 1024;

void check(bool is_well, const char* what) {
    if (!is_well) {
        throw std::system_error(errno, std::generic_category(), what);
    }
}

int fresh_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0, "open");
    check(::posix_fallocate(fd, 0, file_bytes) == 0, "posix_fallocate");
    check(::fdatasync(fd) == 0, "fdatasync");
    return fd;
}

struct Write {
    Clock::time_point begin;
    Clock::time_point end;
};

std::vector<Write> measure(const std::string& path, std::size_t bytes, std::chrono::duration<double> span) {
    const std::vector<char> content(bytes, 'x');
    std::vector<Write> writes;
    int fd = fresh_file(path);
    off_t at = 0;
    const auto end = Clock::now() + span;
    while (Clock::now() < end) {
        if (at + static_cast<off_t>(bytes) > file_bytes) {
            ::close(fd);
            fd = fresh_file(path);
            at = 0;
        }
        const auto before = Clock::now();
        check(::pwrite(fd, content.data(), bytes, at) == static_cast<ssize_t>(bytes), "pwrite");
        check(::fdatasync(fd) == 0, "fdatasync");
        writes.push_back({before, Clock::now()});
        at += static_cast<off_t>(bytes);
    }
    ::close(fd);
    ::unlink(path.c_str());
    return writes;
}

// How long events would have waited that were due so many times a second, each for the first write begun after it: what
// the disk alone leaves to whoever stores them. A stall is here each event that falls into it, not one slow write.
std::vector<std::int64_t> waits_ns(const std::vector<Write>& writes, double per_second) {
    const auto apart = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{1.0 / per_second});
    std::vector<std::int64_t> waits;
    Clock::time_point due = writes.front().begin;
    for (const Write& write : writes) {
        for (; due <= write.begin; due += apart) {
            waits.push_back(std::chrono::nanoseconds{write.end - due}.count());
        }
    }
    return waits;
}

double quantile_us(std::vector<std::int64_t> values_ns, double share) {
    std::sort(values_ns.begin(), values_ns.end());
    const auto at = static_cast<std::size_t>(share * static_cast<double>(values_ns.size()));
    return static_cast<double>(values_ns.at(std::min(at, values_ns.size() - 1))) / 1000.0;
}

}  // namespace

int main(int argc, char** argv) {
    std::string path;
    std::size_t bytes = 4096;
    double seconds = 3.0;
    double per_second = 5000.0;
    CLI::App app{"How long a bare write and fdatasync take"};
    app.add_option("--file", path, "Is made, and removed")->required();
    app.add_option("--bytes", bytes, "Of each write")->check(CLI::Range(1, 16 * 1024 * 1024))->capture_default_str();
    app.add_option("--seconds", seconds, "For how long")->capture_default_str();
    app.add_option("--per-second", per_second, "Events that are thought to be due")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        const auto writes = measure(path, bytes, std::chrono::duration<double>{seconds});
        std::vector<std::int64_t> took_ns;
        for (const Write& write : writes) {
            took_ns.push_back(std::chrono::nanoseconds{write.end - write.begin}.count());
        }
        fmt::print(R"({{"writes": {}, "bytes": {}, "p50_us": {:.1f}, "p99_us": {:.1f}, "max_us": {:.1f}, )"
                   R"("due_p99_us": {:.1f}}})"
                   "\n",
                   writes.size(), bytes, quantile_us(took_ns, 0.5), quantile_us(took_ns, 0.99),
                   quantile_us(took_ns, 1.0), quantile_us(waits_ns(writes, per_second), 0.99));
    } catch (const std::exception& e) {
        fmt::print(stderr, "bench_sync_loop: {}\n", e.what());
        return 1;
    }
    return 0;
}
