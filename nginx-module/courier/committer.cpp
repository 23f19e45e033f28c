#include "nginx-module/courier/committer.hpp"

#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "common/limits.hpp"

namespace runledger::edge {
namespace {

// What an event takes in a frame besides its body; only for deciding when a batch is full, so it may be rough.
constexpr std::size_t event_overhead_bytes = 64;

// What a full spool halves the next batches down to, at the least; a batch takes one event whatever its size.
constexpr std::size_t batch_bytes_min = 4096;

// Whether the courier may decide about the event: the loop has not given it up.
bool take(HeldEvent& event) noexcept {
    HoldState expected = HoldState::waiting;
    return event.state.compare_exchange_strong(expected, HoldState::taken);
}

}  // namespace

Committer::Committer(const Parts& parts, const wire::BatchEncoder::Origin& origin)
    : settings_(parts.settings),
      exchange_(parts.exchange),
      spool_(parts.spool),
      files_(parts.files),
      log_(parts.log),
      encoder_(origin) {}

CommitFigures Committer::figures(SteadyTime now) const noexcept {
    CommitFigures figures = figures_;
    if (figures.trouble != CommitTrouble::none) {
        const auto lasting = std::chrono::ceil<std::chrono::seconds>(now - in_trouble_since_);
        figures.failing_seconds = static_cast<std::uint64_t>(std::max(lasting.count(), std::int64_t{1}));
    }
    return figures;
}

std::optional<Spool::Stored> Committer::commit(SteadyTime now) {
    waiting_.splice(waiting_.begin(), batch_);  // Left there if the last call ended in an exception.
    if (waiting_.empty() || now < retry_at_) {
        return std::nullopt;
    }
    try {
        const auto stored = store_what_fits(now);
        if (stored) {
            answer_batch();
            retry_at_ = {};
            retry_pause_ = std::chrono::milliseconds{0};
        }
        return stored;
    } catch (const std::system_error& e) {
        // The disk's; it may pass while the requests are held, as may the spool's being full.
        on_failure(is_no_room(e) ? CommitTrouble::no_room : CommitTrouble::disk_failing, e, now);
    } catch (const SpoolFull& e) {
        on_failure(CommitTrouble::no_room, e, now);
    } catch (
        const std::runtime_error& e) {  // Nothing is known to throw one; what can't be stored is kept all the same.
        on_failure(CommitTrouble::disk_failing, e, now);
    }
    return std::nullopt;
}

std::optional<Spool::Stored> Committer::store_what_fits(SteadyTime now) {
    Share share{.batch_bytes_max = batch_bytes_max_, .body_bytes_below = SIZE_MAX};
    std::optional<SpoolFull> full;
    while (true) {
        fill_batch(share);
        exchange_.post(decided_);
        if (batch_.empty()) {
            if (full) {
                throw SpoolFull(*full);
            }
            return std::nullopt;
        }
        const auto received_at = std::chrono::floor<std::chrono::seconds>(batch_.front().event->stamp.received_at);
        try {
            const Spool::Stored stored = spool_.append(encoder_, received_at, now);
            batch_bytes_max_ = std::min(batch_bytes_max_ * 2, batch_bytes_soft_max);
            if (!full) {  // Otherwise some of what waits was passed over.
                figures_.trouble = CommitTrouble::none;
            }
            return stored;
        } catch (const SpoolFull& e) {
            // One event may fit where several do not, and a small one where a large one does not. Halving bounds the
            // tries, each of which looks at the folder.
            full = e;
            note_trouble(CommitTrouble::no_room, now, batch_);
            if (batch_.size() > 1) {
                share.batch_bytes_max = encoder_.size_bytes() / 2;
                batch_bytes_max_ = std::max(share.batch_bytes_max, batch_bytes_min);
            } else {
                share.body_bytes_below = batch_.front().event->body_bytes / 2;
            }
            waiting_.splice(waiting_.begin(), batch_);
        }
    }
}

void Committer::fill_batch(const Share& share) {
    encoder_.clear();
    for (auto next = waiting_.begin(); next != waiting_.end() && encoder_.event_count() < batch_events_max;) {
        const auto submitted = next++;
        HeldEvent& event = *submitted->event;
        if (event.state.load() == HoldState::abandoned) {
            exchange_.release(*submitted);
            waiting_.erase(submitted);
            continue;
        }
        if (event.body_bytes >= share.body_bytes_below) {
            continue;
        }
        if (encoder_.event_count() > 0 &&
            encoder_.size_bytes() + event_overhead_bytes + event.body_bytes > share.batch_bytes_max) {
            return;
        }
        if (!prepare(event)) {
            if (take(event)) {
                event.commit_time = {};
                decided_.splice(decided_.end(), waiting_, submitted);
            } else {
                exchange_.release(*submitted);
                waiting_.erase(submitted);
            }
            continue;
        }
        encoder_.add({.stamp = event.stamp, .flags = event.flags, .body = event.body});
        batch_.splice(batch_.end(), waiting_, submitted);
    }
}

bool Committer::prepare(HeldEvent& event) noexcept {
    try {
        if (event.body_bytes > body_bytes_max) {
            throw std::length_error("the body is larger than any that is accepted");
        }
        if (event.body_fd >= 0) {
            read_body(event);
        }
        if (event.validated) {
            return true;
        }
        auto result = validate_event(event.body);
        if (const auto* refusal = std::get_if<Refusal>(&result)) {
            event.result = CommitResult::refused;
            event.refusal = *refusal;
            return false;
        }
        auto& summary = std::get<EventSummary>(result);
        event.run_id = std::move(summary.run_id);
        event.status_word = std::move(summary.status_word);
        if (summary.beyond_parser) {
            event.flags |= wire::beyond_parser;
        }
        event.validated = true;
        return true;
    } catch (const std::exception& e) {
        // This one event's trouble, memory included: the sender tries again, and those behind it go on.
        event.result = CommitResult::failed;
        log_.add(LogLine::Level::error, "body unreadable", e.what());
        return false;
    }
}

void Committer::read_body(HeldEvent& event) {
    std::string body(event.body_bytes, '\0');
    const std::size_t got = read_fully(files_, event.body_fd, std::as_writable_bytes(std::span(body)), 0);
    if (got != body.size()) {
        throw std::system_error(std::make_error_code(std::errc::io_error), "the temp file is shorter than the body");
    }
    event.body = std::move(body);
    const Fd done(std::exchange(event.body_fd, -1));
}

void Committer::answer_batch() noexcept {
    ++figures_.batches;
    figures_.events += batch_.size();
    const auto durable_at = std::chrono::steady_clock::now();
    for (auto submitted = batch_.begin(); submitted != batch_.end();) {
        HeldEvent& event = *submitted->event;
        event.result = CommitResult::committed;
        event.commit_time = std::chrono::duration_cast<std::chrono::microseconds>(durable_at - submitted->submitted_at);
        if (take(event)) {
            ++submitted;
        } else {
            exchange_.release(*submitted);  // Stored, but nobody waits for the answer any more: promise 2.
            submitted = batch_.erase(submitted);
        }
    }
    exchange_.post(batch_);
}

void Committer::drop_abandoned() noexcept {
    for (auto submitted = waiting_.begin(); submitted != waiting_.end();) {
        if (submitted->event->state.load() == HoldState::abandoned) {
            exchange_.release(*submitted);
            submitted = waiting_.erase(submitted);
        } else {
            ++submitted;
        }
    }
}

void Committer::note_trouble(CommitTrouble trouble, SteadyTime now, const SubmittedEvents& held_up) noexcept {
    if (figures_.trouble == CommitTrouble::none) {
        in_trouble_since_ = now;
    }
    figures_.trouble = trouble;
    for (const SubmittedEvent& submitted : held_up) {
        submitted.event->trouble.store(trouble);
    }
}

void Committer::on_failure(CommitTrouble trouble, const std::exception& e, SteadyTime now) noexcept {
    ++figures_.failures;
    waiting_.splice(waiting_.begin(), batch_);
    drop_abandoned();
    note_trouble(trouble, now, waiting_);
    retry_pause_ = std::clamp(retry_pause_ * 2, settings_.commit_retry_min, settings_.commit_retry_max);
    retry_at_ = now + retry_pause_;
    log_.add(LogLine::Level::crit, "commit failed", e.what());
}

}  // namespace runledger::edge
