// `runledger events`: searches the stored events, and follows those that are being stored.
//
// Reads one day's partition at a time, the newest first, and stops as soon as no earlier day can have a newer event.
// Shows what the columns say, and no body: `explain` and SQL do. Changes nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Segment, batch, index.
using StoredEventName = std::tuple<std::string, std::int64_t, std::int64_t>;

// Must outlive the app's parsing, which writes into it.
class EventsCli {
public:
    explicit EventsCli(CLI::App& app);
    EventsCli(const EventsCli&) = delete;
    EventsCli& operator=(const EventsCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Returns exit_yes, or exit_no if no event fits. With --follow it ends only by a signal, or with what pqxx throws.
    // Throws Misused for times that can't be read.
    int run(const std::string& postgres_uri, Output& out);

private:
    [[nodiscard]] std::vector<pqxx::row> find(const Statements& work) const;
    [[nodiscard]] std::vector<pqxx::row> find_day_by_day(const Statements& work) const;
    // What of the last minute is stored by now, so that follow() shows the rest.
    struct Seen {
        std::string since;                // ISO 8601, of applied_at.
        std::set<StoredEventName> names;  // Of the events since then.
    };
    [[nodiscard]] Seen look(const Statements& work, const std::string& since,
                            const std::function<void(const pqxx::row&)>& each) const;
    [[noreturn]] void follow(Database& database, Seen seen, Output& out) const;

    std::string run_id_;
    std::vector<std::string> statuses_;
    std::string edge_;
    std::string from_;
    std::string to_;
    int count_max_{100};
    bool follow_{false};
    CLI::App* command_;
};

}  // namespace runledger::tool
