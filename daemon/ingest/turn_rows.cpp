#include "daemon/ingest/turn_rows.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "common/limits.hpp"
#include "daemon/ingest/write_turn.hpp"

namespace runledger {
namespace {

// What timestamp_text can say and any reader of the table makes sense of.
bool is_plausible(WallTime time) {
    using namespace std::chrono;
    return time >= sys_days{year{1970} / 1 / 1} && time < sys_days{year{9999} / 1 / 1};
}

void add_time(ArrayLiteral& array, const std::optional<WallTime>& time) {
    if (time) {
        array.add(timestamp_text(*time));
    } else {
        array.add_null();
    }
}

void add_text_or_null(ArrayLiteral& array, std::string_view value) {
    if (value.empty()) {
        array.add_null();
    } else {
        array.add(value);
    }
}

// A host name is ASCII; anything else is a mistake that must not become poison.
bool is_plain_ascii(std::string_view text) {
    for (const char c : text) {
        if (c < 0x20 || c > 0x7E) {
            return false;
        }
    }
    return true;
}

std::string to_sql(bool value) { return value ? "t" : "f"; }

QuarantineRow event_row(const StoredEvent& stored, const std::string& edge, std::string reason) {
    const wire::Event& event = stored.event;
    QuarantineRow row{.scope = "event",
                      .reason = std::move(reason),
                      .name = stored.name,
                      .index = std::to_string(stored.name.index),
                      .edge = edge,
                      .received_at = std::nullopt,
                      .boot = stored.boot.hex(),
                      .boottime_us = std::to_string(event.stamp.boottime.since_boot.count()),
                      .run_id = std::nullopt,
                      .content_hex = hex_bytes(event.body),
                      .redelivered = to_sql((event.flags & wire::redelivered) != 0)};
    if (is_plausible(event.stamp.received_at)) {
        row.received_at = timestamp_text(event.stamp.received_at);
    }
    return row;
}

}  // namespace

std::variant<AcceptedEvent, QuarantineRow> accept(const wire::Batch& batch, std::uint32_t index,
                                                  const std::string& edge) {
    return accept(StoredEvent{.event = batch.events[index], .boot = batch.boot, .name = {batch.name, index}}, edge);
}

std::variant<AcceptedEvent, QuarantineRow> accept(const StoredEvent& stored_event, const std::string& edge) {
    const wire::Event& stored = stored_event.event;
    DecodeResult decoded = decode_event(stored.body);
    if (const auto* refusal = std::get_if<Refusal>(&decoded)) {
        // The edge validates with the same decoder: this is an edge of another build.
        return event_row(stored_event, edge, fmt::format("{}: {}", to_word(refusal->fault), describe(refusal->fault)));
    }
    Event& event = std::get<Event>(decoded);
    spdlog::debug("event run_id={} status={} progress={} live_status=\"{}\" outputs={} batch={}/{}", event.run_id,
                  event.status_word, event.progress ? fmt::format("{}", *event.progress) : "-", event.live_status,
                  event.outputs.size(), stored_event.name.batch.segment.hex(), stored_event.name.batch.number);
    if (event.run_id.find('\0') != std::string::npos) {
        return event_row(stored_event, edge, "run_id_has_nul: PostgreSQL's text can't hold U+0000");
    }
    if (!is_plausible(stored.stamp.received_at)) {
        auto row = event_row(stored_event, edge, "received_at_implausible: before 1970 or after 9998");
        row.run_id = event.run_id;
        return row;
    }
    return AcceptedEvent{.received = {.event = std::move(event),
                                      .stamp = stored.stamp,
                                      .boot = stored_event.boot,
                                      .redelivered = (stored.flags & wire::redelivered) != 0,
                                      .body = stored.body,
                                      .name = stored_event.name},
                         .edge = &edge};
}

QuarantineRow quarantine_row(const AcceptedEvent& accepted, std::string scope, std::string reason) {
    const ReceivedEvent& received = accepted.received;
    return {.scope = std::move(scope),
            .reason = std::move(reason),
            .name = received.name,
            .index = std::to_string(received.name.index),
            .edge = *accepted.edge,
            .received_at = timestamp_text(received.stamp.received_at),
            .boot = received.boot.hex(),
            .boottime_us = std::to_string(received.stamp.boottime.since_boot.count()),
            .run_id = received.event.run_id,
            .content_hex = hex_bytes(received.body),
            .redelivered = to_sql(received.redelivered)};
}

QuarantineRow conflicting_batch_row(const wire::Batch& batch, const std::string& edge) {
    return {
        .scope = "batch",
        .reason = fmt::format("digest_conflict: the ledger holds another batch of this name; this one's digest is {}",
                              hex(batch.digest)),
        .name = EventName{batch.name, 0},
        .index = std::nullopt,
        .edge = edge,
        .received_at = std::nullopt,
        .boot = std::nullopt,
        .boottime_us = std::nullopt,
        .run_id = std::nullopt,
        .content_hex = frame_hex(batch),
        .batch_event_count = std::to_string(batch.events.size())};
}

std::string hex_bytes(std::string_view bytes) {
    std::string digits;
    digits.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        fmt::format_to(std::back_inserter(digits), "{:02x}", static_cast<unsigned char>(byte));
    }
    return digits;
}

std::string bytes_of_hex(std::string_view digits) {
    const auto nibble = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
    std::string bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        bytes.push_back(static_cast<char>(nibble(digits[i]) << 4U | nibble(digits[i + 1])));
    }
    return bytes;
}

std::string frame_hex(const wire::Batch& batch) {
    // All of it, times and flags included: what was set aside must be whole to be taken up again.
    wire::BatchEncoder encoder({.boot = batch.boot, .edge_name = batch.edge_name});
    for (const wire::Event& event : batch.events) {
        encoder.add(event);
    }
    const std::vector<std::byte> frame = encoder.finish(batch.name);
    return hex_bytes({reinterpret_cast<const char*>(frame.data()), frame.size()});  // Allowed to alias.
}

std::string edge_text(const wire::Batch& batch) {
    return is_plain_ascii(batch.edge_name) ? std::string(batch.edge_name) : "hex:" + hex_bytes(batch.edge_name);
}

std::string hex(const Digest128& digest) {
    return hex_bytes(
        {reinterpret_cast<const char*>(digest.data()), digest.size()});  // Bytes as char: allowed to alias.
}

void StampArrays::add(const EventStamp* stamp) {
    if (stamp == nullptr) {
        at.add_null();
        boot.add_null();
        boottime.add_null();
        redelivered.add_null();
        digest.add_null();
        return;
    }
    at.add(timestamp_text(stamp->received_at));
    boot.add(stamp->boot.hex());
    boottime.add(static_cast<std::int64_t>(stamp->boottime.since_boot.count()));
    redelivered.add(stamp->redelivered);
    digest.add(stamp->digest);
}

RunArrays::RunArrays(const std::map<std::string, RunState>& runs, std::size_t boot) {
    const auto nth = [boot](const auto& by_boot) {
        return boot < by_boot.size() ? &std::next(by_boot.begin(), static_cast<std::ptrdiff_t>(boot))->second : nullptr;
    };
    for (const auto& [id, state] : runs) {
        const EventStamp* boot_running = nth(state.running);
        const RunEnding* boot_ending = nth(state.ending);
        if (boot > 0 && boot_running == nullptr && boot_ending == nullptr) {
            continue;
        }
        run_id.add(id);
        add_time(not_started_at, state.not_started_at);
        add_time(queued_at, state.queued_at);
        add_time(started_at, state.started_at);
        add_time(uploading_at, state.uploading_at);
        running.add(boot_running);
        ending.add(boot_ending == nullptr ? nullptr : &boot_ending->stamp);
        if (boot_ending != nullptr) {
            ending_status.add(to_word(boot_ending->status));
            ending_progress.add(boot_ending->progress);
            add_text_or_null(ending_live_status, boot_ending->live_status);
            add_text_or_null(ending_error, boot_ending->error);
        } else {
            ending_status.add_null();
            ending_progress.add_null();
            ending_live_status.add_null();
            ending_error.add_null();
        }
        latest.add(&state.latest.stamp);
        latest_status.add(state.latest.status_word);
        latest_progress.add(state.latest.progress);
        add_text_or_null(latest_live_status, state.latest.live_status);
        first_received_at.add(timestamp_text(state.first_received_at));
        event_count.add(state.event_count);
    }
}

OtherStatusArrays::OtherStatusArrays(const std::map<std::string, RunState>& runs) {
    for (const auto& [id, state] : runs) {
        for (const auto& [word, at] : state.other_statuses) {
            run_id.add(id);
            status.add(word);
            received_at.add(timestamp_text(at));
        }
    }
}

OutputArrays::OutputArrays(const std::map<std::string, RunState>& runs, const std::map<SegmentId, std::string>& edges) {
    for (const auto& [id, state] : runs) {
        for (const auto& [output_key, version] : state.outputs) {
            run_id.add(id);
            key.add(output_key);
            if (version.updated_at) {
                updated_at.add(timestamp_text(*version.updated_at));
            } else {
                updated_at.add(std::string_view("-infinity"));
            }
            signed_links.add(static_cast<std::int64_t>(version.signed_links));
            received_at.add(timestamp_text(version.stamp.received_at));
            boot.add(version.stamp.boot.hex());
            boottime.add(static_cast<std::int64_t>(version.stamp.boottime.since_boot.count()));
            digest.add(version.stamp.digest);
            position.add(static_cast<std::int64_t>(version.position));
            output.add(version.json);
            segment.add(version.event.batch.segment.hex());
            batch.add(static_cast<std::int64_t>(version.event.batch.number));
            index.add(static_cast<std::int64_t>(version.event.index));
            edge.add(edges.at(version.event.batch.segment));
        }
    }
}

}  // namespace runledger
