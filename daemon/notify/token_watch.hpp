// The watch over the bot's token: whether Telegram takes it, and, once it was refused, when the token file is looked at
// and when Telegram is asked again. It makes no call; the moment comes as a value. Owned by the notify thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "daemon/base/secret.hpp"

namespace runledger {

class TokenWatch {
public:
    using Time = std::chrono::steady_clock::time_point;

    struct Options {
        Secret token;
        std::string token_file;                // Empty: there is none to look at.
        std::chrono::milliseconds retry{};     // How often Telegram is asked about a refused token,
        std::chrono::milliseconds interval{};  // and how often the file is looked at.
        std::function<std::optional<Secret>(const std::string&)> read_file{read_guarded_secret_file};
    };

    explicit TokenWatch(Options options) : options_(std::move(options)) {}

    [[nodiscard]] const Secret& token() const noexcept { return options_.token; }
    // Telegram has taken it, and not refused it since. Until then there is one call at a time.
    [[nodiscard]] bool is_proven() const noexcept { return state_ == State::proven; }
    // Nothing is to be sent.
    [[nodiscard]] bool is_refused() const noexcept { return state_ == State::refused; }

    // What Telegram's answer to a call said of the token. True: that is new.
    bool on_refused(Time now);
    bool on_accepted();

    enum class Action : std::uint8_t {
        none,
        ask,            // Telegram, by getMe.
        ask_new_token,  // token() is another one now: likewise, with a client of its own.
    };
    // While no call is in flight.
    [[nodiscard]] Action look(Time now);
    // When look() has something to do; nothing: as long as the token is not refused.
    [[nodiscard]] std::optional<Time> next_look() const;

private:
    enum class State : std::uint8_t { unknown, proven, refused };

    [[nodiscard]] bool take_new_token();

    Options options_;
    State state_{State::unknown};
    Time ask_at_{};
    Time look_at_{};
};

}  // namespace runledger
