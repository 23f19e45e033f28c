// The bytes that the two sides share: batches and retirements one way, answers the other. docs/wire-format.md
// describes them byte by byte; tests/unit/common/wire_test.cpp pins golden vectors.
//
// A batch's frame is also the payload of its record in a spool segment: it is encoded once, at the edge.
// Decoding trusts nothing: every length is checked against what is there. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/digest.hpp"
#include "common/identity.hpp"

namespace runledger::wire {

inline constexpr std::uint8_t version = 1;

// Fixed offsets in a batch's frame that the spool and the link use without decoding the whole.
inline constexpr std::size_t batch_header_bytes = 72;

// Flags of one event. Unknown bits are kept and ignored.
enum EventFlag : std::uint32_t {
    redelivered = 1U << 0U,    // Came as GET, so it happened earlier (docs/sender.md, "Delivery").
    beyond_parser = 1U << 1U,  // Has a number or an escape that our parser can't represent; stored unchanged.
};

// An event as it goes into a batch. `body` is the sender's bytes, unchanged.
struct Event {
    Stamp stamp;
    std::uint32_t flags{};
    std::string_view body;
};

// A batch as it is read from a frame. The views point into the frame and live as long as it does.
struct Batch {
    BatchName name;
    Digest128 digest{};
    BootId boot;
    std::string_view edge_name;
    std::vector<Event> events;
};

// A batch's name and number of events, from its header alone.
struct BatchHeader {
    BatchName name;
    Digest128 digest{};
    BootId boot;
    std::uint32_t event_count{};
};

// Builds one batch's frame, event after event. Not for sharing between threads.
class BatchEncoder {
public:
    struct Origin {
        BootId boot;
        std::string_view edge_name;  // At most edge_name_bytes_max bytes; a longer one is cut.
    };

    explicit BatchEncoder(const Origin& origin);

    // The event's bytes are copied.
    void add(const Event& event);

    [[nodiscard]] std::size_t event_count() const noexcept { return event_count_; }
    // The frame's length if it were finished now.
    [[nodiscard]] std::size_t size_bytes() const noexcept { return frame_.size(); }

    // Names the batch, computes its digest and hands the frame over. The encoder is empty for the next batch.
    // Precondition: at least one event.
    [[nodiscard]] std::vector<std::byte> finish(const BatchName& name);

    // As finish(), but the encoder keeps its events, so that a batch whose commit failed can be named anew.
    // The span is valid until the encoder is changed.
    [[nodiscard]] std::span<const std::byte> seal(const BatchName& name);
    void clear();

private:
    std::vector<std::byte> frame_;
    std::size_t prefix_bytes_{};
    std::uint32_t event_count_{};
};

// Why a frame could not be read. The words are the reasons of a `refused` answer.
enum class Damage : std::uint8_t {
    none = 0,
    not_ours = 1,         // Magic differs, or too short to have one.
    unknown_version = 2,  // Ours, but of a version this build does not know.
    unknown_kind = 3,
    truncated = 4,  // A length points past the end, or bytes are left over.
    digest_differs = 5,
    over_limit = 6,       // A count or length over the limits of common/limits.hpp.
    digest_conflict = 7,  // Well-formed, but another batch of that name is in the ledger (the daemon's answer only).
};

[[nodiscard]] std::string_view to_word(Damage damage) noexcept;

// All batches of the segment are committed and the edge wants to unlink it: the ledger may forget their names.
struct Retire {
    SegmentId segment;
    std::uint64_t batch_count{};
};

enum class Verdict : std::uint8_t {
    committed = 1,  // In PostgreSQL, durably; also for a copy of a committed batch.
    busy = 2,       // The daemon's queue is full: send again later, and slower.
    refused = 3,    // Not accepted as it is; see the reason.
    retired = 4,    // The answer to Retire.
};

struct Answer {
    Verdict verdict{};
    Damage reason{Damage::none};
    BatchName batch;  // For `retired`, `number` is the batch count that was retired.
};

// The header without the events; the digest is not verified.
[[nodiscard]] std::variant<BatchHeader, Damage> decode_batch_header(std::span<const std::byte> frame);

// The whole batch, its digest verified.
[[nodiscard]] std::variant<Batch, Damage> decode_batch(std::span<const std::byte> frame);

// What the edge sends.
[[nodiscard]] std::variant<Batch, Retire, Damage> decode_request(std::span<const std::byte> frame);

[[nodiscard]] std::vector<std::byte> encode(const Retire& retire);
[[nodiscard]] std::vector<std::byte> encode(const Answer& answer);
[[nodiscard]] std::variant<Answer, Damage> decode_answer(std::span<const std::byte> frame);

}  // namespace runledger::wire
