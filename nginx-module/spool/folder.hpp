// The spool folder that all couriers share: its files, its size, and its segments without an owner.
//
// The bound on bytes is for the whole folder. Two couriers that make a segment at the same moment can exceed it until
// they notice. Used by the courier's thread alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "common/clock.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/claim.hpp"
#include "nginx-module/spool/files.hpp"
#include "nginx-module/spool/kept.hpp"
#include "nginx-module/spool/segment_file.hpp"
#include "nginx-module/spool/spool_settings.hpp"

namespace runledger::edge {

// There is no room for the batch now, because of the configured bound or on the disk. Nothing was written: keep the
// batch, send the stored ones, and try again after a file was unlinked or a moment has passed.
struct SpoolFull : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Fresh for every segment, from the kernel's generator.
[[nodiscard]] SegmentId fresh_segment_id();

// The size of new segments in a folder with this much room for all workers.
[[nodiscard]] std::uint64_t usual_segment_bytes(std::uint64_t room_bytes) noexcept;

class SpoolFolder {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // Whether this courier owns that segment: a copy of it, under its name in an exchanged folder, is not adopted
    // beside it.
    using IsOwned = std::function<bool(const SegmentId&)>;

    SpoolFolder(const SpoolSettings& settings, Files& files, EdgeLog& log, IsOwned is_owned);

    // A new segment for a record with such a frame, large if there is room and just large enough if not.
    // Throws SpoolFull, or std::system_error if the folder can't be read, belongs to another host, or the disk fails.
    [[nodiscard]] SegmentFile create_for(std::size_t frame_bytes, WallTime now);
    // A new segment of the usual size.
    [[nodiscard]] SegmentFile create_ahead(WallTime now);

    struct Orphan {
        SegmentFile file;
        SegmentContent content;
    };

    // Lists the folder and adopts the oldest segment without an owner, if there is one of that age. Unusable segments
    // are logged and ignored for some time. Nothing if the folder belongs to another host. Throws std::system_error if
    // the folder can't be read.
    // Nothing, too, while reading takes longer than settings.read_slice: has_more() is then true, and the next call
    // goes on.
    [[nodiscard]] std::optional<Orphan> take_orphan(SteadyTime now, WallTime older_than = WallTime::max());
    [[nodiscard]] bool has_more() const noexcept { return has_more_ || reading_; }
    // Releases the segment that take_orphan() is reading, if any.
    void stop_reading() noexcept { reading_.reset(); }
    // Only lists the folder and counts its bytes.
    void look();
    // Removes kept segments whose time is over, a few at a time. Call it after the folder was listed.
    void remove_expired(WallTime now);
    // Removes kept segments, the oldest first, after a write found the disk full.
    void give_up_kept(std::uint64_t bytes) { bytes_ -= kept_.give_up(bytes); }

    // Keeps this courier from adopting a segment for a while; another may do so.
    void avoid(const SegmentId& id, SteadyTime now);

    // Allocated bytes when the folder was last listed, plus those of segments made since.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    // Bytes of segments that are kept after their retirement; bytes() includes them.
    [[nodiscard]] const KeptSegments& kept() const noexcept { return kept_; }

    struct SegmentCounts {
        std::uint64_t in_use{};   // Whoever owns them.
        std::uint64_t damaged{};  // Renamed to .damaged, for an operator.
    };
    // When the folder was last listed.
    [[nodiscard]] const SegmentCounts& segments() const noexcept { return segments_; }

private:
    [[nodiscard]] std::vector<SegmentId> list_segments();
    [[nodiscard]] std::uint64_t usual_bytes() const;
    // Nothing if the bound or the disk has no room for the segment; `why` then says which.
    [[nodiscard]] std::optional<SegmentFile> try_create(std::uint64_t reserved_bytes, WallTime now, std::string& why);
    [[nodiscard]] WallTime age_of(const SegmentId& id);
    // False if it is another courier's, or can't be used.
    [[nodiscard]] bool start_reading(const SegmentId& id, SteadyTime now);
    // Nothing while there is more to read, and if what was read can't be used.
    [[nodiscard]] std::optional<Orphan> go_on_reading(SteadyTime now);
    [[nodiscard]] std::optional<Orphan> finish_reading(SteadyTime now);

    SpoolSettings settings_;
    Files& files_;
    EdgeLog& log_;
    IsOwned is_owned_;
    SpoolClaim claim_;
    KeptSegments kept_;
    std::uint64_t bytes_{};
    SegmentCounts segments_;
    std::map<SegmentId, WallTime> ages_;           // Of the segments in the folder, from their headers.
    std::map<SegmentId, SteadyTime> avoid_until_;  // Of the segments in the folder.
    std::map<SegmentId, int> tries_to_read_;       // Of segments that could not be read completely.
    struct Reading {
        SegmentFile file;
        SegmentReading pieces;
    };
    std::optional<Reading> reading_;  // The orphan that is being read.
    bool has_more_{false};
};

}  // namespace runledger::edge
