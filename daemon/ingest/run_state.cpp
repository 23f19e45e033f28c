#include "daemon/ingest/run_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <tuple>

#include "common/digest.hpp"
#include "daemon/base/iso_time.hpp"

namespace runledger {
namespace {

std::int64_t digest_of(std::string_view bytes) {
    return std::bit_cast<std::int64_t>(checksum64(std::as_bytes(std::span(bytes))));
}

// Cuts at a character's boundary.
std::string cut_utf8(std::string text, std::size_t bytes_max) {
    if (text.size() > bytes_max) {
        std::size_t end = bytes_max;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
            --end;
        }
        text.resize(end);
    }
    return text;
}

void keep_earliest(std::optional<WallTime>& into, const std::optional<WallTime>& other) {
    if (other && (!into || *other < *into)) {
        into = other;
    }
}

const EventStamp& stamp_of(const EventStamp& moment) { return moment; }
const EventStamp& stamp_of(const RunEnding& ending) { return ending.stamp; }

template <class Moment>
void keep_first_of_boot(std::map<BootId, Moment>& into, const Moment& moment) {
    const auto [place, is_first] = into.try_emplace(stamp_of(moment).boot, moment);
    if (!is_first && stamp_of(moment).is_before_in_boot(stamp_of(place->second))) {
        place->second = moment;
    }
}

template <class Moment>
const Moment* first_of_boots(const std::map<BootId, Moment>& moments) {
    const auto first = std::min_element(moments.begin(), moments.end(), [](const auto& a, const auto& b) {
        return stamp_of(a.second) < stamp_of(b.second);
    });
    return first == moments.end() ? nullptr : &first->second;
}

void keep_newest(std::map<std::string, OutputVersion>& outputs, const std::string& key, const OutputVersion& version) {
    const auto [place, is_first] = outputs.try_emplace(key, version);
    if (!is_first && version.is_newer_than(place->second)) {
        place->second = version;
    }
}

std::string output_key(const Output& output, std::int64_t digest) {
    const bool usable = !output.id.empty() && output.id.size() <= output_key_bytes_max &&
                        output.id.find('\0') == std::string::npos && output.id.front() != '#';
    return usable ? output.id : fmt::format("#{:016x}", std::bit_cast<std::uint64_t>(digest));
}

void add_outputs(RunState& state, const ReceivedEvent& received, const EventStamp& stamp) {
    std::int32_t position = 0;
    for (const Output& output : received.event.outputs) {
        OutputVersion version{.updated_at = parse_iso_time(output.updated_at),
                              .signed_links = count_signed_links(output.json),
                              .stamp = stamp,
                              .position = position++,
                              .json = output.json,
                              .event = received.name};
        version.stamp.digest = digest_of(output.json);
        version.stamp.redelivered = false;  // No part of an output's order, so no part of what is kept.
        keep_newest(state.outputs, output_key(output, version.stamp.digest), version);
    }
}

}  // namespace

bool EventStamp::is_before_in_boot(const EventStamp& other) const noexcept {
    const auto order = [](const EventStamp& s) { return std::tie(s.boottime, s.received_at, s.redelivered, s.digest); };
    return order(*this) < order(other);
}

const EventStamp* RunState::first_running() const noexcept { return first_of_boots(running); }

const RunEnding* RunState::first_ending() const noexcept { return first_of_boots(ending); }

bool OutputVersion::is_newer_than(const OutputVersion& other) const noexcept {
    // An empty optional is less than any value, as -infinity is in SQL.
    const auto order = [](const OutputVersion& v) {
        return std::tie(v.updated_at, v.signed_links, v.stamp.received_at, v.stamp.boot, v.stamp.boottime,
                        v.stamp.digest, v.position);
    };
    return order(*this) > order(other);
}

RunState state_of(const ReceivedEvent& received, bool with_outputs) {
    const Event& event = received.event;
    const EventStamp stamp{.received_at = received.stamp.received_at,
                           .boot = received.boot,
                           .boottime = received.stamp.boottime,
                           .redelivered = received.redelivered,
                           .digest = digest_of(received.body)};
    const WallTime at = stamp.received_at;
    RunState state;
    state.first_received_at = at;
    state.event_count = 1;
    state.latest = RunLatest{.stamp = stamp,
                             .status_word = storable_text(event.status_word),
                             .progress = event.progress,
                             .live_status = storable_text(event.live_status)};
    if (!event.status) {
        state.other_statuses.emplace(cut_utf8(storable_text(event.status_word), other_status_bytes_max), at);
    } else {
        switch (*event.status) {
            case RunStatus::not_started:
                state.not_started_at = at;
                break;
            case RunStatus::queued:
                state.queued_at = at;
                break;
            case RunStatus::started:
                state.started_at = at;
                break;
            case RunStatus::running: {
                EventStamp moment = stamp;
                moment.digest = 0;  // The moment is all that counts; bodies of progress differ.
                state.running.emplace(moment.boot, moment);
                break;
            }
            case RunStatus::uploading:
                state.uploading_at = at;
                break;
            case RunStatus::success:
            case RunStatus::failed:
            case RunStatus::timeout:
            case RunStatus::cancelled:
                state.ending.emplace(stamp.boot, RunEnding{.stamp = stamp,
                                                           .status = *event.status,
                                                           .progress = event.progress,
                                                           .live_status = storable_text(event.live_status),
                                                           .error = storable_text(event.error)});
                break;
        }
    }
    if (with_outputs) {
        add_outputs(state, received, stamp);
    }
    return state;
}

void merge(RunState& into, const RunState& other) {
    keep_earliest(into.not_started_at, other.not_started_at);
    keep_earliest(into.queued_at, other.queued_at);
    keep_earliest(into.started_at, other.started_at);
    keep_earliest(into.uploading_at, other.uploading_at);
    for (const auto& [boot, moment] : other.running) {
        keep_first_of_boot(into.running, moment);
    }
    for (const auto& [boot, ending] : other.ending) {
        keep_first_of_boot(into.ending, ending);
    }
    if (into.event_count == 0 || other.latest.stamp > into.latest.stamp) {
        into.latest = other.latest;
    }
    into.first_received_at =
        into.event_count == 0 ? other.first_received_at : std::min(into.first_received_at, other.first_received_at);
    into.event_count += other.event_count;
    for (const auto& [word, at] : other.other_statuses) {
        const auto [place, is_first] = into.other_statuses.try_emplace(word, at);
        if (!is_first) {
            place->second = std::min(place->second, at);
        }
    }
    for (const auto& [key, version] : other.outputs) {
        keep_newest(into.outputs, key, version);
    }
}

std::int32_t count_signed_links(std::string_view json) noexcept {
    // With what comes before; u0026 is an escaped &.
    static constexpr std::array<std::string_view, 7> names{"-signature", "?signature", "&signature", "u0026signature",
                                                           "?sig",       "&sig",       "u0026sig"};
    const auto ends_with = [&](std::size_t equals, std::string_view name) {
        return equals >= name.size() &&
               std::equal(name.begin(), name.end(), json.begin() + static_cast<std::ptrdiff_t>(equals - name.size()),
                          [](char wanted, char c) { return wanted == (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    };
    std::int32_t count = 0;
    for (std::size_t equals = json.find('='); equals != std::string_view::npos; equals = json.find('=', equals + 1)) {
        const auto is_named = [&](std::string_view name) { return ends_with(equals, name); };
        count += std::any_of(names.begin(), names.end(), is_named) ? 1 : 0;
    }
    return count;
}

std::string storable_text(std::string_view text) {
    std::string stored;
    stored.reserve(text.size());
    for (const char c : text) {
        if (c == '\0') {
            stored += "\xEF\xBF\xBD";
        } else {
            stored.push_back(c);
        }
    }
    return stored;
}

}  // namespace runledger
