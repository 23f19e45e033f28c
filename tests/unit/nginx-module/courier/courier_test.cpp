#include "nginx-module/courier/courier.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <atomic>
#include <fstream>

#include "tests/unit/nginx-module/courier/courier_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class CourierTest : public CourierFixture {
protected:
    std::multiset<std::uint64_t> submit_all(std::uint64_t first, std::uint64_t count, std::size_t body_bytes = 0) {
        std::multiset<std::uint64_t> numbers;
        for (std::uint64_t i = 0; i < count; ++i) {
            (void)submit(first + i, body_bytes);
            numbers.insert(first + i);
        }
        return numbers;
    }
    void all_answered(std::size_t count) {
        eventually("every event is answered", [&] { return answered_.size() == count; });
    }
    void all_delivered(const std::multiset<std::uint64_t>& numbers) {
        eventually("every event is in the ledger", [&] { return daemon_.ledger.events() == numbers; });
    }
};

TEST_F(CourierTest, AnswersWithoutADaemonAndDeliversWhenItComes) {
    start();
    const auto numbers = submit_all(0, 200);
    all_answered(200);

    daemon_.start();

    all_delivered(numbers);
    eventually("the segment is retired and unlinked", [&] { return file_count() == 1; });
    EXPECT_THAT(all_log(), HasSubstr("link up"));
    const auto figures = courier_->figures();
    EXPECT_EQ(figures.commits.events, 200U);
    EXPECT_LT(figures.commits.batches, 200U) << "group commit";
    EXPECT_EQ(figures.held_events, 0U);
    EXPECT_TRUE(figures.is_link_up());
    for (const auto& [raw, event] : answered_) {
        EXPECT_EQ(event->result, CommitResult::committed);
        EXPECT_GT(event->commit_time.count(), 0);
    }
}

TEST_F(CourierTest, IsDurableBeforeItAnswers) {
    const auto syncs = std::make_shared<std::atomic<int>>(0);
    files_->on_change([syncs](Op op) { *syncs += op == Op::sync ? 1 : 0; });
    start();
    eventually("the next segment is made", [&] { return *syncs == 1; });
    files_->on_change([](Op op) {
        if (op == Op::sync) {
            throw std::system_error(EIO, std::generic_category(), "injected");
        }
    });
    const auto event = submit(1);
    eventually("a commit fails", [&] { return courier_->figures().commits.failures >= 3; });
    EXPECT_FALSE(is_answered(event));

    files_->on_change({});
    all_answered(1);
}

TEST_F(CourierTest, StoresALoneEventThatComesBehindABurst) {
    start();
    std::uint64_t number = 0;
    for (int round = 0; round < 50; ++round) {
        (void)submit_all(number, 20);
        number += 20;
        all_answered(number);

        (void)submit(number++);

        all_answered(number);
    }
    const auto figures = courier_->figures();
    EXPECT_EQ(figures.commits.events, number);
    EXPECT_EQ(figures.held_events, 0U);
}

TEST(HeldEvent, IsAsNewWhenItIsUsedAgain) {
    runledger::test::TempFolder temp;
    temp.write_file("body", "{}");
    HeldEvent event;
    event.body_fd = ::open((temp / "body").c_str(), O_RDONLY | O_CLOEXEC);
    const int fd = event.body_fd;
    event.body = std::string(1000, 'a');
    const char* const memory = event.body.data();
    event.body_bytes = 1000;
    event.flags = 1;
    event.validated = true;
    event.run_id = std::string(128, 'b');
    event.status_word = "running";
    event.state = HoldState::taken;
    event.trouble = CommitTrouble::no_room;
    event.result = CommitResult::failed;
    event.refusal.offset = 7;
    event.commit_time = 3us;
    event.stamp.received_at = WallTime{5us};

    event.renew();

    EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "the descriptor is closed";
    const HeldEvent made;
    EXPECT_EQ(event.body_fd, made.body_fd);
    EXPECT_THAT(event.body, IsEmpty());
    EXPECT_EQ(event.body_bytes, made.body_bytes);
    EXPECT_EQ(event.flags, made.flags);
    EXPECT_FALSE(event.validated);
    EXPECT_THAT(event.run_id, IsEmpty());
    EXPECT_THAT(event.status_word, IsEmpty());
    EXPECT_EQ(event.state.load(), HoldState::waiting);
    EXPECT_EQ(event.trouble.load(), CommitTrouble::none);
    EXPECT_EQ(event.result, made.result);
    EXPECT_EQ(event.refusal.offset, 0U);
    EXPECT_EQ(event.commit_time, 0us);
    EXPECT_EQ(event.stamp.received_at, made.stamp.received_at);
    EXPECT_EQ(event.waiter, nullptr);
    event.body.assign(1000, 'c');
    EXPECT_EQ(event.body.data(), memory) << "the same memory";
}

TEST(HeldEvent, GivesTheMemoryOfALargeBodyBack) {
    HeldEvent event;
    event.body = std::string(100'000, 'a');

    event.renew();

    EXPECT_LT(event.body.capacity(), 100U);
}

TEST_F(CourierTest, WakesTheLoop) {
    start();
    (void)submit(1);

    pollfd waited{.fd = courier_->wake_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&waited, 1, 10'000), 1);
    all_answered(1);
    EXPECT_EQ(::poll(&waited, 1, 0), 0) << "drained";
}

TEST_F(CourierTest, ResendsToADaemonThatWasRestarted) {
    daemon_.start();
    settings_.link.delivery.window.resend_after = 1h;  // Only the new connection can be the cause.
    daemon_.ledger.rule = [](const BatchName&) { return std::nullopt; };
    start();
    const auto numbers = submit_all(0, 20);
    all_answered(20);
    eventually("the daemon has them, and is silent", [&] {
        const auto figures = courier_->figures();
        return figures.is_link_up() && figures.commits.events == 20 &&
               daemon_.ledger.order().size() >= figures.commits.batches;
    });

    daemon_.stop();
    eventually("the link is down", [&] { return !courier_->figures().is_link_up(); });
    daemon_.ledger.rule = nullptr;
    daemon_.start();

    all_delivered(numbers);
    EXPECT_GE(courier_->figures().delivery.batches_resent, 1U);
    EXPECT_THAT(all_log(), HasSubstr("link down"));
}

TEST_F(CourierTest, ResendsToADaemonThatIsSilent) {
    daemon_.start();
    int silent = 3;
    daemon_.ledger.rule = [&](const BatchName&) -> std::optional<wire::Verdict> {
        return silent-- > 0 ? std::nullopt : std::optional{wire::Verdict::committed};
    };
    start();
    const auto numbers = submit_all(0, 5);

    all_delivered(numbers);
    EXPECT_GE(courier_->figures().delivery.batches_resent, 1U);
}

TEST_F(CourierTest, DeliversToABusyDaemon) {
    daemon_.start();
    int busy = 4;
    daemon_.ledger.rule = [&](const BatchName&) { return busy-- > 0 ? wire::Verdict::busy : wire::Verdict::committed; };
    start();

    all_delivered(submit_all(0, 5));

    eventually("it is counted", [&] { return courier_->figures().delivery.busy_answers == 4; });
}

TEST_F(CourierTest, DeliversWhatIsBehindARefusedBatchAndKeepsThatBatch) {
    daemon_.start();
    daemon_.ledger.rule = [](const BatchName& name) {
        return name.number == 0 ? wire::Verdict::refused : wire::Verdict::committed;
    };
    start();
    (void)submit(1);
    all_answered(1);
    (void)submit(2);

    all_delivered({2});
    eventually("it is tried again", [&] { return courier_->figures().delivery.refused_answers >= 3; });
    EXPECT_EQ(courier_->figures().spool.batches_unacked, 1U);
    EXPECT_THAT(all_log(), HasSubstr("refused"));

    daemon_.ledger.rule = nullptr;
    all_delivered({1, 2});
}

TEST_F(CourierTest, DeliversABacklogThatIsLargerThanTheWindow) {
    settings_.spool.bytes_max = 64UL * 1024 * 1024;
    start();
    const auto numbers = submit_all(0, 60, 500'000);
    all_answered(60);

    daemon_.start();

    all_delivered(numbers);
}

TEST_F(CourierTest, UsesTheEndpointThatIsThere) {
    settings_.link.endpoints.insert(settings_.link.endpoints.begin(), "ipc://" + (temp_ / "nobody.sock").string());
    settings_.link.endpoints.push_back("nonsense");
    daemon_.start();
    start();

    all_delivered(submit_all(0, 3));

    EXPECT_THAT(all_log(), HasSubstr("bad endpoint: nonsense"));
}

TEST_F(CourierTest, ReadsAndValidatesBodiesInFiles) {
    daemon_.start();
    start();
    const auto good = make_event_in_file(body_of(7, 3'000'000));
    const auto bad = make_event_in_file(R"({"status":"running"})");
    auto cut = make_event_in_file(body_of(8));
    cut->body_bytes += 10;
    submit(good);
    submit(bad);
    submit(cut);

    all_answered(3);

    EXPECT_EQ(good->result, CommitResult::committed);
    EXPECT_EQ(good->run_id, "run-7");
    EXPECT_EQ(good->status_word, "running");
    EXPECT_EQ(good->body_fd, -1) << "closed as soon as it is read";
    EXPECT_EQ(bad->result, CommitResult::refused);
    EXPECT_EQ(bad->refusal.fault, EventFault::run_id_missing);
    EXPECT_EQ(cut->result, CommitResult::failed);
    all_delivered({7});
    EXPECT_EQ(courier_->figures().held_events, 0U);
}

TEST_F(CourierTest, RefusesOverItsBoundsAndTakesAgainWhenThereIsRoom) {
    settings_.held_events_max = 3;
    settings_.held_bytes_max = 10'000;
    files_->fail(Op::create, EIO);
    start();
    (void)submit(1);
    EXPECT_EQ(courier_->submit(make_event(2, 10'000)), SubmitResult::over_bound) << "bytes";
    (void)submit(3);
    const auto third = submit(4);
    EXPECT_EQ(courier_->submit(make_event(5)), SubmitResult::over_bound) << "events";

    third->state = HoldState::abandoned;

    eventually("there is room again", [&] { return courier_->submit(make_event(6)) == SubmitResult::submitted; });
    files_->heal();
    eventually("all that wait are answered", [&] { return answered_.size() == 3; });
}

TEST_F(CourierTest, AdoptsWhatAnotherCourierLeft) {
    start();
    const auto numbers = submit_all(0, 10);
    all_answered(10);
    stop();
    ASSERT_EQ(file_count(), 1U);

    start();
    daemon_.start();

    all_delivered(numbers);
    eventually("only the next segment is left", [&] { return file_count() == 1; });
}

TEST_F(CourierTest, CountsASegmentThatItHasToSetAside) {
    start();
    for (std::uint64_t number = 0; number < 3; ++number) {
        (void)submit(number, 1000);
        all_answered(number + 1);  // A batch each.
    }
    stop();
    const auto path = std::filesystem::directory_iterator(settings_.spool.folder)->path();
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(1600);  // In the second record.
        file << "damage";
    }

    daemon_.start();
    start();

    eventually("it is counted", [&] { return courier_->figures().spool.segments_damaged == 1; });
    all_delivered({0, 2});
    EXPECT_TRUE(std::filesystem::exists(path.string() + ".damaged"));
}

TEST_F(CourierTest, ShowsWhatItKeepsOfTheLedgersSegments) {
    settings_.spool.keep_acked = 1h;
    daemon_.start();
    start();
    (void)submit(1, 200'000);
    all_delivered({1});

    eventually("it is kept, and shown", [&] { return courier_->figures().spool.folder_kept_segments == 1; });

    const auto figures = courier_->figures();
    EXPECT_GE(figures.spool.folder_kept_bytes, 200'000U);
    EXPECT_GE(figures.spool.folder_bytes, figures.spool.folder_kept_bytes);
}

TEST_F(CourierTest, ManyThousandEventsArriveExactlyOnce) {
    settings_.spool.bytes_max = 64UL * 1024 * 1024;
    daemon_.start();
    start();
    std::multiset<std::uint64_t> numbers;
    for (std::uint64_t round = 0; round < 10; ++round) {
        const auto some = submit_all(round * 500, 500);
        numbers.insert(some.begin(), some.end());
        serve();
        if (round % 3 == 1) {
            daemon_.stop();
            daemon_.start();
        }
    }

    all_answered(5000);
    all_delivered(numbers);
    EXPECT_EQ(daemon_.ledger.conflicts(), 0U);
}

TEST_F(CourierTest, ItsThreadLeavesSignalsToTheOthers) {
    start();
    (void)submit(1);
    all_answered(1);

    // /proc shows what each thread blocks; ours is found by its name.
    bool found = false;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream status(task.path() / "status");
        std::string line;
        bool is_ours = false;
        while (std::getline(status, line)) {
            is_ours = is_ours || line == "Name:\trl-courier";
            if (is_ours && line.starts_with("SigBlk:")) {
                found = true;
                const auto blocked = std::stoull(line.substr(8), nullptr, 16);
                for (const int signal :
                     {SIGTERM, SIGQUIT, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGIO}) {
                    EXPECT_TRUE((blocked >> (signal - 1)) & 1U) << signal;
                }
            }
        }
    }
    EXPECT_TRUE(found);
}

}  // namespace
}  // namespace runledger::edge::test
