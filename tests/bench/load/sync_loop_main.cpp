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

std::vector<std::int64_t> measure(const std::string& path, std::size_t bytes, std::chrono::duration<double> span) {
    const std::vector<char> content(bytes, 'x');
    std::vector<std::int64_t> took_ns;
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
        took_ns.push_back(std::chrono::nanoseconds{Clock::now() - before}.count());
        at += static_cast<off_t>(bytes);
    }
    ::close(fd);
    ::unlink(path.c_str());
    std::sort(took_ns.begin(), took_ns.end());
    return took_ns;
}

}  // namespace

int main(int argc, char** argv) {
    std::string path;
    std::size_t bytes = 4096;
    double seconds = 3.0;
    CLI::App app{"How long a bare write and fdatasync take"};
    app.add_option("--file", path, "Is made, and removed")->required();
    app.add_option("--bytes", bytes, "Of each write")->check(CLI::Range(1, 16 * 1024 * 1024))->capture_default_str();
    app.add_option("--seconds", seconds, "For how long")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        const auto took_ns = measure(path, bytes, std::chrono::duration<double>{seconds});
        const auto quantile_us = [&](double share) {
            const auto at = static_cast<std::size_t>(share * static_cast<double>(took_ns.size()));
            return static_cast<double>(took_ns.at(std::min(at, took_ns.size() - 1))) / 1000.0;
        };
        fmt::print(R"({{"writes": {}, "bytes": {}, "p50_us": {:.1f}, "p99_us": {:.1f}, "max_us": {:.1f}}})"
                   "\n",
                   took_ns.size(), bytes, quantile_us(0.5), quantile_us(0.99), quantile_us(1.0));
    } catch (const std::exception& e) {
        fmt::print(stderr, "bench_sync_loop: {}\n", e.what());
        return 1;
    }
    return 0;
}
