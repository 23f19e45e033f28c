#include "common/spool_format.hpp"

#include <algorithm>
#include <cstring>

#include "common/digest.hpp"
#include "common/little_endian.hpp"
#include "common/wire.hpp"

namespace runledger {
namespace {

constexpr std::array<std::uint8_t, 8> segment_magic{'R', 'L', 'S', 'P', 'O', 'O', 'L', '\n'};
constexpr std::array<std::uint8_t, 4> record_magic{'R', 'L', 'R', 'C'};

// In the segment's header.
constexpr std::size_t version_at = 8;
constexpr std::size_t header_bytes_at = 12;
constexpr std::size_t id_at = 16;
constexpr std::size_t reserved_at = 32;
constexpr std::size_t created_at_at = 40;
constexpr std::size_t flags_at = 48;
constexpr std::size_t header_checksum_at = 56;
constexpr std::uint64_t flag_copy = 1;

// In a record's header. The checksum comes first, so that what it covers is one run of bytes.
constexpr std::size_t covered_at = 8;
constexpr std::size_t magic_at = 8;
constexpr std::size_t length_at = 12;
constexpr std::size_t number_at = 16;

bool all_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

// Whether a good record of this segment stands at the offset, numbered at least `number_min`.
std::optional<RecordPlace> record_at(std::span<const std::byte> file, std::size_t offset, const SegmentId& id,
                                     BatchNumber number_min) {
    if (file.size() - offset < record_header_bytes ||
        std::memcmp(file.data() + offset + magic_at, record_magic.data(), record_magic.size()) != 0) {
        return std::nullopt;
    }
    const std::span header = file.subspan(offset, record_header_bytes);
    const RecordPlace place{.number = get<std::uint64_t>(header, number_at),
                            .offset = offset,
                            .frame_bytes = get<std::uint32_t>(header, length_at)};
    if (place.number < number_min || place.frame_bytes > wire_message_bytes_max ||
        place.frame_bytes > file.size() - offset - record_header_bytes) {
        return std::nullopt;
    }
    // The frame's name is looked at before the checksum: a sender can write record headers into a body, but does
    // not know the segment's id, and so can't make this scan quadratic.
    const auto frame = wire::decode_batch_header(file.subspan(offset + record_header_bytes, place.frame_bytes));
    const auto* batch = std::get_if<wire::BatchHeader>(&frame);
    if (batch == nullptr || batch->name != BatchName{id, place.number}) {
        return std::nullopt;
    }
    const auto covered = file.subspan(offset + covered_at, record_header_bytes - covered_at + place.frame_bytes);
    if (checksum64(covered) != get<std::uint64_t>(header, 0)) {
        return std::nullopt;
    }
    return place;
}

std::optional<RecordPlace> find_record(std::span<const std::byte> file, std::size_t from, const SegmentId& id,
                                       BatchNumber number_min) {
    for (std::size_t offset = from; offset < file.size() && file.size() - offset >= record_header_bytes;
         offset += record_alignment) {
        if (auto place = record_at(file, offset, id, number_min)) {
            return place;
        }
    }
    return std::nullopt;
}

// A write that did not finish lacks its end, or a block of the disk's, which is zeros then. Whether the record that
// stands at the offset was written whole, though it is not good: it has changed since.
bool was_written_whole(std::span<const std::byte> file, std::size_t offset, const BatchName& name) {
    constexpr std::size_t block_bytes = 512;  // The least that a disk writes at once.
    if (file.size() - offset < record_header_bytes) {
        return false;
    }
    const std::size_t bytes = record_header_bytes + get<std::uint32_t>(file.subspan(offset), length_at);
    if (bytes > file.size() - offset || file[offset + bytes - 1] == std::byte{0}) {
        return false;
    }
    const auto record = file.subspan(offset, bytes);
    const auto frame = wire::decode_batch_header(record.subspan(record_header_bytes));
    const auto* batch = std::get_if<wire::BatchHeader>(&frame);
    if (batch == nullptr || batch->name != name) {
        return false;
    }
    for (std::size_t block = (offset / block_bytes + 1) * block_bytes; block + block_bytes <= offset + bytes;
         block += block_bytes) {
        if (all_zero(file.subspan(block, block_bytes))) {
            return false;
        }
    }
    return true;
}

}  // namespace

std::array<std::byte, segment_header_bytes> encode_segment_header(const SegmentHeader& header) {
    std::array<std::byte, segment_header_bytes> bytes{};
    std::memcpy(bytes.data(), segment_magic.data(), segment_magic.size());
    put(std::span(bytes), version_at, segment_version);
    put(std::span(bytes), header_bytes_at, static_cast<std::uint32_t>(segment_header_bytes));
    std::memcpy(bytes.data() + id_at, header.id.bytes.data(), header.id.bytes.size());
    put(std::span(bytes), reserved_at, header.reserved_bytes);
    put(std::span(bytes), created_at_at, header.created_at.time_since_epoch().count());
    put(std::span(bytes), flags_at, header.is_copy ? flag_copy : std::uint64_t{0});
    put(std::span(bytes), header_checksum_at, checksum64(std::span(bytes).first(header_checksum_at)));
    return bytes;
}

std::variant<SegmentHeader, HeaderFault> decode_segment_header(std::span<const std::byte> file) {
    if (file.size() < version_at + sizeof(std::uint32_t) ||
        std::memcmp(file.data(), segment_magic.data(), segment_magic.size()) != 0) {
        return HeaderFault::damaged;
    }
    if (get<std::uint32_t>(file, version_at) != segment_version) {
        return HeaderFault::unknown_version;
    }
    if (file.size() < segment_header_bytes ||
        checksum64(file.first(header_checksum_at)) != get<std::uint64_t>(file, header_checksum_at)) {
        return HeaderFault::damaged;
    }
    SegmentHeader header;
    std::memcpy(header.id.bytes.data(), file.data() + id_at, header.id.bytes.size());
    header.reserved_bytes = get<std::uint64_t>(file, reserved_at);
    header.created_at = WallTime{std::chrono::microseconds{get<std::int64_t>(file, created_at_at)}};
    header.is_copy = (get<std::uint64_t>(file, flags_at) & flag_copy) != 0;
    return header;
}

std::string segment_file_name(const SegmentId& id) { return id.hex().append(segment_suffix); }

std::optional<SegmentId> parse_segment_file_name(std::string_view name) {
    if (name.size() != 32 + segment_suffix.size() || !name.ends_with(segment_suffix)) {
        return std::nullopt;
    }
    const auto id = SegmentId::parse(name.substr(0, 32));
    if (!id || segment_file_name(*id) != name) {
        return std::nullopt;  // Upper-case digits or hyphens: not a name that we gave.
    }
    return id;
}

void append_record(std::vector<std::byte>& out, BatchNumber number, std::span<const std::byte> frame) {
    const std::size_t start = out.size();
    out.resize(start + record_bytes(frame.size()));
    const std::span record = std::span(out).subspan(start);
    std::memcpy(record.data() + magic_at, record_magic.data(), record_magic.size());
    put(record, length_at, static_cast<std::uint32_t>(frame.size()));
    put(record, number_at, number);
    std::memcpy(record.data() + record_header_bytes, frame.data(), frame.size());
    put(record, 0, checksum64(record.subspan(covered_at, record_header_bytes - covered_at + frame.size())));
}

std::optional<std::span<const std::byte>> frame_of_record(std::span<const std::byte> record, const RecordPlace& place) {
    if (record.size() < record_header_bytes + place.frame_bytes ||
        std::memcmp(record.data() + magic_at, record_magic.data(), record_magic.size()) != 0 ||
        get<std::uint32_t>(record, length_at) != place.frame_bytes ||
        get<std::uint64_t>(record, number_at) != place.number ||
        checksum64(record.subspan(covered_at, record_header_bytes - covered_at + place.frame_bytes)) !=
            get<std::uint64_t>(record, 0)) {
        return std::nullopt;
    }
    return record.subspan(record_header_bytes, place.frame_bytes);
}

std::string_view to_word(ScanEnd end) noexcept {
    switch (end) {
        case ScanEnd::clean:
            return "clean";
        case ScanEnd::torn_tail:
            return "torn_tail";
        case ScanEnd::damaged:
            return "damaged";
    }
    return "unknown";
}

std::variant<SegmentScan, HeaderFault> scan_segment(std::span<const std::byte> file, const SegmentId& id) {
    SegmentScan scan;
    const auto header = decode_segment_header(file);
    if (const auto* known = std::get_if<SegmentHeader>(&header)) {
        scan.header = *known;
    } else if (std::get<HeaderFault>(header) == HeaderFault::unknown_version) {
        return HeaderFault::unknown_version;
    }
    std::size_t offset = segment_header_bytes;
    scan.used_bytes = std::min(offset, file.size());
    BatchNumber expected = 0;
    bool damaged = false;
    while (const auto place = find_record(file, offset, id, expected)) {
        damaged = damaged || place->offset != offset || place->number != expected;
        scan.records.push_back(*place);
        expected = place->number + 1;
        offset = std::min<std::size_t>(place->offset + record_bytes(place->frame_bytes), file.size());
        scan.used_bytes = offset;
    }
    // The header was synced before the first record was written: without it, anything but zeros behind it is damage.
    const bool was_written = !all_zero(file.subspan(std::min(segment_header_bytes, file.size())));
    damaged = damaged || (!scan.header && was_written);
    // A segment that is shorter than its space was sealed, which cuts it behind its last answered record.
    const bool is_sealed = scan.header && file.size() < scan.header->reserved_bytes;
    damaged = damaged || (is_sealed && !all_zero(file.subspan(scan.used_bytes)));
    damaged = damaged || was_written_whole(file, scan.used_bytes, {id, expected});
    if (damaged) {
        scan.end = ScanEnd::damaged;
    } else if (!all_zero(file.subspan(scan.used_bytes))) {
        scan.end = ScanEnd::torn_tail;
    }
    return scan;
}

}  // namespace runledger
