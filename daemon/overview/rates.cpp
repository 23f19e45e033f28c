#include "daemon/overview/rates.hpp"

#include <algorithm>

namespace runledger {
namespace {

constexpr std::chrono::minutes kept{60};
constexpr std::chrono::minutes window{1};

}  // namespace

void RateHistory::add(Time now, const WorkTotals& totals) {
    const std::lock_guard lock(mutex_);
    samples_.push_back({now, totals});
    // One sample beyond the hour, so that its first minute has a beginning.
    while (samples_.size() > 2 && now - samples_[1].at >= kept) {
        samples_.pop_front();
    }
}

WorkRates RateHistory::rates() const {
    const std::lock_guard lock(mutex_);
    WorkRates rates;
    if (samples_.size() < 2) {
        return rates;
    }
    const Sample& last = samples_.back();
    const auto first =
        std::ranges::find_if(samples_, [&](const Sample& sample) { return last.at - sample.at <= window; });
    const std::chrono::duration<double> spent = last.at - first->at;
    if (spent.count() > 0) {
        const auto per_second = [&](std::uint64_t WorkTotals::*member) {
            return static_cast<double>(last.totals.*member - first->totals.*member) / spent.count();
        };
        rates.events = per_second(&WorkTotals::events);
        rates.settlements = per_second(&WorkTotals::settlements);
        rates.messages = per_second(&WorkTotals::messages);
    }
    rates.events_of_hour = last.totals.events - samples_.front().totals.events;
    const auto minutes = static_cast<std::size_t>(std::min<std::chrono::minutes::rep>(
        (last.at - samples_.front().at + window - Time::duration{1}) / window, kept / window));
    rates.events_by_minute.assign(minutes, 0);
    for (std::size_t i = 1; i < samples_.size(); ++i) {
        const auto ago = static_cast<std::size_t>((last.at - samples_[i].at) / window);
        if (ago < minutes) {
            rates.events_by_minute[minutes - 1 - ago] += samples_[i].totals.events - samples_[i - 1].totals.events;
        }
    }
    return rates;
}

}  // namespace runledger
