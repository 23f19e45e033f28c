// What the tests of a failing disk share: a real nginx whose spool lies on a disk that fails on command, requests that
// wait together, and a look into the spool's files.
//
// Invariant: when a test ends the disk works again, nginx ends in order, and no file was written after it had failed.
#pragma once

#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/support/disk_faults.hpp"

namespace runledger::test {

struct SentEvent {
    std::string body;
    HttpAnswer answer;
    std::chrono::milliseconds waited{};
};

class DiskFaultFixture : public EdgeFixture {
protected:
    void TearDown() override;

    // With the spool on the disk that fails on command.
    void start_edge(const NginxConf& conf = {});

    // Each over a connection of its own, all open together.
    [[nodiscard]] std::vector<std::future<SentEvent>> send_at_once(int count);
    [[nodiscard]] static std::vector<SentEvent> results_of(std::vector<std::future<SentEvent>> sending);
    // Fails the test for each that was not answered 200; returns the bodies.
    [[nodiscard]] static std::vector<std::string> expect_answered(const std::vector<SentEvent>& events);

    // A sample of the status page, or -1.
    [[nodiscard]] long status_value(std::string_view name);
    void wait_until_held(long requests);
    // Sends fresh events until one is answered 200, which nobody helps to; returns those that were answered.
    [[nodiscard]] std::vector<std::string> post_until_it_recovers();
    // Waits until the daemon has each of them, whatever else it has.
    void expect_all_delivered(const std::vector<std::string>& answered);

    // The bodies in the spool's segment files as they are now, whoever owns the files. With a batch whose commit failed
    // and whose file could not be cut back.
    [[nodiscard]] std::vector<std::string> stored_bodies() const;
    // Allocated bytes of all of the spool's files.
    [[nodiscard]] std::uint64_t allocated_bytes() const;

    [[nodiscard]] DiskFaults& disk() { return disk_; }
    [[nodiscard]] const std::filesystem::path& spool() const { return spool_; }

private:
    std::filesystem::path spool_{folder().make_folder("spool")};
    DiskFaults disk_{folder(), spool_};
};

// The bodies of `wanted` that `present` has not, each as often as it is missing.
[[nodiscard]] std::vector<std::string> missing_from(std::vector<std::string> present, std::vector<std::string> wanted);

}  // namespace runledger::test
