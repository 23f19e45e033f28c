// What the notify stage does when an answer, the database, or a daemon is lost.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/support/cluster_kind.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::string_view duplicate_mark = "Possibly a duplicate";

class NotifyFaults : public NotifyFixture {
protected:
    // As a daemon leaves it that died after it had leased.
    void a_dead_daemon_holds(std::int64_t id, std::string_view until) {
        execute(fmt::format(
            "UPDATE runledger.notifications SET state = 'leased', attempts = attempts + 1, "
            "sending_at = now(), lease_owner = 'gone:2:dead', lease_until = now() + interval '{}' WHERE id = {}",
            until, id));
    }

    std::vector<std::int64_t> there_are_pictures(int count, int chats) {
        std::vector<std::int64_t> ids;
        for (int i = 0; i < count; ++i) {
            ids.push_back(there_is_a_picture(i % chats + 1));
        }
        return ids;
    }

    void each_was_accepted_once(std::size_t count) {
        EXPECT_THAT(bot_api_->accepted(), SizeIs(testing::Ge(count)));
        for (std::size_t generation = 1; generation <= count; ++generation) {
            EXPECT_EQ(times_accepted(picture_url(static_cast<std::int64_t>(generation))), 1U) << generation;
        }
    }
};

TEST_F(NotifyFaults, SendsOnceMoreAndMarkedWhatMayHaveArrived) {
    bot_api_->script({.answer = BotAnswer::accept_then_drop()});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    const auto sent = bot_api_->sent_to("42");
    ASSERT_THAT(sent, SizeIs(2));
    EXPECT_FALSE(sent[0].mentions(duplicate_mark));
    EXPECT_TRUE(sent[1].mentions(duplicate_mark));
    EXPECT_EQ(row(id).uncertain_attempts, 1);
    EXPECT_EQ(row(id).attempts, 2);
}

TEST_F(NotifyFaults, LeavesAloneWhatMayHaveArrivedTwice) {
    bot_api_->script({.answer = BotAnswer::accept_then_drop(), .calls = -1});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "uncertain");

    EXPECT_THAT(bot_api_->sent_to("42"), SizeIs(2));
    EXPECT_THAT(row(id).last_error, HasSubstr("may have arrived"));
    expect_counted("uncertain", counters().uncertain, 1);
}

// libcurl tries again by itself, and in silence, when a connection that it had kept dies without an answer.
TEST_F(NotifyFaults, SendsNothingTwiceInSilenceOnAKeptConnection) {
    const auto first = there_is_a_picture(1);
    start();
    becomes(first, "sent");
    bot_api_->script({.answer = BotAnswer::accept_then_drop(), .chat_id = "2"});

    const auto id = there_is_a_picture(2);
    becomes(id, "sent");

    const auto sent = bot_api_->sent_to("2");
    ASSERT_THAT(sent, SizeIs(2));
    EXPECT_TRUE(sent[1].mentions(duplicate_mark)) << "the second was sent without our knowledge";
    EXPECT_EQ(row(id).attempts, 2);
}

TEST_F(NotifyFaults, TakesATimeOutForUncertain) {
    config_.timeout = milliseconds{500};
    bot_api_->script({.answer = BotAnswer::slow(seconds{30})});
    const auto id = there_is_a_picture();

    start();
    becomes(id, "sent");

    EXPECT_EQ(row(id).uncertain_attempts, 1);
    EXPECT_TRUE(bot_api_->sent_to("42").back().mentions(duplicate_mark));
}

TEST_F(NotifyFaults, KnowsWhatCantHaveArrived) {
    config_.attempts_max = 2;
    bot_api_->goes_away();
    const auto id = there_is_a_picture();

    start();
    eventually("it was tried", [&] { return counters().retried >= 4; });
    EXPECT_THAT(row(id).last_error, HasSubstr("connect"));
    bot_api_->comes_back();
    becomes(id, "sent");

    EXPECT_EQ(row(id).uncertain_attempts, 0);
    EXPECT_EQ(row(id).attempts, 1) << "an outage costs no attempt";
    EXPECT_EQ(times_accepted(duplicate_mark), 0U);
    EXPECT_EQ(times_accepted(picture_url(1)), 1U);
}

TEST_F(NotifyFaults, TriesOneAtATimeWhileTelegramIsAway) {
    bot_api_->script({.answer = BotAnswer::server_error(), .calls = -1});
    tuning_.in_flight_max = 4;
    there_are_pictures(40, 40);

    start();
    eventually("it is tried again and again", [&] { return sends().size() >= 12; });
    const auto calls = sends();

    // After the first few each waits for a delay of its own; the others keep their attempts.
    EXPECT_GE(calls[11].at - calls[5].at, milliseconds{200});
    bot_api_->clear_script();
    all_become_sent();
    each_was_accepted_once(40);
}

TEST_F(NotifyFaults, TakesOverWhatADeadDaemonHeld) {
    const auto expired = there_is_a_picture(1);
    const auto alive = there_is_a_picture(2);
    a_dead_daemon_holds(expired, "-1 second");
    a_dead_daemon_holds(alive, "1 hour");

    start();
    becomes(expired, "sent");
    const auto later = there_is_a_picture(3);
    becomes(later, "sent");

    EXPECT_TRUE(bot_api_->sent_to("1").front().mentions(duplicate_mark));
    EXPECT_EQ(row(expired).uncertain_attempts, 1);
    EXPECT_EQ(row(expired).attempts, 2);
    EXPECT_EQ(row(alive).state, "leased");
    EXPECT_THAT(bot_api_->sent_to("2"), IsEmpty());
    EXPECT_FALSE(bot_api_->sent_to("3").front().mentions(duplicate_mark));
}

TEST_F(NotifyFaults, GivesUpWhatEndedADaemonEachTime) {
    config_.attempts_max = 3;
    const auto id = there_is_a_picture();
    execute("UPDATE runledger.notifications SET attempts = 2");
    a_dead_daemon_holds(id, "-1 second");

    start();
    becomes(id, "uncertain");

    EXPECT_THAT(sends(), IsEmpty());
    expect_counted("uncertain", counters().uncertain, 1);
    EXPECT_THAT(row(id).last_error, HasSubstr("may have arrived"));
}

TEST_F(NotifyFaults, WritesNothingAboutALeaseThatItLost) {
    bot_api_->script({.answer = BotAnswer::slow(milliseconds{300})});
    const auto id = there_is_a_picture();
    start();
    eventually("it is being sent", [&] { return row(id).state == "leased"; });
    execute(
        "UPDATE runledger.notifications SET lease_owner = 'other:3:daemon', lease_until = now() + interval '1 hour'");

    eventually("the answer is in", [&] { return !log_.lines_with("lease was lost").empty(); });

    EXPECT_EQ(row(id).state, "leased");
}

TEST_F(NotifyFaults, GivesBackWhatACommitOfUnknownOutcomeLeftInItsName) {
    if (cluster_kind().pool != PoolMode::none) {
        GTEST_SKIP() << "the pooler lets the turn wait while it can't log in";
    }
    const auto id = there_is_a_picture();
    a_dead_daemon_holds(id, "1 hour");
    execute("UPDATE runledger.notifications SET lease_owner = 'here:1:first'");
    start();
    eventually("the token is checked", [&] { return !log_.lines_with("accepts the token").empty(); });
    EXPECT_EQ(row(id).state, "leased");

    // A turn must fail: a session that has ended between two turns is made anew without one.
    execute("ALTER ROLE ledger_daemon NOLOGIN");
    execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'runledgerd notify'");
    eventually("a turn has failed", [&] { return counters().turns_failed > 0; });
    execute("ALTER ROLE ledger_daemon LOGIN");
    becomes(id, "sent");

    EXPECT_EQ(times_accepted(duplicate_mark), 0U);
    EXPECT_EQ(row(id).attempts, 1);
}

// A COMMIT may land though its answer is lost: then the same is stored again.
TEST_F(NotifyFaults, CountsAPartOnceThoughItIsStoredTwice) {
    const auto id = there_is({.payload = pictures_payload(13)});
    Outbox outbox({.uri = daemon_uri(), .lease_owner = "here:1:first", .lease = seconds{30}});
    ASSERT_THAT(outbox.lease({.chats_waiting = {}, .count_max = 1}).leased, SizeIs(1));
    const std::vector<AttemptOutcome> first{{.id = id,
                                             .chat_id = 42,
                                             .decision = {.state = NextState::send_again, .confirms_part = true},
                                             .message_id = 7,
                                             .parts_sent = 1}};

    (void)outbox.store(first);
    (void)outbox.store(first);

    EXPECT_EQ(value("SELECT parts_sent FROM runledger.notifications"), "1");
}

TEST_F(NotifyFaults, SendsEachOnceThoughTheDatabaseRestarts) {
    constexpr int count = 60;
    bot_api_->script({.answer = BotAnswer::slow(milliseconds{20}), .calls = -1});
    there_are_pictures(count, 6);

    start();
    eventually("some are sent", [&] { return bot_api_->accepted().size() >= 8; });
    postgres().restart(StopMode::immediate);
    eventually("more are sent", [&] { return bot_api_->accepted().size() >= 25; });
    postgres().crash_and_recover();
    eventually(
        "the rest is sent", [&] { return count_in_state({"sent"}) == count; }, seconds{30});

    each_was_accepted_once(count);
}

TEST_F(NotifyFaults, SendsEachOfManyOnce) {
    constexpr int count = 200;
    there_are_pictures(count, 20);

    start();
    all_become_sent();

    each_was_accepted_once(count);
    EXPECT_EQ(counters().sent, static_cast<std::uint64_t>(count));
    eventually("none is in flight", [&] { return counters().in_flight == 0U; });
}

TEST_F(NotifyFaults, SharesTheOutboxBetweenDaemons) {
    constexpr int count = 150;
    bot_api_->script({.answer = BotAnswer::slow(milliseconds{5}), .calls = -1});
    there_are_pictures(count, 75);  // More chats than one daemon has in flight.

    const auto second = another("here:2:second");
    start();
    all_become_sent();

    each_was_accepted_once(count);
    EXPECT_GT(second->counters().sent, 0U);
    EXPECT_GT(counters().sent, 0U);
    EXPECT_EQ(second->counters().sent + counters().sent, static_cast<std::uint64_t>(count));
}

TEST_F(NotifyFaults, EndsInTimeThoughTelegramIsSlow) {
    tuning_.stop_bound = seconds{2};
    const auto warm = there_is_a_picture(1);
    start();
    becomes(warm, "sent");
    bot_api_->script({.answer = BotAnswer::slow(std::chrono::minutes{10}), .calls = -1});
    const auto ids = there_are_pictures(5, 5);
    eventually("all are being sent", [&] { return sends().size() == 6; });
    const auto behind = there_is_a_picture(1);

    const auto begun = steady_clock::now();
    stop();
    const auto took = steady_clock::now() - begun;

    EXPECT_LT(took, seconds{6} * patience_factor) << "a call's timeout is ten seconds";
    for (const auto id : ids) {
        EXPECT_EQ(row(id).state, "pending");
        EXPECT_EQ(row(id).uncertain_attempts, 1) << "it left, so it may have arrived";
    }
    EXPECT_EQ(row(behind).state, "pending");
    EXPECT_EQ(row(behind).attempts, 0);
}

TEST_F(NotifyFaults, WaitsInTheEndForCallsThatAreAlmostThere) {
    const auto warm = there_is_a_picture(1);
    start();
    becomes(warm, "sent");
    bot_api_->script({.answer = BotAnswer::slow(milliseconds{700}), .calls = -1});
    const auto id = there_is_a_picture(2);
    eventually("it is being sent", [&] { return sends().size() == 2; });

    stop();

    EXPECT_EQ(row(id).state, "sent");
}

TEST_F(NotifyFaults, EndsAtOnceWithNothingInFlight) {
    tuning_.stop_bound = seconds{20};
    start();
    eventually("the token is checked", [&] { return !log_.lines_with("accepts the token").empty(); });

    const auto begun = steady_clock::now();
    stop();

    EXPECT_LT(steady_clock::now() - begun, tuning_.stop_bound / 2);
}

}  // namespace
}  // namespace runledger::test
