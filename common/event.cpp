#include "common/event.hpp"

#include "common/beyond_parser.hpp"
#include "common/event_handler.hpp"
#include "common/json_memory.hpp"

namespace runledger {
namespace {

constexpr unsigned parse_flags =
    rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNanAndInfFlag;

EventFault fault_of(rapidjson::ParseErrorCode code, std::string_view body, std::size_t offset) {
    // The reader uses the same code for a raw control character, which is valid UTF-8 but no JSON.
    const bool control = offset < body.size() && static_cast<unsigned char>(body[offset]) < 0x20;
    return code == rapidjson::kParseErrorStringInvalidEncoding && !control ? EventFault::body_not_utf8
                                                                           : EventFault::body_not_json;
}

// Nothing: the event is filled. A code: what RapidJSON can't represent though JSON allows it.
using ParseFault = std::variant<std::monostate, Refusal, rapidjson::ParseErrorCode>;

// `text` is what is parsed, `body` what spans point into: the same bytes, or the masked copy and the original.
ParseFault parse(std::string_view text, std::string_view body, EventParts parts, Event& event) {
    rapidjson::MemoryStream stream(text.data(), text.size());
    EventHandler handler(body, stream, parts, event);
    JsonMemory allocator;  // The reader's own would be one allocation more.
    rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory> reader(&allocator);
    const rapidjson::ParseResult result = reader.Parse<parse_flags>(stream, handler);
    if (handler.fault()) {
        return Refusal{*handler.fault(), stream.Tell()};
    }
    if (result.IsError()) {
        if (result.Code() == rapidjson::kParseErrorNumberTooBig ||
            result.Code() == rapidjson::kParseErrorStringUnicodeSurrogateInvalid) {
            return result.Code();
        }
        return Refusal{fault_of(result.Code(), text, result.Offset()), result.Offset()};
    }
    if (const auto fault = handler.finish()) {
        return Refusal{*fault, 0};
    }
    return std::monostate{};
}

// Fills the event, which must be empty, or says why not. The body is without a byte order mark.
std::optional<Refusal> decode_unmarked(std::string_view body, EventParts parts, Event& event) {
    if (body.starts_with("\x1F\x8B")) {  // RFC 1952, section 2.3.1.
        return Refusal{EventFault::body_compressed, 0};
    }
    if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        return Refusal{EventFault::body_empty, 0};
    }
    // The reader takes a zero byte for the end of its input, and PostgreSQL's text can't hold one.
    if (const std::size_t zero = body.find('\0'); zero != std::string_view::npos) {
        return Refusal{EventFault::body_not_json, zero};
    }
    try {
        if (!may_overflow_reader(body)) {
            const auto fault = parse(body, body, parts, event);
            if (std::holds_alternative<std::monostate>(fault)) {
                return std::nullopt;
            }
            if (const auto* refusal = std::get_if<Refusal>(&fault)) {
                return *refusal;
            }
            event = Event{};  // What was read up to the fault.
        }
        const std::string masked = mask_beyond_parser(body);
        const auto fault = parse(masked, body, parts, event);
        if (const auto* refusal = std::get_if<Refusal>(&fault)) {
            return *refusal;
        }
        event.beyond_parser = masked != body;
        if (std::holds_alternative<std::monostate>(fault)) {
            return std::nullopt;
        }
        return Refusal{EventFault::body_not_json, 0};
    } catch (const std::logic_error&) {
        // RAPIDJSON_ASSERT: no input is known to reach it. Refusing one body is better than losing a worker.
        return Refusal{EventFault::body_not_json, 0};
    }
}

// The mark is passed over (RFC 8259, section 8.1); a fault's place is that in the whole body.
std::optional<Refusal> decode(std::string_view body, EventParts parts, Event& event) {
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    if (!body.starts_with(mark)) {
        return decode_unmarked(body, parts, event);
    }
    auto refusal = decode_unmarked(body.substr(mark.size()), parts, event);
    if (refusal && refusal->offset > 0) {
        refusal->offset += mark.size();
    }
    return refusal;
}

}  // namespace

std::string_view to_word(EventFault fault) noexcept {
    switch (fault) {
        case EventFault::body_empty:
            return "body_empty";
        case EventFault::body_compressed:
            return "body_compressed";
        case EventFault::body_not_json:
            return "body_not_json";
        case EventFault::body_not_utf8:
            return "body_not_utf8";
        case EventFault::body_not_object:
            return "body_not_object";
        case EventFault::body_too_deep:
            return "body_too_deep";
        case EventFault::run_id_missing:
            return "run_id_missing";
        case EventFault::run_id_not_string:
            return "run_id_not_string";
        case EventFault::run_id_empty:
            return "run_id_empty";
        case EventFault::run_id_too_long:
            return "run_id_too_long";
        case EventFault::status_missing:
            return "status_missing";
        case EventFault::status_not_string:
            return "status_not_string";
    }
    return "unknown";
}

std::string_view describe(EventFault fault) noexcept {
    switch (fault) {
        case EventFault::body_empty:
            return "the body is empty";
        case EventFault::body_compressed:
            return "the body is compressed by gzip; an event is sent as it is";
        case EventFault::body_not_json:
            return "the body is not JSON";
        case EventFault::body_not_utf8:
            return "the body is not UTF-8";
        case EventFault::body_not_object:
            return "the body is JSON but not an object";
        case EventFault::body_too_deep:
            return "the body nests deeper than 64 levels";
        case EventFault::run_id_missing:
            return "run_id is missing";
        case EventFault::run_id_not_string:
            return "run_id is not a string";
        case EventFault::run_id_empty:
            return "run_id is empty";
        case EventFault::run_id_too_long:
            return "run_id is longer than 128 bytes";
        case EventFault::status_missing:
            return "status is missing";
        case EventFault::status_not_string:
            return "status is not a string";
    }
    return "unknown fault";
}

DecodeResult decode_event(std::string_view body) {
    DecodeResult result{std::in_place_type<Event>};
    if (const auto refusal = decode(body, EventParts::everything, std::get<Event>(result))) {
        result = *refusal;
    }
    return result;
}

std::variant<EventSummary, Refusal> validate_event(std::string_view body) {
    Event event;
    if (const auto refusal = decode(body, EventParts::summary, event)) {
        return *refusal;
    }
    return EventSummary{std::move(event.run_id), std::move(event.status_word), event.beyond_parser};
}

}  // namespace runledger
