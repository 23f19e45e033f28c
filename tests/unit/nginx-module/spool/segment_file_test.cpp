#include "nginx-module/spool/segment_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge {
namespace {

using test::FaultFiles;
using test::make_frame;
using test::Op;
using test::segment_id;

constexpr std::uint64_t reserved_bytes = 64UL * 1024;

class SpoolSegmentFile : public ::testing::Test {
protected:
    SpoolSegmentFile() : folder_(temp_.make_folder("spool")), files_(folder_) {}

    SegmentFile create() {
        auto file = SegmentFile::create(files_, plan_);
        EXPECT_TRUE(file.has_value());
        return std::move(*file);
    }
    RecordPlace append(SegmentFile& file, std::uint64_t event, std::size_t body_bytes = 0) {
        return file.append(make_frame({.segment = file.id(), .number = file.next_number()}, {event}, body_bytes));
    }
    [[nodiscard]] SegmentContent read(const SegmentFile& file) {
        return std::get<SegmentContent>(open_segment(files_, file.path()));
    }

    runledger::test::TempFolder temp_;
    std::string folder_;
    FaultFiles files_;
    SegmentFile::Plan plan_{.folder = folder_,
                            .id = segment_id(0xA1),
                            .reserved_bytes = reserved_bytes,
                            .created_at = WallTime{std::chrono::microseconds{42}}};
};

TEST_F(SpoolSegmentFile, ReservesItsSpaceWhenMade) {
    const auto file = create();

    EXPECT_GE(file.allocated_bytes(), reserved_bytes);
    EXPECT_EQ(files_.facts(file.path())->size_bytes, reserved_bytes);
}

TEST_F(SpoolSegmentFile, GivesBackAppendedFrames) {
    auto file = create();

    const auto first = append(file, 1);
    const auto second = append(file, 2, 5000);

    EXPECT_EQ(first.number, 0U);
    EXPECT_EQ(second.number, 1U);
    EXPECT_EQ(file.read_frame(second), make_frame({.segment = file.id(), .number = 1}, {2}, 5000));
    EXPECT_EQ(read(file).batches().size(), 2U);
    EXPECT_EQ(read(file).header()->created_at, plan_.created_at);
}

TEST_F(SpoolSegmentFile, CanBeReadWhileItIsOwnedAndWritten) {
    auto file = create();
    append(file, 1);

    EXPECT_EQ(read(file).batches().size(), 1U);
    append(file, 2);
    EXPECT_EQ(read(file).batches().size(), 2U);
    EXPECT_EQ(read(file).end(), ScanEnd::clean);
}

TEST_F(SpoolSegmentFile, WritesTheWholeRecordThoughEachWriteIsShort) {
    auto file = create();
    files_.write_short(7);

    append(file, 1, 3000);

    EXPECT_EQ(read(file).batches().size(), 1U);
    EXPECT_EQ(read(file).end(), ScanEnd::clean);
}

// Files that note where was written.
class NotedFiles : public PosixFiles {
public:
    struct Written {
        std::uint64_t begin{};
        std::uint64_t end{};
    };

    [[nodiscard]] std::size_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override {
        written.push_back({.begin = offset, .end = offset + bytes.size()});
        return PosixFiles::write_at(fd, bytes, offset);
    }

    std::vector<Written> written;
};

class SpoolSegmentFileAhead : public SpoolSegmentFile {
protected:
    SegmentFile create_noted(std::uint64_t bytes) {
        plan_.reserved_bytes = bytes;
        auto file = SegmentFile::create(noted_, plan_);
        EXPECT_TRUE(file.has_value());
        noted_.written.clear();
        return std::move(*file);
    }

    NotedFiles noted_;
};

TEST_F(SpoolSegmentFileAhead, FillsSpaceForManyRecordsAtOnce) {
    auto file = create_noted(1024UL * 1024);

    append(file, 1);
    const auto first = noted_.written.back();
    for (std::uint64_t i = 2; file.used_bytes() + 4096 < first.end; ++i) {
        const std::uint64_t begin = file.used_bytes();
        append(file, i, 1000);
        EXPECT_EQ(noted_.written.back().begin, begin);
        EXPECT_EQ(noted_.written.back().end, file.used_bytes()) << "nothing but the record";
    }

    EXPECT_GT(noted_.written.size(), 30U);
    append(file, 0, 5000);
    EXPECT_GT(noted_.written.back().end, file.used_bytes()) << "filled again";
    EXPECT_EQ(read(file).batches().size(), noted_.written.size());
    EXPECT_EQ(read(file).end(), ScanEnd::clean);
}

TEST_F(SpoolSegmentFileAhead, WritesLargeRecordsOnce) {
    auto file = create_noted(1024UL * 1024);

    for (std::uint64_t i = 0; i < 4; ++i) {
        append(file, i, 100'000);
        EXPECT_EQ(noted_.written.back().end, file.used_bytes());
    }
    append(file, 4);

    EXPECT_GT(noted_.written.back().end, file.used_bytes()) << "filled for small ones again";
    EXPECT_EQ(read(file).batches().size(), 5U);
}

TEST_F(SpoolSegmentFileAhead, NeverWritesBeyondWhatIsReserved) {
    auto file = create_noted(reserved_bytes);

    std::uint64_t batches = 0;
    for (; file.takes(5100); ++batches) {
        append(file, batches, 5000);
    }

    for (const auto& one : noted_.written) {
        EXPECT_LE(one.end, reserved_bytes);
    }
    EXPECT_EQ(files_.facts(file.path())->size_bytes, reserved_bytes);
    EXPECT_EQ(read(file).batches().size(), batches);
}

TEST_F(SpoolSegmentFileAhead, LeavesZerosBehindTheLastRecord) {
    auto file = create_noted(reserved_bytes);
    append(file, 1);
    append(file, 2);

    const std::string bytes = runledger::test::read_text(file.path());

    EXPECT_EQ(bytes.find_first_not_of('\0', file.used_bytes()), std::string::npos);
}

TEST_F(SpoolSegmentFile, IsNeverWrittenAgainAfterAnyFailure) {
    struct Row {
        const char* name;
        Op op;
        int error;
    };
    const Row rows[] = {{"write fails", Op::write, EIO},
                        {"disk full in spite of the reservation", Op::write, ENOSPC},
                        {"sync fails", Op::sync, EIO}};
    for (const Row& row : rows) {
        plan_.id = fresh_segment_id();
        auto file = create();
        append(file, 1);
        files_.fail_times(row.op, row.error, 1);

        EXPECT_THROW(append(file, 2), std::system_error) << row.name;

        EXPECT_FALSE(file.is_writable()) << row.name;
        EXPECT_FALSE(file.takes(1)) << row.name;
        EXPECT_EQ(file.next_number(), 1U) << row.name;
        const std::uint64_t steps = files_.steps();
        file.seal();
        EXPECT_EQ(files_.steps(), steps + 1) << "only the truncation";
        EXPECT_EQ(read(file).batches().size(), 1U) << row.name;
    }
}

TEST_F(SpoolSegmentFile, SealingGivesTheUnusedSpaceBack) {
    auto file = create();
    append(file, 1);

    file.seal();

    EXPECT_LT(file.allocated_bytes(), reserved_bytes / 4);
    EXPECT_EQ(files_.facts(file.path())->size_bytes, file.used_bytes());
    EXPECT_EQ(read(file).batches().size(), 1U);
}

TEST_F(SpoolSegmentFile, LeavesNothingBehindWhenItCannotBeMade) {
    struct Row {
        Op op;
        int error;
    };
    for (const Row row :
         {Row{Op::reserve, ENOSPC}, Row{Op::write, EIO}, Row{Op::sync, EIO}, Row{Op::sync_folder, EIO}}) {
        files_.fail(row.op, row.error);

        EXPECT_THROW((void)SegmentFile::create(files_, plan_), std::system_error);

        EXPECT_TRUE(std::filesystem::is_empty(folder_));
        files_.heal();
    }
}

TEST_F(SpoolSegmentFile, IsOwnedByOneOnly) {
    auto owner = std::make_optional(create());
    EXPECT_FALSE(SegmentFile::adopt(files_, folder_, owner->id()).has_value());

    owner.reset();

    EXPECT_TRUE(SegmentFile::adopt(files_, folder_, plan_.id).has_value());
}

// Between the open and the lock of one courier, another may have unlinked the file.
class UnlinkingFiles : public PosixFiles {
public:
    std::string victim;
    [[nodiscard]] bool try_lock(int fd) override {
        if (!victim.empty()) {
            PosixFiles::unlink(victim);
            victim.clear();
        }
        return PosixFiles::try_lock(fd);
    }
};

TEST_F(SpoolSegmentFile, IsNotAdoptedAfterItWasUnlinked) {
    UnlinkingFiles racing;
    std::string path;
    {
        const auto file = create();
        path = file.path();
    }
    racing.victim = path;

    EXPECT_FALSE(SegmentFile::adopt(racing, folder_, plan_.id).has_value());
}

// As after an operator has moved the folder's files away and back: what stands there under the name is not its own.
TEST_F(SpoolSegmentFile, RemovesAndRenamesNoOtherFileOfItsName) {
    auto file = create();
    append(file, 1);
    std::filesystem::rename(file.path(), file.path() + ".moved");
    std::filesystem::copy_file(file.path() + ".moved", file.path());

    file.unlink();
    file.set_aside();
    file.keep(plan_.created_at);

    EXPECT_TRUE(std::filesystem::exists(file.path()));
    EXPECT_THROW(append(file, 2), std::system_error);
}

TEST_F(SpoolSegmentFile, IsNotUsedIfAnotherTookItForAnOrphanWhileItWasMade) {
    UnlinkingFiles racing;
    racing.victim = folder_ + "/" + segment_file_name(plan_.id);

    EXPECT_FALSE(SegmentFile::create(racing, plan_).has_value());
}

TEST_F(SpoolSegmentFile, CutsATornTailWhenAdopted) {
    {
        auto file = create();
        append(file, 1);
        files_.fail_times(Op::write, EIO, 1);
        EXPECT_THROW(append(file, 2, 9000), std::system_error);
    }

    auto adopted = SegmentFile::adopt(files_, folder_, plan_.id);
    ASSERT_TRUE(adopted.has_value());
    auto reading = adopted->start_reading();
    while (reading.read_next()) {
    }
    const auto content = std::get<SegmentContent>(adopted->finish_reading(reading));

    EXPECT_EQ(content.end(), ScanEnd::torn_tail);
    EXPECT_EQ(content.batches().size(), 1U);
    EXPECT_EQ(files_.facts(adopted->path())->size_bytes, content.used_bytes());
}

TEST_F(SpoolSegmentFile, BadBlocksAreDamageAndCostOnlyWhatIsInThem) {
    auto file = create();
    append(file, 1);
    append(file, 2, 9000);
    append(file, 3);
    files_.fail_times(Op::read, EIO, 3);  // The first chunk, and two blocks of it.

    const auto content = read(file);

    EXPECT_EQ(content.end(), ScanEnd::damaged);
    ASSERT_EQ(content.batches().size(), 1U);
    EXPECT_EQ(content.batches().front().number, 2U);
}

TEST_F(SpoolSegmentFile, BadBlocksAtTheEndAreDamageAndNoEnd) {
    auto file = create();
    append(file, 1);
    files_.fail(Op::read, EIO);

    const auto content = read(file);

    EXPECT_EQ(content.end(), ScanEnd::damaged);
    EXPECT_TRUE(content.batches().empty());
}

TEST_F(SpoolSegmentFile, ReaderSaysWhyAFileIsNoSegment) {
    auto file = create();
    append(file, 1);
    const std::string copy = folder_ + "/" + segment_file_name(segment_id(0xC3));
    std::filesystem::copy_file(file.path(), copy);
    const std::string huge = folder_ + "/" + segment_file_name(segment_id(0xD4));
    temp_.write_file("spool/" + segment_file_name(segment_id(0xD4)), "");
    std::filesystem::resize_file(huge, 5UL * segment_bytes);

    const auto fault = [&](const std::string& path) { return std::get<SegmentFault>(open_segment(files_, path)); };
    EXPECT_EQ(fault(copy), SegmentFault::foreign_id);
    EXPECT_EQ(fault(huge), SegmentFault::too_large);
    EXPECT_EQ(fault(folder_ + "/notes.txt"), SegmentFault::bad_name);
    EXPECT_EQ(fault(folder_ + "/" + segment_file_name(segment_id(0xE5))), SegmentFault::no_such_file);
}

}  // namespace
}  // namespace runledger::edge
