#include "tests/integration/edge/load.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <utility>

#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

constexpr int sender_count = 3;

// Between one sender's answer and its next request: a load, not a race for this machine's two cores.
constexpr std::chrono::milliseconds pause{3};

std::string event_of(int load, int sender, int number) {
    return fmt::format(R"({{"event_type": "run.updated", "status": "running", "run_id": "load-{}-{}-{}-{}"}})",
                       ::getpid(), load, sender, number);
}

int next_load() {
    static std::atomic<int> count{0};
    return ++count;
}

}  // namespace

Load::Load(std::string url) : url_{std::move(url)} {
    prepare_libcurl();
    for (int sender = 0; sender < sender_count; ++sender) {
        senders_.emplace_back([this, sender] { run(sender); });
    }
}

Load::~Load() { stop(); }

void Load::run(int sender) {
    const int load = next_load();
    for (int number = 0;; ++number) {
        std::string body = event_of(load, sender, number);
        const HttpAnswer answer = http_post(url_, body);
        std::unique_lock lock{mutex_};
        if (answer.status == 200) {
            answered_.push_back(std::move(body));
        } else {
            failures_.push_back(fmt::format("{} {} {}", answer.status, answer.error, answer.body));
        }
        if (stopped_.wait_for(lock, pause, [this] { return stopping_; })) {
            return;
        }
    }
}

void Load::wait_for_answers(std::size_t more) {
    const std::size_t before = answered().size();
    eventually(
        fmt::format("{} more events are answered", more), [&] { return answered().size() >= before + more; },
        default_patience,
        [this] {
            const auto failed = failures();
            return failed.empty() ? std::string{"no request failed"} : "the last that failed: " + failed.back();
        });
}

void Load::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    stopped_.notify_all();
    for (std::thread& sender : senders_) {
        if (sender.joinable()) {
            sender.join();
        }
    }
}

std::vector<std::string> Load::answered() const {
    const std::lock_guard lock{mutex_};
    return answered_;
}

std::vector<std::string> Load::failures() const {
    const std::lock_guard lock{mutex_};
    return failures_;
}

}  // namespace runledger::test
