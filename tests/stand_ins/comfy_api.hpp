// A stand-in for ComfyDeploy's API: GET /run/{run_id} on 127.0.0.1, answered as the test scripts it.
//
// Every request is recorded, with its path and its Authorization header. The answers run on the server's threads; all
// else may be called from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::test {

struct ComfyApiAnswer {
    int status{200};
    std::string body{};
    int retry_after_seconds{0};          // 0: no header.
    std::string location{};              // Empty: no header.
    std::chrono::milliseconds delay{0};  // Or until the stand-in ends.
    bool waits_for_release{false};       // Until release(): what happens meanwhile is the test's to say.

    // A run as the provider writes it, in its own key order.
    [[nodiscard]] static ComfyApiAnswer run(std::string_view run_id, std::string_view status,
                                            std::string_view outputs = "[]");
};

struct ComfyApiRequest {
    std::string path{};    // As it came, escapes included.
    std::string run_id{};  // Decoded.
    std::string authorization{};
    std::chrono::steady_clock::time_point at{};
};

class ComfyApiStandIn {
public:
    ComfyApiStandIn();  // Listens on return.
    ~ComfyApiStandIn();
    ComfyApiStandIn(const ComfyApiStandIn&) = delete;
    ComfyApiStandIn& operator=(const ComfyApiStandIn&) = delete;

    [[nodiscard]] std::string url() const;  // For [comfydeploy] api_url.

    // What GET /run/{run_id} answers from now on; of a run without a script, 404.
    void script(const std::string& run_id, ComfyApiAnswer answer);
    void script_all(ComfyApiAnswer answer);
    void release();
    // From now on the address answers nothing (connection refused), until comes_back().
    void goes_away();
    void comes_back();

    [[nodiscard]] std::vector<ComfyApiRequest> requests() const;
    [[nodiscard]] std::size_t requests_for(std::string_view run_id) const;
    [[nodiscard]] std::size_t under_way_most() const;  // So many at a time, at most.

private:
    class State;
    class Listener;
    std::unique_ptr<State> state_;
    std::uint16_t port_;
    std::unique_ptr<Listener> listener_;
};

}  // namespace runledger::test
