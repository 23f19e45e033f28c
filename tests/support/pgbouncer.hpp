// Debian's pgbouncer in front of a PostgresServer. In transaction mode, any transaction may get any server connection.
//
// Invariant: it is gone when the object is. Owned by one thread; the URI may be shared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/cluster_kind.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

struct PoolOptions {
    PoolMode mode{PoolMode::transaction};
    int size{20};  // Connections to the server, of each login to each database; if fewer than clients, they are shared.
};

class PgBouncer {
public:
    // Throws with its log where it does not start. Both must outlive it.
    PgBouncer(const TempFolder& folder, const PostgresServer& server, const PoolOptions& options);
    PgBouncer(const PgBouncer&) = delete;
    PgBouncer& operator=(const PgBouncer&) = delete;

    // Through it, to the database of that name, as a login of a test's cluster.
    [[nodiscard]] std::string uri(std::string_view database, std::string_view login) const;
    [[nodiscard]] std::string log_text() const;
    // SIGKILL, and a new one on the same port.
    void restart();

private:
    std::filesystem::path configuration_;
    std::filesystem::path log_;
    std::uint16_t port_;
    std::optional<ChildProcess> process_;

    void start();
};

}  // namespace runledger::test
