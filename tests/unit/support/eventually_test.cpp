#include "tests/support/eventually.hpp"

#include <gmock/gmock.h>

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

std::string failure_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const NeverHappened& e) {
        return e.what();
    }
    return {};
}

TEST(Eventually, ReturnsOnceThePredicateHolds) {
    int looks = 0;

    eventually("the third look is good", [&] { return ++looks == 3; });

    EXPECT_EQ(looks, 3);
}

TEST(Eventually, NamesTheSentenceAndWhatWasSeenInstead) {
    const std::string failure = failure_of([] {
        eventually(
            "outbox drains", [] { return false; }, milliseconds{5}, [] { return "7 left"; });
    });

    EXPECT_THAT(failure, HasSubstr("outbox drains"));
    EXPECT_THAT(failure, HasSubstr("7 left"));
}

TEST(Eventually, TakesAnExceptionAsNotYetAndQuotesTheLast) {
    int looks = 0;
    eventually("the server is back", [&]() -> bool {
        if (++looks < 3) {
            throw std::runtime_error("connection refused");
        }
        return true;
    });

    const std::string failure = failure_of([] {
        eventually(
            "the server is back", []() -> bool { throw std::runtime_error("connection refused"); }, milliseconds{5});
    });

    EXPECT_THAT(failure, HasSubstr("connection refused"));
}

TEST(Eventually, GivesUpAtOnceWhereThereIsNoHope) {
    int looks = 0;

    const std::string failure = failure_of([&] {
        eventually("the server is back", [&]() -> bool {
            ++looks;
            throw Hopeless("it has ended");
        });
    });

    EXPECT_EQ(looks, 1);
    EXPECT_THAT(failure, HasSubstr("it has ended"));
}

TEST(Eventually, LooksOnceEvenWithoutPatience) {
    EXPECT_TRUE(comes_true([] { return true; }, milliseconds{0}));
    EXPECT_FALSE(comes_true([] { return false; }, milliseconds{0}));
}

}  // namespace
}  // namespace runledger::test
