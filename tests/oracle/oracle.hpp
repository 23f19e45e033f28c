// Says what the ledger must hold, from what was planned, what was answered and which stamps the edge took; computed on
// its own, by rules written down twice on purpose: nothing here is taken from the daemon or from SQL.
//
// A finding is one sentence about one promise that is broken; no findings, all is well. Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/oracle/decimal.hpp"
#include "tests/oracle/ledger_rows.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/stand_ins/comfy_run.hpp"
#include "tests/stand_ins/comfy_sender.hpp"

namespace runledger::test {

using Findings = std::vector<std::string>;

// What a run's row in runledger.generations must say.
struct ExpectedGeneration {
    std::string status{"pending"};
    std::optional<std::int64_t> duration_us{};
    std::optional<Decimal> cost_usd{};
    // Why there is no cost, or what to know about it: the exact word; any_reason where the word is the daemon's to
    // choose; empty where there is nothing to say, and the row must say nothing.
    std::string cost_note{};
    std::vector<const PlannedOutput*> outputs{};  // Of all stored events, each id once.
    // Several events say that the run ended, and outputs came with others too: the notice may have been made while
    // only some of the outputs were known.
    bool notice_may_be_partial{};

    static constexpr std::string_view any_reason = "*";
};

// `events` are the run's own, in any order, and belong to the plan. Rules: of the terminal events, the
// first of each boot by boottime, and of these the one with the earliest (received_at, boot_id, boottime_us); the start
// is the first `running`, likewise; the duration is the difference of boottimes within one boot, else of wall times;
// what is negative is unknown. Different endings at one microsecond are decided as the ledger documents it: the POST
// before the GET, then the lower XXH3-64 of the body.
[[nodiscard]] ExpectedGeneration expected_generation(const RunPlan& run, const std::vector<const StoredEvent*>& events);

// The duration of one unit of a rate; nothing for a flat rate ("run", "fixed", "request"), for tokens, and for what is
// no unit.
[[nodiscard]] std::optional<std::int64_t> unit_us_of(std::string_view unit);
[[nodiscard]] bool is_flat(std::string_view unit);

// Promises 1 and 2: every event that was answered 2xx is stored (or in quarantine) as often as it was accepted, none
// more often than it was tried, none that was never sent, no (segment, batch, index) twice; each row carries its run,
// its status, how it came and a stamp between the sender's own.
struct EventRules {
    bool wall_clock_is_steady{true};  // False where the test steps it: only boottimes are compared then.
    bool one_boot{true};              // False where stored events come from edges with another boottime.
};
[[nodiscard]] Findings check_events(const std::vector<RunPlan>& runs, const std::vector<Delivery>& deliveries,
                                    const Ledger& ledger, const EventRules& rules = {});

// Promises 3 and 4: each run has its one row, and it says what it must.
[[nodiscard]] Findings check_generations(const std::vector<RunPlan>& runs, const Ledger& ledger);

// What reaches people. One message for each ended run with a chat, with its first picture or video where it has one.
struct MessageRules {
    bool duplicates_allowed{false};  // After an uncertain attempt the policy may send once more.
    bool follow_ups_allowed{false};  // Outputs that came long after the ending, or a corrected status.
    bool fallbacks_allowed{false};   // Where the Bot API was told to refuse media: any send… method will do.
};
[[nodiscard]] Findings check_messages(const std::vector<RunPlan>& runs, const Ledger& ledger,
                                      const std::vector<BotCall>& calls, const MessageRules& rules = {});

// Which of the run's chat's messages is its notice; the one place that knows what a notice looks like.
struct ExpectedMessage {
    std::string chat_id{};
    std::vector<std::string> methods{};
    // Any of these tells that it is this run's: the first medium's URL, or each medium's where the notice may be
    // partial. Empty: a text, told apart by its chat alone.
    std::vector<std::string> mentions{};
    bool certain{true};  // False where the outputs can't be stored as jsonb: the daemon may not know the URL.
};
[[nodiscard]] std::optional<ExpectedMessage> expected_message(const RunPlan& run, const ExpectedGeneration& expected);

// The stored events of each run, by run_id.
[[nodiscard]] std::map<std::string, std::vector<const StoredEvent*>> events_by_run(const Ledger& ledger);

}  // namespace runledger::test
