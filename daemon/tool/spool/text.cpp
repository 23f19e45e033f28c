#include "daemon/tool/spool/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "common/event.hpp"
#include "daemon/base/json.hpp"

namespace runledger::tool {
namespace {

// Refuses to write what is no UTF-8, instead of writing it as it is.
using Writer = rapidjson::Writer<rapidjson::StringBuffer, rapidjson::UTF8<>, rapidjson::UTF8<>, rapidjson::CrtAllocator,
                                 rapidjson::kWriteValidateEncodingFlag>;

void put(Writer& writer, std::string_view key, std::string_view text) {
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put(Writer& writer, std::string_view key, std::uint64_t value) {
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.Uint64(value);
}

void put(Writer& writer, std::string_view key, std::int64_t value) {
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.Int64(value);
}

void put(Writer& writer, std::string_view key, bool value) {
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.Bool(value);
}

[[nodiscard]] bool is_utf8(std::string_view text) {
    rapidjson::MemoryStream in(text.data(), text.size());
    rapidjson::StringBuffer ignored;
    while (in.Tell() < text.size()) {
        if (!rapidjson::UTF8<>::Validate(in, ignored)) {
            return false;
        }
        ignored.Clear();
    }
    return true;
}

[[nodiscard]] std::string to_hex(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

// Quoted, control characters escaped: a sender's text must not reach the operator's terminal as it is.
[[nodiscard]] std::string quote(std::string_view text) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
    return {buffer.GetString(), buffer.GetSize()};
}

[[nodiscard]] std::string take(const rapidjson::StringBuffer& buffer) { return {buffer.GetString(), buffer.GetSize()}; }

}  // namespace

std::string to_text(WallTime time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                       (time - seconds).count());
}

std::string_view state_of(const SegmentLook& look) {
    if (const auto* fault = std::get_if<SegmentFault>(&look.content)) {
        return to_word(*fault);
    }
    switch (look.name.kind) {
        case SegmentKind::live:
            return look.is_owned ? "owned" : "orphan";
        case SegmentKind::kept:
            return "kept";
        case SegmentKind::damaged:
            return "damaged";
    }
    return "unknown";
}

SegmentSums sum_up(const SegmentContent& content) {
    SegmentSums sums;
    sums.batches = content.batches().size();
    for (const RecordPlace& place : content.batches()) {
        const auto decoded = wire::decode_batch(content.frame(place));
        const auto* batch = std::get_if<wire::Batch>(&decoded);
        if (batch == nullptr || batch->events.empty()) {
            continue;  // The record's checksum is right and its frame is not: show says so.
        }
        sums.events += batch->events.size();
        for (const wire::Event& event : batch->events) {
            sums.body_bytes += event.body.size();
        }
        if (sums.first_received_at.empty()) {
            sums.first_received_at = to_text(batch->events.front().stamp.received_at);
        }
        sums.last_received_at = to_text(batch->events.back().stamp.received_at);
    }
    return sums;
}

std::string to_json(const SegmentLook& look, const SegmentSums& sums) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.StartObject();
    put(writer, "segment", look.name.id.hex());
    put(writer, "file", look.name.path.filename().string());
    put(writer, "state", state_of(look));
    put(writer, "owned", look.is_owned);
    put(writer, "allocated_bytes", look.allocated_bytes);
    if (const SegmentContent* content = look.segment()) {
        if (content->header()) {
            put(writer, "created_at", to_text(content->header()->created_at));
            put(writer, "copy", content->header()->is_copy);
        }
        put(writer, "batches", sums.batches);
        put(writer, "events", sums.events);
        put(writer, "body_bytes", sums.body_bytes);
        put(writer, "used_bytes", std::uint64_t{content->used_bytes()});
        put(writer, "end", to_word(content->end()));
        if (!sums.first_received_at.empty()) {
            put(writer, "first_received_at", sums.first_received_at);
            put(writer, "last_received_at", sums.last_received_at);
        }
    }
    writer.EndObject();
    return take(buffer);
}

std::string to_json(const wire::Batch& batch, std::size_t index, WithBody with_body) {
    const wire::Event& event = batch.events[index];
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.StartObject();
    put(writer, "segment", batch.name.segment.hex());
    put(writer, "batch", std::uint64_t{batch.name.number});
    put(writer, "index", std::uint64_t{index});
    const bool is_name_text = is_utf8(batch.edge_name);
    put(writer, is_name_text ? "edge" : "edge_hex",
        is_name_text ? std::string(batch.edge_name) : to_hex(batch.edge_name));
    put(writer, "boot_id", batch.boot.hex());
    put(writer, "received_at", to_text(event.stamp.received_at));
    put(writer, "received_at_us", std::int64_t{event.stamp.received_at.time_since_epoch().count()});
    put(writer, "boottime_us", std::int64_t{event.stamp.boottime.since_boot.count()});
    put(writer, "flags", std::uint64_t{event.flags});
    put(writer, "redelivered", (event.flags & wire::redelivered) != 0);
    if (with_body == WithBody::no) {
        put(writer, "bytes", std::uint64_t{event.body.size()});
    } else if (is_utf8(event.body)) {
        put(writer, "body", event.body);
    } else {
        put(writer, "body_hex", to_hex(event.body));
    }
    writer.EndObject();
    return take(buffer);
}

std::string to_line(const wire::Batch& batch, std::size_t index) {
    const wire::Event& event = batch.events[index];
    std::string run_id = "?";
    std::string status = "?";
    const auto validated = validate_event(event.body);
    if (const auto* summary = std::get_if<EventSummary>(&validated)) {
        run_id = quote(summary->run_id);
        status = quote(summary->status_word);
    }
    return fmt::format("{}:{} {} run={} status={} bytes={}{}", batch.name.number, index,
                       to_text(event.stamp.received_at), run_id, status, event.body.size(),
                       (event.flags & wire::redelivered) != 0 ? " redelivered" : "");
}

}  // namespace runledger::tool
