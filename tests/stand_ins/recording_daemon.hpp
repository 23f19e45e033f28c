// A stand-in daemon in a thread of its own, which decodes what the edge sends, remembers it and answers as a ledger
// would.
//
// The public members may be called from the test's thread at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/wire.hpp"
#include "tests/stand_ins/daemon.hpp"

namespace runledger::test {

// An event as it came over the wire.
struct DeliveredEvent {
    BatchName batch;
    BootId boot;
    std::string edge_name;
    Stamp stamp;
    std::uint32_t flags{};
    std::string body;
};

class RecordingDaemon {
public:
    // Binds nothing yet.
    explicit RecordingDaemon(const std::filesystem::path& socket);
    ~RecordingDaemon();
    RecordingDaemon(const RecordingDaemon&) = delete;
    RecordingDaemon& operator=(const RecordingDaemon&) = delete;

    void start();
    // Takes and answers nothing any more, as if it had been killed; what it knows it keeps, as a database would.
    void stop();

    // Each event once, however often its batch was sent; in the order of their first coming.
    [[nodiscard]] std::vector<DeliveredEvent> delivered() const;
    [[nodiscard]] std::vector<std::string> delivered_bodies() const;
    // The segments whose retirement was asked for, and answered.
    [[nodiscard]] std::set<SegmentId> retired() const;
    // Frames that could not be decoded, by reason; a healthy edge sends none.
    [[nodiscard]] std::vector<std::string> damaged() const;

private:
    [[nodiscard]] std::vector<std::byte> answer(std::span<const std::byte> frame);
    void remember(const wire::Batch& batch);

    StandInDaemon daemon_;  // The thread's, while that runs.
    std::atomic<bool> stopping_{false};
    std::thread thread_;

    mutable std::mutex mutex_;  // Guards what follows.
    std::set<BatchName> committed_;
    std::vector<DeliveredEvent> events_;
    std::set<SegmentId> retired_;
    std::vector<std::string> damaged_;
};

}  // namespace runledger::test
