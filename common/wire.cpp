#include "common/wire.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "common/limits.hpp"
#include "common/little_endian.hpp"

namespace runledger::wire {
namespace {

// docs/wire-format.md. All integers are little-endian.
constexpr std::array<std::uint8_t, 4> magic{'R', 'L', 'W', 'M'};

enum class Kind : std::uint8_t { batch = 1, retire = 2, answer = 3 };

constexpr std::size_t prelude_bytes = 8;
constexpr std::size_t digest_offset = 8;
constexpr std::size_t digested_offset = 24;
constexpr std::size_t segment_offset = 24;
constexpr std::size_t number_offset = 40;
constexpr std::size_t boot_offset = 48;
constexpr std::size_t event_count_offset = 64;
constexpr std::size_t edge_name_length_offset = 68;
constexpr std::size_t event_header_bytes = 24;
constexpr std::size_t retire_bytes = 32;
constexpr std::size_t answer_bytes = 36;

static_assert(edge_name_length_offset + 4 == batch_header_bytes);
static_assert(batch_header_bytes + edge_name_bytes_max + event_header_bytes <= wire_overhead_bytes_max);

template <class Array>
void put_bytes(std::span<std::byte> frame, std::size_t offset, const Array& bytes) {
    std::memcpy(frame.data() + offset, bytes.data(), bytes.size());
}

template <class Array>
void get_bytes(std::span<const std::byte> frame, std::size_t offset, Array& bytes) {
    std::memcpy(bytes.data(), frame.data() + offset, bytes.size());
}

void put_text(std::span<std::byte> frame, std::size_t offset, std::string_view text) {
    if (!text.empty()) {  // Whose null pointer memcpy may not be given.
        std::memcpy(frame.subspan(offset).data(), text.data(), text.size());
    }
}

void put_prelude(std::span<std::byte> frame, Kind kind) {
    put_bytes(frame, 0, magic);
    put(frame, 4, version);
    put(frame, 5, static_cast<std::uint8_t>(kind));
    put(frame, 6, std::uint16_t{0});
}

std::variant<Kind, Damage> get_kind(std::span<const std::byte> frame) {
    if (frame.size() < prelude_bytes || std::memcmp(frame.data(), magic.data(), magic.size()) != 0) {
        return Damage::not_ours;
    }
    if (get<std::uint8_t>(frame, 4) != version) {
        return Damage::unknown_version;
    }
    const auto kind = get<std::uint8_t>(frame, 5);
    if (kind < static_cast<std::uint8_t>(Kind::batch) || kind > static_cast<std::uint8_t>(Kind::answer)) {
        return Damage::unknown_kind;
    }
    return static_cast<Kind>(kind);
}

std::string_view text_at(std::span<const std::byte> frame, std::size_t offset, std::size_t length) {
    // The frame's bytes are text of a given length; std::byte may alias any object.
    return {reinterpret_cast<const char*>(frame.data()) + offset, length};
}

}  // namespace

std::string_view to_word(Damage damage) noexcept {
    switch (damage) {
        case Damage::none:
            return "none";
        case Damage::not_ours:
            return "not_ours";
        case Damage::unknown_version:
            return "unknown_version";
        case Damage::unknown_kind:
            return "unknown_kind";
        case Damage::truncated:
            return "truncated";
        case Damage::digest_differs:
            return "digest_differs";
        case Damage::over_limit:
            return "over_limit";
        case Damage::digest_conflict:
            return "digest_conflict";
    }
    return "unknown";
}

BatchEncoder::BatchEncoder(const Origin& origin) {
    const std::string_view name = origin.edge_name.substr(0, edge_name_bytes_max);
    frame_.resize(batch_header_bytes + name.size());
    put_prelude(frame_, Kind::batch);
    put_bytes(frame_, boot_offset, origin.boot.bytes);
    put(frame_, edge_name_length_offset, static_cast<std::uint16_t>(name.size()));
    put(frame_, edge_name_length_offset + 2, std::uint16_t{0});
    put_text(frame_, batch_header_bytes, name);
    prefix_bytes_ = frame_.size();
}

void BatchEncoder::add(const Event& event) {
    assert(event.body.size() <= body_bytes_max);
    const std::size_t offset = frame_.size();
    frame_.resize(offset + event_header_bytes + event.body.size());
    put(frame_, offset, event.stamp.received_at.time_since_epoch().count());
    put(frame_, offset + 8, event.stamp.boottime.since_boot.count());
    put(frame_, offset + 16, event.flags);
    put(frame_, offset + 20, static_cast<std::uint32_t>(event.body.size()));
    put_text(frame_, offset + event_header_bytes, event.body);
    ++event_count_;
}

std::span<const std::byte> BatchEncoder::seal(const BatchName& name) {
    assert(event_count_ > 0);
    put_bytes(frame_, segment_offset, name.segment.bytes);
    put(frame_, number_offset, name.number);
    put(frame_, event_count_offset, event_count_);
    put_bytes(frame_, digest_offset, digest128(std::span(frame_).subspan(digested_offset)));
    return frame_;
}

std::vector<std::byte> BatchEncoder::finish(const BatchName& name) {
    const auto sealed = seal(name);
    std::vector<std::byte> frame(sealed.begin(), sealed.end());
    clear();
    return frame;
}

void BatchEncoder::clear() {
    frame_.resize(prefix_bytes_);
    event_count_ = 0;
}

std::variant<BatchHeader, Damage> decode_batch_header(std::span<const std::byte> frame) {
    const auto kind = get_kind(frame);
    if (const auto* damage = std::get_if<Damage>(&kind)) {
        return *damage;
    }
    if (std::get<Kind>(kind) != Kind::batch) {
        return Damage::unknown_kind;
    }
    if (frame.size() < batch_header_bytes) {
        return Damage::truncated;
    }
    BatchHeader header;
    get_bytes(frame, segment_offset, header.name.segment.bytes);
    header.name.number = get<std::uint64_t>(frame, number_offset);
    get_bytes(frame, digest_offset, header.digest);
    get_bytes(frame, boot_offset, header.boot.bytes);
    header.event_count = get<std::uint32_t>(frame, event_count_offset);
    return header;
}

std::variant<Batch, Damage> decode_batch(std::span<const std::byte> frame) {
    const auto decoded = decode_batch_header(frame);
    if (const auto* damage = std::get_if<Damage>(&decoded)) {
        return *damage;
    }
    const auto& header = std::get<BatchHeader>(decoded);
    if (frame.size() > wire_message_bytes_max || header.event_count == 0 || header.event_count > batch_events_max) {
        return Damage::over_limit;
    }
    if (digest128(frame.subspan(digested_offset)) != header.digest) {
        return Damage::digest_differs;
    }
    const std::size_t name_bytes = get<std::uint16_t>(frame, edge_name_length_offset);
    if (name_bytes > edge_name_bytes_max) {
        return Damage::over_limit;
    }
    std::size_t offset = batch_header_bytes;
    if (name_bytes > frame.size() - offset) {
        return Damage::truncated;
    }
    Batch batch{.name = header.name,
                .digest = header.digest,
                .boot = header.boot,
                .edge_name = text_at(frame, offset, name_bytes),
                .events = {}};
    offset += name_bytes;
    // Bounded by what is there, so that a lying count can't reserve memory.
    batch.events.reserve(std::min<std::size_t>(header.event_count, frame.size() / event_header_bytes));
    for (std::uint32_t i = 0; i < header.event_count; ++i) {
        if (frame.size() - offset < event_header_bytes) {
            return Damage::truncated;
        }
        Event event;
        event.stamp.received_at = WallTime{std::chrono::microseconds{get<std::int64_t>(frame, offset)}};
        event.stamp.boottime = BootTime{std::chrono::microseconds{get<std::int64_t>(frame, offset + 8)}};
        event.flags = get<std::uint32_t>(frame, offset + 16);
        const std::size_t body_bytes = get<std::uint32_t>(frame, offset + 20);
        offset += event_header_bytes;
        if (body_bytes > body_bytes_max) {
            return Damage::over_limit;
        }
        if (body_bytes > frame.size() - offset) {
            return Damage::truncated;
        }
        event.body = text_at(frame, offset, body_bytes);
        offset += body_bytes;
        batch.events.push_back(event);
    }
    if (offset != frame.size()) {
        return Damage::truncated;
    }
    return batch;
}

std::variant<Batch, Retire, Damage> decode_request(std::span<const std::byte> frame) {
    const auto kind = get_kind(frame);
    if (const auto* damage = std::get_if<Damage>(&kind)) {
        return *damage;
    }
    switch (std::get<Kind>(kind)) {
        case Kind::batch: {
            auto batch = decode_batch(frame);
            if (const auto* damage = std::get_if<Damage>(&batch)) {
                return *damage;
            }
            return std::get<Batch>(std::move(batch));
        }
        case Kind::retire: {
            if (frame.size() != retire_bytes) {
                return Damage::truncated;
            }
            Retire retire;
            get_bytes(frame, 8, retire.segment.bytes);
            retire.batch_count = get<std::uint64_t>(frame, 24);
            return retire;
        }
        case Kind::answer:
            return Damage::unknown_kind;
    }
    return Damage::unknown_kind;
}

std::vector<std::byte> encode(const Retire& retire) {
    std::vector<std::byte> frame(retire_bytes);
    put_prelude(frame, Kind::retire);
    put_bytes(frame, 8, retire.segment.bytes);
    put(frame, 24, retire.batch_count);
    return frame;
}

std::vector<std::byte> encode(const Answer& answer) {
    std::vector<std::byte> frame(answer_bytes);
    put_prelude(frame, Kind::answer);
    put_bytes(frame, 8, answer.batch.segment.bytes);
    put(frame, 24, answer.batch.number);
    put(frame, 32, static_cast<std::uint8_t>(answer.verdict));
    put(frame, 33, static_cast<std::uint8_t>(answer.reason));
    put(frame, 34, std::uint16_t{0});
    return frame;
}

std::variant<Answer, Damage> decode_answer(std::span<const std::byte> frame) {
    const auto kind = get_kind(frame);
    if (const auto* damage = std::get_if<Damage>(&kind)) {
        return *damage;
    }
    if (std::get<Kind>(kind) != Kind::answer) {
        return Damage::unknown_kind;
    }
    if (frame.size() != answer_bytes) {
        return Damage::truncated;
    }
    const auto verdict = get<std::uint8_t>(frame, 32);
    const auto reason = get<std::uint8_t>(frame, 33);
    if (verdict < static_cast<std::uint8_t>(Verdict::committed) ||
        verdict > static_cast<std::uint8_t>(Verdict::retired) ||
        reason > static_cast<std::uint8_t>(Damage::digest_conflict)) {
        return Damage::over_limit;
    }
    Answer answer{.verdict = static_cast<Verdict>(verdict), .reason = static_cast<Damage>(reason), .batch = {}};
    get_bytes(frame, 8, answer.batch.segment.bytes);
    answer.batch.number = get<std::uint64_t>(frame, 24);
    return answer;
}

}  // namespace runledger::wire
