// Retired segments that are kept for a while: for how long, what sends them again, and that they never cost a 2xx.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class SpoolKept : public SpoolFixture {
protected:
    SpoolKept() { settings_.keep_acked = 1h; }

    // Each in a segment of its own, delivered and retired.
    void retire_segments(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            ASSERT_TRUE(append(first + i, 150'000));
            deliver_all();
            pass(1s);  // Acked and half full: it is sealed.
            deliver_all();
        }
    }
    [[nodiscard]] std::vector<std::string> kept_names() const {
        std::vector<std::string> names;
        for (const std::string& name : files_in_folder()) {
            if (name.ends_with(kept_suffix)) {
                names.push_back(name);
            }
        }
        return names;
    }
    void send_again(const std::string& name) {
        const std::string path = folder_ + "/" + name;
        std::filesystem::rename(path, path.substr(0, path.size() - kept_suffix.size()));
    }
    // Appends until there is no room, with the daemon away; returns how many were stored.
    std::uint64_t fill(std::uint64_t first) {
        ledger_.is_reachable = false;
        std::uint64_t count = 0;
        while (append(first + count, 20'000)) {
            ++count;
            pass(10ms);
            EXPECT_LE(allocated_bytes(), settings_.bytes_max);
        }
        return count;
    }
};

TEST_F(SpoolKept, StaysForItsTimeAcrossRestartsAndIsRemovedThen) {
    start();
    retire_segments(1, 1);
    ASSERT_THAT(kept_names(), SizeIs(1));
    EXPECT_EQ(kept_names().front(), segment_file_name(*ledger_.retired().begin()).append(kept_suffix));
    pass(settings_.adopt_every);
    EXPECT_EQ(spool_->figures().folder_kept_segments, 1U);
    EXPECT_GE(spool_->figures().folder_kept_bytes, 150'000U);
    EXPECT_LT(spool_->figures().folder_kept_bytes, spool_->figures().folder_bytes) << "the one made ahead counts, too";
    stop();

    start();
    pass(59min);
    EXPECT_THAT(kept_names(), SizeIs(1));
    EXPECT_EQ(spool_->figures().folder_kept_segments, 1U);
    pass(1min);

    EXPECT_THAT(kept_names(), IsEmpty());
    EXPECT_EQ(spool_->figures().folder_kept_segments, 0U);
    EXPECT_EQ(spool_->figures().folder_kept_bytes, 0U);
    EXPECT_EQ(ledger_.order().size(), 1U) << "it was never sent again";
}

TEST_F(SpoolKept, IsCountedFromItsRetirementNotFromItsLastWrite) {
    start();
    ledger_.answers_retire = false;
    retire_segments(1, 1);
    pass(3h);
    ledger_.answers_retire = true;
    deliver_all();
    ASSERT_THAT(kept_names(), SizeIs(1));

    pass(59min);

    EXPECT_THAT(kept_names(), SizeIs(1));
}

TEST_F(SpoolKept, IsSentAllOverWhenItHasGotItsNameBackAndIsThenKeptAgain) {
    start();
    retire_segments(1, 3);
    ASSERT_THAT(kept_names(), SizeIs(3));
    ASSERT_EQ(ledger_.order().size(), 3U);
    pass(59min);

    for (const std::string& name : kept_names()) {
        send_again(name);
    }
    tend_until_quiet();

    EXPECT_EQ(ledger_.order().size(), 6U) << "each once more, and no more";
    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_THAT(kept_names(), SizeIs(3));
    pass(50min);
    EXPECT_THAT(kept_names(), SizeIs(3)) << "for its whole time again";
    pass(10min);
    EXPECT_THAT(kept_names(), IsEmpty());
}

TEST_F(SpoolKept, GivesItsRoomToNewEventsUpToTheBound) {
    start();
    retire_segments(1, 40);
    const std::size_t kept_before = kept_names().size();
    ASSERT_GT(kept_before * 150'000, settings_.bytes_max * 8 / 10) << "nearly all of the room is taken";

    const std::uint64_t stored = fill(1000);

    EXPECT_GT(stored * 20'000, settings_.bytes_max * 8 / 10) << "as much as without them";
    EXPECT_THAT(kept_names(), IsEmpty());
    EXPECT_THAT(all_log(), HasSubstr("kept segments removed before their time"));
}

TEST_F(SpoolKept, GivesItsRoomToNewEventsOnAFullDisk) {
    files_.set_disk_bytes(2UL * 1024 * 1024);
    start();
    retire_segments(1, 20);
    ASSERT_GT(kept_names().size() * 150'000, 1'500'000U);

    const std::uint64_t stored = fill(1000);

    EXPECT_GT(stored * 20'000, 2UL * 1024 * 1024 * 8 / 10);
    EXPECT_THAT(kept_names(), IsEmpty());
}

TEST_F(SpoolKept, GivesItsRoomWhereAWriteMeetsAFullDiskInSpiteOfTheReservation) {
    start();
    retire_segments(1, 3);
    pass(1s);
    ASSERT_EQ(spool_->figures().folder_kept_segments, 3U);
    files_.fail_times(Op::write, ENOSPC, 1);

    EXPECT_FALSE(append(1000));

    EXPECT_THAT(kept_names(), SizeIs(2)) << "as many as the batch needs";
    EXPECT_TRUE(append(1000));
}

TEST_F(SpoolKept, OldestGoesFirst) {
    start();
    retire_segments(1, 5);
    std::vector<std::string> by_age = kept_names();
    const auto since = [&](const std::string& name) { return files_.facts(folder_ + "/" + name)->modified_at; };
    std::ranges::sort(by_age, {}, since);
    // All but the newest two are in the way.
    settings_.bytes_max = allocated_bytes() - 3 * 152UL * 1024 + 256UL * 1024;
    stop();

    start();
    EXPECT_TRUE(append(1000, 200'000));

    std::vector<std::string> left = kept_names();
    std::ranges::sort(left, {}, since);
    ASSERT_LT(left.size(), 5U);
    ASSERT_FALSE(left.empty());
    EXPECT_EQ(left, std::vector<std::string>(by_age.end() - static_cast<std::ptrdiff_t>(left.size()), by_age.end()));
}

TEST_F(SpoolKept, IsRemovedByManyCouriersAtOnceWithoutAWord) {
    start();
    retire_segments(1, 30);
    const auto count = kept_names().size();
    ASSERT_GT(count, 20U);
    FaultFiles other_files(folder_);
    EdgeLog other_log;
    Spool other(
        settings_, other_files, [this] { return wall_now_; }, other_log);
    now_ += 2h;
    wall_now_ += 2h;
    // While one removes, the other has the same list: it removes the first under the other's hands.
    bool is_first = true;
    files_.on_change([&](Op op) {
        if (op == Op::unlink && std::exchange(is_first, false)) {
            other.tend(now_);
        }
    });

    for (int turn = 0; turn < 4; ++turn) {
        pass(settings_.adopt_every);
    }

    EXPECT_FALSE(is_first);
    EXPECT_THAT(kept_names(), IsEmpty());
    EXPECT_THAT(all_log(), Not(HasSubstr("not removed")));
    EXPECT_THAT(other_log.take(), IsEmpty());
    other.close();
}

TEST_F(SpoolKept, IsRemovedAFewAtATimeWhenItIsNotWantedAnyMore) {
    start();
    retire_segments(1, 20);
    ASSERT_THAT(kept_names(), SizeIs(20));
    stop();
    settings_.keep_acked = 0s;

    start();
    pass(settings_.adopt_every);
    EXPECT_THAT(kept_names(), SizeIs(4)) << "sixteen in a turn";
    pass(settings_.adopt_every);

    EXPECT_THAT(kept_names(), IsEmpty());
}

TEST_F(SpoolKept, ThatCannotBeRemovedIsSaidAndTriedAgain) {
    start();
    retire_segments(1, 2);
    files_.fail(Op::unlink, EROFS);
    pass(2h);
    EXPECT_THAT(kept_names(), SizeIs(2));
    EXPECT_THAT(all_log(), HasSubstr("kept segment not removed"));

    files_.heal();
    pass(settings_.adopt_every);

    EXPECT_THAT(kept_names(), IsEmpty());
}

TEST_F(SpoolKept, IsNoCopyWhichWouldTakeTheOriginalsPlace) {
    start();
    retire_segments(1, 1);
    ASSERT_THAT(kept_names(), SizeIs(1));
    const std::string original = runledger::test::read_text(folder_ + "/" + kept_names().front());
    const SegmentId id = *ledger_.retired().begin();
    const auto header = encode_segment_header({.id = id, .reserved_bytes = 4096, .is_copy = true});
    std::vector<std::byte> copy(header.begin(), header.end());
    append_record(copy, 0, make_frame({.segment = id, .number = 0}, {1}, 150'000));
    std::ofstream(folder_ + "/" + segment_file_name(id))
        .write(reinterpret_cast<const char*>(copy.data()), static_cast<std::streamsize>(copy.size()));

    tend_until_quiet();

    EXPECT_EQ(ledger_.order().size(), 2U) << "the copy was sent";
    ASSERT_THAT(kept_names(), SizeIs(1));
    EXPECT_EQ(runledger::test::read_text(folder_ + "/" + kept_names().front()), original);
    EXPECT_THAT(files_in_folder(), Not(::testing::Contains(segment_file_name(id))));
}

TEST_F(SpoolKept, HasBatchesInIt) {
    start();
    pass(0ms);
    stop();

    EXPECT_THAT(files_in_folder(), IsEmpty()) << "the one made ahead is no use to anybody";
}

TEST_F(SpoolKept, MayBeAPipeAFolderOrALinkThatIsLeftAlone) {
    const std::string name = segment_file_name(segment_id(0x11)).append(kept_suffix);
    std::filesystem::create_directory(folder_ + "/" + name);
    start();

    pass(2h);
    pass(2h);

    EXPECT_THAT(kept_names(), SizeIs(1));
    EXPECT_EQ(spool_->figures().folder_kept_segments, 0U);
}

}  // namespace
}  // namespace runledger::edge::test
