// The courier: one thread per nginx worker that owns the worker's segments and its ZeroMQ socket.
//
// The event loop hands events over with submit() and learns their results through an eventfd; it never waits for the
// courier, and the courier never calls nginx. Everything here is plain C++: no nginx header is included.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/spool_identity.hpp"
#include "nginx-module/log/edge_log.hpp"

namespace runledger::edge {

// Who decides about a held request: the courier takes it when its event is durable, the loop abandons it at its
// deadline or when the client leaves. Whoever changes `waiting` first has decided.
enum class HoldState : std::uint8_t { waiting, taken, abandoned };

enum class CommitResult : std::uint8_t {
    committed,  // On stable storage: answer 2xx.
    refused,    // A large body that the courier validated and found at fault: answer 400 (see `refusal`).
    failed,     // The body could not be read from its temp file: answer 503.
};

// Why commits do not succeed at the moment.
enum class CommitTrouble : std::uint8_t {
    none,
    no_room,       // Neither the spool's bound nor its disk has room.
    disk_failing,  // Whatever else the disk says.
};

class Waiter;  // nginx-module/worker/worker.hpp

// One event on its way, shared by the loop and the courier. Made and filled by the loop before submit(); after
// that the loop touches only `state` and `waiter`, and reads `trouble`, until the courier has posted it back.
struct HeldEvent {
    Waiter* waiter{nullptr};  // The loop's alone: who waits for the result. The courier carries it untouched.
    Stamp stamp;
    std::uint32_t flags{};     // wire::EventFlag
    std::string body;          // Our own copy, never pool memory. Empty if the body is in `body_fd`.
    int body_fd{-1};           // A duplicate of the temp file's descriptor; the last owner closes it.
    std::size_t body_bytes{};  // Of the body, wherever it is.
    bool validated{false};     // False: the courier runs validate_event before it stores the event.

    std::atomic<HoldState> state{HoldState::waiting};
    std::atomic<CommitTrouble> trouble{CommitTrouble::none};  // Of its last commit; written by the courier.

    // Written by the courier before it posts the event back.
    CommitResult result{};
    Refusal refusal{};
    std::string run_id;  // Filled by whoever validated.
    std::string status_word;
    std::chrono::microseconds commit_time{};  // From submit() to durable.

    HeldEvent() = default;
    HeldEvent(const HeldEvent&) = delete;
    HeldEvent& operator=(const HeldEvent&) = delete;
    ~HeldEvent();  // Closes body_fd.

    // As if newly made, but for the memory of its body, which is kept unless it is large.
    void renew() noexcept;
};

using HeldEventPtr = std::shared_ptr<HeldEvent>;

class Files;       // nginx-module/spool/files.hpp
struct CurveKeys;  // nginx-module/link/keys.hpp

struct CourierConfig {
    std::string spool_dir;
    std::size_t spool_bytes_max{1024UL * 1024 * 1024};  // Allocated bytes of the whole folder.
    std::chrono::seconds spool_keep_acked{0};           // How long retired segments are kept, if there is room.
    std::optional<SpoolHost> spool_host{};              // Whose the folder must be. Nothing: it is not asked.
    std::vector<std::string> daemon_endpoints;          // ZeroMQ endpoints, at least one.
    std::shared_ptr<const CurveKeys> curve;             // For those that are tcp://; nothing: plain.
    std::string edge_name;                              // The host's name unless configured.
    std::size_t held_events_max{8192};
    std::size_t held_bytes_max{64UL * 1024 * 1024};
    std::chrono::milliseconds resend_after{5000};
    std::chrono::milliseconds adopt_every{1000};

    // What tests shorten or replace; no directive sets them.
    std::chrono::milliseconds commit_retry_min{50};
    std::chrono::milliseconds commit_retry_max{500};
    std::chrono::milliseconds seal_idle_after{60'000};
    std::chrono::milliseconds refused_retry_every{60'000};
    std::chrono::milliseconds suspect_pause{5000};
    std::shared_ptr<Files> files;  // Nothing: the file system.
};

// Counters since start and gauges of now; each is read atomically, the set is not a snapshot.
struct CourierStats {
    std::uint64_t events_committed{};
    std::uint64_t batches_committed{};
    std::uint64_t commit_failures{};
    std::uint64_t batches_sent{};
    std::uint64_t batches_resent{};
    std::uint64_t batches_acked{};
    std::uint64_t busy_answers{};
    std::uint64_t refused_answers{};
    std::uint64_t refused_retirements{};  // The ledger lacks what it had acknowledged: sent again.
    std::uint64_t peers_lost{};           // Connections to daemons that broke.
    std::uint64_t handshakes_failed{};
    std::uint64_t batches_suspected{};
    std::uint64_t batches_convicted{};
    std::uint64_t batches_apart{};    // Refused or suspect, now.
    std::uint64_t unknown_answers{};  // Copies of answers that came before, mostly.
    std::uint64_t segments_adopted{};
    std::uint64_t segments_unlinked{};  // Or kept, or set aside: no longer this courier's.
    std::uint64_t segments_damaged{};   // Set aside, with what was answered lost in them.
    std::uint64_t held_events{};
    std::uint64_t held_bytes{};
    std::uint64_t spool_batches{};           // Of this courier, not yet acked.
    std::uint64_t spool_bytes{};             // Allocated bytes of the whole folder, as last looked at.
    std::uint64_t spool_segments{};          // Of the whole folder, too; neither kept nor set aside.
    std::uint64_t spool_damaged_segments{};  // Set aside, of the whole folder, too.
    std::uint64_t spool_kept_segments{};     // Of the folder: retired, and kept for keep_acked.
    std::uint64_t spool_kept_bytes{};        // What they take of spool_bytes.
    std::uint64_t window_bytes{};
    std::uint64_t oldest_unacked_seconds{};
    std::uint64_t endpoints_up{};            // Daemons' endpoints with a connection.
    CommitTrouble commit_trouble{};          // Of the last commit.
    std::uint64_t commit_failing_seconds{};  // Since the first failure after the last success; 0 if that is the last.

    [[nodiscard]] bool is_link_up() const noexcept { return endpoints_up > 0; }
};

enum class SubmitResult : std::uint8_t {
    submitted,
    over_bound,  // held_events_max or held_bytes_max reached: answer 503 before accepting.
};

// Construct, use and destroy in one worker process, after the fork. submit(), take_*(), stats() and stop() are for
// the loop's thread.
class Courier {
public:
    // Opens nothing yet. Throws std::system_error if the eventfd can't be made.
    explicit Courier(CourierConfig config);
    Courier(const Courier&) = delete;
    Courier& operator=(const Courier&) = delete;
    ~Courier();  // stop() with no patience.

    // Starts the thread, all signals blocked in it. A spool that can't be opened is no failure here: the courier
    // logs it, keeps trying, and requests are held.
    void start();

    // Hands an event over; never blocks on I/O. On over_bound nothing was taken.
    [[nodiscard]] SubmitResult submit(HeldEventPtr event);

    // Readable when take_results() or take_log_lines() has something. Drain it before taking, never after.
    [[nodiscard]] int wake_fd() const noexcept;
    [[nodiscard]] std::vector<HeldEventPtr> take_results();
    [[nodiscard]] std::vector<LogLine> take_log_lines();

    [[nodiscard]] CourierStats stats() const noexcept;

    // Commits what was submitted, leaves sending as it is (the spool has it), lets go of the segments and joins the
    // thread; gives up after `patience` (an fdatasync that hangs), leaving the thread to the process's end.
    // Returns whether it joined.
    bool stop(std::chrono::milliseconds patience);

private:
    class Impl;
    std::shared_ptr<Impl> impl_;  // Shared with the thread, which may outlive a stop() that gave up.
};

}  // namespace runledger::edge
