#include "tests/stand_ins/comfy_sender.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <queue>
#include <stdexcept>

#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* user_agent = "Python/3.11 aiohttp/3.9.5";

std::chrono::microseconds read_clock(clockid_t id) {
    timespec time{};
    ::clock_gettime(id, &time);
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::seconds{time.tv_sec} +
                                                                 std::chrono::nanoseconds{time.tv_nsec});
}

std::size_t discard(char*, std::size_t size, std::size_t count, void*) {
    return size * count;  // The sender never reads an answer's body.
}

// What waits for its time: an event's first try or its next.
struct Due {
    Clock::time_point at{};
    std::size_t order{};  // Equal times keep the plan's order.
    Delivery delivery{};

    friend bool operator<(const Due& a, const Due& b) {  // The earliest on top of the queue.
        return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
};

// CURL and CURLM are both aliases of void, so one deleter can't tell them apart.
struct MultiCleanup {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct EasyCleanup {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListCleanup {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

class Sender {
public:
    Sender(const std::vector<RunPlan>& runs, const SenderOptions& options)
        : runs_(runs), options_(options), multi_(curl_multi_init()) {
        if (!multi_) {
            throw std::runtime_error("curl_multi_init");
        }
        curl_slist* list = nullptr;
        for (const char* header : {"Content-Type: application/json", "Accept: */*", "Expect:"}) {
            list = curl_slist_append(list, header);
        }
        for (const std::string& header : options.headers) {
            list = curl_slist_append(list, header.c_str());
        }
        headers_.reset(list);
        curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options.concurrency));
    }

    std::vector<Delivery> send() {
        plan();
        while (!due_.empty() || open_ > 0) {
            if (options_.stop && options_.stop()) {
                forget_what_was_not_begun();
            }
            begin_what_is_due();
            int running = 0;
            curl_multi_perform(multi_.get(), &running);
            take_answers();
            if (!due_.empty() || open_ > 0) {
                curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(pause().count()), nullptr);
            }
        }
        return std::move(delivered_);
    }

private:
    const std::vector<RunPlan>& runs_;
    const SenderOptions& options_;
    std::unique_ptr<CURLM, MultiCleanup> multi_;
    std::unique_ptr<curl_slist, ListCleanup> headers_;
    std::priority_queue<Due> due_;
    std::vector<Delivery> delivered_;
    std::vector<std::unique_ptr<CURL, EasyCleanup>> idle_;
    std::size_t open_{0};
    std::size_t next_order_{0};

    void plan() {
        const auto start = Clock::now();
        for (std::size_t run = 0; run < runs_.size(); ++run) {
            for (std::size_t event = 0; event < runs_[run].events.size(); ++event) {
                const auto offset =
                    std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::micro>(
                        static_cast<double>(runs_[run].events[event].due.count()) * options_.time_scale));
                due_.push({.at = start + offset, .order = next_order_++, .delivery = {.run = run, .event = event}});
            }
        }
    }

    // What has been tried goes on to its fate: it may be stored, and nobody would know of it.
    void forget_what_was_not_begun() {
        std::priority_queue<Due> begun;
        for (; !due_.empty(); due_.pop()) {
            if (!due_.top().delivery.tries.empty()) {
                begun.push(due_.top());
            }
        }
        due_ = std::move(begun);
    }

    std::chrono::milliseconds pause() const {
        constexpr std::chrono::milliseconds longest{50};  // So that `stop` is asked often.
        if (due_.empty() || open_ >= options_.concurrency) {
            return longest;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_.top().at - Clock::now());
        return std::clamp(left, std::chrono::milliseconds{0}, longest);
    }

    void begin_what_is_due() {
        const auto now = Clock::now();
        while (!due_.empty() && open_ < options_.concurrency && due_.top().at <= now) {
            Delivery delivery = due_.top().delivery;
            due_.pop();
            begin(std::move(delivery));
        }
    }

    CURL* take_idle() {
        if (idle_.empty()) {
            CURL* easy = curl_easy_init();
            if (easy == nullptr) {
                throw std::runtime_error("curl_easy_init");
            }
            return easy;
        }
        CURL* easy = idle_.back().release();
        idle_.pop_back();
        curl_easy_reset(easy);
        return easy;
    }

    void begin(Delivery delivery) {
        CURL* easy = take_idle();
        const std::string& body = runs_[delivery.run].events[delivery.event].body;
        const bool as_get = !delivery.tries.empty();
        curl_easy_setopt(easy, CURLOPT_URL, options_.url.c_str());
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
        // After POSTFIELDS, which makes it a POST: only the word in the request's first line is changed.
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, as_get ? "GET" : "POST");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.timeout.count()));
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
        if (options_.one_connection_per_event) {
            curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
            curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        }
        delivery.tries.push_back({.before = stamp_now(), .as_get = as_get});
        auto carried = std::make_unique<Delivery>(std::move(delivery));
        curl_easy_setopt(easy, CURLOPT_PRIVATE, carried.get());
        if (curl_multi_add_handle(multi_.get(), easy) != CURLM_OK) {
            curl_easy_cleanup(easy);
            throw std::runtime_error("curl_multi_add_handle");
        }
        carried.release();  // Taken back in take_answers().
        ++open_;
    }

    void take_answers() {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
            if (message->msg != CURLMSG_DONE) {
                continue;
            }
            CURL* easy = message->easy_handle;
            const CURLcode result = message->data.result;
            Delivery* carried = nullptr;
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &carried);
            const std::unique_ptr<Delivery> delivery(carried);
            Try& attempt = delivery->tries.back();
            attempt.after = stamp_now();
            if (result == CURLE_OK) {
                curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &attempt.status);
            } else {
                attempt.error = curl_easy_strerror(result);
            }
            curl_multi_remove_handle(multi_.get(), easy);
            idle_.emplace_back(easy);
            --open_;
            settle(std::move(*delivery));
        }
    }

    void settle(Delivery delivery) {
        const Try& last = delivery.tries.back();
        const bool refused = last.status == 0 || last.status >= 400;
        const std::size_t tries = delivery.tries.size();
        if (refused && tries <= options_.retry_delays.size()) {
            due_.push({.at = Clock::now() + options_.retry_delays[tries - 1],
                       .order = next_order_++,
                       .delivery = std::move(delivery)});
            return;
        }
        delivered_.push_back(std::move(delivery));
        if (options_.on_delivered) {
            options_.on_delivered(delivered_.back());
        }
    }
};

}  // namespace

Stamp stamp_now() {
    return {.received_at = WallTime{read_clock(CLOCK_REALTIME)}, .boottime = BootTime{read_clock(CLOCK_BOOTTIME)}};
}

std::vector<Delivery> send_runs(const std::vector<RunPlan>& runs, const SenderOptions& options) {
    prepare_libcurl();
    return Sender(runs, options).send();
}

}  // namespace runledger::test
