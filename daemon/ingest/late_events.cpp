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

std::map<std::string, Late> find_late(const Statements& work, const std::vector<AcceptedEvent>& events) {
    std::set<std::string_view> run_ids;
    for (const AcceptedEvent& accepted : events) {
        run_ids.insert(accepted.received.event.run_id);
    }
    ArrayLiteral array;
    for (const std::string_view run_id : run_ids) {
        array.add(run_id);
    }
    std::map<std::string, Late> late;
    for (const auto& row : ask(work, queries::apply::find_late_events, array.str())) {
        late.emplace(
            row[0].as<std::string>(),
            Late{row[1].is_null() ? std::nullopt : std::optional{row[1].as<std::string>()}, row[2].as<bool>()});
    }
    return late;
}

void scrub(const Statements& work, ReceivedEvent& received, const std::string& pseudonym,
           std::deque<std::string>& bodies) {
    Event& event = received.event;
    event.run_id = pseudonym;
    event.live_status.clear();
    event.error.clear();
    event.outputs.clear();
    // As text: a double's shortest digits are what the ledger keeps of a progress anyway.
    const std::optional<std::string> progress =
        event.progress ? std::optional{fmt::format("{}", *event.progress)} : std::nullopt;
    bodies.push_back(ask1(work, queries::apply::scrub_body, storable_text(event.event_type),
                          storable_text(event.status_word), pseudonym, progress ? progress->c_str() : nullptr)[0]
                         .as<std::string>());
    received.body = bodies.back();
}

}  // namespace

LateEvents set_apart_late_events(const Statements& work, std::vector<AcceptedEvent>& events) {
    LateEvents apart;
    if (events.empty()) {
        return apart;
    }
    const auto late = find_late(work, events);
    if (late.empty()) {
        return apart;
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

}  // namespace runledger
