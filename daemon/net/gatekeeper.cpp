#include "daemon/net/gatekeeper.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <string_view>
#include <vector>

#include "common/curve.hpp"

namespace runledger {
namespace {

constexpr const char* zap_endpoint = "inproc://zeromq.zap.01";
constexpr std::size_t public_key_bytes = 32;
constexpr std::chrono::minutes say_again_after{1};
constexpr std::size_t denials_max = 256;  // Beyond it, whoever knocks with ever new keys is counted only.

// A request's frames, in their order.
enum Frame : std::size_t { version, request_id, domain, address, identity, mechanism, credentials, frames };

std::vector<std::string> receive_frames(zmq::socket_t& socket) {
    std::vector<std::string> received;
    zmq::message_t message;
    while (socket.recv(message, zmq::recv_flags::dontwait)) {
        received.push_back(message.to_string());
        if (!message.more()) {
            break;
        }
    }
    return received;
}

// The key in Z85; empty if these are no credentials of CURVE's.
std::string key_of(const std::vector<std::string>& request) {
    std::array<char, curve_key_characters + 1> text{};
    if (request.size() != frames || request[mechanism] != "CURVE" || request[credentials].size() != public_key_bytes ||
        zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(request[credentials].data()),
                       public_key_bytes) == nullptr) {
        return {};
    }
    return text.data();
}

}  // namespace

Gatekeeper::Gatekeeper(zmq::context_t& context, const std::filesystem::path& authorized_keys_file,
                       std::atomic<std::uint64_t>& denied)
    : replier_(context, zmq::socket_type::rep), keys_(authorized_keys_file), denied_(denied) {
    replier_.set(zmq::sockopt::linger, 0);
    replier_.bind(zap_endpoint);
}

void Gatekeeper::answer() {
    while (true) {
        const auto request = receive_frames(replier_);
        if (request.empty()) {
            return;
        }
        const std::string key = key_of(request);
        const auto name = key.empty() ? std::nullopt : keys_.find(key);
        const std::string from = request.size() > address ? request[address] : "?";
        if (name) {
            spdlog::info("edge let in name={} address={}", *name, from);
        } else {
            denied_.fetch_add(1, std::memory_order_relaxed);
            log_denial(from, key.empty() ? "none" : key_prefix(key));
        }
        const std::array<std::string, 6> reply{
            request[version],     request.size() > request_id ? request[request_id] : "",
            name ? "200" : "400", name ? "OK" : "not authorised",
            name.value_or(""),    ""};
        for (std::size_t i = 0; i < reply.size(); ++i) {
            replier_.send(zmq::buffer(reply[i]),
                          i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
        }
    }
}

void Gatekeeper::log_denial(const std::string& address, const std::string& key) {
    const auto now = std::chrono::steady_clock::now();
    if (!denials_.contains(key) && denials_.size() >= denials_max) {
        return;
    }
    const auto [found, is_new] = denials_.try_emplace(key);
    Denial& denial = found->second;
    if (!is_new && now - denial.said_at < say_again_after) {
        ++denial.unsaid;
        return;
    }
    spdlog::warn("edge denied, its key is not in curve_authorized_keys_file address={} key={} times_before={}", address,
                 key, denial.unsaid);
    denial = {.said_at = now, .unsaid = 0};
}

}  // namespace runledger
