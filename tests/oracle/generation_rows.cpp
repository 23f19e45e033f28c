#include "tests/oracle/generation_rows.hpp"

#include <algorithm>
#include <utility>

#include "daemon/database/libpqxx.hpp"
#include "tests/support/postgres_server.hpp"

namespace runledger::test {

GenerationRows::GenerationRows(std::string uri, const std::vector<RunPlan>& runs)
    : uri_(std::move(uri)), runs_(runs), events_met_(runs.size(), 0), queued_(runs.size(), false) {}

void GenerationRows::insert(const std::vector<std::size_t>& runs) {
    if (!connection_ || !connection_->is_open()) {
        connection_ = connect_to(uri_);
    }
    pqxx::work work(*connection_);
    for (const std::size_t run : runs) {
        // Unique by run_id: a first attempt whose COMMIT was in doubt may have inserted it.
        libpqxx::run(work,
                     "INSERT INTO runledger.generations (metadata) SELECT $1::pg_catalog.jsonb WHERE NOT "
                     "EXISTS (SELECT FROM runledger.generations WHERE run_id OPERATOR(pg_catalog.=) $2)",
                     runs_[run].metadata(), runs_[run].run_id);
    }
    work.commit();
}

void GenerationRows::insert_first() {
    std::vector<std::size_t> first;
    for (std::size_t run = 0; run < runs_.size(); ++run) {
        if (runs_[run].record_after_events == 0) {
            queued_[run] = true;
            first.push_back(run);
        }
    }
    // A large transaction that is SERIALIZABLE, beside others, might be refused each time.
    constexpr std::size_t at_once = 20;
    for (std::size_t i = 0; i < first.size(); i += at_once) {
        const std::vector<std::size_t> some(
            first.begin() + static_cast<std::ptrdiff_t>(i),
            first.begin() + static_cast<std::ptrdiff_t>(std::min(i + at_once, first.size())));
        eventually("the application's first records are inserted", [&] {
            try {
                insert(some);
            } catch (...) {
                connection_.reset();
                throw;
            }
            return true;
        });
    }
}

void GenerationRows::on_delivered(const Delivery& delivery) {
    ++events_met_[delivery.run];
    if (!queued_[delivery.run] && events_met_[delivery.run] >= runs_[delivery.run].record_after_events) {
        queued_[delivery.run] = true;
        waiting_.push_back(delivery.run);
    }
    try {
        insert_waiting();
    } catch (const pqxx::failure&) {
        // The database is away, as fault tests make it: the row waits for the next event, or for insert_rest().
    }
}

void GenerationRows::insert_waiting() {
    try {
        while (!waiting_.empty()) {
            insert({waiting_.front()});
            waiting_.pop_front();
        }
    } catch (...) {
        connection_.reset();  // Whatever it was, the next attempt begins with a new connection.
        throw;
    }
}

void GenerationRows::insert_rest(std::chrono::milliseconds patience) {
    for (std::size_t run = 0; run < runs_.size(); ++run) {
        if (!queued_[run]) {
            queued_[run] = true;
            waiting_.push_back(run);
        }
    }
    eventually(
        "the application's records are inserted",
        [this] {
            insert_waiting();
            return true;
        },
        patience);
}

}  // namespace runledger::test
