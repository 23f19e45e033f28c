#include "daemon/notify/delivery_log.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <vector>

#include "daemon/telegram/text.hpp"

namespace runledger {
namespace {

std::string message_id_text(const AttemptOutcome& outcome) {
    return outcome.message_id ? std::to_string(*outcome.message_id) : std::string{"none"};
}

std::string chat_text(const LeasedNotification& row) {
    return row.chat_name.empty() ? std::to_string(row.chat_id) : row.chat_name;
}

}  // namespace

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", telegram::clean_line(text)); }

void log_messages(const NotificationDelivery& delivery) {
    for (const telegram::Message& message : delivery.parts()) {
        std::vector<std::string> links;  // A presigned query is a key, and logs are kept.
        for (const telegram::Attachment& attachment : message.media) {
            links.push_back(telegram::mask_query(attachment.url));
        }
        spdlog::info(
            "notification written to the log only notification={} run_id={} chat={} method={} text={} media={}",
            delivery.row().id, in_quotes(delivery.row().run_id), chat_text(delivery.row()), to_word(message.method),
            in_quotes(message.text), in_quotes(fmt::format("{}", fmt::join(links, " "))));
    }
}

void log_outcome(const NotificationDelivery& delivery, const AttemptOutcome& outcome) {
    const Decision& decision = outcome.decision;
    const LeasedNotification& row = delivery.row();
    const auto who =
        fmt::format("notification={} run_id={} chat={} method={} attempt={}", row.id, in_quotes(row.run_id),
                    chat_text(row), to_word(delivery.message().method), row.attempts);
    switch (decision.state) {
        case NextState::sent:
            spdlog::info("notification sent {} message_id={} waited_ms={}", who, message_id_text(outcome),
                         row.age.count());
            break;
        case NextState::logged:
            break;  // log_messages() has written it.
        case NextState::pending:
            spdlog::warn("notification postponed {} delay_ms={} may_have_arrived={} error={}", who,
                         decision.delay.count(), decision.may_have_arrived, in_quotes(decision.error));
            break;
        case NextState::send_again:
            if (decision.confirms_part) {
                spdlog::info("part of a notification sent {} part={} of={} message_id={}", who, delivery.part() + 1,
                             delivery.parts().size(), message_id_text(outcome));
            } else {
                spdlog::info("notification is sent in another form {} error={}", who, in_quotes(decision.error));
            }
            break;
        case NextState::uncertain:
            spdlog::error("notification uncertain {} error={}", who, in_quotes(decision.error));
            break;
        case NextState::dead:
            spdlog::error("notification dead {} error={}", who, in_quotes(decision.error));
            break;
        case NextState::skipped:
            spdlog::info("notification skipped {} error={}", who, in_quotes(decision.error));
            break;
    }
}

}  // namespace runledger
