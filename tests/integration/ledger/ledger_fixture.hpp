// A real PostgreSQL with the schema migrated, and batches made in the test, for the parts of the ledger by themselves.
//
// One cluster serves the program; each test has a database of its own, copied from a migrated template. What the
// daemon, the tool and the application do is done as the documented roles; the test looks and prepares as a superuser.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire.hpp"
#include "daemon/ingest/write_turn.hpp"
#include "tests/support/postgres_server.hpp"

namespace runledger::test {

// One event of a batch that a test makes: what came, and when, in microseconds after `ledger_epoch`.
struct Incoming {
    std::string body;
    std::int64_t at_us{0};
    bool redelivered{false};
};

inline constexpr std::int64_t ledger_epoch_us = 1'756'434'938'000'000;  // 2025-08-29 02:35:38 UTC.

// The frame of a batch, and the batch as it is read from it.
class MadeBatch {
public:
    MadeBatch(const BatchName& name, const std::vector<Incoming>& events, std::uint8_t boot = 1);
    // One event with a stamp and a boot of its own.
    MadeBatch(const BatchName& name, std::string_view body, const Stamp& stamp, const BootId& boot, bool redelivered);

    [[nodiscard]] const wire::Batch& batch() const { return batch_; }
    [[nodiscard]] const std::vector<std::byte>& frame() const { return frame_; }

private:
    std::vector<std::byte> frame_;
    wire::Batch batch_;
};

// A body as the sender writes it.
struct EventText {
    std::string run_id{"run-1"};
    std::string status{"running"};
    std::string outputs{"[]"};
    std::string live_status{"null"};
    std::string progress{"0.0"};
    std::string extra{};  // Further members: R"(, "error": "x")"
};
[[nodiscard]] std::string event_text(const EventText& event);
[[nodiscard]] std::string picture(std::string_view id, std::string_view updated_at = "2025-08-29T02:35:38.214Z");

enum class DatabaseOf : std::uint8_t {
    each_test,  // Its own, copied from the template.
    the_suite,  // One for all tests of such suites, emptied for each: ten times as fast.
};

class Ledger : public testing::Test {
protected:
    explicit Ledger(DatabaseOf whose = DatabaseOf::each_test);

    [[nodiscard]] static PostgresServer& server();
    // The database's, for the daemon and for the tool; the daemon's also past a pooler.
    [[nodiscard]] std::string daemon_uri() const { return server().daemon_uri(database_); }
    [[nodiscard]] std::string direct_daemon_uri() const { return server().direct_daemon_uri(database_); }
    [[nodiscard]] std::string owner_uri() const { return server().owner_uri(database_); }
    // As the superuser.
    [[nodiscard]] std::string uri() const { return server().uri(database_); }
    [[nodiscard]] pqxx::connection& db() { return *connection_; }
    [[nodiscard]] std::unique_ptr<pqxx::connection> another_connection() const { return connect_to(uri()); }
    [[nodiscard]] std::unique_ptr<pqxx::connection> another_connection_as_application() const {
        return connect_to(server().application_uri(database_));
    }
    [[nodiscard]] std::string listeners_uri() const { return server().direct_application_uri(database_); }

    // Segments are numbered within a test.
    [[nodiscard]] static SegmentId segment(std::uint8_t number);
    // Applies as one turn, in a transaction of its own, as the daemon.
    TurnResult apply(const std::vector<const MadeBatch*>& batches, ApplyMode mode = ApplyMode::together);
    // One batch with a fresh name.
    TurnResult apply_events(const std::vector<Incoming>& events);

    // By the application: a generations row for the run, at 0.000337 USD a second, chat 42; `metadata` overrides.
    // Returns its id.
    std::int64_t insert_generation(std::string_view run_id);
    std::int64_t insert_metadata(const std::string& metadata);
    // By the daemon: runledger.settle_run in a transaction of its own: the outcome.
    std::string settle(std::string_view run_id, std::int64_t grace_ms = 3000);

    // The single value of a query, as text; "NULL" for NULL.
    [[nodiscard]] std::string value(const std::string& query);
    [[nodiscard]] std::int64_t count(const std::string& table_and_condition);

private:
    std::string database_;
    std::unique_ptr<pqxx::connection> connection_;
    // Made when they are first used.
    std::unique_ptr<pqxx::connection> daemon_;
    std::unique_ptr<pqxx::connection> application_;
    std::uint64_t batches_made_{0};

    [[nodiscard]] pqxx::connection& as_daemon();
    [[nodiscard]] pqxx::connection& as_application();
};

}  // namespace runledger::test
