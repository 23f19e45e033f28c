// One notification's delivery, from its lease to what is written about it: a pure state machine, event in, action out.
// It holds no clock, socket or database; the moment and chance come as values.
//
//     begin ──▶ fetching ──▶ waiting ──▶ calling ──▶ answered ──▶ (stored) ──▶ the next part, or another way
//                   any of them ──▶ answered, with an outcome that ends it
//
// What the answers leave of the ways to send a part (PartProgress) goes into each outcome and comes back with the next
// lease, so that a delivery never repeats a form that was refused.
//
// Invariant: nothing more is done for a notification until its last outcome is stored and its lease is still ours.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/notify/outbox.hpp"
#include "daemon/notify/policy.hpp"
#include "daemon/telegram/compose.hpp"
#include "daemon/telegram/fetch.hpp"

namespace runledger {

class NotificationDelivery {
public:
    using WallTime = std::chrono::system_clock::time_point;

    struct Rules {
        NotifyPolicy policy{};
        telegram::Wordings wordings{};
        telegram::OptionDefaults options{};
        bool only_logs{false};  // Nothing is sent.
        // Which links are fetched before a message is sent; empty: none. All media of a message share the bound.
        std::function<bool(std::string_view url)> may_fetch{};
        // Which links the Bot API server may get; empty: all. A message with another one becomes a text with links.
        std::function<bool(std::string_view url)> may_hand_over{};
        std::size_t fetch_bytes_max{};
    };

    // What is to be done next.
    struct Wait {};  // Nothing, until the next event.
    struct FetchMedia {
        struct Link {
            std::size_t index{};  // Of the message's media.
            std::string url;
            std::size_t bytes_max{};
        };
        std::vector<Link> links;
    };
    struct SendMessage {};  // message(), as soon as the pace allows it.
    struct WriteToLog {};   // parts()
    using Action = std::variant<Wait, FetchMedia, SendMessage, WriteToLog, AttemptOutcome>;

    // `rules` must outlive it.
    NotificationDelivery(LeasedNotification row, const Rules& rules) : row_(std::move(row)), rules_(&rules) {}

    // Events. The comment says when each may come.

    [[nodiscard]] Action begin(WallTime now);                                       // First, once.
    [[nodiscard]] Action on_written_to_log();                                       // After WriteToLog.
    [[nodiscard]] Action on_fetched(std::size_t index, telegram::Fetched fetched);  // Once for each link.
    void on_call() noexcept;  // After SendMessage: the call is made.
    [[nodiscard]] Action on_answer(const telegram::Answer& answer, double chance);  // After on_call().
    // After an outcome with send_again: it is stored, and the lease is renewed.
    [[nodiscard]] Action on_stored(const Decision& decision, WallTime now);
    // Instead of a call, or of a stored outcome: the next attempt begins again, and this one does not count.
    [[nodiscard]] AttemptOutcome give_back(std::string error, std::chrono::milliseconds delay = {});
    // The daemon failed between two events: the attempt counts, and may have arrived if its call was made.
    [[nodiscard]] AttemptOutcome fail(std::string error, double chance);
    // The daemon is being stopped: no new call is begun. An outcome unless a call is in flight or one waits to be
    // stored.
    [[nodiscard]] Action stop();

    [[nodiscard]] const LeasedNotification& row() const noexcept { return row_; }
    [[nodiscard]] const std::vector<telegram::Message>& parts() const noexcept { return parts_; }
    [[nodiscard]] std::size_t part() const noexcept { return part_; }                     // The one that is under way.
    [[nodiscard]] const telegram::Message& message() const noexcept { return message_; }  // That part, as it is sent.
    // It ends as soon as its outcome is stored.
    [[nodiscard]] bool is_ending() const noexcept { return state_ == State::ending; }
    [[nodiscard]] bool is_calling() const noexcept { return state_ == State::calling; }
    [[nodiscard]] bool may_hold_bytes() const noexcept { return fetching_ > 0 || message_.has_uploads(); }

private:
    enum class State : std::uint8_t { fetching, waiting, calling, storing, ending };

    [[nodiscard]] Action begin_part(WallTime now);
    [[nodiscard]] Action prepare_media(WallTime now);
    [[nodiscard]] Action send_media();
    [[nodiscard]] Action send();
    void count_remedy(Remedy remedy);
    [[nodiscard]] PartProgress next_part() const;
    [[nodiscard]] const telegram::Wording& wording() const { return rules_->wordings.get(language_); }
    [[nodiscard]] AttemptOutcome end(Decision decision, std::optional<std::int64_t> message_id = {});

    LeasedNotification row_;
    const Rules* rules_;
    State state_{State::waiting};
    std::vector<telegram::Message> parts_{};
    std::size_t part_{0};
    telegram::Message message_{};
    PartProgress progress_{};   // Of the part that is under way.
    std::string language_{};    // Of the record; empty: none.
    std::string left_out_{};    // Of what metadata asks for.
    bool names_files_{false};   // It gives the outputs a name.
    std::string last_error_{};  // What the calls before this one met.
    std::size_t fetching_{0};
    std::vector<telegram::Fetched> fetched_{};  // For each of the message's media.
    bool is_stopping_{false};
};

}  // namespace runledger
