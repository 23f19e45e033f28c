#include "tests/stand_ins/bot_api_message.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <array>

namespace runledger::test {
namespace {

constexpr std::size_t text_units_max = 4096;
constexpr std::size_t caption_units_max = 1024;
constexpr std::size_t album_parts_min = 2;
constexpr std::size_t album_parts_max = 10;

std::string text_of(const rapidjson::Value& value) {
    if (value.IsString()) {
        return {value.GetString(), value.GetStringLength()};
    }
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    value.Accept(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

std::string member(const rapidjson::Value& object, const char* name) {
    const auto found = object.FindMember(name);
    return found == object.MemberEnd() ? std::string{} : text_of(found->value);
}

// The Bot API's list of HTML tags; "pre" and "a" may carry attributes.
constexpr std::array<std::string_view, 16> known_tags{"b", "strong",     "i",          "em",      "u",    "ins",
                                                      "s", "strike",     "del",        "span",    "code", "pre",
                                                      "a", "blockquote", "tg-spoiler", "tg-emoji"};

std::optional<std::string> fault_in_text(std::string_view text, std::string_view parse_mode, std::size_t units_max,
                                         std::string_view too_long) {
    if (parse_mode == "HTML") {
        if (auto fault = html_fault(text)) {
            return fault;
        }
    } else if (!parse_mode.empty() && parse_mode != "MarkdownV2" && parse_mode != "Markdown") {
        return "Bad Request: unsupported parse_mode";
    }
    if (visible_utf16_units(text, parse_mode) > units_max) {
        return std::string{too_long};
    }
    return std::nullopt;
}

std::optional<std::string> fault_in_caption(std::string_view caption, std::string_view parse_mode) {
    return fault_in_text(caption, parse_mode, caption_units_max, "Bad Request: message caption is too long");
}

std::optional<std::string> fault_in_medium(const CallFields& fields, std::string_view medium) {
    if (medium.starts_with("attach://")) {
        return fields.uploads.contains(std::string{medium.substr(9)})
                   ? std::nullopt
                   : std::optional<std::string>{"Bad Request: wrong file identifier/HTTP URL specified"};
    }
    if (medium.starts_with("http://") || medium.starts_with("https://")) {
        return std::nullopt;
    }
    return "Bad Request: wrong file identifier/HTTP URL specified";
}

std::optional<std::string> fault_in_album(const CallFields& fields) {
    const auto parts = album_of_json(fields.get("media"));
    if (!parts) {
        return "Bad Request: can't parse media JSON object";
    }
    if (parts->size() < album_parts_min || parts->size() > album_parts_max) {
        return fmt::format("Bad Request: wrong number of media: {}", parts->size());
    }
    // Documents and audio go in albums of their own kind only.
    const bool all_visual = std::all_of(parts->begin(), parts->end(), [](const AlbumPart& part) {
        return part.type == "photo" || part.type == "video";
    });
    const bool all_same = std::all_of(parts->begin(), parts->end(),
                                      [&](const AlbumPart& part) { return part.type == parts->front().type; });
    const bool groupable = all_same && (parts->front().type == "document" || parts->front().type == "audio");
    if (!all_visual && !groupable) {
        return "Bad Request: media of these types can't be sent as one album";
    }
    for (const AlbumPart& part : *parts) {
        if (auto fault = fault_in_medium(fields, part.media)) {
            return fault;
        }
        if (auto fault = fault_in_caption(part.caption, part.parse_mode)) {
            return fault;
        }
    }
    return std::nullopt;
}

// docs/bot-api.md, "Buttons".
std::optional<std::string> fault_of_button_url(const std::string& url) {
    const auto refused = [&](std::string_view why) {
        return fmt::format("Bad Request: inline keyboard button URL '{}' is invalid: {}", url, why);
    };
    if (url.starts_with("tg://")) {
        return std::nullopt;
    }
    if (!url.starts_with("http://") && !url.starts_with("https://")) {
        return refused(url.find("://") == std::string::npos ? "Wrong HTTP URL" : "Unsupported URL protocol");
    }
    const std::size_t host = url.find("://") + 3;
    const bool is_public = url.substr(host, url.find_first_of("/?#:", host) - host).find('.') != std::string::npos;
    return is_public ? std::nullopt : std::optional(refused("Wrong HTTP URL"));
}

std::optional<std::string> fault_in_buttons(const std::string& reply_markup) {
    rapidjson::Document markup;
    markup.Parse(reply_markup.data(), reply_markup.size());
    if (markup.HasParseError() || !markup.IsObject() || !markup.HasMember("inline_keyboard") ||
        !markup["inline_keyboard"].IsArray()) {
        return "Bad Request: can't parse reply keyboard markup JSON object";
    }
    std::size_t count = 0;
    for (const auto& row : markup["inline_keyboard"].GetArray()) {
        if (!row.IsArray()) {
            return "Bad Request: can't parse inline keyboard button: expected an Array of Arrays";
        }
        for (const auto& button : row.GetArray()) {
            if (!button.IsObject() || member(button, "text").empty()) {
                return "Bad Request: can't parse inline keyboard button: text buttons are unallowed";
            }
            const bool has_url = button.HasMember("url");
            if (has_url == button.HasMember("callback_data")) {
                return "Bad Request: BUTTON_TYPE_INVALID";
            }
            const std::size_t bytes = member(button, "callback_data").size();
            if (!has_url && (bytes < 1 || bytes > 64)) {
                return "Bad Request: BUTTON_DATA_INVALID";
            }
            if (has_url) {
                if (auto fault = fault_of_button_url(member(button, "url"))) {
                    return fault;
                }
            }
            ++count;
        }
    }
    return count > 100 ? std::optional<std::string>{"Bad Request: REPLY_MARKUP_TOO_LONG"} : std::nullopt;
}

std::size_t bytes_of_sequence(char lead) {
    const auto byte = static_cast<unsigned char>(lead);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

}  // namespace

std::string CallFields::get(const std::string& name) const {
    const auto found = texts.find(name);
    return found == texts.end() ? std::string{} : found->second;
}

std::optional<CallFields> fields_of_json(std::string_view body) {
    rapidjson::Document document;
    document.Parse(body.data(), body.size());
    if (document.HasParseError() || !document.IsObject()) {
        return std::nullopt;
    }
    CallFields fields;
    for (const auto& entry : document.GetObject()) {
        fields.texts.insert_or_assign(text_of(entry.name), text_of(entry.value));
    }
    return fields;
}

std::optional<std::vector<AlbumPart>> album_of_json(std::string_view media) {
    rapidjson::Document document;
    document.Parse(media.data(), media.size());
    if (document.HasParseError() || !document.IsArray()) {
        return std::nullopt;
    }
    std::vector<AlbumPart> parts;
    for (const auto& entry : document.GetArray()) {
        if (!entry.IsObject()) {
            return std::nullopt;
        }
        parts.push_back({.type = member(entry, "type"),
                         .media = member(entry, "media"),
                         .caption = member(entry, "caption"),
                         .parse_mode = member(entry, "parse_mode")});
    }
    return parts;
}

std::size_t visible_utf16_units(std::string_view utf8, std::string_view parse_mode) {
    const bool html = parse_mode == "HTML";
    std::size_t units = 0;
    for (std::size_t at = 0; at < utf8.size();) {
        if (html && utf8[at] == '<') {
            const std::size_t end = utf8.find('>', at);
            at = end == std::string_view::npos ? utf8.size() : end + 1;
            continue;
        }
        if (html && utf8[at] == '&') {
            // The longest entity that is taken is "&#1114111;"; a lone ampersand stays one.
            const std::size_t end = utf8.substr(at, 10).find(';');
            at += end == std::string_view::npos ? 1 : end + 1;
            ++units;
            continue;
        }
        const std::size_t bytes = bytes_of_sequence(utf8[at]);
        units += bytes == 4 ? 2 : 1;
        at += bytes;
    }
    return units;
}

std::optional<std::string> html_fault(std::string_view text) {
    std::vector<std::string_view> open;
    for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
        const std::size_t end = text.find('>', at);
        if (end == std::string_view::npos) {
            return fmt::format("Bad Request: can't parse entities: Unclosed start tag at byte offset {}", at);
        }
        const bool closing = at + 1 < text.size() && text[at + 1] == '/';
        const std::string_view inside = text.substr(at + (closing ? 2U : 1U), end - at - (closing ? 2U : 1U));
        const std::string_view name = inside.substr(0, inside.find(' '));
        if (std::find(known_tags.begin(), known_tags.end(), name) == known_tags.end()) {
            return fmt::format("Bad Request: can't parse entities: Unsupported start tag \"{}\" at byte offset {}",
                               name, at);
        }
        if (!closing) {
            open.push_back(name);
        } else if (open.empty() || open.back() != name) {
            return fmt::format("Bad Request: can't parse entities: Unmatched end tag at byte offset {}", at);
        } else {
            open.pop_back();
        }
    }
    if (!open.empty()) {
        return fmt::format("Bad Request: can't parse entities: Can't find end tag corresponding to start tag {}",
                           open.back());
    }
    return std::nullopt;
}

std::string_view media_field_of(std::string_view method) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> fields{
        {{"sendPhoto", "photo"},
         {"sendVideo", "video"},
         {"sendAnimation", "animation"},
         {"sendAudio", "audio"},
         {"sendDocument", "document"}}};
    for (const auto& [name, field] : fields) {
        if (name == method) {
            return field;
        }
    }
    return {};
}

std::optional<std::string> fault_of(std::string_view method, const CallFields& fields) {
    if (method == "getMe") {
        return std::nullopt;
    }
    if (fields.get("chat_id").empty()) {
        return "Bad Request: chat_id is empty";
    }
    for (const char* flag : {"disable_notification", "protect_content"}) {
        const std::string value = fields.get(flag);
        if (!value.empty() && value != "true" && value != "false") {
            return fmt::format("Bad Request: field \"{}\" must be of type Boolean", flag);
        }
    }
    if (const std::string markup = fields.get("reply_markup"); !markup.empty() && method != "sendMediaGroup") {
        if (auto fault = fault_in_buttons(markup)) {
            return fault;
        }
    }
    if (method == "sendMessage" || method == "editMessageText") {
        if (fields.get("text").empty()) {
            return "Bad Request: message text is empty";
        }
        return fault_in_text(fields.get("text"), fields.get("parse_mode"), text_units_max,
                             "Bad Request: message is too long");
    }
    if (method == "sendMediaGroup") {
        return fault_in_album(fields);
    }
    if (const std::string field{media_field_of(method)}; !field.empty()) {
        if (!fields.uploads.contains(field)) {
            if (fields.get(field).empty()) {
                return fmt::format("Bad Request: there is no {} in the request", field);
            }
            if (auto fault = fault_in_medium(fields, fields.get(field))) {
                return fault;
            }
        }
        return fault_in_caption(fields.get("caption"), fields.get("parse_mode"));
    }
    return std::nullopt;
}

}  // namespace runledger::test
