#include "tests/stand_ins/comfy_api.hpp"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/process.hpp"

namespace runledger::test {
namespace {

constexpr std::size_t server_threads = 16;  // Each kept connection and each delayed answer holds one.

}  // namespace

class ComfyApiStandIn::State {
public:
    void script(const std::string& run_id, ComfyApiAnswer answer) {
        const std::lock_guard lock(mutex_);
        scripts_.insert_or_assign(run_id, std::move(answer));
    }
    void script_all(ComfyApiAnswer answer) {
        const std::lock_guard lock(mutex_);
        for_all_ = std::move(answer);
    }
    void release() {
        {
            const std::lock_guard lock(mutex_);
            released_ = true;
        }
        changed_.notify_all();
    }
    // Delayed answers come at once from now on.
    void hurry(bool ending) {
        {
            const std::lock_guard lock(mutex_);
            ending_ = ending;
        }
        changed_.notify_all();
    }

    [[nodiscard]] ComfyApiAnswer answer(ComfyApiRequest request) {
        std::unique_lock lock(mutex_);
        const std::string run_id = request.run_id;
        requests_.push_back(std::move(request));
        under_way_most_ = std::max(under_way_most_, ++under_way_);
        const auto script = scripts_.find(run_id);
        ComfyApiAnswer answer{.status = 404, .body = R"({"detail": "Run not found"})"};
        if (script != scripts_.end()) {
            answer = script->second;
        } else if (for_all_) {
            answer = *for_all_;
        }
        changed_.wait_for(lock, answer.delay, [this] { return ending_; });
        if (answer.waits_for_release) {
            changed_.wait(lock, [this] { return released_ || ending_; });
        }
        --under_way_;
        return answer;
    }

    [[nodiscard]] std::vector<ComfyApiRequest> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    [[nodiscard]] std::size_t under_way_most() const {
        const std::lock_guard lock(mutex_);
        return under_way_most_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, ComfyApiAnswer> scripts_;
    std::optional<ComfyApiAnswer> for_all_;
    std::vector<ComfyApiRequest> requests_;
    std::size_t under_way_{0};
    std::size_t under_way_most_{0};
    bool released_{false};
    bool ending_{false};
};

// The HTTP server and its thread; made anew each time the API comes back.
class ComfyApiStandIn::Listener {
public:
    Listener(State& state, std::uint16_t port) : state_(state) {
        state_.hurry(false);
        server_.new_task_queue = [] { return new httplib::ThreadPool(server_threads); };  // The library deletes it.
        server_.set_tcp_nodelay(true);
        server_.set_keep_alive_max_count(1'000'000);
        server_.Get(R"(/run/(.*))", [this](const httplib::Request& request, httplib::Response& response) {
            const ComfyApiAnswer answer = state_.answer({.path = request.target,
                                                         .run_id = request.matches[1].str(),
                                                         .authorization = request.get_header_value("Authorization"),
                                                         .at = std::chrono::steady_clock::now()});
            response.status = answer.status;
            if (answer.retry_after_seconds > 0) {
                response.set_header("Retry-After", std::to_string(answer.retry_after_seconds));
            }
            if (!answer.location.empty()) {
                response.set_header("Location", answer.location);
            }
            response.set_content(answer.body, "application/json");
        });
        if (!server_.bind_to_port("127.0.0.1", port)) {
            throw std::runtime_error(fmt::format("ComfyDeploy's stand-in can't listen on 127.0.0.1:{}", port));
        }
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        while (!server_.is_running()) {
            std::this_thread::yield();  // stop() before the thread has begun would be lost.
        }
    }
    ~Listener() {
        state_.hurry(true);
        server_.stop();
        thread_.join();
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

private:
    State& state_;
    httplib::Server server_;
    std::thread thread_;
};

ComfyApiAnswer ComfyApiAnswer::run(std::string_view run_id, std::string_view status, std::string_view outputs) {
    return {.body = fmt::format(
                R"({{"id": "{}", "workflow_id": "w", "status": "{}", "live_status": null, "progress": 1.0, )"
                R"("created_at": "2025-08-29T02:35:30.000Z", "queued_at": "2025-08-29T02:35:31.000Z", )"
                R"("started_at": "2025-08-29T02:35:40.250000Z", "ended_at": "2025-08-29T02:35:52.750500Z", )"
                R"("run_duration": 12.5005, "outputs": {}}})",
                run_id, status, outputs)};
}

ComfyApiStandIn::ComfyApiStandIn() : state_(std::make_unique<State>()), port_(free_port()) { comes_back(); }
ComfyApiStandIn::~ComfyApiStandIn() = default;

std::string ComfyApiStandIn::url() const { return fmt::format("http://127.0.0.1:{}", port_); }
void ComfyApiStandIn::script(const std::string& run_id, ComfyApiAnswer answer) {
    state_->script(run_id, std::move(answer));
}
void ComfyApiStandIn::script_all(ComfyApiAnswer answer) { state_->script_all(std::move(answer)); }
void ComfyApiStandIn::release() { state_->release(); }
void ComfyApiStandIn::goes_away() { listener_.reset(); }
void ComfyApiStandIn::comes_back() {
    if (!listener_) {
        listener_ = std::make_unique<Listener>(*state_, port_);
    }
}
std::vector<ComfyApiRequest> ComfyApiStandIn::requests() const { return state_->requests(); }
std::size_t ComfyApiStandIn::requests_for(std::string_view run_id) const {
    const auto all = requests();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& request) { return request.run_id == run_id; }));
}
std::size_t ComfyApiStandIn::under_way_most() const { return state_->under_way_most(); }

}  // namespace runledger::test
