#include "tests/stand_ins/bot_api.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/stand_ins/bot_api_state.hpp"
#include "tests/support/process.hpp"

namespace runledger::test {
namespace {

constexpr std::size_t server_threads = 64;  // Each kept connection and each delayed answer holds one.
constexpr int listen_backlog = 512;
constexpr const char* json_type = "application/json";

CallFields fields_of(const httplib::Request& request) {
    CallFields fields;
    if (request.get_header_value("Content-Type").starts_with(json_type)) {
        if (auto parsed = fields_of_json(request.body)) {
            fields = std::move(*parsed);
        }
    }
    for (const auto& [name, value] : request.params) {  // The query string and an urlencoded body.
        fields.texts.insert_or_assign(name, value);
    }
    for (const auto& [name, part] : request.files) {
        if (part.filename.empty()) {
            fields.texts.insert_or_assign(name, part.content);
        } else {
            fields.uploads.insert_or_assign(name, part.content.size());
            fields.file_names.insert_or_assign(name, part.filename);
        }
    }
    return fields;
}

// The library gives a handler no hold of its connection: it is found among our own descriptors by the peer's port.
void reset_connection_from(int peer_port) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const std::string name = entry.path().filename().string();
        int fd = -1;
        std::from_chars(name.data(), name.data() + name.size(), fd);
        sockaddr_in peer{};
        socklen_t length = sizeof peer;
        // reinterpret_cast: the sockets API's own way of passing addresses.
        if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0 || peer.sin_family != AF_INET ||
            ntohs(peer.sin_port) != peer_port) {
            continue;
        }
        sockaddr_in own{};
        length = sizeof own;
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::shutdown(fd, SHUT_RDWR);
    }
}

}  // namespace

// The HTTP server and its thread; made anew each time the API comes back.
class BotApi::Listener {
public:
    Listener(State& state, std::uint16_t port) : state_(state) {
        server_.new_task_queue = [] { return new httplib::ThreadPool(server_threads); };  // The library deletes it.
        server_.set_tcp_nodelay(true);
        server_.set_keep_alive_max_count(1'000'000);
        int listening_socket = -1;
        server_.set_socket_options([&listening_socket](socket_t socket) {
            const int yes = 1;
            ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
            listening_socket = socket;
        });
        const auto call = [this](const httplib::Request& request, httplib::Response& response) {
            answer(request, response);
        };
        server_.Post(R"(/bot([^/]+)/(\w+))", call);
        server_.Get(R"(/bot([^/]+)/(\w+))", call);
        server_.Get("/_messages", [this](const httplib::Request&, httplib::Response& response) {
            response.set_content(state_.recorded_json(), json_type);
        });
        if (!server_.bind_to_port("127.0.0.1", port)) {
            throw std::runtime_error(fmt::format("the Bot API's stand-in can't listen on 127.0.0.1:{}", port));
        }
        ::listen(listening_socket, listen_backlog);  // The library's own backlog is 5.
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        while (!server_.is_running()) {
            std::this_thread::yield();  // stop() before the thread has begun would be lost.
        }
    }

    ~Listener() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        stopped_.notify_all();
        server_.stop();
        thread_.join();
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

private:
    State& state_;
    httplib::Server server_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    bool stopping_{false};

    void answer(const httplib::Request& request, httplib::Response& response) {
        const CallFields fields = fields_of(request);
        state_.fetch_media_of(request.matches[2].str(), fields);  // Takes its time, as Telegram's does.
        const BotReply reply =
            state_.take(request.matches[1].str(), request.matches[2].str(), fields, std::chrono::steady_clock::now());
        if (reply.answer.delay > std::chrono::milliseconds{0}) {
            std::unique_lock lock(mutex_);
            stopped_.wait_for(lock, reply.answer.delay, [this] { return stopping_; });
        }
        if (reply.answer.drop_connection) {
            reset_connection_from(request.remote_port);
        }
        response.status = reply.answer.error_code;
        if (reply.answer.retry_after > 0) {
            response.set_header("Retry-After", std::to_string(reply.answer.retry_after));
        }
        response.set_content(reply.body, json_type);
    }
};

BotApi::BotApi(BotApiOptions options)
    : state_(std::make_unique<State>(options)), port_(options.port != 0 ? options.port : free_port()) {
    comes_back();
}

BotApi::~BotApi() = default;

std::string BotApi::url() const { return fmt::format("http://127.0.0.1:{}", port_); }
std::uint16_t BotApi::port() const noexcept { return port_; }
void BotApi::script(BotRule rule) { state_->script(std::move(rule)); }
void BotApi::clear_script() { state_->clear_script(); }
void BotApi::goes_away() { listener_.reset(); }

void BotApi::comes_back() {
    if (!listener_) {
        listener_ = std::make_unique<Listener>(*state_, port_);
    }
}

std::vector<BotCall> BotApi::calls() const { return state_->calls(); }

std::vector<BotCall> BotApi::accepted() const {
    std::vector<BotCall> calls = state_->calls();
    std::erase_if(calls, [](const BotCall& call) { return !call.accepted; });
    return calls;
}

std::vector<BotCall> BotApi::refused() const {
    std::vector<BotCall> calls = state_->calls();
    std::erase_if(calls, [](const BotCall& call) { return call.accepted; });
    return calls;
}

std::vector<BotCall> BotApi::sent_to(std::string_view chat_id) const {
    std::vector<BotCall> calls = accepted();
    std::erase_if(calls,
                  [&](const BotCall& call) { return call.chat_id != chat_id || !call.method.starts_with("send"); });
    return calls;
}

std::vector<std::string> BotApi::fetched_urls() const { return state_->fetched_urls(); }
std::vector<BotMessage> BotApi::visible_in(std::string_view chat_id) const { return state_->visible_in(chat_id); }
std::string BotApi::recorded_json() const { return state_->recorded_json(); }

bool BotCall::mentions(std::string_view text) const {
    return std::any_of(fields.texts.begin(), fields.texts.end(),
                       [&](const auto& field) { return field.second.find(text) != std::string::npos; });
}

BotAnswer BotAnswer::too_many_requests(int retry_after_seconds) {
    return {.error_code = 429,
            .description = fmt::format("Too Many Requests: retry after {}", retry_after_seconds),
            .retry_after = retry_after_seconds};
}

BotAnswer BotAnswer::forbidden(std::string words) { return {.error_code = 403, .description = std::move(words)}; }
BotAnswer BotAnswer::bad_request(std::string words) { return {.error_code = 400, .description = std::move(words)}; }

BotAnswer BotAnswer::migrated(std::string new_chat_id) {
    return {.error_code = 400,
            .description = "Bad Request: group chat was upgraded to a supergroup chat",
            .migrate_to_chat_id = std::move(new_chat_id)};
}

BotAnswer BotAnswer::unauthorized() { return {.error_code = 401, .description = "Unauthorized"}; }
BotAnswer BotAnswer::server_error(int code) { return {.error_code = code, .description = "Bad Gateway"}; }
BotAnswer BotAnswer::slow(std::chrono::milliseconds wait) { return {.delay = wait}; }
BotAnswer BotAnswer::accept_then_drop() { return {.drop_connection = true}; }
BotAnswer BotAnswer::drop() { return {.error_code = 502, .description = "dropped", .drop_connection = true}; }

}  // namespace runledger::test
