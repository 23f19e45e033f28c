// The twenty queries of docs/dba.md on a small database that is filled as the benchmark fills its own, so that neither
// can rot.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "tests/integration/views/views_fixture.hpp"
#include "tests/support/benchmark_rows.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::SizeIs;

const std::filesystem::path source_folder{RUNLEDGER_SOURCE_DIR};

std::vector<std::filesystem::path> examples() {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(source_folder / "sql/examples")) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

class Examples : public Views {
protected:
    // What the benchmark's load does not have: something to find for those who look for what went wrong.
    void fill() {
        ASSERT_NO_FATAL_FAILURE(load_benchmark_rows(uri()));
        apply_events({{.body = event_text({.run_id = "nobody's"})}});
        execute(
            "UPDATE runledger.runs SET first_received_at = now() WHERE run_id = 'nobody''s';"
            "UPDATE runledger.runs SET applied_at = now() - interval '1 day' WHERE terminal_status IS NULL;"
            "INSERT INTO runledger.settle_queue (run_id, attempts, last_error) VALUES ('run-1', 3, 'locked')");
    }
};

TEST_F(Examples, AnswerWithoutWritingAnything) {
    fill();
    for (const auto& file : examples()) {
        pqxx::read_transaction work(db());

        EXPECT_THAT(work.exec(read_text(file)), testing::Not(testing::IsEmpty())) << file;
    }
}

TEST_F(Examples, AreTwentyAndEachIsInTheDocument) {
    const std::string document = read_text(source_folder / "docs/dba.md");

    EXPECT_THAT(examples(), SizeIs(20));
    for (const auto& file : examples()) {
        EXPECT_NE(document.find(fmt::format("`{}`", file.stem().string())), std::string::npos) << file;
    }
}

}  // namespace
}  // namespace runledger::test
