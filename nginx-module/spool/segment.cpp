#include "nginx-module/spool/segment.hpp"

#include <algorithm>
#include <limits>

namespace runledger::edge {
namespace {

constexpr std::size_t slot(BatchState state) noexcept { return static_cast<std::size_t>(state); }

}  // namespace

void Segment::make_room_for_one() {
    if (batches_.size() == batches_.capacity()) {
        batches_.reserve(batches_.size() * 2 + 64);
    }
}

std::size_t Segment::add(const RecordPlace& place, std::chrono::sys_seconds received_at) {
    batches_.push_back({.place = place, .received_at = received_at});
    ++counts_[slot(BatchState::pending)];
    return batches_.size() - 1;
}

std::optional<std::size_t> Segment::find(BatchNumber number) const noexcept {
    if (number < batches_.size() && batches_[number].place.number == number) {
        return number;
    }
    const auto found = std::lower_bound(batches_.begin(), batches_.end(), number,
                                        [](const StoredBatch& b, BatchNumber n) { return b.place.number < n; });
    if (found == batches_.end() || found->place.number != number) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(found - batches_.begin());
}

void Segment::set_state(std::size_t index, BatchState state) noexcept {
    StoredBatch& batch = batches_[index];
    --counts_[slot(batch.state)];
    ++counts_[slot(state)];
    batch.state = state;
    if (state == BatchState::pending) {
        first_pending_ = std::min(first_pending_, index);
    }
}

void Segment::mark_sent(std::size_t index) noexcept {
    set_state(index, BatchState::in_flight);
    batches_[index].was_sent = true;
}

std::uint8_t Segment::count_loss(std::size_t index) noexcept {
    std::uint8_t& losses = batches_[index].losses;
    if (losses < std::numeric_limits<std::uint8_t>::max()) {
        ++losses;
    }
    return losses;
}

void Segment::forget_acks() noexcept {
    for (std::size_t i = 0; i < batches_.size(); ++i) {
        if (batches_[i].state == BatchState::acked) {
            set_state(i, BatchState::pending);
        }
    }
    first_unacked_ = 0;
}

std::size_t Segment::count(BatchState state) const noexcept { return counts_[slot(state)]; }

std::optional<std::size_t> Segment::first(BatchState state) noexcept {
    if (count(state) == 0) {
        return std::nullopt;
    }
    std::size_t index = state == BatchState::pending ? first_pending_ : first_unacked_;
    while (batches_[index].state != state) {
        ++index;  // Ends: the count says that there is one, and the hints never pass it.
    }
    if (state == BatchState::pending) {
        first_pending_ = index;
    }
    return index;
}

std::optional<std::chrono::sys_seconds> Segment::oldest_unacked() noexcept {
    while (first_unacked_ < batches_.size() && batches_[first_unacked_].state == BatchState::acked) {
        ++first_unacked_;
    }
    if (first_unacked_ == batches_.size()) {
        return std::nullopt;
    }
    return batches_[first_unacked_].received_at;
}

}  // namespace runledger::edge
