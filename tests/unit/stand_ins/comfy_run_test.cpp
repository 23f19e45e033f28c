#include "tests/stand_ins/comfy_run.hpp"

#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include <set>
#include <variant>

#include "common/event.hpp"
#include "common/limits.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

std::vector<std::string> bodies_of(const std::vector<RunPlan>& runs) {
    std::vector<std::string> bodies;
    for (const RunPlan& run : runs) {
        for (const PlannedEvent& event : run.events) {
            bodies.push_back(event.body);
        }
    }
    return bodies;
}

// Every habit so often that each shows within few runs.
RunOptions wild() {
    RunOptions options{.seed = 7, .runs = 300};
    options.habits.odd_output = 0.3;
    options.habits.odd_body = 0.2;
    options.habits.odd_rate = 0.3;
    options.habits.conflicting_ending = 0.2;
    return options;
}

TEST(PlannedRuns, AreTheSameForTheSameSeedAndOthersForAnother) {
    const auto once = bodies_of(make_runs({.seed = 7, .runs = 50}));

    EXPECT_EQ(once, bodies_of(make_runs({.seed = 7, .runs = 50})));
    EXPECT_NE(once, bodies_of(make_runs({.seed = 8, .runs = 50})));
}

// The part of a body that makes it unique, whatever else is in it.
std::string mark_of(const std::string& body) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseNanAndInfFlag>(body.c_str());
    if (document.HasParseError()) {
        return body;  // An odd output's lone surrogate: beyond this parser, and unique by its output.
    }
    return document[document.HasMember("marker") ? "marker" : "progress"].GetString();
}

TEST(PlannedRuns, MarkEachEventThatIsNoCopyInItsProgress) {
    RunOptions options = wild();
    options.habits.repeated = 0;
    for (const RunPlan& run : make_runs(options)) {
        std::set<std::string> marks;
        for (const PlannedEvent& event : run.events) {
            EXPECT_TRUE(marks.insert(mark_of(event.body)).second) << event.body;
        }
    }
}

TEST(PlannedRuns, AreAllAcceptedByTheDecoderAndSayWhatThePlanSays) {
    for (const RunPlan& run : make_runs(wild())) {
        for (const PlannedEvent& planned : run.events) {
            const DecodeResult decoded = decode_event(planned.body);

            ASSERT_TRUE(std::holds_alternative<Event>(decoded)) << planned.body;
            EXPECT_EQ(std::get<Event>(decoded).run_id, run.run_id);
            EXPECT_EQ(std::get<Event>(decoded).status_word, planned.status);
            EXPECT_EQ(std::get<Event>(decoded).outputs.size(), planned.outputs.size()) << planned.body;
            EXPECT_LE(planned.body.size(), body_bytes_max);
        }
    }
}

TEST(PlannedRuns, KnowWhichOutputsPostgresWillRefuse) {
    int unstorable = 0;
    for (const RunPlan& run : make_runs(wild())) {
        for (const PlannedOutput& output : run.outputs) {
            unstorable += output.storable ? 0 : 1;
        }
    }

    EXPECT_GT(unstorable, 0);
}

TEST(PlannedRuns, ShowEveryHabit) {
    const std::vector<RunPlan> runs = make_runs(wild());
    std::set<Ending> endings;
    std::set<std::string> statuses;
    std::string everything;
    int records_late = 0;
    int empty_terminal_events = 0;
    for (const RunPlan& run : runs) {
        endings.insert(run.ending);
        records_late += run.record_after_events > 0 ? 1 : 0;
        for (const PlannedEvent& event : run.events) {
            statuses.insert(event.status);
            empty_terminal_events += event.status == "success" && event.outputs.empty() && !run.outputs.empty() ? 1 : 0;
            everything += event.body;
        }
        EXPECT_TRUE(std::is_sorted(run.events.begin(), run.events.end(),
                                   [](const auto& a, const auto& b) { return a.due < b.due; }));
    }

    EXPECT_EQ(endings.size(), 5U);
    EXPECT_THAT(statuses, testing::IsSupersetOf({"queued", "started", "running", "uploading", "success", "failed",
                                                 "timeout", "cancelled", "processing"}));
    EXPECT_GT(records_late, 0);
    EXPECT_GT(empty_terminal_events, 0);
    for (const std::string_view sign : {"NaN", "\\ud83d\"", "\\u0000", "1e200000", "run.output", "\"repeat\": true",
                                        "{\"status\"", "{\"outputs\"", "&", "<", ".mp4"}) {
        EXPECT_NE(everything.find(sign), std::string::npos) << sign;
    }
}

TEST(PlannedRuns, ComeInOrderAndOnceWithoutHabits) {
    for (const RunPlan& run : make_runs({.seed = 3, .runs = 100, .habits = Habits::none()})) {
        ASSERT_GE(run.events.size(), 3U);
        EXPECT_EQ(run.events[0].status, "queued");
        EXPECT_EQ(run.events[1].status, "started");
        EXPECT_EQ(run.events[2].status, "running");
        int terminal = 0;
        for (const PlannedEvent& event : run.events) {
            const auto status = find_run_status(event.status);
            terminal += status && is_terminal(*status) ? 1 : 0;
        }
        EXPECT_EQ(terminal, run.ending == Ending::none ? 0 : 1);
        EXPECT_EQ(run.record_after_events, 0U);
    }
}

TEST(PlannedRuns, HaveMetadataThatIsJson) {
    for (const RunPlan& run : make_runs(wild())) {
        rapidjson::Document metadata;
        metadata.Parse(run.metadata().c_str());

        ASSERT_FALSE(metadata.HasParseError()) << run.metadata();
        EXPECT_EQ(metadata["run_id"].GetString(), run.run_id);
        EXPECT_EQ(metadata.HasMember("telegramChatId"), run.chat_id.has_value());
    }
}

TEST(PlannedRuns, WriteASuccessAsTheSenderDoes) {
    const std::string wire =
        read_text(std::string{RUNLEDGER_SOURCE_DIR} + "/tests/data/payloads/wire/08_success_one_image.json");
    const auto keys_of = [](const rapidjson::Value& object) {
        std::vector<std::string> keys;
        for (const auto& member : object.GetObject()) {
            keys.emplace_back(member.name.GetString());
        }
        return keys;
    };
    rapidjson::Document sent;
    sent.Parse(wire.c_str());

    for (const RunPlan& run : make_runs({.seed = 3, .runs = 100, .habits = Habits::none()})) {
        if (run.ending != Ending::success || run.outputs.size() != 1 || run.outputs[0].urls.size() != 1) {
            continue;
        }
        rapidjson::Document made;
        made.Parse(run.events.back().body.c_str());
        ASSERT_FALSE(made.HasParseError());
        EXPECT_EQ(keys_of(made), keys_of(sent));
        EXPECT_EQ(keys_of(made["outputs"][0]), keys_of(sent["outputs"][0]));
    }
}

}  // namespace
}  // namespace runledger::test
