// RapidJSON's events of one body, and what an Event keeps of them. For event.cpp alone.
//
// The reader is fed one body; after it, finish() says whether the body is an event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/event.hpp"

// A broken assumption inside RapidJSON must not abort an nginx worker: it becomes an exception, which decode() catches.
#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #x))
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)

#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

namespace runledger {

enum class EventParts : std::uint8_t { summary, everything };

// Depth counts open objects and arrays.
class EventHandler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, EventHandler> {
public:
    // Fills the event; of a summary, only what a summary has.
    EventHandler(std::string_view body, const rapidjson::MemoryStream& stream, EventParts parts, Event& event)
        : body_(body), stream_(stream), parts_(parts), event_(event) {}

    // Everything that is neither string, number, object nor array.
    bool Default() {
        on_value(OutputsShape::other);
        return accept_value();
    }
    bool Null() {
        on_value(OutputsShape::null);
        return accept_value();
    }
    bool Int(int value) { return on_number(value); }
    bool Uint(unsigned value) { return on_number(value); }
    bool Int64(std::int64_t value) { return on_number(static_cast<double>(value)); }
    bool Uint64(std::uint64_t value) { return on_number(static_cast<double>(value)); }
    bool Double(double value) {
        if (is_misread_constant()) {
            fault_ = EventFault::body_not_json;
            return false;
        }
        return on_number(value);
    }

    bool String(const char* text, rapidjson::SizeType length, bool /*copy*/) {
        on_string(text, length);
        return accept_value();
    }

    bool Key(const char* text, rapidjson::SizeType length, bool copy);
    bool StartObject();
    bool EndObject(rapidjson::SizeType members);
    bool StartArray();
    bool EndArray(rapidjson::SizeType elements);

    [[nodiscard]] std::optional<EventFault> fault() const { return fault_; }

    // What the keys say once the whole body was read. Completes the event where there is no fault.
    [[nodiscard]] std::optional<EventFault> finish();

private:
    enum class TopKey : std::uint8_t {
        none,
        run_id,
        status,
        event_type,
        live_status,
        progress,
        error,
        error_details,
        outputs,
        other,
    };
    enum class OutputKey : std::uint8_t { other, id, updated_at };

    [[nodiscard]] static TopKey find_top_key(std::string_view key, EventParts parts);
    // Any value but an object at the root is a fault.
    [[nodiscard]] bool accept_value();
    // Whether an object or an array may begin here.
    [[nodiscard]] bool accept_nested();
    void open_output();
    // A value begins: what an earlier one of the same key said is forgotten.
    void on_value(OutputsShape shape);
    // Behind NaN and Infinity the reader goes on to look for a fraction and an exponent, and takes `NaN.5` for 0.5. No
    // other number has a letter before its digits. A NaN that breaks off it forgets: it takes `NInf` and `NaInfinity`
    // for Infinity. Called with the number taken.
    [[nodiscard]] bool is_misread_constant() const;
    [[nodiscard]] bool on_number(double value);
    void on_string(const char* text, std::size_t length);

    std::string_view body_;
    const rapidjson::MemoryStream& stream_;
    EventParts parts_;
    Event& event_;
    std::string error_details_;
    std::optional<EventFault> fault_;
    std::size_t depth_{0};
    TopKey key_{TopKey::none};
    OutputKey output_key_{OutputKey::other};
    std::size_t output_begin_{0};
    std::size_t output_depth_{0};  // The depth inside the output that is open; 0: none is.
    bool in_outputs_array_{false};
    bool run_id_seen_{false};
    bool run_id_is_string_{false};
    bool status_seen_{false};
    bool status_is_string_{false};
};

}  // namespace runledger
