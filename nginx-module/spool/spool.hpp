// A courier's part of the spool: the segment it writes, the next one made ahead, and those it has adopted.
//
// Invariant: every batch for which append() returned is in a segment that is either locked by a live worker or free to
// be adopted, until the daemon has confirmed it. Bounded in bytes on the disk and in open files. Used by the
// courier's thread alone; other couriers, in this process or another, may use the same folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/wire.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/files.hpp"
#include "nginx-module/spool/folder.hpp"
#include "nginx-module/spool/segment.hpp"

namespace runledger::edge {

struct SpoolConfig {
    std::string folder;
    std::uint64_t bytes_max{};            // Allocated bytes of the folder's segments, whoever owns them.
    std::chrono::seconds keep_acked{0};   // How long retired segments are kept, if their room is not needed.
    std::size_t moving_segments_max{8};   // Open ones with batches to send, besides the one being written.
    std::size_t parked_segments_max{16};  // Open ones that wait for a retirement or have refused batches.
    std::optional<SpoolHost> host{};      // This host, to which the folder must belong. Nothing: any folder.
    std::chrono::milliseconds adopt_every{1000};
    std::chrono::milliseconds seal_idle_after{60'000};
    std::chrono::milliseconds avoid_for{60'000};  // A segment that can't be read, or was released unfinished.
};

class Spool {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;
    using WallClock = std::function<WallTime()>;

    Spool(const SpoolConfig& config, Files& files, WallClock wall_clock, CourierLog& log);
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;

    struct Stored {
        Segment& segment;
        std::size_t index{};
        std::span<const std::byte> frame;  // Valid until the encoder is changed.
    };

    // Stores the batch that the encoder holds, under a fresh name; durable on return. The encoder keeps its events.
    // Throws SpoolFull, or std::system_error if the disk failed: the batch must not be answered, and may be stored
    // again under another name.
    Stored append(wire::BatchEncoder& encoder, std::chrono::sys_seconds received_at, SteadyTime now);

    // Does what is due: adopts an orphan, makes the next segment, seals idle ones, removes finished ones, releases
    // those over the bound. Reads at most one segment. Failures are logged and retried later.
    void tend(SteadyTime now);
    // When tend() next has something to do.
    [[nodiscard]] SteadyTime tend_due_at() const noexcept { return tend_due_at_; }

    // Owned segments that hold batches, the oldest first; the one being written is the last.
    [[nodiscard]] const std::vector<std::unique_ptr<Segment>>& segments() const noexcept { return segments_; }
    [[nodiscard]] Segment* find(const SegmentId& id) const noexcept;
    [[nodiscard]] bool is_active(const Segment& segment) const noexcept { return &segment == active_; }

    // Unlinks a retired segment, or keeps it for some time, or renames it if it is damaged. It leaves segments(), and
    // the reference dangles. If that fails, the segment stays and tend() tries again.
    void remove(Segment& segment, SteadyTime now);

    // Releases everything: seals segments, unlinks empty ones, releases the locks.
    void close() noexcept;

    [[nodiscard]] std::uint64_t folder_bytes() const noexcept { return folder_.bytes(); }
    // Segments that are kept after their retirement, and their bytes; folder_bytes() includes these.
    [[nodiscard]] std::size_t kept_segments() const noexcept { return folder_.kept().count(); }
    [[nodiscard]] std::uint64_t kept_bytes() const noexcept { return folder_.kept().bytes(); }
    [[nodiscard]] const SpoolFolder::SegmentCounts& folder_segments() const noexcept { return folder_.segments(); }
    [[nodiscard]] std::uint64_t segments_adopted() const noexcept { return segments_adopted_; }
    [[nodiscard]] std::uint64_t segments_removed() const noexcept { return segments_removed_; }
    // How many of the removed ones were renamed as damaged.
    [[nodiscard]] std::uint64_t segments_damaged() const noexcept { return segments_damaged_; }

private:
    [[nodiscard]] Segment& writable_segment(std::size_t frame_bytes, SteadyTime now);
    [[nodiscard]] SegmentFile take_file_for(std::size_t frame_bytes);
    void seal_active(SteadyTime now);
    void seal_if_idle(SteadyTime now);
    void make_next(SteadyTime now);
    void drop_next() noexcept;
    void adopt(SteadyTime now);
    void take_over(SpoolFolder::Orphan orphan, SteadyTime now);
    void remove_finished(SteadyTime now);
    void let_go_over_bound(SteadyTime now);
    [[nodiscard]] const Segment* newest_to_let_go() const noexcept;
    [[nodiscard]] std::size_t count_of(bool moving) const noexcept;

    SpoolConfig config_;
    SpoolFolder folder_;
    WallClock wall_clock_;
    CourierLog& log_;
    std::vector<std::unique_ptr<Segment>> segments_;
    Segment* active_{nullptr};         // In segments_, too.
    std::optional<SegmentFile> next_;  // Reserved; no batch in it.
    SteadyTime adopt_due_at_{};
    SteadyTime next_due_at_{};
    SteadyTime tend_due_at_{};
    std::uint64_t segments_adopted_{};
    std::uint64_t segments_removed_{};
    std::uint64_t segments_damaged_{};
};

}  // namespace runledger::edge
