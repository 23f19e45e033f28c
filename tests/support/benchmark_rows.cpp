#include "tests/support/benchmark_rows.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/postgres_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

void load_benchmark_rows(const std::string& uri) {
    const TempFolder folder;
    // Copies, since psql may run as somebody who can't read this checkout.
    for (const char* const file : {"ten_million_load.sql", "loaded_rows.sql"}) {
        folder.write_file(file, read_text(std::filesystem::path{RUNLEDGER_SOURCE_DIR} / "tests/bench" / file));
    }
    const Finished loaded =
        run_to_end({.argv = {(PostgresServer::bin_folder() / "psql").string(), "-X", "-q", "-d", uri, "-v", "rows=4000",
                             "-f", (folder / "ten_million_load.sql").string()}},
                   folder);
    ASSERT_TRUE(loaded.status.clean()) << loaded.output;
}

}  // namespace runledger::test
