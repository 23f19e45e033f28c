// Look-ups at ComfyDeploy's API: GET {api_url}/run/{run_id}.
//
// Invariant: the key is in a header of the requests and nowhere else: no text that comes out of here has it. It goes
// to api_url only, since redirects are never followed. Bounded in size and time. One thread owns it.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "daemon/base/secret.hpp"
#include "daemon/net/http_client.hpp"

namespace runledger {

struct ApiAnswer {
    long status{};
    std::string body;
    std::optional<std::chrono::seconds> retry_after{};  // The header.
};

// No whole answer came: refused, timed out, broken off.
struct NoAnswer {
    std::string why;  // Without address and key.
    bool is_too_large{false};
};

using LookupResult = std::variant<ApiAnswer, NoAnswer>;

class ComfyApi {
public:
    struct Options {
        std::string api_url;
        Secret key;
        std::chrono::milliseconds timeout{};  // Of one look-up, connecting included.
        std::size_t answer_bytes_max{};
    };
    struct Ended {
        std::string run_id;
        LookupResult result;
    };

    // Throws std::runtime_error where libcurl can't be set up.
    explicit ComfyApi(const Options& options);

    // Begins a look-up of a run that is not being looked up. It always ends, in drive() or with abort_all().
    void ask(const std::string& run_id);

    // Moves all look-ups on, for up to `bound` or until some have ended; returns those.
    [[nodiscard]] std::vector<Ended> drive(std::chrono::milliseconds bound);

    // Ends all look-ups now, without a result; returns their runs.
    [[nodiscard]] std::vector<std::string> abort_all();

    [[nodiscard]] std::size_t in_flight() const noexcept { return runs_.size(); }
    [[nodiscard]] bool is_in_flight(std::string_view run_id) const noexcept;
    // Of look-ups that will never end, because there was no memory for it: they are in flight no more.
    void forget_stranded() noexcept;

private:
    std::string api_url_;
    std::size_t answer_bytes_max_;
    HttpClient client_;
    std::unordered_map<HttpTicket, std::string> runs_;  // In flight.
    HttpTicket last_ticket_{0};
};

// A run's id as one segment of a path: nothing in it can lead elsewhere.
[[nodiscard]] std::string path_segment(std::string_view run_id);

}  // namespace runledger
