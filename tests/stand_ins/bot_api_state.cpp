#include "tests/stand_ins/bot_api_state.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "tests/support/http_client.hpp"

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

std::vector<std::string> media_urls_of(const std::string& method, const CallFields& fields) {
    std::vector<std::string> urls;
    const auto add = [&](const std::string& medium) {
        if (medium.starts_with("http://") || medium.starts_with("https://")) {
            urls.push_back(medium);
        }
    };
    if (const std::string field{media_field_of(method)}; !field.empty()) {
        add(fields.get(field));
    } else if (method == "sendMediaGroup") {
        for (const AlbumPart& part : album_of_json(fields.get("media")).value_or(std::vector<AlbumPart>{})) {
            add(part.media);
        }
    }
    return urls;
}

}  // namespace

BotApi::State::State(BotApiOptions options) : options_(std::move(options)), random_(options_.seed) {
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
    if (auto fault = bad_url_fault(call)) {
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

void BotApi::State::fetch_media_of(const std::string& method, const CallFields& fields) {
    if (!options_.fetches_media) {
        return;
    }
    for (const std::string& url : media_urls_of(method, fields)) {
        {
            const std::lock_guard lock(mutex_);
            if (bad_urls_.contains(url)) {
                continue;  // Not even asked again.
            }
            fetched_.push_back(url);
        }
        // docs/bot-api.md, "Media": by URL a photo may have 5 MB, other files 20 MB.
        const std::size_t bytes_max = method == "sendPhoto" ? 5'000'000 : 20'000'000;
        const HttpAnswer answer = http_get(url);
        std::string fault;
        if (answer.status != 200) {
            fault = "Bad Request: failed to get HTTP URL content";
        } else if (answer.body.empty() || answer.body.size() > bytes_max) {
            fault = "Bad Request: wrong file identifier/HTTP URL specified";
        } else if (method == "sendPhoto" && answer.body.starts_with("<")) {
            fault = "Bad Request: wrong type of the web page content";
        }
        if (!fault.empty()) {
            const std::lock_guard lock(mutex_);
            bad_urls_.emplace(url, std::move(fault));
        }
    }
}

std::optional<std::string> BotApi::State::bad_url_fault(const BotCall& call) const {
    for (const std::string& url : media_urls_of(call.method, call.fields)) {
        if (const auto bad = bad_urls_.find(url); bad != bad_urls_.end()) {
            return bad->second;
        }
    }
    return std::nullopt;
}

std::vector<std::string> BotApi::State::fetched_urls() const {
    const std::lock_guard lock(mutex_);
    return fetched_;
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
    if (call.accepted && call.method.starts_with("send") && random_() % 1000 < options_.lost_answers_per_thousand) {
        answer.drop_connection = true;
    }
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
