// The application's part: it inserts a `generations` row for each run, some of them only after the run's first events.
//
// Invariant: a row is inserted once, however often the database goes away meanwhile. One thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "tests/stand_ins/comfy_run.hpp"
#include "tests/stand_ins/comfy_sender.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {

class GenerationRows {
public:
    // `runs` must outlive this.
    GenerationRows(std::string uri, const std::vector<RunPlan>& runs);

    // All rows that are not for later, a few in a transaction, which is tried again for default_patience.
    void insert_first();
    // For SenderOptions::on_delivered: inserts the rows whose time has come; one that fails is tried again later.
    void on_delivered(const Delivery& delivery);
    // The rows that still wait, even those whose events were never delivered. Throws after the patience.
    void insert_rest(std::chrono::milliseconds patience = default_patience);

private:
    std::string uri_;
    const std::vector<RunPlan>& runs_;
    std::vector<std::size_t> events_met_;
    std::vector<bool> queued_;
    std::deque<std::size_t> waiting_;
    std::unique_ptr<pqxx::connection> connection_;

    void insert(const std::vector<std::size_t>& runs);
    void insert_waiting();
};

}  // namespace runledger::test
