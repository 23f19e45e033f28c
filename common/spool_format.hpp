// A segment file's bytes, as pure functions: docs/spool-format.md describes them, a test pins golden bytes.
//
// A segment is a header and then records, one for each batch, each holding the batch's wire frame as it is sent.
// Scanning trusts nothing: it distinguishes an answered batch from a torn write after a crash. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/identity.hpp"
#include "common/limits.hpp"

namespace runledger {

inline constexpr std::uint32_t segment_version = 1;
inline constexpr std::size_t segment_header_bytes = 64;
inline constexpr std::size_t record_header_bytes = 24;
inline constexpr std::size_t record_alignment = 8;
inline constexpr std::string_view segment_suffix = ".seg";
// The name of a damaged segment, which couriers ignore and an operator must look at.
inline constexpr std::string_view damaged_suffix = ".damaged";
// The name of a retired segment that is kept for some time. Without the suffix it is sent again.
inline constexpr std::string_view kept_suffix = ".kept";

// Bytes that a record takes in the file, its padding included.
[[nodiscard]] constexpr std::size_t record_bytes(std::size_t frame_bytes) noexcept {
    return (record_header_bytes + frame_bytes + record_alignment - 1) / record_alignment * record_alignment;
}

static_assert(segment_header_bytes % record_alignment == 0);
static_assert(segment_header_bytes + record_bytes(wire_message_bytes_max) <= segment_bytes,
              "the largest batch fits an empty segment");

struct SegmentHeader {
    SegmentId id;
    std::uint64_t reserved_bytes{};  // The file's length when it was made.
    WallTime created_at{};           // Orders segments, oldest first; it has no other use.
    // Imported, and the original may still grow or be sent, so only the original is retired. If the copy were retired,
    // the ledger would refuse the batches that the original stores later.
    bool is_copy{false};
};

enum class HeaderFault : std::uint8_t {
    damaged,          // Too short, no magic, or the checksum differs.
    unknown_version,  // Ours, of a version that this build can't read: leave the file alone.
};

[[nodiscard]] std::array<std::byte, segment_header_bytes> encode_segment_header(const SegmentHeader& header);
[[nodiscard]] std::variant<SegmentHeader, HeaderFault> decode_segment_header(std::span<const std::byte> file);

// "<32 hexadecimal digits>.seg"
[[nodiscard]] std::string segment_file_name(const SegmentId& id);
// Nothing for any other name.
[[nodiscard]] std::optional<SegmentId> parse_segment_file_name(std::string_view name);

// Appends one record to `out`.
void append_record(std::vector<std::byte>& out, BatchNumber number, std::span<const std::byte> frame);

// Where a batch is in its segment.
struct RecordPlace {
    BatchNumber number{};
    std::uint64_t offset{};  // Of the record's header.
    std::size_t frame_bytes{};
};

// The frame in a record that was read from `place`, or nothing if it is not the record that was written there.
[[nodiscard]] std::optional<std::span<const std::byte>> frame_of_record(std::span<const std::byte> record,
                                                                        const RecordPlace& place);

enum class ScanEnd : std::uint8_t {
    clean,      // After the last record there are only zeros, or nothing.
    torn_tail,  // After the last record there are bytes that are not a record: a write that was never answered.
    damaged,  // Bytes that are not a record before a valid one, in a sealed file, or where a whole record was written:
              // answered batches were lost.
};

[[nodiscard]] std::string_view to_word(ScanEnd end) noexcept;

struct SegmentScan {
    std::optional<SegmentHeader> header;  // Nothing if it is damaged; the records are found nevertheless.
    std::vector<RecordPlace> records;     // By rising number. Without damage, numbered from 0 without gaps.
    ScanEnd end{ScanEnd::clean};
    std::size_t used_bytes{};  // Up to the end of the last record, or of the header.
};

// Reads a whole segment file's bytes. `id` is the one in the file's name; a record counts only if its frame names
// that segment, so that no body can pass for a record. HeaderFault::unknown_version if the header says so.
[[nodiscard]] std::variant<SegmentScan, HeaderFault> scan_segment(std::span<const std::byte> file, const SegmentId& id);

}  // namespace runledger
