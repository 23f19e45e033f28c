// The numbers of the page, kept for some seconds, so that many open pages cost one read.
//
// One thread reads at a time. The others get what was read before, or, at the very first, wait for it. A read that
// fails leaves the last numbers with their age. Any thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "daemon/overview/edges.hpp"
#include "daemon/overview/health.hpp"
#include "daemon/overview/numbers.hpp"
#include "daemon/overview/reader.hpp"
#include "daemon/overview/search.hpp"

namespace runledger {

// The last value that could be read, and what became of the last attempt.
template <class Value>
struct Kept {
    std::shared_ptr<const Value> value{};       // Null: none was ever read.
    std::optional<std::chrono::seconds> age{};  // Of the value.
    std::string error{};                        // Of the last attempt; empty: it succeeded.
};

// One value that is read again when it is asked for and too old.
template <class Value>
class Keeper {
public:
    using Clock = std::chrono::steady_clock;
    struct Pace {
        std::chrono::milliseconds fresh{};  // So long a value is handed out without a read.
        int rest{20};                       // After a read, this many times its duration without another.
    };

    Keeper(Pace pace, std::function<Value()> read) : pace_(pace), read_(std::move(read)) {}

    [[nodiscard]] Kept<Value> get() {
        std::unique_lock lock(mutex_);
        if (is_reading_ && value_ == nullptr) {
            // The first read is under way; statements and connecting have their own bounds.
            read_ended_.wait_for(lock, std::chrono::seconds{10}, [&] { return !is_reading_; });
        }
        if (!is_reading_ && Clock::now() >= next_read_) {
            is_reading_ = true;
            lock.unlock();
            const auto begun = Clock::now();
            std::shared_ptr<const Value> fresh;
            std::string error;
            try {
                fresh = std::make_shared<const Value>(read_());
            } catch (const std::exception& failure) {
                error = why_not_read(failure);
            }
            const auto ended = Clock::now();
            lock.lock();
            if (fresh) {
                value_ = std::move(fresh);
                read_at_ = begun;
            }
            error_ = std::move(error);
            next_read_ = ended + std::max<Clock::duration>(pace_.fresh, (ended - begun) * pace_.rest);
            is_reading_ = false;
            read_ended_.notify_all();
        }
        Kept<Value> kept{.value = value_, .age = std::nullopt, .error = error_};
        if (value_) {
            kept.age = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - read_at_);
        }
        return kept;
    }

private:
    Pace pace_;
    std::function<Value()> read_;
    std::mutex mutex_;
    std::condition_variable read_ended_;
    bool is_reading_{false};
    std::shared_ptr<const Value> value_;
    Clock::time_point read_at_{};
    Clock::time_point next_read_{};
    std::string error_;
};

class Overview {
public:
    struct Options {
        std::string uri;                 // Of PostgreSQL.
        std::vector<std::string> edges;  // URLs of status pages.
        std::chrono::milliseconds live_fresh{std::chrono::seconds{4}};
        std::chrono::milliseconds month_fresh{std::chrono::seconds{60}};
        std::chrono::milliseconds edge_timeout{std::chrono::seconds{2}};
    };

    explicit Overview(Options options);
    Overview(const Overview&) = delete;
    Overview& operator=(const Overview&) = delete;

    struct Numbers {
        Kept<LiveNumbers> live;
        Kept<MonthNumbers> month;
        Kept<std::vector<EdgeNumbers>> edges;
    };
    [[nodiscard]] Numbers numbers();

    struct Found {
        SearchResult result{};
        std::string error{};  // Not empty: nothing could be looked up.
    };
    // One search at a time; further ones wait.
    [[nodiscard]] Found search(const std::string& words);

private:
    Options options_;
    OverviewReader live_reader_;
    OverviewReader month_reader_;
    Keeper<LiveNumbers> live_;
    Keeper<MonthNumbers> month_;
    Keeper<std::vector<EdgeNumbers>> edges_;
    std::mutex search_mutex_;
    RunSearch search_;
};

// The verdict with what the ledger and the edges say: the page's, and that of `runledger status`. Pure.
[[nodiscard]] Health with_numbers(Health health, const Overview::Numbers& numbers);

}  // namespace runledger
