// Webhooks about groups that have ended: one for each end, behind those about the members, however the transactions of
// members and daemons overlap.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <optional>
#include <thread>

#include "daemon/base/json.hpp"
#include "daemon/tell/tell.hpp"
#include "tests/integration/ledger/open_transaction.hpp"
#include "tests/integration/ledger/running_settlers.hpp"
#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/integration/webhooks/webhook_schema.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class WebhookGroup : public WebhookFixture {
protected:
    void SetUp() override {
        WebhookFixture::SetUp();
        settings_.events = {"settled", "group"};
        teller_.emplace(ApplicationSettings{}, daemon_uri(), stop_, tell_counters_);
    }

    struct Member {
        std::string run_id{};
        std::string status{"success"};
        std::string more{};  // Of metadata.
        std::string group{"g"};
    };
    // A generation whose run has ended after 2 s and is not settled yet.
    void insert(const Member& member) {
        execute(fmt::format(
            R"(INSERT INTO runledger.generations (metadata) VALUES ('{{"run_id": "{0}", "groupId": "{3}",
                "costRate": {{"amount": "0.000337", "currency": "USD", "unit": "second"}}{2}}}');
            INSERT INTO runledger.runs (run_id, terminal_status, running_at, running_boot_id, running_boottime_us,
                running_redelivered, finished_at, finished_boot_id, finished_boottime_us, finished_redelivered,
                finished_digest, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest,
                latest_status, first_received_at, event_count)
            SELECT '{0}', '{1}', now() - interval '2 s', boot, 1, false, now(), boot, 2000001, false, 1, now(), boot,
                1, false, 1, '{1}', now(), 2 FROM gen_random_uuid() AS boot)",
            member.run_id, member.status, member.more, member.group));
    }
    static std::string settling(const std::string& run_id) {
        return "SELECT outcome FROM runledger.settle_run('" + run_id + "', '0', '7 days')";
    }
    void settle_member(const Member& member) {
        insert(member);
        execute(settling(member.run_id));
    }
    // Three members, one of which failed.
    void three_end() {
        settle_member({.run_id = "r-1", .more = R"(, "groupSize": 3, "accountId": "acme")"});
        settle_member({.run_id = "r-2", .status = "failed"});
        settle_member({.run_id = "r-3"});
    }
    // A look of the tell stage.
    [[nodiscard]] bool look() { return teller_->turn(); }

    [[nodiscard]] std::vector<ReceivedWebhook> told_ends() const { return receiver_.accepted_with("group.ended"); }
    [[nodiscard]] std::vector<std::int64_t> endings() const {
        std::vector<std::int64_t> numbers;
        for (const ReceivedWebhook& webhook : told_ends()) {
            numbers.push_back(held_to_schema(webhook.body)["data"]["ending"].GetInt64());
        }
        return numbers;
    }
    [[nodiscard]] std::string ends_in_outbox() {
        return value("SELECT count(*) FROM runledger.notifications WHERE kind = 'group'");
    }

    Wakeup stop_;
    TellCounters tell_counters_;
    std::optional<Teller> teller_;
};

TEST_F(WebhookGroup, ThatHasEndedIsPostedOnceWithItsSums) {
    start_sender();
    three_end();
    EXPECT_TRUE(look());
    EXPECT_TRUE(look());
    all_are_delivered();

    ASSERT_THAT(told_ends(), SizeIs(1));
    const ReceivedWebhook webhook = told_ends().front();
    EXPECT_TRUE(is_signed_with(webhook, secret_text));
    const JsonDocument body = held_to_schema(webhook.body);
    EXPECT_STREQ(body["type"].GetString(), "group.ended");
    const auto& data = body["data"];
    EXPECT_STREQ(data["group_id"].GetString(), "g");
    EXPECT_STREQ(data["account_id"].GetString(), "acme");
    EXPECT_EQ(data["group_size"].GetInt(), 3);
    EXPECT_EQ(data["priced"].GetInt(), 2);
    EXPECT_STREQ(data["cost"].GetString(), "0.001348000000");
    EXPECT_STREQ(data["duration_ms"].GetString(), "6000.000");
    // The rest is what the view says.
    EXPECT_EQ(fmt::format("{} {} {} {} {} {} {} {} {}", data["runs"].GetInt(), data["completed"].GetInt(),
                          data["failed"].GetInt(), data["cancelled"].GetInt(), data["priced"].GetInt(),
                          data["unpriced"].GetInt(), data["cost"].GetString(), data["first_requested_at"].GetString(),
                          data["last_finished_at"].GetString()),
              value("SELECT concat_ws(' ', runs, completed, failed, cancelled, priced, unpriced, cost_usd, "
                    "runledger.utc_text(first_request_at), runledger.utc_text(last_ended_at)) "
                    "FROM runledger.group_costs_v1"));
    EXPECT_EQ(body["timestamp"].GetString(), value("SELECT runledger.utc_text(told_at) FROM runledger.group_costs_v1"));
}

// Else each look would ask again whether it must still wait.
TEST_F(WebhookGroup, IsNotLookedAtWhileAMemberIsPutOff) {
    receiver_.script({.answer = {.status = 401}, .times = -1, .mention = R"("r-2")"});
    start_sender();
    three_end();
    EXPECT_TRUE(look());

    eventually("it waits for as long as its member", [&] {
        return value(
                   "SELECT coalesce(bool_or(of_group.not_before = member.not_before), false) FROM "
                   "runledger.notifications AS member CROSS JOIN runledger.notifications AS of_group "
                   "WHERE member.run_id = 'r-2' AND member.state = 'pending' AND of_group.kind = 'group'") == "t";
    });
    receiver_.clear_script();
    all_are_delivered();
    EXPECT_THAT(told_ends(), SizeIs(1));
}

TEST_F(WebhookGroup, SaysNoCostAndNoAccountWhereThereIsNone) {
    start_sender();
    settle_member({.run_id = "r-1", .status = "cancelled", .more = R"(, "accountId": "a")"});
    settle_member({.run_id = "r-2", .more = R"(, "accountId": "b", "costRate": {"amount": "no number"})"});
    EXPECT_TRUE(look());
    all_are_delivered();

    const JsonDocument body = held_to_schema(told_ends().at(0).body);
    EXPECT_TRUE(body["data"]["account_id"].IsNull()) << "they name two";
    EXPECT_TRUE(body["data"]["group_size"].IsNull());
    EXPECT_TRUE(body["data"]["cost"].IsNull());
    EXPECT_EQ(body["data"]["unpriced"].GetInt(), 1) << "the cancelled one is not charged";
}

TEST_F(WebhookGroup, IsNotPostedUnlessItIsAskedFor) {
    settings_.events = {"settled", "progress"};
    start_sender();
    three_end();
    EXPECT_TRUE(look());
    all_are_delivered();

    EXPECT_EQ(tell_counters_.groups_told, 1U) << "NOTIFY says it all the same";
    EXPECT_EQ(ends_in_outbox(), "0");
}

TEST_F(WebhookGroup, CanBeAskedForWithoutItsSettlements) {
    settings_.events = {"group"};
    start_sender();
    three_end();
    EXPECT_TRUE(look());
    all_are_delivered();

    EXPECT_THAT(receiver_.accepted(), SizeIs(1));
    EXPECT_THAT(told_ends(), SizeIs(1));
}

TEST_F(WebhookGroup, ThatEndsAgainIsPostedWithAHigherNumber) {
    start_sender();
    settle_member({.run_id = "r-1"});
    EXPECT_TRUE(look());
    insert({.run_id = "late"});
    EXPECT_TRUE(look());
    execute(settling("late"));
    EXPECT_TRUE(look());
    execute("DELETE FROM runledger.generations");
    EXPECT_TRUE(look());
    settle_member({.run_id = "of the same name"});
    EXPECT_TRUE(look());
    all_are_delivered();

    const auto numbers = endings();
    ASSERT_THAT(numbers, SizeIs(3));
    EXPECT_LT(numbers[0], numbers[1]);
    EXPECT_LT(numbers[1], numbers[2]);
    EXPECT_THAT(told_ends()[0].body, HasSubstr(R"("runs": 1)"));
    EXPECT_THAT(told_ends()[1].body, HasSubstr(R"("runs": 2)"));
}

TEST_F(WebhookGroup, IsNotPostedAgainForASettlementThatOnlyChangesTheCost) {
    start_sender();
    settle_member({.run_id = "r-1"});
    EXPECT_TRUE(look());
    settle_again("r-1", "failed");
    EXPECT_TRUE(look());
    all_are_delivered();

    EXPECT_THAT(told_ends(), SizeIs(1));
    EXPECT_THAT(receiver_.accepted_with("resettled"), SizeIs(1));
}

class OverlappingSettlements : public WebhookGroup, public testing::WithParamInterface<bool> {};

TEST_P(OverlappingSettlements, OfTheLastTwoMembersPostOneEnd) {
    start_sender();
    insert({.run_id = "r-1"});
    insert({.run_id = "r-2"});
    Open first(connect_to(daemon_uri()));
    Open second(connect_to(daemon_uri()));
    ASSERT_EQ(first.value(settling("r-1")), "settled");
    ASSERT_EQ(second.value(settling("r-2")), "settled");
    Open& commits_first = GetParam() ? first : second;
    Open& commits_last = GetParam() ? second : first;

    EXPECT_TRUE(look());
    commits_first.commit();
    EXPECT_TRUE(look());
    EXPECT_EQ(ends_in_outbox(), "0");
    commits_last.commit();
    EXPECT_TRUE(look());
    EXPECT_TRUE(look());
    all_are_delivered();

    ASSERT_THAT(told_ends(), SizeIs(1));
    EXPECT_THAT(told_ends()[0].body, HasSubstr(R"("runs": 2)"));
}

INSTANTIATE_TEST_SUITE_P(Webhook, OverlappingSettlements, testing::Bool(),
                         [](const auto& order) { return order.param ? "first_first" : "second_first"; });

// The COMMIT of a daemon has landed, but it does not know that, and looks at the same entries again.
TEST_F(WebhookGroup, IsInTheOutboxOnceIfALookIsRepeated) {
    start_sender();
    three_end();
    {
        Open other(connect_to(daemon_uri()));
        ASSERT_EQ(other.value("SELECT told FROM runledger.tell_groups('0', 1000)"), "1");
        EXPECT_FALSE(look()) << "the other has the group";
        other.commit();
    }
    Open again(connect_to(daemon_uri()));
    EXPECT_EQ(again.value("SELECT told FROM runledger.tell_groups('0', 1000)"), "0");
    again.commit();
    EXPECT_TRUE(look());
    all_are_delivered();

    EXPECT_THAT(told_ends(), SizeIs(1));
}

TEST_F(WebhookGroup, IsInTheOutboxOnceIfTheDaemonThatLooksDies) {
    start_sender();
    three_end();
    {
        Open dies(connect_to(daemon_uri()));
        ASSERT_EQ(dies.value("SELECT told FROM runledger.tell_groups('0', 1000)"), "1");
    }
    EXPECT_TRUE(look());
    all_are_delivered();

    EXPECT_THAT(told_ends(), SizeIs(1));
}

TEST_F(WebhookGroup, IsPostedExactlyOnceByTwoDaemonsWhileItsMembersAreSettled) {
    constexpr int groups = 30;
    start_sender();
    for (int member = 0; member < 3; ++member) {
        for (int group = 0; group < groups; ++group) {
            insert({.run_id = fmt::format("r-{}-{}", group, member),
                    .more = R"(, "groupSize": 3)",
                    .group = fmt::format("g-{}", group)});
        }
    }
    Teller other{{}, daemon_uri(), stop_, tell_counters_};
    {
        const RunningSettlers settlers{daemon_uri()};
        const RunningSettlers other_settlers{daemon_uri()};
        std::atomic<bool> is_over{false};
        std::thread beside([&] {
            while (!is_over) {
                (void)other.turn();
            }
        });
        const bool are_told = comes_true(
            [&] {
                (void)look();
                return tell_counters_.groups_told >= groups;
            },
            std::chrono::seconds{30} * patience_factor);
        is_over = true;
        beside.join();
        EXPECT_TRUE(are_told);
    }
    EXPECT_TRUE(look());
    all_are_delivered();

    std::map<std::string, int> ends;
    for (const ReceivedWebhook& webhook : told_ends()) {
        ++ends[held_to_schema(webhook.body)["data"]["group_id"].GetString()];
    }
    EXPECT_THAT(ends, SizeIs(groups));
    EXPECT_EQ(told_ends().size(), static_cast<std::size_t>(groups));
}

TEST_F(WebhookGroup, WaitsForWhatItsMembersHaveToldTheSamePlace) {
    receiver_.script({.answer = {.status = 400}, .times = -1, .mention = "\"r-2\""});
    start_sender();
    three_end();
    EXPECT_TRUE(look());
    settle_member({.run_id = "of another group", .group = "h"});
    EXPECT_TRUE(look());
    eventually("the other group's end is told", [&] { return told_ends().size() == 1; });
    EXPECT_THAT(told_ends()[0].body, HasSubstr(R"("group_id": "h")"));
    eventually("the member is tried again", [&] { return sent().retried >= 3; });
    EXPECT_EQ(value("SELECT attempts FROM runledger.notifications WHERE kind = 'group' AND group_key = 'g'"), "0");

    receiver_.clear_script();
    all_are_delivered();

    EXPECT_THAT(receiver_.accepted().back().body, HasSubstr(R"("group_id": "g")"));
    EXPECT_EQ(told_ends().size(), 2U);
}

TEST_F(WebhookGroup, DoesNotWaitForAMemberThatWasGivenUp) {
    receiver_.script({.answer = {.status = 410}, .times = 1, .mention = "\"r-2\""});
    start_sender();
    three_end();
    EXPECT_TRUE(look());

    eventually("the end is told", [&] { return told_ends().size() == 1; });
    EXPECT_EQ(count_webhooks("dead"), 1);
}

TEST_F(WebhookGroup, ThatIsDeadIsNewsThatNamesTheGroup) {
    receiver_.script({.answer = {.status = 410}, .times = 1, .mention = "group.ended"});
    start_sender();
    three_end();
    EXPECT_TRUE(look());

    eventually("it is dead", [&] { return count_webhooks("dead") == 1; });
    EXPECT_EQ(value("SELECT concat_ws(' ', kind, group_id, generation_id, run_id, detail) "
                    "FROM runledger.application_news_v1"),
              "webhook_dead g [webhooks] url: HTTP 410");
    EXPECT_EQ(value("SELECT concat_ws(' ', kind, group_id, run_id, state, channel) "
                    "FROM runledger.failed_notifications_v1"),
              "group g dead webhook");
    EXPECT_THAT(log_.lines_with("group_id=\"g\""), SizeIs(1));
}

TEST_F(WebhookGroup, GoesToEachUrlThatItsMembersName) {
    settings_.host_suffixes = {"hooks.example"};
    settings_.url.clear();
    settings_.url_is_inner = false;
    sender_tuning_.poll_interval = std::chrono::hours{1};  // Nothing is sent: there is no such host.
    start_sender();
    stop_sender();
    const auto named = [](const char* url) { return fmt::format(R"(, "webhookUrl": {})", url); };
    insert({.run_id = "r-1", .more = named(R"("https://a.hooks.example/1")")});
    insert({.run_id = "r-2", .more = named(R"("https://a.hooks.example/1")")});
    insert({.run_id = "r-3", .more = named(R"("https://b.hooks.example/2")")});
    insert({.run_id = "r-4", .more = named(R"("https://elsewhere.example/")")});
    insert({.run_id = "r-5", .more = named("7")});
    insert({.run_id = "r-6", .more = named("null")});
    insert({.run_id = "r-7"});
    execute("UPDATE runledger.generations SET status = 'completed'");
    EXPECT_TRUE(look());

    const auto rows = value(
        "SELECT string_agg(concat_ws(' ', webhook_host, webhook_url, state, last_error), E'\\n' ORDER BY id) "
        "FROM runledger.notifications WHERE kind = 'group'");
    EXPECT_EQ(rows,
              "a.hooks.example https://a.hooks.example/1 pending\n"
              "b.hooks.example https://b.hooks.example/2 pending\n"
              "elsewhere.example https://elsewhere.example/ skipped metadata.webhookUrl names no https host of "
              "[webhooks] host_suffixes\n"
              "metadata.webhookUrl skipped metadata.webhookUrl is no string");
}

TEST_F(WebhookGroup, GoesToTwentyUrlsAtMostAndSaysSo) {
    settings_.host_suffixes = {"hooks.example"};
    settings_.url.clear();
    settings_.url_is_inner = false;
    start_sender();
    stop_sender();
    for (int i = 0; i < 25; ++i) {
        insert({.run_id = fmt::format("r-{}", i),
                .more = fmt::format(R"(, "webhookUrl": "https://a.hooks.example/{}")", i)});
    }
    execute("UPDATE runledger.generations SET status = 'completed'");
    EXPECT_TRUE(look());

    EXPECT_EQ(
        value("SELECT string_agg(concat_ws(' ', state, count, last_error), E'\\n' ORDER BY state) FROM (SELECT "
              "state, count(*), last_error FROM runledger.notifications WHERE kind = 'group' GROUP BY 1, 3) AS s"),
        "pending 20\nskipped 1 the members of the group name more than 20 metadata.webhookUrl");
}

// Whoever is first, no end stays in the outbox that names the group of somebody who is forgotten.
TEST_F(WebhookGroup, WhoseLastMemberIsForgottenMeanwhileLeavesNothing) {
    start_sender();
    stop_sender();
    settle_member({.run_id = "r-1"});
    std::jthread forgets;  // Joined behind the end of the look, which it waits for.
    Open looks(connect_to(daemon_uri()));
    ASSERT_EQ(looks.value("SELECT told FROM runledger.tell_groups('0', 1000)"), "1");
    forgets = std::jthread([&] {
        const auto connection = connect_to(uri_);
        pqxx::work work(*connection);
        work.exec("SELECT runledger.forget_generation(id) FROM runledger.generations");
        work.commit();
    });
    eventually("forgetting waits for the look", [&] {
        return value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "1";
    });
    looks.commit();
    forgets.join();
    EXPECT_EQ(ends_in_outbox(), "0");

    settle_member({.run_id = "r-2"});
    const auto connection = connect_to(uri_);
    pqxx::work forgetting(*connection);
    forgetting.exec("SELECT runledger.forget_generation(id) FROM runledger.generations WHERE run_id = 'r-2'");
    EXPECT_FALSE(look()) << "the group is left to a later look";
    forgetting.commit();
    EXPECT_TRUE(look());
    EXPECT_EQ(ends_in_outbox(), "0");
    EXPECT_EQ(value("SELECT count(*) FROM runledger.generation_groups"), "0");
}

}  // namespace
}  // namespace runledger::test
