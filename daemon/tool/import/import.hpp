// `runledger import`: makes generations of the documents of a document store, a line each, and goes on with what comes.
//
// What becomes of a document is runledger.import_document's, in SQL. Some lines are one transaction, which also stores
// how far the file was read: so a restart goes on where the last one was committed. A document is known by its _id, so
// reading a line twice does no harm.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class ImportCli {
public:
    explicit ImportCli(CLI::App& app);
    ImportCli(const ImportCli&) = delete;
    ImportCli& operator=(const ImportCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }

    // Returns exit_yes, or exit_no if some lines were refused or left. With --follow and a file it returns only by an
    // exception. Throws std::runtime_error with --strict at the first line that can't be imported; what pqxx throws.
    int run(const std::string& postgres_uri, Output& out) const;

private:
    std::string file_;
    std::string source_;
    bool follow_{false};
    bool again_{false};
    bool strict_{false};
    std::vector<std::string> requested_at_{
        "requestTimestamp"};  // Keys of a document; the first that is not null counts.
    std::vector<std::string> ended_at_{"responseTimestamp"};
    CLI::App* command_;
};

}  // namespace runledger::tool
