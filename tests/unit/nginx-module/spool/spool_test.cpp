#include "nginx-module/spool/spool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class SpoolTest : public SpoolFixture {};

TEST_F(SpoolTest, DeliversWhatWasAppendedOnceAndLeavesOnlyAReservedSegment) {
    start();
    for (std::uint64_t i = 0; i < 50; ++i) {
        ASSERT_TRUE(append(i, 500));
    }

    deliver_all();
    pass(settings_.seal_idle_after);
    deliver_all();
    pass(1s);

    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_THAT(ledger_.retired(), SizeIs(1));
    EXPECT_THAT(files_in_folder(), SizeIs(1)) << "the next one, made ahead";
    stop();
    EXPECT_THAT(files_in_folder(), IsEmpty());
}

TEST_F(SpoolTest, MakesTheNextSegmentAhead) {
    start();
    ASSERT_TRUE(append(1));
    pass(0ms);
    const std::uint64_t steps_before = files_.steps();
    files_.fail(Op::create, EIO);

    for (std::uint64_t i = 2; i < 8; ++i) {
        ASSERT_TRUE(append(i, 50'000));  // Past the first segment's end.
    }

    EXPECT_GT(files_.steps(), steps_before);
    EXPECT_THAT(spool_->segments(), SizeIs(2));
}

TEST_F(SpoolTest, NumbersBatchesFromZeroInEverySegment) {
    start();
    for (std::uint64_t i = 0; i < 20; ++i) {
        ASSERT_TRUE(append(i, 50'000));
    }

    ASSERT_GT(spool_->segments().size(), 2U);
    for (const auto& segment : spool_->segments()) {
        for (std::size_t i = 0; i < segment->batch_count(); ++i) {
            EXPECT_EQ(segment->batch(i).place.number, i);
        }
    }
}

TEST_F(SpoolTest, SealsTheActiveSegmentWhenAckedAndHalfFull) {
    start();
    for (std::uint64_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(append(i, 50'000));
    }
    deliver_all();

    pass(10ms);
    deliver_all();

    EXPECT_THAT(ledger_.retired(), SizeIs(1));
    EXPECT_THAT(spool_->segments(), IsEmpty());
}

TEST_F(SpoolTest, DoesNotSealWhatIsNotAcked) {
    start();
    ledger_.is_reachable = false;
    ASSERT_TRUE(append(1));

    pass(10 * settings_.seal_idle_after);

    EXPECT_THAT(spool_->segments(), SizeIs(1));
    ASSERT_TRUE(append(2));
    EXPECT_THAT(spool_->segments(), SizeIs(1)) << "the same segment took it";
}

TEST_F(SpoolTest, KeepsASegmentUntilTheDaemonHasSaidRetired) {
    start();
    ledger_.answers_retire = false;
    ASSERT_TRUE(append(1));
    deliver_all();
    pass(settings_.seal_idle_after);
    deliver_all();
    ASSERT_THAT(spool_->segments(), SizeIs(1));

    ledger_.answers_retire = true;
    pass(delivery_settings_.window.resend_after);
    deliver_all();

    EXPECT_THAT(spool_->segments(), IsEmpty());
}

TEST_F(SpoolTest, UsesANewSegmentAndANewNameAfterAFailedSync) {
    start();
    ASSERT_TRUE(append(1));
    files_.fail_times(Op::sync, EIO, 1);

    EXPECT_FALSE(append(2));
    EXPECT_TRUE(append(2));

    deliver_all();
    EXPECT_EQ(ledger_.events(), (std::multiset<std::uint64_t>{1, 2}));
    std::set<SegmentId> segments;
    for (const BatchName& name : ledger_.order()) {
        segments.insert(name.segment);
    }
    EXPECT_THAT(segments, SizeIs(2));
}

TEST_F(SpoolTest, DoesNotPileUpSegmentsWhileTheDiskFails) {
    start();
    files_.fail(Op::write, EIO);
    for (std::uint64_t i = 0; i < 30; ++i) {
        EXPECT_FALSE(append(i));
    }
    files_.heal();

    EXPECT_TRUE(append(100));

    EXPECT_LE(files_in_folder().size(), 2U);
}

TEST_F(SpoolTest, RefusesBeforeItsFolderPassesTheBound) {
    start();
    ledger_.is_reachable = false;
    std::uint64_t number = 0;
    while (append(number, 20'000)) {
        ++number;
        pass(10ms);
        ASSERT_LE(allocated_bytes(), settings_.bytes_max);
        ASSERT_LT(number, 1000U);
    }

    EXPECT_GT(number * 20'000, settings_.bytes_max * 8 / 10) << "most of the room is used";
}

// It does not even make a file to find out: another courier would see it take room.
TEST_F(SpoolTest, RefusesOverItsBoundWithoutMakingAFile) {
    start();
    ledger_.is_reachable = false;
    std::uint64_t number = 0;
    while (append(number, 20'000)) {
        ++number;
    }
    files_.fail(Op::create, EIO);

    auto encoder = make_encoder();
    add_event(encoder, number, 20'000);
    EXPECT_THROW((void)spool_->append(encoder, {}, now_), SpoolFull) << "and no failing disk";
}

TEST_F(SpoolTest, AcceptsAgainWhenWhatItHoldsIsDelivered) {
    start();
    ledger_.is_reachable = false;
    std::uint64_t number = 0;
    while (append(number, 20'000)) {
        ++number;
    }

    ledger_.is_reachable = true;
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_TRUE(append(5000, 20'000));
}

TEST_F(SpoolTest, RecoversByItselfFromADiskThatIsCompletelyFull) {
    files_.set_disk_bytes(1024UL * 1024);  // Far less than the configured bound.
    start();
    ledger_.is_reachable = false;
    std::uint64_t number = 0;
    while (append(number, 20'000)) {
        ++number;
        pass(10ms);
    }
    ASSERT_GT(number, 30U) << "most of the disk is used";

    ledger_.is_reachable = true;
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_TRUE(append(5000, 20'000));
}

TEST_F(SpoolTest, FindsRoomForALargeBatchThatItsReservedSegmentIsTooSmallFor) {
    settings_.bytes_max = (8192UL + 300) * 1024;  // Too little for both.
    start();
    ASSERT_TRUE(append(1));
    pass(0ms);

    EXPECT_TRUE(append(2, 8UL * 1024 * 1024));
    EXPECT_TRUE(append(3));

    deliver_all();
    EXPECT_EQ(ledger_.events(), answered_);
}

TEST_F(SpoolTest, AdoptsADeadOwnersSegmentsTheOldestFirst) {
    start();
    for (std::uint64_t i = 0; i < 30; ++i) {
        ASSERT_TRUE(append(i, 50'000));
    }
    kill();

    start();
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_TRUE(std::is_sorted(ledger_.arrivals().begin(), ledger_.arrivals().end()));
    EXPECT_EQ(ledger_.conflicts(), 0U);
    EXPECT_GT(spool_->figures().segments_adopted, 5U);
    EXPECT_THAT(files_in_folder(), SizeIs(1)) << "all are unlinked but the one made ahead";
}

TEST_F(SpoolTest, SendsAdoptedBatchesBeforeItsOwn) {
    start();
    ledger_.is_reachable = false;
    ASSERT_TRUE(append(1));
    const SegmentId old = spool_->segments().front()->id();
    kill();
    start();
    ASSERT_TRUE(append(2));
    pass(settings_.adopt_every);

    ledger_.is_reachable = true;
    deliver_all();

    ASSERT_THAT(ledger_.order(), SizeIs(2));
    EXPECT_EQ(ledger_.order().front().segment, old);
}

TEST_F(SpoolTest, OpensABoundedNumberOfSegmentsAndDeliversAll) {
    settings_.bytes_max = 16UL * 1024 * 1024;  // Of 1 MiB.
    settings_.moving_segments_max = 2;
    start();
    ledger_.is_reachable = false;
    for (std::uint64_t i = 0; i < 60; ++i) {
        ASSERT_TRUE(append(i, 200'000));
        pass(10ms);
        ASSERT_LE(spool_->segments().size(), settings_.moving_segments_max + 1);
    }
    ASSERT_GT(files_in_folder().size(), 8U);

    ledger_.is_reachable = true;
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
}

TEST_F(SpoolTest, UnlinksAnEmptyOrphanWithoutAWord) {
    start();
    pass(0ms);
    ASSERT_THAT(files_in_folder(), SizeIs(1));
    const std::string left = files_in_folder().front();
    kill();
    std::ofstream(folder_ + "/" + segment_file_name(segment_id(0x77)));  // Killed between the create and the rest.

    start();
    pass(0ms);
    pass(0ms);
    pass(0ms);

    EXPECT_THAT(files_in_folder(), ::testing::Not(Contains(left)));
    EXPECT_THAT(files_in_folder(), SizeIs(1));
    EXPECT_THAT(ledger_.retired(), IsEmpty());
}

TEST_F(SpoolTest, LeavesForeignFilesAlone) {
    start();
    const std::vector<std::string> foreign = {"notes.txt", segment_file_name(segment_id(0x66)),
                                              segment_file_name(segment_id(0x67))};
    std::ofstream(folder_ + "/" + foreign[0]) << "do not delete";
    auto header = encode_segment_header({.id = segment_id(0x66)});
    header[8] = std::byte{9};
    std::ofstream(folder_ + "/" + foreign[1]).write(reinterpret_cast<const char*>(header.data()), header.size());
    std::filesystem::create_directory(folder_ + "/" + foreign[2]);

    tend_until_quiet();

    for (const std::string& name : foreign) {
        EXPECT_THAT(files_in_folder(), Contains(name));
    }
    EXPECT_THAT(all_log(), HasSubstr("unknown_version"));
}

TEST_F(SpoolTest, SetsADamagedSegmentAsideAfterDeliveringTheRest) {
    start();
    for (std::uint64_t i = 0; i < 5; ++i) {
        ASSERT_TRUE(append(i, 1000));
    }
    const std::string path = spool_->segments().front()->file().path();
    const auto second = spool_->segments().front()->batch(1).place;
    kill();
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(second.offset + 300));
    file << "damage";
    file.close();

    start();
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), (std::multiset<std::uint64_t>{0, 2, 3, 4}));
    EXPECT_TRUE(std::filesystem::exists(path + std::string(damaged_suffix)));
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_THAT(ledger_.retired(), IsEmpty()) << "whoever repairs it may have it sent again";
    EXPECT_THAT(all_log(), HasSubstr("damaged"));
}

TEST_F(SpoolTest, KeepsDamageThatItSawInTheSegmentBeingWritten) {
    for (const bool is_killed : {false, true}) {
        SCOPED_TRACE(is_killed ? "killed" : "stopped");
        start();
        for (std::uint64_t i = 0; i < 3; ++i) {
            ASSERT_TRUE(append(i + (is_killed ? 10 : 0), 1000));
        }
        const std::string path = spool_->segments().back()->file().path();
        const auto last = spool_->segments().back()->batch(2).place;
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(last.offset + 300));
        file << "damage";
        file.close();
        deliver_all();
        EXPECT_THAT(all_log(), HasSubstr("stored batch unreadable"));

        is_killed ? kill() : stop();
        start();
        tend_until_quiet();

        // Not cut off as a write that was never answered: that event was.
        EXPECT_TRUE(std::filesystem::exists(path + std::string(damaged_suffix)));
        EXPECT_THAT(all_log(), Not(HasSubstr("never answered")));
        stop();
    }
    EXPECT_EQ(ledger_.events(), (std::multiset<std::uint64_t>{0, 1, 10, 11}));
}

TEST_F(SpoolTest, ReadsAnOrphanAgainWhenTheDiskHasRecovered) {
    start();
    for (std::uint64_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(append(i, 1000));
    }
    kill();
    files_.fail(Op::read, EIO);
    start();
    pass(settings_.adopt_every);
    EXPECT_THAT(all_log(), HasSubstr("tried again later"));

    files_.heal();
    pass(settings_.avoid_for);
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_THAT(files_in_folder(), Each(Not(EndsWith(std::string(damaged_suffix)))));
}

TEST_F(SpoolTest, SetsAnOrphanAsideThatCanStillNotBeReadAfterAWhile) {
    start();
    ASSERT_TRUE(append(1, 1000));
    const std::string path = spool_->segments().front()->file().path();
    kill();
    files_.fail(Op::read, EIO);
    start();
    for (int looks = 0; looks < 3; ++looks) {
        EXPECT_TRUE(std::filesystem::exists(path)) << "after " << looks << " looks";
        pass(settings_.avoid_for);
    }

    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(std::filesystem::exists(path + std::string(damaged_suffix)));
}

TEST_F(SpoolTest, ReadsAnOrphanOnASlowDiskOnePieceATurn) {
    settings_.bytes_max = 64UL * 1024 * 1024;  // Segments of 4 MiB.
    settings_.read_slice = 0ms;
    start();
    for (std::uint64_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(append(i, 1000));
    }
    kill();
    start();
    int turns = 0;
    for (; spool_->segments().empty() && turns < 100; ++turns) {
        EXPECT_LE(spool_->tend_due_at(), now_) << "it goes on in the next turn";
        pass(0ms);
    }
    EXPECT_GE(turns, 16) << "pieces of 256 KiB";

    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
}

TEST_F(SpoolTest, ReadsPastBadBlocksOneATurn) {
    settings_.read_slice = 0ms;
    start();
    ASSERT_TRUE(append(1, 1000));
    const std::string path = spool_->segments().front()->file().path();
    kill();
    files_.fail(Op::read, EIO);
    start();
    int turns = 0;
    for (int looks = 0; looks < 3; ++looks) {
        pass(settings_.avoid_for);
        for (; spool_->tend_due_at() <= now_ && turns < 1000; ++turns) {
            pass(0ms);
        }
    }
    EXPECT_GE(turns, 64) << "blocks of 4 KiB";
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_TRUE(std::filesystem::exists(path + std::string(damaged_suffix)));
}

TEST_F(SpoolTest, LetsGoOfAnOrphanThatItHasNotReadToTheEnd) {
    settings_.bytes_max = 64UL * 1024 * 1024;
    settings_.read_slice = 0ms;
    start();
    ASSERT_TRUE(append(1, 1000));
    const SegmentId orphan = spool_->segments().front()->id();
    kill();
    start();
    for (int i = 0; i < 5; ++i) {
        pass(0ms);
    }
    ASSERT_TRUE(spool_->segments().empty());
    ASSERT_FALSE(SegmentFile::adopt(files_, folder_, orphan).has_value()) << "it is being read";

    spool_->close();

    EXPECT_TRUE(SegmentFile::adopt(files_, folder_, orphan).has_value());
}

TEST_F(SpoolTest, DeliversFromADiskThatTakesNoMoreWritesOrUnlinks) {
    start();
    ASSERT_TRUE(append(1));
    kill();
    for (const Op op : {Op::create, Op::write, Op::reserve, Op::truncate, Op::sync, Op::sync_folder, Op::unlink}) {
        files_.fail(op, EROFS);
    }

    start();
    tend_until_quiet();
    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_THAT(files_in_folder(), SizeIs(1));

    files_.heal();
    pass(2s);
    pass(2s);
    EXPECT_THAT(files_in_folder(), SizeIs(1)) << "unlinked, and a new one made ahead";
    EXPECT_TRUE(append(2));
}

TEST_F(SpoolTest, GoesOnWhenItsFolderCannotBeListed) {
    files_.fail(Op::list, EIO);
    start();
    pass(0ms);
    EXPECT_FALSE(append(1));

    files_.heal();

    EXPECT_TRUE(append(1));
    EXPECT_THAT(all_log(), HasSubstr("spool unreadable"));
}

}  // namespace
}  // namespace runledger::edge::test
