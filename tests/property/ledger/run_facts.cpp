#include "tests/property/ledger/run_facts.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <span>
#include <stdexcept>
#include <string_view>

#include "common/digest.hpp"

namespace runledger::test::whole_ledger {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, run_count> pseudonyms{
    {{"run-0", "forgotten-90a4f99394c8c56005aeb1321fd26bf846d9ba568902e6f07da8f2f0619cbcb6"},
     {"run-1", "forgotten-4e65d3fbe8ad6535681b021b30785b12b6c0e3f8878859a4148b3f58b8835db0"},
     {"run-2", "forgotten-b9d17232a4c83d9928ee0d4e6fab81d3802cd3bf898149558e1abf8b24e1ba49"}}};

// Between boots.
auto order_of(const Moment& m) { return std::make_tuple(m.wall, m.boot, m.boottime, m.redelivered, m.digest); }
// Within one.
auto order_in_boot(const Moment& m) { return std::make_tuple(m.boottime, m.wall, m.redelivered, m.digest); }

Moment moment_of(const TakenEvent& event) {
    const News& news = event.news;
    return {.wall = walls[static_cast<std::size_t>(news.wall)],
            .boot = news.boot,
            .boottime = boottimes[static_cast<std::size_t>(news.boottime)],
            .redelivered = news.redelivered,
            .digest = event.digest};
}

// Of each boot the first by boottime; of these the first by wall time.
const TakenEvent* first_of(const std::vector<TakenEvent>& events, bool (*is_meant)(const std::string&)) {
    std::map<int, const TakenEvent*> of_boot;
    for (const TakenEvent& event : events) {
        if (is_meant(statuses[static_cast<std::size_t>(event.news.status)].word)) {
            const TakenEvent*& first = of_boot[event.news.boot];
            if (first == nullptr || order_in_boot(moment_of(event)) < order_in_boot(moment_of(*first))) {
                first = &event;
            }
        }
    }
    const TakenEvent* first = nullptr;
    for (const auto& [boot, event] : of_boot) {
        if (first == nullptr || order_of(moment_of(*event)) < order_of(moment_of(*first))) {
            first = event;
        }
    }
    return first;
}

// The two that occur; nothing for none.
std::optional<std::int64_t> updated_of(const Output& output) {
    const std::string_view text = output.updated_at;
    if (text.empty()) {
        return std::nullopt;
    }
    return text == "2024-03-01T00:00:00Z" ? 0 : 1;
}

auto newness(const OutputVersion& v) {
    return std::make_tuple(v.updated, v.came.wall, v.came.boot, v.came.boottime, v.digest);
}

void add_output(RunFacts& facts, const TakenEvent& event) {
    const Output& output = outputs[static_cast<std::size_t>(event.news.output)];
    OutputVersion version{.came = moment_of(event),
                          .updated = updated_of(output),
                          .digest = digest_of(output_json(output)),
                          .version = output.version};
    version.came.redelivered = false;  // No part of an output's order, nor of what is kept.
    version.came.digest = 0;
    const auto [place, is_first] = facts.outputs.try_emplace(output.id, version);
    if (!is_first && newness(version) > newness(place->second)) {
        place->second = version;
    }
}

}  // namespace

std::string RunFacts::payload() const {
    std::string text;
    for (const auto& [id, output] : outputs) {
        text += fmt::format("{}{}:{}", text.empty() ? "" : ",", id, output.version);
    }
    return text;
}

bool is_ending(const std::string& status) {
    return status == "success" || status == "failed" || status == "timeout" || status == "cancelled";
}

RunFacts facts_of(const Run& run) {
    RunFacts facts;
    const TakenEvent* latest = nullptr;
    for (const TakenEvent& event : run.events) {
        const std::int64_t wall = moment_of(event).wall;
        const auto keep_earliest = [wall](std::optional<std::int64_t>& at) { at = at ? std::min(*at, wall) : wall; };
        keep_earliest(facts.first_received);
        if (std::string_view{statuses[static_cast<std::size_t>(event.news.status)].word} == "queued") {
            keep_earliest(facts.queued);
        }
        if (latest == nullptr || order_of(moment_of(event)) > order_of(moment_of(*latest))) {
            latest = &event;
        }
        if (event.has_output) {
            add_output(facts, event);
        }
    }
    if (latest != nullptr) {
        facts.latest_status = statuses[static_cast<std::size_t>(latest->news.status)].word;
    }
    if (const TakenEvent* running = first_of(run.events, [](const std::string& word) { return word == "running"; })) {
        facts.running = moment_of(*running);
        facts.running->digest = 0;
    }
    if (const TakenEvent* ending = first_of(run.events, is_ending)) {
        facts.ending = Ending{.at = moment_of(*ending),
                              .status = statuses[static_cast<std::size_t>(ending->news.status)].word,
                              .error = ending->error};
    }
    return facts;
}

std::string run_id_of(int run) { return fmt::format("run-{}", run); }

std::string pseudonym_of(const std::string& run_id) {
    for (const auto& [id, pseudonym] : pseudonyms) {
        if (id == run_id) {
            return std::string{pseudonym};
        }
    }
    throw std::logic_error("no pseudonym is known of " + run_id);
}

bool is_pseudonym(const std::string& run_id) { return run_id.starts_with("forgotten-"); }

std::string output_json(const Output& output) {
    const std::string updated =
        *output.updated_at == '\0' ? std::string{} : fmt::format(R"(, "updated_at": "{}")", output.updated_at);
    return fmt::format(R"({{"id": "{}", "version": {}{}}})", output.id, output.version, updated);
}

std::string body_of(const News& news) {
    const Status& status = statuses[static_cast<std::size_t>(news.status)];
    const std::string error = *status.error == '\0' ? std::string{} : fmt::format(R"(, "error": "{}")", status.error);
    return fmt::format(
        R"({{"event_type": "run.updated", "status": "{}", "live_status": null, "progress": null, "run_id": "{}", "outputs": [{}]{}}})",
        status.word, run_id_of(news.run),
        news.output == 0 ? std::string{} : output_json(outputs[static_cast<std::size_t>(news.output)]), error);
}

std::string scrubbed_body_of(const News& news) {
    return fmt::format(
        R"({{"event_type" : "run.updated", "status" : "{}", "live_status" : null, "progress" : null, "run_id" : "{}", "outputs" : []}})",
        statuses[static_cast<std::size_t>(news.status)].word, pseudonym_of(run_id_of(news.run)));
}

std::int64_t digest_of(const std::string& bytes) {
    return std::bit_cast<std::int64_t>(checksum64(std::as_bytes(std::span(bytes))));
}

}  // namespace runledger::test::whole_ledger
