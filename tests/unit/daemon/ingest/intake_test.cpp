#include "daemon/ingest/intake.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "common/limits.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger {
namespace {

Arrival arrival(BatchNumber number, std::size_t bytes = 100, std::string peer = "edge") {
    return {.peer = std::move(peer), .frame = std::vector<std::byte>(bytes), .key = {SegmentId{}, number}};
}

wire::Answer committed(BatchNumber number) {
    return {.verdict = wire::Verdict::committed, .reason = wire::Damage::none, .batch = {SegmentId{}, number}};
}

TEST(IntakeQueue, HandsOverInOrderUpToABound) {
    IntakeQueue queue;
    for (BatchNumber number = 0; number < 3; ++number) {
        ASSERT_EQ(queue.offer(arrival(number)), IntakeQueue::Offer::queued);
    }

    const auto first = queue.take(250);
    const auto rest = queue.take(1);

    ASSERT_EQ(first.size(), 2U);
    EXPECT_EQ(first[0]->key.number, 0U);
    ASSERT_EQ(rest.size(), 1U) << "at least one, however large";
}

TEST(IntakeQueue, HandsOverTogetherWhatComesWhileItGathers) {
    IntakeQueue queue(std::chrono::milliseconds{300});
    ASSERT_EQ(queue.offer(arrival(0)), IntakeQueue::Offer::queued);
    const auto begun = std::chrono::steady_clock::now();
    ASSERT_EQ(queue.take(1000).size(), 1U) << "after a pause the first is handed over at once";
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds{300});

    std::thread edge([&] {
        for (BatchNumber number = 1; number < 4; ++number) {
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
            EXPECT_EQ(queue.offer(arrival(number)), IntakeQueue::Offer::queued);
        }
    });
    const auto taken = queue.take(1000);
    edge.join();

    EXPECT_EQ(taken.size(), 3U);
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds{300});
}

TEST(IntakeQueue, GathersNoLongerThanUntilATurnIsWorthItsCommitNorBehindItsEnd) {
    IntakeQueue queue(std::chrono::hours{1});
    ASSERT_EQ(queue.offer(arrival(0)), IntakeQueue::Offer::queued);
    ASSERT_EQ(queue.take(1'000'000).size(), 1U);
    std::thread edge([&] {
        for (BatchNumber number = 1; number <= IntakeQueue::gathered_max; ++number) {
            EXPECT_EQ(queue.offer(arrival(number)), IntakeQueue::Offer::queued);
        }
    });
    EXPECT_EQ(queue.take(1'000'000).size(), IntakeQueue::gathered_max);
    edge.join();

    ASSERT_EQ(queue.offer(arrival(100)), IntakeQueue::Offer::queued);
    std::thread end([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        queue.close();
    });
    EXPECT_EQ(queue.take(1'000'000).size(), 1U);
    end.join();
}

TEST(IntakeQueue, IsBusyOverItsBoundUntilSomethingIsAnswered) {
    IntakeQueue queue;
    ASSERT_EQ(queue.offer(arrival(0, intake_bytes_max)), IntakeQueue::Offer::queued);
    EXPECT_EQ(queue.offer(arrival(1)), IntakeQueue::Offer::full);

    const auto taken = queue.take(1);
    EXPECT_EQ(queue.offer(arrival(1)), IntakeQueue::Offer::full) << "what is being applied still counts";
    queue.answer(taken[0], committed(0));

    EXPECT_EQ(queue.offer(arrival(1)), IntakeQueue::Offer::queued);
}

TEST(IntakeQueue, AnswersTheLastWhoSentACopy) {
    IntakeQueue queue;
    ASSERT_EQ(queue.offer(arrival(7, 100, "old connection")), IntakeQueue::Offer::queued);
    const auto taken = queue.take(1000);
    EXPECT_EQ(queue.offer(arrival(7, 100, "new connection")), IntakeQueue::Offer::known);

    queue.answer(taken[0], committed(7));

    const auto answers = queue.take_answers();
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].peer, "new connection");
    EXPECT_EQ(queue.offer(arrival(7)), IntakeQueue::Offer::queued) << "answered: a later copy is a new arrival";
}

// Its answer would acknowledge bytes that were never stored: the ledger decides once the first is finished.
TEST(IntakeQueue, TakesNoOtherBatchForACopyOfTheQueuedOneOfItsName) {
    IntakeQueue queue;
    ASSERT_EQ(queue.offer(arrival(7)), IntakeQueue::Offer::queued);
    const auto taken = queue.take(1000);
    const auto other = [] {
        auto made = arrival(7, 100, "other edge");
        made.frame[50] = std::byte{1};
        return made;
    };

    EXPECT_NE(queue.offer(other()), IntakeQueue::Offer::known);
    queue.answer(taken[0], committed(7));

    EXPECT_EQ(queue.take_answers().at(0).peer, "edge");
    EXPECT_EQ(queue.offer(other()), IntakeQueue::Offer::queued);
}

TEST(IntakeQueue, TakesACopyAnewOnceTheFirstIsForgotten) {
    IntakeQueue queue;
    ASSERT_EQ(queue.offer(arrival(7)), IntakeQueue::Offer::queued);
    const auto taken = queue.take(1000);

    queue.forget(taken[0]);
    queue.forget(taken[0]);

    EXPECT_EQ(queue.queued_bytes(), 0U);
    EXPECT_EQ(queue.offer(arrival(7)), IntakeQueue::Offer::queued);
}

TEST(IntakeQueue, HandsOverNewOnesAndThosePutBackInTurn) {
    IntakeQueue queue;
    const auto put_back = [&](const IntakeQueue::ArrivalPtr& arrival) {
        queue.put_back(arrival, std::chrono::steady_clock::now());
    };
    const auto take_one = [&] { return queue.take(1).at(0); };
    for (BatchNumber number = 0; number < 4; ++number) {
        ASSERT_EQ(queue.offer(arrival(number)), IntakeQueue::Offer::queued);
    }
    const auto first = take_one();
    const auto second = take_one();
    put_back(first);
    put_back(second);

    std::vector<BatchNumber> taken;
    for (int i = 0; i < 5; ++i) {
        const auto next = take_one();
        taken.push_back(next->key.number);
        if (next->key.number < 2) {
            put_back(next);
        }
    }

    EXPECT_THAT(taken, testing::ElementsAre(0, 2, 1, 3, 0));
}

TEST(IntakeQueue, CountsASetbackUntilItsArrivalIsGone) {
    std::atomic<std::uint64_t> gauge{0};
    IntakeQueue queue;
    ASSERT_EQ(queue.offer(arrival(0)), IntakeQueue::Offer::queued);
    ASSERT_EQ(queue.offer(arrival(1)), IntakeQueue::Offer::queued);
    for (const auto& taken : queue.take(1000)) {
        ++gauge;
        taken->setback.emplace();
        taken->setback->counted.reset(&gauge);
        queue.put_back(taken, std::chrono::steady_clock::now());
    }
    ASSERT_EQ(gauge, 2U);

    queue.forget(queue.take(1).at(0));
    EXPECT_EQ(gauge, 1U);
    queue.close();

    EXPECT_EQ(gauge, 0U);
}

TEST(IntakeQueue, DrainsOnceItIsClosed) {
    IntakeQueue queue;
    ASSERT_EQ(queue.offer(arrival(0)), IntakeQueue::Offer::queued);
    queue.close();

    EXPECT_EQ(queue.offer(arrival(1)), IntakeQueue::Offer::full);
    EXPECT_EQ(queue.take(1000).size(), 1U);
    EXPECT_TRUE(queue.take(1000).empty());
}

// A real ROUTER, and an edge that is a bare DEALER.
class IntakeSocket : public testing::Test {
protected:
    IntakeSocket()
        : endpoint_("ipc://" + (folder_ / "d.sock").string()), intake_({.bind = {endpoint_}}, queue_, counters_) {
        thread_ = std::thread([this] { intake_.run(); });
        dealer_.set(zmq::sockopt::linger, 0);
        dealer_.set(zmq::sockopt::rcvtimeo, 5000 * test::patience_factor);
        dealer_.connect(endpoint_);
    }
    ~IntakeSocket() override {
        intake_.stop();
        queue_.abandon();
        thread_.join();
    }

    void send(const std::vector<std::byte>& frame) { dealer_.send(zmq::buffer(frame), zmq::send_flags::none); }

    wire::Answer receive() {
        zmq::message_t message;
        if (!dealer_.recv(message)) {
            ADD_FAILURE() << "no answer";
            return {};
        }
        return std::get<wire::Answer>(
            wire::decode_answer({static_cast<const std::byte*>(message.data()), message.size()}));
    }

    static std::vector<std::byte> batch(BatchNumber number, std::size_t body_bytes = 10) {
        wire::BatchEncoder encoder({.boot = {}, .edge_name = "edge"});
        const std::string body(body_bytes, 'x');
        encoder.add({.stamp = {}, .flags = 0, .body = body});
        return encoder.finish({SegmentId{}, number});
    }

    [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

    IntakeQueue queue_;
    IntakeCounters counters_;

private:
    test::TempFolder folder_;
    std::string endpoint_;
    Intake intake_;
    std::thread thread_;
    zmq::context_t context_;
    zmq::socket_t dealer_{context_, zmq::socket_type::dealer};
};

TEST(IntakeBind, NamesTheEndpointThatCanNotBeBound) {
    IntakeQueue queue;
    IntakeCounters counters;

    const auto bind = [&] { Intake({.bind = {"ipc:///no/such/folder/d.sock"}}, queue, counters); };

    EXPECT_THAT(bind, testing::ThrowsMessage<BindError>(testing::HasSubstr(
                          "\"ipc:///no/such/folder/d.sock\" can't be bound: No such file or directory")));
}

// Whether a TCP connection to that numeric address is taken.
bool is_taken(const char* address, std::uint16_t port) {
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    const bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    const bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
    EXPECT_NE(is_v4, is_v6);
    const int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int result = is_v4 ? connect(fd, reinterpret_cast<const sockaddr*>(&v4), sizeof v4)
                             : connect(fd, reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
    close(fd);
    return result == 0;
}

bool has_ipv6() {
    sockaddr_in6 any_port{};
    any_port.sin6_family = AF_INET6;
    any_port.sin6_addr = in6addr_loopback;
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_bound = fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&any_port), sizeof any_port) == 0;
    close(fd);
    return is_bound;
}

TEST(IntakeBind, ListensOnIpv6WhereTheEndpointSaysSo) {
    if (!has_ipv6()) {
        GTEST_SKIP() << "this host has no IPv6";
    }
    IntakeQueue queue;
    IntakeCounters counters;
    struct Case {
        std::string host;
        bool takes_v4;
        bool takes_v6;
    };
    for (const Case& row : {Case{"[::1]", false, true}, Case{"*", true, true}, Case{"127.0.0.1", true, false}}) {
        SCOPED_TRACE(row.host);
        const std::uint16_t port = test::free_port();

        const Intake intake({.bind = {"tcp://" + row.host + ":" + std::to_string(port)}}, queue, counters);

        EXPECT_EQ(is_taken("127.0.0.1", port), row.takes_v4);
        EXPECT_EQ(is_taken("::1", port), row.takes_v6);
    }
}

TEST(IntakeBind, SaysThatANameIsNoAddress) {
    IntakeQueue queue;
    IntakeCounters counters;

    const auto bind = [&] { Intake({.bind = {"tcp://localhost:1"}}, queue, counters); };

    EXPECT_THAT(bind, testing::ThrowsMessage<BindError>(testing::HasSubstr(
                          "\"tcp://localhost:1\" can't be bound: the host is neither an address of this machine "
                          "(IPv6 in brackets) nor an interface nor *; names are not resolved here")));
}

TEST_F(IntakeSocket, IsNotTakenOverByAnotherDaemon) {
    IntakeQueue queue;
    IntakeCounters counters;

    const auto bind = [&] { Intake({.bind = {endpoint()}}, queue, counters); };

    EXPECT_THAT(bind, testing::ThrowsMessage<BindError>(
                          testing::HasSubstr("\"" + endpoint() + "\" can't be bound: another daemon listens here")));
    send(batch(3));
    EXPECT_EQ(queue_.take(1000).size(), 1U) << "the first one still has its edges";
}

TEST(IntakeBind, TakesThePlaceOfASocketThatACrashLeft) {
    const test::TempFolder folder;
    const std::string path = (folder / "d.sock").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    const int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(left);
    IntakeQueue queue;
    IntakeCounters counters;

    EXPECT_NO_THROW(Intake({.bind = {"ipc://" + path}}, queue, counters));
}

TEST(IntakeBind, DeletesNoFileThatIsNoSocket) {
    const test::TempFolder folder;
    const auto file = folder.write_file("d.sock", "somebody's");
    IntakeQueue queue;
    IntakeCounters counters;

    const auto bind = [&] { Intake({.bind = {"ipc://" + file.string()}}, queue, counters); };

    EXPECT_THAT(bind, testing::ThrowsMessage<BindError>(testing::HasSubstr("can't be bound: the file is no socket")));
    EXPECT_TRUE(std::filesystem::is_regular_file(file));
}

TEST(IntakeBind, NamesThePathThatIsTooLong) {
    IntakeQueue queue;
    IntakeCounters counters;

    const auto bind = [&] { Intake({.bind = {"ipc:///tmp/" + std::string(103, 'x')}}, queue, counters); };

    EXPECT_THAT(bind, testing::ThrowsMessage<BindError>(
                          testing::HasSubstr("can't be bound: the path has 108 bytes, at most 107 are possible")));
}

TEST_F(IntakeSocket, AnswersWhoeverSent) {
    send(batch(3));
    const auto taken = queue_.take(1000);
    ASSERT_EQ(taken.size(), 1U);
    EXPECT_EQ(taken[0]->key.number, 3U);

    queue_.answer(taken[0], committed(3));

    EXPECT_EQ(receive().batch.number, 3U);
}

TEST_F(IntakeSocket, SaysBusyWhileNobodyTakesAndStillReads) {
    constexpr std::size_t body_bytes = 4UL * 1024 * 1024;
    constexpr std::size_t fit = intake_bytes_max / body_bytes;
    for (BatchNumber number = 0; number < fit + 2; ++number) {
        send(batch(number, body_bytes));
    }

    const wire::Answer first = receive();
    const wire::Answer second = receive();

    EXPECT_EQ(first.verdict, wire::Verdict::busy);
    EXPECT_EQ(second.verdict, wire::Verdict::busy);
    EXPECT_GE(first.batch.number, fit - 1);
}

TEST_F(IntakeSocket, DropsWhatHasNoName) {
    send(std::vector<std::byte>(50, std::byte{'x'}));
    send(batch(4));

    EXPECT_EQ(queue_.take(1000)[0]->key.number, 4U);
    EXPECT_EQ(counters_.damaged, 1U);
}

}  // namespace
}  // namespace runledger
