#include "daemon/notify/token_watch.hpp"

#include <algorithm>
#include <utility>

namespace runledger {

bool TokenWatch::on_refused(Time now) {
    ask_at_ = now + options_.retry;
    look_at_ = now;
    return std::exchange(state_, State::refused) != State::refused;
}

bool TokenWatch::on_accepted() { return std::exchange(state_, State::proven) == State::refused; }

TokenWatch::Action TokenWatch::look(Time now) {
    if (!is_refused()) {
        return Action::none;
    }
    if (now >= look_at_) {
        look_at_ = now + options_.interval;
        if (take_new_token()) {
            ask_at_ = now + options_.retry;
            return Action::ask_new_token;
        }
    }
    if (now >= ask_at_) {
        ask_at_ = now + options_.retry;
        return Action::ask;
    }
    return Action::none;
}

std::optional<TokenWatch::Time> TokenWatch::next_look() const {
    return is_refused() ? std::optional(std::min(look_at_, ask_at_)) : std::nullopt;
}

// A file that can't be read, is empty or is open to others is no change: somebody may be writing it.
bool TokenWatch::take_new_token() {
    if (options_.token_file.empty()) {
        return false;
    }
    auto token = options_.read_file(options_.token_file);
    if (!token || token->reveal() == options_.token.reveal()) {
        return false;
    }
    options_.token = std::move(*token);
    return true;
}

}  // namespace runledger
