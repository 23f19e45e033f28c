// Which of the courier's numbers are shown, under which names, and how those of several workers become one.
//
// The order is the table's in shared memory. Names are what operators alarm on: add, never rename.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "nginx-module/courier/courier.hpp"

namespace runledger::edge {

// Grows from a courier's start; summed over all couriers that there have been.
struct CounterField {
    std::string_view name;
    std::string_view help;
    std::uint64_t CourierStats::*value;
};

inline constexpr std::array counter_fields{
    CounterField{"events_committed_total", "Events put on stable storage.", &CourierStats::events_committed},
    CounterField{"batches_committed_total", "Batches put on stable storage, each with one sync.",
                 &CourierStats::batches_committed},
    CounterField{"commit_failures_total", "Commits that failed and are tried again while their requests are held.",
                 &CourierStats::commit_failures},
    CounterField{"batches_sent_total", "Batches sent to a daemon, copies included.", &CourierStats::batches_sent},
    CounterField{"batches_resent_total", "Batches sent again.", &CourierStats::batches_resent},
    CounterField{"batches_acked_total", "Batches that a daemon has committed to the ledger.",
                 &CourierStats::batches_acked},
    CounterField{"busy_answers_total", "Answers by which a daemon asked for patience.", &CourierStats::busy_answers},
    CounterField{"refused_answers_total", "Answers by which a daemon refused a batch.", &CourierStats::refused_answers},
    CounterField{"refused_retirements_total", "Segments sent again since the ledger had lost batches of them.",
                 &CourierStats::refused_retirements},
    CounterField{"daemons_lost_total", "Connections to daemons that broke.", &CourierStats::peers_lost},
    CounterField{"handshakes_failed_total", "Handshakes with daemons that failed.", &CourierStats::handshakes_failed},
    CounterField{"batches_suspected_total",
                 "Batches that are sent alone, since daemons were lost while they were under way.",
                 &CourierStats::batches_suspected},
    CounterField{"batches_convicted_total", "Times that a daemon was lost with a batch that was sent alone.",
                 &CourierStats::batches_convicted},
    CounterField{"unknown_answers_total", "Answers that could not be understood, or that nobody waited for.",
                 &CourierStats::unknown_answers},
    CounterField{"segments_adopted_total", "Segments taken over from a worker that has ended.",
                 &CourierStats::segments_adopted},
    CounterField{"segments_unlinked_total", "Segments whose batches are all in the ledger, removed or kept.",
                 &CourierStats::segments_unlinked},
    CounterField{"segments_damaged_total", "Segments set aside because some of what they held can't be read.",
                 &CourierStats::segments_damaged},
};

// What each courier has of its own is added; of what all see alike, the largest counts.
enum class AcrossWorkers : std::uint8_t { sum, largest };

struct GaugeField {
    std::string_view name;
    std::string_view help;
    AcrossWorkers across;
    std::uint64_t (*value)(const CourierStats&);
};

inline constexpr std::array gauge_fields{
    GaugeField{"held_events", "Events whose requests wait for stable storage.", AcrossWorkers::sum,
               [](const CourierStats& stats) { return stats.held_events; }},
    GaugeField{"held_bytes", "Bytes of the bodies of these events.", AcrossWorkers::sum,
               [](const CourierStats& stats) { return stats.held_bytes; }},
    GaugeField{"spool_batches", "Batches in the spool that no daemon has committed yet.", AcrossWorkers::sum,
               [](const CourierStats& stats) { return stats.spool_batches; }},
    GaugeField{"spool_bytes", "Bytes allocated in the spool's folder.", AcrossWorkers::largest,
               [](const CourierStats& stats) { return stats.spool_bytes; }},
    GaugeField{"spool_segments", "Segments in the spool's folder, those made ahead included.", AcrossWorkers::largest,
               [](const CourierStats& stats) { return stats.spool_segments; }},
    GaugeField{"spool_segments_damaged", "Damaged segments that were set aside in the spool's folder.",
               AcrossWorkers::largest, [](const CourierStats& stats) { return stats.spool_damaged_segments; }},
    GaugeField{"spool_segments_kept", "Retired segments that keep_acked keeps in the spool's folder.",
               AcrossWorkers::largest, [](const CourierStats& stats) { return stats.spool_kept_segments; }},
    GaugeField{"spool_kept_bytes", "What these take of spool_bytes; given up when the room is needed.",
               AcrossWorkers::largest, [](const CourierStats& stats) { return stats.spool_kept_bytes; }},
    GaugeField{"window_bytes", "Bytes sent and not answered yet.", AcrossWorkers::sum,
               [](const CourierStats& stats) { return stats.window_bytes; }},
    GaugeField{"oldest_unacked_seconds", "Age of the oldest batch that no daemon has committed yet.",
               AcrossWorkers::largest, [](const CourierStats& stats) { return stats.oldest_unacked_seconds; }},
    GaugeField{"batches_apart", "Batches that were refused, or that daemons may have been lost by.", AcrossWorkers::sum,
               [](const CourierStats& stats) { return stats.batches_apart; }},
    GaugeField{"links_up", "Workers whose link to a daemon is up.", AcrossWorkers::sum,
               [](const CourierStats& stats) { return stats.is_link_up() ? std::uint64_t{1} : std::uint64_t{0}; }},
    GaugeField{"daemon_endpoints_up", "Connections of workers to daemons, one for each worker and endpoint.",
               AcrossWorkers::sum, [](const CourierStats& stats) { return stats.endpoints_up; }},
    GaugeField{"workers_without_room", "Workers whose last commit found no room in the spool or on its disk.",
               AcrossWorkers::sum,
               [](const CourierStats& stats) {
                   return stats.commit_trouble == CommitTrouble::no_room ? std::uint64_t{1} : std::uint64_t{0};
               }},
    GaugeField{"workers_with_failing_disk", "Workers whose last commit failed in the disk.", AcrossWorkers::sum,
               [](const CourierStats& stats) {
                   return stats.commit_trouble == CommitTrouble::disk_failing ? std::uint64_t{1} : std::uint64_t{0};
               }},
    GaugeField{"commit_failing_seconds", "For how long commits have failed in the worker that is worst off; 0: none.",
               AcrossWorkers::largest, [](const CourierStats& stats) { return stats.commit_failing_seconds; }},
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

}  // namespace runledger::edge
