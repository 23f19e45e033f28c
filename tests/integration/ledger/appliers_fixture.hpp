// The daemon's apply stage by itself: a queue as the intake fills it, and some appliers, on a real PostgreSQL.
//
// Owned by the test's thread; the appliers run on their own and are joined in the destructor.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "daemon/ingest/apply.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {

class Appliers {
public:
    // `first`: what is in the queue before they start, so that one turn takes it.
    Appliers(const std::string& uri, unsigned count, const ApplyTuning& tuning = {},
             std::initializer_list<const MadeBatch*> first = {});
    ~Appliers();
    Appliers(const Appliers&) = delete;
    Appliers& operator=(const Appliers&) = delete;

    // As the daemon's end.
    void stop();
    // As an edge's message that comes in.
    void offer(const MadeBatch& batch);
    // The batches that were answered `committed` so far.
    [[nodiscard]] const std::set<BatchName>& committed();
    void wait_for(std::size_t batches, std::chrono::milliseconds patience = std::chrono::seconds{60});
    [[nodiscard]] const ApplyCounters& counters() const { return counters_; }

private:
    ApplyCounters counters_;
    IntakeQueue queue_;
    Wakeup stop_;
    Wakeup settle_;
    std::set<BatchName> committed_;
    std::vector<std::unique_ptr<Applier>> appliers_;
    std::vector<std::thread> threads_;
};

// Where `server()` stands in its log, to tell what is said from here on.
[[nodiscard]] std::size_t log_mark(const PostgresServer& server);
[[nodiscard]] bool log_says(const PostgresServer& server, std::size_t since, std::string_view words);

}  // namespace runledger::test
