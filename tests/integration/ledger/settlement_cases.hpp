// The language of the table of settlement: what happens to a record and its run, step by step, and what its row must
// say in the end.
//
// After each step, whatever is in settle_queue is worked off, as the daemon would: so the order of the steps is the
// order of arrival, and a step that fails to queue its run shows.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"

namespace runledger::test {

class SettlementCases;
using Step = std::function<void(SettlementCases&)>;

struct SettlementCase {
    const char* name;
    std::vector<Step> steps;
    const char* row;                      // status|duration_ms|cost_usd|cost_note|status_reason
    const char* rate = "-|-|-|-";         // gpu|rate_source|rate_amount|rate_unit, of the last settlement.
    const char* audit = "settled";        // The outcomes in their order.
    const char* told = "ending:pending";  // The notifications.
};

inline void PrintTo(const SettlementCase& c, std::ostream* out) { *out << c.name; }

class SettlementCases : public Ledger, public testing::WithParamInterface<SettlementCase> {
public:
    SettlementCases() : Ledger(DatabaseOf::the_suite) {}

    void receive(const EventText& event, std::int64_t at_us, std::uint8_t boot, bool redelivered) {
        const MadeBatch batch({segment(0xDD), batches_++}, {{event_text(event), at_us, redelivered}}, boot);
        apply({&batch});
        work_off_queue();
    }
    void insert(const std::string& metadata) {
        insert_metadata(metadata);
        work_off_queue();
    }
    void execute(const std::string& sql) {
        {
            pqxx::work work(db());
            work.exec(sql);
            work.commit();
        }
        work_off_queue();
    }

private:
    void work_off_queue() {
        pqxx::work work(db());
        for (const auto& row : work.exec("SELECT DISTINCT run_id FROM runledger.settle_queue ORDER BY run_id")) {
            const auto outcome = libpqxx::run1(
                work, "SELECT outcome || coalesce(': ' || detail, '') FROM runledger.settle_run($1, '3 s', '7 days')",
                row[0].as<std::string>())[0];
            EXPECT_FALSE(outcome.as<std::string>().starts_with("failed")) << outcome.as<std::string>();
        }
        work.exec("DELETE FROM runledger.settle_queue");
        work.commit();
    }

    std::uint64_t batches_{0};
};

// What can happen. The default record costs 0.001 USD a second and tells chat 42.
struct When {
    std::int64_t at_us{0};
    std::uint8_t boot{1};
    bool redelivered{false};
};
inline constexpr std::int64_t second_us = 1'000'000;
inline constexpr const char* priced = R"("costRate": {"amount": 0.001, "currency": "USD", "unit": "second"})";

inline Step event(const char* status, const When& when, EventText text = {}) {
    text.status = status;
    return [=](SettlementCases& test) { test.receive(text, when.at_us, when.boot, when.redelivered); };
}
inline Step running(const When& when = {}) { return event("running", when); }
inline Step success(const When& when = {.at_us = 10 * second_us}) {
    return event("success", when, {.outputs = "[" + picture("a") + "]"});
}
inline Step record(const std::string& members = priced) {
    return [=](SettlementCases& test) {
        test.insert(
            fmt::format(R"({{"run_id": "run-1", "telegramChatId": 42{}{}}})", members.empty() ? "" : ", ", members));
    };
}
inline Step rate(const std::string& amount, const std::string& unit = "second", const std::string& currency = "USD") {
    return record(
        fmt::format(R"("costRate": {{"amount": {}, "currency": "{}", "unit": "{}"}})", amount, currency, unit));
}
inline Step merge(const std::string& members) {
    return [=](SettlementCases& test) {
        test.execute(fmt::format("UPDATE runledger.generations SET metadata = metadata || '{}' WHERE id = 1", members));
    };
}
inline Step sql(const std::string& statement) {
    return [=](SettlementCases& test) { test.execute(statement); };
}

inline constexpr const char* at_0001 = "-|metadata|0.001|second";

// Ten seconds at 0.001: what every order of arrival must come to.
inline constexpr const char* ten_seconds = "completed|10000.000|0.010000000000|-|-";

}  // namespace runledger::test
