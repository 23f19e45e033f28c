#include "nginx-module/courier/thread.hpp"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "nginx-module/courier/committer.hpp"
#include "nginx-module/link/connection_log.hpp"
#include "nginx-module/link/delivery.hpp"
#include "nginx-module/link/link.hpp"
#include "nginx-module/spool/spool.hpp"

namespace runledger::edge {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::milliseconds wait_max{1000};
constexpr std::chrono::milliseconds link_retry_after{1000};
constexpr std::chrono::milliseconds pause_after_exception{100};
constexpr std::size_t answers_per_turn_max = 2048;

// Fewer events in a batch are not worth a wait. A slow disk gathers them without: more than the bound would only add to
// what they wait already.
constexpr std::uint64_t gather_events_min = 4;
constexpr SteadyTime::duration gather_max = std::chrono::microseconds{250};

WallTime wall_now() { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }

BootId read_boot_id(CourierLog& log) {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    file >> text;
    if (const auto id = BootId::parse(text)) {
        return *id;
    }
    // One that nobody else has: boottimes then compare within this courier's events only, which is still true.
    log.add(LogLine::Level::crit, "no boot id", "the kernel's boot id can't be read, a random one is used");
    return {.bytes = fresh_segment_id().bytes};
}

SpoolConfig spool_config(const CourierConfig& config) {
    return {.folder = config.spool_dir,
            .bytes_max = config.spool_bytes_max,
            .keep_acked = config.spool_keep_acked,
            .host = config.spool_host,
            .adopt_every = config.adopt_every,
            .seal_idle_after = config.seal_idle_after};
}

class CourierThread {
public:
    explicit CourierThread(CourierShared& shared)
        : shared_(shared),
          files_(shared.config().files ? shared.config().files : std::make_shared<PosixFiles>()),
          spool_(spool_config(shared.config()), *files_, wall_now, shared.log()),
          delivery_({.peers = shared.config().daemon_endpoints.size(),
                     .resend_after = shared.config().resend_after,
                     .refused_retry_every = shared.config().refused_retry_every,
                     .suspect_pause = shared.config().suspect_pause},
                    spool_, shared.log()),
          link_log_(shared.log(), shared.config().daemon_endpoints, now()),
          committer_(shared, spool_, *files_,
                     {.boot = read_boot_id(shared.log()), .edge_name = shared.config().edge_name}) {}

    // One turn; false when the thread is to end.
    [[nodiscard]] bool turn() {
        wait();
        gather();
        const bool is_stopping = shared_.is_stopping();  // Read first: what was submitted before it is taken below.
        committer_.take_submitted();
        open_link();
        commit();
        exchange();
        tend();
        publish();
        return !is_stopping || (committer_.has_waiting() && now() < shared_.give_up_at());
    }

    void close() noexcept {
        // The link first, and without lingering: what was sent and not answered is in the spool.
        link_.reset();
        spool_.close();
    }

private:
    [[nodiscard]] static SteadyTime now() { return std::chrono::steady_clock::now(); }

    void wait() {
        waited_.clear();
        waited_.push_back({.socket = nullptr, .fd = shared_.submitted_fd(), .events = ZMQ_POLLIN, .revents = 0});
        if (link_) {
            link_->add_poll_items(waited_);
        }
        // A failure (a signal's, which are blocked) is as good as a wake-up: the turn looks at everything anyway.
        (void)zmq_poll(waited_.data(), static_cast<int>(waited_.size()), wait_time().count());
    }

    // Where many events came together, many more are on their way: the clients that have just been answered send their
    // next ones. A sync costs the processor the same for one event as for all of them, so it is put off for a part of
    // the time that it takes.
    void gather() const {
        const bool has_come = (waited_.front().revents & ZMQ_POLLIN) != 0;
        const bool is_full = committer_.has_waiting();  // The last batch could not take all.
        if (has_come && !is_full && last_batch_.events >= gather_events_min && !shared_.is_stopping()) {
            std::this_thread::sleep_for(std::min(last_batch_.took / 2, gather_max));
        }
    }

    [[nodiscard]] std::chrono::milliseconds wait_time() const {
        if (progress_ == Delivery::Progress::more) {
            return std::chrono::milliseconds{0};
        }
        const SteadyTime at = now();
        SteadyTime due = std::min({at + wait_max, committer_.due_at(), spool_.tend_due_at()});
        if (link_) {
            due = std::min({due, delivery_.due_at(at), link_->due_at(), link_log_.due_at()});
        }
        return std::max(std::chrono::ceil<std::chrono::milliseconds>(due - at), std::chrono::milliseconds{0});
    }

    void open_link() {
        if (link_ || now() < link_retry_at_) {
            return;
        }
        link_retry_at_ = now() + link_retry_after;
        try {
            link_.emplace(shared_.config().daemon_endpoints, shared_.config().curve.get());
        } catch (const zmq::error_t& e) {
            shared_.log().add(LogLine::Level::crit, "no link", e.what());
            return;
        }
        for (const std::string& endpoint : link_->bad_endpoints()) {
            shared_.log().add(LogLine::Level::crit, "bad endpoint", endpoint);
        }
    }

    void commit() {
        const SteadyTime begun_at = now();
        const std::uint64_t events_before = committer_.events_committed();
        const auto stored = committer_.commit(begun_at);
        if (stored) {
            last_batch_ = {.events = committer_.events_committed() - events_before, .took = now() - begun_at};
        }
        if (stored && link_) {
            delivery_.offer(*stored, now(), send_);
        }
    }

    void exchange() {
        if (!link_) {
            return;
        }
        for (const Link::Change& change : link_->take_changes(now())) {
            on_change(change);
        }
        link_log_.tend(now());
        const std::uint64_t removed_before = spool_.segments_removed();
        for (std::size_t i = 0; i < answers_per_turn_max; ++i) {
            const auto answer = link_->receive();
            if (!answer) {
                break;
            }
            const zmq::message_t& message = answer->message;
            delivery_.take_answer(answer->peer, std::as_bytes(std::span(message.data<char>(), message.size())), now());
        }
        progress_ = delivery_.pump(now(), send_);
        if (spool_.segments_removed() != removed_before) {
            committer_.retry_now();
        }
    }

    void on_change(const Link::Change& change) {
        switch (change.event.kind) {
            case PeerEvent::Kind::up:
                link_log_.on_up(change.peer, now());
                delivery_.on_peer_up(change.peer, now());
                break;
            case PeerEvent::Kind::lost:
                ++peers_lost_;
                link_log_.on_lost(change.peer, now());
                delivery_.on_peer_lost(change.peer, now());
                break;
            case PeerEvent::Kind::handshake_failed:
                ++handshakes_failed_;
                link_log_.on_handshake_failed(change.peer, change.event.reason);
                break;
        }
    }

    void tend() {
        if (now() >= spool_.tend_due_at()) {
            spool_.tend(now());
        }
    }

    void publish() {
        CourierStats stats;
        stats.events_committed = committer_.events_committed();
        stats.batches_committed = committer_.batches_committed();
        stats.commit_failures = committer_.commit_failures();
        const Delivery::Counters& counters = delivery_.counters();
        stats.batches_sent = counters.batches_sent;
        stats.batches_resent = counters.batches_resent;
        stats.batches_acked = counters.batches_acked;
        stats.busy_answers = counters.busy_answers;
        stats.refused_answers = counters.refused_answers;
        stats.refused_retirements = counters.refused_retirements;
        stats.batches_suspected = counters.batches_suspected;
        stats.batches_convicted = counters.batches_convicted;
        stats.batches_apart = delivery_.batches_apart();
        stats.peers_lost = peers_lost_;
        stats.handshakes_failed = handshakes_failed_;
        stats.endpoints_up = link_ ? link_->peers_up() : 0;
        stats.unknown_answers = counters.unknown_answers;
        stats.segments_adopted = spool_.segments_adopted();
        stats.segments_unlinked = spool_.segments_removed();
        stats.segments_damaged = spool_.segments_damaged();
        stats.spool_bytes = spool_.folder_bytes();
        stats.spool_kept_segments = spool_.kept_segments();
        stats.spool_kept_bytes = spool_.kept_bytes();
        stats.spool_segments = spool_.folder_segments().in_use;
        stats.spool_damaged_segments = spool_.folder_segments().damaged;
        stats.window_bytes = delivery_.window_bytes();
        stats.commit_trouble = committer_.trouble();
        if (stats.commit_trouble != CommitTrouble::none) {
            const auto lasting = std::chrono::ceil<std::chrono::seconds>(now() - committer_.in_trouble_since());
            stats.commit_failing_seconds = static_cast<std::uint64_t>(std::max(lasting.count(), std::int64_t{1}));
        }
        std::optional<std::chrono::sys_seconds> oldest;
        for (const auto& segment : spool_.segments()) {
            stats.spool_batches += segment->batch_count() - segment->count(BatchState::acked);
            if (const auto at = segment->oldest_unacked(); at && (!oldest || *at < *oldest)) {
                oldest = at;
            }
        }
        if (oldest) {
            const auto age = std::chrono::floor<std::chrono::seconds>(wall_now()) - *oldest;
            stats.oldest_unacked_seconds = static_cast<std::uint64_t>(std::max(age.count(), std::int64_t{0}));
        }
        shared_.publish(stats);
    }

    CourierShared& shared_;
    std::shared_ptr<Files> files_;
    Spool spool_;
    Delivery delivery_;
    LinkLog link_log_;
    Committer committer_;
    std::optional<Link> link_;
    std::vector<zmq_pollitem_t> waited_;
    struct {
        std::uint64_t events{};
        SteadyTime::duration took{};
    } last_batch_;
    std::uint64_t peers_lost_{};
    std::uint64_t handshakes_failed_{};
    SteadyTime link_retry_at_{};
    Delivery::Progress progress_{Delivery::Progress::idle};
    Delivery::Send send_ = [this](Delivery::PeerIndex peer, std::span<const std::byte> message) {
        return link_->send(peer, message);
    };
};

// Calls `step` until it says true, whatever it throws on the way, unless a stop has run out of patience.
template <class Step>
void persist(CourierShared& shared, Step step) noexcept {
    while (true) {
        try {
            if (step()) {
                return;
            }
        } catch (const std::exception& e) {
            shared.log().add(LogLine::Level::crit, "courier failed, trying again", e.what());
            // Not at once again: the cause, memory say, needs time. Nothing is read here that a signal would wake.
            (void)::poll(nullptr, 0, static_cast<int>(pause_after_exception.count()));
            if (shared.is_stopping() && std::chrono::steady_clock::now() >= shared.give_up_at()) {
                return;
            }
        }
    }
}

// Whether a seccomp filter lies on this process, as systemd's SystemCallFilter= and containers make one (proc(5),
// Seccomp). Where that can't be told: true.
bool is_system_call_filtered() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("Seccomp:")) {
            return !line.ends_with("\t0");
        }
    }
    return true;
}

// The courier sleeps in fdatasync most of the time and works for microseconds in between, while requests wait for it. A
// scheduler that goes by deadlines (Linux 6.6 and later) would let whoever has the processor end its slice first, some
// three milliseconds; one who asks for short slices is let in before. Linux before 6.12 takes no notice.
void ask_for_short_slices() {
    if (::sched_getscheduler(0) != SCHED_OTHER) {
        return;  // The operator's choice.
    }
    if (is_system_call_filtered()) {
        return;  // A filter may kill whoever calls what it does not know, and a worker is not worth the risk.
    }
    struct {  // struct sched_attr, as far as every kernel knows it; the kernel's header clashes with the C library's.
        std::uint32_t size{48};
        std::uint32_t policy{0};  // SCHED_OTHER, as before.
        std::uint64_t flags{0};
        std::int32_t nice{0};
        std::uint32_t priority{0};
        std::uint64_t runtime_ns{100'000};  // The least that may be asked for.
        std::uint64_t deadline_ns{0};
        std::uint64_t period_ns{0};
    } wanted;
    static_assert(sizeof wanted == 48);
    wanted.nice = ::getpriority(PRIO_PROCESS, 0);        // The worker's, by its worker_priority.
    (void)::syscall(SYS_sched_setattr, 0, &wanted, 0U);  // Refused, the courier is only later.
}

}  // namespace

void run_courier(CourierShared& shared) noexcept {
    (void)::pthread_setname_np(::pthread_self(), "rl-courier");  // For whoever looks at threads; failing is no harm.
    std::unique_ptr<CourierThread> thread;
    persist(shared, [&] {
        ask_for_short_slices();
        thread = std::make_unique<CourierThread>(shared);
        return true;
    });
    if (thread) {
        persist(shared, [&] { return !thread->turn(); });
        thread->close();
        thread.reset();
    }
    shared.set_finished();
}

}  // namespace runledger::edge
