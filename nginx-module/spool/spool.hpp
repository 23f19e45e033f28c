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
#include "nginx-module/spool/spool_settings.hpp"

namespace runledger::edge {

class Spool {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;
    using WallClock = std::function<WallTime()>;

    Spool(const SpoolSettings& settings, Files& files, WallClock wall_clock, EdgeLog& log);
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

    // Writes nothing more to it. What was found damaged in it is then not taken for a torn tail after a crash.
    void seal(const Segment& segment);

    // Unlinks a retired segment, or keeps it for some time, or renames it if it is damaged. It leaves segments(), and
    // the reference dangles. If that fails, the segment stays and tend() tries again.
    void remove(Segment& segment, SteadyTime now);

    // Releases everything: seals segments, unlinks empty ones, releases the locks. append() can start anew.
    void close() noexcept;
    // The same, but for the segment that is being written.
    void release_all_but_active() noexcept;

    [[nodiscard]] SpoolFigures figures() const;
    [[nodiscard]] std::uint64_t segments_removed() const noexcept { return figures_.segments_removed; }

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

    SpoolSettings settings_;
    SpoolFolder folder_;
    WallClock wall_clock_;
    EdgeLog& log_;
    std::vector<std::unique_ptr<Segment>> segments_;
    Segment* active_{nullptr};         // In segments_, too.
    std::optional<SegmentFile> next_;  // Reserved; no batch in it.
    SteadyTime adopt_due_at_{};
    SteadyTime next_due_at_{};
    SteadyTime tend_due_at_{};
    SpoolFigures figures_;  // Without what figures() looks up.
};

}  // namespace runledger::edge
