#include "tests/stand_ins/webhook_receiver.hpp"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/process.hpp"

namespace runledger::test {
namespace {

constexpr std::size_t server_threads = 24;  // Each kept connection and each delayed answer holds one.

}  // namespace

class WebhookReceiver::State {
public:
    void script(WebhookRule rule) {
        const std::lock_guard lock(mutex_);
        rules_.push_back(std::move(rule));
    }
    void clear_script() {
        const std::lock_guard lock(mutex_);
        rules_.clear();
    }
    // Delayed answers come at once from now on.
    void hurry(bool ending) {
        {
            const std::lock_guard lock(mutex_);
            ending_ = ending;
        }
        changed_.notify_all();
    }

    [[nodiscard]] WebhookAnswer answer(ReceivedWebhook webhook) {
        std::unique_lock lock(mutex_);
        const auto rule = std::ranges::find_if(rules_, [&](const WebhookRule& each) {
            return each.times != 0 && webhook.body.find(each.mention) != std::string::npos;
        });
        WebhookAnswer answer;
        if (rule != rules_.end()) {
            answer = rule->answer;
            rule->times -= rule->times > 0 ? 1 : 0;
        }
        webhook.answered = answer.status;
        received_.push_back(std::move(webhook));
        under_way_most_ = std::max(under_way_most_, ++under_way_);
        changed_.wait_for(lock, answer.delay, [this] { return ending_; });
        --under_way_;
        return answer;
    }

    [[nodiscard]] std::vector<ReceivedWebhook> received() const {
        const std::lock_guard lock(mutex_);
        return received_;
    }
    [[nodiscard]] std::size_t under_way_most() const {
        const std::lock_guard lock(mutex_);
        return under_way_most_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<WebhookRule> rules_;
    std::vector<ReceivedWebhook> received_;
    std::size_t under_way_{0};
    std::size_t under_way_most_{0};
    bool ending_{false};
};

// The HTTP server and its thread; made anew each time the receiver comes back.
class WebhookReceiver::Listener {
public:
    Listener(State& state, const Tls& tls, std::uint16_t port)
        : state_(state),
          server_(tls.certificate.empty()
                      ? std::make_unique<httplib::Server>()
                      : std::make_unique<httplib::SSLServer>(tls.certificate.c_str(), tls.key.c_str())) {
        state_.hurry(false);
        server_->new_task_queue = [] { return new httplib::ThreadPool(server_threads); };  // The library deletes it.
        server_->set_tcp_nodelay(true);
        server_->set_keep_alive_max_count(1'000'000);
        server_->Post(
            ".*", [this](const httplib::Request& request, httplib::Response& response) { respond(request, response); });
        if (!server_->bind_to_port("127.0.0.1", port)) {
            throw std::runtime_error(fmt::format("the receiver of webhooks can't listen on 127.0.0.1:{}", port));
        }
        thread_ = std::thread([this] { server_->listen_after_bind(); });
        while (!server_->is_running()) {
            std::this_thread::yield();  // stop() before the thread has begun would be lost.
        }
    }
    ~Listener() {
        state_.hurry(true);
        server_->stop();
        thread_.join();
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

private:
    void respond(const httplib::Request& request, httplib::Response& response) {
        const WebhookAnswer answer = state_.answer({.path = request.path,
                                                    .id = request.get_header_value("webhook-id"),
                                                    .timestamp = request.get_header_value("webhook-timestamp"),
                                                    .signature = request.get_header_value("webhook-signature"),
                                                    .content_type = request.get_header_value("Content-Type"),
                                                    .body = request.body,
                                                    .at = std::chrono::steady_clock::now()});
        response.status = answer.status;
        if (answer.retry_after_seconds > 0) {
            response.set_header("Retry-After", std::to_string(answer.retry_after_seconds));
        }
        if (!answer.location.empty()) {
            response.set_header("Location", answer.location);
        }
        if (answer.body_bytes == 0) {
            response.set_content(answer.body, "text/plain");
            return;
        }
        response.set_content_provider(answer.body_bytes, "text/plain",
                                      [](std::size_t, std::size_t length, httplib::DataSink& sink) {
                                          const std::string block(std::min<std::size_t>(length, 64U * 1024), 'x');
                                          return sink.write(block.data(), block.size());
                                      });
    }

    State& state_;
    std::unique_ptr<httplib::Server> server_;
    std::thread thread_;
};

WebhookReceiver::WebhookReceiver() : WebhookReceiver(Tls{}) {}
WebhookReceiver::WebhookReceiver(Tls tls)
    : tls_(std::move(tls)), state_(std::make_unique<State>()), port_(free_port()) {
    comes_back();
}
WebhookReceiver::~WebhookReceiver() = default;

std::string WebhookReceiver::url(std::string_view path) const {
    return fmt::format("{}://127.0.0.1:{}{}", tls_.certificate.empty() ? "http" : "https", port_, path);
}
void WebhookReceiver::script(WebhookRule rule) { state_->script(std::move(rule)); }
void WebhookReceiver::clear_script() { state_->clear_script(); }
void WebhookReceiver::goes_away() { listener_.reset(); }
void WebhookReceiver::comes_back() {
    if (!listener_) {
        listener_ = std::make_unique<Listener>(*state_, tls_, port_);
    }
}
std::vector<ReceivedWebhook> WebhookReceiver::received() const { return state_->received(); }
std::vector<ReceivedWebhook> WebhookReceiver::accepted() const { return accepted_with(""); }
std::vector<ReceivedWebhook> WebhookReceiver::accepted_with(std::string_view mention) const {
    auto found = received();
    std::erase_if(found, [&](const ReceivedWebhook& webhook) {
        return !webhook.is_accepted() || webhook.body.find(mention) == std::string::npos;
    });
    return found;
}
std::size_t WebhookReceiver::under_way_most() const { return state_->under_way_most(); }

}  // namespace runledger::test
