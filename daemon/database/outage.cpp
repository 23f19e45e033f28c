#include "daemon/database/outage.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <pqxx/pqxx>
#include <string_view>
#include <unordered_set>

#include "daemon/database/connect_fault.hpp"

namespace runledger {
namespace {

// Class 08 (the connection's, and what a pooler says when it has no server) beside these.
constexpr std::array<std::string_view, 6> away_states{
    "57P01",  // The server is shut down.
    "57P02",  // Another of its processes has crashed.
    "57P03",  // It starts, or is shutting down.
    "25006",  // It is a standby: its primary is elsewhere, or it is not yet promoted.
    // It has ended this session alone, and nothing that was in it was at fault.
    "25P03",  // idle_in_transaction_session_timeout: the daemon was suspended, or the way to it was.
    "57P05",  // idle_session_timeout, between the look at the connection and its first statement.
};

struct OpenSockets {
    std::mutex mutex;
    std::unordered_set<int> sockets;
    bool are_interrupted{false};
};

OpenSockets& open_sockets() {
    static OpenSockets all;
    return all;
}

}  // namespace

bool is_outage(const std::exception& error) noexcept {
    if (const std::string_view state = sqlstate_of(error); !state.empty()) {
        return state.starts_with("08") || std::ranges::find(away_states, state) != away_states.end();
    }
    return dynamic_cast<const pqxx::broken_connection*>(&error) != nullptr ||
           dynamic_cast<const pqxx::in_doubt_error*>(&error) != nullptr;
}

std::shared_ptr<Outages> Outages::of(const std::string& uri) {
    static std::mutex mutex;
    static std::map<std::string, std::weak_ptr<Outages>> all;
    const std::lock_guard lock(mutex);
    auto found = all[uri].lock();
    if (!found) {
        std::erase_if(all, [](const auto& other) { return other.second.expired(); });
        found = std::make_shared<Outages>();
        all[uri] = found;
    }
    return found;
}

void Outages::begin(std::uint64_t count, const std::exception& error) {
    const std::lock_guard lock(mutex_);
    if (!is_away_) {
        if (count < count_) {
            return;  // Broken by the outage that is over.
        }
        is_away_ = true;
        ++count_;
        since_ = std::chrono::steady_clock::now();
        refused_with_.clear();
    } else if (dynamic_cast<const Refused*>(&error) == nullptr) {
        return;
    }
    if (const auto* refused = dynamic_cast<const Refused*>(&error)) {
        const std::string with = refused->sqlstate().empty() ? "?" : refused->sqlstate();
        if (refused_with_ != with) {
            refused_with_ = with;
            spdlog::error("PostgreSQL refuses the daemon, which no waiting mends {}", refused->what());
        }
    } else {
        spdlog::warn("PostgreSQL is away, trying again until it is back error={:?}", std::string_view(error.what()));
    }
}

std::optional<std::chrono::seconds> Outages::away_for() {
    const std::lock_guard lock(mutex_);
    if (!is_away_) {
        return std::nullopt;
    }
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - since_);
}

void Outages::say_end() {
    const std::lock_guard lock(mutex_);
    if (is_away_.exchange(false)) {
        const auto lasted = std::chrono::steady_clock::now() - since_;
        spdlog::info("PostgreSQL is back away_ms={}",
                     std::chrono::duration_cast<std::chrono::milliseconds>(lasted).count());
    }
}

OpenSocket::OpenSocket(int socket) : duplicate_(socket < 0 ? -1 : ::fcntl(socket, F_DUPFD_CLOEXEC, 0)) {
    OpenSockets& all = open_sockets();
    const std::lock_guard lock(all.mutex);
    if (all.are_interrupted) {
        if (duplicate_ >= 0) {
            ::close(duplicate_);
        }
        throw pqxx::broken_connection("the daemon ends");
    }
    if (duplicate_ >= 0) {
        all.sockets.insert(duplicate_);
    }
}

OpenSocket::~OpenSocket() {
    if (duplicate_ < 0) {
        return;
    }
    OpenSockets& all = open_sockets();
    const std::lock_guard lock(all.mutex);
    all.sockets.erase(duplicate_);
    ::close(duplicate_);
}

void interrupt_connections() noexcept {
    OpenSockets& all = open_sockets();
    const std::lock_guard lock(all.mutex);
    all.are_interrupted = true;
    for (const int socket : all.sockets) {
        (void)::shutdown(socket, SHUT_RDWR);  // Fails where the connection is lost already.
    }
}

}  // namespace runledger
