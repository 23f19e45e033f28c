#include "nginx-module/refused/keeper.hpp"

#include <cerrno>

#include "common/probe.hpp"
#include "common/wire.hpp"
#include "tests/unit/nginx-module/refused/refused_fixture.hpp"

namespace runledger::edge::test {
namespace {

using runledger::test::eventually;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class KeeperTest : public RefusedFixture {
protected:
    static constexpr std::chrono::milliseconds patience{10'000};

    KeeperTest() { settings_.age_max = std::chrono::hours{24 * 365 * 100}; }  // The bodies are of 2023.

    void start() {
        keeper_ = std::make_unique<Keeper>(settings_);
        keeper_->start();
    }

    [[nodiscard]] static std::string event(int number) {
        return R"({"run_id": "run-)" + std::to_string(number) + R"(", "status": "running"})";
    }
    [[nodiscard]] static RefusedRequest request(std::string body, RefusedFor reason = RefusedFor::token) {
        RefusedRequest request;
        request.sender = sender;
        request.refused.stamp.received_at = time_at(1);
        request.refused.reason = reason;
        request.refused.token_digest = "4c2e9e6da31a64c7";
        request.refused.body = std::move(body);
        return request;
    }
    // Whether there was a ticket for it.
    bool offer(RefusedRequest request) {
        auto ticket = keeper_->admit(request.refused.body.size(), now_);
        if (!ticket) {
            return false;
        }
        keeper_->keep(std::move(*ticket), std::move(request));
        return true;
    }
    void wait_until_kept(std::uint64_t count) {
        eventually("they are kept", [&] { return keeper_->figures().kept == count; });
    }
    [[nodiscard]] std::string log() {
        std::string text;
        for (const LogLine& line : keeper_->take_log_lines()) {
            text += line.text + "\n";
        }
        return text;
    }

    Keeper::SteadyTime now_{std::chrono::hours{1}};
    std::unique_ptr<Keeper> keeper_;
};

TEST_F(KeeperTest, KeepsAnEventWithAllThatIsKnownOfIt) {
    start();

    ASSERT_TRUE(offer(request(event(1))));
    wait_until_kept(1);

    ASSERT_THAT(names(), SizeIs(1));
    const RefusedBody kept = read(names().front());
    EXPECT_EQ(kept.body, event(1));
    EXPECT_EQ(kept.edge_name, "edge-1");
    EXPECT_EQ(kept.stamp.received_at, time_at(1));
    EXPECT_NE(kept.boot, BootId{});
    EXPECT_EQ(kept.token_digest, "4c2e9e6da31a64c7");
}

TEST_F(KeeperTest, KeepsOnlyEventsBehindAWrongTokenAndAnythingBehindARightOne) {
    start();

    ASSERT_TRUE(offer(request("not an event")));
    ASSERT_TRUE(offer(request("not an event", RefusedFor::json)));

    wait_until_kept(1);
    eventually("the other one is counted", [&] { return keeper_->figures().unfit == 1; });
    EXPECT_EQ(read(names().front()).reason, RefusedFor::json);
}

TEST_F(KeeperTest, KeepsNoProbeOfTheCheck) {
    start();

    for (const RefusedFor reason : {RefusedFor::token, RefusedFor::json}) {
        ASSERT_TRUE(offer(request(std::string(probe_body_begin) + std::string(200, 'x') + "\"}", reason)));
    }
    ASSERT_TRUE(offer(request("not an event", RefusedFor::json)));

    wait_until_kept(1);
    EXPECT_EQ(keeper_->figures().unfit, 2U);
    EXPECT_EQ(read(names().front()).body, "not an event");
}

TEST_F(KeeperTest, TakesSoManyASecondAndNoMore) {
    settings_.bodies_burst = 5;
    settings_.bodies_per_second = 2;
    start();

    int taken = 0;
    for (int i = 0; i < 20; ++i) {
        taken += offer(request(event(i))) ? 1 : 0;
    }
    now_ += std::chrono::seconds{1};
    for (int i = 0; i < 20; ++i) {
        taken += offer(request(event(i))) ? 1 : 0;
    }

    EXPECT_EQ(taken, 7);
    EXPECT_EQ(keeper_->figures().over_rate, 33U);
    wait_until_kept(7);
}

TEST_F(KeeperTest, TakesSoManyBytesASecondAndNoMore) {
    settings_.bytes_burst = 1000;
    settings_.bytes_per_second = 100;
    start();

    EXPECT_TRUE(keeper_->admit(900, now_));
    EXPECT_FALSE(keeper_->admit(200, now_));
    EXPECT_TRUE(keeper_->admit(200, now_ + std::chrono::seconds{1}));
}

TEST_F(KeeperTest, IsBoundedWhileTheDiskHangsAndGoesOnAfterwards) {
    settings_.pending_bodies_max = 3;
    start();
    files_->hangs = true;

    int taken = 0;
    for (int i = 0; i < 20; ++i) {
        taken += offer(request(event(i))) ? 1 : 0;
    }
    EXPECT_EQ(taken, 3);
    files_->hangs = false;

    wait_until_kept(3);
    eventually("there is a ticket again", [&] { return offer(request(event(99))); });
    wait_until_kept(4);
}

TEST_F(KeeperTest, IsBoundedInTheBytesThatWait) {
    settings_.pending_bytes_max = 1000;
    start();

    auto first = keeper_->admit(600, now_);
    ASSERT_TRUE(first);
    EXPECT_FALSE(keeper_->admit(600, now_));
    first.reset();  // Its client has left in mid-body.
    EXPECT_TRUE(keeper_->admit(600, now_));
}

TEST_F(KeeperTest, HasNothingReadWhileTheFolderIsFull) {
    settings_.bodies_max = 2;
    settings_.look_every = std::chrono::milliseconds{20};
    start();
    for (int i = 0; i < 2; ++i) {
        RefusedRequest one = request(event(i));
        one.sender = static_cast<std::uint32_t>(i);
        ASSERT_TRUE(offer(std::move(one)));
    }
    wait_until_kept(2);

    eventually("there is no ticket", [&] { return !keeper_->admit(10, now_); });
    EXPECT_GT(keeper_->figures().no_room, 0U);
    EXPECT_THAT(log(), HasSubstr("is full"));
    std::filesystem::remove(settings_.folder + "/" + names().front());

    eventually("there is room again", [&] { return offer(request(event(3))); });
    wait_until_kept(3);
    EXPECT_EQ(keeper_->figures().folder_bodies, 2U);
}

TEST_F(KeeperTest, CountsWhatTheDiskRefusesAndGoesOn) {
    start();
    files_->create_error = EACCES;
    ASSERT_TRUE(offer(request(event(1))));
    eventually("it is counted", [&] { return keeper_->figures().failed == 1; });
    EXPECT_THAT(log(), HasSubstr("refused body not kept"));

    files_->create_error = 0;
    ASSERT_TRUE(offer(request(event(2))));

    wait_until_kept(1);
}

TEST_F(KeeperTest, GoesOnWithoutItsFolder) {
    settings_.look_every = std::chrono::milliseconds{20};
    std::filesystem::remove(settings_.folder);
    start();
    ASSERT_TRUE(offer(request(event(1))));
    eventually("it is counted", [&] { return keeper_->figures().failed == 1; });

    static_cast<void>(temp_.make_folder("refused"));
    ASSERT_TRUE(offer(request(event(2))));

    wait_until_kept(1);
}

TEST_F(KeeperTest, WritesWhatItHasBeforeItEnds) {
    start();
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(offer(request(event(i))));
    }

    EXPECT_TRUE(keeper_->stop(patience));

    EXPECT_THAT(names(), SizeIs(100));
}

TEST_F(KeeperTest, DoesNotWaitLongForADiskThatHangs) {
    start();
    files_->hangs = true;
    ASSERT_TRUE(offer(request(event(1))));

    EXPECT_FALSE(keeper_->stop(std::chrono::milliseconds{50}));

    files_->hangs = false;
    eventually("its thread has written it nevertheless", [&] { return names().size() == 1; });
}

TEST_F(KeeperTest, KeepsNothingWithoutAThread) {
    keeper_ = std::make_unique<Keeper>(settings_);

    EXPECT_FALSE(offer(request(event(1))));

    EXPECT_EQ(keeper_->figures().failed, 1U);
    EXPECT_THAT(names(), IsEmpty());
}

}  // namespace
}  // namespace runledger::edge::test
