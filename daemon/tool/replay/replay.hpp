// `runledger replay --from T --to T --into SCHEMA`: would the stored events give the same ledger again?
//
// Applies stored events once more, to a scratch schema, and compares what comes out with what the ledger says.
//
// Reads the ledger and writes the scratch schema only. What it holds in memory is bounded: some bodies at a time.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "daemon/config.hpp"
#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"
#include "daemon/tool/replay/scratch_schema.hpp"

namespace runledger::tool {

// Of events by their receive time, from `from` up to but not at `to`; as read_time_option gives them.
struct ReplayRange {
    std::string from;
    std::string to;
};

struct ReplaySums {
    std::uint64_t events{0};
    std::uint64_t set_aside{0};  // Events that this build would put into quarantine.
    std::uint64_t reports{0};    // Of the provider, about these runs.
    std::uint64_t runs{0};
    std::uint64_t compared{0};  // Those of which every event lies in the range.
    std::uint64_t differing{0};
    std::string cost_stored;  // US dollars, of the compared ones.
    std::string cost_replayed;
};

// What a run is in the ledger, and in the replay; an empty optional is NULL, or no generation.
struct RunDifference {
    struct Side {
        std::optional<std::string> run_status;
        std::optional<std::string> status;
        std::optional<std::string> duration_ms;
        std::optional<std::string> cost_usd;
        std::optional<std::string> cost_note;
    };
    std::string run_id;
    std::optional<std::string> generation_id;
    std::optional<std::string> application_id;
    std::string generation_name;  // Of both; "-": no generation names the run.
    Side stored;
    Side replayed;
};

// How many events or runs are done, of a number that is not known.
using ReplayProgress = std::function<void(std::string_view doing, std::uint64_t done)>;

// Makes the scratch schema, fills it, and calls `report` for each run that differs. Throws ScratchRefused, and what
// pqxx throws.
[[nodiscard]] ReplaySums replay(Database& database, const ScratchSchema& scratch, const ReplayRange& range,
                                const SettleSettings& settle, const ReplayProgress& progress,
                                const std::function<void(const RunDifference&)>& report);

// Must outlive the app's parsing, which writes into it.
class ReplayCli {
public:
    explicit ReplayCli(CLI::App& app);
    ReplayCli(const ReplayCli&) = delete;
    ReplayCli& operator=(const ReplayCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns exit_yes if every run came out the same, exit_no if one differs.
    int run(const Config& config, Output& out);

private:
    ReplayRange range_;
    std::string into_;
    CLI::App* command_;
};

}  // namespace runledger::tool
