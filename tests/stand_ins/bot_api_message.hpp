// What the stand-in Bot API knows of messages: the fields of a call, and Telegram's rules for a text.
//
// Pure functions; the rules are those of docs/bot-api.md and no stricter than Telegram's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::test {

// A call's fields: strings as they are, every other JSON value as JSON text. Uploaded files by field name, in bytes.
struct CallFields {
    std::map<std::string, std::string> texts{};
    std::map<std::string, std::size_t> uploads{};
    std::map<std::string, std::string> file_names{};  // Of the uploads.

    [[nodiscard]] std::string get(const std::string& name) const;  // Empty where there is none.
};

// Nothing where the body is no JSON object.
[[nodiscard]] std::optional<CallFields> fields_of_json(std::string_view body);

// One medium of an album, from `media`.
struct AlbumPart {
    std::string type{};
    std::string media{};
    std::string caption{};
    std::string parse_mode{};
};

// Nothing where `media` is no array of objects.
[[nodiscard]] std::optional<std::vector<AlbumPart>> album_of_json(std::string_view media);

// The length that Telegram bounds: UTF-16 units; with parse_mode HTML after tags and entities are resolved.
[[nodiscard]] std::size_t visible_utf16_units(std::string_view utf8, std::string_view parse_mode);

// What Telegram finds wrong with HTML: "can't parse entities: …". Nothing where it is well-formed.
[[nodiscard]] std::optional<std::string> html_fault(std::string_view text);

// Nothing where the call may be accepted; else the description of its 400. `media_field` names the medium of a
// send method ("photo" for sendPhoto), or is empty.
[[nodiscard]] std::optional<std::string> fault_of(std::string_view method, const CallFields& fields);

// "photo" for sendPhoto; empty for methods that send no single medium.
[[nodiscard]] std::string_view media_field_of(std::string_view method);

}  // namespace runledger::test
