// The outbox in PostgreSQL: runledger.notifications, leased, renewed and settled by one daemon's notify stage.
//
// Each function is one short transaction; none is open while Telegram is called. What a daemon writes about a
// notification holds only while the lease is its own. Owned by one thread. Every function throws what pqxx throws,
// and CommitDoubtful: then disconnect(), wait, recover(), and do it again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/notify/policy.hpp"

namespace runledger {

// How the next part is sent: as it was composed; or after a refusal as documents, or if the record asks for documents,
// as media; or as a text with links.
enum class MessageForm : std::uint8_t { media, documents, text };

// As in runledger.notifications.form.
[[nodiscard]] std::string_view to_word(MessageForm form) noexcept;

// What Telegram's refusals have left of the ways to send the next part. It stands in the row, so that no attempt begins
// before the last one's end.
struct PartProgress {
    MessageForm form{MessageForm::media};
    bool without_thread{false};     // For the following parts, too.
    unsigned fallbacks{0};          // Calls that needed another way.
    unsigned refusals_for_pace{0};  // 429 answers in this form.
    bool without_buttons{false};    // For the following parts, too.
};

// A notification that this daemon holds.
struct LeasedNotification {
    std::int64_t id{};
    std::int64_t chat_id{};
    std::string chat_name{};  // @channelname, if the record names the chat so; then chat_id is only the ledger's.
    std::string run_id{};
    std::string kind{};
    std::string payload{};            // JSON.
    unsigned attempts{};              // This one included.
    unsigned uncertain_attempts{};    // A lease that was taken over included.
    std::size_t parts_sent{};         // Calls that earlier attempts have had confirmed.
    PartProgress next_part{};         // The one after them.
    std::chrono::milliseconds age{};  // Since it was made.
};

// What became of it in this attempt, so far.
struct AttemptOutcome {
    std::int64_t id{};
    std::int64_t chat_id{};  // That the answer is about.
    Decision decision;
    std::optional<std::int64_t> message_id{};
    std::size_t parts_sent{0};  // Confirmed by now, those of earlier attempts included.
    PartProgress next_part{};   // The one after them.
};

class Outbox {
public:
    struct Options {
        std::string uri;
        std::string lease_owner;  // Names the daemon's process, and no other for ever.
        std::chrono::milliseconds lease{};
        unsigned attempts_max{12};
        // A message that has failed so often, about a minute by the default delays, lets the later ones of its chat
        // pass.
        unsigned attempts_in_order{8};
        std::chrono::milliseconds not_after{std::chrono::hours{6}};  // What has waited longer is skipped.
    };

    explicit Outbox(Options options);
    // From the next transaction on. `uri` and `lease_owner` stay as they are.
    void change(Options options);

    struct Request {
        std::vector<std::int64_t> chats_waiting;  // Nothing is leased for these.
        std::size_t count_max{};
    };
    struct Taken {
        std::vector<LeasedNotification> leased;  // At most one for each chat.
        std::size_t given_up{0};                 // Leases that ran out too often: now `uncertain`.
        std::size_t skipped{0};                  // Waited past not_after; those that may have arrived are in given_up.
        // With nothing leased: when something falls due by itself; nothing if that is not known.
        std::optional<std::chrono::milliseconds> next_due{};
    };

    // Leases what is due, a turn for each chat. A lease that ran out is taken over and counts as an attempt that may
    // have arrived. The lease is the mark: once it is committed, the message may be on its way.
    [[nodiscard]] Taken lease(const Request& request);

    struct Stored {
        std::vector<bool> ours;     // Of each outcome whether the notification was still ours: if not, what was to
                                    // follow must not.
        std::size_t dead_chats{0};  // Others that were given up with their chat, as `dead`
        std::size_t uncertain{0};   // or, where they may have arrived, as `uncertain`.
    };
    // Writes outcomes, and what they say of the chat as a whole.
    [[nodiscard]] Stored store(std::span<const AttemptOutcome> outcomes);

    struct Exchanged {
        Stored stored;
        Taken taken;
    };
    // Both in one transaction.
    [[nodiscard]] Exchanged store_and_lease(std::span<const AttemptOutcome> outcomes, const Request& request);

    // Gives back what the table says we hold though we don't.
    void recover(std::span<const std::int64_t> held_ids);

    void disconnect() noexcept { database_.disconnect(); }
    // As Database's.
    [[nodiscard]] bool give_up(const std::exception& error) noexcept { return database_.give_up(error); }
    // For an orderly end: no statement may take longer from now on.
    void hurry(std::chrono::milliseconds statement_timeout) noexcept;

private:
    [[nodiscard]] Stored store(const Statements& work, std::span<const AttemptOutcome> outcomes) const;
    [[nodiscard]] Taken lease(const Statements& work, const Request& request);
    [[nodiscard]] bool store_one(const Statements& work, const AttemptOutcome& outcome) const;
    static void store_chat(const Statements& work, const AttemptOutcome& outcome, Stored& stored);
    void find_due(const Statements& work, const Request& request, const std::string& chats_waiting,
                  std::vector<std::int64_t>& chosen);

    Options options_;
    Database database_;
    TransactionBounds bounds_;
    std::int64_t last_chat_{std::numeric_limits<std::int64_t>::min()};  // Whose turn was last.
    std::chrono::steady_clock::time_point next_aged_look_{};
};

}  // namespace runledger
