// Settings that a stage is to use from now on, on their way from the thread that reloads the configuration to the
// stage's own. The stage takes them between two turns, so that one turn never works by two configurations.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

namespace runledger {

template <class Settings>
class SettingsChange {
public:
    // From any thread. Replaces those that were offered before and are not taken yet.
    void offer(Settings settings) {
        const std::lock_guard lock(mutex_);
        offered_ = std::move(settings);
        waits_.store(true, std::memory_order_relaxed);
    }

    // Whether take() has something.
    [[nodiscard]] bool waits() const noexcept { return waits_.load(std::memory_order_relaxed); }

    [[nodiscard]] std::optional<Settings> take() {
        if (!waits()) {
            return std::nullopt;
        }
        const std::lock_guard lock(mutex_);
        waits_.store(false, std::memory_order_relaxed);
        return std::exchange(offered_, std::nullopt);
    }

    // What was taken could not be used: take() has it again, unless others were offered meanwhile.
    void put_back(Settings settings) noexcept {
        const std::lock_guard lock(mutex_);
        if (!offered_) {
            offered_ = std::move(settings);
            waits_.store(true, std::memory_order_relaxed);
        }
    }

private:
    std::mutex mutex_;
    std::optional<Settings> offered_;
    std::atomic<bool> waits_{false};
};

}  // namespace runledger
