#include "tests/bench/load/load.hpp"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <deque>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "tests/bench/load/connection.hpp"

namespace runledger::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience_after_end{30};
constexpr std::uint64_t failures_in_vain_max = 1000;
// 28,000 ports each: connections in TIME_WAIT never use all of them up.
constexpr unsigned source_addresses = 100;

class Load {
public:
    explicit Load(const LoadOptions& options)
        : options_(options),
          bodies_(options.bodies),
          epoll_(::epoll_create1(EPOLL_CLOEXEC)),
          tls_(options.tls ? make_tls_context() : nullptr) {
        if (epoll_ < 0) {
            throw std::system_error(errno, std::generic_category(), "epoll_create1");
        }
        target_.address.sin_family = AF_INET;
        target_.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        target_.address.sin_port = htons(options.port);
        target_.tls = tls_.get();
        for (std::size_t i = 0; i < options.connections; ++i) {
            lanes_.push_back(std::make_unique<Lane>());
            idle_.push_back(i);
        }
        result_.latency_ns.reserve(1U << 20U);
    }
    ~Load() { ::close(epoll_); }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    LoadResult run() {
        begin_ = Clock::now();
        end_ = begin_ + std::chrono::duration_cast<Clock::duration>(options_.span);
        while (true) {
            const auto now = Clock::now();
            if (now < end_) {
                become_due(now);
            }
            while (may_begin(now)) {
                begin_next();
            }
            const bool is_over = now >= end_ || is_count_reached();
            if (is_over && under_way_ == 0 && due_.empty()) {
                break;
            }
            if (now >= end_ + patience_after_end) {
                result_.unanswered = under_way_ + due_.size();
                break;
            }
            wait(now);
        }
        result_.took = last_answer_ - begin_;
        result_.runs = bodies_.runs();
        return std::move(result_);
    }

private:
    struct Lane {
        Connection connection;
        Clock::time_point since;
    };

    [[nodiscard]] bool is_open_loop() const { return options_.rate_per_second.has_value(); }
    [[nodiscard]] bool is_count_reached() const { return options_.events_max && begun_ >= *options_.events_max; }

    [[nodiscard]] Clock::time_point due_at(std::uint64_t number) const {
        const std::chrono::duration<double> after{static_cast<double>(number) / options_.rate_per_second.value_or(1.0)};
        return begin_ + std::chrono::duration_cast<Clock::duration>(after);
    }

    void become_due(Clock::time_point now) {
        if (!is_open_loop()) {
            return;
        }
        while (due_at(next_due_) <= now && (!options_.events_max || next_due_ < *options_.events_max)) {
            due_.push_back(due_at(next_due_++));
        }
    }

    [[nodiscard]] bool may_begin(Clock::time_point now) const {
        if (idle_.empty()) {
            return false;
        }
        return is_open_loop() ? !due_.empty() : now < end_ && !is_count_reached();
    }

    void begin_next() {
        const std::size_t number = idle_.back();
        idle_.pop_back();
        Lane& lane = *lanes_[number];
        lane.since = Clock::now();
        if (is_open_loop()) {
            lane.since = due_.front();
            due_.pop_front();
        }
        ++begun_;
        ++under_way_;
        fill(lane.connection.request());
        if (lane.connection.state() == Connection::State::answered) {
            lane.connection.send();
        } else {
            open(number);
        }
        look_at(number);
    }

    void fill(std::string& request) {
        body_.clear();
        bodies_.append_next(body_);
        result_.body_bytes += body_.size();
        request.clear();
        request += "POST ";
        request += options_.path;
        request += " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
        request += options_.new_connection_each ? "Connection: close\r\nContent-Length: " : "Content-Length: ";
        request += std::to_string(body_.size());
        request += "\r\n\r\n";
        request += body_;
    }

    void open(std::size_t number) {
        Lane& lane = *lanes_[number];
        lane.connection.open(target_, ++sources_ % source_addresses + 1);
        if (lane.connection.state() != Connection::State::failed) {
            epoll_event event{};
            event.events = EPOLLIN | EPOLLOUT | EPOLLET;
            event.data.u64 = number;
            if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, lane.connection.fd(), &event) != 0) {
                throw std::system_error(errno, std::generic_category(), "epoll_ctl");
            }
        }
    }

    // After anything that may have ended the event under way.
    void look_at(std::size_t number) {
        Lane& lane = *lanes_[number];
        const auto state = lane.connection.state();
        if (state != Connection::State::answered && state != Connection::State::failed) {
            return;
        }
        last_answer_ = Clock::now();
        ++result_.answers[lane.connection.status()];
        if (state == Connection::State::answered) {
            result_.latency_ns.push_back(std::chrono::nanoseconds{last_answer_ - lane.since}.count());
            if (options_.new_connection_each || !lane.connection.keeps_alive()) {
                lane.connection.close();
            }
        } else if (result_.answers[0] > failures_in_vain_max && result_.latency_ns.empty()) {
            throw std::runtime_error("the server can't be reached");
        }
        --under_way_;
        idle_.push_back(number);
    }

    void wait(Clock::time_point now) {
        Clock::time_point until = now < end_ ? end_ : end_ + patience_after_end;
        if (is_open_loop() && now < end_ && !(options_.events_max && next_due_ >= *options_.events_max)) {
            until = std::min(until, due_at(next_due_));
        }
        const auto left = std::max(std::chrono::nanoseconds{until - now}, std::chrono::nanoseconds{0});
        const timespec bound{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
        std::array<epoll_event, 256> events{};
        const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &bound, nullptr);
        if (count < 0 && errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "epoll_pwait2");
        }
        for (int i = 0; i < count; ++i) {
            const auto number = static_cast<std::size_t>(events.at(static_cast<std::size_t>(i)).data.u64);
            Connection& connection = lanes_[number]->connection;
            const auto before = connection.state();
            connection.go_on();
            // One that rests between events has nothing under way that could end.
            if (before != Connection::State::answered && before != Connection::State::closed) {
                look_at(number);
            }
        }
    }

    const LoadOptions& options_;
    RunBodies bodies_;
    int epoll_{-1};
    TlsContext tls_;
    Connection::Target target_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<std::size_t> idle_;
    std::deque<Clock::time_point> due_;  // Waits for a connection.
    std::uint64_t next_due_{};
    std::uint64_t begun_{};
    std::uint64_t under_way_{};
    unsigned sources_{};
    std::string body_;
    Clock::time_point begin_;
    Clock::time_point end_;
    Clock::time_point last_answer_;
    LoadResult result_;
};

}  // namespace

LoadResult run_load(const LoadOptions& options) { return Load(options).run(); }

}  // namespace runledger::bench
