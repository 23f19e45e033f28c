// [settle] and [retention] of the configuration. docs/settings.md says what each key does.
#pragma once

#include <chrono>

namespace runledger {

struct SettleSettings {
    std::chrono::milliseconds outputs_grace{3000};  // A completed notice without outputs waits this long.
    std::chrono::seconds duration_max{std::chrono::hours{24 * 7}};  // A longer duration is not believed.

    bool operator==(const SettleSettings&) const = default;
};

// How long rows are kept, in days; 0: for good.
struct RetentionSettings {
    unsigned webhook_events_days{0};
    unsigned runs_days{0};  // Of settled runs, since the last event.
    unsigned notifications_days{0};
    unsigned settlements_days{0};  // Of those that a newer one has replaced.
    unsigned quarantine_days{0};
    unsigned tombstones_days{0};
    unsigned news_days{0};  // For the application.

    bool operator==(const RetentionSettings&) const = default;
};

}  // namespace runledger
