#include <gtest/gtest.h>

#include "daemon/settle/maintain.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;

std::size_t after(std::initializer_list<int> steps_ms) {
    RowsAStep rows;
    for (const int ms : steps_ms) {
        rows.took(milliseconds{ms});
    }
    return rows.next();
}

TEST(RowsAStep, BeginsSmall) { EXPECT_EQ(after({}), RowsAStep::min); }

TEST(RowsAStep, DoublesAfterAQuickStepUpToItsMost) {
    EXPECT_EQ(after({1}), 100U);
    EXPECT_EQ(after({1, 1}), 200U);
    EXPECT_EQ(after({1, 1, 1}), RowsAStep::max);
    EXPECT_EQ(after({1, 1, 1, 1, 1, 1}), RowsAStep::max);
}

TEST(RowsAStep, StaysAfterOneThatIsNeitherQuickNorSlow) { EXPECT_EQ(after({1, 15, 20, 30}), 100U); }

TEST(RowsAStep, HalvesAfterASlowStepDownToItsLeast) {
    EXPECT_EQ(after({1, 1, 31}), 100U);
    EXPECT_EQ(after({1, 400, 400, 400}), RowsAStep::min);
}

}  // namespace
}  // namespace runledger
