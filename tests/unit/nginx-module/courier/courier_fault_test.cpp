// The courier when the disk fails, fills or hangs, when clients leave, and when it is to end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>

#include "common/limits.hpp"
#include "tests/unit/nginx-module/courier/courier_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class CourierFault : public CourierFixture {
protected:
    void commits_fail(std::uint64_t more) {
        const std::uint64_t before = courier_->figures().commits.failures;
        eventually("commits fail", [&] { return courier_->figures().commits.failures >= before + more; });
    }
};

// The same trouble, at every operation, while events come.
struct Trouble {
    const char* name;
    Op op;
    int error;
    CommitTrouble trouble;  // As it shows.
};

class CourierTrouble : public CourierFault, public ::testing::WithParamInterface<Trouble> {};

TEST_P(CourierTrouble, HoldsRequestsAndAnswersThemWhenItIsOver) {
    daemon_.start();
    start();
    const auto before = submit(1);
    eventually("the first is answered", [&] { return is_answered(before); });

    files_->fail(GetParam().op, GetParam().error);
    std::vector<HeldEventPtr> held;
    for (std::uint64_t i = 2; i < 40; ++i) {
        held.push_back(submit(i, 100'000));  // More than what is reserved can take.
    }
    commits_fail(3);
    EXPECT_FALSE(is_answered(held.back()));
    EXPECT_EQ(held.back()->trouble, GetParam().trouble);
    eventually("the trouble shows", [&] { return courier_->figures().commits.trouble == GetParam().trouble; });
    EXPECT_GE(courier_->figures().commits.failing_seconds, 1U);
    files_->heal();

    eventually("all are answered", [&] { return answered_.size() == 39; });
    eventually("all are in the ledger", [&] { return daemon_.ledger.events().size() >= 39; });
    EXPECT_EQ(daemon_.ledger.conflicts(), 0U);
    EXPECT_THAT(all_log(), HasSubstr("commit failed"));
    eventually("the trouble is over", [&] { return courier_->figures().commits.trouble == CommitTrouble::none; });
    EXPECT_EQ(courier_->figures().commits.failing_seconds, 0U);
}

INSTANTIATE_TEST_SUITE_P(Disk, CourierTrouble,
                         ::testing::Values(Trouble{"WriteError", Op::write, EIO, CommitTrouble::disk_failing},
                                           Trouble{"DiskFullAtWrite", Op::write, ENOSPC, CommitTrouble::no_room},
                                           Trouble{"OverQuotaAtWrite", Op::write, EDQUOT, CommitTrouble::no_room},
                                           Trouble{"SyncError", Op::sync, EIO, CommitTrouble::disk_failing},
                                           Trouble{"DiskFullAtCreation", Op::reserve, ENOSPC, CommitTrouble::no_room},
                                           Trouble{"FolderGone", Op::create, ENOENT, CommitTrouble::disk_failing},
                                           Trouble{"FolderSyncError", Op::sync_folder, EIO,
                                                   CommitTrouble::disk_failing}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

// However small they are: a daemon refuses a batch of more events than the wire allows.
TEST_F(CourierFault, EventsThatWaitedTogetherMakeNoBatchThatADaemonRefuses) {
    files_->fail(Op::create, EIO);
    start();
    for (std::uint64_t i = 0; i < batch_events_max + 10; ++i) {
        (void)submit(i);
    }
    commits_fail(2);
    files_->heal();

    eventually("all are answered", [&] { return answered_.size() == batch_events_max + 10; });
    eventually("the batches show", [&] { return courier_->figures().commits.batches > 0; });

    EXPECT_GE(courier_->figures().commits.batches, 2U);
}

TEST_F(CourierFault, AbandonedEventsAreNotAnswered) {
    files_->fail(Op::create, EIO);
    start();
    const auto left = submit(1);
    const auto stays = submit(2);
    commits_fail(1);

    left->state = HoldState::abandoned;
    files_->heal();

    eventually("the other one is answered", [&] { return is_answered(stays); });
    EXPECT_FALSE(is_answered(left));
    eventually("nothing is held", [&] { return courier_->figures().held_events == 0; });
}

TEST_F(CourierFault, EventsAbandonedBeforeTheirTurnAreNotStored) {
    daemon_.start();
    start();
    const auto left = make_event(1);
    left->state = HoldState::abandoned;

    submit(left);
    const auto stays = submit(2);

    eventually("the other one is answered", [&] { return is_answered(stays); });
    eventually("it is in the ledger", [&] { return daemon_.ledger.events() == std::multiset<std::uint64_t>{2}; });
    eventually("nothing is held", [&] { return courier_->figures().held_events == 0; });
    EXPECT_FALSE(is_answered(left));
}

TEST_F(CourierFault, AnEventAbandonedDuringTheSyncIsStoredButNotAnswered) {
    daemon_.start();
    const HeldEventPtr leaving = make_event(1);
    const auto armed = std::make_shared<std::atomic<bool>>(false);
    files_->on_change([leaving, armed](Op op) {
        if (op == Op::sync && *armed) {
            leaving->state = HoldState::abandoned;
        }
    });
    start();
    eventually("the next segment is made", [&] { return courier_->figures().spool.folder_bytes > 0; });
    *armed = true;

    submit(leaving);

    eventually("it is stored", [&] { return daemon_.ledger.events().contains(1); });
    eventually("nothing is held", [&] { return courier_->figures().held_events == 0; });
    EXPECT_FALSE(is_answered(leaving));
}

TEST_F(CourierFault, SurvivesExceptionsThatNobodyExpects) {
    const auto left = std::make_shared<std::atomic<int>>(5);
    files_->on_change([left](Op op) {
        if (op == Op::sync && *left > 0) {
            --*left;
            throw std::bad_alloc();
        }
    });
    start();

    const auto event = submit(1);

    eventually("it is answered", [&] { return is_answered(event); });
    EXPECT_THAT(all_log(), HasSubstr("courier failed, trying again"));
}

TEST_F(CourierFault, RepeatedFailuresAreOneLine) {
    files_->fail(Op::create, EIO);
    start();
    (void)submit(1);
    commits_fail(10);

    const auto lines = std::count_if(lines_.begin(), lines_.end(),
                                     [](const LogLine& line) { return line.text.starts_with("commit failed"); });
    EXPECT_EQ(lines, 1);
    files_->heal();
}

TEST_F(CourierFault, FillsTheSpoolHoldsTheRestAndGoesOnWhenTheLinkFreesSpace) {
    files_->set_disk_bytes(2UL * 1024 * 1024);
    start();
    std::multiset<std::uint64_t> numbers;
    for (std::uint64_t i = 0; i < 60; ++i) {
        (void)submit(i, 60'000);
        numbers.insert(i);
    }
    eventually("the spool is full", [&] { return courier_->figures().commits.failures >= 3 && !answered_.empty(); });
    EXPECT_LT(answered_.size(), 60U);

    daemon_.start();

    eventually("all are answered", [&] { return answered_.size() == 60; });
    eventually("all are in the ledger", [&] { return daemon_.ledger.events() == numbers; });
    EXPECT_THAT(all_log(), HasSubstr("commit failed"));
}

// Several wait, and the disk has room for less than all of them together.
struct Crowd {
    const char* name;
    std::vector<std::size_t> body_bytes;
    std::size_t stored;  // So many of them fit.
};

class CourierCrowd : public CourierFault, public ::testing::WithParamInterface<Crowd> {};

TEST_P(CourierCrowd, IsStoredAsFarAsThereIsRoom) {
    files_->fail(Op::create, EIO);  // So that they wait together.
    files_->set_disk_bytes(300UL * 1024);
    start();
    std::vector<HeldEventPtr> events;
    for (const std::size_t bytes : GetParam().body_bytes) {
        events.push_back(submit(events.size(), bytes));
    }
    commits_fail(1);

    files_->heal();

    eventually("what fits is answered", [&] { return answered_.size() == GetParam().stored; });
    commits_fail(2);
    EXPECT_EQ(answered_.size(), GetParam().stored);
    files_->set_disk_bytes(64UL * 1024 * 1024);
    eventually("with room, all are answered", [&] { return answered_.size() == events.size(); });
}

INSTANTIATE_TEST_SUITE_P(Disk, CourierCrowd,
                         ::testing::Values(Crowd{"TwoOfWhichOneFits", {200'000, 200'000}, 1},
                                           Crowd{"ALargeOneBeforeSmallOnes", {2'000'000, 1000, 1000, 1000}, 3}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST_F(CourierFault, StopCommitsWhatWasSubmitted) {
    settings_.spool.bytes_max = 64UL * 1024 * 1024;
    start();
    for (std::uint64_t i = 0; i < 300; ++i) {
        (void)submit(i, 20'000);  // More than one batch takes.
    }

    stop();

    EXPECT_EQ(answered_.size(), 300U);
}

TEST_F(CourierFault, StopIsBoundedWhenTheDiskRefuses) {
    files_->fail(Op::create, EIO);
    start();
    const auto event = submit(1);
    commits_fail(1);

    const auto before = std::chrono::steady_clock::now();
    EXPECT_TRUE(courier_->stop(400ms));

    EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
    serve();
    EXPECT_FALSE(is_answered(event));
    EXPECT_EQ(courier_->submit(make_event(2)), SubmitResult::over_bound);
    courier_.reset();
}

TEST_F(CourierFault, StopIsBoundedWhenTheDiskHangs) {
    struct Gate {
        std::mutex mutex;
        std::condition_variable changed;
        bool is_hanging{false};
        bool is_open{false};
        bool has_passed{false};
    };
    auto gate = std::make_shared<Gate>();
    files_->on_change([gate](Op op) {
        if (op == Op::sync) {
            std::unique_lock lock(gate->mutex);
            gate->is_hanging = true;
            gate->changed.notify_all();
            gate->changed.wait(lock, [&] { return gate->is_open; });
            gate->has_passed = true;
        }
    });
    start();
    (void)submit(1);
    {
        std::unique_lock lock(gate->mutex);
        gate->changed.wait(lock, [&] { return gate->is_hanging; });
    }

    EXPECT_FALSE(courier_->stop(100ms));
    courier_.reset();  // The thread lives on, on what it shares.

    const std::weak_ptr<FaultFiles> thread_has = files_;
    settings_.files.reset();
    files_.reset();
    EXPECT_FALSE(thread_has.expired());
    {
        const std::scoped_lock lock(gate->mutex);
        gate->is_open = true;
    }
    gate->changed.notify_all();
    eventually("the thread ends and lets go of everything", [&] { return thread_has.expired(); });
    const std::scoped_lock lock(gate->mutex);
    EXPECT_TRUE(gate->has_passed);
}

TEST_F(CourierFault, StopsAtOnceThoughTheDaemonIsAway) {
    start();
    (void)submit(1);
    eventually("it is answered", [&] { return answered_.size() == 1; });

    const auto before = std::chrono::steady_clock::now();
    EXPECT_TRUE(courier_->stop(10s));

    EXPECT_LT(std::chrono::steady_clock::now() - before, 3s);
}

TEST_F(CourierFault, StopsWithoutHavingBeenStarted) {
    courier_ = std::make_unique<Courier>(settings_);

    EXPECT_TRUE(courier_->stop(0ms));
}

}  // namespace
}  // namespace runledger::edge::test
