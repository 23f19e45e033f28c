// The machine dies at every single operation that changes the disk, in three ways, and what was answered must come
// through: promise 1. What was not answered may, but never under a name that something else had: promise 2.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using namespace std::chrono_literals;

class SpoolPowerLoss : public SpoolFixture, public ::testing::WithParamInterface<FaultFiles::Unsynced> {
protected:
    // Appends, delivers a part, seals, retires, unlinks, adopts: every operation occurs. False if the machine died.
    bool live(std::uint64_t first_number) {
        try {
            start();
            pass(0ms);
            for (std::uint64_t i = 0; i < 16; ++i) {
                (void)append(first_number + i, i % 5 == 0 ? 90'000 : 700);  // The disk works, or is dead.
                if (i % 4 == 3) {
                    ledger_.is_reachable = i % 8 == 3;
                    deliver_all();
                    pass(10ms);
                }
            }
            ledger_.is_reachable = true;
            deliver_all();
            pass(settings_.seal_idle_after);
            deliver_all();
            stop();
            return true;
        } catch (const Dead&) {
            return false;
        }
    }

    void check_all_delivered(const std::string& when) {
        start();
        ledger_.is_reachable = true;
        tend_until_quiet();
        const auto delivered = ledger_.events();
        std::vector<std::uint64_t> lost;
        std::set_difference(answered_.begin(), answered_.end(), delivered.begin(), delivered.end(),
                            std::back_inserter(lost));
        EXPECT_THAT(lost, ::testing::IsEmpty()) << "answered and lost, " << when;
        EXPECT_EQ(ledger_.conflicts(), 0U) << when;
        for (const std::uint64_t number : delivered) {
            EXPECT_TRUE(tried_.contains(number)) << when;
        }
        EXPECT_EQ(std::set<std::uint64_t>(delivered.begin(), delivered.end()).size(), delivered.size())
            << "an event under two names, though it was appended once, " << when;
        stop();
        EXPECT_THAT(files_in_folder(), ::testing::IsEmpty()) << when << "\n" << all_log();
    }
};

TEST_P(SpoolPowerLoss, LosesNoAnsweredBatchAtAnyStep) {
    ASSERT_TRUE(live(0));
    const std::uint64_t steps_without_death = files_.steps();
    ASSERT_GT(steps_without_death, 40U);
    check_all_delivered("without a death");

    std::uint64_t number = 1000;
    std::uint64_t died = 0;
    for (std::uint64_t step = 1; step <= steps_without_death; ++step, number += 100) {
        files_.die_at(step);
        (void)live(number);  // True where only the very last unlink died, whose failure is no harm.
        died += files_.is_dead() ? 1 : 0;
        power_loss(GetParam(), step);
        check_all_delivered("dead at step " + std::to_string(step));
        if (HasFailure()) {
            return;
        }
    }
    EXPECT_EQ(died, steps_without_death);
}

// The next machine dies, too, while it adopts what the first one left.
TEST_P(SpoolPowerLoss, LosesNoAnsweredBatchThoughTheAdopterDiesToo) {
    std::uint64_t number = 1000;
    for (std::uint64_t first = 10; first < 40; first += 6) {
        for (std::uint64_t second = 1; second < 20; second += 2, number += 100) {
            files_.die_at(first);
            ASSERT_FALSE(live(number));
            power_loss(GetParam(), number);
            files_.die_at(second);
            (void)live(number + 50);  // Dies, unless there is little to adopt.
            power_loss(GetParam(), number + 1);
            check_all_delivered("dead at step " + std::to_string(first) + ", then at " + std::to_string(second));
            if (HasFailure()) {
                return;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Unsynced, SpoolPowerLoss,
                         ::testing::Values(FaultFiles::Unsynced::lost, FaultFiles::Unsynced::kept,
                                           FaultFiles::Unsynced::torn),
                         [](const auto& parameter) {
                             switch (parameter.param) {
                                 case FaultFiles::Unsynced::lost:
                                     return "lost";
                                 case FaultFiles::Unsynced::kept:
                                     return "kept";
                                 case FaultFiles::Unsynced::torn:
                                     return "torn";
                             }
                             return "unknown";
                         });

}  // namespace
}  // namespace runledger::edge::test
