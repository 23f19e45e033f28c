#include "tests/property/ledger/product.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <iterator>
#include <stdexcept>

#include "common/wire.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/schema.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/ingest/write_turn.hpp"
#include "daemon/tool/quarantine/replay.hpp"
#include "queries/apply.hpp"
#include "queries/maintain.hpp"
#include "queries/outbox.hpp"
#include "queries/reprice.hpp"
#include "queries/settle.hpp"

namespace runledger::test::whole_ledger {
namespace {

constexpr std::int64_t outputs_grace_ms = 3000;
constexpr std::int64_t duration_max_s = 7 * 24 * 3600;
constexpr int kept_days = 365;
// How much older the rows of a table become, so that they are past that.
constexpr const char* aged = "interval '400 days'";

PostgresServer& server() {
    // Ends with the program; nobody takes the machine down. It is published, so nothing may need a key that it lacks.
    static PostgresServer server({.fsync = false, .settings = {"wal_level = logical"}});
    static const bool is_migrated = [] {
        spdlog::set_level(spdlog::level::off);  // Conflicts and edits are what this is about.
        Database database(server.uri(), "test");
        migrate(database, [](std::string_view) {});
        const auto connection = server.connect();
        pqxx::nontransaction work(*connection);
        for (const char* role : {"owner", "daemon", "application", "reader"}) {
            work.exec(fmt::format("CREATE ROLE property_{0} LOGIN IN ROLE runledger_{0}", role));
        }
        return true;
    }();
    (void)is_migrated;
    return server;
}

std::string made_database(const std::string& name) { return server().create_database(name, "runledger"); }

WallTime wall_of(std::int64_t us) { return WallTime{std::chrono::microseconds{epoch_us + us}}; }
std::string time_text(std::int64_t us) { return timestamp_text(wall_of(us)); }

SegmentId segment_id_of(int number) {
    SegmentId id;
    id.bytes.fill(static_cast<std::uint8_t>(number));
    return id;
}

// The bound of a time between moments, as SQL reads it.
std::string bound_text(std::size_t place) {
    return place == 0 ? "-infinity" : place > walls.size() ? "infinity" : time_text(walls[place - 1]);
}

class Frame {
public:
    explicit Frame(const BatchPlan& plan) {
        BootId boot;
        boot.bytes[0] = std::array<std::uint8_t, 3>{0x01, 0x80, 0xFF}[static_cast<std::size_t>(plan.boot)];
        wire::BatchEncoder encoder({.boot = boot, .edge_name = "edge"});
        for (const News& news : plan.news) {
            const std::string body = body_of(news);
            encoder.add({.stamp = {.received_at = wall_of(walls[static_cast<std::size_t>(news.wall)]),
                                   .boottime = BootTime{std::chrono::microseconds{
                                       boottimes[static_cast<std::size_t>(news.boottime)]}}},
                         .flags = news.redelivered ? std::uint32_t{wire::redelivered} : 0U,
                         .body = body});
        }
        frame_ = encoder.finish({segment_id_of(plan.segment), plan.number});
        batch_ = std::get<wire::Batch>(wire::decode_batch(frame_));
    }
    [[nodiscard]] const wire::Batch* batch() const { return &batch_; }

private:
    std::vector<std::byte> frame_;
    wire::Batch batch_;
};

}  // namespace

Product::Product(const std::string& database)
    : uri_(made_database(database)),
      dba_(connect_to(uri_)),
      owner_(connect_to(server().uri_as("property_owner", database))),
      daemon_(connect_to(server().uri_as("property_daemon", database))),
      other_daemon_(connect_to(server().uri_as("property_daemon", database))),
      application_(connect_to(server().uri_as("property_application", database))),
      other_application_(connect_to(server().uri_as("property_application", database))),
      reader_(connect_to(server().uri_as("property_reader", database))),
      tool_(std::make_unique<Database>(server().uri_as("property_owner", database), "tool")),
      lookups_({.uri = server().uri_as("property_daemon", database),
                .lease_owner = "property",
                .lease = std::chrono::seconds{60},
                .silence = {},
                .lookback = std::chrono::hours{24}}) {
    execute(dba_,
            "CREATE TABLE seeded AS SELECT c.oid::regclass::text AS name FROM pg_class AS c WHERE c.relkind IN "
            "('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'runledger'::regnamespace AND c.relname NOT "
            "IN ('schema_migrations', 'schema_definitions')");
    execute(dba_, "CREATE PUBLICATION everything FOR ALL TABLES");
}

Product::~Product() = default;

template <class... Values>
pqxx::result Product::execute(const Connection& as, const std::string& statement, const Values&... values) {
    pqxx::work work(*as);
    const pqxx::result result = Statements(work).run(statement, values...);
    work.commit();
    return result;
}

template <class... Values>
bool Product::execute_beside_a_turn(const Connection& as, const std::string& statement, const Values&... values) {
    pqxx::work turn(*other_daemon_);
    (void)ask(turn, queries::apply::find_late_events, "{run-0, run-1, run-2}");
    try {
        pqxx::work work(*as);
        // Nobody ends the turn meanwhile. What has a lock_timeout of its own, remove_expired, is bounded by the other.
        work.exec("SET LOCAL lock_timeout = '30ms'; SET LOCAL statement_timeout = '300ms'");
        Statements(work).run(statement, values...);
        work.commit();
        return true;
    } catch (const pqxx::sql_error& error) {
        if (error.sqlstate() != "55P03" && error.sqlstate() != "57014") {  // lock_not_available, query_canceled
            throw;
        }
        return false;
    }
}

void Product::empty() {
    held_.reset();
    pqxx::work work(*dba_);
    work.exec("SET LOCAL session_replication_role = replica");  // No trigger counts what goes.
    std::string statements;
    for (const auto& row : work.exec("SELECT name FROM seeded")) {
        statements += fmt::format("DELETE FROM {};", row[0].as<std::string>());
    }
    work.exec(statements);
    work.commit();
}

void Product::run(const Command& command, const Model& before) {
    std::visit([&](const auto& c) { run(c, before); }, command);
    (void)execute(daemon_, "SELECT runledger.tell_groups('0', 1000)");
}

void Product::apply(const std::vector<BatchPlan>& turn, bool one_by_one, End end) {
    std::vector<std::unique_ptr<Frame>> frames;
    std::vector<const wire::Batch*> batches;
    for (const BatchPlan& batch : turn) {
        frames.push_back(std::make_unique<Frame>(batch));
        batches.push_back(frames.back()->batch());
    }
    pqxx::work work(*daemon_);
    begin_durably(work, {});
    (void)write_turn(work, batches, one_by_one ? ApplyMode::one_by_one : ApplyMode::together);
    if (end == End::commit) {
        work.commit();
    }
}

void Product::run(const Apply& command, const Model& before) {
    const auto turn = before.plan(command);
    if (command.answer == Apply::is_lost_with_the_turn) {
        apply(turn, command.one_by_one, End::abort);
    }
    apply(turn, command.one_by_one);
    if (command.answer == Apply::is_lost) {
        apply(turn, command.one_by_one);
    }
}

void Product::run(const Copy& command, const Model& before) {
    if (const auto batch = before.plan(command)) {
        apply({*batch}, false);
    }
}

void Product::run(const Conflict& command, const Model& before) {
    if (const auto batch = before.plan(command)) {
        apply({*batch}, false);
    }
}

void Product::replay(std::int64_t id) { (void)tool::replay_quarantined(*tool_, id); }

void Product::run(const Replay& command, const Model& before) {
    if (command.what == 0) {
        for (const auto& row :
             execute(owner_, "SELECT id FROM runledger.quarantine WHERE scope = 'event' ORDER BY id")) {
            replay(row[0].as<std::int64_t>());
        }
    } else if (const auto batch = before.plan(command)) {
        const auto rows = execute(owner_,
                                  "SELECT id FROM runledger.quarantine WHERE scope = 'batch' AND resolved_at IS "
                                  "NULL AND segment_id = $1::uuid AND batch_number = $2 ORDER BY id",
                                  segment_id_of(batch->segment).hex(), batch->number);
        auto row = rows.begin();
        std::advance(row, before.place_of(*batch));
        replay((*row)[0].as<std::int64_t>());
    }
}

void Product::run(const Retire& command, const Model& before) {
    const int number = before.current_segment(command.segment);
    const Segment& segment = before.segment(number);
    const wire::Retire retire{
        .segment = segment_id_of(number),
        .batch_count = static_cast<std::uint64_t>(std::max(static_cast<int>(segment.open.size()) + command.off, 0))};
    const bool is_to_be = segment.is_known && retire.batch_count == segment.open.size();
    // Twice, as where the first answer is lost.
    for (int times = 0; times < 2; ++times) {
        pqxx::work work(*daemon_);
        begin_durably(work, {});
        if (write_retirement(work, retire) != is_to_be) {
            throw std::runtime_error(is_to_be ? "a segment was not retired" : "a segment was retired by a wrong count");
        }
        work.commit();
    }
}

void Product::run(const Insert& command, const Model& before) {
    const auto id = before.new_row(command);
    if (!id) {
        return;
    }
    Model after = before;
    after.run(Command{command});
    const Row& row = after.row(*id);
    Row said = row;
    if (command.run < run_count) {
        said.run = run_id_of(command.run);  // Also if it was forgotten.
        said.chat = Chat{static_cast<std::uint8_t>(command.chat)};
        said.group = Group{static_cast<std::uint8_t>(command.group)};
    }
    execute(application_,
            "INSERT INTO runledger.generations (id, metadata, status, duration_ms, cost_usd) VALUES ($1, $2::jsonb, "
            "$3, $4::numeric, $5::numeric)",
            *id, metadata_of(said), row.status,
            row.duration_us ? std::optional{milliseconds_of(*row.duration_us).text()} : std::nullopt,
            row.cost ? std::optional{row.cost->text()} : std::nullopt);
}

void Product::save(std::int64_t id, const Row& row, bool is_inserted) {
    if (is_inserted) {
        pqxx::work work(*dba_);
        Statements(work).run("DELETE FROM runledger.generations WHERE id = $1", id);
        Statements(work).run(
            "INSERT INTO runledger.generations (id, metadata, request_payload) VALUES ($1, $2::jsonb, '{}')", id,
            metadata_of(row));
        work.commit();
    } else {
        execute(application_,
                "UPDATE runledger.generations SET metadata = $2::jsonb, request_payload = '{}' WHERE id = $1", id,
                metadata_of(row));
    }
}

void Product::run(const Resave& command, const Model& before) {
    if (before.applies(command)) {
        const auto id = *before.find_row(command.row);
        Row row = before.row(id);
        row.run = command.run < run_count ? std::optional{run_id_of(command.run)} : std::nullopt;
        save(id, row, true);
    }
}

void Product::run(const SaveOld& command, const Model& before) {
    if (const auto run = before.old_run(command)) {
        const auto id = *before.find_row(command.row);
        Row row = before.row(id);
        row.run = run;
        row.chat = Chat::number;
        save(id, row, command.is_inserted);
    }
}

void Product::run(const Change& command, const Model& before) {
    if (!before.applies(command)) {
        return;
    }
    const auto id = before.find_row(command.row);
    Model after = before;
    after.run(Command{command});
    Row row = after.row(*id);
    if (row.is_forgotten) {  // With the run that it names now.
        row = before.row(*id);
        row.run = run_id_of(command.value);
    }
    execute(application_,
            "UPDATE runledger.generations SET metadata = $2::jsonb || CASE WHEN metadata ? 'held' THEN "
            "jsonb_build_object('held', metadata -> 'held') ELSE '{}' END WHERE id = $1",
            *id, metadata_of(row));
}

void Product::run(const Hold& command, const Model& before) {
    if (before.applies(command)) {
        held_ = std::make_unique<pqxx::work>(*other_application_);
        Statements(*held_).run(
            "UPDATE runledger.generations SET metadata = metadata || jsonb_build_object('held', $2::integer) WHERE id "
            "= $1",
            *before.find_row(command.row), ++held_so_far_);
    }
}

void Product::run(const Release&, const Model&) {
    if (held_) {
        held_->commit();
        held_.reset();
    }
}

void Product::run(const Delete& command, const Model& before) {
    if (before.applies(command)) {
        execute(dba_, "DELETE FROM runledger.generations WHERE id = $1", *before.find_row(command.row));
    }
}

void Product::run(const Edit& command, const Model& before) {
    if (!before.applies(command)) {
        return;
    }
    const auto id = before.find_row(command.row);
    switch (command.what) {
        case Edit::cost:
            execute(dba_, "UPDATE runledger.generations SET cost_usd = 7 WHERE id = $1", *id);
            break;
        case Edit::reason:
            execute(dba_, "UPDATE runledger.generations SET status_reason = 'looked at' WHERE id = $1", *id);
            break;
        case Edit::empty:
            execute(
                dba_,
                "UPDATE runledger.generations SET status = 'pending', status_reason = NULL, response_timestamp = "
                "NULL, response_payload = NULL, duration_ms = NULL, cost_usd = NULL, cost_note = NULL WHERE id = $1",
                *id);
            break;
        case Edit::give_back:
            execute(dba_,
                    "UPDATE runledger.generations AS g SET status = s.status, status_reason = s.status_reason, "
                    "response_timestamp = s.finished_at, duration_ms = round(s.duration_us / 1000.0, 3), "
                    "cost_usd = s.cost_usd, cost_note = s.cost_note FROM runledger.last_settlement($1) AS s "
                    "WHERE g.id = $1",
                    *id);
            break;
        case Edit::status:
            execute(dba_, "UPDATE runledger.generations SET status = 'pending' WHERE id = $1", *id);
            break;
        default:
            throw std::logic_error("Edit");
    }
}

void Product::run(const RateChange& command, const Model& before) {
    Model after = before;
    after.run(Command{command});
    pqxx::work work(*owner_);
    Statements(work).run("DELETE FROM runledger.gpu_rates WHERE gpu = $1", std::string{word_of(Gpu::priced)});
    const auto& rates = after.rates();
    for (std::size_t i = 0; i < rates.size(); ++i) {
        if (rates[i]) {
            Statements(work).run(
                "INSERT INTO runledger.gpu_rates (gpu, usd_per_second, effective) VALUES ($1, $2::numeric, "
                "tstzrange($3::timestamptz, $4::timestamptz))",
                std::string{word_of(Gpu::priced)}, rates[i]->text(), bound_text(i), bound_text(i + 1));
        }
    }
    work.commit();
}

void Product::run(const Reprice& command, const Model&) {
    const std::string gpu = word_of(Gpu::priced);
    if (command.from > command.to) {
        return;
    }
    const std::string from = bound_text(static_cast<std::size_t>(command.from));
    const std::string to = bound_text(static_cast<std::size_t>(command.to) + 1);
    pqxx::work work(*owner_);
    for (const auto& row : ask(work, queries::reprice::rows, gpu, from, to, "{reprice}")) {
        const auto verdict = ask1(work, queries::reprice::write, row[0].as<std::int64_t>(), gpu, from, to);
        if (verdict[0].as<std::string>() == "failed") {
            throw std::runtime_error("reprice: " + verdict[1].as<std::string>());
        }
    }
    work.commit();
}

void Product::run(const Forget& command, const Model& before) {
    if (!before.applies(command)) {
        return;
    }
    const std::string statement = "SELECT * FROM runledger.forget_generation($1)";
    if (!command.beside_a_turn) {
        execute(owner_, statement, *before.find_row(command.row));
    } else if (execute_beside_a_turn(owner_, statement, *before.find_row(command.row))) {
        throw std::runtime_error("a row was forgotten while a turn was under way");
    }
}

void Product::run(const ForgetChat& command, const Model& before) {
    if (before.is_holding()) {
        return;
    }
    for (const std::int64_t id : before.rows_of(command)) {
        execute(owner_, "SELECT * FROM runledger.forget_generation($1)", id);
    }
    execute(owner_, "SELECT * FROM runledger.forget_chat($1::bigint)",
            chat_of(Chat{static_cast<std::uint8_t>(command.chat)}));
}

void Product::settle(const std::vector<std::string>& runs, bool together, End end) {
    pqxx::work work(*daemon_);
    begin_durably(work, {});
    ArrayLiteral asked;
    std::set<std::string> waiting;
    for (const auto& row : Statements(work).run("SELECT DISTINCT run_id FROM runledger.settle_queue WHERE run_id = ANY "
                                                "($1::text[]) AND NOT is_slow",
                                                array_of(runs))) {
        waiting.insert(row[0].as<std::string>());
        asked.add(row[0].as<std::string>());
    }
    std::vector<std::string> done;
    if (together && !waiting.empty()) {
        for (const auto& row : ask(work, queries::settle::runs, asked.str(), outputs_grace_ms, duration_max_s)) {
            done.push_back(row[0].as<std::string>());
            waiting.erase(done.back());
        }
    }
    for (const std::string& run : waiting) {
        const auto row = ask1(work, queries::settle::run, run, outputs_grace_ms, duration_max_s);
        const auto outcome = row[0].as<std::string>();
        if (outcome == "failed" || outcome == "busy") {
            throw std::runtime_error(fmt::format("settle {}: {} {}", run, outcome, row[1].c_str()));
        }
        if (outcome != "locked") {
            done.push_back(run);
        }
    }
    ArrayLiteral entries;
    for (const auto& row : Statements(work).run("SELECT id FROM runledger.settle_queue WHERE run_id = ANY ($1::text[])",
                                                array_of(done))) {
        entries.add(row[0].as<std::int64_t>());
    }
    ask(work, queries::settle::done, entries.str());
    if (end == End::commit) {
        work.commit();
    }
}

void Product::run(const Settle& command, const Model& before) {
    const auto runs = before.runs_of(command);
    if (command.answer == Apply::is_lost_with_the_turn) {
        settle(runs, command.together, End::abort);
    }
    settle(runs, command.together, End::commit);
    if (command.answer == Apply::is_lost) {
        settle(runs, command.together, End::commit);
    }
}

void Product::run(const Report& command, const Model&) {
    const Status& status = statuses[static_cast<std::size_t>(command.status)];
    const auto time = [](int place) {
        return place == 0 ? std::nullopt : std::optional{wall_of(walls[static_cast<std::size_t>(place)])};
    };
    ProviderReport report;
    report.status_word = status.word;
    report.started_at = time(command.started);
    report.ended_at = time(command.ended);
    report.error = status.error;
    report.body = text_of(Command{command});
    report.digest = digest_of(report.body);
    (void)lookups_.store({.run_id = run_id_of(command.run), .report = std::move(report)});
}

void Product::run(const Tell& command, const Model&) {
    switch (command.how) {
        case Tell::sent:
            execute(daemon_,
                    "UPDATE runledger.notifications SET state = 'sent', sent_at = now(), attempts = 1 "
                    "WHERE state = 'pending'");
            break;
        case Tell::logged:
            execute(daemon_,
                    "UPDATE runledger.notifications SET state = 'logged', logged_at = now(), last_error = 'logged' "
                    "WHERE state = 'pending'");
            break;
        default: {
            const std::optional<std::string> any;
            execute(daemon_, std::string(queries::outbox::send_logged), any, any, any, 1000);
        }
    }
}

void Product::run(const Expire& command, const Model& before) {
    struct Aged {
        const char* what;
        const char* table;
        std::vector<const char*> columns;
    };
    static const std::array<Aged, 5> kinds{{{"runs", "runs", {"applied_at", "changed_at"}},
                                            {"notifications", "notifications", {"created_at"}},
                                            {"settlements", "settlements", {"settled_at"}},
                                            {"quarantine", "quarantine", {"quarantined_at"}},
                                            {"tombstones", "spool_segments", {"retired_at"}}}};
    const Aged& kind = kinds[static_cast<std::size_t>(command.what)];
    for (const char* column : kind.columns) {
        execute(dba_, fmt::format("UPDATE runledger.{0} SET {1} = {1} - {2}", kind.table, column, aged));
    }
    const std::string statement(queries::maintain::remove_expired);
    if (command.beside_a_turn) {
        const bool is_removed =
            execute_beside_a_turn(daemon_, statement, std::string{kind.what}, kept_days, 1000, "-infinity", true);
        if (is_removed != (command.what != Expire::runs || before.runs_to_remove().empty())) {
            throw std::runtime_error("retention did not wait for the turn that was under way, or waited for nothing");
        }
    } else {
        execute(daemon_, statement, std::string{kind.what}, kept_days, 1000, "-infinity", false);
    }
}

void Product::run(const DropDay&, const Model&) {
    execute(dba_, fmt::format("UPDATE runledger.webhook_events SET applied_at = applied_at - {}", aged));
    // The DEFAULT partition's day gets one of its own first.
    for (int times = 0; times < 2; ++times) {
        for (const auto& day : execute(daemon_, std::string(queries::maintain::plan_days), 0, kept_days)) {
            const bool is_made = day[0].as<std::string>() == "make";
            execute(daemon_, std::string(is_made ? queries::maintain::make_day : queries::maintain::drop_day),
                    day[1].as<std::string>());
        }
    }
}

void Product::run(const Close& command, const Model& before) {
    const std::string month = months[static_cast<std::size_t>(command.month)];
    try {
        execute(owner_, "SELECT runledger.close_period($1, true)", month);
    } catch (const pqxx::sql_error& error) {
        if (error.sqlstate() == "55000" && !before.may_close(command)) {
            return;
        }
        throw;
    }
    if (!before.may_close(command)) {
        throw std::runtime_error("a month was closed that is before the first one, or before any run");
    }
}

void Product::queue_all() {
    execute(daemon_, "INSERT INTO runledger.settle_queue (run_id) SELECT run_id FROM runledger.runs");
}

}  // namespace runledger::test::whole_ledger
