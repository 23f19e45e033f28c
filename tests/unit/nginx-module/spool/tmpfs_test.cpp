// A file system of 64 MiB that the spool fills alone while the daemon is away.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using namespace std::chrono_literals;

class SpoolOnTmpfs : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = temp_.make_folder("tmpfs");
        if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64m,mode=0777") != 0) {
            const int error = errno;
            folder_.clear();
            GTEST_SKIP() << "mounting needs rights that this user has not: " << std::strerror(error);
        }
    }
    void TearDown() override {
        if (!folder_.empty()) {
            EXPECT_EQ(::umount2(folder_.c_str(), MNT_DETACH), 0);
        }
    }

    struct Worker {
        explicit Worker(const SpoolSettings& config)
            : spool(
                  config, files, [] { return WallTime{std::chrono::microseconds{1}}; }, log),
              delivery(1, {}, spool, log) {}

        bool append(std::uint64_t number, SteadyTime now) {
            auto encoder = make_encoder();
            add_event(encoder, number, 100'000);
            try {
                (void)spool.append(encoder, {}, now);
                return true;
            } catch (const SpoolFull&) {
                return false;
            }
        }

        PosixFiles files;
        EdgeLog log;
        Spool spool;
        BatchDelivery delivery;
    };

    [[nodiscard]] std::uint64_t free_bytes() const {
        struct statvfs status {};
        EXPECT_EQ(::statvfs(folder_.c_str(), &status), 0);
        return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
    }

    runledger::test::TempFolder temp_;
    std::string folder_;
};

TEST_F(SpoolOnTmpfs, FillsItDeliversAllOfItAndAcceptsAgainWithNothingFreedByHand) {
    SpoolSettings config;
    config.folder = folder_;
    config.bytes_max = 1024UL * 1024 * 1024;
    std::vector<std::unique_ptr<Worker>> workers;
    for (int i = 0; i < 4; ++i) {
        workers.push_back(std::make_unique<Worker>(config));
    }
    SteadyTime now{1h};
    for (auto& worker : workers) {
        worker->delivery.on_peer_up(0, now);
    }
    std::multiset<std::uint64_t> answered;

    // The daemon is away, and each worker takes what comes until none of them can.
    std::uint64_t number = 0;
    std::vector<std::size_t> taken(workers.size());
    bool any = true;
    while (any) {
        any = false;
        for (std::size_t i = 0; i < workers.size(); ++i) {
            if (workers[i]->append(number, now)) {
                answered.insert(number);
                ++taken[i];
                any = true;
            }
            ++number;
            workers[i]->spool.tend(now);
        }
        now += 100ms;
    }
    EXPECT_LT(free_bytes(), 1024UL * 1024);
    EXPECT_GT(answered.size() * 100'000, 60'000'000U) << "reservations did not eat the room";
    EXPECT_THAT(taken, ::testing::Each(::testing::Gt(10U))) << "no worker was left without room";

    // One worker dies; the daemon is back.
    workers.erase(workers.begin());
    Ledger ledger;
    for (int i = 0; i < 100; ++i) {
        now += 1s;
        for (auto& worker : workers) {
            worker->spool.tend(now);
            deliver(worker->delivery, ledger, now);
        }
    }

    EXPECT_EQ(ledger.events(), answered);
    for (auto& worker : workers) {
        EXPECT_TRUE(worker->append(++number, now));
    }
    EXPECT_GT(free_bytes(), 20UL * 1024 * 1024);
}

}  // namespace
}  // namespace runledger::edge::test
