// The bot's token: asked about at the start, and, once Telegram has refused it, until it is known again. Meanwhile
// nothing is sent and nothing is lost. A changed token file is taken without a restart.
#include <spdlog/spdlog.h>

#include <utility>

#include "daemon/notify/notify.hpp"

namespace runledger {
namespace {

using std::chrono::steady_clock;
using telegram::Verdict;

constexpr telegram::BotApi::Ticket token_check = 0;  // Notifications count from 1.

}  // namespace

bool Notifier::start_calls() {
    while (config_.mode == TelegramMode::send && !bot_) {
        try {
            if (!config_.fetch_hosts.empty()) {
                telegram::Fetcher::Options options = tuning_.fetch;
                options.host_suffixes = config_.fetch_hosts;
                options.timeout = config_.fetch_timeout;
                fetcher_.emplace(std::move(options));
            }
            bot_.emplace(telegram::BotApi::Options{
                .api_url = config_.api_url, .token = config_.token, .timeout = config_.timeout});
            if (config_.progress) {
                progress_.emplace(postgres_uri_, config_.progress_interval, config_.text);
            }
            bot_->call(token_check, "getMe", std::string("{}"));
        } catch (const std::exception& error) {
            spdlog::error("telegram can't be called error={}", in_quotes(error.what()));
            if (!wakeup_.pause(tuning_.token_retry)) {
                return false;
            }
        }
    }
    return true;
}

void Notifier::take_token_check(const telegram::CallResult& result) {
    const telegram::Answer answer = telegram::classify(result, false);
    if (answer.verdict == Verdict::sent) {
        spdlog::info("telegram accepts the token");
        accept_token();
        next_look_ = Time{};
    } else if (answer.verdict == Verdict::unauthorized) {
        refuse_token(answer.description, steady_clock::now());
    } else if (!stopping_) {
        spdlog::warn("telegram's token could not be checked error={}", in_quotes(answer.description));
    }
}

void Notifier::refuse_token(const std::string& error, Time now) {
    token_is_proven_ = false;
    token_retry_at_ = now + tuning_.token_retry;
    token_watch_at_ = now;
    const bool was_refused = counters_.token_is_refused.exchange(true);
    spdlog::error(
        "telegram refuses the token: nothing is sent, all notifications stay pending; put the right token into "
        "[telegram] "
        "token_file, which is looked at every {} ms error={}",
        tuning_.token_watch.count(), in_quotes(error));
    for (const std::int64_t id : std::exchange(waiting_, {})) {
        end(id, given_back(error));
    }
    if (!was_refused && tuning_.on_degraded) {
        tuning_.on_degraded(true);
    }
}

void Notifier::accept_token() {
    token_is_proven_ = true;
    if (counters_.token_is_refused.exchange(false)) {
        spdlog::info("telegram accepts the token again");
        if (tuning_.on_degraded) {
            tuning_.on_degraded(false);
        }
    }
}

void Notifier::look_after_token(Time now) {
    if (!bot_ || !counters_.token_is_refused || bot_->in_flight() > 0) {
        return;
    }
    if (now >= token_watch_at_) {
        token_watch_at_ = now + tuning_.token_watch;
        if (has_new_token()) {
            spdlog::info("the token file has changed, asking telegram about the new token");
            bot_.emplace(telegram::BotApi::Options{
                .api_url = config_.api_url, .token = config_.token, .timeout = config_.timeout});
            token_retry_at_ = now;
        }
    }
    if (now >= token_retry_at_) {
        token_retry_at_ = now + tuning_.token_retry;
        bot_->call(token_check, "getMe", std::string("{}"));
    }
}

// Takes it, too. One that can't be read, or is empty, is no change: whoever writes the file may be at it.
bool Notifier::has_new_token() {
    if (config_.token_file.empty()) {
        return false;
    }
    auto token = read_secret_file(config_.token_file);
    if (!token || token->reveal() == config_.token.reveal()) {
        return false;
    }
    config_.token = std::move(*token);
    return true;
}

}  // namespace runledger
