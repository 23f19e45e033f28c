// Who owns a segment: one process at a time, by a lock that only the kernel takes away.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

class SpoolOwnership : public SpoolFixture {
protected:
    // Another worker: a process that appends what it is asked to, says so, and waits to be killed.
    void start_child(std::uint64_t first, std::uint64_t count) {
        int pipe_ends[2]{};
        ASSERT_EQ(::pipe(pipe_ends), 0);
        child_ = ::fork();
        ASSERT_GE(child_, 0);
        if (child_ == 0) {
            try {
                PosixFiles files;
                EdgeLog log;
                Spool spool(
                    settings_, files, [] { return WallTime{std::chrono::microseconds{1}}; }, log);
                for (std::uint64_t i = 0; i < count; ++i) {
                    auto encoder = make_encoder();
                    add_event(encoder, first + i, 50'000);
                    (void)spool.append(encoder, {}, {});
                }
                spool.tend({});
                const char done = 'd';
                if (::write(pipe_ends[1], &done, 1) == 1) {
                    while (true) {
                        ::pause();
                    }
                }
            } catch (const std::exception& e) {
                // The parent sees the pipe close without a word.
                (void)std::fprintf(stderr, "the child: %s\n", e.what());
            }
            ::_exit(1);
        }
        ::close(pipe_ends[1]);
        char done = 0;
        const auto got = ::read(pipe_ends[0], &done, 1);
        ::close(pipe_ends[0]);
        ASSERT_EQ(got, 1) << "the child could not append";
        for (std::uint64_t i = 0; i < count; ++i) {
            answered_.insert(first + i);
        }
    }

    void kill_child() {
        if (child_ > 0) {
            ::kill(child_, SIGKILL);
            ::waitpid(child_, nullptr, 0);
            child_ = 0;
        }
    }

    ~SpoolOwnership() override { kill_child(); }

    pid_t child_{};
};

TEST_F(SpoolOwnership, NothingOfALivingWorkerIsAdopted) {
    start_child(0, 8);
    start();

    tend_until_quiet();

    EXPECT_THAT(ledger_.events(), IsEmpty());
    EXPECT_EQ(spool_->figures().segments_adopted, 0U);
}

TEST_F(SpoolOwnership, AllOfAKilledWorkerIsAdoptedAndItsSpaceFreed) {
    start_child(0, 8);
    start();
    tend_until_quiet();

    kill_child();
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_THAT(files_in_folder(), SizeIs(1)) << "the one that we have made ahead";
}

TEST_F(SpoolOwnership, TwoSpoolsOnOneFolderNeverOwnTheSameSegment) {
    for (std::uint64_t i = 0; i < 3; ++i) {
        start_child(100 * i, 6);
        kill_child();
    }
    constexpr std::uint64_t each = 60;
    struct Worker {
        SpoolSettings config;
        std::uint64_t first;
        std::multiset<std::uint64_t> answered{};
        Ledger ledger{};

        void run() {
            PosixFiles files;
            EdgeLog log;
            Spool spool(
                config, files, [] { return WallTime{std::chrono::microseconds{1}}; }, log);
            BatchDelivery delivery(1, {}, spool, log);
            SteadyTime now{1h};
            delivery.on_peer_up(0, now);
            for (std::uint64_t i = 0; i < each; ++i) {
                auto encoder = make_encoder();
                add_event(encoder, first + i, 30'000);
                try {
                    (void)spool.append(encoder, {}, now);
                    answered.insert(first + i);
                } catch (const SpoolFull&) {
                    // The other one has the room.
                }
                now += config.adopt_every;
                spool.tend(now);
                deliver(delivery, ledger, now);
            }
            for (int i = 0; i < 100; ++i) {
                now += config.seal_idle_after;
                spool.tend(now);
                deliver(delivery, ledger, now);
            }
            spool.close();
        }
    };
    Worker left{.config = settings_, .first = 1000};
    Worker right{.config = settings_, .first = 2000};

    std::thread other([&] { right.run(); });
    left.run();
    other.join();

    // Had both owned one segment, both would have sent its batches: here each name is sent by one of them, once.
    std::map<BatchName, int> senders;
    for (const Worker* worker : {&left, &right}) {
        for (const BatchName& name : worker->ledger.order()) {
            ++senders[name];
        }
    }
    for (const auto& [name, times] : senders) {
        EXPECT_EQ(times, 1) << name.segment.hex() << " " << name.number;
    }
    answered_.insert(left.answered.begin(), left.answered.end());
    answered_.insert(right.answered.begin(), right.answered.end());
    auto delivered = left.ledger.events();
    delivered.merge(right.ledger.events());
    EXPECT_EQ(delivered, answered_);
    EXPECT_THAT(files_in_folder(), IsEmpty());
}

}  // namespace
}  // namespace runledger::edge::test
