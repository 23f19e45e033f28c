#include "tests/integration/ledger/ledger_fixture.hpp"

#include <fmt/format.h>

#include <atomic>

#include "daemon/database/libpqxx.hpp"
#include "daemon/database/schema.hpp"
#include "daemon/database/transaction.hpp"

namespace runledger::test {
namespace {

std::string fresh_database() {
    static std::atomic<int> number{0};
    return fmt::format("ledger_{}", ++number);
}

// All but what migrations fill; that is brought back to its seed.
void empty_tables(pqxx::connection& connection) {
    pqxx::work work(connection);
    work.exec("SET LOCAL session_replication_role = replica");  // Closed months refuse it otherwise.
    const auto tables = libpqxx::run1(
        work,
        "SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class AS c WHERE c.relkind IN ('r', 'p') AND NOT "
        "c.relispartition AND c.relnamespace = 'runledger'::regnamespace AND c.relname NOT IN ('schema_migrations', "
        "'schema_definitions', 'gpu_rates')");
    work.exec(fmt::format("TRUNCATE {} RESTART IDENTITY", tables[0].as<std::string>()));
    work.exec("CREATE TABLE IF NOT EXISTS seeded_gpu_rates AS TABLE runledger.gpu_rates");
    work.exec("DELETE FROM runledger.gpu_rates");
    work.exec("INSERT INTO runledger.gpu_rates TABLE seeded_gpu_rates");
    work.commit();
}

}  // namespace

MadeBatch::MadeBatch(const BatchName& name, const std::vector<Incoming>& events, std::uint8_t boot) {
    BootId boot_id;
    boot_id.bytes.fill(boot);
    wire::BatchEncoder encoder({.boot = boot_id, .edge_name = "edge-1"});
    for (const Incoming& incoming : events) {
        encoder.add({.stamp = {.received_at = WallTime{std::chrono::microseconds{ledger_epoch_us + incoming.at_us}},
                               .boottime = BootTime{std::chrono::microseconds{1'000'000 + incoming.at_us}}},
                     .flags = incoming.redelivered ? std::uint32_t{wire::redelivered} : 0U,
                     .body = incoming.body});
    }
    frame_ = encoder.finish(name);
    batch_ = std::get<wire::Batch>(wire::decode_batch(frame_));
}

MadeBatch::MadeBatch(const BatchName& name, std::string_view body, const Stamp& stamp, const BootId& boot,
                     bool redelivered) {
    wire::BatchEncoder encoder({.boot = boot, .edge_name = "edge-1"});
    encoder.add({.stamp = stamp, .flags = redelivered ? std::uint32_t{wire::redelivered} : 0U, .body = body});
    frame_ = encoder.finish(name);
    batch_ = std::get<wire::Batch>(wire::decode_batch(frame_));
}

std::string event_text(const EventText& event) {
    return fmt::format(
        R"({{"event_type": "run.updated", "status": "{}", "live_status": {}, "progress": {}, "run_id": "{}", "outputs": {}{}}})",
        event.status, event.live_status, event.progress, event.run_id, event.outputs, event.extra);
}

std::string picture(std::string_view id, std::string_view updated_at) {
    return fmt::format(
        R"({{"id": "{0}", "data": {{"images": [{{"filename": "{0}.png", "url": "https://example.com/{0}.png"}}]}}, "updated_at": "{1}"}})",
        id, updated_at);
}

Ledger::Ledger(DatabaseOf whose) {
    switch (whose) {
        case DatabaseOf::each_test:
            database_ = fresh_database();
            server().create_database(database_, "runledger");
            connection_ = connect_to(uri());
            break;
        case DatabaseOf::the_suite: {
            database_ = "ledger_of_suites";
            static const std::string shared = server().create_database(database_, "runledger");
            connection_ = connect_to(uri());
            empty_tables(*connection_);
            break;
        }
    }
}

PostgresServer& Ledger::server() {
    // Ends with the program. The template is migrated once.
    static PostgresServer server({.fsync = false,  // No test here takes the machine down.
                                  .settings = {"wal_level = logical"}});
    static const bool migrated = [] {
        Database database(server.owner_uri(), "test");
        migrate(database, [](std::string_view) {});
        return true;
    }();
    (void)migrated;
    return server;
}

SegmentId Ledger::segment(std::uint8_t number) {
    SegmentId id;
    id.bytes.fill(number);
    return id;
}

TurnResult Ledger::apply(const std::vector<const MadeBatch*>& batches, ApplyMode mode) {
    std::vector<const wire::Batch*> views;
    for (const MadeBatch* made : batches) {
        views.push_back(&made->batch());
    }
    pqxx::work work(as_daemon());
    begin_durably(work, {});
    TurnResult result = write_turn(work, views, mode);
    work.commit();
    return result;
}

TurnResult Ledger::apply_events(const std::vector<Incoming>& events) {
    const MadeBatch batch({segment(0xEE), batches_made_++}, events);
    return apply({&batch});
}

std::int64_t Ledger::insert_generation(std::string_view run_id) {
    return insert_metadata(fmt::format(
        R"({{"run_id": "{}", "costRate": {{"amount": 0.000337, "currency": "USD", "unit": "second"}}, "telegramChatId": 42}})",
        run_id));
}

std::int64_t Ledger::insert_metadata(const std::string& metadata) {
    pqxx::work work(as_application());
    const auto row = libpqxx::run1(
        work, "INSERT INTO runledger.generations (metadata) VALUES ($1::pg_catalog.jsonb) RETURNING id", metadata);
    work.commit();
    return row[0].as<std::int64_t>();
}

std::string Ledger::settle(std::string_view run_id, std::int64_t grace_ms) {
    pqxx::work work(as_daemon());
    begin_durably(work, {});
    const auto row = libpqxx::run1(
        work, "SELECT outcome FROM runledger.settle_run($1, $2::bigint * interval '1 millisecond', interval '7 days')",
        std::string(run_id), grace_ms);
    work.commit();
    return row[0].as<std::string>();
}

namespace {

pqxx::connection& connected(std::unique_ptr<pqxx::connection>& connection, const std::string& uri) {
    if (!connection) {
        connection = connect_to(uri);
    }
    return *connection;
}

}  // namespace

pqxx::connection& Ledger::as_daemon() { return connected(daemon_, daemon_uri()); }
pqxx::connection& Ledger::as_application() { return connected(application_, server().application_uri(database_)); }

std::string Ledger::value(const std::string& query) {
    pqxx::work work(db());
    const auto row = libpqxx::run1(work, query);
    return row[0].is_null() ? "NULL" : row[0].as<std::string>();
}

std::int64_t Ledger::count(const std::string& table_and_condition) {
    return std::stoll(value("SELECT count(*) FROM runledger." + table_and_condition));
}

}  // namespace runledger::test
