#include <gmock/gmock.h>

#include "tests/oracle/oracle.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Three runs of one chat: one image, two images, a failure; and one without a chat.
class MessageCheck : public testing::Test {
protected:
    std::vector<RunPlan> runs_;
    Ledger ledger_;
    std::vector<BotCall> calls_;
    std::int64_t next_message_{1};

    void SetUp() override {
        add_run("r1", 42, "success", 1);
        add_run("r2", 42, "success", 2);
        add_run("r3", 42, "failed", 0);
        add_run("r4", std::nullopt, "success", 1);
        call("sendPhoto", {{"photo", "https://pictures/r1-0.png"}});
        call("sendMediaGroup",
             {{"media", R"([{"media":"https://pictures/r2-0.png"},{"media":"https://pictures/r2-1.png"}])"}});
        call("sendMessage", {{"text", "failed while Executing KSampler (71 %)"}});
    }

    void add_run(const std::string& id, std::optional<std::int64_t> chat, const std::string& ending, int images) {
        RunPlan run{.run_id = id, .chat_id = chat, .rate = {.amount = "1", .unit = "run", .currency = "USD"}};
        PlannedEvent event{.status = ending, .body = "end of " + id};
        for (int i = 0; i < images; ++i) {
            event.outputs.push_back(run.outputs.size());
            const std::string name = id + "-" + std::to_string(i);
            run.outputs.push_back({.id = name, .urls = {"https://pictures/" + name + ".png"}});
        }
        ledger_.events.push_back({.run_id = id, .status = ending, .body = event.body});
        run.events.push_back(std::move(event));
        runs_.push_back(std::move(run));
    }

    BotCall& call(std::string method, std::map<std::string, std::string> texts, std::string chat = "42") {
        BotCall made;
        made.method = std::move(method);
        made.chat_id = std::move(chat);
        made.fields.texts = std::move(texts);
        made.accepted = true;
        made.message_ids = {next_message_++};
        calls_.push_back(std::move(made));
        return calls_.back();
    }

    Findings findings(const MessageRules& rules = {}) const { return check_messages(runs_, ledger_, calls_, rules); }
};

TEST_F(MessageCheck, IsSilentWhereEachRunIsToldOfOnce) { EXPECT_THAT(findings(), IsEmpty()); }

TEST_F(MessageCheck, FindsAPictureThatIsMissing) {
    calls_.erase(calls_.begin());
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("0 messages with https://pictures/r1-0.png")));
}

TEST_F(MessageCheck, FindsAPictureThatCameTwiceUnlessThatIsAllowed) {
    call("sendPhoto", {{"photo", "https://pictures/r1-0.png"}});
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("2 messages with https://pictures/r1-0.png")));
    EXPECT_THAT(findings({.duplicates_allowed = true}), IsEmpty());
}

TEST_F(MessageCheck, DoesNotCountWhatTheApiRefused) {
    BotCall& refused = call("sendPhoto", {{"photo", "https://pictures/r1-0.png"}});
    refused.accepted = false;
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(MessageCheck, FindsTheWrongMethodUnlessItFellBack) {
    calls_[0].method = "sendDocument";
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("sendDocument for https://pictures/r1-0.png, not sendPhoto")));
    EXPECT_THAT(findings({.fallbacks_allowed = true}), IsEmpty());
}

TEST_F(MessageCheck, TakesSomeOfThePicturesForAllWhereTheRestMayHaveComeLater) {
    calls_[1].method = "sendPhoto";
    calls_[1].fields.texts = {{"photo", "https://pictures/r2-1.png"}};
    ASSERT_FALSE(findings().empty());

    // A late progress event ended the run while one output was known already.
    for (PlannedEvent event : {PlannedEvent{.status = "success", .body = "late"},
                               PlannedEvent{.status = "running", .body = "output", .outputs = {1}}}) {
        ledger_.events.push_back({.run_id = "r2", .status = event.status, .body = event.body});
        runs_[1].events.push_back(std::move(event));
    }

    EXPECT_THAT(findings(), IsEmpty());
    calls_.erase(calls_.begin() + 1);
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("0 messages with https://pictures/r2-0.png")));
}

TEST_F(MessageCheck, FindsAFailureThatNobodyWasToldOf) {
    calls_.pop_back();
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("0 messages without a known medium")));
}

TEST_F(MessageCheck, FindsOneMessageTooMany) {
    call("sendMessage", {{"text", "completed"}});
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("2 messages without a known medium")));
    EXPECT_THAT(findings({.follow_ups_allowed = true}), IsEmpty());
}

TEST_F(MessageCheck, FindsAMessageToAChatThatAskedForNothing) {
    call("sendPhoto", {{"photo", "https://pictures/r4-0.png"}}, "43");
    EXPECT_THAT(findings(), ElementsAre(HasSubstr("chat 43: 1 messages where none is due")));
}

TEST_F(MessageCheck, ForgetsAProgressMessageThatWasDeleted) {
    const std::int64_t id = call("sendMessage", {{"text", "running"}}).message_ids.front();
    ASSERT_FALSE(findings().empty());

    call("deleteMessage", {{"message_id", std::to_string(id)}}).message_ids.clear();

    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(MessageCheck, ReadsTheStandInsOwnRecord) {
    BotApi api;
    EXPECT_THAT(calls_of_json(api.recorded_json()), IsEmpty());
    EXPECT_THROW((void)calls_of_json("[]"), std::runtime_error);
}

}  // namespace
}  // namespace runledger::test
