// The look-ups in PostgreSQL: which silent runs are to be looked up, which daemon does it, and the result.
//
// Each function is one short transaction; none is open while the provider is called. A run is leased by one daemon at a
// time; a report is stored whoever holds the lease, since one answer has its effect once, unless its run was forgotten
// or removed meanwhile. Owned by one thread. Every function throws what pqxx throws, and CommitDoubtful: then
// disconnect(), wait, and do it again.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/database/transaction.hpp"
#include "daemon/reconcile/provider_report.hpp"
#include "daemon/reconcile/settings.hpp"

namespace runledger {

struct LeasedLookup {
    std::string run_id;
    unsigned attempts{};              // This one included.
    std::chrono::milliseconds age{};  // Since its silence was noticed.
    unsigned cancelled{};             // How often PostgreSQL cancelled the statement that stores its report.
};

// A look-up that found no ending.
struct Postponed {
    std::string run_id;
    std::optional<std::chrono::milliseconds> delay;  // Nothing: never again.
    bool gives_attempt_back{false};                  // The provider was not asked after all.
    std::string provider_status{};                   // Empty: it told none.
    std::string error{};                             // Empty: it told a status.
};

// What became of a report.
enum class ReportFate : std::uint8_t {
    stored,
    known,     // This answer was stored already.
    too_late,  // Its run was forgotten while it was being looked up, or retention has removed it: nothing is kept.
};

// One that did.
struct Reported {
    std::string run_id;
    ProviderReport report;
};

// Joins the outputs of a report that is in provider_reports with those that are stored, in this schema or in one with
// the same tables.
void write_report_outputs(const Statements& work, const std::string& run_id, const ProviderReport& report,
                          std::string_view schema = "runledger");

class Lookups {
public:
    struct Options {
        std::string uri;
        std::string lease_owner;  // Names the daemon's process, and no other for ever.
        std::chrono::milliseconds lease{};
        ReconcileSettings::Silence silence;
        std::chrono::milliseconds lookback{};  // Runs that have been silent for longer are left alone.
    };

    explicit Lookups(Options options);
    // From the next transaction on. `uri` and `lease_owner` stay as they are.
    void change(Options options);

    // Removes runs that are no longer silent, adds runs that have become so, and leases up to `count_max` that are due.
    [[nodiscard]] std::vector<LeasedLookup> lease(std::size_t count_max);

    void postpone(const Postponed& postponed);

    // Stores the report and ends the run with it, unless a webhook did. Waits while somebody is being forgotten.
    [[nodiscard]] ReportFate store(const Reported& reported);

    void disconnect() noexcept { database_.disconnect(); }
    // As Database's.
    [[nodiscard]] bool give_up(const std::exception& error) noexcept { return database_.give_up(error); }
    // For an orderly shutdown: from now on no statement may take longer.
    void hurry(std::chrono::milliseconds statement_timeout) noexcept;

private:
    // Where a walk through an index has come to; the next look goes on from there. It begins anew at the end, and when
    // the daemon starts.
    struct Place {
        std::string at{"-infinity"};
        std::string id{};
    };
    // False: that was the end.
    static bool move_on(Place& place, const pqxx::result& last, int rows_max);
    void enrol(const Statements& work);

    Options options_;
    Database database_;
    TransactionBounds bounds_;
    Place lookups_walk_{};
    Place generations_walk_{.id = "0"};    // Around and around: what was put where the other has passed.
    Place generations_newest_{.id = "0"};  // Once: what becomes due.
};

}  // namespace runledger
