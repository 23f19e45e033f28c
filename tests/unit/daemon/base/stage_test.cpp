#include "daemon/base/stage.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <system_error>

namespace runledger {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace std::chrono_literals;

std::jthread no_thread(std::function<void()> /*body*/) { throw std::system_error(EAGAIN, std::generic_category()); }

// Starts threads until there are so many; the next one can't be started.
class Limit {
public:
    explicit Limit(std::size_t threads) : left_(threads) {}
    std::jthread operator()(std::function<void()> body) {
        if (left_ == 0) {
            return no_thread(std::move(body));
        }
        --left_;
        return start_thread(std::move(body));
    }

private:
    std::size_t left_;
};

TEST(StageThread, SaysWhichStageCanNotStartAndWhy) {
    const Heartbeat heartbeat;

    const auto start = [&] { StageThread({"settle", [] {}, heartbeat, 1s}, no_thread); };

    EXPECT_THAT(start, ThrowsMessage<ThreadNotStarted>(
                           HasSubstr("the thread of stage settle can't be started: Resource temporarily unavailable")));
}

TEST(StageThread, IsJoinedWhereItIsOwned) {
    const Heartbeat heartbeat;
    bool has_run = false;

    {
        const StageThread thread({"settle", [&] { has_run = true; }, heartbeat, 1s});
    }

    EXPECT_TRUE(has_run);
}

TEST(StageThread, HangsWhereNoBeatFollowsABeatInTime) {
    Heartbeat heartbeat;
    const StageThread thread({"settle", [] {}, heartbeat, 10s});

    const auto before_the_first_turn = thread.hangs(Heartbeat::Clock::now() + 1h);
    heartbeat.beat();
    const auto in_time = thread.hangs(Heartbeat::Clock::now() + 9s);
    const auto too_late = thread.hangs(Heartbeat::Clock::now() + 11s);
    heartbeat.rest();
    const auto at_rest = thread.hangs(Heartbeat::Clock::now() + 1h);

    EXPECT_FALSE(before_the_first_turn);
    EXPECT_FALSE(in_time);
    EXPECT_TRUE(too_late);
    EXPECT_FALSE(at_rest);
}

TEST(Heartbeat, SaysSinceWhenTurnsFailUntilOneIsCommitted) {
    Heartbeat heartbeat;
    const auto in_an_hour = [&] { return heartbeat.failing_for(Heartbeat::Clock::now() + 1h); };
    EXPECT_EQ(in_an_hour(), 0s);

    heartbeat.fail();
    const auto first = in_an_hour();
    heartbeat.fail();

    EXPECT_GE(first, 1h);
    EXPECT_GE(in_an_hour(), first) << "the first of them counts";
    heartbeat.work();
    EXPECT_EQ(in_an_hour(), 0s);
}

TEST(ThreadCheck, PassesWhereAllThreadsCanStart) { EXPECT_NO_THROW(check_threads_can_start(5, Limit(5))); }

TEST(ThreadCheck, SaysHowManyThreadsAreNeededAndHowManyThereCanBe) {
    const auto check = [] { check_threads_can_start(5, Limit(4)); };

    EXPECT_THAT(check, ThrowsMessage<ThreadNotStarted>(HasSubstr("5 threads are needed, and only 4 can be started")));
}

}  // namespace
}  // namespace runledger
