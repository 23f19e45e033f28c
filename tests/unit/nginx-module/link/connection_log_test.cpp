#include "nginx-module/link/connection_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

class ConnectionLogTest : public ::testing::Test {
protected:
    std::vector<std::string> take() {
        std::vector<std::string> texts;
        for (const LogLine& line : courier_log_.take()) {
            texts.push_back(line.text);
        }
        return texts;
    }

    const std::vector<std::string> endpoints_{"ipc:///a", "ipc:///b"};
    ConnectionLog::SteadyTime now_{1h};
    EdgeLog courier_log_;
    ConnectionLog log_{courier_log_, endpoints_, now_};
};

TEST_F(ConnectionLogTest, TellsOfEachChangeOnceForEachDaemon) {
    log_.on_up(0, now_);
    log_.on_up(1, now_);
    log_.on_lost(0, now_ + 1s);
    for (int i = 0; i < 100; ++i) {
        log_.tend(now_ + i * 1s);
    }

    EXPECT_THAT(take(), ElementsAre("link up: ipc:///a, 1 of 2 daemons connected",
                                    "link up: ipc:///b, 2 of 2 daemons connected",
                                    "link down: ipc:///a, 1 of 2 daemons connected"));
}

TEST_F(ConnectionLogTest, CountsTheChangesOfADaemonThatFlapsAndEndsWithHowItIs) {
    log_.on_up(0, now_);
    for (int i = 0; i < 50; ++i) {
        log_.on_lost(0, now_ + i * 100ms);
        log_.on_up(0, now_ + i * 100ms + 50ms);
    }
    EXPECT_THAT(take(), ElementsAre(HasSubstr("link up"), HasSubstr("link down")));

    EXPECT_EQ(log_.due_at(), now_ + ConnectionLog::patience_at_start) << "the other has not come yet";
    log_.tend(now_ + ConnectionLog::repeat_after - 1ms);
    EXPECT_THAT(take(), ElementsAre("link not up yet: ipc:///b, 1 of 2 daemons connected"));
    EXPECT_EQ(log_.due_at(), now_ + ConnectionLog::repeat_after);
    log_.tend(now_ + ConnectionLog::repeat_after);
    EXPECT_THAT(take(), ElementsAre("link up: ipc:///a, 1 of 2 daemons connected (98 changes before this were not "
                                    "printed)"));
}

TEST_F(ConnectionLogTest, TellsOfAHandshakeThatFailsOnceForEachReason) {
    for (const auto* reason : {"this", "this", "that", "this", "that"}) {
        log_.on_handshake_failed(1, reason);
    }
    EXPECT_THAT(take(), ElementsAre("handshake failed: ipc:///b: this", "handshake failed: ipc:///b: that"));

    log_.on_up(1, now_);
    log_.on_lost(1, now_);
    (void)take();
    log_.on_handshake_failed(1, "that");
    EXPECT_THAT(take(), ElementsAre("handshake failed: ipc:///b: that"));
    log_.tend(now_ + 1h);
    EXPECT_THAT(take(), ElementsAre(HasSubstr("link not up yet: ipc:///a")));
    EXPECT_THAT(take(), IsEmpty());
}

}  // namespace
}  // namespace runledger::edge
