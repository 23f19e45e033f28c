#include "tests/fault/daemon_fault_scenario.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <pqxx/pqxx>
#include <span>
#include <utility>

#include "common/wire.hpp"
#include "daemon/database/libpqxx.hpp"
#include "tests/stand_ins/comfy_api.hpp"
#include "tests/stand_ins/edge.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/frames.hpp"
#include "tests/support/memory_faults.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::string_view template_name = "runledger";
constexpr std::string_view duplicate_mark = "Possibly a duplicate: an earlier try may have arrived.";
constexpr int restarts_max = 5;
// Longer than the longest lease of what the daemon has lost sight of: a look-up's, 32 s.
const milliseconds hangs_after = seconds{50} * patience_factor;
const milliseconds patience = 2 * hangs_after;
const milliseconds progress_patience = seconds{14} * patience_factor;

// The runs, each with a chat of its own.
constexpr std::string_view picture_run = "run-picture";
constexpr std::string_view failed_run = "run-failed";
constexpr std::string_view album_run = "run-album";
constexpr std::string_view progress_run = "run-progress";
constexpr std::string_view silent_run = "run-silent";  // Only the provider reports it.
constexpr std::string_view early_run = "run-early";    // Ends before its generation is there.
constexpr int first_chat = 101;
constexpr std::string_view progress_chat = "104";
constexpr int endings_told = 6;

struct FaultyEvent {
    std::string body;
    int after_seconds;  // The scenario's beginning.
};

std::string body_of_run(std::string_view run_id, std::string_view status, std::string_view outputs = "[]",
                        std::string_view live_status = "null", std::string_view progress = "0.0") {
    return fmt::format(
        R"({{"event_type": "run.updated", "status": "{}", "live_status": {}, "progress": {}, "run_id": "{}", "outputs": {}}})",
        status, live_status, progress, run_id, outputs);
}

std::string picture_named(std::string_view id, std::string_view extension = "png") {
    return fmt::format(
        R"({{"id": "{0}", "data": {{"images": [{{"filename": "{0}.{1}", "url": "https://example.com/{0}.{1}"}}]}}, "updated_at": "2025-08-29T02:35:38.214Z"}})",
        id, extension);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

// Each a table's rows as JSON; a row whose content depends on how often something was tried is without that.
constexpr std::string_view books_query = R"sql(
SELECT 'generation ' || (to_jsonb(g) - 'updated_at' - 'request_timestamp'
    - CASE g.run_id WHEN 'run-silent' THEN 'response_timestamp' ELSE '' END)::text
FROM runledger.generations AS g
UNION ALL
SELECT 'run ' || (to_jsonb(r) - 'applied_at' - 'changed_at' - 'quiet_from' - 'reported_at')::text FROM runledger.runs AS r
UNION ALL
SELECT 'output ' || (to_jsonb(o) - CASE o.run_id WHEN 'run-silent' THEN 'received_at' ELSE '' END)::text
FROM runledger.run_outputs AS o
UNION ALL
SELECT 'other status ' || to_jsonb(s)::text FROM runledger.run_other_statuses AS s
UNION ALL
SELECT 'event ' || (to_jsonb(e) - 'applied_at')::text FROM runledger.webhook_events AS e
UNION ALL
SELECT 'quarantine ' || (to_jsonb(q) - 'id' - 'quarantined_at')::text FROM runledger.quarantine AS q
UNION ALL
SELECT format('segment %s of %s batches, retired: %s', segment_id, batch_count, retired_at IS NOT NULL)
FROM runledger.spool_segments
UNION ALL
SELECT format('open batch %s/%s', segment_id, batch_number) FROM runledger.ingested_batches
UNION ALL
SELECT format('books of %s: first copies %s, applied %s, quarantined %s',
    segment_id, sum(stored - duplicate), sum(applied), sum(quarantined))
FROM runledger.ledger_days GROUP BY segment_id
UNION ALL
SELECT format('balance: %s, and %s in runs', events, events_counted_in_runs) FROM runledger.ledger_balance_v1
UNION ALL
SELECT 'in the queue: ' || run_id FROM runledger.settle_queue
UNION ALL
SELECT 'settlement ' || (to_jsonb(s) - 'id' - 'settled_at' - 'before'
    - CASE s.run_id WHEN 'run-silent' THEN 'finished_at' ELSE '' END)::text
FROM runledger.settlements AS s
UNION ALL
SELECT format('notification %s %s %s to %s: %s, %s parts, %s %s %s', generation_id, kind, for_status, chat_id, state,
    parts_sent, form, without_thread, payload)
FROM runledger.notifications
UNION ALL
SELECT 'report ' || (to_jsonb(p) - 'id' - 'fetched_at')::text FROM runledger.provider_reports AS p
UNION ALL
SELECT 'look-up of ' || run_id FROM runledger.reconcile_lookups
UNION ALL
SELECT 'progress of ' || run_id FROM runledger.progress_messages
UNION ALL
SELECT 'day ' || (day - current_date) FROM runledger.find_event_days() WHERE is_partition
)sql";

class Scenario {
public:
    Scenario(const FaultGround& ground, const std::string& name, const DaemonFault& fault)
        : ground_(ground),
          name_(name),
          fault_(fault),
          began_at_(std::chrono::floor<seconds>(std::chrono::system_clock::now())),
          database_uri_(ground.make_database(name)),
          proxy_({.socket_folder = ground.postgres().socket_folder(), .port = ground.postgres().port()},
                 ground.folder().make_folder(name), [&ground](std::string_view text) { return ground.name_of(text); }),
          memory_(ground.folder(), name + "/memory"),
          daemon_(ground.folder(), conf()),
          edge_(daemon_.endpoint()) {}
    ~Scenario() {
        daemon_.kill();
        connection_.reset();
        try {
            ground_.drop_database(name_);
        } catch (const std::exception&) {
            // It stays until the cluster goes.
        }
    }
    Scenario(const Scenario&) = delete;
    Scenario& operator=(const Scenario&) = delete;

    void run(ScenarioResult& result) {
        connection_ = connect_to(database_uri_);
        arm();
        start();
        events_come();
        rows_end();
        deliver(wire::encode(wire::Retire{.segment = segment(), .batch_count = batches_}));
        const std::string days = "(SELECT count(*) >= 5 FROM runledger.find_event_days() WHERE is_partition)";
        if (!comes_true(becomes_true(days), seconds{1})) {
            daemon_.stop();  // Maintenance is tried again after a minute, or by the next daemon.
            start();
            wait("the days' partitions are made", days);
        }
        progress_is_over(result);
        keep_running();
        daemon_.stop();
        read_books(result);
    }

    void describe(ScenarioResult& result) {
        read_messages(result);
        result.has_struck = has_struck();
        result.culprit = memory_.culprit();
        result.endings = std::move(endings_);
        result.refusals = edge_.refusals();
        result.statements = proxy_.seen();
        result.allocations = memory_.allocations();
        result.threads = memory_.threads();
        if (!result.trouble.empty()) {
            result.trouble += "\n" + daemon_.log_text();
        }
    }

private:
    [[nodiscard]] DaemonConf conf() {
        const std::string key = ground_.folder().write_secret(name_ + "/key", "cd-test-key\n").string();
        return {.postgres_uri = proxy_.uri(name_),
                .bind = {fmt::format("ipc://{}/{}/d.sock", ground_.folder().path().string(), name_)},
                .telegram_api_url = bot_.url(),
                .postgres_extra = "appliers = 1\n",
                .telegram_extra =
                    "timeout_ms = 1500\nlease_margin_ms = 500\nretry_delay_min_ms = 100\n"
                    "retry_delay_max_ms = 400\nmessages_per_second = 1000\n"
                    "chat_messages_per_second = 1000\nprogress = true\nprogress_interval_ms = 50\n",
                .extra = fmt::format("[settle]\noutputs_grace_ms = 200\n\n[comfydeploy]\napi_url = \"{}\"\n"
                                     "api_key_file = \"{}\"\ntimeout_ms = 2000\nretry_delay_min_ms = 100\n"
                                     "retry_delay_max_ms = 400\n",
                                     provider_.url(), key),
                .env = memory_.env(),
                .name = name_,
                .migrates = false};
    }

    void arm() {
        provider_.script(std::string(silent_run),
                         ComfyApiAnswer::run(silent_run, "success", "[" + picture_named("silent") + "]"));
        // The album's second part needs a further attempt, which begins where the row says.
        bot_.script({.answer = BotAnswer::server_error(500), .chat_id = "103", .method = "sendAudio"});
        if (const auto* statement = std::get_if<PostgresProxy::Fault>(&fault_)) {
            proxy_.set(*statement);
        } else if (const auto* allocation = std::get_if<FailedAllocation>(&fault_)) {
            memory_.fail_allocation(allocation->stage, allocation->number);
        } else if (const auto* thread = std::get_if<FailedThread>(&fault_)) {
            memory_.fail_thread(thread->number);
        } else if (const auto* call = std::get_if<FailedCall>(&fault_)) {
            bot_.script(call->rule);
        } else if (const auto* lookup = std::get_if<FailedLookup>(&fault_)) {
            if (lookup->status == 0) {
                provider_.goes_away();
                provider_heals_at_ = steady_clock::now() + seconds{1};
            } else {
                provider_.script(std::string(silent_run), {.status = lookup->status, .body = "{}"});
            }
        }
    }

    [[nodiscard]] bool has_struck() const {
        if (std::holds_alternative<PostgresProxy::Fault>(fault_)) {
            return proxy_.has_struck();
        }
        if (std::holds_alternative<FailedAllocation>(fault_) || std::holds_alternative<FailedThread>(fault_)) {
            return memory_.has_struck();
        }
        if (const auto* call = std::get_if<FailedCall>(&fault_)) {
            const auto calls = bot_.calls();
            return std::any_of(calls.begin(), calls.end(), [&](const BotCall& each) {
                return each.chat_id == call->rule.chat_id && each.method == call->rule.method;
            });
        }
        return true;  // The other ones can't fail to happen.
    }

    void start() {
        while (true) {
            try {
                daemon_.start();
                return;
            } catch (const Hopeless&) {
                note_ending();
            } catch (const NeverHappened& error) {
                // It has ended before it was ready; the message has its whole log.
                if (daemon_.running()) {
                    throw;
                }
                note_ending();
            }
        }
    }

    // What systemd does.
    void note_ending() {
        const auto status = daemon_.ended_with();
        const std::string log = daemon_.log_text();
        const std::size_t line = log.rfind('\n', log.size() < 2 ? 0 : log.size() - 2);
        endings_.push_back(fmt::format("code {} signal {}: {}", status ? status->code : 0,
                                       status ? status->signal_number : 0,
                                       log.substr(line == std::string::npos ? 0 : line + 1)));
        if (endings_.size() > restarts_max) {
            throw NeverHappened("the daemon ends again and again");
        }
    }

    void keep_running() {
        if (!daemon_.running()) {
            note_ending();
            start();
        } else if (std::holds_alternative<FailedAllocation>(fault_) && endings_.empty() &&
                   steady_clock::now() > began_to_wait_at_ + hangs_after) {
            // What systemd's watchdog does, some minutes later.
            daemon_.kill();
            endings_.emplace_back(ended_by_watchdog);
            start();
        }
        if (std::holds_alternative<FailedLookup>(fault_) && !is_provider_healed_) {
            const bool is_over = std::get<FailedLookup>(fault_).status == 0 ? steady_clock::now() >= provider_heals_at_
                                                                            : provider_.requests_for(silent_run) > 0;
            if (is_over) {
                is_provider_healed_ = true;
                provider_.comes_back();
                provider_.script(std::string(silent_run),
                                 ComfyApiAnswer::run(silent_run, "success", "[" + picture_named("silent") + "]"));
            }
        }
    }

    [[nodiscard]] bool asks(const std::string& condition) {
        pqxx::nontransaction work(*connection_);
        return libpqxx::run1(work, "SELECT " + condition)[0].as<bool>();
    }

    // For eventually(), which asks more often than PostgreSQL should be asked.
    [[nodiscard]] std::function<bool()> becomes_true(const std::string& condition) {
        return [this, condition, next = steady_clock::time_point{}]() mutable {
            if (steady_clock::now() < next) {
                return false;
            }
            keep_running();
            const bool is_true = asks(condition);
            next = steady_clock::now() + milliseconds{40};
            return is_true;
        };
    }

    void wait(std::string_view sentence, const std::string& condition) {
        eventually(sentence, becomes_true(condition), patience);
    }

    [[nodiscard]] static SegmentId segment() { return segment_id(0x5E); }

    void deliver(std::span<const std::byte> request) {
        const auto* lost = std::get_if<LostAcknowledgement>(&fault_);
        if (lost != nullptr && lost->request == ++requests_) {
            edge_.lose_an_answer();
        }
        edge_.deliver(request, patience, [this] { keep_running(); });
    }

    std::vector<std::byte> frame(BatchNumber number, const std::vector<FaultyEvent>& events) const {
        wire::BatchEncoder encoder = make_encoder();
        for (const FaultyEvent& event : events) {
            const seconds after{event.after_seconds};
            encoder.add({.stamp = {.received_at = WallTime{began_at_.time_since_epoch() + after},
                                   .boottime = BootTime{seconds{1000} + after}},
                         .flags = 0,
                         .body = event.body});
        }
        return encoder.finish({segment(), number});
    }

    void events_come() {
        const auto first = frame(batches_++, {{body_of_run(picture_run, "running"), 0},
                                              {body_of_run(failed_run, "running"), 0},
                                              {body_of_run(album_run, "queued"), 0},
                                              {body_of_run(album_run, "running"), 1},
                                              {body_of_run(progress_run, "running", "[]", "\"Loading\"", "0.25"), 1}});
        deliver(first);
        progress_is_told("25 %");
        deliver(frame(batches_++, {{body_of_run(progress_run, "running", "[]", "\"Sampling\"", "0.5"), 2}}));
        progress_is_told("50 %");
        deliver(frame(batches_++, {{body_of_run(picture_run, "success", "[" + picture_named("a") + "]"), 10},
                                   {body_of_run(failed_run, "failed", "[]", "\"Executing KSampler\"", "0.71"), 11},
                                   {body_of_run("run-\\u0000", "success"), 11}}));
        deliver(first);  // A copy.
        deliver(frame(batches_++, {{body_of_run(album_run, "success",
                                                fmt::format("[{}, {}, {}]", picture_named("b"), picture_named("c"),
                                                            picture_named("d", "mp3"))),
                                    12},
                                   {body_of_run(early_run, "running"), 3},
                                   {body_of_run(early_run, "success", "[" + picture_named("e") + "]"), 9}}));
        deliver(frame(batches_++, {{body_of_run(progress_run, "success", "[" + picture_named("f") + "]"), 13}}));
        pqxx::work work(*connection_);
        work.exec("UPDATE runledger.generations SET metadata = metadata || '{\"run_id\": \"run-early\"}' WHERE id = 6");
        work.commit();
    }

    // Progress is told as well as it can be, so nobody waits for it for long.
    void progress_is_told(std::string_view text) {
        is_progress_wanted_ =
            is_progress_wanted_ &&
            comes_true(
                [&] {
                    keep_running();
                    const auto visible = bot_.visible_in(progress_chat);
                    return std::any_of(visible.begin(), visible.end(), [&](const BotMessage& message) {
                        return message.fields.get("text").find(text) != std::string::npos;
                    });
                },
                progress_patience);
    }

    void rows_end() {
        wait("every generation is settled and told of",
             fmt::format("NOT EXISTS (SELECT FROM runledger.generations WHERE status IN ('pending', 'processing')) "
                         "AND NOT EXISTS (SELECT FROM runledger.settle_queue) "
                         "AND NOT EXISTS (SELECT FROM runledger.reconcile_lookups) "
                         "AND NOT EXISTS (SELECT FROM runledger.notifications WHERE state IN ('pending', 'leased')) "
                         "AND (SELECT count(*) = {} FROM runledger.notifications)",
                         endings_told));
    }

    void progress_is_over(ScenarioResult& result) {
        const std::string none = "NOT EXISTS (SELECT FROM runledger.progress_messages)";
        if (!comes_true(becomes_true(none), progress_patience)) {
            // One whose sending has no outcome is given up after two minutes.
            pqxx::work work(*connection_);
            work.exec("UPDATE runledger.progress_messages SET called_at = called_at - interval '3 minutes'");
            work.commit();
            wait("the rows about progress are gone", none);
        }
        for (int chat = first_chat; chat < first_chat + endings_told; ++chat) {
            const auto visible = bot_.visible_in(std::to_string(chat));
            result.progress_stays |= std::any_of(visible.begin(), visible.end(), [](const BotMessage& message) {
                return message.fields.get("text").starts_with("Working");
            });
        }
    }

    void read_books(ScenarioResult& result) {
        pqxx::work work(*connection_);
        work.exec("SET TIME ZONE 'UTC'");
        for (const auto& row : work.exec(std::string(books_query))) {
            result.books.push_back(row[0].as<std::string>());
            for (int i = 0; i < 60; ++i) {
                replace_all(result.books.back(), fmt::format("{:%FT%T}+00:00", began_at_ + seconds{i}),
                            fmt::format("T+{}", i));
            }
        }
        std::sort(result.books.begin(), result.books.end());
    }

    void read_messages(ScenarioResult& result) const {
        for (const BotCall& call : bot_.accepted()) {
            if (!call.method.starts_with("send") || call.fields.get("text").starts_with("Working")) {
                continue;
            }
            ToldMessage message{.text = call.method + " to " + call.chat_id,
                                .is_marked = call.mentions(duplicate_mark)};
            for (const auto& [field, value] : call.fields.texts) {
                std::string unmarked = value;
                for (const std::string_view before : {"\\n\\n", "\n\n", ""}) {
                    replace_all(unmarked, fmt::format("{}<i>{}</i>", before, duplicate_mark), "");
                }
                // What has no words of its own has a caption, and its mode, only for the mark.
                if (!unmarked.empty() && field != "parse_mode") {
                    message.text += fmt::format(" {}={}", field, unmarked);
                }
            }
            replace_all(message.text, "\n", "\\n");
            result.messages.push_back(std::move(message));
        }
    }

    const FaultGround& ground_;
    const std::string name_;
    const DaemonFault fault_;
    const std::chrono::sys_seconds began_at_;
    const std::string database_uri_;
    PostgresProxy proxy_;
    MemoryFaults memory_;
    BotApi bot_;
    ComfyApiStandIn provider_;
    DaemonProcess daemon_;
    EdgeStandIn edge_;
    std::unique_ptr<pqxx::connection> connection_;

    BatchNumber batches_{0};
    int requests_{0};
    bool is_progress_wanted_{true};
    bool is_provider_healed_{false};
    steady_clock::time_point provider_heals_at_{};
    std::vector<std::string> endings_;
    steady_clock::time_point began_to_wait_at_{steady_clock::now()};
};

}  // namespace

FaultGround::FaultGround()
    : postgres_({.fsync = false, .settings = {"max_connections = 300", "shared_buffers = 64MB"}}) {
    DaemonProcess migrator(folder_, {.postgres_uri = postgres_.uri(template_name), .name = "migrator"});
    migrator.migrate();
    const auto connection = postgres_.connect(template_name);
    pqxx::work work(*connection);
    work.exec(fmt::format(
        "INSERT INTO runledger.generations (id, metadata, request_timestamp) "
        "SELECT id, CASE WHEN run_id IS NULL THEN '{{}}'::jsonb ELSE jsonb_build_object('run_id', run_id) END "
        "|| jsonb_build_object('telegramChatId', 100 + id, 'costRate', "
        "'{{\"amount\": 0.000337, \"currency\": \"USD\", \"unit\": \"second\"}}'::jsonb), "
        "CASE run_id WHEN '{}' THEN now() - interval '1 day' ELSE now() END "
        "FROM unnest(ARRAY['{}', '{}', '{}', '{}', '{}', NULL]) WITH ORDINALITY AS runs (run_id, id)",
        silent_run, picture_run, failed_run, album_run, progress_run, silent_run));
    work.commit();
    const std::filesystem::path queries = std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "sql" / "queries";
    for (const auto& entry : std::filesystem::recursive_directory_iterator{queries}) {
        if (entry.path().extension() == ".sql") {
            names_.emplace(read_text(entry.path()),
                           entry.path().parent_path().filename().string() + "/" + entry.path().stem().string());
        }
    }
}

std::string FaultGround::make_database(std::string_view name) const {
    const auto connection = postgres_.connect("postgres");
    pqxx::nontransaction work(*connection);
    work.exec(fmt::format("CREATE DATABASE {} TEMPLATE {}", work.quote_name(std::string(name)), template_name));
    return postgres_.uri(name);
}

void FaultGround::drop_database(std::string_view name) const {
    const auto connection = postgres_.connect("postgres");
    pqxx::nontransaction work(*connection);
    work.exec(fmt::format("DROP DATABASE {} WITH (FORCE)", work.quote_name(std::string(name))));
}

std::optional<std::string> FaultGround::name_of(std::string_view statement) const {
    const auto found = names_.find(statement);
    return found == names_.end() ? std::nullopt : std::optional(found->second);
}

ScenarioResult run_scenario(const FaultGround& ground, const std::string& name, const DaemonFault& fault) {
    ScenarioResult result;
    const auto began_at = steady_clock::now();
    try {
        Scenario scenario(ground, name, fault);
        try {
            scenario.run(result);
        } catch (const std::exception& error) {
            result.trouble = error.what();
        }
        scenario.describe(result);
    } catch (const std::exception& error) {
        result.trouble += error.what();
    }
    result.took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - began_at);
    return result;
}

}  // namespace runledger::test
