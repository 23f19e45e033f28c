#include "daemon/ingest/intake.hpp"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <zmq.hpp>

#include "common/limits.hpp"
#include "daemon/net/bind_host.hpp"
#include "daemon/net/gatekeeper.hpp"

namespace runledger {
namespace {

int make_eventfd() {
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    return fd;
}

void signal_fd(int fd) noexcept {
    const std::uint64_t one = 1;
    // Fails only when the counter is full: then it is readable already.
    [[maybe_unused]] const auto written = write(fd, &one, sizeof one);
}

void drain_fd(int fd) noexcept {
    std::uint64_t count = 0;
    // Fails only when there is nothing to read.
    [[maybe_unused]] const auto got = read(fd, &count, sizeof count);
}

constexpr std::string_view ipc = "ipc://";
constexpr std::string_view tcp = "tcp://";

// libzmq unlinks whatever is at the path of an ipc:// endpoint before it binds: the socket of a daemon that runs, or a
// file that is none. Throws std::runtime_error with the reason unless the place is free or a crash left its socket.
void check_place(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    constexpr std::size_t path_bytes_max = sizeof address.sun_path - 1;
    if (path.size() > path_bytes_max) {
        throw std::runtime_error(
            fmt::format("the path has {} bytes, at most {} are possible", path.size(), path_bytes_max));
    }
    struct stat status {};
    if (path.starts_with('@') || path == "*" || lstat(path.c_str(), &status) != 0) {
        return;  // Has no file, or none yet: what else is wrong bind() says.
    }
    if (!S_ISSOCK(status.st_mode)) {
        throw std::runtime_error("the file is no socket, and is left as it is");
    }
    path.copy(static_cast<char*>(address.sun_path), path_bytes_max);
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) {
        throw std::system_error(errno, std::generic_category(), "socket");
    }
    // The C interface of sockets: an address of a family is passed as one of any.
    const bool is_refused =
        connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
    ::close(probe);
    if (!is_refused) {  // EAGAIN: its backlog is full. EACCES: another user's.
        throw std::runtime_error("another daemon listens here");
    }
}

// libzmq looks for an interface of the host's name before it takes the host for an address, and aborts where it can't
// list them.
void check_interfaces() {
    ifaddrs* interfaces = nullptr;
    if (getifaddrs(&interfaces) != 0) {
        throw std::runtime_error(
            fmt::format("the interfaces of this machine can't be listed: {}; RestrictAddressFamilies= of the service "
                        "needs AF_NETLINK",
                        std::generic_category().message(errno)));
    }
    freeifaddrs(interfaces);
}

// libzmq is C++ within, and lets std::bad_alloc out of its C functions with its own state half changed: later calls
// then lose an edge's messages, or never return. Only a new process mends that, and the daemon may end at any moment.
template <class Call>
auto in_libzmq(Call call) {
    try {
        return call();
    } catch (const zmq::error_t&) {
        throw;  // That is an answer, and its state is whole.
    } catch (const std::exception& error) {
        constexpr int exit_broken = 2;
        spdlog::critical("libzmq has failed within: the daemon ends, to be started again error=\"{}\"", error.what());
        std::_Exit(exit_broken);
    }
}

std::span<const std::byte> bytes_of(const zmq::message_t& message) {
    return {static_cast<const std::byte*>(message.data()), message.size()};
}

}  // namespace

IntakeQueue::IntakeQueue(std::chrono::milliseconds gather) : gather_(gather), answers_fd_(make_eventfd()) {}

IntakeQueue::~IntakeQueue() {
    close();
    ::close(answers_fd_);
}

IntakeQueue::Offer IntakeQueue::offer(Arrival arrival) {
    const std::lock_guard lock(mutex_);
    if (const auto known = open_.find(arrival.key); known != open_.end()) {
        if (known->second->frame != arrival.frame) {
            return Offer::name_in_use;
        }
        // The edge sent again, perhaps over a new connection: the old one's name would reach nobody.
        known->second->peer = std::move(arrival.peer);
        return Offer::known;
    }
    if (closed_ || open_bytes_ + arrival.frame.size() > intake_bytes_max) {
        return Offer::full;
    }
    // What can fail comes first: an arrival that is open and not queued would never be answered, nor its copies.
    auto shared = std::make_shared<Arrival>(std::move(arrival));
    queue_.push_back(shared);
    try {
        open_.emplace(shared->key, shared);
    } catch (...) {
        queue_.pop_back();
        throw;
    }
    open_bytes_ += shared->frame.size();
    if (queue_.size() == 1 || is_gathered()) {
        filled_.notify_one();  // Else somebody waits for the time already.
    }
    return Offer::queued;
}

std::vector<IntakeQueue::ArrivalPtr> IntakeQueue::take(std::size_t bytes_max) {
    std::unique_lock lock(mutex_);
    std::vector<ArrivalPtr> taken;
    while (!closed_) {
        if (!last_were_due_ || queue_.empty()) {
            taken = take_due(bytes_max);
        }
        if (!taken.empty() || is_gathered()) {
            break;
        }
        if (!queue_.empty()) {
            const auto until = gathers_until_;  // A copy: another thread may take it meanwhile.
            filled_.wait_until(lock, until);
        } else if (put_back_.empty()) {
            filled_.wait(lock);
        } else {
            const auto due_at = put_back_.begin()->first;  // A copy: another thread may take it meanwhile.
            filled_.wait_until(lock, due_at);
        }
    }
    last_were_due_ = !taken.empty();
    if (taken.empty()) {
        taken = take_new(bytes_max);
        gathers_until_ = std::chrono::steady_clock::now() + gather_;
    }
    if (!queue_.empty() || !put_back_.empty()) {
        filled_.notify_one();  // This thread is busy from here on: another one watches what is left.
    }
    return taken;
}

bool IntakeQueue::is_gathered() const {
    return queue_.size() >= gathered_max || (!queue_.empty() && std::chrono::steady_clock::now() >= gathers_until_);
}

std::vector<IntakeQueue::ArrivalPtr> IntakeQueue::take_new(std::size_t bytes_max) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < queue_.size() && (count == 0 || bytes + queue_[count]->frame.size() <= bytes_max)) {
        bytes += queue_[count++]->frame.size();
    }
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<ArrivalPtr> taken(queue_.begin(), end);  // Fails before anything has left the queue.
    queue_.erase(queue_.begin(), end);
    return taken;
}

std::vector<IntakeQueue::ArrivalPtr> IntakeQueue::take_due(std::size_t bytes_max) {
    const auto end = put_back_.upper_bound(std::chrono::steady_clock::now());
    std::vector<ArrivalPtr> due;
    for (auto at = put_back_.begin(); at != end; ++at) {
        due.push_back(at->second);
    }
    const auto attempts = [](const ArrivalPtr& arrival) { return arrival->setback ? arrival->setback->attempts : 0; };
    std::ranges::stable_sort(due, {}, attempts);
    std::vector<ArrivalPtr> taken;
    taken.reserve(due.size());  // Fails before anything has left the map.
    std::size_t bytes = 0;
    for (ArrivalPtr& arrival : due) {
        bytes += arrival->frame.size();
        if (!taken.empty() && bytes > bytes_max) {
            break;
        }
        arrival->is_put_back = false;
        taken.push_back(std::move(arrival));
    }
    std::erase_if(put_back_, [](const auto& entry) { return !entry.second->is_put_back; });
    return taken;
}

void IntakeQueue::put_back(const ArrivalPtr& arrival, std::chrono::steady_clock::time_point not_before) {
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            close_arrival(arrival);
            return;
        }
        try {
            put_back_.emplace(not_before, arrival);
        } catch (const std::bad_alloc&) {
            close_arrival(arrival);  // Its copy comes from the edge's spool.
            return;
        }
        arrival->is_put_back = true;
    }
    filled_.notify_one();
}

void IntakeQueue::drop_put_back() {
    for (const auto& [due_at, arrival] : put_back_) {
        close_arrival(arrival);
    }
    put_back_.clear();
}

void IntakeQueue::answer(const ArrivalPtr& arrival, const wire::Answer& answer) {
    {
        const std::lock_guard lock(mutex_);
        answers_.push_back({arrival->peer, answer});  // If it fails, the applier forgets the arrival.
        close_arrival(arrival);
    }
    signal_fd(answers_fd_);
}

void IntakeQueue::forget(const ArrivalPtr& arrival) {
    const std::lock_guard lock(mutex_);
    close_arrival(arrival);
}

void IntakeQueue::close_arrival(const ArrivalPtr& arrival) {
    const auto found = open_.find(arrival->key);
    if (found != open_.end() && found->second == arrival) {
        open_bytes_ -= arrival->frame.size();
        open_.erase(found);
    }
}

void IntakeQueue::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        drop_put_back();
    }
    filled_.notify_all();
}

void IntakeQueue::abandon() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    queue_.clear();
    put_back_.clear();
    open_.clear();
    open_bytes_ = 0;
}

std::vector<IntakeQueue::AddressedAnswer> IntakeQueue::take_answers() {
    const std::lock_guard lock(mutex_);
    return std::exchange(answers_, {});
}

std::size_t IntakeQueue::queued_bytes() {
    const std::lock_guard lock(mutex_);
    return open_bytes_;
}

std::size_t IntakeQueue::open_arrivals() {
    const std::lock_guard lock(mutex_);
    return open_.size();
}

class Intake::Socket {
public:
    zmq::context_t context{1};
    std::optional<Gatekeeper> gatekeeper;  // Before the router, which asks it.
    zmq::socket_t router{context, zmq::socket_type::router};

    Socket(const IntakeSettings& settings, IntakeCounters& counters) {
        const std::optional<CurveServer>& curve = settings.curve;
        if (curve) {
            gatekeeper.emplace(context, curve->authorized_keys_file, counters.handshakes_denied);
        }
        router.set(zmq::sockopt::linger, 1000);  // The last answers; the edges send again if they are lost.
        router.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(wire_message_bytes_max));
        router.set(zmq::sockopt::rcvhwm, 64);
        router.set(zmq::sockopt::sndhwm, 0);  // Answers are 36 bytes, and no more of them than batches were sent.
        router.set(zmq::sockopt::heartbeat_ivl, 2000);
        router.set(zmq::sockopt::heartbeat_timeout, 6000);
        for (const std::string& endpoint : settings.bind) {
            // Options hold for the endpoints that are bound after them. Without this one ZeroMQ takes no IPv6 address,
            // and * is IPv4 alone; with it, * is both where the host has both.
            router.set(zmq::sockopt::ipv6, endpoint.starts_with("tcp://[") || endpoint.starts_with("tcp://*"));
            // Who may open an ipc:// socket's file is let in.
            const bool has_curve = curve && endpoint.starts_with(tcp);
            router.set(zmq::sockopt::curve_server, has_curve ? 1 : 0);
            if (has_curve) {
                router.set(zmq::sockopt::curve_secretkey, std::string(curve->secret_key.reveal()));
            }
            try {
                if (endpoint.starts_with(ipc)) {
                    check_place(endpoint.substr(ipc.size()));
                } else {
                    check_interfaces();
                    if (bind_host(std::string_view(endpoint).substr(tcp.size())) == BindHost::unusable) {
                        throw std::runtime_error(std::string(no_host_to_bind));
                    }
                }
                router.bind(endpoint);
            } catch (const zmq::error_t& error) {
                throw BindError(fmt::format("[intake] bind: \"{}\" can't be bound: {}", endpoint,
                                            error.num() == ENODEV ? no_host_to_bind : std::string_view(error.what())));
            } catch (const std::exception& error) {
                throw BindError(fmt::format("[intake] bind: \"{}\" can't be bound: {}", endpoint, error.what()));
            }
            if (endpoint.starts_with(ipc)) {
                // Connecting takes the right to write: for the group that nginx's workers are in.
                const std::string path = endpoint.substr(ipc.size());
                if (chmod(path.c_str(), 0660) != 0) {
                    spdlog::warn("the socket's mode can't be set path={} error=\"{}\"", path,
                                 std::generic_category().message(errno));
                }
            }
            spdlog::info("listening for edges endpoint={} curve={}", endpoint, has_curve ? "yes" : "no");
        }
    }

    // An edge that is gone is no error: it sends again where it comes back.
    void send(const std::string& peer, const wire::Answer& answer) {
        const auto frame = wire::encode(answer);
        in_libzmq([&] {
            if (router.send(zmq::buffer(peer), zmq::send_flags::sndmore | zmq::send_flags::dontwait)) {
                [[maybe_unused]] const auto sent = router.send(zmq::buffer(frame), zmq::send_flags::dontwait);
            }
        });
    }

    // False: no message waits.
    [[nodiscard]] bool receive(zmq::message_t& message) {
        return in_libzmq([&] { return router.recv(message, zmq::recv_flags::dontwait).has_value(); });
    }
};

Intake::Intake(const IntakeSettings& settings, IntakeQueue& queue, IntakeCounters& counters)
    : socket_(std::make_unique<Socket>(settings, counters)),
      queue_(queue),
      counters_(counters),
      stop_fd_(make_eventfd()) {}

Intake::~Intake() { close(stop_fd_); }

void Intake::stop() { signal_fd(stop_fd_); }

void Intake::run() {
    // After stop(), for a turn of apply that is under way to end; the edges have the rest.
    constexpr std::chrono::seconds drain_bound{10};
    std::chrono::steady_clock::time_point drain_until = std::chrono::steady_clock::time_point::max();
    bool stopping = false;
    while (true) {
        heartbeat_.beat();
        try {
            std::vector<zmq::pollitem_t> items{{nullptr, queue_.answers_fd(), ZMQ_POLLIN, 0},
                                               {nullptr, stop_fd_, ZMQ_POLLIN, 0},
                                               {socket_->router.handle(), 0, ZMQ_POLLIN, 0}};
            if (socket_->gatekeeper) {
                items.push_back({socket_->gatekeeper->socket(), 0, ZMQ_POLLIN, 0});
            }
            in_libzmq([&] {
                zmq::poll(items.data(), stopping ? 1 : items.size(), std::chrono::milliseconds{stopping ? 50 : 1000});
            });
            if ((items[0].revents & ZMQ_POLLIN) != 0) {
                drain_fd(queue_.answers_fd());
            }
            for (const auto& [peer, answer] : queue_.take_answers()) {
                socket_->send(peer, answer);
                counters_.answers.fetch_add(1, std::memory_order_relaxed);
            }
            if (!stopping && (items[1].revents & ZMQ_POLLIN) != 0) {
                stopping = true;
                drain_until = std::chrono::steady_clock::now() + drain_bound;
                queue_.close();
            }
            if (stopping) {
                if (queue_.open_arrivals() == 0 || std::chrono::steady_clock::now() > drain_until) {
                    for (const auto& [peer, answer] : queue_.take_answers()) {
                        socket_->send(peer, answer);
                    }
                    return;
                }
                continue;
            }
            if (socket_->gatekeeper) {
                in_libzmq([&] { socket_->gatekeeper->answer(); });
            }
            // A bounded number, so that answers don't wait behind a flood.
            for (int i = 0; i < 256; ++i) {
                zmq::message_t peer;
                zmq::message_t frame;
                if (!socket_->receive(peer)) {
                    break;
                }
                if (!peer.more() || !socket_->receive(frame)) {
                    continue;
                }
                if (frame.more()) {
                    // Ours are one frame; the rest of this message is read and thrown away.
                    zmq::message_t rest;
                    while (socket_->receive(rest) && rest.more()) {
                    }
                    counters_.damaged.fetch_add(1, std::memory_order_relaxed);
                    continue;
                }
                counters_.messages.fetch_add(1, std::memory_order_relaxed);
                const auto bytes = bytes_of(frame);
                Arrival arrival{.peer = peer.to_string(), .frame = {bytes.begin(), bytes.end()}, .key = {}};
                const auto header = wire::decode_batch_header(bytes);
                if (const auto* batch = std::get_if<wire::BatchHeader>(&header)) {
                    arrival.key = batch->name;
                } else if (const auto request = wire::decode_request(bytes);
                           const auto* retire = std::get_if<wire::Retire>(&request)) {
                    arrival.key = {retire->segment, retire_key};
                } else {
                    // There is no name in it to answer for.
                    const auto damage = std::get<wire::Damage>(header);
                    counters_.damaged.fetch_add(1, std::memory_order_relaxed);
                    spdlog::error("a message can't be read and is dropped bytes={} reason={}", bytes.size(),
                                  wire::to_word(damage));
                    continue;
                }
                const std::string to = arrival.peer;
                const BatchName key = arrival.key;
                const auto offer = queue_.offer(std::move(arrival));
                if (offer == IntakeQueue::Offer::full || offer == IntakeQueue::Offer::name_in_use) {
                    counters_.busy.fetch_add(1, std::memory_order_relaxed);
                    socket_->send(to, {.verdict = wire::Verdict::busy, .reason = wire::Damage::none, .batch = key});
                }
            }
        } catch (const zmq::error_t& error) {
            if (error.num() != EINTR) {
                // EHOSTUNREACH and the like: one answer is lost, and its batch comes again.
                spdlog::warn("intake error=\"{}\"", error.what());
            }
        } catch (const std::exception& error) {
            spdlog::error("intake error=\"{}\"", error.what());
        }
    }
}

}  // namespace runledger
