// `runledger check` on a machine that is ready, and on machines with one fault each: the line that names it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <set>
#include <stdexcept>

#include "tests/integration/tool/check/machine_fixture.hpp"
#include "tests/support/cluster_kind.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A program of somebody else's that has a place that the daemon wants. It never answers.
class Squatter {
public:
    static Squatter at_port(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return {AF_INET, address};
    }
    static Squatter at_path(const fs::path& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.string().copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
        return {AF_UNIX, address};
    }
    Squatter(const Squatter&) = delete;
    Squatter& operator=(const Squatter&) = delete;
    ~Squatter() { ::close(socket_); }

private:
    template <class Address>
    Squatter(int family, const Address& address) : socket_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        // The C interface of sockets: an address of a family is passed as one of any.
        if (bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            listen(socket_, 8) != 0) {
            throw std::runtime_error("the squatter finds no place");
        }
    }
    int socket_;
};

// What depends on the machine that the tests run on: its clock, its disk, a folder in memory.
const std::set<std::string> subjects_of_this_machine{"clock", "space", "spool", "user"};

void expect_sound(const CheckReport& report) {
    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
    EXPECT_THAT(report.with("failed"), IsEmpty()) << report.finished.output;
    for (const CheckLine& line : report.lines) {
        if (line.check == "socket" && line.result == "warning") {
            EXPECT_THAT(line.found, HasSubstr("no daemon listens"));
        } else if (!subjects_of_this_machine.contains(line.check)) {
            EXPECT_EQ(line.result, "passed") << line.check << ": " << line.found;
        }
    }
}

TEST_F(CheckedMachine, PassesIfAllIsSound) {
    const CheckReport report = check();

    expect_sound(report);
    for (const char* subject : {"configuration", "secrets", "database", "schema", "rights", "socket", "metrics",
                                "telegram", "comfydeploy", "webhooks", "clock", "space", "spool"}) {
        EXPECT_THAT(report.results_of(subject), Not(IsEmpty())) << subject;
    }
    EXPECT_THAT(report.finished.output, Not(HasSubstr("test-token")));
    EXPECT_THAT(report.finished.output, Not(HasSubstr("a-key")));
}

// start() alone waits for the metrics' port, which is open before the daemon listens for edges.
void start_and_listen(DaemonProcess& daemon) {
    daemon.start();
    eventually("the daemon listens",
               [&] { return daemon.log_text().find("listening for edges") != std::string::npos; });
}

TEST_F(CheckedMachine, PassesBesideTheDaemonThatItIsFor) {
    DaemonProcess daemon(
        folder(),
        {.postgres_uri = server().direct_daemon_uri(), .telegram_api_url = telegram().url(), .migrates = false});
    start_and_listen(daemon);

    const auto program = install_executable(folder(), fs::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger");
    const CheckReport report =
        read_report(run_to_end({.argv = {program.string(), "--config", daemon.configuration().string(), "check",
                                         "--json", "--spool", spool().string()}},
                               folder()));

    EXPECT_EQ(report.finished.status.code, 0) << report.finished.output;
    EXPECT_THAT(report.finished.output, HasSubstr("runledgerd listens (process "));
    EXPECT_THAT(report.finished.output, HasSubstr("runledgerd answers"));
}

TEST_F(CheckedMachine, SaysItInTextWithATickALine) {
    set("telegram.nonsense", "1");

    const Finished finished = check_in_text();

    EXPECT_EQ(finished.status.code, 3);
    EXPECT_THAT(finished.output, HasSubstr("✗ configuration"));
    EXPECT_THAT(finished.output, HasSubstr("[telegram] nonsense"));
    EXPECT_THAT(finished.output, HasSubstr("→ correct it"));
    EXPECT_THAT(finished.output, HasSubstr("NOT READY; passed: "));
}

TEST_F(CheckedMachine, WarnsIfNoDaemonListens) { expect_warning(check(), "socket", "no daemon listens"); }

TEST_F(CheckedMachine, SaysForWhomASecretCantBeReadAndHowToMendIt) {
    fs::permissions(token_file(), fs::perms::none);

    const CheckReport report = check();

    EXPECT_THAT(report.finished.output, HasSubstr("Permission denied for the user "));
    EXPECT_THAT(report.finished.output, HasSubstr("&& chmod 0640 " + token_file().string()));
}

class CheckedWebhooks : public CheckedMachine {
protected:
    CheckedWebhooks() {
        set_text("webhooks.secrets_file",
                 folder().write_secret("secrets", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n").string());
    }
};

TEST_F(CheckedWebhooks, AreNotCalled) {
    set_text("webhooks.url", "https://127.0.0.1:1/hook?secret");
    set("webhooks.url_is_inner", "true");

    const CheckReport report = check();

    expect_sound(report);
    EXPECT_THAT(report.finished.output, HasSubstr("to 127.0.0.1; 1 secret signs each; not called"));
}

TEST_F(CheckedWebhooks, GoToNoInnerAddressUnlessItIsAllowed) {
    set_text("webhooks.url", "https://127.0.0.1:1/hook?secret");

    expect_only_failure(check(), "webhooks", "127.0.0.1 leads to inner addresses alone", "url_is_inner = true");
}

TEST_F(CheckedWebhooks, NeedAHostThatCanBeResolved) {
    set_text("webhooks.url", "https://no-such-host.invalid/hook?secret");

    const CheckReport report = check();

    expect_only_failure(report, "webhooks", "no-such-host.invalid: ", "correct the host");
    EXPECT_THAT(report.finished.output, Not(HasSubstr("?secret")));
}

TEST_F(CheckedMachine, ChangesNothing) {
    const std::string database = own_database();
    const auto snapshot = [&] {
        const auto connection = server().connect(database);
        pqxx::nontransaction work(*connection);
        std::string text;
        for (const auto& row : work.exec("SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_all_tables "
                                         "WHERE schemaname = 'runledger' ORDER BY relname")) {
            for (const auto& field : row) {
                text += field.as<std::string>() + " ";
            }
        }
        for (const auto& entry : fs::recursive_directory_iterator(folder().path())) {
            if (!entry.path().filename().string().starts_with("output-")) {  // What the tool has printed.
                text += entry.path().string() + " ";
            }
        }
        return text;
    };
    (void)check();  // Installs the tool.
    const std::string before = snapshot();

    const CheckReport report = check();

    expect_sound(report);
    EXPECT_EQ(snapshot(), before);
}

// The configuration.

TEST_F(CheckedMachine, NamesAnUnknownKey) {
    set("settle.outputs_grace", "1");

    expect_only_failure(check(), "configuration", "[settle] outputs_grace (line ", "docs/settings.md");
}

TEST_F(CheckedMachine, NamesAnUnknownSection) {
    set("telegramm.mode", "\"log\"");

    expect_only_failure(check(), "configuration", "[telegramm] (line ", "docs/settings.md");
}

TEST_F(CheckedMachine, NamesALineThatIsNoToml) {
    add_lines("[log]\nlevel = info\n");

    expect_only_failure(check(), "configuration", ": line ", "docs/settings.md");
}

TEST_F(CheckedMachine, NamesASecretThatOthersMayRead) {
    fs::permissions(token_file(), fs::perms{0644});

    expect_only_failure(check(), "configuration", "others may read this secret", "correct it");
}

// Files.

TEST_F(CheckedMachine, NamesASecretThatAGroupMayChange) {
    fs::permissions(key_file(), fs::perms{0660});

    expect_only_failure(check(), "secrets", "[comfydeploy] api_key_file", "chmod go-w");
}

TEST_F(CheckedMachine, NamesADatabasesPasswordThatAGroupMayChange) {
    const fs::path file = folder().write_secret("database.password", "not-asked-for\n");
    set_text("postgres.password_file", file.string());
    fs::permissions(file, fs::perms{0660});

    expect_only_failure(check(), "secrets", "[postgres] password_file", "chmod go-w");
}

TEST_F(CheckedMachine, NamesAPasswordThatOthersMayRead) {
    set_text("postgres.uri", server().direct_daemon_uri() + "&password=not-asked-for");

    const CheckReport report = check();

    expect_only_failure(report, "secrets", "has a database's password", "chmod 0640");
    EXPECT_THAT(report.finished.output, Not(HasSubstr("not-asked-for")));
}

TEST_F(CheckedMachine, NamesASpoolThatIsNotThere) {
    expect_only_failure(check({"--spool", (folder() / "nothing").string()}), "spool", "No such file", "install -d");
}

TEST_F(CheckedMachine, NamesASpoolThatIsNoFolder) {
    expect_only_failure(check({"--spool", token_file().string()}), "spool", "is no folder", "runledger_spool");
}

TEST_F(CheckedMachine, WarnsOfADiskThatIsSmallerThanTheSpoolMayBecome) {
    expect_warning(check({"--spool", spool().string(), "--max-size", "1000000gb"}), "space", "up to max_size");
}

TEST_F(CheckedMachine, NamesASpoolThatNginxsWorkersCannotWrite) {
    const auto nginx = folder().make_folder("nginx");
    const auto closed = folder().make_folder("closed");
    fs::permissions(closed, fs::perms{0500});
    (void)folder().write_file(
        "nginx/nginx.conf",
        fmt::format("user daemon;\nhttp {{\n    runledger_spool {} max_size=64m;\n}}\n", closed.string()));

    const CheckReport report = check({"--nginx-folder", nginx.string()});

    EXPECT_EQ(report.results_of("spool").front(), "failed") << report.finished.output;
    EXPECT_THAT(report.finished.output, HasSubstr("nginx's workers can't write to it"));
    // Nor can they connect to a socket that has no group of theirs.
    EXPECT_THAT(report.finished.output, HasSubstr("nginx's workers (daemon) can't connect"));
}

// PostgreSQL.

TEST_F(CheckedMachine, NamesAPostgresThatIsAway) {
    set_text("postgres.uri", fmt::format("postgresql://x@127.0.0.1:{}/x", free_port()));

    expect_only_failure(check(), "database", "PostgreSQL does not answer", "start PostgreSQL");
}

TEST_F(CheckedMachine, NamesALoginThatIsNotThere) {
    set_text("postgres.uri", server().uri_as("who", "runledger"));

    expect_only_failure(check(), "database", "refuses the connection", "check user and password");
}

TEST_F(CheckedMachine, NamesADatabaseThatIsNotThere) {
    set_text("postgres.uri", server().direct_daemon_uri("not_there"));

    expect_only_failure(check(), "database", "not_there", "create the database");
}

TEST_F(CheckedMachine, NamesADatabaseInAnotherEncoding) {
    sql("postgres", "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    set_text("postgres.uri", server().direct_daemon_uri("ascii"));

    expect_only_failure(check(), "database", "encoding is SQL_ASCII", "ENCODING 'UTF8'");
}

TEST_F(CheckedMachine, NamesADatabaseThatWasNotMigrated) {
    server().create_database("bare");
    set_text("postgres.uri", server().direct_daemon_uri("bare"));

    expect_only_failure(check(), "schema", "no schema runledger", "runledger migrate");
}

TEST_F(CheckedMachine, WarnsOfADaemonThatIsASuperuser) {
    set_text("postgres.uri", server().uri());

    const CheckReport report = check();

    expect_warning(report, "rights", "is a superuser");
    EXPECT_EQ(check({"--strict"}).finished.status.code, 3);
}

struct BrokenLedger {
    const char* name;
    const char* statements;
    const char* check;
    const char* found;
    const char* to_do;
};

void PrintTo(const BrokenLedger& broken, std::ostream* out) { *out << broken.name; }

class CheckedLedger : public CheckedMachine, public testing::WithParamInterface<BrokenLedger> {};

TEST_P(CheckedLedger, NamesTheFault) {
    const BrokenLedger& broken = GetParam();
    if (cluster_kind().has_row_security && broken.name == std::string_view("row_security")) {
        GTEST_SKIP() << "the login has BYPASSRLS";
    }
    sql(own_database(), broken.statements);

    expect_only_failure(check(), broken.check, broken.found, broken.to_do);
}

INSTANTIATE_TEST_SUITE_P(
    OneByOne, CheckedLedger,
    testing::Values(
        BrokenLedger{"a_migration_is_missing",
                     "DELETE FROM runledger.schema_migrations WHERE version = (SELECT max(version) FROM "
                     "runledger.schema_migrations)",
                     "schema", "lacks the migrations", "runledger migrate"},
        BrokenLedger{
            "a_newer_schema",
            "INSERT INTO runledger.schema_migrations (version, name, digest) VALUES (9999, '9999_from_tomorrow', '')",
            "schema", "9999_from_tomorrow", "install the newer runledger"},
        BrokenLedger{"of_another_build",
                     "UPDATE runledger.schema_migrations SET digest = 'of another build' WHERE version = 2", "schema",
                     "another build, an unreleased one: its migrations 0002_create_generations are not",
                     "run the build that made it, or make a new database"},
        BrokenLedger{"other_functions", "UPDATE runledger.schema_definitions SET digest = 'of another build'", "schema",
                     "are not this build's", "runledger migrate"},
        BrokenLedger{"a_disabled_trigger",
                     "ALTER TABLE runledger.generations DISABLE TRIGGER generations_queue_settlement_on_insert",
                     "schema", "the trigger generations_queue_settlement_on_insert is disabled", "give back"},
        BrokenLedger{"a_dropped_view", "DROP VIEW runledger.stuck_runs_v1", "schema",
                     "the view stuck_runs_v1 is missing", "give back"},
        BrokenLedger{"a_dropped_function", "DROP FUNCTION runledger.run_reason CASCADE", "schema",
                     "the function run_reason is missing", "give back"},
        BrokenLedger{"row_security", "ALTER TABLE runledger.settle_queue ENABLE ROW LEVEL SECURITY", "rights",
                     "row-level security hides rows from the login: settle_queue", "BYPASSRLS"}),
    [](const testing::TestParamInfo<BrokenLedger>& broken) { return broken.param.name; });

TEST_F(CheckedMachine, NamesALoginWithoutTheDaemonsRole) {
    const std::string database = own_database();
    sql(database, "CREATE ROLE stranger LOGIN");
    set_text("postgres.uri", server().uri_as("stranger", database));

    expect_only_failure(check(), "rights", "permission denied", "GRANT runledger_daemon TO \"stranger\"");

    sql(database, "DROP OWNED BY stranger; DROP ROLE stranger");
}

TEST_F(CheckedMachine, NamesARightThatTheLoginLacks) {
    const std::string database = own_database();
    sql(database, fmt::format("CREATE ROLE partial LOGIN{}; GRANT USAGE ON SCHEMA runledger TO partial; "
                              "GRANT SELECT ON ALL TABLES IN SCHEMA runledger TO partial",
                              daemons_attributes(cluster_kind())));
    set_text("postgres.uri", server().uri_as("partial", database));

    expect_only_failure(check(), "rights", "lacks rights of runledger_daemon, such as ",
                        "GRANT runledger_daemon TO \"partial\"");

    sql(database, "DROP OWNED BY partial; DROP ROLE partial");
}

// Sockets and ports.

TEST_F(CheckedMachine, NamesASocketsPathThatIsTooLong) {
    set("intake.bind", fmt::format("[\"ipc://{}/{}\"]", sockets().string(), std::string(120, 's')));

    expect_only_failure(check(), "socket", "at most 107 are possible", "shorter path");
}

TEST_F(CheckedMachine, NamesASocketsFolderThatIsNotThere) {
    fs::remove(sockets());

    expect_only_failure(check(), "socket", "No such file", "systemd-tmpfiles --create");
}

TEST_F(CheckedMachine, NamesASocketsFolderThatTheDaemonCannotWrite) {
    fs::permissions(sockets(), fs::perms{0555});

    expect_only_failure(check(), "socket", "can't make a socket", "chown");
}

TEST_F(CheckedMachine, NamesAFileInTheSocketsPlace) {
    (void)folder().write_file("run/daemon.sock", "a file");

    expect_only_failure(check(), "socket", "is no socket", "remove the file");
}

TEST_F(CheckedMachine, NamesAnotherProgramOnTheSocket) {
    const Squatter squatter = Squatter::at_path(socket_path());
    fs::permissions(socket_path(), fs::perms{0666});

    expect_only_failure(check(), "socket", "the program tool_check_test listens here", "stop it");
}

TEST_F(CheckedMachine, NamesAnotherDaemonOnTheSocket) {
    DaemonProcess other(folder(), {.postgres_uri = server().direct_daemon_uri(),
                                   .bind = {fmt::format("ipc://{}", socket_path().string())},
                                   .migrates = false});
    start_and_listen(other);

    expect_only_failure(check(), "socket", "another daemon listens here", "stop it");
}

TEST_F(CheckedMachine, NamesAnotherProgramOnTheIntakesPort) {
    const std::uint16_t port = free_port();
    const Squatter squatter = Squatter::at_port(port);
    set("intake.bind", fmt::format("[\"tcp://127.0.0.1:{}\"]", port));

    expect_only_failure(check(), "socket", "another program has the port", fmt::format("sport = :{}", port));
}

TEST_F(CheckedMachine, NamesAnAddressThatIsNotThisMachines) {
    set_text("metrics.listen", "192.0.2.1:9464");

    expect_only_failure(check(), "metrics", "this machine has no such address", "[metrics] listen");
}

TEST_F(CheckedMachine, NamesAnotherProgramOnTheMetricsPort) {
    const std::uint16_t port = free_port();
    const Squatter squatter = Squatter::at_port(port);
    set_text("metrics.listen", fmt::format("127.0.0.1:{}", port));

    expect_only_failure(check(), "metrics", "another program has the port", fmt::format("sport = :{}", port));
}

// Telegram and ComfyDeploy.

TEST_F(CheckedMachine, NamesATokenThatTelegramRefuses) {
    (void)folder().write_secret("telegram.token", "200:of-another-bot\n");

    const CheckReport report = check();

    expect_only_failure(report, "telegram", "Telegram refuses the token", token_file().string());
    EXPECT_THAT(report.finished.output, Not(HasSubstr("of-another-bot")));
}

TEST_F(CheckedMachine, NamesATelegramThatIsNotThere) {
    telegram().goes_away();

    expect_only_failure(check(), "telegram", "does not answer as Telegram", "[telegram] api_url");
}

TEST_F(CheckedMachine, AsksTelegramOnlyWhoItIs) {
    (void)check();

    std::vector<std::string> methods;
    for (const BotCall& call : telegram().calls()) {
        methods.push_back(call.method);
    }
    EXPECT_THAT(methods, Each(testing::StrCaseEq("getMe")));
}

TEST_F(CheckedMachine, NamesAKeyThatComfyDeployRefuses) {
    comfydeploy().script_all({.status = 401, .body = R"({"detail": "Invalid or expired token"})"});

    const CheckReport report = check();

    expect_only_failure(report, "comfydeploy", "ComfyDeploy refuses the key: HTTP 401", key_file().string());
    EXPECT_THAT(report.finished.output, Not(HasSubstr("a-key")));
}

TEST_F(CheckedMachine, NamesAnApiThatHasNoRuns) {
    comfydeploy().script_all({.status = 404, .body = R"({"detail": "Not Found"})"});

    expect_only_failure(check(), "comfydeploy", "has no /run/{run_id}", "api.comfydeploy.com/api");
}

TEST_F(CheckedMachine, NamesAServerThatIsNotComfyDeploy) {
    comfydeploy().script_all({.status = 404, .body = "<html>nginx</html>"});

    expect_only_failure(check(), "comfydeploy", "not as ComfyDeploy's API", "api.comfydeploy.com/api");
}

TEST_F(CheckedMachine, WarnsOfAComfyDeployThatIsBusy) {
    comfydeploy().script_all({.status = 503, .body = "{}"});

    expect_warning(check(), "comfydeploy", "HTTP 503");
}

}  // namespace
}  // namespace runledger::test
