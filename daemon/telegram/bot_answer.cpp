#include "daemon/telegram/bot_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "daemon/base/json.hpp"
#include "daemon/telegram/text.hpp"

namespace runledger::telegram {
namespace {

constexpr std::size_t description_bytes_max = 300;
constexpr std::chrono::seconds retry_after_default{5};                   // If a 429 does not say.
constexpr std::chrono::seconds retry_after_max{std::chrono::hours{24}};  // Far from every overflow.

// 400s that are about the chat, so that a text would meet them too. Every other 400 to a call with media may be the
// media's fault, and saying it in text costs one call.
constexpr std::array<std::string_view, 11> chat_faults{
    "chat not found",
    "can't initiate conversation",
    "user not found",
    "peer_id_invalid",
    "chat_write_forbidden",
    "have no rights to send a message",
    "need administrator rights",
    "topic closed",
    "topic_closed",
    "group chat was deactivated",
    "user is deactivated",
};

// 403s that every message to the chat would meet. Another one may be about what was sent.
constexpr std::array<std::string_view, 6> chat_ends{
    "bot was blocked",
    "user is deactivated",
    "bot was kicked",
    "bot is not a member",
    "bot can't initiate conversation",
    "the group chat was deleted",
};

// 400s to media that any other media would meet there, too.
constexpr std::array<std::string_view, 2> media_bans{"not enough rights", "forbidden"};

// 400s that are about the buttons (docs/bot-api.md, "Buttons"): by Telegram's own names, and by the Bot API server's
// words.
constexpr std::array<std::string_view, 4> button_faults{"button_", "inline keyboard", "reply_markup_",
                                                        "can't parse reply keyboard markup"};

// The Bot API's own answer, as far as it matters here.
struct BotJson {
    bool ok{false};
    std::optional<std::int64_t> message_id{};
    std::optional<int> error_code{};
    std::string description{};
    std::optional<std::int64_t> retry_after{};
    std::optional<std::int64_t> migrate_to{};
};

const JsonValue* find_member(const JsonValue& object, const char* key) {
    if (!object.IsObject()) {
        return nullptr;
    }
    const auto found = object.FindMember(key);
    return found == object.MemberEnd() ? nullptr : &found->value;
}

std::optional<std::int64_t> find_integer(const JsonValue* object, const char* key) {
    const JsonValue* value = object == nullptr ? nullptr : find_member(*object, key);
    return value != nullptr && value->IsInt64() ? std::optional(value->GetInt64()) : std::nullopt;
}

// Nothing where it is no object with a boolean `ok`: somebody else's answer.
std::optional<BotJson> read_answer(const std::string& body) {
    try {
        JsonDocument document;
        document.Parse<rapidjson::kParseIterativeFlag>(body.data(), body.size());
        const JsonValue* ok = document.HasParseError() ? nullptr : find_member(document, "ok");
        if (ok == nullptr || !ok->IsBool()) {
            return std::nullopt;
        }
        BotJson answer{.ok = ok->GetBool()};
        if (const JsonValue* result = find_member(document, "result")) {
            // An album's answer is an array of messages.
            const bool is_album = result->IsArray() && !result->Empty();
            answer.message_id = find_integer(is_album ? &(*result)[0] : result, "message_id");
        }
        if (const auto code = find_integer(&document, "error_code"); code && *code >= 100 && *code <= 999) {
            answer.error_code = static_cast<int>(*code);
        }
        if (const JsonValue* words = find_member(document, "description"); words != nullptr && words->IsString()) {
            answer.description =
                clean_line(cut_to_bytes({words->GetString(), words->GetStringLength()}, description_bytes_max - 16));
        }
        const JsonValue* parameters = find_member(document, "parameters");
        answer.retry_after = find_integer(parameters, "retry_after");
        answer.migrate_to = find_integer(parameters, "migrate_to_chat_id");
        return answer;
    } catch (const std::logic_error&) {
        return std::nullopt;  // RAPIDJSON_ASSERT: no body is known to reach it.
    }
}

std::string lower(std::string_view text) {
    std::string lowered(text);
    std::transform(lowered.begin(), lowered.end(), lowered.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return lowered;
}

template <std::size_t Count>
bool has_any(std::string_view description, const std::array<std::string_view, Count>& words) {
    const std::string lowered = lower(description);
    return std::any_of(words.begin(), words.end(),
                       [&](std::string_view word) { return lowered.find(word) != std::string::npos; });
}

bool is_chat_fault(std::string_view description) { return has_any(description, chat_faults); }

bool is_chat_refusal(long code, std::string_view description) { return code == 403 && has_any(description, chat_ends); }

Answer too_many(const HttpAnswer& http, std::optional<std::int64_t> said, std::string description) {
    std::chrono::seconds wait = http.retry_after.value_or(retry_after_default);
    if (said) {
        wait = std::chrono::seconds{*said};
    }
    return {.verdict = Verdict::too_many,
            .retry_after = std::clamp(wait, std::chrono::seconds{1}, retry_after_max),
            .description = std::move(description)};
}

// An album's refusal quotes what one of its media met (docs/bot-api.md, "Refusals"): "… retry after 4".
std::optional<std::int64_t> find_quoted_wait(std::string_view description) {
    constexpr std::string_view words = "retry after ";
    const std::string lowered = lower(description);
    const std::size_t at = lowered.find(words);
    if (at == std::string::npos) {
        return std::nullopt;
    }
    const std::string_view digits = std::string_view(lowered).substr(at + words.size());
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    return error == std::errc{} ? std::optional(seconds) : std::nullopt;
}

Answer plain(Verdict verdict, std::string description) {
    return {.verdict = verdict, .description = std::move(description)};
}

// Not the Bot API's JSON: a proxy, a load balancer, the wrong server, or an answer that was cut off.
Answer classify_foreign(const HttpAnswer& http) {
    std::string words = fmt::format("HTTP {} without the Bot API's JSON", http.status);
    if (http.status == 429) {
        return too_many(http, std::nullopt, std::move(words));
    }
    if (http.status >= 200 && http.status < 300) {
        return plain(Verdict::uncertain, std::move(words));
    }
    // Redirects are not followed; like an unknown path they say that api_url leads elsewhere.
    const bool wrong_address = http.status == 401 || http.status == 404 || (http.status >= 300 && http.status < 400);
    return plain(wrong_address ? Verdict::unauthorized : Verdict::unavailable, std::move(words));
}

Answer classify_http(const HttpAnswer& http, bool has_media) {
    const auto answer = read_answer(http.body);
    if (!answer) {
        return classify_foreign(http);
    }
    if (answer->ok && http.status < 300) {
        return {.verdict = Verdict::sent, .message_id = answer->message_id};
    }
    const long code = answer->error_code ? *answer->error_code : http.status;
    std::string words =
        fmt::format("{} {}", code, answer->description.empty() ? "without a word" : answer->description);
    if (answer->migrate_to && *answer->migrate_to != 0) {
        return {.verdict = Verdict::migrated, .migrate_to = *answer->migrate_to, .description = std::move(words)};
    }
    const bool quotes_too_many =
        code == 400 && lower(answer->description).find("too many requests") != std::string::npos;
    if (code == 429 || code == 420 || quotes_too_many) {
        const auto said = answer->retry_after ? answer->retry_after : find_quoted_wait(answer->description);
        return too_many(http, said, std::move(words));
    }
    if (code == 401 || code == 404) {
        return plain(Verdict::unauthorized, std::move(words));
    }
    if (code < 400 || code >= 500 || code == 408 || code == 409) {
        return plain(Verdict::unavailable, std::move(words));
    }
    if (code == 400 && lower(answer->description).find("message thread not found") != std::string::npos) {
        return plain(Verdict::thread_refused, std::move(words));
    }
    if (code == 400 && has_any(answer->description, button_faults)) {
        return plain(Verdict::buttons_refused, std::move(words));
    }
    if (has_media && (code == 400 || code == 413) && !is_chat_fault(answer->description)) {
        const bool is_ban = has_any(answer->description, media_bans);
        return plain(is_ban ? Verdict::media_forbidden : Verdict::media_refused, std::move(words));
    }
    return plain(is_chat_refusal(code, answer->description) ? Verdict::chat_refused : Verdict::refused,
                 std::move(words));
}

}  // namespace

Answer classify(const CallResult& result, bool has_media) {
    if (const auto* broken = std::get_if<Broken>(&result)) {
        return plain(broken->may_have_arrived ? Verdict::uncertain : Verdict::unreached, broken->why);
    }
    return classify_http(std::get<HttpAnswer>(result), has_media);
}

}  // namespace runledger::telegram
