#include "daemon/ingest/late_events.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "queries/apply.hpp"

namespace runledger {
namespace {

struct Late {
    std::optional<std::string> pseudonym;
    bool is_removed{};
};

std::map<std::string, Late> find_late(const Statements& work, const std::set<std::string>& run_ids) {
    std::map<std::string, Late> late;
    if (run_ids.empty()) {
        return late;
    }
    for (const auto& row : ask(work, queries::apply::find_late_events, array_of(run_ids))) {
        late.emplace(
            row[0].as<std::string>(),
            Late{row[1].is_null() ? std::nullopt : std::optional{row[1].as<std::string>()}, row[2].as<bool>()});
    }
    return late;
}

std::string scrubbed_body(const Statements& work, const Event& event, const std::string& pseudonym) {
    // As text: a double's shortest digits are what the ledger keeps of a progress anyway.
    const std::optional<std::string> progress =
        event.progress ? std::optional{fmt::format("{}", *event.progress)} : std::nullopt;
    return ask1(work, queries::apply::scrub_body, storable_text(event.event_type), storable_text(event.status_word),
                pseudonym, progress ? progress->c_str() : nullptr)[0]
        .as<std::string>();
}

void scrub(const Statements& work, ReceivedEvent& received, const std::string& pseudonym,
           std::deque<std::string>& bodies) {
    Event& event = received.event;
    event.run_id = pseudonym;
    event.live_status.clear();
    event.error.clear();
    event.outputs.clear();
    bodies.push_back(scrubbed_body(work, event, pseudonym));
    received.body = bodies.back();
}

// An array's text can't hold it, and no generation can name it: such a run can't be forgotten.
bool is_storable(const std::string& run_id) { return run_id.find('\0') == std::string::npos; }

}  // namespace

LateEvents set_apart_late_events(const Statements& work, std::vector<AcceptedEvent>& events,
                                 std::vector<QuarantineRow>& refused) {
    LateEvents apart;
    std::set<std::string> run_ids;
    for (const AcceptedEvent& accepted : events) {
        run_ids.insert(accepted.received.event.run_id);
    }
    for (const QuarantineRow& row : refused) {
        if (row.run_id && is_storable(*row.run_id)) {
            run_ids.insert(*row.run_id);
        }
    }
    const auto late = find_late(work, run_ids);
    if (late.empty()) {
        return apart;
    }
    for (QuarantineRow& row : refused) {
        const auto found = row.run_id ? late.find(*row.run_id) : late.end();
        if (found != late.end() && found->second.pseudonym) {
            row.run_id = found->second.pseudonym;
            row.content_hex.clear();
        }
    }
    std::vector<AcceptedEvent> kept;
    for (AcceptedEvent& accepted : events) {
        const auto found = late.find(accepted.received.event.run_id);
        if (found != late.end() && found->second.pseudonym) {
            scrub(work, accepted.received, *found->second.pseudonym, apart.bodies);
        }
        if (found != late.end() && found->second.is_removed) {
            apart.removed.push_back(
                quarantine_row(accepted, "event", "run_removed: it was settled, and retention has removed it since"));
        } else {
            kept.push_back(std::move(accepted));
        }
    }
    events = std::move(kept);
    return apart;
}

Pseudonyms find_forgotten(const Statements& work, const wire::Batch& batch) {
    std::set<std::string> run_ids;
    for (const wire::Event& event : batch.events) {
        const DecodeResult decoded = decode_event(event.body);
        if (const auto* read = std::get_if<Event>(&decoded); read != nullptr && is_storable(read->run_id)) {
            run_ids.insert(read->run_id);
        }
    }
    Pseudonyms forgotten;
    for (const auto& [run_id, late] : find_late(work, run_ids)) {
        if (late.pseudonym) {
            forgotten.emplace(run_id, *late.pseudonym);
        }
    }
    return forgotten;
}

std::size_t scrub_batch(const Statements& work, wire::Batch& batch, const Pseudonyms& forgotten,
                        std::deque<std::string>& bodies) {
    std::size_t scrubbed = 0;
    for (wire::Event& event : batch.events) {
        const DecodeResult decoded = decode_event(event.body);
        const auto* read = std::get_if<Event>(&decoded);
        const auto found = read == nullptr ? forgotten.end() : forgotten.find(read->run_id);
        if (found != forgotten.end()) {
            bodies.push_back(scrubbed_body(work, *read, found->second));
            event.body = bodies.back();
            ++scrubbed;
        }
    }
    return scrubbed;
}

}  // namespace runledger
