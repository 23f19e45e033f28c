// BatchDelivery to several daemons: who gets what, and what becomes of a batch that kills whoever reads it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "nginx-module/link/delivery.hpp"
#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;

class LinkPeers : public SpoolFixture {
protected:
    using Peer = BatchDelivery::PeerIndex;

    LinkPeers() { delivery_settings_.suspect_after = 3; }

    void start_with(std::size_t peers) {
        peers_ = peers;
        start();
        for (Peer peer = 1; peer < peers; ++peer) {  // The fixture has the first one up.
            delivery_->on_peer_up(peer, now_);
        }
    }
    void append_all(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t i = first; i < first + count; ++i) {
            ASSERT_TRUE(append(i));
        }
    }
    // Sends what is due; nobody answers by itself.
    BatchDelivery::Progress pump() { return delivery_->pump(now_, send_); }
    void answer(Peer from, BatchNumber number, wire::Verdict verdict = wire::Verdict::committed) {
        delivery_->take_answer(
            from,
            wire::encode(wire::Answer{.verdict = verdict,
                                      .batch = {.segment = spool_->segments().front()->id(), .number = number}}),
            now_);
    }
    void answer_all(Peer from) {
        for (const BatchNumber number : std::exchange(received_[from], {})) {
            committed_.insert(number);
            answer(from, number);
        }
    }
    void lose(Peer peer) {
        received_[peer].clear();
        delivery_->on_peer_lost(peer, now_);
    }
    void restart(Peer peer) {
        lose(peer);
        delivery_->on_peer_up(peer, now_);
    }
    // Lets daemons live that die of each marked batch before they have answered anything that came with it, for
    // `time`; they come back at once. Returns how many died.
    int live(std::chrono::milliseconds time, const std::set<BatchNumber>& deadly) {
        int deaths = 0;
        for (const SteadyTime end = now_ + time; now_ < end; now_ += 100ms) {
            (void)pump();
            for (auto& [peer, batches] : received_) {
                const bool dies = std::any_of(batches.begin(), batches.end(),
                                              [&](BatchNumber number) { return deadly.contains(number); });
                if (dies) {
                    ++deaths;
                    restart(peer);
                } else {
                    answer_all(peer);
                }
            }
        }
        return deaths;
    }

    std::map<Peer, std::vector<BatchNumber>> received_;  // And not answered.
    std::set<BatchNumber> committed_;
    std::set<Peer> full_;
    const BatchDelivery::Send send_ = [this](Peer peer, std::span<const std::byte> message) {
        if (full_.contains(peer)) {
            return false;
        }
        const auto request = wire::decode_request(message);
        if (const auto* batch = std::get_if<wire::Batch>(&request)) {
            received_[peer].push_back(batch->name.number);
        }
        return true;
    };
};

TEST_F(LinkPeers, ShareTheBatches) {
    start_with(2);
    append_all(0, 10);

    (void)pump();

    EXPECT_THAT(received_[0], SizeIs(5));
    EXPECT_THAT(received_[1], SizeIs(5));
}

TEST_F(LinkPeers, OneThatIsNotUpOrTakesNothingIsLeftOut) {
    peers_ = 3;
    start();
    delivery_->on_peer_up(2, now_);
    full_ = {0};
    append_all(0, 6);

    EXPECT_EQ(pump(), BatchDelivery::Progress::blocked) << "one of them is worth waiting for";

    EXPECT_THAT(received_[1], IsEmpty());
    EXPECT_THAT(received_[2], SizeIs(6));
}

TEST_F(LinkPeers, OneThatIsBusyAllTheTimeDoesNotSlowTheOtherDown) {
    start_with(2);
    for (int round = 0; round < 20; ++round) {
        append_all(static_cast<std::uint64_t>(round) * 10, 10);
        (void)pump();
        for (const BatchNumber number : std::exchange(received_[0], {})) {
            answer(0, number, wire::Verdict::busy);
        }
        (void)pump();
        EXPECT_THAT(received_[0], IsEmpty()) << "paused";
        answer_all(1);
        now_ += 10ms;
    }

    EXPECT_EQ(committed_.size(), 200U);
    EXPECT_LT(delivery_->figures().busy_answers, 30U);
}

TEST_F(LinkPeers, WhatOneOfThemIsSilentAboutGoesToAnother) {
    start_with(2);
    append_all(0, 4);
    (void)pump();
    answer_all(1);
    const auto silent = received_[0];
    ASSERT_THAT(silent, SizeIs(2));

    now_ += delivery_settings_.window.resend_after;
    (void)pump();
    EXPECT_EQ(received_[1], silent);
    append_all(4, 6);
    (void)pump();

    EXPECT_THAT(received_[1], SizeIs(8)) << "as long as it is silent, it gets nothing that another has room for";
    answer(0, silent.front());
    answer(1, silent.front());
    EXPECT_EQ(delivery_->figures().unknown_answers, 1U) << "the first of both answers counts";
}

TEST_F(LinkPeers, OnlyWhatALostOneHadIsSentAgain) {
    start_with(2);
    append_all(0, 6);
    (void)pump();
    const auto lost = received_[0];
    const auto kept = received_[1];

    lose(0);
    (void)pump();

    EXPECT_EQ(delivery_->figures().batches_resent, lost.size());
    EXPECT_THAT(received_[1], SizeIs(kept.size() + lost.size()));
    delivery_->on_peer_up(0, now_);
    EXPECT_EQ(delivery_->figures().batches_resent, lost.size()) << "coming back is no reason to send anything again";
}

TEST_F(LinkPeers, ALateAnswerOfOneDoesNotTakeTheBatchFromTheOther) {
    start_with(2);
    append_all(0, 1);
    (void)pump();
    ASSERT_EQ(received_[0].size(), 1U);
    now_ += delivery_settings_.window.resend_after;
    (void)pump();
    ASSERT_EQ(received_[1].size(), 1U);

    answer(0, 0, wire::Verdict::busy);

    (void)pump();
    EXPECT_EQ(received_[1].size(), 1U) << "still under way there";
    EXPECT_GT(delivery_->figures().window_bytes, 0U);
    answer(1, 0);
    EXPECT_EQ(delivery_->figures().window_bytes, 0U);
}

TEST_F(LinkPeers, ALateCommitOfOneEndsTheWaitForTheOther) {
    start_with(2);
    append_all(0, 1);
    (void)pump();
    now_ += delivery_settings_.window.resend_after;
    (void)pump();
    ASSERT_EQ(received_[1].size(), 1U);

    answer(0, 0);

    EXPECT_EQ(delivery_->figures().batches_acked, 1U);
    EXPECT_EQ(delivery_->figures().window_bytes, 0U);
}

TEST_F(LinkPeers, TheOneWithLessUnderWayGetsTheNext) {
    start_with(2);
    append_all(0, 1);
    (void)pump();
    append_all(1, 1);
    (void)pump();
    answer(1, 1);
    append_all(2, 1);

    (void)pump();

    EXPECT_THAT(received_[0], ElementsAre(0));
    EXPECT_THAT(received_[1], ElementsAre(1, 2)) << "though it is the other's turn";
}

TEST_F(LinkPeers, ABatchThatWasUnderWayAtThreeLossesIsSentAlone) {
    start_with(1);
    append_all(0, 2);
    for (int i = 0; i < 3; ++i) {
        (void)pump();
        EXPECT_THAT(received_[0], ElementsAre(0, 1));
        restart(0);
    }
    EXPECT_EQ(delivery_->figures().batches_suspected, 2U);
    EXPECT_EQ(delivery_->figures().poison_batches, 2U);
    append_all(2, 2);

    (void)pump();
    EXPECT_THAT(received_[0], ElementsAre(0)) << "and nothing besides";
    answer_all(0);
    (void)pump();
    EXPECT_THAT(received_[0], ElementsAre(2, 3)) << "the others have their turn";
    now_ += delivery_settings_.suspect_spacing;
    (void)pump();
    EXPECT_THAT(received_[0], ElementsAre(2, 3)) << "the next suspect waits for them";
    answer_all(0);
    (void)pump();
    EXPECT_THAT(received_[0], ElementsAre(1));
    answer_all(0);

    EXPECT_EQ(delivery_->figures().poison_batches, 0U);
    EXPECT_EQ(committed_.size(), 4U);
    EXPECT_EQ(delivery_->figures().batches_convicted, 0U);
}

TEST_F(LinkPeers, ASuspectWaitsAWhileAfterOneThatADaemonWasLostWith) {
    start_with(1);
    append_all(0, 2);
    for (int i = 0; i < 3; ++i) {
        (void)pump();
        restart(0);
    }
    (void)pump();
    ASSERT_THAT(received_[0], ElementsAre(0)) << "alone";
    restart(0);

    (void)pump();
    EXPECT_THAT(received_[0], IsEmpty());
    now_ += delivery_settings_.suspect_pause;
    (void)pump();
    EXPECT_THAT(received_[0], ElementsAre(1));
}

TEST_F(LinkPeers, ABatchThatKillsTheDaemonHoldsUpNobodyAndIsTriedRarely) {
    start_with(1);
    append_all(0, 20);

    const int deaths = live(30s, {7});
    EXPECT_EQ(deaths, 4) << "three together with others, and one alone";
    EXPECT_THAT(committed_, SizeIs(19));
    EXPECT_THAT(all_log(),
                HasSubstr("a daemon was lost with only this batch in flight, it is retried rarely: segment=" +
                          spool_->segments().front()->id().hex() + " batch=7 daemons_lost=4"));
    append_all(20, 20);
    EXPECT_LE(live(10 * delivery_settings_.refused_retry_every, {7}), 10) << "once in a while";
    EXPECT_THAT(committed_, SizeIs(39));
    EXPECT_THAT(committed_, Not(Contains(7)));

    EXPECT_EQ(live(2 * delivery_settings_.refused_retry_every, {}), 0);

    EXPECT_THAT(committed_, SizeIs(40)) << "a daemon that was mended takes it";
    EXPECT_TRUE(spool_->segments().front()->is_acked());
}

TEST_F(LinkPeers, ABatchThatKillsDaemonsDoesNotKillOneAfterTheOther) {
    start_with(2);
    append_all(0, 20);

    const int deaths = live(30s, {7, 8});

    EXPECT_LE(deaths, 8) << "four for each";
    EXPECT_THAT(committed_, SizeIs(18));
    EXPECT_LE(live(10 * delivery_settings_.refused_retry_every, {7, 8}), 10);
}

TEST_F(LinkPeers, ALostDaemonProvesNothingAboutABatchThatWasAnsweredSince) {
    start_with(1);
    append_all(0, 1);
    for (int i = 0; i < 2; ++i) {
        (void)pump();
        restart(0);
    }
    (void)pump();
    answer(0, 0, wire::Verdict::refused);
    received_[0].clear();
    for (int i = 0; i < 2; ++i) {
        now_ += delivery_settings_.refused_retry_every;
        (void)pump();
        restart(0);
    }

    EXPECT_EQ(delivery_->figures().batches_suspected, 0U);
}

TEST_F(LinkPeers, SilenceIsNoProofAgainstASuspect) {
    start_with(1);
    append_all(0, 1);
    for (int i = 0; i < 3; ++i) {
        (void)pump();
        restart(0);
    }
    (void)pump();
    ASSERT_THAT(received_[0], ElementsAre(0));

    now_ += delivery_settings_.window.resend_after;
    append_all(1, 1);
    (void)pump();
    EXPECT_EQ(delivery_->figures().batches_convicted, 0U);
    now_ += delivery_settings_.suspect_pause;
    (void)pump();
    answer_all(0);
    now_ += delivery_settings_.suspect_pause;
    (void)pump();
    answer_all(0);

    EXPECT_THAT(committed_, UnorderedElementsAre(0, 1));
}

TEST_F(LinkPeers, RetirementsGoToAnotherDaemonEachTime) {
    start_with(2);
    std::vector<Peer> asked;
    const BatchDelivery::Send send = [&](Peer peer, std::span<const std::byte> message) {
        if (std::holds_alternative<wire::Retire>(wire::decode_request(message))) {
            asked.push_back(peer);
        } else {
            received_[peer].push_back(0);
        }
        return true;
    };
    append_all(0, 1);
    (void)delivery_->pump(now_, send);
    answer(0, 0);
    pass(settings_.seal_idle_after);
    for (int i = 0; i < 4; ++i) {
        (void)delivery_->pump(now_, send);
        now_ += delivery_settings_.retire_pause_max;
    }

    EXPECT_THAT(asked, SizeIs(4));
    EXPECT_THAT(asked, Contains(0));
    EXPECT_THAT(asked, Contains(1));
}

}  // namespace
}  // namespace runledger::edge::test
