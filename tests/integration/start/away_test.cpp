// PostgreSQL that is away, or hangs, before the daemon has started and while it runs.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <iterator>
#include <thread>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/start/start_fixture.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/stand_ins/comfy_api.hpp"
#include "tests/support/cluster_kind.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/pgbouncer.hpp"
#include "tests/support/prometheus_text.hpp"
#include "tests/support/scarcity.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Stops and starts PostgreSQL, so it has one of its own.
class Away : public testing::Test {
protected:
    // Every stage that has a connection runs.
    [[nodiscard]] DaemonConf conf(std::string uri) const {
        return {.postgres_uri = std::move(uri),
                .telegram_api_url = bot.url(),
                .log_level = "info",
                .postgres_extra = "appliers = 2\n",
                .telegram_extra = "links = \"upload\"\nprogress = true\nprogress_interval_ms = 1000\n",
                .extra = fmt::format("[comfydeploy]\napi_url = \"http://127.0.0.1:9\"\napi_key_file = \"{}\"\n",
                                     folder.write_secret("key", "cd_key\n").string()),
                .env = {{"NOTIFY_SOCKET", systemd.path()}}};
    }
    // All that is said of trouble.
    [[nodiscard]] static std::vector<std::string> complaints(const DaemonProcess& daemon) {
        std::vector<std::string> lines = lines_with(daemon.log_text(), " warning ");
        std::ranges::copy(lines_with(daemon.log_text(), " error "), std::back_inserter(lines));
        std::ranges::copy(lines_with(daemon.log_text(), " critical "), std::back_inserter(lines));
        return lines;
    }
    // Each stage that works on its own clock has tried again and again.
    static void let_stages_try(const DaemonProcess& daemon) {
        eventually(
            "the stages have failed several times",
            [&] {
                const auto samples = samples_of(http_get(daemon.metrics_url()).body);
                return samples.at("runledger_settle_turns_failed_total") >= 6 &&
                       samples.at("runledger_reconcile_turns_failed_total") >= 2;
            },
            std::chrono::seconds{60});
    }

    TempFolder folder;
    BotApi bot;
    ServiceManager systemd{folder};
    PostgresServer postgres{{.fsync = false}};
};

TEST_F(Away, IsWaitedForWhileSystemdHearsOfIt) {
    DaemonProcess daemon(folder, conf(postgres.uri()));
    daemon.migrate();
    postgres.stop();

    daemon.start();

    eventually("systemd hears why, and to wait", [&] {
        return systemd.heard().find("STATUS=waiting for PostgreSQL: ") != std::string::npos &&
               std::ranges::count(lines_with(systemd.heard(), "EXTEND_TIMEOUT_USEC="),
                                  std::string("EXTEND_TIMEOUT_USEC=90000000")) >= 4;
    });
    EXPECT_THAT(systemd.heard(), Not(HasSubstr("READY=1")));
    EXPECT_THAT(complaints(daemon), SizeIs(1)) << daemon.log_text();
    EXPECT_THAT(lines_with(daemon.log_text(), "PostgreSQL is away"), SizeIs(1));
    postgres.start();
    eventually("the daemon is ready", [&] { return systemd.heard().find("READY=1") != std::string::npos; });
    EXPECT_THAT(systemd.heard(), HasSubstr("STATUS=flowing: "));
    EXPECT_THAT(lines_with(daemon.log_text(), "PostgreSQL is back"), SizeIs(1));
    EXPECT_THAT(complaints(daemon), SizeIs(1)) << daemon.log_text();
    daemon.stop();
}

TEST_F(Away, IsSaidOnceByAllStagesTogether) {
    DaemonProcess daemon(folder, conf(postgres.uri()));
    daemon.start();
    eventually("the daemon is ready", [&] { return systemd.heard().find("READY=1") != std::string::npos; });

    postgres.stop();
    let_stages_try(daemon);

    EXPECT_THAT(lines_with(daemon.log_text(), "PostgreSQL is away"), SizeIs(1));
    EXPECT_THAT(complaints(daemon), SizeIs(1)) << daemon.log_text();
    eventually("systemd shows it", [&] {
        return !lines_with(systemd.heard(), "STATUS=PostgreSQL is away: the edges keep what comes").empty();
    });
    const std::size_t flowing = lines_with(systemd.heard(), "STATUS=flowing").size();
    postgres.start();
    eventually("systemd shows that it is back",
               [&] { return lines_with(systemd.heard(), "STATUS=flowing").size() > flowing; });
    eventually("the daemon has it back", [&] { return !lines_with(daemon.log_text(), "PostgreSQL is back").empty(); });
    postgres.kill_hard();
    // Between two transactions a stage would only connect again, and say nothing.
    eventually("a stage has failed", [&] { return lines_with(daemon.log_text(), "PostgreSQL is away").size() == 2; });
    postgres.start();
    eventually("the daemon has it back once more",
               [&] { return lines_with(daemon.log_text(), "PostgreSQL is back").size() == 2; });
    daemon.stop();
    EXPECT_THAT(lines_with(daemon.log_text(), "PostgreSQL is back"), SizeIs(2));
    EXPECT_THAT(complaints(daemon), SizeIs(2)) << daemon.log_text();
}

TEST_F(Away, IsSaidOnceThoughAPoolerAnswersInItsPlace) {
    const PgBouncer pooler(folder, postgres, {.size = 8});
    DaemonConf configured = conf(pooler.uri("runledger", "postgres"));
    configured.postgres_extra += fmt::format("direct_uri = \"{}\"\n", postgres.uri());
    DaemonProcess daemon(folder, configured);
    daemon.start();
    eventually("the daemon is ready", [&] { return systemd.heard().find("READY=1") != std::string::npos; });

    // All sessions end at once. By stop() they end one after the other, and one may answer after another has failed.
    postgres.kill_hard();

    // One for each of the two places: the pooler, and the server itself, which LISTEN needs. The pooler lets its
    // clients wait while it has no server, so the stages try less often.
    eventually(
        "both are seen to be away", [&] { return complaints(daemon).size() == 2; }, std::chrono::seconds{30});
    EXPECT_THAT(lines_with(daemon.log_text(), "PostgreSQL is back"), IsEmpty());
    postgres.start();
    eventually(
        "the daemon has both back", [&] { return lines_with(daemon.log_text(), "PostgreSQL is back").size() == 2; },
        std::chrono::seconds{60});
    daemon.stop();
    EXPECT_THAT(complaints(daemon), SizeIs(2)) << daemon.log_text();
}

TEST_F(Away, IsRefusedLaterAndSaysWhy) {
    DaemonProcess daemon(folder, conf(postgres.uri()));
    daemon.migrate();
    {
        const auto connection = postgres.connect();
        pqxx::nontransaction work(*connection);
        work.exec(fmt::format("CREATE ROLE ours LOGIN{}; GRANT runledger_daemon TO ours",
                              daemons_attributes(cluster_kind())));
    }
    DaemonConf configured = conf(postgres.uri_as("ours"));
    configured.name = "least";
    configured.migrates = false;
    DaemonProcess least(folder, configured);
    least.start();
    eventually("the daemon is ready", [&] { return systemd.heard().find("READY=1") != std::string::npos; });
    const auto connection = postgres.connect();
    pqxx::nontransaction work(*connection);

    work.exec("ALTER ROLE ours NOLOGIN");
    work.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ours'");
    let_stages_try(least);

    const auto said = lines_with(least.log_text(), "sqlstate=28000");
    ASSERT_THAT(said, SizeIs(1)) << least.log_text();
    EXPECT_THAT(said[0], HasSubstr(" error "));
    work.exec("ALTER ROLE ours LOGIN");
    eventually("the daemon has it back", [&] { return !lines_with(least.log_text(), "PostgreSQL is back").empty(); });

    work.exec("REVOKE runledger_daemon FROM ours");
    let_stages_try(least);
    eventually("each stage has said once that it may not",
               [&] { return lines_with(least.log_text(), "sqlstate=42501").size() >= 2; });
    const auto before = samples_of(http_get(least.metrics_url()).body).at("runledger_settle_turns_failed_total");
    eventually(
        "settle has tried several times more",
        [&] {
            return samples_of(http_get(least.metrics_url()).body).at("runledger_settle_turns_failed_total") >=
                   before + 4;
        },
        std::chrono::seconds{60});
    EXPECT_THAT(lines_with(least.log_text(), "stage=\"settle\" sqlstate=42501"), SizeIs(1)) << least.log_text();
    least.stop();
}

TEST_F(Away, HoldsUpNoSignalWhileItHangs) {
    DaemonProcess daemon(folder, conf(postgres.uri()));
    daemon.start();
    eventually("the daemon is ready", [&] { return systemd.heard().find("READY=1") != std::string::npos; });

    const auto connection = postgres.connect();
    pqxx::work locking(*connection);
    locking.exec("LOCK TABLE runledger.settle_queue IN ACCESS EXCLUSIVE MODE");
    eventually("a stage waits for an answer", [&] {
        return libpqxx::run1(locking, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")[0].as<bool>();
    });
    postgres.freeze();
    daemon.stop(std::chrono::seconds{25});  // Throws if it does not end by itself within systemd's bound.

    EXPECT_THAT(lines_with(daemon.log_text(), "stopped"), SizeIs(1));
    postgres.thaw();
}

// The stages end at once: only the page's connection hangs.
TEST_F(Away, HoldsUpNoSignalWhileThePageIsRead) {
    const std::string token = "a token of the page";
    DaemonConf configured = conf(postgres.uri());
    configured.extra += fmt::format("[page]\ntoken_file = \"{}\"\n", folder.write_secret("page-token", token).string());
    DaemonProcess daemon(folder, configured);
    daemon.start();
    eventually("the daemon is ready", [&] { return systemd.heard().find("READY=1") != std::string::npos; });
    const auto connection = postgres.connect();
    pqxx::work locking(*connection);
    locking.exec("LOCK TABLE runledger.quarantine IN ACCESS EXCLUSIVE MODE");
    const std::string metrics = daemon.metrics_url();
    const std::jthread reader([&] {
        (void)http_call({.url = metrics.substr(0, metrics.rfind('/')) + "/numbers",
                         .method = "GET",
                         .headers = {"Authorization: Bearer " + token}});
    });
    pid_t hanging = 0;
    eventually("the page waits for an answer", [&] {
        hanging = libpqxx::run1(locking, "SELECT coalesce(max(pid), 0) FROM pg_locks WHERE NOT granted")[0].as<pid_t>();
        return hanging != 0;
    });
    ASSERT_EQ(::kill(hanging, SIGSTOP), 0);

    EXPECT_NO_THROW(
        daemon.stop(std::chrono::seconds{25}));  // Throws if it does not end by itself within systemd's bound.

    EXPECT_THAT(lines_with(daemon.log_text(), "info stopped"), SizeIs(1));
    EXPECT_EQ(::kill(hanging, SIGCONT), 0);
}

// PostgreSQL, Telegram and ComfyDeploy at once: all take a call, and never answer.
TEST_F(Away, HoldsUpNoSignalThoughEverythingHangs) {
    ComfyApiStandIn comfy;
    comfy.script_all({.waits_for_release = true});
    bot.script({.answer = BotAnswer::slow(std::chrono::seconds{60}), .calls = -1});
    DaemonConf configured = conf(postgres.uri());
    configured.extra = fmt::format(
        "[comfydeploy]\napi_url = \"{}\"\napi_key_file = \"{}\"\nunheard_silence_seconds = 0\ntimeout_ms = 600000\n",
        comfy.url(), folder.write_secret("key", "cd_key\n").string());
    configured.telegram_extra += "timeout_ms = 600000\n";
    DaemonProcess daemon(folder, configured);
    daemon.start();
    eventually("the daemon is ready", [&] { return systemd.heard().find("READY=1") != std::string::npos; });
    const auto connection = postgres.connect();
    {
        pqxx::work work(*connection);
        work.exec(
            "INSERT INTO runledger.generations (metadata, request_timestamp) "
            "VALUES ('{\"run_id\": \"silent\"}', now() - interval '1 hour');"
            "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload) "
            "VALUES (1, 'silent', 'ending', 'completed', 42, '{\"status\": \"completed\", \"outputs\": []}')");
        work.commit();
    }
    eventually("Telegram and ComfyDeploy are being asked",
               [&] { return bot.calls().size() >= 2 && !comfy.requests().empty(); });
    pqxx::work locking(*connection);
    locking.exec("LOCK TABLE runledger.settle_queue IN ACCESS EXCLUSIVE MODE");
    eventually("a stage waits for an answer", [&] {
        return libpqxx::run1(locking, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")[0].as<bool>();
    });
    postgres.freeze();

    daemon.stop(std::chrono::seconds{25});  // Throws if it does not end by itself within systemd's bound.

    EXPECT_THAT(lines_with(systemd.heard(), "STATUS=draining"), SizeIs(1));
    EXPECT_THAT(lines_with(daemon.log_text(), "info stopped"), SizeIs(1));
    postgres.thaw();
    comfy.release();
}

TEST_F(Away, HoldsUpNoSignalWhileItHangsAtTheStart) {
    DaemonProcess daemon(folder, conf(postgres.uri()));
    daemon.migrate();
    {
        // Every catalogue look waits.
        const auto connection = postgres.connect();
        pqxx::work locking(*connection);
        locking.exec("LOCK TABLE runledger.schema_migrations IN ACCESS EXCLUSIVE MODE");
        daemon.start();
        eventually("the daemon waits", [&] {
            pqxx::subtransaction look(locking);
            return libpqxx::run1(look, "SELECT count(*) FROM pg_locks WHERE NOT granted")[0].as<int>() == 1;
        });
        postgres.freeze();

        daemon.stop(std::chrono::seconds{10});

        postgres.thaw();
    }
    EXPECT_THAT(systemd.heard(), Not(HasSubstr("READY=1")));
}

// libpq waits for the resolver, which no time-out of ours ends.
TEST_F(Start, EndsBeforeSystemdKillsItThoughTheNameOfItsDatabaseHangs) {
    Scarcity scarcity(folder());
    DaemonConf configured = conf("host=localhost dbname=x user=y");
    configured.env = scarcity.env();
    DaemonProcess daemon(folder(), configured);
    scarcity.let_names_hang();
    daemon.start();
    eventually("the name is looked up", [&] { return scarcity.names_waiting() > 0; });

    daemon.stop(std::chrono::seconds{25});  // Throws if it does not end by itself within systemd's bound.

    EXPECT_THAT(lines_with(daemon.log_text(), "a stage has not ended in time"), SizeIs(1));
}

}  // namespace
}  // namespace runledger::test
