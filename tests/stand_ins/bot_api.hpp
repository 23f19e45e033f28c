// A stand-in for Telegram's Bot API on 127.0.0.1: it takes what Telegram takes, refuses as Telegram refuses
// (docs/bot-api.md), does what a test has scripted, and records every call.
//
// Invariant: a call is recorded before it is answered, so whoever has seen an answer finds the call. All public
// functions may be called from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/stand_ins/bot_api_message.hpp"
#include "tests/stand_ins/bot_api_pace.hpp"

namespace runledger::test {

// One call that came with a method of ours. Accepted: it had its effect, whatever the caller heard of it.
struct BotCall {
    std::chrono::system_clock::time_point at{};
    std::string method{};
    std::string chat_id{};
    CallFields fields{};
    bool accepted{};
    bool answered{true};                      // False where the connection was dropped instead.
    int error_code{0};                        // Of a refusal.
    std::string description{};                // Of a refusal.
    std::vector<std::int64_t> message_ids{};  // New messages: one, or one for each part of an album.

    // True where any text of the call holds it: a URL within an album, a word of the caption.
    [[nodiscard]] bool mentions(std::string_view text) const;
};

// What a person in the chat would see: not deleted, the last edit's text.
struct BotMessage {
    std::int64_t message_id{};
    std::string chat_id{};
    std::string method{};
    CallFields fields{};
    int edits{};
};

// What the stand-in does instead of accepting.
struct BotAnswer {
    int error_code{200};  // 200: accepted.
    std::string description{};
    int retry_after{0};  // Seconds; with 429, in `parameters` and as a header.
    std::string migrate_to_chat_id{};
    std::chrono::milliseconds delay{0};  // Before the answer, after the effect.
    bool drop_connection{false};         // Instead of the answer; the effect is there when error_code is 200.

    [[nodiscard]] static BotAnswer too_many_requests(int retry_after_seconds);
    [[nodiscard]] static BotAnswer forbidden(std::string description = "Forbidden: bot was blocked by the user");
    [[nodiscard]] static BotAnswer bad_request(std::string description = "Bad Request: chat not found");
    [[nodiscard]] static BotAnswer migrated(std::string new_chat_id);
    [[nodiscard]] static BotAnswer unauthorized();
    [[nodiscard]] static BotAnswer server_error(int code = 502);
    [[nodiscard]] static BotAnswer slow(std::chrono::milliseconds delay);
    [[nodiscard]] static BotAnswer accept_then_drop();  // The uncertain one: sent, and nobody knows.
    [[nodiscard]] static BotAnswer drop();              // Read, not accepted, connection reset.
};

// Which calls an answer is for. Rules are tried in the order they were given; one that is used up is passed over.
struct BotRule {
    BotAnswer answer{};
    int calls{1};           // -1: for ever.
    std::string chat_id{};  // Empty: any.
    std::string method{};   // Empty: any send, edit or delete; getMe only by name.
    std::string mention{};  // Empty: any; else what a text of the call must hold.
};

struct BotApiOptions {
    std::uint16_t port{0};                // 0: a free one.
    std::string token{"100:test-token"};  // Empty: any token will do.
    std::optional<PaceLimits> pace{};     // Nothing: no limits.
    // Fetches media that are given by URL, as Telegram does: one that did not answer once stays bad.
    bool fetches_media{false};
    // So many of a thousand accepted sends lose their answer: the message is there, the connection is reset. Which ones
    // is settled by the seed and the order of the calls.
    unsigned lost_answers_per_thousand{0};
    unsigned seed{1};
    std::function<void(const BotCall&)> on_call{};  // On a server's thread, one at a time, before the answer.
};

class BotApi {
public:
    // Listens on return; throws where the port is taken.
    explicit BotApi(BotApiOptions options = {});
    ~BotApi();
    BotApi(const BotApi&) = delete;
    BotApi& operator=(const BotApi&) = delete;

    [[nodiscard]] std::string url() const;  // For [telegram] api_url: no token, no slash at its end.
    [[nodiscard]] std::uint16_t port() const noexcept;

    void script(BotRule rule);
    void clear_script();
    // From now on the address answers nothing (connection refused), until comes_back().
    void goes_away();
    void comes_back();

    [[nodiscard]] std::vector<BotCall> calls() const;  // All, in the order they came.
    [[nodiscard]] std::vector<BotCall> accepted() const;
    [[nodiscard]] std::vector<BotCall> refused() const;
    // Accepted calls of send… methods to the chat.
    [[nodiscard]] std::vector<BotCall> sent_to(std::string_view chat_id) const;
    // What was fetched, in order; of those that are bad by now only the first try.
    [[nodiscard]] std::vector<std::string> fetched_urls() const;
    [[nodiscard]] std::vector<BotMessage> visible_in(std::string_view chat_id) const;
    // What GET /_messages answers.
    [[nodiscard]] std::string recorded_json() const;

private:
    class State;
    class Listener;
    std::unique_ptr<State> state_;
    std::unique_ptr<Listener> listener_;
    std::uint16_t port_;
};

// Reads back what GET /_messages answers: method, chat, fields, message ids, and whether it was accepted. Throws where
// it is not of that shape.
[[nodiscard]] std::vector<BotCall> calls_of_json(std::string_view recorded);

// "2026-11-23T18:30:00Z sendPhoto chat=42 message_id=7 photo=… caption=…": one line, control characters escaped.
[[nodiscard]] std::string to_line(const BotCall& call);

}  // namespace runledger::test
