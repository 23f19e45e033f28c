#include "nginx-module/log/edge_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class EdgeLogTest : public ::testing::Test {
protected:
    std::vector<std::string> take() {
        std::vector<std::string> texts;
        for (const LogLine& line : log_.take()) {
            texts.push_back(line.text);
        }
        return texts;
    }

    int wakes_{0};
    std::chrono::steady_clock::time_point now_{1h};
    EdgeLog log_{[this] { ++wakes_; }, [this] { return now_; }};
};

TEST_F(EdgeLogTest, HandsLinesOverOnce) {
    log_.add(LogLine::Level::notice, "link up", "ipc://one");

    EXPECT_EQ(wakes_, 1);
    EXPECT_THAT(take(), ElementsAre("link up: ipc://one"));
    EXPECT_THAT(take(), IsEmpty());
}

TEST_F(EdgeLogTest, CountsRepeatsInsteadOfPrintingThem) {
    for (int i = 0; i < 5; ++i) {
        log_.add(LogLine::Level::crit, "commit failed", "no space");
    }
    EXPECT_THAT(take(), ElementsAre("commit failed: no space"));

    now_ += EdgeLog::repeat_after;
    log_.add(LogLine::Level::crit, "commit failed", "still no space");

    EXPECT_THAT(take(), ElementsAre("commit failed: still no space (4 more like this were not printed)"));
    EXPECT_EQ(wakes_, 2);
}

TEST_F(EdgeLogTest, IsBoundedAndSaysHowMuchIsMissing) {
    std::vector<std::string> kinds(EdgeLog::lines_max + 7);
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        kinds[i] = "kind " + std::to_string(i);
        log_.add(LogLine::Level::warn, kinds[i], "text");
    }

    const auto lines = take();

    ASSERT_THAT(lines, SizeIs(EdgeLog::lines_max + 1));
    EXPECT_EQ(lines.back(), "7 log lines of the courier were dropped");
}

}  // namespace
}  // namespace runledger::edge
