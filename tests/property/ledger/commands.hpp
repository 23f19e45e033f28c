// What can happen to a ledger, as plain values that rapidcheck draws and shrinks.
//
// Few runs, rows, boots and moments, so that things meet. A command is legal in any state: one that does not apply does
// nothing. Numbers are places in the tables below; which batch, row or rate they name is the model's affair.
#pragma once

#include <rapidcheck.h>

#include <array>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace runledger::test::whole_ledger {

inline constexpr int run_count = 3;
inline constexpr int row_count = 3;
inline constexpr int segment_count = 2;

struct Status {
    const char* word;
    const char* error;  // Empty: the event has none.
};
inline constexpr std::array<Status, 9> statuses{{{"running", ""},
                                                 {"success", ""},
                                                 {"failed", ""},
                                                 {"failed", "boom"},
                                                 {"timeout", ""},
                                                 {"cancelled", ""},
                                                 {"queued", ""},
                                                 {"running", ""},
                                                 {"success", ""}}};

inline constexpr std::int64_t second_us = 1'000'000;
// Microseconds after `epoch_us`. The bounds of rates and of repricing are drawn from them, too.
inline constexpr std::array<std::int64_t, 6> walls{
    0, second_us, 30 * second_us, 60 * second_us, 61 * second_us, 700'000 * second_us};
inline constexpr std::array<std::int64_t, 6> boottimes{100 * second_us, 100 * second_us + 1, 130 * second_us,
                                                       160 * second_us, 161 * second_us,     900'000 * second_us};
inline constexpr std::int64_t epoch_us = 1'709'251'198'000'000;  // 2024-02-29 23:59:58 UTC.

struct Output {
    const char* id;
    int version;
    const char* updated_at;  // Empty: the output has none.
};
inline constexpr std::array<Output, 6> outputs{{{"", 0, ""},  // No output.
                                                {"a", 1, "2024-03-01T00:00:00Z"},
                                                {"a", 2, "2024-03-01T00:00:01Z"},
                                                {"a", 3, "2024-03-01T00:00:01Z"},
                                                {"b", 4, ""},
                                                {"b", 5, ""}}};

// One event of a run, as an edge stamps it.
struct News {
    int run{};
    int status{};
    int wall{};
    int boottime{};
    int boot{};
    bool redelivered{};
    int output{};
};

// Events come into the spool of a segment, and one turn applies them.
struct Apply {
    std::vector<News> events{};
    int segment{};
    bool in_one_batch{};  // As far as they are of one boot.
    bool one_by_one{};
    enum Answer { comes, is_lost, is_lost_with_the_turn };
    int answer{};  // What is lost is sent again.
    int copy{};    // 0: none; else a copy of an earlier batch is in the turn.
};
struct Copy {
    int batch{};
};
// Another batch under a name that is known; where its segment is retired, under one that never was.
struct Conflict {
    int batch{};
};
// The tool puts a batch that was set aside through apply again; 0: the events, each of which is refused again.
struct Replay {
    int what{};
};
struct Retire {
    int segment{};
    int off{};  // The count that the edge says is wrong by so much.
};

enum class Rate : std::uint8_t {
    none,
    of_a_second,
    of_a_minute,
    of_a_run,
    malformed,
    of_a_request,
    of_tokens,
    of_uncounted_tokens,
    of_malformed_tokens,
};
enum class Gpu : std::uint8_t { none, priced, unknown };
enum class Chat : std::uint8_t { none, number, text, malformed };
enum class Group : std::uint8_t { none, batch, pair };  // A pair has not ended before it has two members.
inline constexpr int group_count = 3;

// The application.
struct Insert {
    int row{};
    int run{};  // run_count: none.
    int rate{};
    int gpu{};
    int chat{};
    int status{};  // 0: pending; 1: completed; 2: failed; 3: completed, with a time and a cost of its own.
    int group{};
};
struct Change {
    int row{};
    enum What { run, rate, gpu, chat, group };
    int what{};
    int value{};
};
// The application saves a row as an object-relational mapper may do it: it deletes it and inserts it with the same id.
struct Resave {
    int row{};
    int run{};  // run_count: none.
};
// It saves what it had read before the row's person was forgotten.
struct SaveOld {
    int row{};
    bool is_inserted{};  // As with Resave.
};
// An application's transaction that has the row locked until it is released.
struct Hold {
    int row{};
};
struct Release {};

// A person with all rights.
struct Delete {
    int row{};
};
struct Edit {
    int row{};
    enum What { cost, reason, empty, give_back, status };  // status: pending again, the rest as it is.
    int what{};
};
struct RateChange {
    int from{};  // Of the times between the moments of `walls`; the first one begins long before.
    int to{};
    int amount{};  // 0: no rate is in force.
};
struct Reprice {
    int from{};
    int to{};
};
struct Forget {
    int row{};
    bool beside_a_turn{};  // An apply turn is under way, which has asked who is forgotten or removed: it waits in vain.
};
// Every row of a chat, and the chat.
struct ForgetChat {
    int chat{};
};

// The daemon.
struct Settle {
    int runs{};  // A bit for each.
    bool together{};
    int answer{};  // Apply::Answer, of its COMMIT: what is lost is settled again.
};
struct Report {
    int run{};
    int status{};
    int started{};  // 0: the provider does not say.
    int ended{};
};
struct Tell {
    enum How { sent, logged, send_logged };  // What waits is sent, or only logged; what was logged waits again.
    int how{};
};
struct Expire {
    enum What { runs, notifications, settlements, quarantine, tombstones };
    int what{};
    bool beside_a_turn{};  // As with Forget; runs wait in vain, the others need not.
};
struct DropDay {};

// The months that an event can end in, both long over.
inline constexpr std::array<const char*, 2> months{"2024-02", "2024-03"};
struct Close {
    int month{};
};

using Command =
    std::variant<Apply, Copy, Conflict, Replay, Retire, Insert, Change, Resave, SaveOld, Hold, Release, Delete, Edit,
                 RateChange, Reprice, Forget, ForgetChat, Settle, Report, Tell, Expire, DropDay, Close>;

// As it would be written in C++, so that what was found can be pasted into a test.
[[nodiscard]] std::string text_of(const Command& command);
void showValue(const Command& command, std::ostream& out);

[[nodiscard]] rc::Gen<Command> some_command();
// What commutes: events, rows that the application inserts (row i for run i), settlements.
[[nodiscard]] rc::Gen<Command> some_commutable_command();
[[nodiscard]] rc::Gen<Command> some_rate_change();
// What can change a month after it was closed, and what could take away what it stands on.
[[nodiscard]] rc::Gen<Command> some_command_after_a_closing();

}  // namespace runledger::test::whole_ledger
