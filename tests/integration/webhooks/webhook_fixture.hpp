// The webhooks stage on a real PostgreSQL and a receiver on loopback, and the language its tests are written in.
//
// As the fixture of the notify stage, whose cluster and rows it shares; no message to a chat is sent here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/webhooks/sender.hpp"
#include "tests/integration/notify/notify_fixture.hpp"
#include "tests/stand_ins/webhook_receiver.hpp"

namespace runledger::test {

// A sender on its thread.
class RunningSender {
public:
    RunningSender(WebhookSettings settings, const std::string& uri, const std::string& owner, webhooks::Tuning tuning);
    ~RunningSender();
    RunningSender(const RunningSender&) = delete;
    RunningSender& operator=(const RunningSender&) = delete;

    void wake() { wakeup_.notify(); }
    void use(WebhookSettings settings) { sender_.use(std::move(settings)); }
    [[nodiscard]] const WebhookCounters& counters() const noexcept { return counters_; }

private:
    Wakeup wakeup_;
    WebhookCounters counters_;
    webhooks::Sender sender_;
    std::thread thread_;
};

class WebhookFixture : public NotifyFixture {
protected:
    static constexpr std::string_view secret_text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    static constexpr std::string_view other_secret_text = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";

    void SetUp() override;
    void TearDown() override;

    // A generation and its run that has ended, settled by another daemon. Returns the run's id.
    std::string settle(const std::string& metadata_extra = "");
    // The run turns out to have ended in another way: its row is settled again.
    void settle_again(const std::string& run_id, std::string_view ending);

    void start_sender() { sender_ = another_sender("here:1:first"); }
    void stop_sender() { sender_.reset(); }
    [[nodiscard]] std::unique_ptr<RunningSender> another_sender(const std::string& owner, const std::string& uri = "");
    [[nodiscard]] const WebhookCounters& sent() const { return sender_->counters(); }

    [[nodiscard]] std::int64_t count_webhooks(std::string_view state);
    void all_are_delivered(std::chrono::milliseconds patience = std::chrono::seconds{20});
    // A column of the only webhook about this run; "NULL" for NULL.
    [[nodiscard]] std::string webhook_of(const std::string& run_id, std::string_view column);
    // What the receiver accepted about the run, in order: the statuses.
    [[nodiscard]] std::vector<std::string> told_of(const std::string& run_id) const;
    [[nodiscard]] static bool is_signed_with(const ReceivedWebhook& webhook, std::string_view secret);
    [[nodiscard]] static std::vector<Secret> secrets(std::string_view text);

    WebhookReceiver receiver_;
    WebhookSettings settings_;
    webhooks::Tuning sender_tuning_;
    std::unique_ptr<RunningSender> sender_;
};

}  // namespace runledger::test
