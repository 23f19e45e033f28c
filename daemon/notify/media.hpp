// Prepares a message's links before it is sent: expired links are left out, links of configured hosts are fetched, so
// that Telegram never gets a link that does not answer, which it would remember as bad for days (docs/bot-api.md,
// "Media"). Pure; the moment and what was fetched come as values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/telegram/compose.hpp"
#include "daemon/telegram/fetch.hpp"

namespace runledger {

// Without the links that have expired, or will before Telegram fetches them.
[[nodiscard]] telegram::Message without_expired_links(const telegram::Message& message,
                                                      std::chrono::system_clock::time_point now,
                                                      const telegram::Wording& wording);

// With the bytes that were fetched, one result for each of the message's media, in their order: `too_large` for those
// that were left to Telegram. A text with links if it is not sure that all of them answer.
[[nodiscard]] telegram::Message with_fetched(telegram::Message message, std::vector<telegram::Fetched> fetched,
                                             const telegram::Wording& wording);

}  // namespace runledger
