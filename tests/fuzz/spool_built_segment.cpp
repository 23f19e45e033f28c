#include <algorithm>
#include <string>
#include <vector>

#include "common/segment_content.hpp"
#include "common/wire.hpp"
#include "tests/fuzz/claim.hpp"
#include "tests/fuzz/spool_cases.hpp"

namespace runledger::fuzz {
namespace {

using Bytes = std::vector<std::byte>;

// The largest file that is built: far beyond what it takes to meet every rule, and quick.
constexpr std::size_t file_bytes_max = 32UL * 1024;

// What the segment's writer, its disk and its enemies did, one after the other.
enum class Step : std::uint8_t {
    good_record,
    record_of_later_number,
    record_of_number_before,
    record_of_other_segment,
    record_with_changed_byte,
    zeros,
    other_bytes,
};
constexpr std::size_t step_count = 7;

// A file and the records in it that are good by themselves, in the file's order.
struct Built {
    Bytes file;
    std::vector<RecordPlace> good;
    bool header_is_good{true};
};

// What must be found: the good records by rising number, and what their places say of the end.
struct Expected {
    std::vector<RecordPlace> records;
    ScanEnd end{ScanEnd::clean};
    std::size_t used_bytes{};
};

Expected expect(const Built& built) {
    Expected expected;
    const std::size_t file_bytes = built.file.size();
    expected.used_bytes = std::min(segment_header_bytes, file_bytes);
    BatchNumber next = 0;
    bool is_damaged = false;
    for (const RecordPlace& place : built.good) {
        if (place.number < next) {
            continue;  // A repeat makes no record.
        }
        is_damaged = is_damaged || place.number != next || place.offset != expected.used_bytes;
        expected.records.push_back(place);
        expected.used_bytes = std::min<std::size_t>(place.offset + record_bytes(place.frame_bytes), file_bytes);
        next = place.number + 1;
    }
    const auto is_zero_from = [&](std::size_t from) {
        return std::all_of(built.file.begin() + static_cast<std::ptrdiff_t>(std::min(from, file_bytes)),
                           built.file.end(), [](std::byte byte) { return byte == std::byte{0}; });
    };
    is_damaged = is_damaged || (!built.header_is_good && !is_zero_from(segment_header_bytes));
    if (built.header_is_good && !is_zero_from(expected.used_bytes)) {
        const auto header = decode_segment_header(built.file);
        is_damaged = is_damaged || file_bytes < std::get<SegmentHeader>(header).reserved_bytes;  // It was sealed.
    }
    is_damaged = is_damaged || holds_whole_record(built.file, expected.used_bytes, next);
    if (is_damaged) {
        expected.end = ScanEnd::damaged;
    } else if (!is_zero_from(expected.used_bytes)) {
        expected.end = ScanEnd::torn_tail;
    }
    return expected;
}

void is_found(const Built& built) {
    const Expected expected = expect(built);

    const SegmentScan scan = scan_soundly(built.file);

    claim(scan.header.has_value() == built.header_is_good, "a header is read if it is good");
    claim(std::equal(scan.records.begin(), scan.records.end(), expected.records.begin(), expected.records.end(),
                     [](const RecordPlace& a, const RecordPlace& b) {
                         return a.number == b.number && a.offset == b.offset && a.frame_bytes == b.frame_bytes;
                     }),
          "exactly the good records are found");
    claim(scan.end == expected.end, "the end is what the records' places say");
    claim(scan.used_bytes == expected.used_bytes, "what is used ends with the last record");
}

// Bytes that make no record: without an R there is no magic in them.
Bytes take_innocent(InputBytes& input, std::size_t bytes_max) {
    const std::string text = input.take_text(bytes_max);
    Bytes bytes(text.size());
    std::transform(text.begin(), text.end(), bytes.begin(),
                   [](char c) { return c == 'R' ? std::byte{0} : std::byte{static_cast<std::uint8_t>(c)}; });
    return bytes;
}

Bytes take_frame(InputBytes& input, const BatchName& name) {
    wire::BatchEncoder encoder({.boot = {}, .edge_name = "edge"});
    const Bytes body = take_innocent(input, 256);
    encoder.add({.stamp = {}, .flags = 0, .body = {reinterpret_cast<const char*>(body.data()), body.size()}});
    return encoder.finish(name);
}

Built build(InputBytes& input) {
    const SegmentId id = fuzzed_segment();
    Built built;
    const auto header =
        encode_segment_header({.id = id,
                               .reserved_bytes = input.take_integer<std::uint64_t>(),
                               .created_at = WallTime{std::chrono::microseconds{input.take_integer<std::int64_t>()}}});
    built.file.assign(header.begin(), header.end());
    BatchNumber next = 0;
    const std::size_t steps = input.take_integer<std::uint8_t>() % 64;
    for (std::size_t i = 0; i < steps && built.file.size() < file_bytes_max; ++i) {
        const std::size_t offset = built.file.size();
        const auto append = [&](BatchNumber number, const SegmentId& segment) {
            const Bytes frame = take_frame(input, {.segment = segment, .number = number});
            append_record(built.file, number, frame);
            return RecordPlace{.number = number, .offset = offset, .frame_bytes = frame.size()};
        };
        switch (static_cast<Step>(input.take_integer<std::uint8_t>() % step_count)) {
            case Step::good_record:
                built.good.push_back(append(next, id));
                ++next;
                break;
            case Step::record_of_later_number:
                next += 1 + input.take_integer<std::uint16_t>();
                built.good.push_back(append(next, id));
                ++next;
                break;
            case Step::record_of_number_before:
                built.good.push_back(append(next == 0 ? 0 : input.take_up_to(next - 1), id));
                next = std::max(next, built.good.back().number + 1);
                break;
            case Step::record_of_other_segment: {
                SegmentId other = id;
                other.bytes[input.take_up_to(15)] ^= 0x01;
                static_cast<void>(append(next, other));  // No record of this file.
                break;
            }
            case Step::record_with_changed_byte: {
                const RecordPlace place = append(next, id);
                built.file[offset + input.take_up_to(record_header_bytes + place.frame_bytes - 1)] ^= std::byte{0x01};
                break;
            }
            case Step::zeros:
                built.file.resize(offset + record_alignment * (1 + input.take_up_to(32)));
                break;
            case Step::other_bytes: {
                const Bytes bytes = take_innocent(input, 128);
                built.file.insert(built.file.end(), bytes.begin(), bytes.end());
                built.file.resize((built.file.size() + record_alignment - 1) / record_alignment * record_alignment);
                break;
            }
        }
    }
    return built;
}

// One byte rots: at most the record that it stands in is lost, and if it is the header, that is known.
void rot_costs_one_record(Built built, InputBytes& input) {
    constexpr std::size_t version_at = 8;
    const std::size_t rotten_at = input.take_up_to(built.file.size() - 1);
    // Not a bit that Step::record_with_changed_byte changes: that could heal what it damaged.
    built.file[rotten_at] ^= std::byte{0x80};
    if (rotten_at >= version_at && rotten_at < version_at + sizeof(std::uint32_t)) {
        claim(std::holds_alternative<HeaderFault>(scan_segment(built.file, fuzzed_segment())),
              "another version is left alone");
        return;
    }
    built.header_is_good = rotten_at >= segment_header_bytes;
    std::erase_if(built.good, [&](const RecordPlace& place) {
        return rotten_at >= place.offset && rotten_at < place.offset + record_header_bytes + place.frame_bytes;
    });
    is_found(built);
}

void cut_costs_what_is_behind_it(Built built, InputBytes& input) {
    built.file.resize(input.take_up_to(built.file.size()));
    built.header_is_good = built.file.size() >= segment_header_bytes;
    std::erase_if(built.good, [&](const RecordPlace& place) {
        return place.offset + record_header_bytes + place.frame_bytes > built.file.size();
    });
    is_found(built);
}

void another_segments_file_is_foreign(const Built& built) {
    SegmentId other = fuzzed_segment();
    other.bytes.front() ^= 0x01;
    const auto parsed = SegmentContent::parse(other, built.file, true);
    claim(std::holds_alternative<SegmentFault>(parsed) && std::get<SegmentFault>(parsed) == SegmentFault::foreign_id,
          "a renamed file is foreign");
    const auto incomplete = SegmentContent::parse(fuzzed_segment(), built.file, false);
    claim(std::holds_alternative<SegmentContent>(incomplete) &&
              std::get<SegmentContent>(incomplete).end() == ScanEnd::damaged,
          "a file that can't be read whole is damaged");
}

}  // namespace

void read_built_segment(InputBytes input) {
    const Built built = build(input);

    is_found(built);
    another_segments_file_is_foreign(built);
    rot_costs_one_record(built, input);
    cut_costs_what_is_behind_it(built, input);
}

}  // namespace runledger::fuzz
