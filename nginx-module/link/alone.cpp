// Delivery's part for what must not flow with the others: batches that a daemon refused, and batches that may be the
// reason why daemons were lost.
//
// A refused batch is tried among the others, one of them at a time, rarely. A suspect gets a daemon for itself: who is
// lost then was lost with it and nothing else, and from then on it is tried as rarely as a refused one. Suspects that
// a daemon survives are acked one after the other.
#include <algorithm>

#include "nginx-module/link/delivery.hpp"

namespace runledger::edge {
namespace {

std::string describe(const BatchName& name) {
    return "segment=" + name.segment.hex() + " batch=" + std::to_string(name.number);
}

}  // namespace

bool Delivery::is_suspicious(const Place& place) const {
    return place.segment->batch(place.index).losses >= policy_.suspect_after;
}

std::size_t Delivery::batches_apart() const noexcept {
    std::size_t batches = 0;
    for (const auto& segment : spool_.segments()) {
        batches += segment->count(BatchState::refused) + segment->count(BatchState::suspect);
    }
    return batches;
}

void Delivery::choose_refused(SteadyTime now) {
    if (now >= refused_retry_at_) {
        refused_retry_at_ = now + policy_.refused_retry_every;
        is_refused_retry_early_ = false;
        choose_refused_of(true);
    } else if (is_refused_retry_early_) {
        is_refused_retry_early_ = false;
        // Not what daemons were lost with: that is perhaps why there is a new one.
        choose_refused_of(false);
    }
}

void Delivery::choose_refused_of(bool suspicious_too) {
    std::vector<Place> refused;
    for (const auto& segment : spool_.segments()) {
        for (std::size_t i = 0; segment->count(BatchState::refused) > 0 && i < segment->batch_count(); ++i) {
            const Place place{.segment = segment.get(), .index = i};
            if (segment->batch(i).state == BatchState::refused && (suspicious_too || !is_suspicious(place))) {
                refused.push_back(place);
            }
        }
    }
    if (refused.empty()) {
        return;
    }
    const Place& chosen = refused[refused_turn_++ % refused.size()];  // Each in its turn.
    probe_ = name_of(chosen);
    if (is_suspicious(chosen)) {
        chosen.segment->set_state(chosen.index, BatchState::suspect);
        suspect_due_at_ = {};
    } else {
        chosen.segment->set_state(chosen.index, BatchState::pending);
    }
}

void Delivery::choose_suspect(SteadyTime now) {
    if (solo_ || now < suspect_due_at_) {
        return;
    }
    for (const auto& segment : spool_.segments()) {
        if (const auto index = segment->first(BatchState::suspect)) {
            solo_ = Solo{.name = name_of({.segment = segment.get(), .index = *index}), .peer = {}};
            return;
        }
    }
}

void Delivery::send_solo(SteadyTime now, const Send& send) {
    if (!solo_ || solo_->is_sent) {
        return;
    }
    const auto place = find(solo_->name);
    if (!place || place->segment->batch(place->index).state != BatchState::suspect) {
        end_solo();  // Its segment was let go, or an old answer has come at last.
        return;
    }
    if (!solo_->peer) {
        for (PeerIndex i = 0; i < peers_.size(); ++i) {
            const auto rank = [&](PeerIndex peer) {
                return std::pair{peers_[peer].window.is_silent(), peers_[peer].window.bytes()};
            };
            if (peers_[i].is_up && (!solo_->peer || rank(i) < rank(*solo_->peer))) {
                solo_->peer = i;
            }
        }
        if (!solo_->peer) {
            return;
        }
        peers_[*solo_->peer].is_reserved = true;
    }
    const Peer& peer = peers_[*solo_->peer];
    const std::size_t frame_bytes = place->segment->batch(place->index).place.frame_bytes;
    if (peer.window.batches() > 0 || !peer.window.has_room(frame_bytes, now)) {
        return;  // What is under way there is answered or overdue first.
    }
    const auto frame = read_frame(*place);
    if (!frame) {
        end_solo();
        return;
    }
    if (send_batch(*place, *solo_->peer, *frame, now, send)) {
        solo_->is_sent = true;
    }
}

void Delivery::end_solo() noexcept {
    if (solo_ && solo_->peer) {
        peers_[*solo_->peer].is_reserved = false;
    }
    solo_.reset();
}

void Delivery::release_refused() {
    for (const auto& segment : spool_.segments()) {
        for (auto index = segment->first(BatchState::refused); index; index = segment->first(BatchState::refused)) {
            const bool suspicious = is_suspicious({.segment = segment.get(), .index = *index});
            segment->set_state(*index, suspicious ? BatchState::suspect : BatchState::pending);
        }
    }
}

void Delivery::on_loss(const Place& place, bool was_alone, SteadyTime now) {
    const auto losses = place.segment->count_loss(place.index);
    const std::string what = describe(name_of(place)) + " daemons_lost=" + std::to_string(losses);
    if (losses < policy_.suspect_after) {
        place.segment->set_state(place.index, BatchState::pending);
    } else if (was_alone) {
        ++counters_.batches_convicted;
        if (probe_ == name_of(place)) {
            probe_.reset();
        }
        place.segment->set_state(place.index, BatchState::refused);
        refused_retry_at_ = now + policy_.refused_retry_every;
        suspect_due_at_ = now + policy_.suspect_pause;
        log_.add(LogLine::Level::crit, "a daemon was lost with only this batch in flight, it is retried rarely", what);
    } else {
        ++counters_.batches_suspected;
        place.segment->set_state(place.index, BatchState::suspect);
        log_.add(LogLine::Level::error, "daemons were lost while this batch was in flight, it is sent alone", what);
    }
}

}  // namespace runledger::edge
