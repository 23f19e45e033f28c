// Leases between daemons: what one daemon holds, another leaves alone, and a chat has one message on its way at a time.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class NotifyLeases : public NotifyFixture {
protected:
    void another_daemon_is_sending(std::int64_t id) {
        execute(
            fmt::format("UPDATE runledger.notifications SET state = 'leased', sending_at = now(), attempts = 1, "
                        "lease_owner = 'other:1:daemon', lease_until = now() + interval '1 hour' WHERE id = {}",
                        id));
    }

    [[nodiscard]] Outbox outbox() const {
        return Outbox({.uri = daemon_uri(), .lease_owner = "here:1:first", .lease = hours{1}});
    }
};

TEST_F(NotifyLeases, KeepTheOrderOfAChatThoughAnotherDaemonSends) {
    const auto first = there_is_a_picture(42);
    const auto second = there_is_a_picture(42);
    another_daemon_is_sending(first);

    start();
    for (int i = 0; i < 3; ++i) {  // Each needs another look at the outbox.
        becomes(there_is_a_picture(43), "sent");
    }

    EXPECT_EQ(row(second).state, "pending");
    EXPECT_THAT(bot_api_->sent_to("42"), IsEmpty());
}

TEST_F(NotifyLeases, LastAsLongAsACallMayTake) {
    bot_api_->script({.answer = BotAnswer::slow(seconds{1})});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "leased");

    EXPECT_EQ(value("SELECT lease_until - now() BETWEEN interval '10 seconds' AND interval '1 hour' "
                    "FROM runledger.notifications"),
              "t");
    becomes(id, "sent");
}

// After a COMMIT whose outcome is unknown.
TEST_F(NotifyLeases, AreGivenBackByTheirOwnerUnlessItKnowsThatItHoldsThem) {
    const std::vector<std::int64_t> known{there_is_a_picture(1)};
    const auto unknown = there_is_a_picture(2);
    auto ours = outbox();
    ASSERT_THAT(ours.lease({.chats_waiting = {}, .count_max = 2}).leased, SizeIs(2));
    const auto others = there_is_a_picture(3);
    another_daemon_is_sending(others);

    ours.recover(known);

    EXPECT_THAT((std::vector{row(known[0]).state, row(unknown).state, row(others).state}),
                ElementsAre("leased", "pending", "leased"));
}

class NotifyLostLease : public NotifyLeases, public testing::WithParamInterface<NextState> {};

TEST_P(NotifyLostLease, LeavesTheRowAsItsNewOwnerHasIt) {
    const auto id = there_is_a_picture();
    auto ours = outbox();
    ASSERT_THAT(ours.lease({.chats_waiting = {}, .count_max = 1}).leased, SizeIs(1));
    another_daemon_is_sending(id);
    const std::string the_row = "SELECT n::text FROM runledger.notifications AS n";
    const std::string before = value(the_row);

    const std::vector<AttemptOutcome> late{{.id = id,
                                            .chat_id = 42,
                                            .decision = {.state = GetParam(),
                                                         .may_have_arrived = true,
                                                         .confirms_part = GetParam() == NextState::send_again,
                                                         .error = "late"},
                                            .message_id = 7,
                                            .parts_sent = 1}};
    const auto stored = ours.store(late);

    EXPECT_THAT(stored.ours, ElementsAre(false));
    EXPECT_EQ(value(the_row), before);
}

INSTANTIATE_TEST_SUITE_P(Outcomes, NotifyLostLease,
                         testing::Values(NextState::sent, NextState::logged, NextState::pending, NextState::send_again,
                                         NextState::uncertain, NextState::dead, NextState::skipped),
                         [](const auto& outcome) { return std::string(to_word(outcome.param)); });

}  // namespace
}  // namespace runledger::test
