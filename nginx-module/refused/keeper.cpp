#include "nginx-module/refused/keeper.hpp"

#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "common/event.hpp"
#include "common/probe.hpp"
#include "nginx-module/refused/folder.hpp"
#include "nginx-module/spool/boot_id.hpp"
#include "nginx-module/spool/files.hpp"
#include "nginx-module/thread/signals_blocked.hpp"

namespace runledger::edge {
namespace {

WallTime wall_now() { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }

// Keeps two bodies that were received in the same microsecond apart. Without randomness the time has to do.
std::uint64_t fresh_random() noexcept {
    std::uint64_t value = 0;
    (void)!::getrandom(&value, sizeof value, GRND_NONBLOCK);
    return value;
}

// Lets so much pass in a second, and once so much more.
class Allowance {
public:
    Allowance(double per_second, double burst) : per_second_(per_second), burst_(burst), left_(burst) {}

    void refill(std::chrono::steady_clock::time_point now) noexcept {
        const std::chrono::duration<double> passed = now - refilled_at_;
        if (passed.count() > 0) {
            left_ = std::min(burst_, left_ + passed.count() * per_second_);
            refilled_at_ = now;
        }
    }
    [[nodiscard]] bool has(double amount) const noexcept { return left_ >= amount; }
    void take(double amount) noexcept { left_ -= amount; }

private:
    double per_second_;
    double burst_;
    double left_;
    std::chrono::steady_clock::time_point refilled_at_{};
};

}  // namespace

struct RefusedTicket::Pending {
    std::atomic<std::size_t> bodies{0};
    std::atomic<std::size_t> bytes{0};
};

RefusedTicket::RefusedTicket(std::shared_ptr<Pending> pending, std::size_t body_bytes) noexcept
    : pending_(std::move(pending)), body_bytes_(body_bytes) {
    pending_->bodies += 1;
    pending_->bytes += body_bytes_;
}

RefusedTicket& RefusedTicket::operator=(RefusedTicket&& other) noexcept {
    if (this != &other) {
        give_back();
        pending_ = std::move(other.pending_);
        body_bytes_ = other.body_bytes_;
    }
    return *this;
}

RefusedTicket::~RefusedTicket() { give_back(); }

void RefusedTicket::give_back() noexcept {
    if (pending_) {
        pending_->bodies -= 1;
        pending_->bytes -= body_bytes_;
        pending_.reset();
    }
}

struct Keeper::Shared {
    explicit Shared(RefusedSettings wanted)
        : settings(std::move(wanted)),
          bodies_allowance(settings.bodies_per_second, settings.bodies_burst),
          bytes_allowance(settings.bytes_per_second, settings.bytes_burst) {}

    struct HandedOver {
        RefusedTicket ticket;
        RefusedRequest request;
    };
    using Queue = std::list<HandedOver>;  // Lists, so that the lock is held only to splice.

    const RefusedSettings settings;
    EdgeLog log;
    std::shared_ptr<RefusedTicket::Pending> pending = std::make_shared<RefusedTicket::Pending>();

    // The loop's.
    Allowance bodies_allowance;
    Allowance bytes_allowance;
    std::thread thread;
    bool has_started{false};

    std::atomic<bool> is_full{false};  // The thread's to say: nothing more is read meanwhile.

    mutable std::mutex mutex;  // Never held across I/O.
    std::condition_variable wake;
    Queue queue;
    bool is_closed{false};
    bool has_ended{false};
    RefusedFigures figures;

    void count(std::uint64_t RefusedFigures::*counter) noexcept {
        const std::scoped_lock lock(mutex);
        figures.*counter += 1;
    }
};

class Keeper::Thread {
public:
    explicit Thread(Shared& shared)
        : shared_(shared),
          files_(shared.settings.files ? shared.settings.files : std::make_shared<PosixFiles>()),
          folder_(shared.settings, *files_, shared.log),
          boot_(read_boot_id(shared.log)) {}

    static void run(Shared& shared) noexcept {
        (void)::pthread_setname_np(::pthread_self(),
                                   "rl-keeper");  // For whoever looks at threads; no harm if it fails.
        try {
            Thread thread(shared);
            while (thread.turn()) {
            }
        } catch (
            const std::exception& e) {  // No memory even to begin with: bodies wait until their bound, and no more.
            shared.log.add(LogLine::Level::crit, "the keeper of refused bodies ended", e.what());
        }
        const std::scoped_lock lock(shared.mutex);
        shared.has_ended = true;
        shared.wake.notify_all();
    }

private:
    // Waits for bodies, writes them, looks at the folder. False when the thread is to end.
    [[nodiscard]] bool turn() {
        Shared::Queue taken;
        bool is_closed = false;
        {
            std::unique_lock lock(shared_.mutex);
            shared_.wake.wait_for(lock, shared_.settings.look_every,
                                  [&] { return shared_.is_closed || !shared_.queue.empty() || !has_looked_; });
            taken.splice(taken.end(), shared_.queue);
            is_closed = shared_.is_closed;
        }
        for (; !taken.empty(); taken.pop_front()) {
            store(taken.front().request);
        }
        if (!is_closed) {
            look_if_due();
        }
        publish();
        return !is_closed;
    }

    void store(RefusedRequest& request) noexcept {
        try {
            RefusedBody& refused = request.refused;
            // Behind a right token the body is kept to show what the sender sends. Behind a wrong one only an event is
            // worth a place: nothing else could ever be put through, and anybody can send it. A probe is never an
            // event.
            if (is_probe(refused.body) || (refused.reason == RefusedFor::token &&
                                           std::holds_alternative<Refusal>(validate_event(refused.body)))) {
                shared_.count(&RefusedFigures::unfit);
                return;
            }
            refused.boot = boot_;
            refused.edge_name = shared_.settings.edge_name;
            const RefusedName name{
                .received_at = refused.stamp.received_at, .sender = request.sender, .random = fresh_random()};
            const bool is_kept = folder_.store(name, encode_refused(refused), wall_now());
            shared_.count(is_kept ? &RefusedFigures::kept : &RefusedFigures::no_room);
        } catch (const std::exception& e) {
            shared_.count(&RefusedFigures::failed);
            shared_.log.add(LogLine::Level::error, "refused body not kept", e.what());
        }
    }

    void look_if_due() noexcept {
        const auto now = std::chrono::steady_clock::now();
        if (has_looked_ && now < look_due_at_) {
            return;
        }
        has_looked_ = true;
        look_due_at_ = now + shared_.settings.look_every;
        try {
            folder_.look(wall_now());
        } catch (const std::exception& e) {
            shared_.log.add(LogLine::Level::error, "the folder of refused bodies can't be read", e.what());
        }
    }

    void publish() noexcept {
        const bool is_full = folder_.is_full();
        if (is_full && !was_full_) {
            shared_.log.add(LogLine::Level::warn, "the folder of refused bodies is full, what is refused is lost",
                            shared_.settings.folder);
        }
        was_full_ = is_full;
        shared_.is_full.store(is_full);
        const std::scoped_lock lock(shared_.mutex);
        shared_.figures.folder_bodies = folder_.bodies();
        shared_.figures.folder_bytes = folder_.bytes();
    }

    Shared& shared_;
    std::shared_ptr<Files> files_;
    RefusedFolder folder_;
    BootId boot_;
    bool has_looked_{false};
    bool was_full_{false};
    std::chrono::steady_clock::time_point look_due_at_{};
};

Keeper::Keeper(RefusedSettings settings) : shared_(std::make_shared<Shared>(std::move(settings))) {}

Keeper::~Keeper() { (void)stop(std::chrono::milliseconds{0}); }  // Whether it joined: nobody is left to be told.

void Keeper::start() {
    const SignalsBlocked blocked;
    shared_->thread = std::thread([shared = shared_] { Thread::run(*shared); });
    shared_->has_started = true;
}

std::optional<RefusedTicket> Keeper::admit(std::size_t body_bytes, SteadyTime now) {
    Shared& shared = *shared_;
    if (!shared.has_started) {
        shared.count(&RefusedFigures::failed);
        return std::nullopt;
    }
    if (shared.is_full.load()) {
        shared.count(&RefusedFigures::no_room);
        return std::nullopt;
    }
    const auto bytes = static_cast<double>(body_bytes);
    shared.bodies_allowance.refill(now);
    shared.bytes_allowance.refill(now);
    if (!shared.bodies_allowance.has(1) || !shared.bytes_allowance.has(bytes) ||
        shared.pending->bodies + 1 > shared.settings.pending_bodies_max ||
        shared.pending->bytes + body_bytes > shared.settings.pending_bytes_max) {
        shared.count(&RefusedFigures::over_rate);
        return std::nullopt;
    }
    shared.bodies_allowance.take(1);
    shared.bytes_allowance.take(bytes);
    return std::optional<RefusedTicket>(std::in_place, shared.pending, body_bytes);
}

void Keeper::keep(RefusedTicket ticket, RefusedRequest request) {
    Shared::Queue one;
    one.push_back({.ticket = std::move(ticket), .request = std::move(request)});
    {
        const std::scoped_lock lock(shared_->mutex);
        shared_->queue.splice(shared_->queue.end(), one);
    }
    shared_->wake.notify_all();
}

void Keeper::count_unfit() noexcept { shared_->count(&RefusedFigures::unfit); }

void Keeper::count_over_rate() noexcept { shared_->count(&RefusedFigures::over_rate); }

RefusedFigures Keeper::figures() const {
    const std::scoped_lock lock(shared_->mutex);
    return shared_->figures;
}

std::vector<LogLine> Keeper::take_log_lines() { return shared_->log.take(); }

bool Keeper::stop(std::chrono::milliseconds patience) {
    if (!shared_->thread.joinable()) {
        return true;
    }
    bool has_ended = false;
    {
        std::unique_lock lock(shared_->mutex);
        shared_->is_closed = true;
        shared_->wake.notify_all();
        has_ended = shared_->wake.wait_for(lock, patience, [&] { return shared_->has_ended; });
    }
    if (has_ended) {
        shared_->thread.join();
        return true;
    }
    shared_->thread.detach();  // It holds a reference to all it uses.
    return false;
}

}  // namespace runledger::edge
