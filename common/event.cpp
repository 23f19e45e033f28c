#include "common/event.hpp"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "common/limits.hpp"

// A broken assumption inside RapidJSON must not abort an nginx worker: it becomes an exception, caught below.
#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #x))
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)

#include <rapidjson/error/error.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

namespace runledger {
namespace {

constexpr unsigned parse_flags = rapidjson::kParseIterativeFlag | rapidjson::kParseNanAndInfFlag;
// The reader checks UTF-8 by copying byte after byte, four times slower: only to find where it is at fault.
constexpr unsigned validating_parse_flags = parse_flags | rapidjson::kParseValidateEncodingFlag;

// How many bytes of a string, from the beginning, mean themselves: up to a quotation mark, a backslash or a control
// character. Eight at a time: each test leaves the top bit of the first byte that it finds, and of none before it.
std::size_t plain_bytes(const char* begin, const char* end) {
    constexpr std::uint64_t ones = 0x0101010101010101U;
    constexpr std::uint64_t tops = 0x8080808080808080U;
    static_assert(std::endian::native == std::endian::little, "the first byte is the lowest");
    const char* at = begin;
    for (; end - at >= 8; at += 8) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, at, sizeof bytes);
        const std::uint64_t quote = bytes ^ (ones * '"');
        const std::uint64_t backslash = bytes ^ (ones * '\\');
        const std::uint64_t found =
            (((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((bytes - ones * 0x20U) & ~bytes)) & tops;
        if (found != 0) {
            return static_cast<std::size_t>(at - begin) + static_cast<std::size_t>(std::countr_zero(found)) / 8;
        }
    }
    while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) {
        ++at;
    }
    return static_cast<std::size_t>(at - begin);
}

// The Unicode Standard, table 3-7: no overlong form, no surrogate, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto is_within = [](unsigned value, unsigned low, unsigned high) { return low <= value && value <= high; };
    for (std::size_t i = 0; i < text.size();) {
        std::uint64_t eight = 0;
        if (text.size() - i >= sizeof eight) {
            std::memcpy(&eight, text.data() + i, sizeof eight);
            if ((eight & 0x8080808080808080U) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        const unsigned lead = byte(i);
        std::size_t more = 0;  // Bytes behind the second.
        if (lead < 0x80) {
            ++i;
            continue;
        }
        if (is_within(lead, 0xC2, 0xDF)) {
            if (!is_within(byte(i + 1), 0x80, 0xBF)) {
                return false;
            }
        } else if (is_within(lead, 0xE0, 0xEF)) {
            if (!is_within(byte(i + 1), lead == 0xE0 ? 0xA0 : 0x80, lead == 0xED ? 0x9F : 0xBF)) {
                return false;
            }
            more = 1;
        } else if (is_within(lead, 0xF0, 0xF4)) {
            if (!is_within(byte(i + 1), lead == 0xF0 ? 0x90 : 0x80, lead == 0xF4 ? 0x8F : 0xBF)) {
                return false;
            }
            more = 2;
        } else {
            return false;
        }
        for (std::size_t k = 0; k < more; ++k) {
            if (!is_within(byte(i + 2 + k), 0x80, 0xBF)) {
                return false;
            }
        }
        i += 2 + more;
    }
    return true;
}

}  // namespace
}  // namespace runledger

// The reader's own hook for copying what needs no decoding, which is empty for a MemoryStream: without this it pushes
// byte after byte. A specialisation may name what is private. Debian 12's RapidJSON is the one that this fits.
RAPIDJSON_NAMESPACE_BEGIN
template <>
template <>
inline void Reader::ScanCopyUnescapedString(MemoryStream& stream, Reader::StackStream<char>& copy) {
    const std::size_t bytes = runledger::plain_bytes(stream.src_, stream.end_);
    if (bytes > 0) {
        std::memcpy(copy.Push(static_cast<SizeType>(bytes)), stream.src_, bytes);
        stream.src_ += bytes;
    }
}
RAPIDJSON_NAMESPACE_END

namespace runledger {
namespace {

enum class Want : std::uint8_t { summary, everything };

// A lone low surrogate's escape passes the reader and comes out as three bytes that are no UTF-8 (ED A0..BF xx).
// The reader checked the raw bytes, so nothing else can be wrong.
std::string to_utf8(const char* text, std::size_t length) {
    std::string decoded(text, length);
    for (std::size_t i = std::min(decoded.find('\xED'), length); i + 2 < decoded.size(); ++i) {
        if (decoded[i] == '\xED' && static_cast<unsigned char>(decoded[i + 1]) >= 0xA0) {
            decoded.replace(i, 3, "\xEF\xBF\xBD");
            i += 2;
        }
    }
    return decoded;
}

// Takes the reader's events and keeps what an Event says. Depth counts open objects and arrays.
class EventHandler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, EventHandler> {
public:
    // Fills the event; of a summary, only what a summary has.
    EventHandler(std::string_view body, const rapidjson::MemoryStream& stream, Want want, Event& event)
        : body_(body), stream_(stream), want_(want), event_(event) {}

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
        if (is_joined_to_constant()) {
            fault_ = EventFault::body_not_json;
            return false;
        }
        return on_number(value);
    }

    bool String(const char* text, rapidjson::SizeType length, bool /*copy*/) {
        on_string(text, length);
        return accept_value();
    }

    bool Key(const char* text, rapidjson::SizeType length, bool /*copy*/) {
        const std::string_view key(text, length);
        if (depth_ == 1) {
            key_ = want_ == Want::summary ? summary_key(key) : top_level_key(key);
            if (key_ == TopKey::outputs) {
                event_.outputs.clear();
            }
        } else if (depth_ == output_depth_) {
            output_key_ = key == "id" ? OutputKey::id : key == "updated_at" ? OutputKey::updated_at : OutputKey::other;
        }
        return true;
    }

    bool StartObject() {
        if (!accept_nested()) {
            return false;
        }
        if (depth_ == 1 && key_ == TopKey::outputs) {
            on_value(OutputsShape::object);
            open_output();
        } else if (depth_ == 2 && in_outputs_array_) {
            open_output();
        } else {
            on_value(OutputsShape::object);
        }
        ++depth_;
        return true;
    }

    bool EndObject(rapidjson::SizeType /*members*/) {
        if (output_depth_ != 0 && depth_ == output_depth_) {
            // Called with the closing brace still to be taken.
            event_.outputs.back().json = body_.substr(output_begin_, stream_.Tell() + 1 - output_begin_);
            output_depth_ = 0;
        }
        --depth_;
        return true;
    }

    bool StartArray() {
        if (!accept_nested()) {
            return false;
        }
        on_value(OutputsShape::array);
        if (depth_ == 1) {
            in_outputs_array_ = key_ == TopKey::outputs;
        }
        ++depth_;
        return true;
    }

    bool EndArray(rapidjson::SizeType /*elements*/) {
        --depth_;
        if (depth_ == 1) {
            in_outputs_array_ = false;
        }
        return true;
    }

    [[nodiscard]] std::optional<EventFault> fault() const { return fault_; }

    // What the keys say once the whole body was read. Completes the event where there is no fault.
    [[nodiscard]] std::optional<EventFault> finish() {
        if (!run_id_seen_) {
            return EventFault::run_id_missing;
        }
        if (!run_id_is_string_) {
            return EventFault::run_id_not_string;
        }
        if (event_.run_id.empty()) {
            return EventFault::run_id_empty;
        }
        if (event_.run_id.size() > run_id_bytes_max) {
            return EventFault::run_id_too_long;
        }
        if (!status_seen_) {
            return EventFault::status_missing;
        }
        if (!status_is_string_) {
            return EventFault::status_not_string;
        }
        if (event_.error.empty()) {
            event_.error = std::move(error_details_);
        }
        event_.status = find_run_status(event_.status_word);
        return std::nullopt;
    }

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

    static TopKey top_level_key(std::string_view key) {
        static constexpr std::array<std::pair<std::string_view, TopKey>, 8> keys{{
            {"run_id", TopKey::run_id},
            {"status", TopKey::status},
            {"event_type", TopKey::event_type},
            {"live_status", TopKey::live_status},
            {"progress", TopKey::progress},
            {"error", TopKey::error},
            {"error_details", TopKey::error_details},
            {"outputs", TopKey::outputs},
        }};
        const auto* found =
            std::find_if(keys.begin(), keys.end(), [&](const auto& entry) { return entry.first == key; });
        return found == keys.end() ? TopKey::other : found->second;
    }

    static TopKey summary_key(std::string_view key) {
        return key == "run_id" ? TopKey::run_id : key == "status" ? TopKey::status : TopKey::other;
    }

    // Any value but an object at the root is a fault.
    bool accept_value() {
        if (depth_ == 0) {
            fault_ = EventFault::body_not_object;
            return false;
        }
        return true;
    }

    bool accept_nested() {
        if (depth_ >= json_depth_max) {
            fault_ = EventFault::body_too_deep;
            return false;
        }
        // At the root only StartObject may pass; an array there is seen as one by its key being `none`.
        if (depth_ == 0 && stream_.Peek() != '{') {
            fault_ = EventFault::body_not_object;
            return false;
        }
        return true;
    }

    void open_output() {
        if (want_ == Want::summary) {
            return;
        }
        event_.outputs.emplace_back();
        output_begin_ = stream_.Tell();  // Called with the opening brace still to be taken.
        output_depth_ = depth_ + 1;
        output_key_ = OutputKey::other;
    }

    // A value begins: what an earlier one of the same key said is forgotten.
    void on_value(OutputsShape shape) {
        if (output_depth_ != 0 && depth_ == output_depth_) {
            switch (output_key_) {
                case OutputKey::id:
                    event_.outputs.back().id.clear();
                    break;
                case OutputKey::updated_at:
                    event_.outputs.back().updated_at.clear();
                    break;
                case OutputKey::other:
                    break;
            }
        }
        if (depth_ != 1) {
            return;
        }
        switch (key_) {
            case TopKey::run_id:
                run_id_seen_ = true;
                run_id_is_string_ = false;
                break;
            case TopKey::status:
                status_seen_ = true;
                status_is_string_ = false;
                break;
            case TopKey::event_type:
                event_.event_type = "run.updated";
                break;
            case TopKey::live_status:
                event_.live_status.clear();
                break;
            case TopKey::progress:
                event_.progress.reset();
                break;
            case TopKey::error:
                event_.error.clear();
                break;
            case TopKey::error_details:
                error_details_.clear();
                break;
            case TopKey::outputs:
                event_.outputs_shape = shape;
                break;
            case TopKey::none:
            case TopKey::other:
                break;
        }
    }

    // Behind NaN and Infinity the reader goes on to look for a fraction and an exponent, and takes `NaN.5` for 0.5. No
    // other number has a letter before its digits. Called with the number taken.
    [[nodiscard]] bool is_joined_to_constant() const {
        const std::string_view taken = body_.substr(0, stream_.Tell());
        const std::size_t before = taken.find_last_not_of("0123456789+-.eE");
        return before != std::string_view::npos && before + 1 != taken.size() &&
               std::string_view("Nfy").find(taken[before]) != std::string_view::npos;
    }

    bool on_number(double value) {
        on_value(OutputsShape::other);
        if (depth_ == 1 && key_ == TopKey::progress && std::isfinite(value)) {
            event_.progress = value;
        }
        return accept_value();
    }

    void on_string(const char* text, std::size_t length) {
        on_value(OutputsShape::other);
        if (depth_ == 1) {
            switch (key_) {
                case TopKey::run_id:
                    event_.run_id = to_utf8(text, length);
                    run_id_is_string_ = true;
                    break;
                case TopKey::status:
                    event_.status_word = to_utf8(text, length);
                    status_is_string_ = true;
                    break;
                case TopKey::event_type:
                    event_.event_type = to_utf8(text, length);
                    break;
                case TopKey::live_status:
                    event_.live_status = to_utf8(text, length);
                    break;
                case TopKey::error:
                    event_.error = to_utf8(text, length);
                    break;
                case TopKey::error_details:
                    error_details_ = to_utf8(text, length);
                    break;
                case TopKey::none:
                case TopKey::progress:
                case TopKey::outputs:
                case TopKey::other:
                    break;
            }
        } else if (output_depth_ != 0 && depth_ == output_depth_) {
            switch (output_key_) {
                case OutputKey::id:
                    event_.outputs.back().id = to_utf8(text, length);
                    break;
                case OutputKey::updated_at:
                    event_.outputs.back().updated_at = to_utf8(text, length);
                    break;
                case OutputKey::other:
                    break;
            }
        }
    }

    std::string_view body_;
    const rapidjson::MemoryStream& stream_;
    Want want_;
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

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The length of the number of RFC 8259, section 6, that the text begins with; 0 if it begins with none.
std::size_t number_bytes(std::string_view text) {
    const auto digits_at = [text](std::size_t begin) {
        std::size_t end = begin;
        while (end < text.size() && is_digit(text[end])) {
            ++end;
        }
        return end - begin;
    };
    const auto is_at = [text](std::size_t i, std::string_view any) {
        return i < text.size() && any.find(text[i]) != std::string_view::npos;
    };
    std::size_t end = is_at(0, "-") ? 1 : 0;
    const std::size_t integer_digits = digits_at(end);
    if (integer_digits == 0) {
        return 0;
    }
    end += text[end] == '0' ? 1 : integer_digits;
    if (is_at(end, ".")) {
        const std::size_t fraction_digits = digits_at(end + 1);
        end += fraction_digits == 0 ? 0 : 1 + fraction_digits;
    }
    if (is_at(end, "eE")) {
        const std::size_t sign = is_at(end + 1, "+-") ? 1 : 0;
        const std::size_t exponent_digits = digits_at(end + 1 + sign);
        end += exponent_digits == 0 ? 0 : 1 + sign + exponent_digits;
    }
    return end;
}

// The code unit of a \uXXXX escape at the start of `text`; nothing if there is none.
std::optional<unsigned> find_escaped_unit(std::string_view text) {
    if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') {
        return std::nullopt;
    }
    unsigned unit = 0;
    for (const char c : text.substr(2, 4)) {
        if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
            return std::nullopt;
        }
        const unsigned digit = is_digit(c)
                                   ? static_cast<unsigned>(c - '0')
                                   : static_cast<unsigned>(std::tolower(static_cast<unsigned char>(c)) - 'a') + 10;
        unit = unit * 16 + digit;
    }
    return unit;
}

// RapidJSON counts a negative exponent down by each digit of the fraction, in an int: `0.000000000000e-2147483639`
// makes that overflow, which is undefined, before the reader has said anything. It takes ten digits; in a string they
// do no harm, and neither does finding them there.
bool may_overflow_reader(std::string_view body) {
    constexpr std::size_t digits_min = 10;
    for (std::size_t minus = body.find('-', 1); minus != std::string_view::npos; minus = body.find('-', minus + 1)) {
        const std::string_view digits = body.substr(minus + 1, digits_min);
        if ((body[minus - 1] == 'e' || body[minus - 1] == 'E') && digits.size() == digits_min &&
            std::all_of(digits.begin(), digits.end(), is_digit)) {
            return true;
        }
    }
    return false;
}

// A copy of the body, of the same length, in which what RapidJSON can't represent though JSON allows it (docs/nginx.md,
// "RapidJSON") is replaced: a lone surrogate's escape by U+FFFD's, a number beyond a double by `null` and blanks.
// Offsets stay true, so that spans found in the copy hold in the body. All else stays, faults included.
std::string mask_beyond_parser(std::string_view body) {
    constexpr std::size_t number_bytes_max = 300;  // A double holds 308 digits.
    std::string masked(body);
    bool in_string = false;
    for (std::size_t i = 0; i < body.size();) {
        const char c = body[i];
        if (in_string && c == '\\') {
            const auto unit = find_escaped_unit(body.substr(i));
            if (!unit) {
                i += 2;
                continue;
            }
            const bool high = *unit >= 0xD800 && *unit <= 0xDBFF;
            const bool low = *unit >= 0xDC00 && *unit <= 0xDFFF;
            if (high) {
                const auto next = find_escaped_unit(body.substr(i + 6));
                if (next && *next >= 0xDC00 && *next <= 0xDFFF) {
                    i += 12;
                    continue;
                }
            }
            if (high || low) {
                masked.replace(i, 6, "\\ufffd");
            }
            i += 6;
        } else if (c == '"') {
            in_string = !in_string;
            ++i;
        } else if (!in_string && (c == '-' || is_digit(c))) {
            const std::size_t end = std::min(body.find_first_not_of("0123456789+-.eE", i), body.size());
            // The reader takes what is a number and stumbles over the rest of the token afterwards.
            const std::string_view number = body.substr(i, number_bytes(body.substr(i, end - i)));
            const std::size_t exponent = number.find_first_of("eE");
            const bool may_be_beyond = number.size() > number_bytes_max ||
                                       (exponent != std::string_view::npos && number.size() - exponent > 3);
            if (may_be_beyond) {
                masked.replace(i, number.size(), "null" + std::string(number.size() - 4, ' '));
            }
            i = end;
        } else {
            ++i;
        }
    }
    return masked;
}

EventFault fault_of(rapidjson::ParseErrorCode code, std::string_view body, std::size_t offset) {
    // The reader uses the same code for a raw control character, which is valid UTF-8 but no JSON.
    const bool control = offset < body.size() && static_cast<unsigned char>(body[offset]) < 0x20;
    return code == rapidjson::kParseErrorStringInvalidEncoding && !control ? EventFault::body_not_utf8
                                                                           : EventFault::body_not_json;
}

// Nothing: the event is filled. A code: what RapidJSON can't represent though JSON allows it.
using ParseFault = std::variant<std::monostate, Refusal, rapidjson::ParseErrorCode>;

// `text` is what is parsed, `body` what spans point into: the same bytes, or the masked copy and the original.
ParseFault parse(std::string_view text, std::string_view body, Want want, Event& event) {
    rapidjson::MemoryStream stream(text.data(), text.size());
    EventHandler handler(body, stream, want, event);
    rapidjson::CrtAllocator allocator;  // The reader's own would be one allocation more.
    rapidjson::Reader reader(&allocator);
    const rapidjson::ParseResult result = is_utf8(text) ? reader.Parse<parse_flags>(stream, handler)
                                                        : reader.Parse<validating_parse_flags>(stream, handler);
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

// Fills the event, which must be empty, or says why not.
std::optional<Refusal> decode(std::string_view body, Want want, Event& event) {
    if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        return Refusal{EventFault::body_empty, 0};
    }
    // The reader takes a zero byte for the end of its input, and PostgreSQL's text can't hold one.
    if (const std::size_t zero = body.find('\0'); zero != std::string_view::npos) {
        return Refusal{EventFault::body_not_json, zero};
    }
    try {
        if (!may_overflow_reader(body)) {
            const auto fault = parse(body, body, want, event);
            if (std::holds_alternative<std::monostate>(fault)) {
                return std::nullopt;
            }
            if (const auto* refusal = std::get_if<Refusal>(&fault)) {
                return *refusal;
            }
            event = Event{};  // What was read up to the fault.
        }
        const std::string masked = mask_beyond_parser(body);
        const auto fault = parse(masked, body, want, event);
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

}  // namespace

std::string_view to_word(EventFault fault) noexcept {
    switch (fault) {
        case EventFault::body_empty:
            return "body_empty";
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
    if (const auto refusal = decode(body, Want::everything, std::get<Event>(result))) {
        result = *refusal;
    }
    return result;
}

std::variant<EventSummary, Refusal> validate_event(std::string_view body) {
    Event event;
    if (const auto refusal = decode(body, Want::summary, event)) {
        return *refusal;
    }
    return EventSummary{std::move(event.run_id), std::move(event.status_word), event.beyond_parser};
}

}  // namespace runledger
