#include "tests/integration/webhooks/webhook_fixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/base/json.hpp"
#include "daemon/webhooks/signature.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {

using std::chrono::milliseconds;

RunningSender::RunningSender(WebhookSettings settings, const std::string& uri, const std::string& owner,
                             webhooks::Tuning tuning)
    : sender_(std::move(settings), uri, owner, wakeup_, counters_, std::move(tuning)) {
    sender_.publish();
    thread_ = std::thread([this] { sender_.run(); });
}

RunningSender::~RunningSender() {
    wakeup_.stop();
    thread_.join();
}

void WebhookFixture::SetUp() {
    NotifyFixture::SetUp();
    settings_.url = receiver_.url();
    settings_.url_is_inner = true;
    settings_.secrets = secrets(secret_text);
    settings_.timeout = std::chrono::seconds{5};
    settings_.retry_delay_min = milliseconds{20};
    settings_.retry_delay_max = milliseconds{200};
    settings_.breaker_delay_max = milliseconds{200};
    sender_tuning_.poll_interval = milliseconds{20};
}

void WebhookFixture::TearDown() {
    sender_.reset();
    for (const std::string& line : log_.lines()) {
        EXPECT_EQ(line.find("MfKQ9r8"), std::string::npos) << line;
        EXPECT_EQ(line.find("/hook"), std::string::npos) << line;  // A URL may hold a secret.
    }
    NotifyFixture::TearDown();
}

std::vector<Secret> WebhookFixture::secrets(std::string_view text) {
    return std::get<std::vector<Secret>>(webhooks::parse_secrets(text));
}

std::string WebhookFixture::settle(const std::string& metadata_extra) {
    settle_somewhere(metadata_extra);
    return value("SELECT run_id FROM runledger.settlements ORDER BY id DESC LIMIT 1");
}

void WebhookFixture::settle_again(const std::string& run_id, std::string_view ending) {
    execute(
        fmt::format("UPDATE runledger.runs SET terminal_status = '{}' WHERE run_id = '{}';"
                    "SELECT runledger.settle_run('{}', interval '3 seconds', interval '1 day')",
                    ending, run_id, run_id));
}

std::unique_ptr<RunningSender> WebhookFixture::another_sender(const std::string& owner, const std::string& uri) {
    return std::make_unique<RunningSender>(settings_, uri.empty() ? daemon_uri() : uri, owner, sender_tuning_);
}

std::int64_t WebhookFixture::count_webhooks(std::string_view state) {
    return std::stoll(value(
        fmt::format("SELECT count(*) FROM runledger.notifications WHERE channel = 'webhook' AND state = '{}'", state)));
}

void WebhookFixture::all_are_delivered(milliseconds patience) {
    // In one statement: between two, a row can go from one state to the other.
    eventually(
        "all webhooks are delivered",
        [&] {
            return value(
                       "SELECT count(*) FROM runledger.notifications WHERE channel = 'webhook' AND "
                       "state IN ('pending', 'leased')") == "0";
        },
        patience);
    EXPECT_EQ(count_webhooks("dead") + count_webhooks("skipped"), 0);
}

std::string WebhookFixture::webhook_of(const std::string& run_id, std::string_view column) {
    return value(fmt::format("SELECT {} FROM runledger.notifications WHERE channel = 'webhook' AND run_id = '{}'",
                             column, run_id));
}

std::vector<std::string> WebhookFixture::told_of(const std::string& run_id) const {
    std::vector<std::string> statuses;
    for (const ReceivedWebhook& webhook : receiver_.accepted_with('"' + run_id + '"')) {
        JsonDocument body;
        body.Parse(webhook.body.c_str());
        statuses.emplace_back(body["data"]["status"].GetString());
    }
    return statuses;
}

bool WebhookFixture::is_signed_with(const ReceivedWebhook& webhook, std::string_view secret) {
    const std::string one = webhooks::signature_of(
        {.id = webhook.id, .timestamp = std::stoll(webhook.timestamp), .body = webhook.body}, secrets(secret));
    return (' ' + webhook.signature + ' ').find(' ' + one + ' ') != std::string::npos;
}

}  // namespace runledger::test
