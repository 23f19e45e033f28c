// What systemd hears of the daemon (sd_notify(3)). Where no service manager listens, nothing is sent.
//
// Used by main()'s thread alone.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace runledger {

class Systemd {
public:
    Systemd();

    // Before an attempt that may take so long: TimeoutStartSec= does not end it.
    static void give_time(std::chrono::microseconds bound);
    // One sentence for `systemctl status`. Sent only if it is another than the last.
    void say(std::string_view status);
    void ready(std::string_view status);
    // reloaded() follows, whatever comes of the reload.
    static void reloading();
    static void reloaded() noexcept;
    void stopping(std::string_view status);

    // Nothing: the service has no WatchdogSec=.
    [[nodiscard]] std::optional<std::chrono::microseconds> watchdog() const noexcept { return watchdog_; }
    static void beat();

private:
    std::optional<std::chrono::microseconds> watchdog_;
    std::string status_;
};

}  // namespace runledger
