// Who may migrate, and what becomes of roles and rights when somebody does.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// Roles outlive databases, so a test of their making needs a cluster of its own.
class NewCluster : public testing::Test {
protected:
    [[nodiscard]] Finished migrate_as(std::string_view role) const {
        const auto configuration =
            folder_.write_file("runledgerd.toml", "[postgres]\nuri = \"" + server_.uri_as(role) + "\"\n");
        return run_to_end(
            {.argv = {install_executable(folder_, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger")
                          .string(),
                      "--config", configuration.string(), "migrate"}},
            folder_);
    }
    void run(const std::string& statement) const {
        const auto connection = server_.connect();
        pqxx::nontransaction work(*connection);
        work.exec(statement);
    }
    // The statements that migrate gave, as they are. Returns how many.
    int run_what_it_says(const std::string& output) const {
        int statements = 0;
        for (std::size_t at = output.find("\n    "); at != std::string::npos; at = output.find("\n    ", at + 1)) {
            run(output.substr(at, output.find('\n', at + 1) - at));
            ++statements;
        }
        return statements;
    }
    [[nodiscard]] std::string value(const std::string& query) const {
        const auto connection = server_.connect();
        pqxx::work work(*connection);
        return libpqxx::run1(work, query)[0].as<std::string>();
    }

private:
    TempFolder folder_;
    PostgresServer server_{{.fsync = false, .settings = {}, .has_logins = false}};
};

TEST_F(NewCluster, TellsAUserWithoutCreateroleWhatADbaHasToRunAndThenMigrates) {
    run("CREATE ROLE plain LOGIN");
    run("GRANT CREATE ON DATABASE runledger TO plain");

    const Finished refused = migrate_as("plain");

    EXPECT_EQ(refused.status.code, 1);
    EXPECT_THAT(refused.output, HasSubstr("the user plain may not make the roles"));
    EXPECT_EQ(value("SELECT to_regnamespace('runledger') IS NULL"), "t") << "something was done before it was refused";

    EXPECT_EQ(run_what_it_says(refused.output), 9) << refused.output;
    const Finished migrated = migrate_as("plain");

    EXPECT_TRUE(migrated.status.clean()) << migrated.output;
    EXPECT_EQ(value("SELECT count(*) FROM pg_class WHERE relnamespace = 'runledger'::regnamespace AND relkind IN ('r', "
                    "'p', 'v') AND relowner <> 'runledger_owner'::regrole"),
              "0");
    EXPECT_TRUE(migrate_as("plain").status.clean());
}

TEST_F(NewCluster, LetsAUserWithCreateroleMakeTheRoles) {
    run("CREATE ROLE maker LOGIN CREATEROLE");
    run("GRANT CREATE ON DATABASE runledger TO maker");

    const Finished migrated = migrate_as("maker");

    EXPECT_TRUE(migrated.status.clean()) << migrated.output;
    EXPECT_THAT(migrated.output, HasSubstr("made the role runledger_owner"));
    EXPECT_EQ(value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'runledger\\_%'"), "4");
}

// Since PostgreSQL 16, CREATEROLE is a right over the roles that its holder has made, and over no others.
TEST_F(NewCluster, TellsAUserWithCreateroleWhatOthersRolesLack) {
    run("CREATE ROLE maker LOGIN CREATEROLE");
    run("GRANT CREATE ON DATABASE runledger TO maker");
    for (const char* role : {"owner", "daemon", "application", "reader"}) {
        run(fmt::format("CREATE ROLE runledger_{} NOLOGIN", role));
    }
    const bool is_bound = value("SELECT current_setting('server_version_num')::int >= 160000") == "t";

    Finished migrated = migrate_as("maker");

    if (is_bound) {
        EXPECT_EQ(migrated.status.code, 1);
        EXPECT_THAT(migrated.output, HasSubstr("the user maker may not make the roles"));
        EXPECT_EQ(run_what_it_says(migrated.output), 5) << migrated.output;
        migrated = migrate_as("maker");
    }
    EXPECT_TRUE(migrated.status.clean()) << migrated.output;
}

TEST_F(Dba, MigratesASecondDatabaseOfTheClusterWithTheRolesThatAreThere) {
    migrate();
    server().create_database(database() + "_b");

    const auto configuration =
        folder().write_file("b.toml", "[postgres]\nuri = \"" + server().uri(database() + "_b") + "\"\n");
    const Finished migrated = run_to_end(
        {.argv = {install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger")
                      .string(),
                  "--config", configuration.string(), "migrate"}},
        folder());

    EXPECT_TRUE(migrated.status.clean()) << migrated.output;
    EXPECT_THAT(migrated.output, Not(HasSubstr("made the role")));
}

TEST_F(Dba, GivesRightsToTablesThatCameSinceAndTakesBackWhatIsNotListed) {
    migrate();
    run("CREATE VIEW runledger.new_v1 AS SELECT 1 AS one; CREATE VIEW runledger.unversioned AS SELECT 1 AS one;"
        "GRANT DELETE ON runledger.generations TO runledger_daemon; GRANT SELECT ON runledger.runs TO PUBLIC;"
        "CREATE FUNCTION runledger.new_power() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'");

    migrate();

    EXPECT_EQ(value("SELECT has_table_privilege('runledger_reader', 'runledger.new_v1', 'SELECT')"), "t");
    EXPECT_EQ(value("SELECT has_table_privilege('runledger_reader', 'runledger.unversioned', 'SELECT')"), "f");
    EXPECT_EQ(value("SELECT has_table_privilege('runledger_daemon', 'runledger.generations', 'DELETE')"), "f");
    EXPECT_EQ(value("SELECT has_table_privilege('runledger_reader', 'runledger.runs', 'SELECT')"), "f");
    EXPECT_EQ(value("SELECT has_function_privilege('runledger_reader', 'runledger.new_power()', 'EXECUTE')"), "f");
}

TEST_F(Dba, KeepsRightsThatADbaGaveToOtherRoles) {
    migrate();
    run("DROP ROLE IF EXISTS finance; CREATE ROLE finance; GRANT SELECT ON runledger.settlements TO finance");

    migrate();

    EXPECT_EQ(value("SELECT has_table_privilege('finance', 'runledger.settlements', 'SELECT')"), "t");
}

}  // namespace
}  // namespace runledger::test
