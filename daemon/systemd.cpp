#include "daemon/systemd.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>

namespace runledger {
namespace {

// Fails where nobody listens, and then nobody misses it.
void tell(const std::string& assignments) { (void)sd_notify(0, assignments.c_str()); }

std::string on_one_line(std::string_view status) {
    std::string line(status);
    std::ranges::replace(line, '\n', ' ');  // The next line would be the next assignment.
    return line;
}

}  // namespace

Systemd::Systemd() {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) > 0) {
        watchdog_ = std::chrono::microseconds{microseconds};
    }
}

void Systemd::give_time(std::chrono::microseconds bound) { tell(fmt::format("EXTEND_TIMEOUT_USEC={}", bound.count())); }

void Systemd::say(std::string_view status) {
    if (std::string line = on_one_line(status); line != status_) {
        tell("STATUS=" + line);
        status_ = std::move(line);
    }
}

void Systemd::ready(std::string_view status) {
    status_ = on_one_line(status);
    tell("READY=1\nSTATUS=" + status_);
}

void Systemd::reloading() {
    // With the moment, by which systemd 253 and later (Type=notify-reload) tell this reload from the one before.
    const auto now =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch());
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.count()));
}

void Systemd::reloaded() noexcept {
    (void)sd_notify(0, "READY=1");  // As in tell().
}

void Systemd::stopping(std::string_view status) {
    status_ = on_one_line(status);
    tell("STOPPING=1\nSTATUS=" + status_);
}

void Systemd::beat() { tell("WATCHDOG=1"); }

}  // namespace runledger
