#include "tests/stand_ins/daemon.hpp"

#include <filesystem>
#include <variant>

#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

// Nothing where the endpoint is no file.
std::optional<std::filesystem::path> socket_file(const std::string& endpoint) {
    constexpr std::string_view scheme = "ipc://";
    return endpoint.starts_with(scheme) ? std::optional<std::filesystem::path>{endpoint.substr(scheme.size())}
                                        : std::nullopt;
}

}  // namespace

void StandInDaemon::start() {
    router_.emplace(context_, zmq::socket_type::router);
    router_->set(zmq::sockopt::linger, 0);
    router_->set(zmq::sockopt::rcvhwm, 100'000);
    router_->set(zmq::sockopt::sndhwm, 100'000);
    const auto file = socket_file(endpoint_);
    if (!file) {
        // Its predecessor's address can stay in use for a moment after it was closed.
        eventually("the stand-in daemon binds", [&] {
            router_->bind(endpoint_);
            return true;
        });
        return;
    }
    // The edge may run as another user; it finds the socket only once it may use it.
    const std::filesystem::path binding = file->string() + ".new";
    std::filesystem::remove(binding);
    router_->bind("ipc://" + binding.string());
    std::filesystem::permissions(binding, std::filesystem::perms::all);
    std::filesystem::rename(binding, *file);
}

void StandInDaemon::stop() {
    if (!router_) {
        return;
    }
    router_.reset();
    if (const auto file = socket_file(endpoint_)) {
        std::filesystem::remove(*file);
    }
}

bool StandInDaemon::wait(std::chrono::milliseconds time_max) {
    zmq::pollitem_t poll{router_->handle(), 0, ZMQ_POLLIN, 0};
    return zmq::poll(&poll, 1, time_max) > 0;
}

void StandInDaemon::serve() {
    struct Message {
        zmq::message_t peer;
        zmq::message_t request;
        [[nodiscard]] std::span<const std::byte> bytes() const {
            return std::as_bytes(std::span(request.data<char>(), request.size()));
        }
    };
    std::vector<Message> messages;
    while (router_) {
        Message message;
        if (!router_->recv(message.peer, zmq::recv_flags::dontwait) ||
            !router_->recv(message.request, zmq::recv_flags::dontwait)) {
            break;
        }
        messages.push_back(std::move(message));
    }
    for (const Message& message : messages) {
        const auto request = wire::decode_request(message.bytes());
        const auto* batch = std::get_if<wire::Batch>(&request);
        if (batch != nullptr && dies_of && dies_of(*batch)) {
            stop();
            return;
        }
    }
    for (Message& message : messages) {
        for (const auto& answer : take_(message.bytes())) {
            // Not taken: the edge has gone, and it sends again when it comes back.
            (void)router_->send(zmq::const_buffer(message.peer.data(), message.peer.size()),
                                zmq::send_flags::sndmore | zmq::send_flags::dontwait);
            (void)router_->send(zmq::const_buffer(answer.data(), answer.size()), zmq::send_flags::dontwait);
        }
    }
}

}  // namespace runledger::test
