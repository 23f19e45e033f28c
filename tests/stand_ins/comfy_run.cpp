#include "tests/stand_ins/comfy_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "tests/stand_ins/comfy_json.hpp"
#include "tests/stand_ins/comfy_output.hpp"
#include "tests/support/dice.hpp"

namespace runledger::test {
namespace {

using std::chrono::microseconds;

// Names with what HTML and JSON have to escape among them.
constexpr std::array<std::string_view, 10> nodes{
    "CheckpointLoaderSimple",      "CLIPTextEncode", "KSampler",       "KSampler (Advanced)", "VAEDecode",
    "LoraLoader <detail & light>", "Größe ändern",   "Upscale \"4x\"", "色調補正 😀",          "SaveImage"};

constexpr std::array<std::string_view, 10> amounts{"0.00004", "0.00018",  "0.00032",  "0.000337", "0.000596",
                                                   "0.00114", "0.001708", "0.002338", "0.001891", "0.002604"};

std::string rate_json(const PlannedRate& rate, bool amount_as_string) {
    return python_object({{"amount", amount_as_string ? python_string(rate.amount) : rate.amount},
                          {"currency", python_string(rate.currency)},
                          {"unit", python_string(rate.unit)}});
}

PlannedRate make_rate(Dice& dice, const Habits& habits) {
    PlannedRate rate{.amount = std::string{dice.pick(amounts)}, .unit = "second", .currency = "USD"};
    bool as_string = false;
    if (dice.chance(habits.other_unit)) {
        constexpr std::array<std::string_view, 10> units{"seconds", "minute",  "minutes",  "hour",  "hours",
                                                         "run",     "request", "requests", "token", "tokens"};
        rate.unit = dice.pick(units);
        as_string = dice.chance(0.5);
        if (rate.unit.starts_with("token")) {
            rate.tokens = static_cast<std::int64_t>(dice.below(100'000));
        }
    }
    if (dice.chance(habits.odd_rate)) {
        rate.usable = false;
        switch (dice.below(6)) {
            case 0:
                return rate;  // No costRate at all.
            case 1:
                rate.json = python_string("error: gpu type not found");
                return rate;
            case 2:
                rate.amount = "-" + rate.amount;
                break;
            case 3:
                rate.currency = "EUR";
                break;
            case 4:
                rate.unit = "token";  // Which nobody has counted.
                rate.tokens.reset();
                break;
            default:
                rate.unit = "fortnight";
                break;
        }
    }
    rate.json = rate_json(rate, as_string);
    return rate;
}

// Writes one run's events. Each body's progress carries the event's number in its ninth decimal, which makes it unique
// without being anything the sender could not have sent.
class Script {
public:
    Script(RunPlan& run, Dice& dice, const RunOptions& options) : run_(run), dice_(dice), options_(options) {
        has_event_type_ = !dice.chance(options.habits.no_event_type);
    }

    void add(std::string_view status, double progress, microseconds due, std::vector<std::size_t> outputs = {},
             std::string_view event_type = "run.updated") {
        const double mark = 1e-9 * static_cast<double>(++number_);
        const double marked = progress > 0.5 ? progress - mark : progress + mark;  // Within 0 and 1.
        run_.events.push_back({.status = std::string{status},
                               .body = body(status, python_float(marked), outputs, event_type),
                               .outputs = std::move(outputs),
                               .due = due});
    }

    void now_executing(std::string_view node) { live_status_ = python_string("Executing " + std::string{node}); }

private:
    RunPlan& run_;
    Dice& dice_;
    const RunOptions& options_;
    bool has_event_type_;
    std::string live_status_{"null"};
    int number_{0};

    std::string body(std::string_view status, std::string progress, const std::vector<std::size_t>& outputs,
                     std::string_view event_type) {
        std::vector<std::string> elements;
        for (const std::size_t output : outputs) {
            elements.push_back(run_.outputs[output].json);
        }
        std::vector<std::pair<std::string, std::string>> members;
        if (has_event_type_) {
            members.emplace_back("event_type", python_string(event_type));
        }
        members.emplace_back("status", python_string(status));
        members.emplace_back("live_status", live_status_);
        members.emplace_back("progress", progress);
        members.emplace_back("run_id", python_string(run_.run_id));
        members.emplace_back("outputs", python_array(elements));
        if (dice_.chance(options_.habits.odd_body)) {
            make_odd(members, progress);
        }
        return python_object(members);
    }

    void make_odd(std::vector<std::pair<std::string, std::string>>& members, const std::string& progress) {
        switch (dice_.below(4)) {
            case 0:
                std::reverse(members.begin(), members.end());
                break;
            case 1:
                members.emplace_back("webhook_data", python_object({{"taskId", python_string("task_1")}}));
                break;
            case 2:
                std::erase_if(members, [](const auto& member) { return member.first == "live_status"; });
                break;
            default:
                for (auto& [name, value] : members) {
                    if (name == "progress") {
                        value = python_float(std::numeric_limits<double>::quiet_NaN());
                    }
                }
                members.emplace_back("marker", progress);  // What made it unique is gone otherwise.
                break;
        }
    }
};

// Seeds have chats of their own, so that several senders can use one Bot API.
std::int64_t first_chat_of(std::uint64_t seed) {
    constexpr std::uint64_t chats_per_seed = 100'000;
    return static_cast<std::int64_t>(1'000'000'000 + (seed % 1'000'000) * chats_per_seed);
}

Ending make_ending(Dice& dice, double success) {
    if (dice.chance(success)) {
        return Ending::success;
    }
    constexpr std::array<Ending, 10> others{Ending::failed,    Ending::failed,  Ending::failed,    Ending::failed,
                                            Ending::timeout,   Ending::timeout, Ending::cancelled, Ending::cancelled,
                                            Ending::cancelled, Ending::none};
    return dice.pick(others);
}

void add_ending(Script& script, const RunPlan& run, Dice& dice, const Habits& habits, microseconds due,
                microseconds step) {
    const auto status = status_of(run.ending);
    if (!status) {
        return;
    }
    const std::string_view word = to_word(*status);
    std::vector<std::size_t> outputs;
    for (std::size_t i = 0; run.ending == Ending::success && i < run.outputs.size(); ++i) {
        outputs.push_back(i);
    }
    const bool late = dice.chance(habits.late_progress);
    const bool late_first = late && dice.chance(habits.late_before_ending);
    if (late_first) {
        script.add(word, 0.83, due - step / 2);
    }
    // Python's float4 widened, as the sender's database gives it back.
    script.add(word, dice.chance(0.5) ? 1.0 : 0.8299999833106995, due, outputs);
    if (late && !late_first) {
        script.add(word, 0.83, due + step);
    }
    if (dice.chance(habits.conflicting_ending)) {
        script.add(run.ending == Ending::success ? "cancelled" : "success", 1.0, due + step / 3);
    }
}

void add_events(RunPlan& run, Dice& dice, const RunOptions& options, microseconds begins) {
    const Habits& habits = options.habits;
    Script script(run, dice, options);
    const int steps = dice.between(options.progress_events_min, options.progress_events_max);
    const microseconds step = std::chrono::duration_cast<microseconds>(options.run_span) / (steps + 4);
    const bool burst = dice.chance(habits.burst);

    script.add("queued", 0.0, begins);
    script.add("started", 0.0, begins + step);
    if (!dice.chance(habits.no_running)) {
        script.add("running", 0.0, begins + 2 * step);
    }
    for (int i = 0; i < steps; ++i) {
        script.now_executing(dice.pick(nodes));
        const double progress = static_cast<double>(i + 1) / static_cast<double>(steps);
        // An unknown word is no fault of the sender's vendor: his public page lists "processing".
        const bool unknown = dice.chance(habits.odd_body / 4);
        // Until `running` has come, a progress event still says "queued".
        script.add(unknown                      ? "processing"
                   : i == 0 && dice.chance(0.1) ? "queued"
                                                : "running",
                   progress, begins + (burst ? 3 : 3 + i) * step);
    }
    const microseconds ends = begins + (steps + 4) * step;
    if (run.ending == Ending::success && dice.chance(habits.output_events)) {
        for (std::size_t i = 0; i < run.outputs.size(); ++i) {
            script.add("running", 1.0, ends - step / 2, {i}, "run.output");
        }
    }
    if (run.ending == Ending::success && dice.chance(0.5)) {
        script.add("uploading", 1.0, ends - step / 3);
    }
    add_ending(script, run, dice, habits, ends, step);
}

void repeat_and_reorder(RunPlan& run, Dice& dice, const RunOptions& options) {
    std::vector<PlannedEvent> repeats;
    for (const PlannedEvent& event : run.events) {
        if (!dice.chance(options.habits.repeated)) {
            continue;
        }
        PlannedEvent again = event;
        again.due += microseconds{dice.between(0, 50'000)};
        if (dice.chance(0.5)) {
            again.body.insert(again.body.size() - 1, ", \"repeat\": true");
        }
        repeats.push_back(std::move(again));
    }
    run.events.insert(run.events.end(), std::make_move_iterator(repeats.begin()),
                      std::make_move_iterator(repeats.end()));
    if (dice.chance(options.habits.reordered)) {
        const auto jitter = std::chrono::duration_cast<microseconds>(options.jitter).count();
        for (PlannedEvent& event : run.events) {
            event.due += microseconds{dice.between(0, static_cast<int>(jitter))};
        }
    }
    std::stable_sort(run.events.begin(), run.events.end(),
                     [](const PlannedEvent& a, const PlannedEvent& b) { return a.due < b.due; });
}

}  // namespace

std::optional<RunStatus> status_of(Ending ending) noexcept {
    switch (ending) {
        case Ending::success:
            return RunStatus::success;
        case Ending::failed:
            return RunStatus::failed;
        case Ending::timeout:
            return RunStatus::timeout;
        case Ending::cancelled:
            return RunStatus::cancelled;
        case Ending::none:
            return std::nullopt;
    }
    return std::nullopt;
}

Habits Habits::none() {
    return {.reordered = 0,
            .repeated = 0,
            .late_progress = 0,
            .late_before_ending = 0,
            .burst = 0,
            .record_late = 0,
            .odd_output = 0,
            .odd_body = 0,
            .no_event_type = 0,
            .output_events = 0,
            .no_running = 0,
            .odd_rate = 0,
            .other_unit = 0,
            .conflicting_ending = 0};
}

std::string RunPlan::metadata() const {
    std::vector<std::pair<std::string, std::string>> members{{"run_id", python_string(run_id)}};
    if (!rate.json.empty()) {
        members.emplace_back("costRate", rate.json);
    }
    if (rate.tokens) {
        members.emplace_back("tokenCount", std::to_string(*rate.tokens));
    }
    if (chat_id) {
        // A number or a decimal string: the application has been seen to store both.
        members.emplace_back("telegramChatId",
                             *chat_id % 2 == 0 ? std::to_string(*chat_id) : python_string(std::to_string(*chat_id)));
    }
    members.emplace_back("prompt", python_string("a lighthouse, \"oil\" on canvas"));
    return python_object(members);
}

std::vector<RunPlan> make_runs(const RunOptions& options) {
    Dice dice(options.seed);
    std::vector<RunPlan> runs;
    runs.reserve(options.runs);
    for (std::size_t i = 0; i < options.runs; ++i) {
        RunPlan run;
        run.run_id = dice.uuid();
        run.ending = make_ending(dice, options.success);
        if (dice.chance(options.with_chat)) {
            const auto chat = static_cast<std::int64_t>(options.chats == 0 ? i : dice.below(options.chats));
            const std::int64_t number = first_chat_of(options.seed) + chat;
            run.chat_id = chat % 5 == 4 ? -number : number;  // Every fifth is a group.
        }
        run.rate = make_rate(dice, options.habits);
        run.outputs = make_outputs(
            dice, run.run_id,
            {.odd = options.habits.odd_output, .text_bytes = options.text_bytes, .picture_url = options.picture_url});
        const auto span = std::chrono::duration_cast<microseconds>(options.arrival_span).count();
        add_events(run, dice, options,
                   microseconds{static_cast<std::int64_t>(
                       dice.below(static_cast<std::size_t>(std::max<std::int64_t>(span, 1))))});
        repeat_and_reorder(run, dice, options);
        if (dice.chance(options.habits.record_late)) {
            run.record_after_events = 1 + dice.below(run.events.size());
        }
        runs.push_back(std::move(run));
    }
    return runs;
}

}  // namespace runledger::test
