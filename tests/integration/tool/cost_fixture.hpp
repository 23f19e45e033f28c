// The operator's tool beside a ledger whose events and settlements a test makes itself.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class CostTool : public Ledger {
protected:
    CostTool()
        : Ledger(DatabaseOf::the_suite),
          tool_(install_executable(folder_, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger")),
          configuration_(
              folder_.write_file("runledgerd.toml", fmt::format("[postgres]\nuri = \"{}\"\n", owner_uri()))) {}

    // `runledger --config FILE <words>`.
    [[nodiscard]] Finished tool(std::vector<std::string> words) const {
        words.insert(words.begin(), {tool_.string(), "--config", configuration_.string()});
        return run_to_end({.argv = std::move(words)}, folder_);
    }
    void execute(const std::string& sql) {
        pqxx::work work(db());
        work.exec(sql);
        work.commit();
    }
    // Events, as one batch; then the run is settled, as by a daemon that has worked off its queue.
    void receive(const std::string& run_id, const std::vector<Incoming>& events, std::uint8_t boot = 1) {
        const MadeBatch batch({segment(0xCC), batches_++}, events, boot);
        apply({&batch});
        settle(run_id);
        execute("DELETE FROM runledger.settle_queue");
    }

private:
    TempFolder folder_;
    std::filesystem::path tool_;
    std::filesystem::path configuration_;
    std::uint64_t batches_{0};
};

}  // namespace runledger::test
