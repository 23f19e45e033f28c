// An empty database, and the operator's tool with a configuration for it: what a DBA works with.
//
// One cluster serves the program; each test has a database of its own. Roles are the cluster's.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/postgres_server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class Dba : public testing::Test {
protected:
    Dba();

    [[nodiscard]] static PostgresServer& server();
    [[nodiscard]] const std::string& database() const { return database_; }
    [[nodiscard]] const TempFolder& folder() const { return folder_; }

    // `runledger --config … <words>`, as the superuser unless another role is named.
    [[nodiscard]] Finished tool(std::vector<std::string> words, std::string_view role = "postgres") const;
    // How long each call of the tool may take.
    void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }
    // The same, with another database.
    [[nodiscard]] Finished tool_of(const std::string& uri, std::vector<std::string> words) const;
    // The same, which must succeed.
    void migrate(std::string_view role = "postgres") const;

    // Statements in a transaction of their own, as the superuser; the single value of a query, "NULL" for NULL.
    void run(const std::string& statements, std::string_view database = "") const;
    [[nodiscard]] std::string value(const std::string& query) const;
    // The run has ended as it says, after two seconds; settle has seen it, with the daemon's rights.
    void end_run(std::string_view run_id, std::string_view status, std::string_view at = "now()") const;

private:
    TempFolder folder_;
    std::string database_;
    std::chrono::milliseconds patience_{std::chrono::minutes{1}};
};

}  // namespace runledger::test
