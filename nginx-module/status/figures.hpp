// What the status shows: the one table of the couriers' figures with their names, the buckets of commit_seconds, and
// all figures as they were read at one moment.
//
// The order is the table's in shared memory. Names are what operators alarm on: add, never rename. Plain values.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nginx-module/courier/courier_settings.hpp"
#include "nginx-module/status/request_outcome.hpp"

namespace runledger::edge {

// How the figures of several workers become one.
enum class FigureKind : std::uint8_t {
    counter,  // Grows from a courier's start; summed over all couriers that there have been.
    sum,      // A gauge of the worker's own: added up over the workers there are.
    largest,  // A gauge of the shared folder, or of the worker that is worst off: the maximum.
};

struct CourierFigure {
    std::string_view name;
    std::string_view help;
    FigureKind kind;
    std::uint64_t (*value)(const CourierFigures&);
};

inline constexpr std::array courier_figures{
    CourierFigure{"events_committed_total", "Events put on stable storage.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.commits.events; }},
    CourierFigure{"batches_committed_total", "Batches put on stable storage, each with one sync.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.commits.batches; }},
    CourierFigure{"commit_failures_total", "Commits that failed and are tried again while their requests are held.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.commits.failures; }},
    CourierFigure{"batches_sent_total", "Batches sent to a daemon, copies included.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.delivery.batches_sent; }},
    CourierFigure{"batches_resent_total", "Batches sent again.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.delivery.batches_resent; }},
    CourierFigure{"batches_acked_total", "Batches that a daemon has committed to the ledger.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.delivery.batches_acked; }},
    CourierFigure{"busy_answers_total", "Answers by which a daemon asked for patience.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.delivery.busy_answers; }},
    CourierFigure{"refused_answers_total", "Answers by which a daemon refused a batch.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.delivery.refused_answers; }},
    CourierFigure{"refused_retirements_total", "Segments sent again since the ledger had lost batches of them.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.delivery.refused_retirements; }},
    CourierFigure{"daemons_lost_total", "Connections to daemons that broke.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.link.peers_lost; }},
    CourierFigure{"handshakes_failed_total", "Handshakes with daemons that failed.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.link.handshakes_failed; }},
    CourierFigure{"names_unresolved_total", "Look-ups of a daemon's name that failed or took over five seconds.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.link.names_unresolved; }},
    CourierFigure{"batches_suspected_total",
                  "Batches that are sent alone, since daemons were lost while they were under way.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.delivery.batches_suspected; }},
    CourierFigure{"batches_convicted_total", "Times that a daemon was lost with a batch that was sent alone.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.delivery.batches_convicted; }},
    CourierFigure{"unknown_answers_total", "Answers that could not be understood, or that nobody waited for.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.delivery.unknown_answers; }},
    CourierFigure{"segments_adopted_total", "Segments taken over from a worker that has ended.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.spool.segments_adopted; }},
    CourierFigure{"segments_unlinked_total", "Segments whose batches are all in the ledger, removed or kept.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.spool.segments_removed; }},
    CourierFigure{"segments_damaged_total", "Segments set aside because some of what they held can't be read.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.spool.segments_damaged; }},
    CourierFigure{"held_events", "Events whose requests wait for stable storage.", FigureKind::sum,
                  [](const CourierFigures& f) { return f.held_events; }},
    CourierFigure{"held_bytes", "Bytes of the bodies of these events.", FigureKind::sum,
                  [](const CourierFigures& f) { return f.held_bytes; }},
    CourierFigure{"spool_batches", "Batches in the spool that no daemon has committed yet.", FigureKind::sum,
                  [](const CourierFigures& f) { return f.spool.batches_unacked; }},
    CourierFigure{"spool_bytes", "Bytes allocated in the spool's folder.", FigureKind::largest,
                  [](const CourierFigures& f) { return f.spool.folder_bytes; }},
    CourierFigure{"spool_segments", "Segments in the spool's folder, those made ahead included.", FigureKind::largest,
                  [](const CourierFigures& f) { return f.spool.folder_segments; }},
    CourierFigure{"spool_segments_damaged", "Damaged segments that were set aside in the spool's folder.",
                  FigureKind::largest, [](const CourierFigures& f) { return f.spool.folder_damaged_segments; }},
    CourierFigure{"spool_segments_kept", "Retired segments that keep_acked keeps in the spool's folder.",
                  FigureKind::largest, [](const CourierFigures& f) { return f.spool.folder_kept_segments; }},
    CourierFigure{"spool_kept_bytes", "What these take of spool_bytes; given up when the room is needed.",
                  FigureKind::largest, [](const CourierFigures& f) { return f.spool.folder_kept_bytes; }},
    CourierFigure{"window_bytes", "Bytes sent and not answered yet.", FigureKind::sum,
                  [](const CourierFigures& f) { return f.delivery.window_bytes; }},
    CourierFigure{"oldest_unacked_seconds", "Age of the oldest batch that no daemon has committed yet.",
                  FigureKind::largest, [](const CourierFigures& f) { return f.spool.oldest_unacked_seconds; }},
    CourierFigure{"batches_apart", "Batches that were refused, or that daemons may have been lost by.", FigureKind::sum,
                  [](const CourierFigures& f) { return f.delivery.poison_batches; }},
    CourierFigure{"links_up", "Workers whose link to a daemon is up.", FigureKind::sum,
                  [](const CourierFigures& f) { return std::uint64_t{f.is_link_up()}; }},
    CourierFigure{"workers_draining", "Workers that end after a reload and need no link.", FigureKind::sum,
                  [](const CourierFigures& f) { return std::uint64_t{f.is_draining}; }},
    CourierFigure{"daemon_endpoints_up", "Connections of workers to daemons, one for each worker and endpoint.",
                  FigureKind::sum, [](const CourierFigures& f) { return f.link.endpoints_up; }},
    CourierFigure{"workers_without_courier", "Workers whose courier's thread could not be started yet.",
                  FigureKind::sum, [](const CourierFigures& f) { return std::uint64_t{!f.has_started}; }},
    CourierFigure{"workers_without_room", "Workers whose last commit found no room in the spool or on its disk.",
                  FigureKind::sum,
                  [](const CourierFigures& f) { return std::uint64_t{f.commits.trouble == CommitTrouble::no_room}; }},
    CourierFigure{
        "workers_with_failing_disk", "Workers whose last commit failed in the disk.", FigureKind::sum,
        [](const CourierFigures& f) { return std::uint64_t{f.commits.trouble == CommitTrouble::disk_failing}; }},
    CourierFigure{"commit_failing_seconds",
                  "For how long commits have failed in the worker that is worst off; 0: none.", FigureKind::largest,
                  [](const CourierFigures& f) { return f.commits.failing_seconds; }},
    CourierFigure{"refused_kept_total", "Refused bodies that were kept for a second try.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.refused.kept; }},
    CourierFigure{"refused_over_rate_total", "Refused bodies not kept, since too many came at once.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.refused.over_rate; }},
    CourierFigure{"refused_no_room_total", "Refused bodies not kept, since their folder or its disk has no room.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.refused.no_room; }},
    CourierFigure{"refused_unfit_total", "Refused requests that hold nothing to be put through later.",
                  FigureKind::counter, [](const CourierFigures& f) { return f.refused.unfit; }},
    CourierFigure{"refused_failed_total", "Refused bodies not kept, since the disk failed.", FigureKind::counter,
                  [](const CourierFigures& f) { return f.refused.failed; }},
    CourierFigure{"refused_bodies", "Bodies in the folder of refused bodies.", FigureKind::largest,
                  [](const CourierFigures& f) { return f.refused.folder_bodies; }},
    CourierFigure{"refused_bytes", "Bytes of the files of these bodies.", FigureKind::largest,
                  [](const CourierFigures& f) { return f.refused.folder_bytes; }},
};

// The upper bound of a bucket of commit_seconds, as a duration and as Prometheus' label.
struct CommitBucket {
    std::chrono::microseconds at_most;
    std::string_view label;
};

// From a fast disk's sync to the default of runledger_timeout; what is slower counts as +Inf.
inline constexpr std::array commit_buckets{
    CommitBucket{std::chrono::microseconds{100}, "0.0001"},
    CommitBucket{std::chrono::microseconds{250}, "0.00025"},
    CommitBucket{std::chrono::microseconds{500}, "0.0005"},
    CommitBucket{std::chrono::microseconds{1'000}, "0.001"},
    CommitBucket{std::chrono::microseconds{2'500}, "0.0025"},
    CommitBucket{std::chrono::milliseconds{5}, "0.005"},
    CommitBucket{std::chrono::milliseconds{10}, "0.01"},
    CommitBucket{std::chrono::milliseconds{25}, "0.025"},
    CommitBucket{std::chrono::milliseconds{50}, "0.05"},
    CommitBucket{std::chrono::milliseconds{100}, "0.1"},
    CommitBucket{std::chrono::milliseconds{250}, "0.25"},
    CommitBucket{std::chrono::milliseconds{500}, "0.5"},
    CommitBucket{std::chrono::milliseconds{1'000}, "1"},
    CommitBucket{std::chrono::milliseconds{2'500}, "2.5"},
    CommitBucket{std::chrono::seconds{5}, "5"},
    CommitBucket{std::chrono::seconds{10}, "10"},
    CommitBucket{std::chrono::seconds{15}, "15"},
};

struct TokenUse {
    std::string name;
    std::uint64_t accepted{};
    std::uint64_t last_use_seconds{};  // Unix time; 0: never.
};

struct StatusFigures {
    std::uint64_t started_at_seconds{};  // Unix time at which the zone was made.
    std::array<std::uint64_t, outcome_words.size()> outcomes{};
    std::array<std::uint64_t, nginx_causes.size()> refusals_by_nginx{};
    std::array<std::uint64_t, courier_figures.size()> courier{};
    std::vector<TokenUse> tokens;
    std::uint64_t workers{};
    bool is_nginx_incompatible{};
    std::array<std::uint64_t, commit_buckets.size() + 1> commits{};  // By bucket, not cumulated; the last is +Inf.
    std::chrono::microseconds commit_time_sum{};
};

}  // namespace runledger::edge
