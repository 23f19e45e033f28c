#include "common/spool_format.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/frames.hpp"

namespace runledger {
namespace {

using test::make_frame;
using test::segment_id;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Bytes = std::vector<std::byte>;

std::string hex(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text += digits[std::to_integer<unsigned>(byte) >> 4U];
        text += digits[std::to_integer<unsigned>(byte) & 0xFU];
    }
    return text;
}

const SegmentHeader header_of_a1{.id = segment_id(0xA1),
                                 .reserved_bytes = 4096,
                                 .created_at = WallTime{std::chrono::microseconds{1'700'000'000'000'000}}};

class SpoolFormat : public ::testing::Test {
protected:
    SpoolFormat() {
        const auto header = encode_segment_header(header_of_a1);
        file_.assign(header.begin(), header.end());
    }

    // Appends a record of the next number; returns where it starts.
    std::size_t append(BatchNumber number, std::size_t body_bytes = 0) {
        const std::size_t start = file_.size();
        append_record(file_, number, make_frame({.segment = id_, .number = number}, {number}, body_bytes));
        return start;
    }
    void reserve(std::size_t bytes) { file_.resize(file_.size() + bytes); }
    // As a segment is until it is sealed: as long as its header says.
    void fill_space() { file_.resize(std::max<std::size_t>(file_.size(), header_of_a1.reserved_bytes)); }

    [[nodiscard]] SegmentScan scan() const {
        auto result = scan_segment(file_, id_);
        EXPECT_TRUE(std::holds_alternative<SegmentScan>(result));
        return std::get<SegmentScan>(result);
    }
    [[nodiscard]] std::vector<BatchNumber> numbers() const {
        std::vector<BatchNumber> found;
        for (const RecordPlace& place : scan().records) {
            found.push_back(place.number);
        }
        return found;
    }

    SegmentId id_{segment_id(0xA1)};
    Bytes file_;
};

// These bytes stand in docs/spool-format.md. A change here needs a new segment_version.
TEST_F(SpoolFormat, TellsACopyFromAnOriginal) {
    SegmentHeader copy = header_of_a1;
    copy.is_copy = true;

    const auto decoded = decode_segment_header(encode_segment_header(copy));
    const auto original = decode_segment_header(encode_segment_header(header_of_a1));

    EXPECT_TRUE(std::get<SegmentHeader>(decoded).is_copy);
    EXPECT_FALSE(std::get<SegmentHeader>(original).is_copy);
}

TEST_F(SpoolFormat, HeaderIsTheDocumentedBytes) {
    EXPECT_EQ(hex(file_),
              "524c53504f4f4c0a"                  // magic
              "01000000"                          // version
              "40000000"                          // header bytes
              "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"  // segment id
              "0010000000000000"                  // reserved bytes
              "00401e18240a0600"                  // created at
              "0000000000000000"                  // zero
              "e5eb555eab350853");                // checksum
}

TEST_F(SpoolFormat, RecordIsTheDocumentedBytes) {
    Bytes record;

    append_record(record, 0, make_frame({.segment = id_, .number = 0}, {7}));

    EXPECT_EQ(hex(record),
              "afa579234f41b6f5"                  // checksum
              "524c5243"                          // magic
              "a6000000"                          // frame bytes
              "0000000000000000"                  // batch number
              "524c574d01010000"                  // the frame, wire-format.md: prelude
              "1d700749979aa166a1c6e67980646c4b"  // digest
              "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"  // segment id
              "0000000000000000"                  // batch number
              "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"  // boot id
              "01000000"                          // events
              "06000000"                          // edge name's length
              "656467652d31"                      // edge name
              "40222018240a0600"                  // received at
              "b168de3a00000000"                  // boottime
              "00000000"                          // flags
              "40000000"                          // body bytes
              "7b2272756e5f6964223a2272756e2d37222c22737461747573223a2272756e6e"
              "696e67222c226576656e745f74797065223a2272756e2e75706461746564227d"  // body
              "0000");                                                            // padding
}

TEST_F(SpoolFormat, HeaderComesBackAsItWasWritten) {
    const auto decoded = decode_segment_header(file_);

    const auto& header = std::get<SegmentHeader>(decoded);
    EXPECT_EQ(header.id, header_of_a1.id);
    EXPECT_EQ(header.reserved_bytes, header_of_a1.reserved_bytes);
    EXPECT_EQ(header.created_at, header_of_a1.created_at);
}

TEST_F(SpoolFormat, EveryChangedByteOfTheHeaderIsNoticed) {
    for (std::size_t i = 0; i < segment_header_bytes; ++i) {
        Bytes changed = file_;
        changed[i] ^= std::byte{0x10};

        const auto decoded = decode_segment_header(changed);

        ASSERT_TRUE(std::holds_alternative<HeaderFault>(decoded)) << "byte " << i;
        const bool is_version = i >= 8 && i < 12;
        EXPECT_EQ(std::get<HeaderFault>(decoded), is_version ? HeaderFault::unknown_version : HeaderFault::damaged);
    }
}

TEST_F(SpoolFormat, FileNameIsTheIdAndNothingElse) {
    struct Row {
        const char* name;
        bool is_ours;
    };
    const Row rows[] = {{"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1.seg", true},
                        {"A1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1.seg", false},
                        {"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1.seg.damaged", false},
                        {"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", false},
                        {"a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1.seg", false},
                        {".seg", false},
                        {"..", false},
                        {"a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1ag.seg", false}};
    for (const Row& row : rows) {
        EXPECT_EQ(parse_segment_file_name(row.name).has_value(), row.is_ours) << row.name;
    }
    EXPECT_EQ(parse_segment_file_name(segment_file_name(id_)), id_);
}

TEST_F(SpoolFormat, ScanFindsEveryRecordAndACleanEndInReservedSpace) {
    append(0);
    append(1, 1000);
    append(2, 13);
    const std::size_t used = file_.size();
    reserve(5000);

    const auto result = scan();

    EXPECT_THAT(numbers(), ::testing::ElementsAre(0, 1, 2));
    EXPECT_EQ(result.end, ScanEnd::clean);
    EXPECT_EQ(result.used_bytes, used);
    EXPECT_EQ(frame_of_record(std::span(file_).subspan(result.records[1].offset), result.records[1]).value().size(),
              result.records[1].frame_bytes);
}

TEST_F(SpoolFormat, EmptySegmentsEndCleanly) {
    EXPECT_EQ(scan().end, ScanEnd::clean);
    reserve(4096);
    EXPECT_EQ(scan().end, ScanEnd::clean);
    file_.clear();
    EXPECT_EQ(scan().end, ScanEnd::clean);
    EXPECT_FALSE(scan().header.has_value());
    file_.resize(300);  // Reserved, and the power was lost before the header was written.
    EXPECT_EQ(scan().end, ScanEnd::clean);
    EXPECT_THAT(scan().records, IsEmpty());
}

TEST_F(SpoolFormat, TailIsTornWhereverTheWriteStopped) {
    append(0);
    const std::size_t last = append(1, 300);
    const std::size_t end = file_.size();
    fill_space();
    const Bytes whole = file_;
    for (std::size_t cut = last + 1; cut < end - record_alignment; ++cut) {
        file_ = whole;
        std::fill(file_.begin() + static_cast<std::ptrdiff_t>(cut), file_.end(), std::byte{0});
        const bool anything_written = !std::all_of(file_.begin() + static_cast<std::ptrdiff_t>(last), file_.end(),
                                                   [](std::byte b) { return b == std::byte{0}; });

        const auto result = scan();

        ASSERT_THAT(result.records, SizeIs(1)) << "cut at " << cut - last;
        EXPECT_EQ(result.end, anything_written ? ScanEnd::torn_tail : ScanEnd::clean) << "cut at " << cut - last;
        EXPECT_EQ(result.used_bytes, last);
    }
}

TEST_F(SpoolFormat, ABadLastRecordOfASealedFileIsDamage) {
    append(0);
    const std::size_t last = append(1, 300);
    const std::size_t end = file_.size();
    ASSERT_LT(end, header_of_a1.reserved_bytes);
    for (std::size_t i = last; i < last + record_header_bytes + 300; ++i) {
        file_[i] ^= std::byte{0x01};

        ASSERT_THAT(numbers(), ::testing::ElementsAre(0)) << "byte " << i - last;
        EXPECT_EQ(scan().end, ScanEnd::damaged);
        EXPECT_EQ(scan().used_bytes, last);

        file_[i] ^= std::byte{0x01};
    }
    EXPECT_EQ(scan().end, ScanEnd::clean);
    file_.resize(end - 40);  // Or one that was cut by somebody else.
    EXPECT_EQ(scan().end, ScanEnd::damaged);
}

// A killed worker seals nothing, and answered its last record, too.
TEST_F(SpoolFormat, AChangedByteOfTheLastRecordIsDamageThoughTheFileIsNotSealed) {
    append(0);
    const std::size_t last = append(1, 1500);
    const std::size_t frame_bytes = make_frame({.segment = id_, .number = 1}, {1}, 1500).size();
    fill_space();
    // Without its length or its frame's name nothing says what was written there: it seems torn.
    constexpr std::size_t behind_the_name = record_header_bytes + 48;
    ASSERT_GT(frame_bytes, 1024U);
    for (std::size_t i = behind_the_name; i < record_header_bytes + frame_bytes; ++i) {
        file_[last + i] ^= std::byte{0x01};

        EXPECT_EQ(scan().end, ScanEnd::damaged) << "byte " << i;
        EXPECT_EQ(scan().used_bytes, last);

        file_[last + i] ^= std::byte{0x01};
    }
    for (std::size_t i : {0U, 7U}) {  // Its checksum.
        file_[last + i] ^= std::byte{0x01};
        EXPECT_EQ(scan().end, ScanEnd::damaged);
        file_[last + i] ^= std::byte{0x01};
    }
    EXPECT_EQ(scan().end, ScanEnd::clean);
}

TEST_F(SpoolFormat, ALastRecordThatLacksABlockIsTorn) {
    append(0);
    const std::size_t last = append(1, 1500);
    const std::size_t end = file_.size();
    fill_space();
    const Bytes whole = file_;
    int blocks = 0;
    for (std::size_t block = (last / 512 + 1) * 512; block + 512 <= end; block += 512, ++blocks) {
        file_ = whole;
        std::fill_n(file_.begin() + static_cast<std::ptrdiff_t>(block), 512, std::byte{0});

        EXPECT_EQ(scan().end, ScanEnd::torn_tail);
        EXPECT_EQ(scan().used_bytes, last);
    }
    EXPECT_GT(blocks, 1);
}

TEST_F(SpoolFormat, EveryChangedByteOfARecordInTheMiddleIsDamageThatCostsNoOther) {
    append(0);
    const std::size_t middle = append(1);
    const std::size_t last = append(2);
    reserve(100);
    const std::size_t frame_end = middle + record_header_bytes + make_frame({.segment = id_, .number = 1}, {1}).size();
    ASSERT_LE(frame_end, last);
    for (std::size_t i = middle; i < frame_end; ++i) {
        file_[i] ^= std::byte{0x01};

        ASSERT_THAT(numbers(), ::testing::ElementsAre(0, 2)) << "byte " << i - middle;
        EXPECT_EQ(scan().end, ScanEnd::damaged);

        file_[i] ^= std::byte{0x01};
    }
    EXPECT_EQ(scan().end, ScanEnd::clean);
}

TEST_F(SpoolFormat, RecordsAreFoundThoughTheHeaderIsDamaged) {
    append(0);
    append(1);
    file_[20] ^= std::byte{0xFF};

    EXPECT_THAT(numbers(), ::testing::ElementsAre(0, 1));
    EXPECT_EQ(scan().end, ScanEnd::damaged);
}

TEST_F(SpoolFormat, UnknownVersionIsLeftAlone) {
    append(0);
    file_[8] = std::byte{2};

    EXPECT_EQ(std::get<HeaderFault>(scan_segment(file_, id_)), HeaderFault::unknown_version);
}

TEST_F(SpoolFormat, RecordOfAnotherSegmentIsNone) {
    append(0);
    append_record(file_, 1, make_frame({.segment = segment_id(0xB2), .number = 1}, {1}));
    fill_space();

    EXPECT_THAT(numbers(), ::testing::ElementsAre(0));
    EXPECT_EQ(scan().end, ScanEnd::torn_tail);
}

TEST_F(SpoolFormat, BodyThatHoldsARecordIsNotTakenForOne) {
    // Given a sender that knows the format, but not the segment's id, and a crash that tore its batch's record.
    Bytes forged;
    append_record(forged, 5, make_frame({.segment = segment_id(0), .number = 5}, {666}));
    forged.resize(forged.size() + 8);
    append(0);
    const std::size_t torn = file_.size();
    auto encoder = test::make_encoder();
    for (int shift = 0; shift < 8; ++shift) {  // One of them stands on a record's alignment.
        encoder.add({.stamp = {}, .flags = 0, .body = {reinterpret_cast<const char*>(forged.data()), forged.size()}});
        encoder.add({.stamp = {}, .flags = 0, .body = "x"});
    }
    append_record(file_, 1, encoder.finish({.segment = id_, .number = 1}));
    const std::size_t block = (torn / 512 + 1) * 512;
    std::memset(file_.data() + torn, 0, block - torn);
    fill_space();

    EXPECT_THAT(numbers(), ::testing::ElementsAre(0));
    EXPECT_EQ(scan().end, ScanEnd::torn_tail);
}

TEST_F(SpoolFormat, ABodyFullOfRecordHeadersIsScannedInLinearTime) {
    // Given a torn record whose body repeats a record's header, each claiming the largest length that fits.
    append(0);
    const std::size_t torn = file_.size();
    Bytes header(record_header_bytes);
    std::memcpy(header.data() + 8, "RLRC", 4);
    header[16] = std::byte{1};  // The number that is looked for.
    // What stands before the body in the record ends here: the headers in it are aligned as records are.
    const std::size_t before_body =
        record_header_bytes + make_frame({.segment = id_, .number = 1}, {1}).size() - test::body_of(1).size();
    std::string body((record_alignment - before_body % record_alignment) % record_alignment, ' ');
    while (body.size() + 2 * record_header_bytes < body_bytes_max) {
        const auto length = static_cast<std::uint32_t>(body_bytes_max - body.size() - record_header_bytes);
        std::memcpy(header.data() + 12, &length, sizeof length);
        body.append(reinterpret_cast<const char*>(header.data()), header.size());
    }
    auto encoder = test::make_encoder();
    encoder.add({.stamp = {}, .flags = 0, .body = body});
    append_record(file_, 1, encoder.finish({.segment = id_, .number = 1}));
    file_[torn] ^= std::byte{0xFF};
    fill_space();

    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(scan().end, ScanEnd::torn_tail);
    // Checksumming each would take hundreds of seconds.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{10});
}

}  // namespace
}  // namespace runledger
