#include "daemon/overview/health.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace runledger {
namespace {

using std::chrono::seconds;

// As the notify stage counts it: so many calls in a row without an answer.
constexpr unsigned telegram_unanswered_max = 3;
// A message that has waited for longer after an error is worth a word.
constexpr seconds message_wait_max{300};
// One refused entry fails a turn or two before it is put off.
constexpr seconds turns_failing_max{5};

bool turns_fail(const HealthFacts& facts, const HealthFacts::Stage& stage) {
    return stage.failing_for > turns_failing_max && !facts.postgres_away_for;
}

Component process_of(const HealthFacts& facts) {
    Component process{.name = "daemon", .condition = Condition::ok, .says = "all stages work", .cure = ""};
    switch (facts.phase) {
        case DaemonPhase::starting:
            return {"daemon", Condition::failed, "it starts and waits for PostgreSQL", ""};
        case DaemonPhase::draining:
            return {"daemon", Condition::failed, "it ends what it has begun and stops", ""};
        case DaemonPhase::running:
            break;
    }
    const auto hangs =
        std::ranges::find_if(facts.stages, [](const auto& stage) { return stage.silent_for > stage.silence_max; });
    if (hangs != facts.stages.end()) {
        process.condition = Condition::failed;
        process.says = fmt::format("the stage \"{}\" has not moved for {}", hangs->name,
                                   in_words(std::chrono::duration_cast<seconds>(hangs->silent_for)));
        process.cure = "restart it, unless systemd's watchdog does; nothing is lost by that";
        return process;
    }
    const auto fails =
        std::ranges::find_if(facts.stages, [&facts](const auto& stage) { return turns_fail(facts, stage); });
    if (fails != facts.stages.end()) {
        process.condition = Condition::degraded;
        process.says = fmt::format("the turns of \"{}\" have failed for {}", fails->name,
                                   in_words(std::chrono::duration_cast<seconds>(fails->failing_for)));
        process.cure = "its log has PostgreSQL's reason; nothing is lost, it tries again";
    }
    return process;
}

// Only if its turns fail: how many runs wait is in the ledger, and added by with_numbers().
std::optional<Component> settlement_of(const HealthFacts& facts) {
    const auto fails = std::ranges::find_if(facts.stages, [&facts](const auto& stage) {
        return stage.name.starts_with("settle") && turns_fail(facts, stage);
    });
    if (fails == facts.stages.end()) {
        return std::nullopt;
    }
    return Component{
        "settlement", Condition::degraded,
        fmt::format("its turns have failed for {}", in_words(std::chrono::duration_cast<seconds>(fails->failing_for))),
        "the daemon's log has PostgreSQL's reason"};
}

Component postgres_of(const HealthFacts& facts) {
    if (facts.postgres_away_for) {
        return {"postgresql", Condition::degraded,
                fmt::format("away for {}; the edges keep what they receive", in_words(*facts.postgres_away_for)),
                "start it, or mend [postgres] uri; the daemon goes on by itself"};
    }
    if (facts.batches_set_back > 0) {
        return {"postgresql", Condition::degraded,
                fmt::format("it refuses {} batches, which wait apart", facts.batches_set_back),
                "the daemon's log has PostgreSQL's reason; docs/operations.md, \"Quarantine\""};
    }
    return {"postgresql", facts.phase == DaemonPhase::starting ? Condition::failed : Condition::ok,
            facts.phase == DaemonPhase::starting ? "not reached yet" : "answers", ""};
}

Component telegram_of(const HealthFacts& facts) {
    if (!facts.sends_messages) {
        return {"telegram", Condition::off, "messages are written to the log", ""};
    }
    if (facts.telegram_token_is_refused) {
        return {"telegram", Condition::degraded, "it refuses the bot's token; messages wait",
                "put the right token into [telegram] token_file; the daemon notices it"};
    }
    if (facts.telegram_unanswered >= telegram_unanswered_max) {
        return {"telegram", Condition::degraded, "it does not answer; messages wait",
                "nothing, if Telegram is down; else mend this host's way to [telegram] api_url"};
    }
    if (facts.messages_retrying > 0 && facts.oldest_message > message_wait_max) {
        return {"telegram", Condition::degraded,
                fmt::format("the oldest message has waited for {}", in_words(facts.oldest_message)),
                "runledger outbox list --state pending"};
    }
    return {"telegram", Condition::ok, "messages go out", ""};
}

Component comfydeploy_of(const HealthFacts& facts) {
    if (!facts.looks_up_runs) {
        return {"comfydeploy", Condition::off, "silent runs are not looked up", ""};
    }
    if (facts.comfydeploy_key_is_refused) {
        return {"comfydeploy", Condition::degraded, "it refuses the key; silent runs are not looked up",
                "put the right key into [comfydeploy] api_key_file and reload the daemon"};
    }
    return {"comfydeploy", Condition::ok, "silent runs are looked up", ""};
}

}  // namespace

std::string_view word_of(Condition condition) {
    switch (condition) {
        case Condition::ok:
            return "ok";
        case Condition::off:
            return "off";
        case Condition::degraded:
            return "degraded";
        case Condition::failed:
            return "failed";
    }
    return "?";  // No enumerator.
}

std::string_view word_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::flowing:
            return "flowing";
        case Verdict::degraded:
            return "degraded";
        case Verdict::stopped:
            return "stopped";
    }
    return "?";  // No enumerator.
}

std::string in_words(seconds duration) {
    const auto count = std::max<seconds::rep>(duration.count(), 0);
    if (count < 60) {
        return fmt::format("{} s", count);
    }
    if (count < 3600) {
        return fmt::format("{} min", count / 60);
    }
    if (count < 86'400) {
        return count % 3600 < 60 ? fmt::format("{} h", count / 3600)
                                 : fmt::format("{} h {} min", count / 3600, count % 3600 / 60);
    }
    return count % 86'400 < 3600 ? fmt::format("{} d", count / 86'400)
                                 : fmt::format("{} d {} h", count / 86'400, count % 86'400 / 3600);
}

Health judge(const HealthFacts& facts) {
    Health health;
    health.components = {process_of(facts), postgres_of(facts), telegram_of(facts), comfydeploy_of(facts)};
    if (auto settlement = settlement_of(facts)) {
        health.components.push_back(std::move(*settlement));
    }
    const Component& process = health.components.front();
    health.is_alive = facts.phase != DaemonPhase::running || process.condition != Condition::failed;
    if (process.condition == Condition::failed) {
        health.verdict = Verdict::stopped;
        health.sentence = facts.phase == DaemonPhase::starting   ? "The daemon starts"
                          : facts.phase == DaemonPhase::draining ? "The daemon stops"
                                                                 : "Work does not flow";
        return health;
    }
    const auto worse = [](const Component& component) { return component.condition == Condition::degraded; };
    const auto count = std::ranges::count_if(health.components, worse);
    if (count == 0) {
        health.verdict = Verdict::flowing;
        health.sentence = "Work is flowing";
        return health;
    }
    health.verdict = Verdict::degraded;
    health.sentence = "Receipts go on, and a part of the work waits";
    return health;
}

}  // namespace runledger
