#include "nginx-module/link/delivery.hpp"

#include <algorithm>
#include <system_error>
#include <utility>
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

BatchDelivery::BatchDelivery(std::size_t peers, const DeliverySettings& settings, Spool& spool, EdgeLog& log)
    : settings_(settings), spool_(spool), log_(log), peers_(peers, Peer{.window = Window(settings.window)}) {}

std::optional<BatchDelivery::Place> BatchDelivery::next_pending() const {
    for (const auto& segment : spool_.segments()) {
        if (const auto index = segment->first(BatchState::pending)) {
            return Place{.segment = segment.get(), .index = *index};
        }
    }
    return std::nullopt;
}

std::optional<BatchDelivery::Place> BatchDelivery::find(const BatchName& name) const {
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

BatchName BatchDelivery::name_of(const Place& place) const {
    return {.segment = place.segment->id(), .number = place.segment->batch(place.index).place.number};
}

std::optional<BatchDelivery::PeerIndex> BatchDelivery::peer_for(std::size_t frame_bytes, SteadyTime now) const {
    std::optional<PeerIndex> best;
    const auto rank = [&](PeerIndex i) {
        const Window& window = peers_[i].window;
        return std::pair{window.is_silent(), window.bytes()};
    };
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        const PeerIndex index = (turn_ + i) % peers_.size();
        const Peer& peer = peers_[index];
        if (peer.is_up && !peer.is_full && !peer.is_reserved && peer.window.has_room(frame_bytes, now) &&
            (!best || rank(index) < rank(*best))) {
            best = index;
        }
    }
    return best;
}

bool BatchDelivery::send_batch(const Place& place, PeerIndex peer, std::span<const std::byte> frame, SteadyTime now,
                               const Send& send) {
    if (!send(peer, frame)) {
        peers_[peer].is_full = true;
        return false;
    }
    const StoredBatch& batch = place.segment->batch(place.index);
    ++(batch.was_sent ? figures_.batches_resent : figures_.batches_sent);
    peers_[peer].window.add(name_of(place), frame.size(), now);
    place.segment->mark_sent(place.index);
    return true;
}

bool BatchDelivery::send_to_any(const Place& place, std::span<const std::byte> frame, SteadyTime now,
                                const Send& send) {
    while (const auto peer = peer_for(frame.size(), now)) {
        if (send_batch(place, *peer, frame, now, send)) {
            turn_ = *peer + 1;
            return true;
        }
    }
    return false;
}

void BatchDelivery::offer(const Spool::Stored& stored, SteadyTime now, const Send& send) {
    const auto next = next_pending();
    if (!next || next->segment != &stored.segment || next->index != stored.index) {
        return;
    }
    // Not taken: pump() meets the same and says so.
    (void)send_to_any(*next, stored.frame, now, send);
}

BatchDelivery::Progress BatchDelivery::pump(SteadyTime now, const Send& send) {
    for (Peer& peer : peers_) {
        peer.is_full = false;
    }
    resend_overdue(now);
    choose_refused(now);
    choose_suspect(now);
    send_poison_trial(now, send);
    ask_for_retirements(now, send);
    const SteadyTime read_until = std::chrono::steady_clock::now() + settings_.read_slice;
    std::size_t sent_batches = 0;
    std::size_t sent_bytes = 0;
    while (const auto next = next_pending()) {
        const std::size_t frame_bytes = next->segment->batch(next->index).place.frame_bytes;
        if (!peer_for(frame_bytes, now)) {
            break;
        }
        if (sent_batches >= turn_batches_max || sent_bytes >= turn_bytes_max) {
            return Progress::more;
        }
        if (const auto frame = read_frame(*next)) {  // Else it is no longer pending.
            if (!send_to_any(*next, *frame, now, send)) {
                break;
            }
            ++sent_batches;
            sent_bytes += frame_bytes;
        }
        if (std::chrono::steady_clock::now() >= read_until) {
            return Progress::more;
        }
    }
    return std::any_of(peers_.begin(), peers_.end(), [](const Peer& peer) { return peer.is_full; }) ? Progress::blocked
                                                                                                    : Progress::idle;
}

std::optional<std::vector<std::byte>> BatchDelivery::read_frame(const Place& place) {
    Segment& segment = *place.segment;
    std::string why = "its bytes have been damaged";
    try {
        if (auto frame = segment.file().read_frame(segment.batch(place.index).place)) {
            return frame;
        }
        segment.is_damaged = true;
        spool_.seal(segment);
    } catch (const std::system_error& e) {
        why = e.what();
    }
    // As with a batch that the daemon refuses: out of the way of the others, and tried again rarely.
    place.segment->set_state(place.index, BatchState::refused);
    log_.add(LogLine::Level::crit, "stored batch unreadable", describe(name_of(place)) + ": " + why);
    return std::nullopt;
}

void BatchDelivery::resend_overdue(SteadyTime now) {
    for (Peer& peer : peers_) {
        const auto overdue = peer.window.take_overdue(now);
        if (overdue.empty()) {
            continue;
        }
        for (const BatchName& name : overdue) {
            const auto place = find(name);
            const bool is_trial = poison_trial_ && poison_trial_->is_sent && poison_trial_->name == name;
            if (place && place->segment->batch(place->index).state == BatchState::in_flight) {
                place->segment->set_state(place->index, is_trial ? BatchState::suspect : BatchState::pending);
            }
            if (is_trial) {
                // Silence is no proof: its database may be away.
                suspect_due_at_ = now + settings_.suspect_pause;
                end_poison_trial();
            }
        }
        // It may be waiting for its database: sending all of the window again and again would not help it.
        peer.window.on_silence(now);
        log_.add(LogLine::Level::warn, "daemon silent, sending again",
                 "batches=" + std::to_string(overdue.size()) + " first " + describe(overdue.front()));
    }
}

bool BatchDelivery::send_retirement(const Segment& segment, const Send& send) {
    const auto message = wire::encode(wire::Retire{.segment = segment.id(), .batch_count = segment.batch_count()});
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        // Another each time: one that is silent must not keep the file for ever.
        Peer& peer = peers_[turn_ % peers_.size()];
        const PeerIndex index = turn_++ % peers_.size();
        if (peer.is_up && !peer.is_full && !peer.is_reserved) {
            if (send(index, message)) {
                return true;
            }
            peer.is_full = true;
        }
    }
    return false;
}

void BatchDelivery::ask_for_retirements(SteadyTime now, const Send& send) {
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
        if (now < segment->due_at || !send_retirement(*segment, send)) {
            continue;
        }
        segment->retire_pause = std::clamp(segment->retire_pause * 2, settings_.window.resend_after,
                                           std::max(settings_.window.resend_after, settings_.retire_pause_max));
        segment->due_at = now + segment->retire_pause;
    }
    for (Segment* segment : set_aside) {
        // Not retired: whoever repairs the file may give it its name back, and only what is new is stored.
        log_.add(LogLine::Level::crit, "damaged segment renamed, the rest of it is delivered",
                 segment->file().path() + std::string(damaged_suffix));
        spool_.remove(*segment, now);
    }
    for (Segment* segment : copies) {
        spool_.remove(*segment, now);
    }
}

void BatchDelivery::take_answer(PeerIndex from, std::span<const std::byte> message, SteadyTime now) {
    const auto decoded = wire::decode_answer(message);
    const auto* answer = std::get_if<wire::Answer>(&decoded);
    if (answer == nullptr) {
        ++figures_.unknown_answers;
        log_.add(LogLine::Level::warn, "answer unreadable", to_word(std::get<wire::Damage>(decoded)));
        return;
    }
    peers_[from].window.on_answer();
    switch (answer->verdict) {
        case wire::Verdict::retired:
            on_retired(*answer, now);
            return;
        case wire::Verdict::busy:
            on_busy(from, *answer, now);
            return;
        case wire::Verdict::refused:
            if (on_retirement_refused(*answer)) {
                return;
            }
            break;
        case wire::Verdict::committed:
            break;
    }
    // Also where another daemon has it by now: the answer of either counts, and that of the other is a copy.
    for (Peer& peer : peers_) {
        peer.window.drop(answer->batch);
    }
    if (poison_trial_ && poison_trial_->is_sent && poison_trial_->name == answer->batch) {
        suspect_due_at_ = now + settings_.suspect_spacing;
        end_poison_trial();
    }
    const auto place = find(answer->batch);
    if (!place || place->segment->batch(place->index).state == BatchState::acked) {
        ++figures_.unknown_answers;
        return;
    }
    if (answer->verdict == wire::Verdict::committed) {
        on_committed(*place, from, answer->batch);
    } else {
        on_refused(*place, *answer);
    }
}

void BatchDelivery::on_busy(PeerIndex from, const wire::Answer& answer, SteadyTime now) {
    // Also where it answers a retirement: that is sent again in its own time.
    ++figures_.busy_answers;
    peers_[from].window.on_busy(now);
    if (!peers_[from].window.drop(answer.batch)) {
        return;  // Overdue, and with another daemon by now, perhaps.
    }
    if (poison_trial_ && poison_trial_->is_sent && poison_trial_->name == answer.batch) {
        end_poison_trial();
    }
    const auto place = find(answer.batch);
    if (place && place->segment->batch(place->index).state == BatchState::in_flight) {
        place->segment->set_state(place->index, is_suspicious(*place) ? BatchState::suspect : BatchState::pending);
    }
}

void BatchDelivery::on_committed(const Place& place, PeerIndex from, const BatchName& name) {
    ++figures_.batches_acked;
    peers_[from].window.on_committed();
    place.segment->forget_losses(place.index);
    place.segment->set_state(place.index, BatchState::acked);
    if (probe_ == name) {
        probe_.reset();
        release_refused();
    }
}

void BatchDelivery::on_refused(const Place& place, const wire::Answer& answer) {
    ++figures_.refused_answers;
    if (probe_ == answer.batch) {
        probe_.reset();
    }
    place.segment->forget_losses(place.index);  // A daemon has read it and lives.
    place.segment->set_state(place.index, BatchState::refused);
    log_.add(LogLine::Level::error, "batch refused, it stays in the spool",
             describe(answer.batch) + " reason=" + std::string(to_word(answer.reason)));
}

void BatchDelivery::on_retired(const wire::Answer& answer, SteadyTime now) {
    Segment* segment = spool_.find(answer.batch.segment);
    if (segment == nullptr || spool_.is_active(*segment) || segment->is_finished || !segment->is_acked() ||
        segment->is_damaged || answer.batch.number != segment->batch_count()) {
        ++figures_.unknown_answers;
        return;
    }
    spool_.remove(*segment, now);
}

bool BatchDelivery::on_retirement_refused(const wire::Answer& answer) {
    Segment* segment = spool_.find(answer.batch.segment);
    // A batch of that number would be none of a whole segment's: they count from 0.
    if (answer.reason != wire::Damage::truncated || segment == nullptr || segment->is_damaged ||
        answer.batch.number != segment->batch_count()) {
        return false;
    }
    if (spool_.is_active(*segment) || segment->is_finished || !segment->is_acked()) {
        ++figures_.unknown_answers;  // Another copy of it: the batches are on their way.
        return true;
    }
    // The ledger was restored to an earlier point. The pause before the next retirement keeps on growing, so that a
    // ledger that never agrees is not fed all the time.
    ++figures_.refused_retirements;
    segment->forget_acks();
    log_.add(LogLine::Level::error, "the ledger has lost batches that it had acknowledged, sending them again",
             "segment=" + segment->id().hex() + " batches=" + std::to_string(segment->batch_count()));
    return true;
}

void BatchDelivery::on_peer_up(PeerIndex peer, SteadyTime now) {
    peers_[peer].is_up = true;
    is_refused_retry_early_ = true;
    for (const auto& segment : spool_.segments()) {
        if (!segment->is_finished) {
            segment->due_at = now;
            segment->retire_pause = std::chrono::milliseconds{0};
        }
    }
}

void BatchDelivery::on_peer_lost(PeerIndex peer, SteadyTime now) {
    peers_[peer].is_up = false;
    const bool had_trial = poison_trial_ && poison_trial_->peer == peer;
    const bool was_alone = had_trial && poison_trial_->is_sent;
    if (had_trial) {
        end_poison_trial();
    }
    for (const BatchName& name : peers_[peer].window.take_lost()) {
        const auto place = find(name);
        if (place && place->segment->batch(place->index).state == BatchState::in_flight) {
            on_loss(*place, was_alone, now);
        }
    }
}

DeliveryFigures BatchDelivery::figures() const noexcept {
    DeliveryFigures figures = figures_;
    for (const Peer& peer : peers_) {
        figures.window_bytes += peer.window.bytes();
    }
    for (const auto& segment : spool_.segments()) {
        figures.poison_batches += segment->count(BatchState::refused) + segment->count(BatchState::suspect);
    }
    return figures;
}

BatchDelivery::SteadyTime BatchDelivery::due_at(SteadyTime now) const {
    SteadyTime due = refused_retry_at_;
    bool is_any_open = false;
    for (const Peer& peer : peers_) {
        due = std::min(due, peer.window.due_at(now));
        is_any_open = is_any_open || (peer.is_up && !peer.is_full && !peer.is_reserved);
    }
    if (!is_any_open) {
        return due;  // Being late with what nobody takes is no reason to look again.
    }
    for (const auto& segment : spool_.segments()) {
        if (!poison_trial_ && segment->count(BatchState::suspect) > 0) {
            due = std::min(due, suspect_due_at_);
        }
        if (!spool_.is_active(*segment) && segment->is_acked() && !segment->is_finished) {
            due = std::min(due, segment->due_at);
        }
    }
    return due;
}

}  // namespace runledger::edge
