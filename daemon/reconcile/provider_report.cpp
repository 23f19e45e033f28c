#include "daemon/reconcile/provider_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <span>

#include "common/digest.hpp"
#include "daemon/base/iso_time.hpp"
#include "daemon/base/json.hpp"
#include "daemon/ingest/run_state.hpp"

namespace runledger {
namespace {

// Beside the fields of an event; what can't be read is left out.
struct Extras {
    std::optional<std::string> id;
    std::optional<WallTime> queued_at;
    std::optional<WallTime> started_at;
    std::optional<WallTime> ended_at;
    std::string run_duration;
};

std::string quoted_json(std::string_view text) {
    JsonText buffer;
    JsonWriter writer(buffer);
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
    return {buffer.GetString(), buffer.GetSize()};
}

// The answer names the run `id`, an event names it `run_id`: it gets one in front. One of its own, further back,
// counts.
std::optional<std::string> as_event_body(std::string_view run_id, std::string_view body) {
    const std::size_t brace = body.find_first_not_of(" \t\r\n");
    if (brace == std::string_view::npos || body[brace] != '{') {
        return std::nullopt;
    }
    return fmt::format("{{\"run_id\":{},{}", quoted_json(run_id), body.substr(brace + 1));
}

// Outputs may hold numbers and escapes that RapidJSON can't: they must not cost the times.
std::string without_outputs(const Event& event, const std::string& event_body) {
    std::string rest;
    std::size_t from = 0;
    for (const Output& output : event.outputs) {  // Views into the body, in its order.
        const auto begin = static_cast<std::size_t>(output.json.data() - event_body.data());
        rest.append(event_body, from, begin - from).append("null");
        from = begin + output.json.size();
    }
    return rest.append(event_body, from);
}

// Digits, a point, digits: what numeric takes, whatever its length elsewhere.
bool is_plain_number(std::string_view text) {
    const auto digits = [](std::string_view part) {
        return !part.empty() && part.size() <= 30 &&
               std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    const std::size_t point = text.find('.');
    return point == std::string_view::npos ? digits(text)
                                           : digits(text.substr(0, point)) && digits(text.substr(point + 1));
}

std::optional<WallTime> time_of(const JsonValue& object, const char* key) {
    const auto member = object.FindMember(key);
    if (member == object.MemberEnd() || !member->value.IsString()) {
        return std::nullopt;
    }
    return parse_iso_time({member->value.GetString(), member->value.GetStringLength()});
}

Extras extras_of(const std::string& body) {
    // Numbers as strings: none is too long then, and a duration keeps its digits.
    constexpr unsigned lenient =
        rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseNanAndInfFlag | rapidjson::kParseIterativeFlag;
    Extras extras;
    JsonDocument document;
    document.Parse<lenient>(body.data(), body.size());
    if (document.HasParseError() || !document.IsObject()) {
        return extras;  // A number or escape that RapidJSON can't hold: the ending counts without the times.
    }
    if (const auto id = document.FindMember("id"); id != document.MemberEnd() && id->value.IsString()) {
        extras.id = std::string(id->value.GetString(), id->value.GetStringLength());
    }
    extras.queued_at = time_of(document, "queued_at");
    extras.started_at = time_of(document, "started_at");
    extras.ended_at = time_of(document, "ended_at");
    if (const auto member = document.FindMember("run_duration");
        member != document.MemberEnd() && member->value.IsString()) {
        const std::string text(member->value.GetString(), member->value.GetStringLength());
        extras.run_duration = is_plain_number(text) ? text : std::string{};
    }
    return extras;
}

std::vector<ReportedOutput> outputs_of(const Event& event, std::string_view body) {
    // Keyed, and of each key the newest, as those of a webhook are; the stamp is the report's, and so left out.
    const RunState state = state_of(
        ReceivedEvent{.event = event, .stamp = {}, .boot = {}, .redelivered = false, .body = body, .name = {}});
    std::vector<ReportedOutput> outputs;
    for (const auto& [key, version] : state.outputs) {
        outputs.push_back({.key = key,
                           .updated_at = version.updated_at,
                           .signed_links = version.signed_links,
                           .digest = version.stamp.digest,
                           .position = version.position,
                           .json = std::string(version.json)});
    }
    return outputs;
}

}  // namespace

std::variant<ProviderReport, ReportFault> decode_report(std::string_view run_id, std::string body) {
    const auto event_body = as_event_body(run_id, body);
    if (!event_body) {
        return ReportFault{"it is no JSON object"};
    }
    DecodeResult decoded = decode_event(*event_body);
    if (const auto* refusal = std::get_if<Refusal>(&decoded)) {
        return ReportFault{std::string(describe(refusal->fault))};
    }
    Event event = std::get<Event>(std::move(decoded));
    Extras extras = extras_of(without_outputs(event, *event_body));
    if (event.run_id != run_id || (extras.id && *extras.id != run_id)) {
        return ReportFault{"it is about another run"};
    }
    ProviderReport report{.status_word = storable_text(event.status_word),
                          .status = event.status,
                          .queued_at = extras.queued_at,
                          .started_at = extras.started_at,
                          .ended_at = extras.ended_at,
                          .run_duration = std::move(extras.run_duration),
                          .progress = event.progress,
                          .live_status = storable_text(event.live_status),
                          .error = storable_text(event.error),
                          .outputs = outputs_of(event, *event_body),
                          .body = std::move(body)};
    report.digest = std::bit_cast<std::int64_t>(checksum64(std::as_bytes(std::span(report.body))));
    return report;
}

}  // namespace runledger
