#include "tests/integration/edge/stand_in_daemon.hpp"

#include <zmq.hpp>

#include <chrono>
#include <utility>

#include "tests/support/eventually.hpp"

namespace runledger::test {

StandInDaemon::StandInDaemon(std::filesystem::path socket) : socket_{std::move(socket)} {}

StandInDaemon::~StandInDaemon() { stop(); }

void StandInDaemon::start() {
    stopping_ = false;
    thread_ = std::thread{[this] { run(); }};
    eventually("the stand-in daemon listens", [this] { return std::filesystem::exists(socket_); });
}

void StandInDaemon::stop() {
    stopping_ = true;
    if (thread_.joinable()) {
        thread_.join();
    }
}

void StandInDaemon::run() {
    zmq::context_t context;
    zmq::socket_t router{context, zmq::socket_type::router};
    router.set(zmq::sockopt::linger, 0);
    std::filesystem::remove(socket_);
    const std::filesystem::path binding = socket_.string() + ".new";
    std::filesystem::remove(binding);
    router.bind("ipc://" + binding.string());
    // The edge runs as another user; it finds the socket only once it may use it.
    std::filesystem::permissions(binding, std::filesystem::perms::all);
    std::filesystem::rename(binding, socket_);

    while (!stopping_) {
        zmq::pollitem_t poll{router.handle(), 0, ZMQ_POLLIN, 0};
        if (zmq::poll(&poll, 1, std::chrono::milliseconds{20}) == 0) {
            continue;
        }
        zmq::message_t peer;
        zmq::message_t frame;
        static_cast<void>(router.recv(peer));  // Blocking: the poll has seen a message, and a message has both parts.
        static_cast<void>(router.recv(frame));
        const auto reply = answer({frame.data<std::byte>(), frame.size()});
        router.send(peer, zmq::send_flags::sndmore);
        router.send(zmq::buffer(reply.data(), reply.size()), zmq::send_flags::none);
    }
    std::filesystem::remove(socket_);
}

std::vector<std::byte> StandInDaemon::answer(std::span<const std::byte> frame) {
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

void StandInDaemon::remember(const wire::Batch& batch) {
    if (!committed_.insert(batch.name).second) {
        return;
    }
    for (const wire::Event& event : batch.events) {
        events_.push_back(
            {batch.name, batch.boot, std::string{batch.edge_name}, event.stamp, event.flags, std::string{event.body}});
    }
}

std::vector<DeliveredEvent> StandInDaemon::delivered() const {
    const std::lock_guard lock{mutex_};
    return events_;
}

std::vector<std::string> StandInDaemon::delivered_bodies() const {
    std::vector<std::string> bodies;
    for (DeliveredEvent& event : delivered()) {
        bodies.push_back(std::move(event.body));
    }
    return bodies;
}

std::set<SegmentId> StandInDaemon::retired() const {
    const std::lock_guard lock{mutex_};
    return retired_;
}

std::vector<std::string> StandInDaemon::damaged() const {
    const std::lock_guard lock{mutex_};
    return damaged_;
}

}  // namespace runledger::test
