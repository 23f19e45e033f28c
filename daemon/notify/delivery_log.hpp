// The log lines about a notification: one for each outcome, with its run, chat and attempt.
#pragma once

#include <string>
#include <string_view>

#include "daemon/notify/delivery.hpp"

namespace runledger {

// A line of the log: other people's text must not begin a new one.
[[nodiscard]] std::string in_quotes(std::string_view text);

// Mode log: all parts, in place of sending them.
void log_messages(const NotificationDelivery& delivery);

void log_outcome(const NotificationDelivery& delivery, const AttemptOutcome& outcome);

}  // namespace runledger
