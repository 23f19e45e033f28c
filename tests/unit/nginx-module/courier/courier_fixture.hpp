// A courier on a folder of its own, a daemon's stand-in beside it, and the event loop's part played by the test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nginx-module/courier/courier.hpp"
#include "tests/stand_ins/daemon.hpp"
#include "tests/support/eventually.hpp"
#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {

// A stand-in daemon that the test serves itself, with a Ledger's answers.
class LedgerDaemon : public runledger::test::StandInDaemon {
public:
    explicit LedgerDaemon(std::string endpoint)
        : StandInDaemon(std::move(endpoint), [this](std::span<const std::byte> request) {
              (void)ledger.take(request);
              Answers answers;
              while (auto answer = ledger.next_answer()) {
                  answers.push_back(std::move(*answer));
              }
              return answers;
          }) {}

    Ledger ledger;
};

class CourierFixture : public ::testing::Test {
protected:
    CourierFixture();
    ~CourierFixture() override;

    void start();
    // Stops with patience and takes the last results.
    void stop();

    [[nodiscard]] static HeldEventPtr make_event(std::uint64_t number, std::size_t body_bytes = 0);
    // Its body in an unlinked file, as nginx's temp files are.
    [[nodiscard]] HeldEventPtr make_event_in_file(const std::string& body);
    void submit(const HeldEventPtr& event);
    HeldEventPtr submit(std::uint64_t number, std::size_t body_bytes = 0);

    // Plays the loop and the daemon until it comes true.
    void eventually(std::string_view sentence, const std::function<bool()>& predicate);
    void serve();

    [[nodiscard]] bool is_answered(const HeldEventPtr& event) const { return answered_.contains(event.get()); }
    [[nodiscard]] std::string all_log() const;
    [[nodiscard]] std::size_t file_count() const;

    runledger::test::TempFolder temp_;
    std::shared_ptr<FaultFiles> files_;
    CourierSettings settings_;
    LedgerDaemon daemon_;
    std::unique_ptr<Courier> courier_;
    std::map<HeldEvent*, HeldEventPtr> answered_;
    std::vector<LogLine> lines_;
};

}  // namespace runledger::edge::test
