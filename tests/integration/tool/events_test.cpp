// `runledger events`: what it finds, in which order, and which partitions it leaves alone.
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include <sstream>

#include "tests/integration/tool/ledger_tool_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Events : public LedgerTool {
protected:
    // Two runs, in the order of their receive times; all of them are applied now.
    void receive() {
        apply_events({{event_text({.run_id = "b", .status = "running"}), 1'000'000},
                      {event_text({.run_id = "a", .status = "queued"}), 0},
                      {event_text({.run_id = "a",
                                   .status = "success",
                                   .outputs = R"([{"id": "x", "url": "https://h/p.png?sig=SESAME"}])"}),
                       2'000'000, true}});
    }
    // "run status" of each line.
    [[nodiscard]] std::vector<std::string> found(std::vector<std::string> words, int code = 0) const {
        words.insert(words.begin(), "events");
        words.emplace_back("--json");
        std::istringstream lines(tool_says(words, code));
        std::vector<std::string> events;
        for (std::string line; std::getline(lines, line);) {
            rapidjson::Document object;
            object.Parse(line.c_str());
            events.push_back(std::string(object["run_id"].GetString()) + " " + object["status"].GetString());
        }
        return events;
    }
    // A partition for a day on which events were applied, and one event in it, received so many seconds after the
    // epoch.
    void event_of_day(const std::string& day, const std::string& run_id, const std::string& received_at) {
        sql("SELECT runledger.make_event_day('" + day + "')");
        sql("INSERT INTO runledger.webhook_events (applied_at, segment_id, batch_number, event_index, edge, "
            "received_at, boot_id, boottime_us, redelivered, run_id, event_type, status, body) VALUES ('" +
            day + " 12:00Z', gen_random_uuid(), 0, 0, 'edge-2', '" + received_at + "', gen_random_uuid(), 0, false, '" +
            run_id + "', 'run.updated', 'running', '{}')");
    }
};

TEST_F(Events, ShowsThemInTheOrderOfTheirReceiptWithoutAnyBody) {
    receive();

    EXPECT_THAT(found({}), ElementsAre("a queued", "b running", "a success"));
    EXPECT_THAT(tool_says({"events"}), AllOf(HasSubstr("2025-08-29T02:35:38.000000Z"), HasSubstr("redelivered"),
                                             HasSubstr("3 events"), Not(HasSubstr("SESAME")), Not(HasSubstr("https"))));
}

TEST_F(Events, AreFoundByRunStatusEdgeAndTime) {
    receive();

    EXPECT_THAT(found({"--run", "a"}), ElementsAre("a queued", "a success"));
    EXPECT_THAT(found({"--run", "a", "--status", "queued"}), ElementsAre("a queued"));
    EXPECT_THAT(found({"--status", "queued", "--status", "running"}), ElementsAre("a queued", "b running"));
    EXPECT_THAT(found({"--edge", "edge-1"}).size(), 3);
    EXPECT_THAT(found({"--edge", "edge-9"}, 3), IsEmpty());
    EXPECT_THAT(found({"--from", "2025-08-29T02:35:39Z"}), ElementsAre("b running", "a success"));
    EXPECT_THAT(found({"--from", "2025-08-29T02:35:39Z", "--to", "2025-08-29T02:35:40Z"}), ElementsAre("b running"));
    EXPECT_THAT(found({"--limit", "2"}), ElementsAre("b running", "a success"));
    EXPECT_THAT(found({"--run", "a", "--limit", "1"}), ElementsAre("a success"));
    EXPECT_THAT(tool_says({"events", "--limit", "2"}), HasSubstr("2 events (--limit; there may be earlier ones)"));
}

TEST_F(Events, OfALongWaitInASpoolStandWhereTheyWereReceived) {
    event_of_day("2025-09-10", "late", "2025-09-01 00:00Z");
    event_of_day("2025-09-05", "early", "2025-09-05 11:59Z");

    EXPECT_THAT(found({}), ElementsAre("late running", "early running"));
    EXPECT_THAT(found({"--limit", "1"}), ElementsAre("early running"));
    EXPECT_THAT(found({"--from", "2025-09-05"}), ElementsAre("early running"));
    EXPECT_THAT(found({"--to", "2025-09-05"}), ElementsAre("late running"));
}

TEST_F(Events, OfADayWithoutPartitionAreFoundToo) {
    sql("INSERT INTO runledger.webhook_events (applied_at, segment_id, batch_number, event_index, edge, received_at, "
        "boot_id, boottime_us, redelivered, run_id, event_type, status, body) VALUES ('2025-01-01 12:00Z', "
        "gen_random_uuid(), 0, 0, 'edge-2', '2025-01-01 12:00Z', gen_random_uuid(), 0, false, 'old', 'run.updated', "
        "'running', '{}')");

    EXPECT_THAT(found({}), ElementsAre("old running"));
}

// A lock on a partition that is left out is not waited for.
TEST_F(Events, OfOtherDaysAreNotRead) {
    event_of_day("2025-09-01", "old", "2025-09-01 11:00Z");
    event_of_day("2025-09-10", "new", "2025-09-10 11:00Z");
    const auto other = another_connection();
    pqxx::work work(*other);
    work.exec("LOCK TABLE runledger.webhook_events_20250901 IN ACCESS EXCLUSIVE MODE");

    EXPECT_THAT(found({"--limit", "1"}), ElementsAre("new running"));
    EXPECT_THAT(found({"--from", "2025-09-09"}), ElementsAre("new running"));
}

TEST_F(Events, AreFollowedAsTheyAreStored) {
    TempFolder folder;
    const auto output = folder / "followed";
    receive();
    static_cast<void>(tool_says({"events"}));
    ChildProcess follower({.argv = command({"events", "--follow", "--status", "running"}), .output = output});
    eventually("it shows what there is", [&] { return read_text(output).find("b  ") != std::string::npos; });

    // One that has waited in a spool for weeks, and one that is left out.
    apply_events({{event_text({.run_id = "c", .status = "running"}), -9'000'000'000'000},
                  {event_text({.run_id = "d", .status = "queued"}), 3'000'000}});

    eventually("it shows what came since", [&] { return read_text(output).find("c  ") != std::string::npos; });
    follower.signal(SIGINT);
    static_cast<void>(follower.wait());
    const std::string shown = read_text(output);
    EXPECT_EQ(shown.find("c  "), shown.rfind("c  ")) << "shown twice\n" << shown;
    EXPECT_EQ(shown.find("b  "), shown.rfind("b  ")) << "shown twice\n" << shown;
    EXPECT_THAT(shown, Not(HasSubstr("queued")));
}

}  // namespace
}  // namespace runledger::test
