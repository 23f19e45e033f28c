// The runs that the simulated sender makes up: from a seed, each with its record, its outputs, its ending and every
// event's bytes and time. Shapes and habits are those of docs/sender.md.
//
// Invariant: the same seed and options give the same plans, byte by byte. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/status.hpp"

namespace runledger::test {

enum class Ending : std::uint8_t { success, failed, timeout, cancelled, none };
enum class MediaKind : std::uint8_t { image, video, text };

[[nodiscard]] std::optional<RunStatus> status_of(Ending ending) noexcept;  // Nothing for none.

// One element of `outputs`.
struct PlannedOutput {
    std::string id{};
    MediaKind kind{MediaKind::image};
    std::vector<std::string> urls{};  // One for each medium; empty for a text.
    std::string json{};
    bool storable{true};  // False where PostgreSQL's jsonb refuses it.
};

struct PlannedEvent {
    std::string status{};  // As in the body; may be a word that the sender is not known to use.
    std::string body{};
    std::vector<std::size_t> outputs{};  // Which of the run's it carries.
    std::chrono::microseconds due{};     // From the start of all.
};

// What the application's record says of the price. `amount` is decimal text; `json` what stands in metadata.
struct PlannedRate {
    std::string amount{};
    std::string unit{};
    std::string currency{};
    std::string json{};  // Empty: no costRate at all.
    bool usable{true};
    std::optional<std::int64_t> tokens{};  // As tokenCount says; nothing: it does not.
};

struct RunPlan {
    std::string run_id{};
    Ending ending{Ending::success};
    std::optional<std::int64_t> chat_id{};
    PlannedRate rate{};
    std::vector<PlannedOutput> outputs{};
    std::vector<PlannedEvent> events{};  // By `due`.
    std::size_t record_after_events{0};  // The application inserts its record when so many events have met their fate.

    // The `generations` row's metadata, JSON that jsonb takes.
    [[nodiscard]] std::string metadata() const;
};

// How often a habit shows, 0 to 1, in each run or event.
struct Habits {
    double reordered{0.2};           // Runs whose events are concurrent tasks with jitter.
    double repeated{0.05};           // Events that are sent twice; half of these byte by byte the same.
    double late_progress{0.15};      // Runs with a late progress event: the terminal status, outputs [].
    double late_before_ending{0.3};  // Of these: due before the real ending.
    double burst{0.3};               // Runs all of whose progress events are due at once.
    double record_late{0.1};         // Runs whose record is inserted after some of their events.
    double odd_output{0.03};         // Outputs with NaN, \u0000, a lone surrogate or a number beyond any type.
    double odd_body{0.03};           // Events with other key order, more keys, progress NaN, an unknown status.
    double no_event_type{0.05};      // Runs from before February 2025.
    double output_events{0.3};       // Runs that send run.output for each output before the ending.
    double no_running{0.02};         // Runs whose `running` never comes.
    double odd_rate{0.05};           // Records whose rate is missing, an error string, negative, or not USD.
    double other_unit{0.1};          // Rates by minute or hour, or as a decimal string.
    double conflicting_ending{0.0};  // Runs with a second, different ending. A status that changes is corrected to
                                     // the chat, so the number of messages is not certain then.

    [[nodiscard]] static Habits none();  // Events in order, once, well-formed, records first.
};

struct RunOptions {
    std::uint64_t seed{1};
    std::size_t runs{100};
    Habits habits{};
    std::chrono::milliseconds arrival_span{1'000};  // The runs begin within it.
    std::chrono::milliseconds run_span{300};        // From `queued` to the ending, about.
    std::chrono::milliseconds jitter{150};          // Of a reordered run's events.
    int progress_events_min{2};
    int progress_events_max{8};
    double with_chat{0.8};
    std::size_t chats{0};  // How many the runs share; 0: one for each run.
    double success{0.8};   // The rest is failed, timeout, cancelled and none, 4:2:3:1.
    std::size_t text_bytes{200};
    std::string picture_url{"https://comfy-deploy-output.s3.us-east-2.amazonaws.com/outputs/runs"};
};

[[nodiscard]] std::vector<RunPlan> make_runs(const RunOptions& options);

}  // namespace runledger::test
