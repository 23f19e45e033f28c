// What the tests of the spool, the delivery and the courier share: a ledger that takes batches as the daemon does, and
// a folder with a spool on it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/wire.hpp"
#include "nginx-module/link/delivery.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/spool.hpp"
#include "tests/support/frames.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/nginx-module/spool/fault_files.hpp"

namespace runledger::edge::test {

using SteadyTime = std::chrono::steady_clock::time_point;

using runledger::test::add_event;
using runledger::test::body_of;
using runledger::test::make_encoder;
using runledger::test::make_frame;
using runledger::test::number_of;
using runledger::test::segment_id;

// The daemon's side as far as the edge can see it: takes requests, and answers what `rule` says.
class Ledger {
public:
    std::function<std::optional<wire::Verdict>(const BatchName&)> rule;  // Nothing: silence. Unset: committed.
    bool is_reachable{true};
    bool answers_retire{true};

    // What BatchDelivery sends with.
    [[nodiscard]] bool take(std::span<const std::byte> message);
    [[nodiscard]] std::optional<std::vector<std::byte>> next_answer();

    [[nodiscard]] std::multiset<std::uint64_t> events() const;  // Each batch counted once.
    [[nodiscard]] std::size_t batch_count() const { return batches_.size(); }
    [[nodiscard]] const std::vector<BatchName>& order() const { return order_; }  // Every copy, as it came.
    // The events of each batch, in the order in which the batches first came.
    [[nodiscard]] const std::vector<std::uint64_t>& arrivals() const { return arrivals_; }
    [[nodiscard]] const std::set<SegmentId>& retired() const { return retired_; }
    // Batches that came under a name that another batch had before.
    [[nodiscard]] std::size_t conflicts() const { return conflicts_; }

private:
    std::map<BatchName, std::vector<std::uint64_t>> batches_;
    std::vector<BatchName> order_;
    std::vector<std::uint64_t> arrivals_;
    std::set<SegmentId> retired_;
    std::deque<std::vector<std::byte>> answers_;
    std::size_t conflicts_{};
};

// Pumps and answers until nothing moves any more.
void deliver(BatchDelivery& delivery, Ledger& ledger, SteadyTime now);

// A folder, a disk that can fail, and one spool after another on it; time goes as the test says.
class SpoolFixture : public ::testing::Test {
protected:
    SpoolFixture();

    // A worker starts, on the same folder.
    void start();
    // It ends in order, or as by SIGKILL: nothing is sealed or cut, only the kernel drops the locks.
    void stop();
    void kill();
    void power_loss(FaultFiles::Unsynced unsynced = FaultFiles::Unsynced::lost, std::uint64_t seed = 1);

    [[nodiscard]] bool append(std::uint64_t number, std::size_t body_bytes = 0);  // Whether it would be answered 2xx.
    void pass(std::chrono::milliseconds time);                                    // And let the spool do what is due.
    void deliver_all();
    // Adopts all that is there.
    void tend_until_quiet();

    [[nodiscard]] std::vector<std::string> files_in_folder() const;
    [[nodiscard]] std::uint64_t allocated_bytes() const;
    // What was logged since the last call, a line each.
    [[nodiscard]] std::string all_log();

    runledger::test::TempFolder temp_;
    std::string folder_;
    FaultFiles files_;
    SpoolSettings settings_;
    DeliverySettings delivery_settings_;
    std::size_t peers_{1};
    SteadyTime now_{std::chrono::hours{1}};
    EdgeLog log_{{}, [this] { return now_; }};
    WallTime wall_now_{std::chrono::microseconds{1'700'000'000'000'000}};
    std::unique_ptr<Spool> spool_;
    std::unique_ptr<BatchDelivery> delivery_;
    Ledger ledger_;
    std::multiset<std::uint64_t> answered_;
    std::set<std::uint64_t> tried_;
};

}  // namespace runledger::edge::test
