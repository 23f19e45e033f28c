// What a Python sender can write and PostgreSQL's jsonb can't hold: accepted, settled, set aside, and nothing waits.
#include <fmt/format.h>

#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

class OddBodies : public Pipeline {};

struct OddValue {
    const char* name;
    std::string json;
    bool storable;
};

TEST_F(OddBodies, AreAcceptedAndSettledAndNothingBehindThemWaits) {
    start_all();
    const std::vector<OddValue> values{{"nul", R"("a\u0000b")", false},        {"lone-high", R"("\ud83d")", false},
                                       {"lone-low", R"("\ude00")", false},     {"nan", "NaN", false},
                                       {"beyond-double", "1e400", true},       {"beyond-numeric", "1e200000", false},
                                       {"digits", std::string(400, '7'), true}};
    for (const OddValue& odd : values) {
        insert_generation(odd.name, "42");
    }
    insert_generation("behind", "43");

    for (const OddValue& odd : values) {
        EXPECT_EQ(post(fmt::format(R"({{"run_id": "{}", "status": "running", "outputs": []}})", odd.name)), 200);
        EXPECT_EQ(
            post(fmt::format(
                R"({{"outputs": [{{"id": "o", "data": {{"text": [{}]}}}}], "status": "success", "run_id": "{}"}})",
                odd.json, odd.name)),
            200)
            << odd.name;
    }
    EXPECT_EQ(post(R"({"run_id": "behind", "status": "running"})"), 200);
    EXPECT_EQ(post(R"({"run_id": "behind", "status": "failed"})"), 200);

    eventually("every run is settled", [&] {
        return value("SELECT count(*) FROM runledger.generations WHERE status = 'completed' AND cost_usd > 0") ==
                   std::to_string(values.size()) &&
               value("SELECT status FROM runledger.generations WHERE run_id = 'behind'") == "failed";
    });
    for (const OddValue& odd : values) {
        EXPECT_EQ(value(fmt::format("SELECT count(*) FROM runledger.quarantine WHERE run_id = '{}'", odd.name)),
                  odd.storable ? "0" : "1")
            << odd.name;
        EXPECT_EQ(value(fmt::format("SELECT count(*) FROM runledger.webhook_events WHERE run_id = '{}'", odd.name)),
                  "2");
    }
    expect_the_books_balance();
}

}  // namespace
}  // namespace runledger::test
