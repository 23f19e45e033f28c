// What all connections of this process to one PostgreSQL know together: whether it is away, so that one line says when
// it goes and one when it is back, whichever stage sees it first; and their sockets, so that one that hangs does not
// hold up the daemon's end.
//
// Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace runledger {

// Whether this failure says that the server or the way to it is gone: the connection is lost or refused, the server
// stops, starts or is a standby. What failed can be tried again as it is.
[[nodiscard]] bool is_outage(const std::exception& error) noexcept;

class Outages {
public:
    // Of the server that this connection string names; the same object for the same string.
    [[nodiscard]] static std::shared_ptr<Outages> of(const std::string& uri);

    // How many have begun. A connection keeps the number that it found when it was made.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(); }
    // Since the last statement that has failed with one, until one succeeds.
    [[nodiscard]] bool is_away() const noexcept { return is_away_.load(std::memory_order_relaxed); }
    // A connection that was made, or could not be made, at this count has failed with an outage. Says that PostgreSQL
    // is away, or why it refuses, unless that is said already, or the connection is older than the last outage.
    void begin(std::uint64_t count, const std::exception& error);
    // A statement has succeeded. Says that PostgreSQL is back if it was away.
    void end() {
        if (is_away_.load(std::memory_order_relaxed)) {
            say_end();
        }
    }

    // How long PostgreSQL has been away; nothing: it is not known to be.
    [[nodiscard]] std::optional<std::chrono::seconds> away_for();

private:
    void say_end();

    std::mutex mutex_;
    std::atomic<bool> is_away_{false};
    std::atomic<std::uint64_t> count_{0};
    std::string refused_with_;  // The SQLSTATE that was said in this outage, or "?" if there was none.
    std::chrono::steady_clock::time_point since_{};
};

// One connection's socket among all of this process, while the object lives.
class OpenSocket {
public:
    // -1: there is none. Throws pqxx::broken_connection after interrupt_connections().
    explicit OpenSocket(int socket);
    OpenSocket(const OpenSocket&) = delete;
    OpenSocket& operator=(const OpenSocket&) = delete;
    ~OpenSocket();

private:
    int duplicate_;  // Names the same socket, and no other, though libpq should have closed its own.
};

// Ends every connection under its thread: each statement that waits fails as if the server had closed the connection,
// and no further connection is made. For a daemon whose time to end is over.
void interrupt_connections() noexcept;

}  // namespace runledger
