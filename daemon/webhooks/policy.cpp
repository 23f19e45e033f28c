#include "daemon/webhooks/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace runledger::webhooks {
namespace {

using std::chrono::milliseconds;

milliseconds backoff(unsigned attempts, const Policy& policy, double chance) {
    milliseconds step = policy.retry_delay_min;
    for (unsigned i = 1; i < attempts && step < policy.retry_delay_max; ++i) {
        step *= 2;
    }
    step = std::min(step, policy.retry_delay_max);
    return milliseconds{static_cast<milliseconds::rep>(static_cast<double>(step.count()) * (0.5 + chance / 2))};
}

// A receiver's bytes are anybody's: what is stored and logged is one line of visible ASCII.
std::string one_line(std::string_view body) {
    std::string line;
    for (const char c : body.substr(0, answer_bytes_max)) {
        const bool is_visible = c > ' ' && c <= '~';
        if (is_visible || (!line.empty() && line.back() != ' ')) {
            line += is_visible ? c : ' ';
        }
    }
    return line;
}

std::string error_of(const HttpResponse& response) {
    if (response.status == 0) {
        const bool was_called = response.end != HttpEnd::bad_url && response.end != HttpEnd::not_begun;
        return fmt::format("{}: {}", was_called ? "no answer" : "not sent", one_line(response.why));
    }
    const bool is_redirect = response.status >= 300 && response.status < 400;
    const std::string body = one_line(response.body);
    return fmt::format("HTTP {}{}{}{}", response.status, is_redirect ? ", and redirects are not followed" : "",
                       body.empty() ? "" : ": ", body);
}

// 4xx is about this webhook, or its secret, and comes from a receiver that lives.
bool is_failure_of_the_host(long status) {
    constexpr long too_many_requests = 429;
    return status < 400 || status == too_many_requests || status >= 500;
}

Decision decide_of_event(const HttpResponse& response, const Attempt& attempt, const Policy& policy, double chance) {
    constexpr long gone = 410;
    constexpr long too_many_requests = 429;
    constexpr long unavailable = 503;
    const long status = response.status;
    if (status >= 200 && status < 300) {
        return {.verdict = Verdict::delivered, .status = status};
    }
    if (response.end == HttpEnd::aborted) {
        return {.verdict = Verdict::aborted};
    }
    if (response.end == HttpEnd::bad_url && !attempt.url_is_ours) {
        return {.verdict = Verdict::forbidden, .error = "metadata.webhookUrl is no URL: " + one_line(response.why)};
    }
    Decision decision{.verdict = Verdict::later, .error = error_of(response), .status = status};
    if (response.end == HttpEnd::bad_url || response.end == HttpEnd::not_begun) {
        decision.delay = backoff(attempt.attempts, policy, chance);
        return decision;
    }
    if (response.end == HttpEnd::forbidden_address) {
        constexpr std::string_view inner = "leads to an address that is not on the open Internet";
        decision.error = attempt.url_is_ours ? fmt::format("[webhooks] url {}; url_is_inner = true allows it", inner)
                                             : fmt::format("metadata.webhookUrl {}", inner);
    }
    if (status == gone) {
        decision.verdict = Verdict::gone;
        return decision;
    }
    decision.host_fails = is_failure_of_the_host(status);
    decision.delay = backoff(attempt.attempts, policy, chance);
    if ((status == too_many_requests || status == unavailable) && response.retry_after) {
        decision.verdict = Verdict::held;
        decision.host_fails = false;
        // Jitter, or all that waits would come at once.
        const auto asked = std::min<milliseconds>(*response.retry_after, policy.retry_after_max);
        decision.delay =
            asked +
            milliseconds{static_cast<milliseconds::rep>(static_cast<double>(policy.retry_delay_min.count()) * chance)};
    }
    return decision;
}

}  // namespace

Decision decide(const HttpResponse& response, const Attempt& attempt, const Policy& policy, double chance) {
    Decision decision = decide_of_event(response, attempt, policy, chance);
    const bool would_come_back = decision.verdict == Verdict::later || decision.verdict == Verdict::aborted;
    if (attempt.is_progress && would_come_back) {
        decision.verdict = Verdict::dropped;
        decision.delay = {};
        if (decision.error.empty()) {
            decision.error = "the daemon was stopped while it was sent";
        }
    }
    return decision;
}

}  // namespace runledger::webhooks
