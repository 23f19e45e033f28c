// The wire format, in two ways that the input's first byte chooses between:
//   bytes from anywhere, as they come and once more with a batch's prelude and digest made right, so that what lies
//   behind the digest is reached: decoding stops nowhere, keeps within the frame, and what it reads encodes to the
//   same bytes;
//   messages built from the input: decoding gives them back, and a changed, a missing or an added byte is seen.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/limits.hpp"
#include "common/little_endian.hpp"
#include "common/wire.hpp"
#include "tests/fuzz/claim.hpp"
#include "tests/fuzz/input_bytes.hpp"

namespace runledger::fuzz {
namespace {

using Bytes = std::vector<std::byte>;

// docs/wire-format.md.
constexpr std::size_t kind_at = 5;
constexpr std::size_t digest_at = 8;
constexpr std::size_t digested_at = 24;
constexpr std::size_t edge_name_length_at = 68;
constexpr std::size_t retire_bytes = 32;
constexpr std::size_t answer_bytes = 36;

Bytes to_bytes(std::span<const std::uint8_t> input) {
    const auto bytes = std::as_bytes(input);
    return {bytes.begin(), bytes.end()};
}

void make_digest_right(Bytes& frame) {
    const auto digest = digest128(std::span(frame).subspan(digested_at));
    std::copy(digest.begin(), digest.end(), reinterpret_cast<std::uint8_t*>(frame.data()) + digest_at);
}

// As an encoder writes it: bytes that a reader ignores are 0. Precondition: the frame was decoded.
Bytes with_reserved_bytes_zero(std::span<const std::byte> frame) {
    Bytes canonical(frame.begin(), frame.end());
    put(std::span(canonical), kind_at + 1, std::uint16_t{0});
    switch (static_cast<unsigned>(canonical[kind_at])) {
        case 1:
            put(std::span(canonical), edge_name_length_at + 2, std::uint16_t{0});
            make_digest_right(canonical);
            break;
        case 3:
            put(std::span(canonical), answer_bytes - 2, std::uint16_t{0});
            break;
        default:
            break;
    }
    return canonical;
}

Bytes encode(const wire::Batch& batch) {
    wire::BatchEncoder encoder({.boot = batch.boot, .edge_name = batch.edge_name});
    for (const wire::Event& event : batch.events) {
        encoder.add(event);
    }
    claim(encoder.event_count() == batch.events.size(), "the encoder counts its events");
    return encoder.finish(batch.name);
}

void batch_is_within(const wire::Batch& batch, std::span<const std::byte> frame) {
    const char* begin = reinterpret_cast<const char*>(frame.data());
    claim(!batch.events.empty() && batch.events.size() <= batch_events_max, "a batch has events, within the bound");
    claim(batch.edge_name.size() <= edge_name_bytes_max, "the edge's name is within its bound");
    claim(batch.edge_name.data() == begin + wire::batch_header_bytes, "the edge's name stands behind the header");
    const char* end = batch.edge_name.data() + batch.edge_name.size();
    for (const wire::Event& event : batch.events) {
        claim(event.body.size() <= body_bytes_max, "a body is within its bound");
        claim(event.body.data() > end && event.body.data() + event.body.size() <= begin + frame.size(),
              "bodies stand in the frame, one behind the other");
        end = event.body.data() + event.body.size();
    }
    claim(end == begin + frame.size(), "the frame ends with its last event");
}

void decodes_safely(std::span<const std::byte> frame) {
    const auto header = wire::decode_batch_header(frame);
    const auto batch = wire::decode_batch(frame);
    const auto request = wire::decode_request(frame);
    const auto answer = wire::decode_answer(frame);

    if (const auto* read = std::get_if<wire::Batch>(&batch)) {
        claim(std::holds_alternative<wire::Batch>(request), "a batch is a request");
        claim(std::holds_alternative<wire::BatchHeader>(header), "a batch has a header");
        claim(std::holds_alternative<wire::Damage>(answer), "a batch is no answer");
        const auto& named = std::get<wire::BatchHeader>(header);
        claim(named.name == read->name && named.digest == read->digest && named.boot == read->boot &&
                  named.event_count == read->events.size(),
              "the header says what the batch is");
        batch_is_within(*read, frame);
        claim(encode(*read) == with_reserved_bytes_zero(frame), "a batch encodes to the frame that it was read from");
    } else {
        claim(!std::holds_alternative<wire::Batch>(request), "what is no batch is none as a request");
        claim(wire::to_word(std::get<wire::Damage>(batch)) != "unknown", "damage has a word");
    }
    if (const auto* retire = std::get_if<wire::Retire>(&request)) {
        claim(frame.size() == retire_bytes && wire::encode(*retire) == with_reserved_bytes_zero(frame),
              "a retirement encodes to the frame that it was read from");
    }
    if (const auto* read = std::get_if<wire::Answer>(&answer)) {
        claim(std::holds_alternative<wire::Damage>(request), "an answer is no request");
        claim(frame.size() == answer_bytes && wire::encode(*read) == with_reserved_bytes_zero(frame),
              "an answer encodes to the frame that it was read from");
    }
}

void bytes_from_anywhere(InputBytes input) {
    Bytes frame = to_bytes(input.take_rest());
    decodes_safely(frame);
    if (frame.size() < wire::batch_header_bytes) {
        return;
    }
    wire::BatchEncoder encoder({.boot = {}, .edge_name = {}});
    encoder.add({.stamp = {}, .flags = 0, .body = {}});
    std::copy_n(encoder.finish({}).begin(), digest_at, frame.begin());
    make_digest_right(frame);
    decodes_safely(frame);
}

// Any change of the frame at the place that the input chooses is damage, but in the two bytes that a reader ignores.
void change_is_seen(const Bytes& frame, InputBytes& input) {
    const std::size_t changed_at = input.take_up_to(frame.size() - 1);
    Bytes changed = frame;
    changed[changed_at] ^= std::byte{static_cast<std::uint8_t>(input.take_integer<std::uint8_t>() | 1U)};
    decodes_safely(changed);
    const bool is_ignored = changed_at == kind_at + 1 || changed_at == kind_at + 2;
    claim(std::holds_alternative<wire::Damage>(wire::decode_request(changed)) != is_ignored,
          "a changed byte of a batch is seen");

    const std::size_t cut_to = input.take_up_to(frame.size() - 1);
    const auto shorter = std::span(frame).first(cut_to);
    decodes_safely(shorter);
    claim(std::holds_alternative<wire::Damage>(wire::decode_request(shorter)), "a missing end is seen");

    Bytes longer = frame;
    longer.resize(frame.size() + 1 + input.take_up_to(64));
    decodes_safely(longer);
    claim(std::holds_alternative<wire::Damage>(wire::decode_request(longer)), "an added end is seen");
}

BatchName take_name(InputBytes& input) {
    BatchName name;
    for (std::uint8_t& byte : name.segment.bytes) {
        byte = input.take_integer<std::uint8_t>();
    }
    name.number = input.take_integer<std::uint64_t>();
    return name;
}

void batch_comes_back(InputBytes& input) {
    const BatchName name = take_name(input);
    BootId boot;
    boot.bytes.fill(input.take_integer<std::uint8_t>());
    const std::string edge_name = input.take_text(edge_name_bytes_max + 8);
    std::vector<std::string> bodies;
    std::vector<wire::Event> events;
    const std::size_t event_count = 1 + input.take_up_to(40);
    bodies.reserve(event_count);  // The events' views stay true.
    for (std::size_t i = 0; i < event_count; ++i) {
        wire::Event event;
        event.stamp.received_at = WallTime{std::chrono::microseconds{input.take_integer<std::int64_t>()}};
        event.stamp.boottime = BootTime{std::chrono::microseconds{input.take_integer<std::int64_t>()}};
        event.flags = input.take_integer<std::uint32_t>();
        event.body = bodies.emplace_back(input.take_text(512));
        events.push_back(event);
    }
    wire::BatchEncoder encoder({.boot = boot, .edge_name = edge_name});
    for (const wire::Event& event : events) {
        encoder.add(event);
    }

    const auto sealed = encoder.seal(name);
    const Bytes frame(sealed.begin(), sealed.end());
    claim(encoder.size_bytes() == frame.size() && encoder.finish(name) == frame, "seal and finish give the same frame");
    claim(encoder.event_count() == 0, "finish leaves the encoder empty");
    const auto decoded = wire::decode_batch(frame);

    claim(std::holds_alternative<wire::Batch>(decoded), "an encoded batch decodes");
    const auto& batch = std::get<wire::Batch>(decoded);
    claim(batch.name == name && batch.boot == boot, "its names come back");
    claim(batch.edge_name == std::string_view(edge_name).substr(0, edge_name_bytes_max), "its edge's name comes back");
    claim(std::equal(batch.events.begin(), batch.events.end(), events.begin(), events.end(),
                     [](const wire::Event& a, const wire::Event& b) {
                         return a.stamp.received_at == b.stamp.received_at && a.stamp.boottime == b.stamp.boottime &&
                                a.flags == b.flags && a.body == b.body;
                     }),
          "its events come back");
    decodes_safely(frame);
    change_is_seen(frame, input);
}

void small_messages_come_back(InputBytes& input) {
    const BatchName name = take_name(input);
    const wire::Answer answer{.verdict = static_cast<wire::Verdict>(1 + input.take_up_to(3)),
                              .reason = static_cast<wire::Damage>(input.take_up_to(7)),
                              .batch = name};

    const Bytes answer_frame = wire::encode(answer);
    const Bytes retire_frame = wire::encode(wire::Retire{.segment = name.segment, .batch_count = name.number});

    const auto answered = wire::decode_answer(answer_frame);
    claim(std::holds_alternative<wire::Answer>(answered), "an encoded answer decodes");
    const auto& read = std::get<wire::Answer>(answered);
    claim(read.verdict == answer.verdict && read.reason == answer.reason && read.batch == name, "an answer comes back");
    const auto retired = wire::decode_request(retire_frame);
    claim(std::holds_alternative<wire::Retire>(retired), "an encoded retirement decodes");
    claim(std::get<wire::Retire>(retired).segment == name.segment &&
              std::get<wire::Retire>(retired).batch_count == name.number,
          "a retirement comes back");
    decodes_safely(answer_frame);
    decodes_safely(retire_frame);
}

}  // namespace
}  // namespace runledger::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    runledger::fuzz::InputBytes input({data, size});
    if (input.take_integer<std::uint8_t>() % 2 == 0) {
        runledger::fuzz::bytes_from_anywhere(input);
    } else {
        runledger::fuzz::small_messages_come_back(input);
        runledger::fuzz::batch_comes_back(input);
    }
    return 0;
}
