// Whether work is flowing: one verdict, and the components that it comes from.
//
// judge() is a pure function of facts that are in memory: it asks nobody, so it answers while PostgreSQL hangs. Any
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runledger {

enum class DaemonPhase : std::uint8_t { starting, running, draining };

// The daemon's own facts at one moment.
struct HealthFacts {
    struct Stage {
        std::string name;
        std::chrono::milliseconds silent_for{};   // Zero at rest.
        std::chrono::milliseconds failing_for{};  // Zero: its last turn was committed.
        std::chrono::seconds silence_max{};
    };

    DaemonPhase phase{DaemonPhase::starting};
    std::vector<Stage> stages{};
    std::optional<std::chrono::seconds> postgres_away_for{};  // Nothing: it is not known to be away.
    bool sends_messages{false};                               // Else they are written to the log.
    bool telegram_token_is_refused{false};
    unsigned telegram_unanswered{0};  // Calls in a row that Telegram did not answer.
    bool looks_up_runs{false};
    bool comfydeploy_key_is_refused{false};
    std::uint64_t batches_set_back{0};  // Batches that PostgreSQL refuses.
    std::uint64_t messages_retrying{0};
    std::chrono::seconds oldest_message{};
};

enum class Condition : std::uint8_t {
    ok,
    off,       // Not configured: nothing is wrong.
    degraded,  // Work goes on, or waits where nothing is lost.
    failed,    // It does not work.
};
[[nodiscard]] std::string_view word_of(Condition condition);

struct Component {
    std::string name;
    Condition condition{Condition::ok};
    std::string says;  // A sentence without its full stop.
    std::string cure;  // What to do; empty if there is nothing to do.
};

enum class Verdict : std::uint8_t {
    flowing,   // Every component works.
    degraded,  // A part waits for something outside, and nothing is lost; or an edge can't store events.
    stopped,   // The daemon starts, drains or hangs. The edges keep what they receive.
};
[[nodiscard]] std::string_view word_of(Verdict verdict);

struct Health {
    Verdict verdict{Verdict::stopped};
    std::string sentence;
    std::vector<Component> components;
    bool is_alive{true};  // No stage hangs.
};
[[nodiscard]] Health judge(const HealthFacts& facts);

// "3 s", "12 min", "4 h 5 min", "2 d 3 h".
[[nodiscard]] std::string in_words(std::chrono::seconds duration);

}  // namespace runledger
