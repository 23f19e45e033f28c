// Parses a whole segment file, for a courier that adopts it and for the operator's tool.
//
// Nothing is trusted: see scan_segment(). A segment that is being written may seem to have a torn tail. The caller
// reads the file. Any thread; the content keeps the file's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/identity.hpp"
#include "common/spool_format.hpp"

namespace runledger {

// Nothing we write is longer than segment_bytes; a build with another limit may have written more.
inline constexpr std::uint64_t segment_file_bytes_max = 4 * std::uint64_t{segment_bytes};

// Fills the span from that offset of the file on, or less if the file ends before. Throws std::system_error if the
// disk can't read the bytes.
using ReadAt = std::function<void(std::span<std::byte> bytes, std::uint64_t offset)>;

// Reads the beginning of a file, as long as the span. Reads large pieces, and around a failure block by block, because
// one bad block must not cost the batches around it. Unreadable blocks become zeros.
class PastBadBlocks {
public:
    PastBadBlocks(std::span<std::byte> file, ReadAt read) : file_(file), read_(std::move(read)) {}

    // Reads one piece. False when there is none left.
    [[nodiscard]] bool read_next();
    // Whether everything could be read so far.
    [[nodiscard]] bool is_complete() const noexcept { return is_complete_; }

private:
    std::span<std::byte> file_;
    ReadAt read_;
    std::size_t done_{0};
    std::size_t blocks_to_{0};  // Up to there block by block.
    bool is_complete_{true};
};

// All of it, with nothing else to do meanwhile. Returns whether everything could be read.
[[nodiscard]] bool read_past_bad_blocks(std::span<std::byte> file, const ReadAt& read);

// Why a file is not a segment that we can use. The file is not changed.
enum class SegmentFault : std::uint8_t {
    no_such_file,
    bad_name,         // Not "<32 hexadecimal digits>.seg".
    foreign_id,       // The header names another segment than the file's name: a copy, or renamed.
    unknown_version,  // Written by a later version of the module.
    too_large,        // Longer than any segment that we write.
};

[[nodiscard]] std::string_view to_word(SegmentFault fault) noexcept;

class SegmentContent {
public:
    // `file` is the whole file, `id` the one in its name. `is_complete` is false if a part of the file could not be
    // read and was replaced by zeros: that part then counts as damage, not as an end.
    [[nodiscard]] static std::variant<SegmentContent, SegmentFault> parse(const SegmentId& id,
                                                                          std::vector<std::byte> file,
                                                                          bool is_complete);

    [[nodiscard]] const SegmentId& id() const noexcept { return id_; }
    // Nothing if the header is damaged.
    [[nodiscard]] const std::optional<SegmentHeader>& header() const noexcept { return scan_.header; }
    [[nodiscard]] const std::vector<RecordPlace>& batches() const noexcept { return scan_.records; }
    [[nodiscard]] ScanEnd end() const noexcept { return scan_.end; }
    // False if a part could not be read; the segment then counts as damaged for this reason.
    [[nodiscard]] bool is_complete() const noexcept { return is_complete_; }
    [[nodiscard]] std::size_t used_bytes() const noexcept { return scan_.used_bytes; }
    // The wire frame of one of batches(); valid as long as the content.
    [[nodiscard]] std::span<const std::byte> frame(const RecordPlace& place) const noexcept;

private:
    SegmentContent(const SegmentId& id, std::vector<std::byte> file, SegmentScan scan, bool is_complete)
        : id_(id), file_(std::move(file)), scan_(std::move(scan)), is_complete_(is_complete) {}

    SegmentId id_;
    std::vector<std::byte> file_;
    SegmentScan scan_;
    bool is_complete_;
};

}  // namespace runledger
