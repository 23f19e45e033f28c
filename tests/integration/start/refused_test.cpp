// What no waiting mends: the daemon says it once, with its SQLSTATE and its cure, and ends with a code of its own.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/start/start_fixture.hpp"
#include "tests/support/cluster_kind.hpp"
#include "tests/support/pgbouncer.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr int exit_bad_configuration = 1;
constexpr int exit_refused = 3;

struct Refusal {
    const char* name;
    const char* user;
    const char* parameters;  // Of the URI, behind host and port.
    bool over_tcp;
    const char* sqlstate;
    const char* cause;
    const char* cure;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class Refused : public Start, public testing::WithParamInterface<Refusal> {
protected:
    void SetUp() override {
        const DaemonProcess owner(folder(), conf(server().uri(database())));
        const Finished migrated = owner.tool({"migrate"});
        ASSERT_TRUE(migrated.status.clean()) << migrated.output;
        run("DROP ROLE IF EXISTS keyed, unlisted, nologin, stranger, poor, partial;"
            "CREATE ROLE nologin; CREATE ROLE stranger LOGIN; CREATE ROLE partial LOGIN" +
            std::string(daemons_attributes(cluster_kind())));
        for (const char* role : {"keyed", "unlisted", "poor"}) {
            make_daemons_login(role);
        }
        run(
            fmt::format("REVOKE CONNECT ON DATABASE {0} FROM PUBLIC; GRANT CONNECT ON DATABASE {0} TO keyed, stranger, "
                        "partial; GRANT USAGE ON SCHEMA runledger TO partial; "
                        "GRANT SELECT ON ALL TABLES IN SCHEMA runledger TO partial",
                        database()));
    }
    void TearDown() override {
        run("DROP OWNED BY keyed, unlisted, stranger, poor, partial;"
            "DROP ROLE keyed, unlisted, nologin, stranger, poor, partial");
    }
    [[nodiscard]] std::string uri() const {
        const Refusal& refusal = GetParam();
        const std::string to = refusal.name == std::string_view("wrong_database") ? "not_there" : database();
        return refusal.over_tcp ? fmt::format("postgresql://{}@127.0.0.1:{}/{}?{}", refusal.user, server().port(), to,
                                              refusal.parameters)
                                : fmt::format("{}&{}", server().uri_as(refusal.user, to), refusal.parameters);
    }
};

TEST_P(Refused, IsSaidOnceAndEndsTheDaemon) {
    const auto configuration = write_configuration(fmt::format("[postgres]\nuri = \"{}\"\n", uri()));

    const Finished ended = run_daemon(configuration);

    EXPECT_EQ(ended.status, (ExitStatus{.code = exit_refused})) << ended.output;
    const auto said = lines_with(ended.output, GetParam().cause);
    ASSERT_THAT(said, SizeIs(1)) << ended.output;
    EXPECT_THAT(said[0], AllOf(HasSubstr(" error "), HasSubstr(GetParam().cure)));
    EXPECT_THAT(said[0], HasSubstr(GetParam().sqlstate));
    EXPECT_THAT(lines_with(ended.output, "delay_ms"), IsEmpty());
    EXPECT_THAT(ended.output, Not(HasSubstr("wrong-secret")));
}

constexpr const char* no_password = "connect_timeout=5";
INSTANTIATE_TEST_SUITE_P(Start, Refused,
                         testing::Values(Refusal{"wrong_password", "keyed", "password=wrong-secret", false, "28P01",
                                                 "password authentication failed for user", "[postgres] uri"},
                                         Refusal{"wrong_password_over_tcp", "keyed", "password=wrong-secret", true,
                                                 "28P01", "password authentication failed for user", "[postgres] uri"},
                                         Refusal{"no_password", "keyed", no_password, false, "needs a password",
                                                 "no password supplied", "[postgres] password_file"},
                                         Refusal{"rejected_by_hba", "unlisted", no_password, false, "28000",
                                                 "pg_hba.conf rejects connection", "pg_hba.conf"},
                                         Refusal{"unknown_role", "nobody_there", no_password, true, "28000",
                                                 "role \\\"nobody_there\\\" does not exist", "[postgres] uri"},
                                         Refusal{"role_without_login", "nologin", no_password, false, "28000",
                                                 "is not permitted to log in", "[postgres] uri"},
                                         Refusal{"wrong_database", "postgres", no_password, false, "3D000",
                                                 "does not exist", "[postgres] uri"},
                                         Refusal{"no_right_to_connect", "poor", no_password, false, "42501",
                                                 "permission denied for database", "GRANT CONNECT ON DATABASE"},
                                         Refusal{"no_grants", "stranger", no_password, false, "42501",
                                                 "permission denied for schema runledger",
                                                 "GRANT runledger_daemon TO \\\"stranger\\\""},
                                         Refusal{"some_grants", "partial", no_password, false, "42501", "lacks rights",
                                                 "GRANT runledger_daemon TO \\\"partial\\\""}),
                         [](const auto& refusal) { return std::string(refusal.param.name); });

// pgbouncer 1.18 (Debian 12) has one SQLSTATE for all that it refuses, also for what passes; 1.24 (Debian 13) has
// PostgreSQL's.
TEST_F(Start, WaitsForAPoolerThatRefusesAndSaysItsWords) {
    const PgBouncer pooler(folder(), server(), {.size = 2});
    if (!run_to_end({.argv = {"/usr/sbin/pgbouncer", "--version"}}, folder()).output.starts_with("PgBouncer 1.18")) {
        const auto configuration =
            write_configuration(fmt::format("[postgres]\nuri = \"{}\"\n", pooler.uri("not_there", "postgres")));

        const Finished ended = run_daemon(configuration);

        EXPECT_EQ(ended.status, (ExitStatus{.code = exit_refused})) << ended.output;
        EXPECT_THAT(lines_with(ended.output, "sqlstate=3D000"), SizeIs(1)) << ended.output;
        return;
    }
    ServiceManager systemd(folder());
    DaemonConf configured = conf(pooler.uri("not_there", "postgres"));
    configured.env = {{"NOTIFY_SOCKET", systemd.path()}};
    DaemonProcess daemon(folder(), configured);

    daemon.start();

    eventually("systemd hears why",
               [&] { return !lines_with(systemd.heard(), "STATUS=waiting for PostgreSQL: ").empty(); });
    EXPECT_THAT(lines_with(daemon.log_text(), "database \\\"not_there\\\" does not exist"), SizeIs(1))
        << daemon.log_text();
    daemon.stop();
}

TEST_F(Start, IsRefusedBecauseOfAnUnreadableUri) {
    for (const std::string key : {"uri", "direct_uri"}) {
        for (const std::string bad : {"postgresql://u:wrong-secret@[::1/x", "host=/tmp hots=y password=wrong-secret",
                                      "host='/tmp password=wrong-secret"}) {
            const auto configuration = write_configuration(
                fmt::format("[postgres]\n{}{} = \"{}\"\n", key == "uri" ? "" : "uri = \"host=/tmp\"\n", key, bad));

            const Finished ended = run_daemon(configuration);

            EXPECT_EQ(ended.status, (ExitStatus{.code = exit_bad_configuration})) << ended.output;
            EXPECT_THAT(ended.output, AllOf(HasSubstr("runledgerd.toml"), HasSubstr("[postgres] " + key + " (line"),
                                            Not(HasSubstr("wrong-secret"))));
        }
    }
}

TEST_F(Start, IsRefusedBecauseOfAnImpossibleParameter) {
    const auto configuration =
        write_configuration(fmt::format("[postgres]\nuri = \"{}&sslmode=perhaps\"\n", server().uri(database())));

    const Finished ended = run_daemon(configuration);

    EXPECT_EQ(ended.status, (ExitStatus{.code = exit_refused})) << ended.output;
    EXPECT_THAT(lines_with(ended.output, "invalid sslmode value"), SizeIs(1)) << ended.output;
}

}  // namespace
}  // namespace runledger::test
