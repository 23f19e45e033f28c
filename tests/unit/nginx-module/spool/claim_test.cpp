// Whose a spool's folder is: claimed once, by whoever is first, and left alone by every other host.

#include "nginx-module/spool/claim.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;

class SpoolClaimTest : public SpoolFixture {
protected:
    SpoolClaimTest() { config_.host = ours_; }

    [[nodiscard]] std::string path() const { return folder_ + "/" + std::string(spool_identity_name); }
    [[nodiscard]] SpoolIdentity identity() {
        PosixFiles posix;
        return std::get<SpoolIdentity>(read_spool_identity(posix, folder_).value());
    }
    void write_identity(std::string_view text) { temp_.write_file("spool/identity", text); }
    void folder_is_of(const SpoolHost& host) {
        write_identity(format_spool_identity({.folder = {.bytes = fresh_segment_id().bytes}, .host = host}));
    }

    const SpoolHost ours_ = SpoolHost::from_name("this-host");
    const SpoolHost theirs_ = SpoolHost::from_name("another-host");
};

TEST_F(SpoolClaimTest, IsMadeAtTheFirstStartAndStandsEverAfter) {
    start();
    pass(0ms);
    const SpoolIdentity first = identity();
    EXPECT_EQ(first.host.id, ours_.id);
    EXPECT_EQ(first.host.name, "this-host");
    stop();
    EXPECT_THAT(files_in_folder(), UnorderedElementsAre("identity")) << "and nothing unfinished beside it";

    start();
    EXPECT_TRUE(append(1));
    pass(2s);

    EXPECT_EQ(identity().folder, first.folder);
    EXPECT_EQ(all_log().find("spool refused"), std::string::npos);
}

TEST_F(SpoolClaimTest, IsMadeByTheFirstEventWhereItComesBeforeTheFirstLook) {
    start();

    EXPECT_TRUE(append(1));

    EXPECT_EQ(identity().host.id, ours_.id);
}

TEST_F(SpoolClaimTest, OfAnotherHostKeepsEverythingInTheFolderAsItIs) {
    start();
    ASSERT_TRUE(append(1));
    kill();
    folder_is_of(theirs_);
    const auto files_before = files_in_folder();

    start();
    EXPECT_FALSE(append(2));
    tend_until_quiet();

    EXPECT_THAT(ledger_.events(), IsEmpty());
    EXPECT_EQ(files_in_folder(), files_before);
    EXPECT_THAT(all_log(),
                HasSubstr("spool refused: " + folder_ + ": the folder belongs to the host \"another-host\""));

    folder_is_of(ours_);
    tend_until_quiet();
    EXPECT_TRUE(append(3));
    deliver_all();
    EXPECT_EQ(ledger_.events(), answered_);
    EXPECT_THAT(all_log(), HasSubstr("the spool belongs to this host again"));
}

TEST_F(SpoolClaimTest, OfAnotherHostFoundLaterStopsAdoptionButNotWhatIsOwned) {
    start();
    ledger_.is_reachable = false;
    ASSERT_TRUE(append(1));
    folder_is_of(theirs_);
    {
        FaultFiles others(folder_);
        Spool foreign(
            {.folder = folder_, .bytes_max = config_.bytes_max}, others, [this] { return wall_now_; }, log_);
        auto encoder = make_encoder();
        add_event(encoder, 2);
        (void)foreign.append(encoder, {}, now_);
    }

    ledger_.is_reachable = true;
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), std::multiset<std::uint64_t>{1}) << "it holds that segment's lock, and answered for it";
    EXPECT_EQ(spool_->segments_adopted(), 0U);
}

TEST_F(SpoolClaimTest, ThatCannotBeUnderstoodIsRefusedAndNeverReplaced) {
    struct Row {
        const char* name;
        std::string text;
        const char* words;
    };
    const Row rows[] = {{"empty", "", "is damaged"},
                        {"cut", format_spool_identity({.folder = {}, .host = ours_}).substr(0, 60), "is damaged"},
                        {"too long", std::string(5000, 'x'), "is damaged"},
                        {"a later version", "runledger-spool 2\n", "later version"}};
    for (const Row& row : rows) {
        write_identity(row.text);
        now_ += CourierLog::repeat_after;
        start();

        EXPECT_FALSE(append(1)) << row.name;

        EXPECT_THAT(all_log(), HasSubstr(row.words)) << row.name;
        EXPECT_EQ(runledger::test::read_text(path()), row.text) << row.name;
        kill();
    }
}

TEST_F(SpoolClaimTest, ThatIsNoFileIsNeitherFollowedNorWaitedFor) {
    struct Row {
        const char* name;
        std::function<int(const char*)> make;
    };
    const std::string target = temp_.write_file("elsewhere", "");
    const Row rows[] = {{"folder", [](const char* at) { return ::mkdir(at, 0700); }},
                        {"pipe", [](const char* at) { return ::mkfifo(at, 0600); }},
                        {"link", [&](const char* at) { return ::symlink(target.c_str(), at); }},
                        {"link to nothing", [](const char* at) { return ::symlink("nothing", at); }}};
    for (const Row& row : rows) {
        ASSERT_EQ(row.make(path().c_str()), 0) << row.name;
        now_ += CourierLog::repeat_after;
        start();

        pass(0ms);

        EXPECT_THAT(all_log(), HasSubstr("identity can't be read")) << row.name;
        EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(path()))) << row.name;
        stop();
        std::filesystem::remove(path());
    }
    EXPECT_EQ(runledger::test::read_text(target), "");
}

TEST_F(SpoolClaimTest, ThatCannotBeWrittenNowDoesNotKeepEventsOut) {
    files_.fail_times(Op::rename, EIO, 1);
    start();
    EXPECT_TRUE(append(1));
    EXPECT_FALSE(std::filesystem::exists(path()));
    EXPECT_THAT(all_log(), HasSubstr("identity can't be read or written"));

    pass(config_.adopt_every);

    EXPECT_EQ(identity().host.id, ours_.id);
}

// An adopter of a full disk, or of one that has turned read-only, has still to send what is there.
TEST_F(SpoolClaimTest, ThatTheDiskRefusesDoesNotKeepSegmentsFromBeingSent) {
    config_.host.reset();
    start();
    ASSERT_TRUE(append(1));
    kill();
    config_.host = ours_;
    files_.fail(Op::create, EROFS);

    start();
    tend_until_quiet();

    EXPECT_EQ(ledger_.events(), answered_);
}

TEST_F(SpoolClaimTest, IsOneThoughManyCouriersAreFirstAtOnce) {
    for (int round = 0; round < 20; ++round) {
        std::filesystem::remove(path());
        std::atomic<int> ready{0};
        constexpr int couriers = 8;
        std::vector<std::set<std::string>> seen(couriers);
        std::vector<std::thread> threads;
        for (int i = 0; i < couriers; ++i) {
            threads.emplace_back([&, i] {
                PosixFiles files;
                CourierLog log;
                SpoolClaim claim(folder_, SpoolHost::from_name("this-host"), files, log);
                ++ready;
                while (ready < couriers) {
                    std::this_thread::yield();
                }
                for (int look = 0; look < 50; ++look) {
                    claim.look();
                    const std::string text = runledger::test::read_text(path());
                    if (!text.empty()) {
                        seen[static_cast<std::size_t>(i)].insert(text);
                    }
                }
                EXPECT_EQ(claim.fault(), "");
                for (const LogLine& line : log.take()) {
                    ADD_FAILURE() << line.text;
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        std::set<std::string> all;
        for (const auto& some : seen) {
            all.insert(some.begin(), some.end());
        }
        EXPECT_EQ(all.size(), 1U) << "round " << round << ": an identity that was seen was replaced";
        EXPECT_THAT(files_in_folder(), Not(Contains("identity.new")));
    }
}

class SpoolClaimPowerLoss : public SpoolClaimTest, public ::testing::WithParamInterface<FaultFiles::Unsynced> {};

TEST_P(SpoolClaimPowerLoss, LeavesAWholeIdentityOrNoneAtEveryStep) {
    const auto claim_all = [&] {
        CourierLog log;
        SpoolClaim claim(folder_, ours_, files_, log);
        claim.look();
        return claim.fault();
    };
    const std::uint64_t steps_before = files_.steps();
    ASSERT_EQ(claim_all(), "");
    const std::uint64_t steps = files_.steps() - steps_before;
    ASSERT_GE(steps, 5U) << "create, write, sync, rename, sync the folder";

    for (std::uint64_t step = 1; step <= steps; ++step) {
        std::filesystem::remove(path());
        files_.power_loss(FaultFiles::Unsynced::kept, 0);  // Forget what was durable, too.
        files_.die_at(step);
        EXPECT_THROW((void)claim_all(), Dead) << step;
        files_.power_loss(GetParam(), step);

        EXPECT_EQ(claim_all(), "") << "after a death at step " << step;
        EXPECT_EQ(identity().host.id, ours_.id) << step;
        EXPECT_THAT(files_in_folder(), Not(Contains("identity.new"))) << step;
    }
}

INSTANTIATE_TEST_SUITE_P(Unsynced, SpoolClaimPowerLoss,
                         ::testing::Values(FaultFiles::Unsynced::lost, FaultFiles::Unsynced::kept,
                                           FaultFiles::Unsynced::torn));

TEST(ThisHost, IsToldByTheMachinesIdFile) {
    const runledger::test::TempFolder temp;
    const std::string file = temp.write_file("machine-id", "0123456789abcdef0123456789abcdef\n");

    const SpoolHost host = this_host(file);

    EXPECT_EQ(host.id, SpoolHost::from_machine("0123456789abcdef0123456789abcdef", "any").id);
    EXPECT_EQ(this_host(temp / "nothing").id, SpoolHost::from_name(host.name).id);
}

}  // namespace
}  // namespace runledger::edge::test
