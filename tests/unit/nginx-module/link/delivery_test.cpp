#include "nginx-module/link/delivery.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class LinkDelivery : public SpoolFixture {
protected:
    LinkDelivery() { start(); }

    void append_all(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            ASSERT_TRUE(append(i));
        }
    }
    [[nodiscard]] std::vector<BatchNumber> sent() const {
        std::vector<BatchNumber> numbers;
        for (const BatchName& name : ledger_.order()) {
            numbers.push_back(name.number);
        }
        return numbers;
    }
    [[nodiscard]] Segment& segment() { return *spool_->segments().front(); }
    void answer(wire::Verdict verdict, BatchNumber number) {
        delivery_->take_answer(
            0, wire::encode(wire::Answer{.verdict = verdict, .batch = {.segment = segment().id(), .number = number}}),
            now_);
    }
    void daemon_restarts() {
        delivery_->on_peer_lost(0, now_);
        delivery_->on_peer_up(0, now_);
    }
    const BatchDelivery::Send send_ = [this](BatchDelivery::PeerIndex, std::span<const std::byte> message) {
        return ledger_.take(message);
    };
};

TEST_F(LinkDelivery, SendsInOrderAndNothingTwice) {
    append_all(5);

    deliver_all();
    deliver_all();

    EXPECT_THAT(sent(), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_EQ(delivery_->figures().batches_acked, 5U);
    EXPECT_EQ(delivery_->figures().window_bytes, 0U);
}

TEST_F(LinkDelivery, SendsAgainWhatHasNoAnswer) {
    ledger_.rule = [](const BatchName&) { return std::nullopt; };
    append_all(2);
    deliver_all();
    now_ += delivery_settings_.window.resend_after - 1ms;
    deliver_all();
    ASSERT_THAT(sent(), ElementsAre(0, 1));

    ledger_.rule = nullptr;
    now_ += 10s;
    deliver_all();  // Takes back what is overdue, and pauses.
    now_ += 10s;
    deliver_all();

    EXPECT_THAT(sent(), ElementsAre(0, 1, 0, 1));
    EXPECT_EQ(delivery_->figures().batches_resent, 2U);
    EXPECT_TRUE(segment().is_acked());
}

TEST_F(LinkDelivery, SendsAgainAtOnceWhenTheConnectionChanges) {
    ledger_.rule = [](const BatchName&) { return std::nullopt; };
    append_all(2);
    deliver_all();

    ledger_.rule = nullptr;
    daemon_restarts();
    deliver_all();

    EXPECT_THAT(sent(), ElementsAre(0, 1, 0, 1));
    EXPECT_TRUE(segment().is_acked());
}

TEST_F(LinkDelivery, SlowsDownForABusyDaemonAndLosesNothing) {
    int busy = 3;
    ledger_.rule = [&](const BatchName&) { return busy-- > 0 ? wire::Verdict::busy : wire::Verdict::committed; };
    append_all(3);
    deliver_all();
    EXPECT_THAT(sent(), ElementsAre(0, 1, 2));

    deliver_all();
    EXPECT_THAT(sent(), SizeIs(3)) << "paused";
    now_ += 100ms;
    deliver_all();

    EXPECT_THAT(sent(), ElementsAre(0, 1, 2, 0, 1, 2));
    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_EQ(delivery_->figures().busy_answers, 3U);
}

TEST_F(LinkDelivery, KeepsTheWindowBounded) {
    ledger_.rule = [](const BatchName&) { return std::nullopt; };
    settings_.bytes_max = 256UL * 1024 * 1024;
    kill();
    start();
    for (std::uint64_t i = 0; i < 40; ++i) {
        ASSERT_TRUE(append(i, 1'000'000));
    }

    deliver_all();

    EXPECT_LE(delivery_->figures().window_bytes, window_bytes_max);
    EXPECT_THAT(sent(), SizeIs(16));
}

TEST_F(LinkDelivery, RefusedBatchDoesNotHoldUpWhatIsBehindIt) {
    ledger_.rule = [](const BatchName& name) {
        return name.number == 1 ? wire::Verdict::refused : wire::Verdict::committed;
    };
    append_all(4);

    deliver_all();
    deliver_all();

    EXPECT_THAT(sent(), ElementsAre(0, 1, 2, 3));
    EXPECT_EQ(ledger_.events(), (std::multiset<std::uint64_t>{0, 2, 3}));
    EXPECT_EQ(delivery_->figures().refused_answers, 1U);
}

TEST_F(LinkDelivery, RefusedBatchStaysAndIsTriedAloneAndRarely) {
    ledger_.rule = [](const BatchName&) { return wire::Verdict::refused; };
    append_all(4);
    deliver_all();
    now_ += 2 * settings_.seal_idle_after;
    for (int i = 0; i < 4; ++i) {
        deliver_all();
        deliver_all();
        now_ += delivery_settings_.refused_retry_every;
    }

    EXPECT_THAT(sent(), ElementsAre(0, 1, 2, 3, /* each in its turn */ 0, 1, 2, 3));
    pass(1s);
    EXPECT_THAT(ledger_.retired(), IsEmpty());
    EXPECT_THAT(spool_->segments(), SizeIs(1));
}

TEST_F(LinkDelivery, AllThatWasRefusedIsOfferedWhenTheDaemonTakesOne) {
    bool is_old_daemon = true;
    ledger_.rule = [&](const BatchName&) { return is_old_daemon ? wire::Verdict::refused : wire::Verdict::committed; };
    append_all(4);
    deliver_all();

    is_old_daemon = false;
    now_ += delivery_settings_.refused_retry_every;
    deliver_all();

    EXPECT_EQ(ledger_.events(), answered_);
}

TEST_F(LinkDelivery, AllThatWasRefusedIsOfferedToANewDaemon) {
    ledger_.rule = [](const BatchName&) { return wire::Verdict::refused; };
    append_all(4);
    deliver_all();

    ledger_.rule = nullptr;
    daemon_restarts();
    deliver_all();

    EXPECT_EQ(ledger_.events(), answered_);
}

TEST_F(LinkDelivery, ABatchThatCannotBeReadDoesNotHoldUpTheOthers) {
    append_all(3);
    files_.fail_times(Op::read, EIO, 1);

    deliver_all();
    EXPECT_THAT(sent(), ElementsAre(1, 2));

    files_.heal();
    now_ += delivery_settings_.refused_retry_every;
    deliver_all();
    EXPECT_EQ(ledger_.events(), answered_);
}

TEST_F(LinkDelivery, IgnoresAndCountsAnswersThatFitNothing) {
    append_all(2);
    answer(wire::Verdict::committed, 77);
    answer(wire::Verdict::retired, 2);
    delivery_->take_answer(0,
                           wire::encode(wire::Answer{.verdict = wire::Verdict::committed,
                                                     .batch = {.segment = segment_id(0xEE), .number = 0}}),
                           now_);
    delivery_->take_answer(0, {}, now_);

    EXPECT_EQ(delivery_->figures().unknown_answers, 4U);
    EXPECT_THAT(files_in_folder(), SizeIs(1));
    deliver_all();
    EXPECT_EQ(ledger_.events(), answered_);
    answer(wire::Verdict::committed, 0);  // A copy.
    EXPECT_EQ(delivery_->figures().batches_acked, 2U);
}

TEST_F(LinkDelivery, ALateCommitCountsThoughTheBatchIsToBeSentAgain) {
    ledger_.rule = [](const BatchName&) { return std::nullopt; };
    append_all(1);
    deliver_all();
    now_ += delivery_settings_.window.resend_after;
    ledger_.is_reachable = false;
    deliver_all();

    answer(wire::Verdict::committed, 0);
    ledger_.is_reachable = true;
    now_ += 1h;
    deliver_all();

    EXPECT_THAT(sent(), ElementsAre(0));
    EXPECT_TRUE(segment().is_acked());
}

TEST_F(LinkDelivery, DoesNotUnlinkForARetirementOfAnotherCount) {
    append_all(2);
    deliver_all();
    ledger_.answers_retire = false;
    pass(settings_.seal_idle_after);

    answer(wire::Verdict::retired, 1);
    EXPECT_THAT(spool_->segments(), SizeIs(1));
    answer(wire::Verdict::retired, 2);
    EXPECT_THAT(spool_->segments(), IsEmpty());
}

// A daemon that is mistaken, or another edge's copy of the spool: what it has not acknowledged stays.
TEST_F(LinkDelivery, DoesNotUnlinkForARetirementOfBatchesThatAreNotAcked) {
    ledger_.rule = [](const BatchName&) { return std::nullopt; };
    append_all(2);
    deliver_all();
    spool_->seal(segment());

    answer(wire::Verdict::retired, 2);

    EXPECT_THAT(spool_->segments(), SizeIs(1));
}

TEST_F(LinkDelivery, SendsASegmentAgainWhoseRetirementIsRefusedSinceTheLedgerLostIt) {
    append_all(3);
    deliver_all();
    ledger_.answers_retire = false;
    pass(settings_.seal_idle_after);
    deliver_all();  // Asks for the retirement.
    const wire::Answer refusal{.verdict = wire::Verdict::refused,
                               .reason = wire::Damage::truncated,
                               .batch = {.segment = segment().id(), .number = 3}};

    delivery_->take_answer(0, wire::encode(refusal), now_);
    delivery_->take_answer(0, wire::encode(refusal), now_);  // A copy, while they are on their way.
    deliver_all();

    EXPECT_THAT(sent(), ElementsAre(0, 1, 2, 0, 1, 2));
    EXPECT_EQ(delivery_->figures().refused_retirements, 1U);
    EXPECT_THAT(spool_->segments(), SizeIs(1)) << "kept until the ledger lets go of it";
    EXPECT_THAT(all_log(), HasSubstr("the ledger has lost batches"));
    ledger_.answers_retire = true;
    pass(delivery_settings_.retire_pause_max);
    deliver_all();
    EXPECT_THAT(spool_->segments(), IsEmpty());
}

TEST_F(LinkDelivery, SaysWhenTheSocketTakesNothing) {
    append_all(1);
    ledger_.is_reachable = false;

    EXPECT_EQ(delivery_->pump(now_, send_), BatchDelivery::Progress::blocked);
    EXPECT_EQ(delivery_->figures().window_bytes, 0U);

    ledger_.is_reachable = true;
    EXPECT_EQ(delivery_->pump(now_, send_), BatchDelivery::Progress::idle);
}

TEST_F(LinkDelivery, SendsATurnsShareAndSaysThatThereIsMore) {
    ledger_.rule = [](const BatchName&) { return std::nullopt; };
    append_all(300);

    EXPECT_EQ(delivery_->pump(now_, send_), BatchDelivery::Progress::more);
    EXPECT_THAT(sent(), SizeIs(128));
}

TEST_F(LinkDelivery, SendsAFreshBatchFromMemoryOnlyWhenItIsItsTurn) {
    files_.fail(Op::read, EIO);  // What is read back can't be sent.
    auto encoder = make_encoder();
    add_event(encoder, 1);
    delivery_->offer(spool_->append(encoder, {}, now_), now_, send_);
    EXPECT_THAT(sent(), ElementsAre(0));

    files_.heal();
    (void)append(2);
    encoder.clear();
    add_event(encoder, 3);
    delivery_->offer(spool_->append(encoder, {}, now_), now_, send_);
    EXPECT_THAT(sent(), ElementsAre(0)) << "an older one waits";
    deliver_all();
    EXPECT_THAT(sent(), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace runledger::edge::test
