// sql/tests, by pg_prove, on a database that was migrated as an operator's is.
#include <filesystem>

#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

TEST_F(Dba, PassesEveryPgtapTest) {
    if (cluster_kind().has_row_security) {
        GTEST_SKIP() << "rights are not enough there";
    }
    migrate();
    run("CREATE EXTENSION pgtap");
    // A copy: the checkout may be closed to the unprivileged user.
    const auto tests = folder().make_folder("sql-tests");
    for (const auto& file :
         std::filesystem::directory_iterator(std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "sql" / "tests")) {
        folder().write_file("sql-tests/" + file.path().filename().string(), read_text(file.path()));
    }

    const Finished proved = run_to_end(
        {.argv = {"pg_prove", "--ext", ".sql", "--host", server().socket_folder().string(), "--port",
                  std::to_string(server().port()), "--username", "postgres", "--dbname", database(), tests.string()}},
        folder());

    EXPECT_TRUE(proved.status.clean()) << proved.output;
    EXPECT_NE(proved.output.find("Result: PASS"), std::string::npos) << proved.output;
}

}  // namespace
}  // namespace runledger::test
