#include <gmock/gmock.h>

#include "tests/oracle/oracle.hpp"

namespace runledger::test {
namespace {

using std::chrono::microseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Stamp at(std::int64_t boottime_us) {
    return {.received_at = WallTime{microseconds{1'000'000'000 + boottime_us}},
            .boottime = BootTime{microseconds{boottime_us}}};
}

// One run of two events: the first was refused as POST and accepted as GET, the second accepted at once.
class EventCheck : public testing::Test {
protected:
    std::vector<RunPlan> runs_{
        {.run_id = "r1", .events = {{.status = "running", .body = "first"}, {.status = "success", .body = "second"}}}};
    std::vector<Delivery> deliveries_{
        {.run = 0,
         .event = 0,
         .tries = {{.before = at(100), .after = at(200), .as_get = false, .status = 503},
                   {.before = at(300), .after = at(400), .as_get = true, .status = 200}}},
        {.run = 0, .event = 1, .tries = {{.before = at(500), .after = at(600), .as_get = false, .status = 200}}}};
    Ledger ledger_;

    static StoredEvent row(std::string body, std::string status, std::int64_t boottime_us, bool redelivered) {
        static int number = 0;
        return {.segment = "s",
                .batch_number = ++number,
                .event_index = 0,
                .received_at_us = 1'000'000'000 + boottime_us,
                .boot_id = "b",
                .boottime_us = boottime_us,
                .redelivered = redelivered,
                .run_id = "r1",
                .status = std::move(status),
                .body = std::move(body)};
    }

    void SetUp() override {
        ledger_.events = {row("first", "running", 350, true), row("second", "success", 550, false)};
    }
    Findings findings(const EventRules& rules = {}) const { return check_events(runs_, deliveries_, ledger_, rules); }
};

TEST_F(EventCheck, IsSilentWhereAllIsThereOnce) { EXPECT_THAT(findings(), IsEmpty()); }

TEST_F(EventCheck, AllowsAnEventThatWasStoredThoughItWasRefused) {
    ledger_.events.push_back(row("first", "running", 150, false));
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(EventCheck, FindsAnAcceptedEventThatIsLost) {
    ledger_.events.pop_back();
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("answered 2xx 1 times and is stored 0 times")));
}

TEST_F(EventCheck, TakesQuarantineForStored) {
    ledger_.events.pop_back();
    ledger_.quarantined = {"event", "frame… second …"};
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(EventCheck, FindsAnEventThatIsStoredTwice) {
    ledger_.events.push_back(row("second", "success", 560, false));
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("tried 1 times and is stored 2 times")));
}

TEST_F(EventCheck, FindsANameThatIsUsedTwice) {
    ledger_.events.push_back(ledger_.events.front());
    ledger_.events.back().body = "first";
    EXPECT_THAT(findings(), testing::Contains(HasSubstr("stored twice")));
}

TEST_F(EventCheck, FindsWhatWasNeverSent) {
    ledger_.events.push_back(row("third", "success", 560, false));
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("never sent: third")));
}

TEST_F(EventCheck, FindsAWrongRunOrStatus) {
    ledger_.events[1].run_id = "r2";
    ledger_.events[1].status = "failed";
    EXPECT_THAT(findings(), testing::UnorderedElementsAre(HasSubstr("its body is of run r1"),
                                                          HasSubstr("status is failed, not success")));
}

TEST_F(EventCheck, FindsAStampFromOutsideEveryTry) {
    ledger_.events[1].boottime_us = 700;
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("is within no POST")));
}

TEST_F(EventCheck, FindsAGetThatIsNotMarkedAsRedelivered) {
    ledger_.events[0].redelivered = false;
    EXPECT_THAT(findings(), testing::Contains(HasSubstr("a GET was answered 2xx 1 times and is stored 0 times")));
}

TEST_F(EventCheck, KnowsNoEndOfATryThatWasNotAnswered) {
    deliveries_[0].tries[0].status = 0;
    ledger_.events.push_back(row("first", "running", 5'000, false));
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(EventCheck, CanDoWithoutTheWallClock) {
    ledger_.events[1].received_at_us += 3'600'000'000;
    EXPECT_FALSE(findings().empty());
    EXPECT_THAT(findings({.wall_clock_is_steady = false}), IsEmpty());
}

}  // namespace
}  // namespace runledger::test
