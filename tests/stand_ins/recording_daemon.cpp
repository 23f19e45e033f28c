#include "tests/stand_ins/recording_daemon.hpp"

#include <chrono>
#include <utility>

namespace runledger::test {

RecordingDaemon::RecordingDaemon(const std::filesystem::path& socket)
    : daemon_("ipc://" + socket.string(),
              [this](std::span<const std::byte> request) { return StandInDaemon::Answers{answer(request)}; }) {}

RecordingDaemon::~RecordingDaemon() { stop(); }

void RecordingDaemon::start() {
    stopping_ = false;
    daemon_.start();
    thread_ = std::thread{[this] {
        while (!stopping_) {
            if (daemon_.wait(std::chrono::milliseconds{20})) {
                daemon_.serve();
            }
        }
    }};
}

void RecordingDaemon::stop() {
    stopping_ = true;
    if (thread_.joinable()) {
        thread_.join();
    }
    daemon_.stop();
}

std::vector<std::byte> RecordingDaemon::answer(std::span<const std::byte> frame) {
    const auto request = wire::decode_request(frame);
    const std::lock_guard lock{mutex_};
    if (const auto* batch = std::get_if<wire::Batch>(&request)) {
        remember(*batch);
        return wire::encode(wire::Answer{wire::Verdict::committed, wire::Damage::none, batch->name});
    }
    if (const auto* retire = std::get_if<wire::Retire>(&request)) {
        retired_.insert(retire->segment);
        return wire::encode(
            wire::Answer{wire::Verdict::retired, wire::Damage::none, {retire->segment, retire->batch_count}});
    }
    const auto damage = std::get<wire::Damage>(request);
    damaged_.emplace_back(wire::to_word(damage));
    return wire::encode(wire::Answer{wire::Verdict::refused, damage, {}});
}

void RecordingDaemon::remember(const wire::Batch& batch) {
    if (!committed_.insert(batch.name).second) {
        return;
    }
    for (const wire::Event& event : batch.events) {
        events_.push_back(
            {batch.name, batch.boot, std::string{batch.edge_name}, event.stamp, event.flags, std::string{event.body}});
    }
}

std::vector<DeliveredEvent> RecordingDaemon::delivered() const {
    const std::lock_guard lock{mutex_};
    return events_;
}

std::vector<std::string> RecordingDaemon::delivered_bodies() const {
    std::vector<std::string> bodies;
    for (DeliveredEvent& event : delivered()) {
        bodies.push_back(std::move(event.body));
    }
    return bodies;
}

std::set<SegmentId> RecordingDaemon::retired() const {
    const std::lock_guard lock{mutex_};
    return retired_;
}

std::vector<std::string> RecordingDaemon::damaged() const {
    const std::lock_guard lock{mutex_};
    return damaged_;
}

}  // namespace runledger::test
