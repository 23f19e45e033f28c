#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "common/digest.hpp"
#include "common/little_endian.hpp"
#include "common/segment_content.hpp"
#include "common/spool_identity.hpp"
#include "common/wire.hpp"
#include "tests/fuzz/claim.hpp"
#include "tests/fuzz/spool_cases.hpp"

namespace runledger::fuzz {
namespace {

using Bytes = std::vector<std::byte>;

// docs/spool-format.md.
constexpr std::size_t covered_at = 8;
constexpr std::size_t length_at = 12;
constexpr std::size_t number_at = 16;

bool is_zero(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

Bytes frame_of_number(BatchNumber number) {
    wire::BatchEncoder encoder({.boot = {}, .edge_name = "edge"});
    encoder.add({.stamp = {}, .flags = 0, .body = "{}"});
    return encoder.finish({.segment = fuzzed_segment(), .number = number});
}

// Records by rising number, each where it says it is, and an end that follows from the bytes.
void scan_is_sound(const SegmentScan& scan, std::span<const std::byte> file) {
    std::size_t end = segment_header_bytes;
    BatchNumber number = 0;
    bool is_gapless = true;
    for (const RecordPlace& place : scan.records) {
        claim(place.offset >= end && place.offset % record_alignment == 0, "records stand one behind the other");
        claim(place.offset + record_header_bytes + place.frame_bytes <= file.size(), "a record is in the file");
        claim(place.number >= number, "numbers rise");
        is_gapless = is_gapless && place.number == number && place.offset == end;
        const auto frame = frame_of_record(file.subspan(place.offset), place);
        claim(frame.has_value() && frame->size() == place.frame_bytes, "a record that was found can be read");
        const auto header = wire::decode_batch_header(*frame);
        claim(std::holds_alternative<wire::BatchHeader>(header) &&
                  std::get<wire::BatchHeader>(header).name == BatchName{fuzzed_segment(), place.number},
              "a record's frame names the segment and the record's number");
        end = std::min<std::size_t>(place.offset + record_bytes(place.frame_bytes), file.size());
        number = place.number + 1;
    }
    claim(scan.used_bytes == std::min(end, file.size()), "used_bytes ends with the last record");

    const bool rest_is_zero = is_zero(file.subspan(scan.used_bytes));
    claim(scan.end != ScanEnd::clean || (is_gapless && rest_is_zero), "a clean end has no gap and zeros behind it");
    claim(scan.end != ScanEnd::torn_tail || (is_gapless && !rest_is_zero), "a torn tail has no gap before it");
    const bool lacks_header = !scan.header && (!scan.records.empty() || !rest_is_zero);
    const bool is_cut_badly = scan.header && file.size() < scan.header->reserved_bytes && !rest_is_zero;
    const bool has_changed = holds_whole_record(file, scan.used_bytes, number);
    claim((scan.end == ScanEnd::damaged) == (!is_gapless || lacks_header || is_cut_badly || has_changed),
          "damage is a gap, a lost header, a sealed file that does not end with its last record, or a changed record");
}

// The couriers' and the tool's way in reads the same.
void content_agrees(const SegmentScan& scan, std::span<const std::byte> file) {
    const auto parsed = SegmentContent::parse(fuzzed_segment(), Bytes(file.begin(), file.end()), true);
    if (scan.header && scan.header->id != fuzzed_segment()) {
        claim(
            std::holds_alternative<SegmentFault>(parsed) && std::get<SegmentFault>(parsed) == SegmentFault::foreign_id,
            "a header of another segment is foreign");
        return;
    }
    claim(std::holds_alternative<SegmentContent>(parsed), "what can be scanned is content");
    const auto& content = std::get<SegmentContent>(parsed);
    claim(content.end() == scan.end && content.used_bytes() == scan.used_bytes &&
              content.batches().size() == scan.records.size() &&
              content.header().has_value() == scan.header.has_value(),
          "the content is what was scanned");
    for (const RecordPlace& place : content.batches()) {
        const auto frame = content.frame(place);
        claim(std::equal(frame.begin(), frame.end(),
                         file.begin() + static_cast<std::ptrdiff_t>(place.offset) +
                             static_cast<std::ptrdiff_t>(record_header_bytes)),
              "the content's frames are the file's");
    }
}

// A writer that goes on behind what was read is read, and so is a file that lost its end.
void next_record_is_found(const SegmentScan& scan, std::span<const std::byte> file) {
    if (scan.end == ScanEnd::damaged || !scan.header || scan.used_bytes % record_alignment != 0) {
        return;  // Nobody writes there: only an adopter sees such a file, and it only reads.
    }
    Bytes longer(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(scan.used_bytes));
    append_record(longer, scan.records.size(), frame_of_number(scan.records.size()));
    const SegmentScan again = scan_soundly(longer);
    claim(again.end == ScanEnd::clean && again.records.size() == scan.records.size() + 1 &&
              again.used_bytes == longer.size(),
          "a record written behind the last one is found");
}

void cut_keeps_what_is_before_it(const SegmentScan& scan, std::span<const std::byte> file, std::size_t cut_to) {
    const auto shorter = file.first(cut_to);
    if (std::holds_alternative<HeaderFault>(scan_segment(shorter, fuzzed_segment()))) {
        return;
    }
    const SegmentScan cut = scan_soundly(shorter);
    std::size_t i = 0;
    for (const RecordPlace& place : scan.records) {
        if (place.offset + record_header_bytes + place.frame_bytes > cut_to) {
            break;
        }
        claim(i < cut.records.size() && cut.records[i].offset == place.offset && cut.records[i].number == place.number,
              "a cut keeps every record before it");
        ++i;
    }
}

void reads_soundly(std::span<const std::byte> file, std::size_t cut_to) {
    const auto result = scan_segment(file, fuzzed_segment());
    if (std::holds_alternative<HeaderFault>(result)) {
        const auto header = decode_segment_header(file);
        claim(std::holds_alternative<HeaderFault>(header) &&
                  std::get<HeaderFault>(header) == HeaderFault::unknown_version,
              "only an unknown version is left alone");
        return;
    }
    const SegmentScan scan = scan_soundly(file);
    content_agrees(scan, file);
    next_record_is_found(scan, file);
    cut_keeps_what_is_before_it(scan, file, cut_to);
}

// Makes the header right, and each thing that begins like a record a good one: with a length that fits, a frame that
// names it, and its checksum. Lengths and numbers stay the input's, so records lie inside others and repeat.
void sign(Bytes& file) {
    if (file.size() < segment_header_bytes) {
        return;
    }
    const auto header =
        encode_segment_header({.id = fuzzed_segment(), .reserved_bytes = file.size(), .created_at = {}});
    std::copy(header.begin(), header.end(), file.begin());
    // From the back, so that a record's checksum is taken over what lies inside it as it stays.
    for (std::size_t offset = file.size() / record_alignment * record_alignment; offset > segment_header_bytes;) {
        offset -= record_alignment;
        const std::span rest = std::span(file).subspan(offset);
        constexpr std::size_t header_and_name_bytes = record_header_bytes + wire::batch_header_bytes;
        if (rest.size() < header_and_name_bytes || std::memcmp(rest.data() + covered_at, "RLRC", 4) != 0) {
            continue;
        }
        const std::size_t room = rest.size() - header_and_name_bytes;
        const std::size_t frame_bytes = wire::batch_header_bytes + get<std::uint32_t>(rest, length_at) % (room + 1);
        put(rest, length_at, static_cast<std::uint32_t>(frame_bytes));
        const Bytes frame = frame_of_number(get<std::uint64_t>(rest, number_at) % 16);
        put(rest, number_at, get<std::uint64_t>(rest, number_at) % 16);
        std::copy_n(frame.begin(), wire::batch_header_bytes, rest.begin() + record_header_bytes);
        put(rest, 0, checksum64(rest.subspan(covered_at, record_header_bytes - covered_at + frame_bytes)));
    }
}

}  // namespace

bool holds_whole_record(std::span<const std::byte> file, std::size_t offset, BatchNumber number) {
    std::vector<std::byte> rest(file.begin() + static_cast<std::ptrdiff_t>(offset), file.end());
    rest.resize(std::max(rest.size(), record_header_bytes));
    std::uint32_t frame_bytes = 0;
    std::memcpy(&frame_bytes, rest.data() + 12, sizeof frame_bytes);
    if (rest.size() - record_header_bytes < frame_bytes || offset + record_header_bytes > file.size()) {
        return false;
    }
    rest.resize(record_header_bytes + frame_bytes);
    const auto header = wire::decode_batch_header(std::span(rest).subspan(record_header_bytes));
    if (!std::holds_alternative<wire::BatchHeader>(header) ||
        std::get<wire::BatchHeader>(header).name != BatchName{fuzzed_segment(), number} ||
        rest.back() == std::byte{0}) {
        return false;
    }
    std::size_t zeros = 0;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        zeros = (offset + i) % 512 == 0 ? 0 : zeros;
        zeros += rest[i] == std::byte{0} ? 1 : 0;
        if (zeros == 512) {
            return false;
        }
    }
    return true;
}

SegmentId fuzzed_segment() {
    SegmentId id;
    id.bytes.fill(0x5A);
    return id;
}

SegmentScan scan_soundly(std::span<const std::byte> file) {
    auto result = scan_segment(file, fuzzed_segment());
    claim(std::holds_alternative<SegmentScan>(result), "the file is of a version that is known");
    auto& scan = std::get<SegmentScan>(result);
    scan_is_sound(scan, file);
    return std::move(scan);
}

void read_any_identity(InputBytes input) {
    const auto bytes = input.take_rest();
    const std::string text(bytes.begin(), bytes.end());
    const auto read = parse_spool_identity(text);
    const SpoolHost host = SpoolHost::from_name("fuzzed");

    const auto fault = find_spool_identity_fault(read, host, "/spool");

    const auto* identity = std::get_if<SpoolIdentity>(&read);
    claim(fault.has_value() == (identity == nullptr || identity->host.id != host.id),
          "only a host's own folder is without fault");
    if (identity != nullptr) {
        claim(format_spool_identity(*identity) == text, "an identity is read only as it is written");
    }
    // What is written is read, whatever the host is called.
    const SpoolIdentity ours{.folder = SpoolFolderId{fuzzed_segment().bytes}, .host = SpoolHost::from_name(text)};
    const auto again = parse_spool_identity(format_spool_identity(ours));
    claim(std::holds_alternative<SpoolIdentity>(again), "a written identity is read");
    claim(std::get<SpoolIdentity>(again).folder == ours.folder &&
              std::get<SpoolIdentity>(again).host.id == ours.host.id &&
              std::get<SpoolIdentity>(again).host.name == ours.host.name,
          "a written identity comes back");
}

void read_any_file(InputBytes input) {
    const std::size_t cut = input.take_integer<std::uint16_t>();
    const auto rest = std::as_bytes(input.take_rest());
    Bytes file(rest.begin(), rest.end());
    const std::string name(reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 36));
    if (const auto id = parse_segment_file_name(name)) {
        claim(segment_file_name(*id) == name, "a file's name and its id are one");
    }

    reads_soundly(file, cut % (file.size() + 1));
    sign(file);
    reads_soundly(file, cut % (file.size() + 1));
}

}  // namespace runledger::fuzz
