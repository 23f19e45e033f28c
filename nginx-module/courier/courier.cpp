#include "nginx-module/courier/courier.hpp"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "nginx-module/courier/committer.hpp"
#include "nginx-module/courier/short_slices.hpp"
#include "nginx-module/link/connection_log.hpp"
#include "nginx-module/link/delivery.hpp"
#include "nginx-module/link/link.hpp"
#include "nginx-module/spool/boot_id.hpp"
#include "nginx-module/spool/spool.hpp"
#include "nginx-module/thread/signals_blocked.hpp"

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

}  // namespace

// The lock is held only to copy the figures.
struct Courier::Shared {
    explicit Shared(CourierSettings wanted)
        : settings(std::move(wanted)),
          exchange({.events_max = settings.held_events_max, .bytes_max = settings.held_bytes_max}),
          log([this] { exchange.loop_wake().signal(); }) {}

    [[nodiscard]] bool wait_finished(std::chrono::milliseconds patience) const;

    CourierSettings settings;
    EventExchange exchange;  // Closed: the thread is to end.
    EdgeLog log;
    std::thread thread;  // The loop's, as is the next.
    bool has_started{false};
    std::atomic<SteadyTime> give_up_at{};  // When the thread no longer tries to commit what it has.
    WakeFd finished;                       // The thread has ended.
    std::mutex figures_mutex;
    CourierFigures figures;
};

bool Courier::Shared::wait_finished(std::chrono::milliseconds patience) const {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd waited{.fd = finished.get(), .events = POLLIN, .revents = 0};
        const int ready = ::poll(&waited, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

// The thread's loop: waits, commits, sends, takes answers, tends the spool. Everything in it lives and dies in the
// courier's thread, the ZeroMQ context included.
class Courier::Thread {
public:
    explicit Thread(Shared& shared)
        : shared_(shared),
          settings_(shared.settings),
          log_(shared.log),
          files_(settings_.files ? settings_.files : std::make_shared<PosixFiles>()),
          spool_(settings_.spool, *files_, wall_now, log_),
          delivery_(settings_.link.endpoints.size(), settings_.link.delivery, spool_, log_),
          connection_log_(log_, settings_.link.endpoints, now()),
          committer_(
              {.settings = settings_, .exchange = shared.exchange, .spool = spool_, .files = *files_, .log = log_},
              {.boot = read_boot_id(log_), .edge_name = settings_.edge_name}) {}

    // The thread's whole life, until the exchange is closed. Survives every exception: it logs it and goes on.
    static void run(Shared& shared) noexcept;

private:
    // One turn; false when the thread is to end.
    [[nodiscard]] bool turn() {
        wait();
        gather();
        const bool is_stopping = shared_.exchange.is_closed();  // Read first: what was submitted before it is taken.
        committer_.take_submitted();
        if (shared_.exchange.is_draining()) {
            commit();
            give_back();
        } else {
            open_link();
            commit();
            exchange();
            tend();
        }
        publish();
        return !is_stopping || (committer_.has_waiting() && now() < shared_.give_up_at.load());
    }

    void close() noexcept {
        // The link first, and without lingering: what was sent and not answered is in the spool.
        link_.reset();
        spool_.close();
    }

    [[nodiscard]] static SteadyTime now() { return std::chrono::steady_clock::now(); }

    void wait() {
        waited_.clear();
        waited_.push_back(
            {.socket = nullptr, .fd = shared_.exchange.thread_wake().get(), .events = ZMQ_POLLIN, .revents = 0});
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
        if (has_come && !is_full && last_batch_.events >= gather_events_min && !shared_.exchange.is_closed()) {
            std::this_thread::sleep_for(std::min(last_batch_.took / 2, gather_max));
        }
    }

    [[nodiscard]] std::chrono::milliseconds wait_time() const {
        if (progress_ == BatchDelivery::Progress::more) {
            return std::chrono::milliseconds{0};
        }
        const SteadyTime at = now();
        SteadyTime due = std::min(at + wait_max, committer_.due_at());
        if (!shared_.exchange.is_draining()) {
            due = std::min(due, spool_.tend_due_at());
        }
        if (link_) {
            due = std::min({due, delivery_.due_at(at), link_->due_at(), connection_log_.due_at()});
        }
        return std::max(std::chrono::ceil<std::chrono::milliseconds>(due - at), std::chrono::milliseconds{0});
    }

    void open_link() {
        if (link_ || now() < link_retry_at_) {
            return;
        }
        link_retry_at_ = now() + link_retry_after;
        try {
            link_.emplace(settings_.link.endpoints, settings_.link.curve.get());
        } catch (const std::bad_alloc&) {
            throw;  // persist() waits a moment.
        } catch (const std::exception& e) {
            // ZeroMQ has no socket for us, or would abort for want of threads or descriptors: events are stored, and
            // sent when there is a link.
            log_.add(LogLine::Level::crit, "no link", e.what());
            return;
        }
        for (const std::string& endpoint : link_->bad_endpoints()) {
            log_.add(LogLine::Level::crit, "bad endpoint", endpoint);
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
        connection_log_.tend(now());
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

    // The process ends as soon as its last connection does, which may be another site's and take days. The workers in
    // its place have the daemons, the keys and the bound that are configured now.
    void give_back() noexcept {
        if (committer_.has_waiting()) {
            spool_.release_all_but_active();  // There is room for what waits in the active one, perhaps.
        } else {
            spool_.close();
        }
        if (link_) {
            link_figures_ = link_->figures();
            link_figures_.endpoints_up = 0;
            link_.reset();  // Without lingering, as in close().
            progress_ = BatchDelivery::Progress::idle;
            for (std::size_t peer = 0; peer < settings_.link.endpoints.size(); ++peer) {
                delivery_.on_peer_lost(peer, now());  // Its window is empty now.
            }
        }
    }

    void on_change(const Link::Change& change) {
        switch (change.event.kind) {
            case PeerEvent::Kind::up:
                connection_log_.on_up(change.peer, now());
                delivery_.on_peer_up(change.peer, now());
                break;
            case PeerEvent::Kind::lost:
                connection_log_.on_lost(change.peer, now());
                delivery_.on_peer_lost(change.peer, now());
                break;
            case PeerEvent::Kind::handshake_failed:
                connection_log_.on_handshake_failed(change.peer, change.event.reason);
                break;
            case PeerEvent::Kind::unresolved:
                connection_log_.on_unresolved(change.peer, change.event.reason);
                break;
        }
    }

    void tend() {
        if (now() >= spool_.tend_due_at()) {
            spool_.tend(now());
        }
    }

    void publish() {
        CourierFigures figures{.commits = committer_.figures(now()),
                               .spool = spool_.figures(),
                               .link = link_ ? link_->figures() : link_figures_,
                               .delivery = delivery_.figures(),
                               .refused = {},
                               .is_draining = shared_.exchange.is_draining()};
        if (figures.is_draining) {  // The folder is not looked at any more: the others say how it is now.
            figures.spool.folder_bytes = 0;
            figures.spool.folder_segments = 0;
            figures.spool.folder_damaged_segments = 0;
            figures.spool.folder_kept_segments = 0;
            figures.spool.folder_kept_bytes = 0;
        }
        const std::scoped_lock lock(shared_.figures_mutex);
        shared_.figures = figures;
    }

    // Calls `step` until it says true, whatever it throws on the way, unless a stop has run out of patience.
    template <class Step>
    static void persist(Shared& shared, Step step) noexcept {
        while (true) {
            try {
                if (step()) {
                    return;
                }
            } catch (const std::exception& e) {
                shared.log.add(LogLine::Level::crit, "courier failed, trying again", e.what());
                // Not at once again: the cause, memory say, needs time. Nothing is read here that a signal would wake.
                std::this_thread::sleep_for(pause_after_exception);
                if (shared.exchange.is_closed() && now() >= shared.give_up_at.load()) {
                    return;
                }
            }
        }
    }

    Shared& shared_;
    const CourierSettings& settings_;
    EdgeLog& log_;
    std::shared_ptr<Files> files_;
    Spool spool_;
    BatchDelivery delivery_;
    ConnectionLog connection_log_;
    Committer committer_;
    std::optional<Link> link_;
    LinkFigures link_figures_;  // Where there is no link any more: counters never fall.
    std::vector<zmq_pollitem_t> waited_;
    struct {
        std::uint64_t events{};
        SteadyTime::duration took{};
    } last_batch_;
    SteadyTime link_retry_at_{};
    BatchDelivery::Progress progress_{BatchDelivery::Progress::idle};
    BatchDelivery::Send send_ = [this](BatchDelivery::PeerIndex peer, std::span<const std::byte> message) {
        return link_->send(peer, message);
    };
};

void Courier::Thread::run(Shared& shared) noexcept {
    (void)::pthread_setname_np(::pthread_self(), "rl-courier");  // For whoever looks at threads; failing is no harm.
    std::unique_ptr<Thread> thread;
    persist(shared, [&] {
        ask_for_short_slices();
        thread = std::make_unique<Thread>(shared);
        return true;
    });
    if (thread) {
        persist(shared, [&] { return !thread->turn(); });
        thread->close();
        thread.reset();
    }
    shared.finished.signal();
}

Courier::Courier(CourierSettings settings) : shared_(std::make_shared<Shared>(std::move(settings))) {}

Courier::~Courier() { (void)stop(std::chrono::milliseconds{0}); }  // Whether it joined: nobody is left to be told.

void Courier::start() {
    const SignalsBlocked blocked;
    shared_->thread = std::thread([shared = shared_] { Thread::run(*shared); });
    shared_->has_started = true;
}

SubmitResult Courier::submit(HeldEventPtr event) { return shared_->exchange.submit(std::move(event)); }

int Courier::wake_fd() const noexcept { return shared_->exchange.loop_wake().get(); }

std::vector<HeldEventPtr> Courier::take_results() { return shared_->exchange.take_results(); }

std::vector<LogLine> Courier::take_log_lines() { return shared_->log.take(); }

CourierFigures Courier::figures() const noexcept {
    CourierFigures figures;
    {
        const std::scoped_lock lock(shared_->figures_mutex);
        figures = shared_->figures;
    }
    figures.has_started = shared_->has_started;
    figures.held_events = shared_->exchange.held_events();
    figures.held_bytes = shared_->exchange.held_bytes();
    return figures;
}

void Courier::drain() noexcept { shared_->exchange.drain(); }

bool Courier::stop(std::chrono::milliseconds patience) {
    if (!shared_->thread.joinable()) {
        return true;
    }
    // The thread gives up a disk that refuses before we give up the thread, so that it still closes in order.
    shared_->give_up_at.store(std::chrono::steady_clock::now() + patience * 3 / 4);
    shared_->exchange.close();
    if (shared_->wait_finished(patience)) {
        shared_->thread.join();
        return true;
    }
    shared_->thread.detach();  // It holds a reference to all it uses.
    return false;
}

}  // namespace runledger::edge
