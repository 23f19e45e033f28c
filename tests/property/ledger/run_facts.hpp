// What is known of a run, from the set of its events and the provider's report: computed anew each time from all of
// them, by the order that docs/ARCHITECTURE.md ("Run state") describes and not by the product's merge. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/property/ledger/commands.hpp"

namespace runledger::test::whole_ledger {

// An event that the ledger has taken. `digest` is that of its body, as it was applied.
struct TakenEvent {
    News news;
    std::string error{};
    std::int64_t digest{};
    bool has_output{};
};

struct ProviderTimes {
    int status{};
    std::optional<std::int64_t> started{};
    std::optional<std::int64_t> ended{};
};

struct Run {
    std::vector<TakenEvent> events{};
    std::optional<ProviderTimes> report{};  // The first one.
};

struct Moment {
    std::int64_t wall{};
    int boot{};
    std::int64_t boottime{};
    bool redelivered{};
    std::int64_t digest{};

    friend bool operator==(const Moment&, const Moment&) = default;
};

struct Ending {
    Moment at{};
    std::string status{};
    std::string error{};

    friend bool operator==(const Ending&, const Ending&) = default;
};

struct OutputVersion {
    Moment came{};
    std::optional<std::int64_t> updated{};
    std::int64_t digest{};
    int version{};

    friend bool operator==(const OutputVersion&, const OutputVersion&) = default;
};

struct RunFacts {
    std::optional<std::int64_t> queued{};
    std::optional<std::int64_t> first_received{};
    std::optional<Moment> running{};
    std::optional<Ending> ending{};
    std::string latest_status{};
    std::map<std::string, OutputVersion> outputs{};

    // "a:1,b:4": the outputs as response_payload has them.
    [[nodiscard]] std::string payload() const;
};

[[nodiscard]] bool is_ending(const std::string& status);
[[nodiscard]] RunFacts facts_of(const Run& run);

[[nodiscard]] std::string run_id_of(int run);
// What stands for the run once it is forgotten.
[[nodiscard]] std::string pseudonym_of(const std::string& run_id);
[[nodiscard]] bool is_pseudonym(const std::string& run_id);

// The body as the sender writes it, and its output alone.
[[nodiscard]] std::string body_of(const News& news);
[[nodiscard]] std::string output_json(const Output& output);
// What apply makes of the body of a run that is forgotten.
[[nodiscard]] std::string scrubbed_body_of(const News& news);
[[nodiscard]] std::int64_t digest_of(const std::string& bytes);

}  // namespace runledger::test::whole_ledger
