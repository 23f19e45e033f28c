// The ledger's rows as values: what an event becomes before SQL sees it. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/digest.hpp"
#include "common/wire.hpp"
#include "daemon/database/database.hpp"
#include "daemon/ingest/run_state.hpp"

namespace runledger {

// An event that has a row in webhook_events and a part in its run's state.
struct AcceptedEvent {
    ReceivedEvent received;
    const std::string* edge{};  // The caller's; outlives the turn.
};

// A row of quarantine, each value as SQL's text; an empty optional is NULL.
struct QuarantineRow {
    std::string scope;
    std::string reason;
    EventName name;
    std::optional<std::string> index;
    std::string edge;
    std::optional<std::string> received_at;
    std::optional<std::string> boot;
    std::optional<std::string> boottime_us;
    std::optional<std::string> run_id;
    std::string content_hex;
    std::optional<std::string> batch_event_count{};  // Of a batch alone.
    std::optional<std::string> redelivered{};
};

// One event as an edge stored it, by itself.
struct StoredEvent {
    wire::Event event;
    BootId boot;
    EventName name;
};

// Decodes one event: a row of its own, or, where PostgreSQL can't hold it at all, one in quarantine.
[[nodiscard]] std::variant<AcceptedEvent, QuarantineRow> accept(const StoredEvent& stored, const std::string& edge);
// The same, of one event of a batch.
[[nodiscard]] std::variant<AcceptedEvent, QuarantineRow> accept(const wire::Batch& batch, std::uint32_t index,
                                                                const std::string& edge);

[[nodiscard]] QuarantineRow quarantine_row(const AcceptedEvent& accepted, std::string scope, std::string reason);
[[nodiscard]] QuarantineRow conflicting_batch_row(const wire::Batch& batch, const std::string& edge);

// The edge's name as PostgreSQL's text can hold it: the bytes in hexadecimal if they are no UTF-8.
[[nodiscard]] std::string edge_text(const wire::Batch& batch);

[[nodiscard]] std::string hex(const Digest128& digest);
// The digits of bytea's hexadecimal form, without its prefix; and the bytes that such digits are.
[[nodiscard]] std::string hex_bytes(std::string_view bytes);
[[nodiscard]] std::string bytes_of_hex(std::string_view digits);

// The frame of the batch as it is now, with a digest of its own, in hexadecimal.
[[nodiscard]] std::string frame_hex(const wire::Batch& batch);

// Columns of stamps, one entry a run.
struct StampArrays {
    ArrayLiteral at;
    ArrayLiteral boot;
    ArrayLiteral boottime;
    ArrayLiteral redelivered;
    ArrayLiteral digest;

    void add(const EventStamp* stamp);  // nullptr: NULL in each.
};

// The parameters of queries/apply/upsert_runs.sql, in its order of runs: all that is known of them, but of each run's
// boots one alone, the `boot`-th (0, 1, …). Runs with fewer boots are left out, except with the first.
struct RunArrays {
    RunArrays(const std::map<std::string, RunState>& runs, std::size_t boot);

    ArrayLiteral run_id;
    ArrayLiteral not_started_at;
    ArrayLiteral queued_at;
    ArrayLiteral started_at;
    ArrayLiteral uploading_at;
    StampArrays running;
    ArrayLiteral ending_status;
    StampArrays ending;
    ArrayLiteral ending_progress;
    ArrayLiteral ending_live_status;
    ArrayLiteral ending_error;
    StampArrays latest;
    ArrayLiteral latest_status;
    ArrayLiteral latest_progress;
    ArrayLiteral latest_live_status;
    ArrayLiteral first_received_at;
    ArrayLiteral event_count;
};

struct OtherStatusArrays {
    explicit OtherStatusArrays(const std::map<std::string, RunState>& runs);

    ArrayLiteral run_id;
    ArrayLiteral status;
    ArrayLiteral received_at;
};

struct OutputArrays {
    OutputArrays(const std::map<std::string, RunState>& runs, const std::map<SegmentId, std::string>& edges);

    ArrayLiteral run_id;
    ArrayLiteral key;
    ArrayLiteral updated_at;
    ArrayLiteral signed_links;
    ArrayLiteral received_at;
    ArrayLiteral boot;
    ArrayLiteral boottime;
    ArrayLiteral digest;
    ArrayLiteral position;
    ArrayLiteral output;
    ArrayLiteral segment;
    ArrayLiteral batch;
    ArrayLiteral index;
    ArrayLiteral edge;
};

}  // namespace runledger
