// The connections to all daemons, as the courier uses them: send to one, receive from any, learn who came and went.
//
// Made, used and destroyed in one thread, after the fork: a context from before a fork fails for ever. Never blocks:
// what can't be sent now is not sent, and nothing lingers at the end, since the spool has it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "nginx-module/link/keys.hpp"
#include "nginx-module/link/link_settings.hpp"
#include "nginx-module/link/names.hpp"

namespace runledger::edge {

struct PeerEvent {
    enum class Kind : std::uint8_t { up, lost, handshake_failed, unresolved };
    Kind kind{};
    std::string reason;  // Of a failed handshake, or of a name without an address.
};

// One daemon's endpoint: its DEALER, and the monitor that tells when the connection comes or goes.
//
// A socket of its own for each daemon, so that it is known who has which batch, and one that is slow or dead holds up
// nobody else. ZeroMQ connects again by itself after a loss, but never after a handshake that failed: then the socket
// is made anew, with the next of the daemon's keys if there are several. A name is looked up before each connection,
// and its addresses are tried one after the other: ZeroMQ would resolve it in a thread that all peers share, and would
// only ever try its first address. Never blocks; used by one thread.
class LinkPeer {
public:
    using SteadyTime = std::chrono::steady_clock::time_point;

    // `keys`, which must outlive this, are used where the endpoint is tcp://; nothing: no CURVE. Connects in the
    // background. `wake` is signalled when take_events() has a look-up's answer to take. Throws zmq::error_t if ZeroMQ
    // gives no socket, or will not have the endpoint.
    LinkPeer(zmq::context_t& context, std::string endpoint, const CurveKeys* keys,
             std::shared_ptr<const NameWake> wake);
    LinkPeer(const LinkPeer&) = delete;
    LinkPeer& operator=(const LinkPeer&) = delete;
    ~LinkPeer();

    // False if there is no connection or its queue is full.
    [[nodiscard]] bool send(std::span<const std::byte> frame);
    // The next message that waits. Parts of a message of several count as messages.
    [[nodiscard]] std::optional<zmq::message_t> receive();
    // What has happened since the last call, in order. Makes the socket anew when that is due.
    [[nodiscard]] std::vector<PeerEvent> take_events(SteadyTime now);

    [[nodiscard]] const std::string& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] bool is_up() const noexcept { return is_up_; }
    // When take_events() next has something to do by itself; max() if nothing.
    [[nodiscard]] SteadyTime due_at() const noexcept;
    // For zmq_poll. POLLOUT is asked for once after a send() that was not taken.
    void add_poll_items(std::vector<zmq_pollitem_t>& items);

private:
    // Connects, or looks the name up; an answer that is there is taken. `events` gets why a name has no address.
    void open(SteadyTime now, std::vector<PeerEvent>& events);
    void take_answer(SteadyTime now, std::vector<PeerEvent>& events);
    void connect(const std::string& endpoint);
    void close() noexcept;
    // The name's next address if there is one, else all from the start after a pause.
    void reopen_later(SteadyTime now, std::chrono::milliseconds pause_max) noexcept;

    zmq::context_t& context_;
    std::string endpoint_;
    const CurveKeys* keys_;
    std::shared_ptr<const NameWake> wake_;
    std::optional<TcpName> name_;         // Nothing: ZeroMQ gets the endpoint as it is.
    std::future<NameAnswer> lookup_;      // Valid while one is under way.
    SteadyTime slow_lookup_at_{};         // When to say that it takes long.
    std::vector<std::string> addresses_;  // Of the name, those that have not been tried.
    std::size_t key_{};                   // Of keys_->daemons, modulo their number: the one in use.
    std::uint64_t openings_{};
    std::optional<zmq::socket_t> dealer_;  // Nothing until reopen_at_, and while a name is looked up.
    std::optional<zmq::socket_t> monitor_;
    bool is_up_{false};
    bool wants_to_send_{false};
    SteadyTime reopen_at_{};
    std::chrono::milliseconds reopen_pause_{};
};

class Link {
public:
    using SteadyTime = LinkPeer::SteadyTime;

    // Throws zmq::error_t if ZeroMQ gives us no socket, std::system_error if it would find too few threads or
    // descriptors. Endpoints that it refuses are in bad_endpoints(), and never up. `keys`, which must outlive this, are
    // used where an endpoint is tcp://.
    Link(const std::vector<std::string>& endpoints, const CurveKeys* keys);

    // False if that daemon is not connected or its queue is full: add_poll_items() then asks for room there.
    [[nodiscard]] bool send(std::size_t peer, std::span<const std::byte> frame);

    struct Received {
        std::size_t peer{};
        zmq::message_t message;
    };
    // The next message that waits, from one daemon after the other.
    [[nodiscard]] std::optional<Received> receive();

    struct Change {
        std::size_t peer{};
        PeerEvent event;
    };
    // What has happened since the last call, in order for each daemon. Opens again what is due.
    [[nodiscard]] std::vector<Change> take_changes(SteadyTime now);

    [[nodiscard]] LinkFigures figures() const noexcept;
    [[nodiscard]] const std::vector<std::string>& bad_endpoints() const noexcept { return bad_endpoints_; }
    [[nodiscard]] SteadyTime due_at() const noexcept;
    void add_poll_items(std::vector<zmq_pollitem_t>& items);

private:
    std::shared_ptr<const NameWake> names_;
    zmq::context_t context_;  // The first of what is ZeroMQ's, so that it ends last and waits for nothing.
    std::vector<std::unique_ptr<LinkPeer>> peers_;  // Nothing where the endpoint is bad.
    std::vector<std::string> bad_endpoints_;
    LinkFigures figures_;  // Without endpoints_up.
    std::size_t turn_{};
};

}  // namespace runledger::edge
