#include "tests/support/bot_api_state.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace runledger::test {
namespace {

constexpr std::array<std::string_view, 10> known_methods{
    "sendMessage",  "sendPhoto",      "sendVideo",       "sendAnimation", "sendAudio",
    "sendDocument", "sendMediaGroup", "editMessageText", "deleteMessage", "getMe"};

std::int64_t message_id_of(const BotCall& call) {
    const std::string text = call.fields.get("message_id");
    std::int64_t id = 0;
    std::from_chars(text.data(), text.data() + text.size(), id);  // 0, which no message has, where it is no number.
    return id;
}

int cost_of(const BotCall& call) {
    if (call.method == "deleteMessage" || call.method == "getMe") {
        return 0;
    }
    if (call.method == "sendMediaGroup") {
        const auto album = album_of_json(call.fields.get("media"));
        return album ? static_cast<int>(album->size()) : 1;
    }
    return 1;
}

}  // namespace

BotApi::State::State(BotApiOptions options) : options_(std::move(options)) {
    if (options_.pace) {
        pace_.emplace(*options_.pace);
    }
}

void BotApi::State::script(BotRule rule) {
    const std::lock_guard lock(mutex_);
    rules_.push_back(std::move(rule));
}

void BotApi::State::clear_script() {
    const std::lock_guard lock(mutex_);
    rules_.clear();
}

std::vector<BotCall> BotApi::State::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

std::vector<BotMessage> BotApi::State::visible_in(std::string_view chat_id) const {
    const std::lock_guard lock(mutex_);
    std::vector<BotMessage> visible;
    for (const auto& [key, message] : messages_) {
        if (message.chat_id == chat_id) {
            visible.push_back(message);
        }
    }
    return visible;
}

std::string BotApi::State::recorded_json() const { return recorded_as_json(calls()); }

std::optional<BotAnswer> BotApi::State::take_scripted(const BotCall& call) {
    for (BotRule& rule : rules_) {
        const bool method_fits = rule.method.empty() ? call.method != "getMe" : rule.method == call.method;
        if (rule.calls == 0 || !method_fits || (!rule.chat_id.empty() && rule.chat_id != call.chat_id) ||
            (!rule.mention.empty() && !call.mentions(rule.mention))) {
            continue;
        }
        if (rule.calls > 0) {
            --rule.calls;
        }
        return rule.answer;
    }
    return std::nullopt;
}

BotAnswer BotApi::State::decide(std::string_view token, const BotCall& call, BotPace::Time now) {
    if (!options_.token.empty() && token != options_.token) {
        return BotAnswer::unauthorized();
    }
    if (std::find(known_methods.begin(), known_methods.end(), call.method) == known_methods.end()) {
        return {.error_code = 404, .description = "Not Found: method not found"};
    }
    const std::optional<BotAnswer> scripted = take_scripted(call);
    if (scripted && scripted->error_code != 200) {
        return *scripted;
    }
    if (auto fault = fault_of(call.method, call.fields)) {
        return BotAnswer::bad_request(*fault);
    }
    if (const int cost = cost_of(call); pace_ && cost > 0) {
        if (const auto wait = pace_->refuse(call.chat_id, cost, now)) {
            return BotAnswer::too_many_requests(static_cast<int>(wait->count()));
        }
    }
    return scripted.value_or(BotAnswer{});
}

std::optional<BotAnswer> BotApi::State::apply(BotCall& call) {
    if (call.method == "getMe") {
        return std::nullopt;
    }
    if (call.method == "editMessageText" || call.method == "deleteMessage") {
        const auto found = messages_.find({call.chat_id, message_id_of(call)});
        if (found == messages_.end()) {
            return BotAnswer::bad_request(call.method == "deleteMessage" ? "Bad Request: message to delete not found"
                                                                         : "Bad Request: message to edit not found");
        }
        if (call.method == "deleteMessage") {
            messages_.erase(found);
            return std::nullopt;
        }
        std::string& text = found->second.fields.texts["text"];
        if (text == call.fields.get("text")) {
            return BotAnswer::bad_request(
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the "
                "same as a current content and reply markup of the message");
        }
        text = call.fields.get("text");
        ++found->second.edits;
        return std::nullopt;
    }
    for (int part = 0; part < cost_of(call); ++part) {
        const std::int64_t id = next_message_id_++;
        call.message_ids.push_back(id);
        messages_.insert_or_assign(
            {call.chat_id, id},
            BotMessage{
                .message_id = id, .chat_id = call.chat_id, .method = call.method, .fields = call.fields, .edits = 0});
    }
    return std::nullopt;
}

BotReply BotApi::State::take(std::string_view token, std::string method, CallFields fields, BotPace::Time now) {
    const std::lock_guard lock(mutex_);
    BotCall call;
    call.at = std::chrono::system_clock::now();
    call.method = std::move(method);
    call.chat_id = fields.get("chat_id");
    call.fields = std::move(fields);

    BotAnswer answer = decide(token, call, now);
    if (answer.error_code == 200) {
        if (const auto refusal = apply(call)) {
            answer = *refusal;
        }
    }
    call.accepted = answer.error_code == 200;
    call.answered = !answer.drop_connection;
    if (!call.accepted) {
        call.error_code = answer.error_code;
        call.description = answer.description;
    }
    calls_.push_back(call);
    if (options_.on_call) {
        options_.on_call(call);
    }
    return {.answer = answer, .body = reply_body(call, answer)};
}

}  // namespace runledger::test
