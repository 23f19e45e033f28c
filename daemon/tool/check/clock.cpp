#include "daemon/tool/check/clock.hpp"

#include <fmt/format.h>
#include <sys/timex.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace runledger::tool {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view subject = "clock";

}  // namespace

void check_clock(Findings& findings) {
    timex kernel{};  // modes 0: only asks.
    const int state = adjtimex(&kernel);
    if (state < 0) {
        findings.unknown(subject, "the kernel does not say: " + std::generic_category().message(errno),
                         "look with timedatectl");
    } else if (state == TIME_ERROR || (static_cast<unsigned>(kernel.status) & STA_UNSYNC) != 0) {
        findings.warn(
            subject,
            "nothing synchronises this machine's clock; an edge here would measure durations and costs with it",
            "timedatectl set-ntp true, or install chrony; in a container, on its host");
    } else {
        findings.passed(subject, "this machine's clock is synchronised");
    }
}

void judge_clock_difference(milliseconds difference, milliseconds doubt, Findings& findings) {
    constexpr milliseconds warned{1000};
    constexpr milliseconds refused{60'000};
    const milliseconds certain = std::max(std::chrono::abs(difference) - doubt, milliseconds{0});
    const std::string what = fmt::format("PostgreSQL's clock is {:.1f} s {} this machine's",
                                         std::chrono::duration<double>(std::chrono::abs(difference)).count(),
                                         difference.count() < 0 ? "behind" : "ahead of");
    const char* to_do = "synchronise the clocks of both machines: timedatectl set-ntp true";
    if (certain > refused) {
        findings.fail(subject, what, to_do);
    } else if (certain > warned) {
        findings.warn(subject, what, to_do);
    } else {
        findings.passed(subject, "PostgreSQL's clock agrees with this machine's");
    }
}

}  // namespace runledger::tool
