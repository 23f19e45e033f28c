// The spool folder that all couriers share: what is in it, how much it takes, and which segments nobody owns.
//
// The bound on bytes holds for the folder as a whole; it is passed only for as long as two couriers who made a segment
// at the same moment take to see it. Used by the courier's thread alone.
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

namespace runledger::edge {

// There is no room for the batch now, by the configured bound or on the disk. Nothing was written: keep it, send
// what is stored, and try again when something was unlinked or a moment has passed.
struct SpoolFull : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Fresh for every segment, from the kernel's generator.
[[nodiscard]] SegmentId fresh_segment_id();

// How large segments are made in a folder that has so much room, for all workers together.
[[nodiscard]] std::uint64_t usual_segment_bytes(std::uint64_t room_bytes) noexcept;

class SpoolFolder {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    struct Config {
        std::string path;
        std::uint64_t bytes_max{};            // Allocated bytes of the segments in it, whoever owns them.
        std::chrono::milliseconds avoid_for;  // How long a segment that can't be used is left alone.
        std::chrono::seconds keep_acked;      // How long retired segments are kept, if there is room.
        std::optional<SpoolHost> host{};      // Nothing: the folder is not asked whose it is.
    };

    // Whether this courier owns that segment: a copy of it, under its name in an exchanged folder, is not adopted
    // beside it.
    using IsOwned = std::function<bool(const SegmentId&)>;

    SpoolFolder(Config config, Files& files, CourierLog& log, IsOwned is_owned);

    // A new segment for a record with such a frame, large if there is room and just large enough if not.
    // Throws SpoolFull, or std::system_error where the folder can't be read, is another host's, or the disk fails.
    [[nodiscard]] SegmentFile create_for(std::size_t frame_bytes, WallTime now);
    // A new segment of the usual size.
    [[nodiscard]] SegmentFile create_ahead(WallTime now);

    struct Orphan {
        SegmentFile file;
        SegmentContent content;
    };

    // Looks at the folder and takes the oldest segment that nobody owns, if there is one of that age. Segments that
    // can't be used are logged and left alone for a while. Nothing in a folder that is another host's. Throws
    // std::system_error if the folder can't be read.
    [[nodiscard]] std::optional<Orphan> take_orphan(SteadyTime now, WallTime older_than = WallTime::max());
    // As much of it as counts the bytes.
    void look();
    // Removes kept segments whose time is over, a few at a time. After the folder was looked at.
    void remove_expired(WallTime now);
    // Gives up kept segments, the oldest first, after a write met a full disk.
    void give_up_kept(std::uint64_t bytes) { bytes_ -= kept_.give_up(bytes); }

    // Keeps this courier from adopting a segment for a while; another may do so.
    void avoid(const SegmentId& id, SteadyTime now);

    // Allocated bytes when last looked at, and adjusted by what was made since.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    // Those that are kept after their retirement, which bytes() counts, too.
    [[nodiscard]] const KeptSegments& kept() const noexcept { return kept_; }

    struct SegmentCounts {
        std::uint64_t in_use{};   // Whoever owns them.
        std::uint64_t damaged{};  // Set aside for an operator.
    };
    // When last looked at.
    [[nodiscard]] const SegmentCounts& segments() const noexcept { return segments_; }

private:
    [[nodiscard]] std::vector<SegmentId> list_segments();
    [[nodiscard]] std::uint64_t usual_bytes() const;
    // Nothing if the bound or the disk has no room for it; `why` then says which.
    [[nodiscard]] std::optional<SegmentFile> try_create(std::uint64_t reserved_bytes, WallTime now, std::string& why);
    [[nodiscard]] WallTime age_of(const SegmentId& id);
    [[nodiscard]] std::optional<Orphan> try_adopt(const SegmentId& id, SteadyTime now);

    Config config_;
    Files& files_;
    CourierLog& log_;
    IsOwned is_owned_;
    SpoolClaim claim_;
    KeptSegments kept_;
    std::uint64_t bytes_{};
    SegmentCounts segments_;
    std::map<SegmentId, WallTime> ages_;           // Of the segments in the folder, from their headers.
    std::map<SegmentId, SteadyTime> avoid_until_;  // Of the segments in the folder.
    std::map<SegmentId, int> tries_to_read_;       // Of those that the disk did not give back whole.
};

}  // namespace runledger::edge
