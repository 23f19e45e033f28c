// An owned segment and the state of each of its batches: pending, in flight, acked, refused, or suspect.
//
// Invariant: a batch is here if and only if its record is durable. Memory is bounded: some 40 bytes for a batch, and
// a batch takes several times that in the file. Used by the courier's thread alone; no I/O but through file().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/clock.hpp"
#include "nginx-module/spool/segment_file.hpp"

namespace runledger::edge {

enum class BatchState : std::uint8_t {
    pending,    // To be sent, or to be sent again.
    in_flight,  // Sent; no answer yet.
    acked,      // In the ledger.
    refused,    // The daemon does not accept it, or its bytes are damaged: retried alone, rarely.
    suspect,    // Too many daemons were lost while it was in flight: sent alone.
};

struct StoredBatch {
    RecordPlace place;
    std::chrono::sys_seconds received_at;  // Of its first event.
    BatchState state{BatchState::pending};
    bool was_sent{false};
    std::uint8_t losses{0};  // Daemons lost while it was in flight, since the last answer to it. Stays at 255.
};

class Segment {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    Segment(SegmentFile file, WallTime created_at) : file_(std::move(file)), created_at_(created_at) {}

    [[nodiscard]] SegmentFile& file() noexcept { return file_; }
    [[nodiscard]] const SegmentFile& file() const noexcept { return file_; }
    [[nodiscard]] const SegmentId& id() const noexcept { return file_.id(); }
    [[nodiscard]] WallTime created_at() const noexcept { return created_at_; }

    // The next add() needs no memory.
    void make_room_for_one();
    // Returns its index. Numbers rise; they have gaps only in a damaged segment.
    std::size_t add(const RecordPlace& place, std::chrono::sys_seconds received_at);
    [[nodiscard]] const StoredBatch& batch(std::size_t index) const { return batches_[index]; }
    [[nodiscard]] std::size_t batch_count() const noexcept { return batches_.size(); }
    // The index of the batch of that number, if it is here.
    [[nodiscard]] std::optional<std::size_t> find(BatchNumber number) const noexcept;

    void set_state(std::size_t index, BatchState state) noexcept;
    void mark_sent(std::size_t index) noexcept;
    // Another daemon was lost while the batch was in flight. Returns the number of losses.
    std::uint8_t count_loss(std::size_t index) noexcept;
    void forget_losses(std::size_t index) noexcept { batches_[index].losses = 0; }
    // Acked becomes pending: the ledger has lost batches that it had.
    void forget_acks() noexcept;
    [[nodiscard]] std::size_t count(BatchState state) const noexcept;
    // The batch of the lowest number that is pending, refused or suspect.
    [[nodiscard]] std::optional<std::size_t> first(BatchState state) noexcept;
    [[nodiscard]] std::optional<std::chrono::sys_seconds> oldest_unacked() noexcept;

    // Every batch is acked.
    [[nodiscard]] bool is_acked() const noexcept { return count(BatchState::acked) == batches_.size(); }
    // A batch is to be sent, or waits for an answer.
    [[nodiscard]] bool is_moving() const noexcept {
        return count(BatchState::pending) + count(BatchState::in_flight) > 0;
    }

    // An answered batch may have been lost to damage: the file is kept for an operator.
    bool is_damaged{false};
    // Not retired at its end, because the original is (see SegmentHeader).
    bool is_copy{false};
    // Only the unlinking remains, or the renaming to .damaged.
    bool is_finished{false};
    // When to send the retirement, or to try the removal, again.
    SteadyTime due_at{};
    std::chrono::milliseconds retire_pause{0};
    // Of the segment being written only.
    SteadyTime last_added_at{};

private:
    SegmentFile file_;
    WallTime created_at_;
    std::vector<StoredBatch> batches_;
    std::size_t counts_[5]{};
    std::size_t first_unacked_{0};  // No batch before it is anything but acked.
    std::size_t first_pending_{0};  // No batch before it is pending.
};

}  // namespace runledger::edge
