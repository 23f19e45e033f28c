#include "nginx-module/link_delivery.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

namespace runledger::edge {
namespace {

// A turn's share: what the requests that come meanwhile wait for.
constexpr std::size_t turn_batches_max = 128;
constexpr std::size_t turn_bytes_max = 2UL * 1024 * 1024;

std::string describe(const BatchName& name) {
    return "segment=" + name.segment.hex() + " batch=" + std::to_string(name.number);
}

}  // namespace

Delivery::Delivery(const Policy& policy, Spool& spool, CourierLog& log)
    : policy_(policy), spool_(spool), log_(log), window_({.resend_after = policy.resend_after}) {}

std::optional<Delivery::Place> Delivery::next_pending() const {
    for (const auto& segment : spool_.segments()) {
        if (const auto index = segment->first(BatchState::pending)) {
            return Place{.segment = segment.get(), .index = *index};
        }
    }
    return std::nullopt;
}

std::optional<Delivery::Place> Delivery::find(const BatchName& name) const {
    Segment* segment = spool_.find(name.segment);
    if (segment == nullptr) {
        return std::nullopt;
    }
    const auto index = segment->find(name.number);
    if (!index) {
        return std::nullopt;
    }
    return Place{.segment = segment, .index = *index};
}

bool Delivery::send_batch(const Place& place, std::span<const std::byte> frame, SteadyTime now, const Send& send) {
    if (!send(frame)) {
        return false;
    }
    const StoredBatch& batch = place.segment->batch(place.index);
    ++(batch.was_sent ? counters_.batches_resent : counters_.batches_sent);
    window_.add({.segment = place.segment->id(), .number = batch.place.number}, frame.size(), now);
    place.segment->mark_sent(place.index);
    return true;
}

void Delivery::offer(const Spool::Stored& stored, SteadyTime now, const Send& send) {
    const auto next = next_pending();
    if (!next || next->segment != &stored.segment || next->index != stored.index ||
        !window_.has_room(stored.frame.size(), now)) {
        return;
    }
    // Not taken: pump() meets the same and says so.
    (void)send_batch(*next, stored.frame, now, send);
}

Delivery::Progress Delivery::pump(SteadyTime now, const Send& send) {
    resend_overdue(now);
    try_one_refused(now);
    if (!retire_finished(now, send)) {
        return Progress::blocked;
    }
    std::size_t sent_batches = 0;
    std::size_t sent_bytes = 0;
    while (const auto next = next_pending()) {
        const std::size_t frame_bytes = next->segment->batch(next->index).place.frame_bytes;
        if (!window_.has_room(frame_bytes, now)) {
            return Progress::idle;
        }
        if (sent_batches >= turn_batches_max || sent_bytes >= turn_bytes_max) {
            return Progress::more;
        }
        const auto frame = read_frame(*next);
        if (!frame) {
            continue;  // No longer pending.
        }
        if (!send_batch(*next, *frame, now, send)) {
            return Progress::blocked;
        }
        ++sent_batches;
        sent_bytes += frame_bytes;
    }
    return Progress::idle;
}

std::optional<std::vector<std::byte>> Delivery::read_frame(const Place& place) {
    Segment& segment = *place.segment;
    std::string why = "its bytes have been damaged";
    try {
        if (auto frame = segment.file().read_frame(segment.batch(place.index).place)) {
            return frame;
        }
        segment.is_damaged = true;
    } catch (const std::system_error& e) {
        why = e.what();
    }
    // As with a batch that the daemon refuses: out of the way of the others, and tried again rarely.
    const BatchName name{.segment = segment.id(), .number = segment.batch(place.index).place.number};
    segment.set_state(place.index, BatchState::refused);
    log_.add(LogLine::Level::crit, "stored batch unreadable", describe(name) + ": " + why);
    return std::nullopt;
}

void Delivery::resend_overdue(SteadyTime now) {
    const auto overdue = window_.take_overdue(now);
    for (const BatchName& name : overdue) {
        if (const auto place = find(name)) {
            place->segment->set_state(place->index, BatchState::pending);
        }
    }
    if (!overdue.empty()) {
        // It may be waiting for its database: sending all of the window again and again would not help it.
        window_.slow_down(now);
        log_.add(LogLine::Level::warn, "daemon silent, sending again",
                 "batches=" + std::to_string(overdue.size()) + " first " + describe(overdue.front()));
    }
}

void Delivery::try_one_refused(SteadyTime now) {
    if (now < refused_retry_at_) {
        return;
    }
    refused_retry_at_ = now + policy_.refused_retry_every;
    std::size_t refused = 0;
    for (const auto& segment : spool_.segments()) {
        refused += segment->count(BatchState::refused);
    }
    if (refused == 0) {
        return;
    }
    std::size_t skip = refused_turn_++ % refused;  // Each in its turn.
    for (const auto& segment : spool_.segments()) {
        const std::size_t here = segment->count(BatchState::refused);
        if (skip < here) {
            const std::size_t index = segment->nth_refused(skip);
            probe_ = BatchName{.segment = segment->id(), .number = segment->batch(index).place.number};
            segment->set_state(index, BatchState::pending);
            return;
        }
        skip -= here;
    }
}

bool Delivery::retire_finished(SteadyTime now, const Send& send) {
    std::vector<Segment*> set_aside;
    std::vector<Segment*> copies;
    for (const auto& segment : spool_.segments()) {
        if (spool_.is_active(*segment) || segment->is_finished || !segment->is_acked()) {
            continue;
        }
        if (segment->is_damaged) {
            set_aside.push_back(segment.get());
            continue;
        }
        if (segment->is_copy) {
            copies.push_back(segment.get());
            continue;
        }
        if (now < segment->due_at) {
            continue;
        }
        if (!send(wire::encode(wire::Retire{.segment = segment->id(), .batch_count = segment->batch_count()}))) {
            return false;
        }
        segment->retire_pause = std::clamp(segment->retire_pause * 2, policy_.resend_after,
                                           std::max(policy_.resend_after, policy_.retire_pause_max));
        segment->due_at = now + segment->retire_pause;
    }
    for (Segment* segment : set_aside) {
        // Not retired: whoever repairs the file may give it its name back, and only what is new is stored.
        log_.add(LogLine::Level::crit, "damaged segment set aside, the rest of it is delivered",
                 segment->file().path() + std::string(damaged_suffix));
        spool_.remove(*segment, now);
    }
    for (Segment* segment : copies) {
        spool_.remove(*segment, now);
    }
    return true;
}

void Delivery::take_answer(std::span<const std::byte> message, SteadyTime now) {
    const auto decoded = wire::decode_answer(message);
    const auto* answer = std::get_if<wire::Answer>(&decoded);
    if (answer == nullptr) {
        ++counters_.unknown_answers;
        log_.add(LogLine::Level::warn, "answer unreadable", to_word(std::get<wire::Damage>(decoded)));
        return;
    }
    if (answer->verdict == wire::Verdict::retired) {
        on_retired(*answer, now);
        return;
    }
    if (answer->verdict == wire::Verdict::refused && on_retirement_refused(*answer)) {
        return;
    }
    window_.drop(answer->batch);
    const auto place = find(answer->batch);
    if (answer->verdict == wire::Verdict::busy) {
        // Also where it answers a retirement: that is sent again in its own time.
        ++counters_.busy_answers;
        window_.slow_down(now);
        if (place && place->segment->batch(place->index).state == BatchState::in_flight) {
            place->segment->set_state(place->index, BatchState::pending);
        }
        return;
    }
    if (!place || place->segment->batch(place->index).state == BatchState::acked) {
        ++counters_.unknown_answers;
        return;
    }
    switch (answer->verdict) {
        case wire::Verdict::committed:
            on_committed(*place, answer->batch);
            break;
        case wire::Verdict::refused:
            on_refused(*place, *answer);
            break;
        case wire::Verdict::busy:
        case wire::Verdict::retired:
            break;  // Dealt with above.
    }
}

void Delivery::on_committed(const Place& place, const BatchName& name) {
    ++counters_.batches_acked;
    window_.on_committed();
    place.segment->set_state(place.index, BatchState::acked);
    if (probe_ == name) {
        // The daemon has come to take what it refused: offer it the rest, too.
        probe_.reset();
        for (const auto& segment : spool_.segments()) {
            for (auto refused = segment->first(BatchState::refused); refused;
                 refused = segment->first(BatchState::refused)) {
                segment->set_state(*refused, BatchState::pending);
            }
        }
    }
}

void Delivery::on_refused(const Place& place, const wire::Answer& answer) {
    ++counters_.refused_answers;
    if (probe_ == answer.batch) {
        probe_.reset();
    }
    place.segment->set_state(place.index, BatchState::refused);
    log_.add(LogLine::Level::error, "batch refused, it stays in the spool",
             describe(answer.batch) + " reason=" + std::string(to_word(answer.reason)));
}

void Delivery::on_retired(const wire::Answer& answer, SteadyTime now) {
    Segment* segment = spool_.find(answer.batch.segment);
    if (segment == nullptr || spool_.is_active(*segment) || segment->is_finished || !segment->is_acked() ||
        segment->is_damaged || answer.batch.number != segment->batch_count()) {
        ++counters_.unknown_answers;
        return;
    }
    spool_.remove(*segment, now);
}

bool Delivery::on_retirement_refused(const wire::Answer& answer) {
    Segment* segment = spool_.find(answer.batch.segment);
    // A batch of that number would be none of a whole segment's: they count from 0.
    if (answer.reason != wire::Damage::truncated || segment == nullptr || segment->is_damaged ||
        answer.batch.number != segment->batch_count()) {
        return false;
    }
    if (spool_.is_active(*segment) || segment->is_finished || !segment->is_acked()) {
        ++counters_.unknown_answers;  // Another copy of it: the batches are on their way.
        return true;
    }
    // The ledger was restored to an earlier point. The pause before the next retirement keeps on growing, so that a
    // ledger that never agrees is not fed all the time.
    ++counters_.refused_retirements;
    segment->forget_acks();
    log_.add(LogLine::Level::error, "the ledger has lost batches that it had acknowledged, sending them again",
             "segment=" + segment->id().hex() + " batches=" + std::to_string(segment->batch_count()));
    return true;
}

void Delivery::on_peer_change(SteadyTime now) {
    window_.clear();
    probe_.reset();
    refused_retry_at_ = now + policy_.refused_retry_every;
    for (const auto& segment : spool_.segments()) {
        segment->send_again(true);
        if (!segment->is_finished) {
            segment->due_at = now;
            segment->retire_pause = std::chrono::milliseconds{0};
        }
    }
}

Delivery::SteadyTime Delivery::due_at(SteadyTime now) const {
    SteadyTime due = std::min(window_.due_at(now), refused_retry_at_);
    for (const auto& segment : spool_.segments()) {
        if (!spool_.is_active(*segment) && segment->is_acked() && !segment->is_finished) {
            due = std::min(due, segment->due_at);
        }
    }
    return due;
}

}  // namespace runledger::edge
