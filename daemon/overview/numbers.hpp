// What the page and `runledger status` show of the ledger, as values: no thread, no socket.
//
// A number that was not read is absent, never zero.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace runledger {

// From the receipt of endings, in seconds; of the last of them within an hour. No runs: nothing else is known.
struct Lag {
    std::int64_t runs{0};
    double median{0};
    double high{0};  // The 95th percentile.
    double highest{0};
};

struct RunsInFlight {
    std::string status;
    std::int64_t runs{0};
    std::optional<std::int64_t> oldest_seconds{};
};

// Something that a person has to deal with, or should know, and the command that does it.
struct Trouble {
    std::string what;     // "dead", "uncertain", "failed", "quarantined", "unsettled", "stuck", "unpriced".
    std::string name;     // "message 12", "run abc".
    std::string run_id;   // Empty: there is none to look at.
    std::string reason;   // For people; masked.
    std::string at;       // "2025-08-29 12:00", UTC; empty: of now.
    std::string command;  // For a shell; empty: there is none.
};

struct LiveNumbers {
    std::vector<RunsInFlight> in_flight{};
    bool in_flight_is_cut{false};  // More than were counted.
    Lag commit_lag{};
    Lag settle_lag{};
    std::optional<std::int64_t> latest_seconds{};  // Since the last event was applied, by any daemon.
    std::int64_t unsettled{0};
    std::int64_t unsettled_failing{0};
    std::int64_t unsettled_oldest_seconds{0};
    std::int64_t messages_pending{0};
    std::int64_t messages_leased{0};
    std::int64_t messages_dead{0};       // Of the last day.
    std::int64_t messages_uncertain{0};  // Likewise.
    std::int64_t messages_oldest_seconds{0};
    std::int64_t webhooks_pending{0};
    std::int64_t webhooks_leased{0};
    std::int64_t webhooks_dead{0};  // Of the last day.
    std::int64_t webhooks_oldest_seconds{0};
    std::int64_t quarantined{0};
    std::vector<Trouble> troubles{};  // The most urgent first.
    std::vector<Trouble> failed_runs{};
};

struct MonthNumbers {
    struct Day {
        int day{0};
        std::string date{};
        std::int64_t generations{0};
        std::int64_t completed{0};
        std::int64_t failed{0};
        std::int64_t unpriced{0};
        std::optional<std::string> cost_usd{};  // Exact.
        double height{0};                       // The same, for a plot.
        bool is_today{false};
    };
    struct Gpu {
        std::string gpu;  // Empty: none was named.
        std::int64_t generations{0};
        std::int64_t unpriced{0};
        std::optional<std::string> cost_usd{};
        double width{0};
    };
    std::string zone{};
    std::optional<std::string> cost_usd{};  // Exact; nothing: no cost is known.
    std::vector<Day> days{};                // All of the month.
    std::vector<Gpu> gpus{};
    std::int64_t stuck{0};
    std::vector<Trouble> troubles{};  // Stuck runs, and costs that are not known.
};

// What one edge says of itself.
struct EdgeNumbers {
    std::string name;   // Its host and port.
    std::string error;  // Not empty: it was not reached, and the rest is nothing.
    std::int64_t spool_bytes{0};
    std::int64_t spool_bytes_max{0};
    std::int64_t spool_kept_bytes{0};  // Of spool_bytes: kept by keep_acked until the room is needed.
    std::int64_t spool_batches{0};
    std::int64_t spool_segments_damaged{0};
    std::int64_t oldest_unacked_seconds{0};
    std::int64_t batches_apart{0};
    std::int64_t held_events{0};
    std::int64_t workers{0};
    std::int64_t workers_draining{0};
    std::int64_t workers_without_courier{0};
    std::int64_t workers_without_room{0};
    std::int64_t workers_with_failing_disk{0};
    std::int64_t links_up{0};
    std::int64_t incompatible_nginx{0};  // 1: every webhook is refused.
    std::int64_t accepted{0};
    std::int64_t refused{0};
};

// The figures that are read from the edge's status and shown as JSON, by their names there.
struct EdgeFigure {
    const char* name;
    std::int64_t EdgeNumbers::*member;
};
inline constexpr std::array edge_figures{
    EdgeFigure{"spool_bytes", &EdgeNumbers::spool_bytes},
    EdgeFigure{"spool_bytes_max", &EdgeNumbers::spool_bytes_max},
    EdgeFigure{"spool_kept_bytes", &EdgeNumbers::spool_kept_bytes},
    EdgeFigure{"spool_batches", &EdgeNumbers::spool_batches},
    EdgeFigure{"spool_segments_damaged", &EdgeNumbers::spool_segments_damaged},
    EdgeFigure{"oldest_unacked_seconds", &EdgeNumbers::oldest_unacked_seconds},
    EdgeFigure{"batches_apart", &EdgeNumbers::batches_apart},
    EdgeFigure{"held_events", &EdgeNumbers::held_events},
    EdgeFigure{"workers", &EdgeNumbers::workers},
    EdgeFigure{"workers_draining", &EdgeNumbers::workers_draining},
    EdgeFigure{"workers_without_courier", &EdgeNumbers::workers_without_courier},
    EdgeFigure{"workers_without_room", &EdgeNumbers::workers_without_room},
    EdgeFigure{"workers_with_failing_disk", &EdgeNumbers::workers_with_failing_disk},
    EdgeFigure{"links_up", &EdgeNumbers::links_up},
    EdgeFigure{"incompatible_nginx", &EdgeNumbers::incompatible_nginx},
};

// A word that a shell takes as it is: quoted where it has to be. What nobody sees is written in octal, as $'\033'
// (bash, ksh, zsh).
[[nodiscard]] std::string shell_word(const std::string& text);

}  // namespace runledger
