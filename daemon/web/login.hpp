// Who may see the page: those who know the token in [page] token_file.
//
// The token comes in a header (Authorization: Bearer …) or in the login's form, never in a URL. A login gives a cookie,
// which is not the token: an expiry, and the HMAC of it under the token. So the daemon keeps no session, a restart
// logs nobody out, and another token in the file logs everybody out. Wrong tokens are counted and never slowed down: a
// token is too long to be guessed, and a bound would let anybody keep the operator out. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/secret.hpp"
#include "daemon/web/listener.hpp"

namespace runledger::web {

// The least length of a token, in bytes.
inline constexpr std::size_t page_token_bytes_min = 16;

class Login {
public:
    struct Options {
        std::string token_file;
        Secret token;  // Its content at the start.
        std::chrono::seconds session{std::chrono::hours{24 * 7}};
        std::function<std::chrono::system_clock::time_point()> now{std::chrono::system_clock::now};
    };

    // `refused` counts wrong tokens; it outlives this.
    Login(Options options, std::atomic<std::uint64_t>& refused);

    // By the header or the cookie.
    [[nodiscard]] bool lets_in(const Request& request);
    // The token of the form.
    [[nodiscard]] bool is_the_token(std::string_view offered);

    // Set-Cookie's values.
    [[nodiscard]] std::string cookie(const Request& request);
    [[nodiscard]] static std::string no_cookie();

    static constexpr std::string_view cookie_name = "runledger_page";

private:
    [[nodiscard]] Secret token();
    void note_wrong();

    Options options_;
    std::atomic<std::uint64_t>& refused_;
    std::mutex mutex_;
    Secret token_;
    std::chrono::steady_clock::time_point look_at_{};
    std::chrono::steady_clock::time_point say_at_{};
    std::uint64_t unsaid_{0};  // Wrong tokens since the last line of the log.
};

}  // namespace runledger::web
