// The ledger in a database where a role that may create in `public` has shadowed what PostgreSQL has, and where
// `public` comes first in every search path: nothing of ours may call what is there, as any of the roles.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <sstream>

#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AnyOf;
using testing::IsEmpty;

std::string event(std::string_view run_id, std::string_view status, std::string_view outputs = "[]") {
    return fmt::format(
        R"({{"event_type": "run.updated", "status": "{}", "live_status": "Sampling", "progress": 0.5, "run_id": "{}", "outputs": {}}})",
        status, run_id, outputs);
}

class HostilePublic : public Pipeline {
protected:
    HostilePublic() {
        // The test itself looks names up where they belong; everything else as the database says.
        move_to(postgres().uri() + "&options=-csearch_path%3Dpg_catalog,pg_temp");
        owner_uri = postgres().uri();  // A superuser, who has most to lose.
        daemon_extra =
            "[retention]\nwebhook_events_days = 30\nruns_days = 30\nnotifications_days = 30\nsettlements_days = 30\n"
            "quarantine_days = 30\ntombstones_days = 30\n";
        telegram_extra = "progress = true\nprogress_interval_ms = 1000\n";
        if (!cluster_kind().is_hostile) {
            execute(uri(),
                    read_text(std::filesystem::path(RUNLEDGER_SOURCE_DIR) / "tests/data/sql/hostile_public.sql"));
        }
        execute(uri(), "ALTER DATABASE runledger SET search_path = public, pg_catalog");
    }

    void execute(const std::string& where, const std::string& statements) const {
        const auto connection = connect_to(where);
        pqxx::work work(*connection);
        work.exec(statements);
        work.commit();
    }

    // What was called of the shadows, a line each, without the repeats that follow one another.
    [[nodiscard]] std::vector<std::string> called() {
        std::vector<std::string> lines;
        std::istringstream log(postgres().log_text());
        for (std::string line; std::getline(log, line);) {
            if (const auto at = line.find("SHADOW");
                at != std::string::npos && (lines.empty() || line != lines.back())) {
                lines.push_back(line);
            }
        }
        return lines;
    }
};

// So that the test below can fail.
TEST_F(HostilePublic, IsCalledByAnUnguardedSession) {
    execute(postgres().uri(), "SELECT format('%s %s', 'a'::text, 'b'::text), now()");

    EXPECT_THAT(called(), testing::Contains(testing::HasSubstr("format")));
}

TEST_F(HostilePublic, IsCalledByNothingOfOurs) {
    start_all();

    for (const std::string_view run_id : {"hostile-1", "hostile-2", "hostile-3"}) {
        execute(application_uri,
                fmt::format("INSERT INTO runledger.generations (metadata) VALUES ('{{\"run_id\": \"{}\", \"gpu\": "
                            "\"A10G\", \"telegramChatId\": 42}}')",
                            run_id));
        ASSERT_EQ(post(event(run_id, "running")), 200);
    }
    eventually("the runs are seen running",
               [&] { return value("SELECT count(*) FROM runledger.generations WHERE status = 'processing'") == "3"; });
    ASSERT_EQ(post(event("hostile-1", "success",
                         R"([{"id": "o", "data": {"images": [{"url": "https://example.com/a.png"}]}}])")),
              200);
    ASSERT_EQ(post(event("hostile-2", "failed")), 200);
    ASSERT_EQ(post(event("hostile-3", "success", R"([{"id": "o", "data": {"text": "\u0000"}}])")), 200);
    eventually("the runs are settled and told", [&] {
        return value("SELECT count(*) FROM runledger.notifications WHERE state IN ('sent', 'dead')") == "3";
    });
    // Settled again, under another run.
    execute(application_uri,
            "UPDATE runledger.generations SET metadata = '{\"run_id\": \"hostile-4\", \"telegramChatId\": 42}' "
            "WHERE run_id OPERATOR(pg_catalog.=) 'hostile-2'");
    eventually("the row is reopened", [&] {
        return value("SELECT status FROM runledger.generations WHERE run_id = 'hostile-4'") == "pending";
    });
    const auto reader = connect_to(postgres().uri_as(Logins::reader));
    const auto names = value(
        "SELECT string_agg(relname, ' ') FROM pg_class WHERE relnamespace = 'runledger'::regnamespace AND relkind = "
        "'v'");
    std::istringstream views(names);
    for (std::string view; views >> view;) {
        pqxx::work work(*reader);
        work.exec("SELECT * FROM runledger." + view);
    }
    // The first month that is closed has a run.
    execute(uri(),
            "INSERT INTO runledger.settlements (generation_id, run_id, outcome, why, status, finished_at, "
            "cost_note, output_count, before) VALUES (0, 'long-ago', 'settled', 'the run ended', 'completed', "
            "'2001-01-15Z', 'rate_missing', 0, '{}')");
    execute(uri(), "UPDATE runledger.notifications SET state = 'dead', sent_at = NULL, last_error = 'x' WHERE id = 1");
    const auto operators_tool = make_daemon("operator", {});
    const std::vector<std::vector<std::string>> commands{
        {"migrate"},
        {"explain", "hostile-1"},
        {"events", "--run", "hostile-1"},
        {"status"},
        {"check"},
        {"audit", "--segments"},
        {"replay", "--from", "2000-01-01", "--to", "2100-01-01", "--into", "scratch"},
        {"reprice", "--gpu", "A10G", "--from", "2000-01-01", "--to", "2100-01-01", "--list"},
        {"export", "focus", "--month", "2025-08"},
        {"close", "2001-01"},
        {"statement", "2001-01", "--as-of", "2001-03-01"},
        {"quarantine", "list"},
        {"quarantine", "replay", "--all"},
        {"outbox", "list"},
        {"outbox", "show", "1"},
        {"outbox", "drop", "1"},
        {"outbox", "retry", "1"},
        {"forget", "--chat", "42"},
    };
    for (const auto& command : commands) {
        const Finished finished = operators_tool->tool(command);
        EXPECT_THAT(finished.status.code, AnyOf(0, 3)) << command[0] << ": " << finished.output;
    }
    eventually("the days ahead are made", [&] {
        return value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'runledger.webhook_events'::regclass") == "6";
    });

    EXPECT_THAT(called(), IsEmpty());
}

}  // namespace
}  // namespace runledger::test
