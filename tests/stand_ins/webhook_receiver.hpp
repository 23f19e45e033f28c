// A stand-in for a receiver of webhooks on 127.0.0.1: records what comes, and answers what a test has scripted.
//
// A webhook is recorded before it is answered. The answers run on the server's threads; all else may be called from any
// thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::test {

struct WebhookAnswer {
    int status{200};
    int retry_after_seconds{0};          // 0: no header.
    std::string location{};              // Empty: no header.
    std::string body{};                  //
    std::size_t body_bytes{0};           // More than 0: so many x instead, as fast as they are read.
    std::chrono::milliseconds delay{0};  // Or until the stand-in ends.
};

struct ReceivedWebhook {
    std::string path{};
    std::string id{};
    std::string timestamp{};
    std::string signature{};
    std::string content_type{};
    std::string body{};
    std::chrono::steady_clock::time_point at{};
    int answered{};  // The status.

    [[nodiscard]] bool is_accepted() const noexcept { return answered >= 200 && answered < 300; }
};

// Which webhooks an answer is for. Rules are tried in the order they were given; one that is used up is passed over.
struct WebhookRule {
    WebhookAnswer answer{};
    int times{1};           // -1: for ever.
    std::string mention{};  // Empty: any; else what the body must hold.
};

class WebhookReceiver {
public:
    // With a certificate and its key: https.
    struct Tls {
        std::filesystem::path certificate{};
        std::filesystem::path key{};
    };
    WebhookReceiver();  // Listens on return.
    explicit WebhookReceiver(Tls tls);
    ~WebhookReceiver();
    WebhookReceiver(const WebhookReceiver&) = delete;
    WebhookReceiver& operator=(const WebhookReceiver&) = delete;

    [[nodiscard]] std::string url(std::string_view path = "/hook") const;
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    void script(WebhookRule rule);
    void clear_script();
    // From now on the address answers nothing (connection refused), until comes_back().
    void goes_away();
    void comes_back();

    [[nodiscard]] std::vector<ReceivedWebhook> received() const;  // In the order they came.
    [[nodiscard]] std::vector<ReceivedWebhook> accepted() const;
    // Those whose body holds the text.
    [[nodiscard]] std::vector<ReceivedWebhook> accepted_with(std::string_view mention) const;
    [[nodiscard]] std::size_t under_way_most() const;  // So many at a time, at most.

private:
    class State;
    class Listener;
    Tls tls_;
    std::unique_ptr<State> state_;
    std::uint16_t port_;
    std::unique_ptr<Listener> listener_;
};

}  // namespace runledger::test
