// Look-ups at ComfyDeploy's API through libcurl's multi interface: GET {api_url}/run/{run_id}.
//
// Invariant: the key is in the header that curl holds and nowhere else: no text that comes out of here has it. It goes
// to api_url only, since redirects are never followed. Bounded in size and time. One thread owns it.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "daemon/base/secret.hpp"

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
    explicit ComfyApi(Options options);
    ~ComfyApi();
    ComfyApi(const ComfyApi&) = delete;
    ComfyApi& operator=(const ComfyApi&) = delete;

    // Begins a look-up of a run that is not being looked up. It always ends, in drive() or with abort_all().
    void ask(const std::string& run_id);

    // Moves all look-ups on, for up to `bound` or until some have ended; returns those.
    [[nodiscard]] std::vector<Ended> drive(std::chrono::milliseconds bound);

    // Ends all look-ups now, without a result; returns their runs.
    std::vector<std::string> abort_all();

    [[nodiscard]] std::size_t in_flight() const noexcept { return calls_.size() + not_begun_.size(); }

private:
    struct Call;
    struct MultiDeleter {
        void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
    };
    struct ListDeleter {
        void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
    };

    void set_up(Call& call) const;
    void collect(std::vector<Ended>& ended);
    [[nodiscard]] LookupResult result_of(Call& call, CURLcode code) const;

    Options options_;
    std::unique_ptr<CURLM, MultiDeleter> multi_;
    std::unique_ptr<curl_slist, ListDeleter> headers_;  // With the key: never printed.
    std::unordered_map<std::string, std::unique_ptr<Call>> calls_;
    std::vector<Ended> not_begun_;
};

// A run's id as one segment of a path: nothing in it can lead elsewhere.
[[nodiscard]] std::string path_segment(std::string_view run_id);

}  // namespace runledger
