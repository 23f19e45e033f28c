// Debian's pgbouncer in transaction mode, in front of a PostgresServer: any transaction may get any server connection.
//
// Invariant: it is gone when the object is. Owned by one thread; the URI may be shared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/support/postgres_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class PgBouncer {
public:
    // `pool_size`: connections to the server; fewer than clients, so that they are shared. Throws with its log where it
    // does not start. Both must outlive it.
    PgBouncer(const TempFolder& folder, const PostgresServer& server, int pool_size);
    PgBouncer(const PgBouncer&) = delete;
    PgBouncer& operator=(const PgBouncer&) = delete;

    // Through it, to the database of that name, as the superuser.
    [[nodiscard]] std::string uri(std::string_view database = "runledger") const;
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
