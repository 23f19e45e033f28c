#include "nginx-module/link/window.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge {
namespace {

using test::segment_id;
using test::SteadyTime;
using namespace std::chrono_literals;

BatchName batch(BatchNumber number) { return {.segment = segment_id(1), .number = number}; }

class LinkWindow : public ::testing::Test {
protected:
    const SteadyTime now_{1h};
    Window window_{{.resend_after = 5s, .busy_pause_min = 50ms, .busy_pause_max = 200ms}};
};

TEST_F(LinkWindow, IsBoundedInBytes) {
    window_.add(batch(0), window_bytes_max - 10, now_);

    EXPECT_TRUE(window_.has_room(10, now_));
    EXPECT_FALSE(window_.has_room(11, now_));

    window_.drop(batch(0));
    EXPECT_TRUE(window_.has_room(11, now_));
    EXPECT_EQ(window_.bytes(), 0U);
}

TEST_F(LinkWindow, IsBoundedInBatches) {
    for (BatchNumber i = 0; i < window_batches_max; ++i) {
        ASSERT_TRUE(window_.has_room(1, now_));
        window_.add(batch(i), 1, now_);
    }

    EXPECT_FALSE(window_.has_room(1, now_));
}

TEST_F(LinkWindow, LetsOneBatchThroughHoweverSmallItHasBecome) {
    for (int i = 0; i < 50; ++i) {
        window_.on_busy(now_ + i * 1s);
    }

    EXPECT_TRUE(window_.has_room(wire_message_bytes_max, now_ + 1h));
}

TEST_F(LinkWindow, GivesBackWhatIsOverdueTheOldestFirst) {
    window_.add(batch(0), 1, now_);
    window_.add(batch(1), 1, now_ + 1s);

    EXPECT_THAT(window_.take_overdue(now_ + 5s - 1ms), ::testing::IsEmpty());
    EXPECT_EQ(window_.due_at(now_), now_ + 5s);
    EXPECT_THAT(window_.take_overdue(now_ + 5s), ::testing::ElementsAre(batch(0)));
    EXPECT_THAT(window_.take_overdue(now_ + 6s), ::testing::ElementsAre(batch(1)));
    EXPECT_EQ(window_.batches(), 0U);
}

TEST_F(LinkWindow, BusyPausesAndHalvesOnceForABurst) {
    for (int i = 0; i < 100; ++i) {
        window_.on_busy(now_);
    }

    EXPECT_EQ(window_.bytes_max(), window_bytes_max / 2);
    EXPECT_FALSE(window_.has_room(1, now_ + 49ms));
    EXPECT_TRUE(window_.has_room(1, now_ + 50ms));
    EXPECT_EQ(window_.due_at(now_), now_ + 50ms);
}

TEST_F(LinkWindow, PausesGrowToTheirBound) {
    SteadyTime at = now_;
    for (const auto pause : {50ms, 100ms, 200ms, 200ms}) {
        window_.on_busy(at);
        EXPECT_FALSE(window_.has_room(1, at + pause - 1ms));
        EXPECT_TRUE(window_.has_room(1, at + pause));
        at += pause;
    }
}

TEST_F(LinkWindow, WaitsTwiceAsLongAfterEachSilenceUpToItsBoundAndAnAnswerEndsThat) {
    SteadyTime at = now_;
    for (const auto wait : {5s, 10s, 20s, 40s, 60s, 60s}) {
        window_.add(batch(0), 1, at);
        EXPECT_EQ(window_.due_at(at + 1s), at + wait);
        EXPECT_THAT(window_.take_overdue(at + wait - 1ms), ::testing::IsEmpty());
        ASSERT_THAT(window_.take_overdue(at + wait), ::testing::SizeIs(1));
        at += wait;
        window_.on_silence(at);
        EXPECT_TRUE(window_.is_silent());
        at += 1s;
    }

    window_.add(batch(0), 1, at);
    window_.on_answer();

    EXPECT_FALSE(window_.is_silent());
    EXPECT_THAT(window_.take_overdue(at + 5s), ::testing::SizeIs(1));
}

TEST_F(LinkWindow, ASilentDaemonGetsLessEachTime) {
    for (int i = 0; i < 20; ++i) {
        window_.on_silence(now_ + i * 10s);
    }

    window_.add(batch(0), 64UL * 1024, now_ + 1h);
    EXPECT_FALSE(window_.has_room(1, now_ + 1h));
}

TEST_F(LinkWindow, BeginsSmallAfterALossAndGivesBackAllThatWasUnderWay) {
    window_.add(batch(0), 10, now_);
    window_.add(batch(1), 10, now_);
    window_.on_busy(now_);

    EXPECT_THAT(window_.take_lost(), ::testing::ElementsAre(batch(0), batch(1)));

    EXPECT_EQ(window_.bytes(), 0U);
    EXPECT_TRUE(window_.has_room(64UL * 1024, now_)) << "no pause";
    window_.add(batch(0), 64UL * 1024, now_);
    EXPECT_FALSE(window_.has_room(1, now_));
    window_.on_committed();
    EXPECT_TRUE(window_.has_room(1, now_));
}

TEST_F(LinkWindow, GrowsAgainWithCommitsUpToItsBound) {
    window_.on_busy(now_);
    for (int i = 0; i < 1000; ++i) {
        window_.on_committed();
    }

    EXPECT_EQ(window_.bytes_max(), window_bytes_max);
}

}  // namespace
}  // namespace runledger::edge
