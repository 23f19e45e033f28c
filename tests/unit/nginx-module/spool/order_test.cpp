// Oldest first, whoever left it, and with few files open.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class SpoolOrder : public SpoolFixture {
protected:
    // A worker beside the fixture's own, which dies when the object does: nothing is sealed or given back.
    struct OtherWorker {
        explicit OtherWorker(SpoolOrder& test)
            : files(test.folder_),
              spool(
                  test.settings_, files, [&test] { return test.wall_now_ += 1us; }, log) {}

        FaultFiles files;
        EdgeLog log;
        Spool spool;
    };

    void store(Spool& spool, std::uint64_t number, std::size_t body_bytes) {
        auto encoder = make_encoder();
        add_event(encoder, number, body_bytes);
        const auto stored = spool.append(encoder, {}, now_);
        answered_.insert(number);
        ages_.try_emplace(stored.segment.id(), stored.segment.created_at());
    }
    // The ages of the segments in the order in which the ledger first met them.
    [[nodiscard]] std::vector<WallTime> ages_as_they_came() const {
        std::vector<WallTime> ages;
        std::set<SegmentId> met;
        for (const BatchName& name : ledger_.order()) {
            if (met.insert(name.segment).second) {
                ages.push_back(ages_.at(name.segment));
            }
        }
        return ages;
    }
    [[nodiscard]] static std::size_t open_files() {
        const std::filesystem::directory_iterator folder("/proc/self/fd");
        return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
    }

    // A turn of the courier's: as long as there is something due, time stands still.
    void turn() {
        now_ += settings_.adopt_every;
        do {
            spool_->tend(now_);
            deliver_all();
        } while (spool_->tend_due_at() <= now_);
    }

    std::map<SegmentId, WallTime> ages_;
};

TEST_F(SpoolOrder, OfThreeDeadWorkersWhoseSegmentsInterleaveAndOfALivingOneIsByAge) {
    settings_.bytes_max = 16UL * 1024 * 1024;  // Of 1 MiB.
    settings_.moving_segments_max = 3;         // Fewer than there are.
    {
        std::vector<std::unique_ptr<OtherWorker>> dying;
        for (int i = 0; i < 3; ++i) {
            dying.push_back(std::make_unique<OtherWorker>(*this));
        }
        for (std::uint64_t number = 0; number < 12; ++number) {
            store(dying[number % 3]->spool, number, 600'000);  // One in each segment.
        }
    }
    ASSERT_THAT(ages_, SizeIs(12));
    start();
    ledger_.is_reachable = false;
    store(*spool_, 100, 1000);

    turn();
    ledger_.is_reachable = true;
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
    auto arrivals = ledger_.arrivals();
    const auto own = std::ranges::find(arrivals, 100U);
    EXPECT_GE(own - arrivals.begin(), 3) << "after all that were open when the link came";
    arrivals.erase(own);
    EXPECT_THAT(arrivals, SizeIs(12));
    EXPECT_TRUE(std::ranges::is_sorted(arrivals));
}

TEST_F(SpoolOrder, LetsAnOlderOrphanTakeAYoungersPlaceAtTheBound) {
    settings_.bytes_max = 16UL * 1024 * 1024;
    settings_.moving_segments_max = 2;
    auto dying = std::make_unique<OtherWorker>(*this);
    store(dying->spool, 0, 600'000);
    start();
    ledger_.is_reachable = false;
    for (std::uint64_t number = 1; number < 8; ++number) {
        store(*spool_, number, 600'000);
        pass(10ms);
    }
    dying.reset();  // Only now its segment, the oldest of all, is anybody's.
    for (int i = 0; i < 5; ++i) {
        pass(settings_.adopt_every);
        EXPECT_LE(spool_->segments().size(), settings_.moving_segments_max + 1);
    }

    ledger_.is_reachable = true;
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_EQ(ledger_.arrivals().front(), 0U);
    const auto ages = ages_as_they_came();
    EXPECT_TRUE(std::ranges::is_sorted(ages.begin(), ages.begin() + 3)) << "what was open when the link came";
}

TEST_F(SpoolOrder, OpensFewFilesThoughAHundredSegmentsAreLeft) {
    settings_.bytes_max = 64UL * 1024 * 1024;
    constexpr std::uint64_t orphans = 100;
    for (std::uint64_t number = 0; number < orphans; ++number) {
        auto dying = std::make_unique<OtherWorker>(*this);
        store(dying->spool, number, 1000);
        // As a segment that was sealed: a hundred reservations would not fit.
        std::filesystem::resize_file(dying->spool.segments().front()->file().path(),
                                     dying->spool.segments().front()->file().used_bytes());
    }
    ASSERT_THAT(files_in_folder(), SizeIs(orphans));
    const std::size_t open_before = open_files();
    std::size_t open_most = 0;
    const auto tend = [&](int turns) {
        for (int i = 0; i < turns; ++i) {
            turn();
            open_most = std::max(open_most, open_files() - open_before);
        }
    };
    start();

    ledger_.is_reachable = false;
    tend(3);
    EXPECT_THAT(spool_->segments(), SizeIs(settings_.moving_segments_max));
    ledger_.is_reachable = true;
    ledger_.answers_retire = false;  // Delivered, but nobody lets them be removed: they are parked.
    tend(3);
    EXPECT_EQ(ledger_.events(), answered_);
    ledger_.answers_retire = true;
    tend(200);  // Those that were let go are left alone for a minute.

    EXPECT_TRUE(std::ranges::is_sorted(ages_as_they_came()));
    EXPECT_THAT(ledger_.retired(), SizeIs(orphans));
    EXPECT_THAT(files_in_folder(), SizeIs(1)) << "the one made ahead";
    EXPECT_LE(open_most, settings_.moving_segments_max + settings_.parked_segments_max + 2)
        << "and the next, and one read";
}

}  // namespace
}  // namespace runledger::edge::test
