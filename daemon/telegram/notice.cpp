#include "daemon/telegram/notice.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "daemon/base/json.hpp"
#include "daemon/telegram/text.hpp"

namespace runledger::telegram {
namespace {

using Value = JsonValue;

// As text, numbers are shown as they were written.
constexpr unsigned parse_flags = rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag;
constexpr std::size_t name_units_max = 64;
constexpr std::size_t id_bytes_max = 32;  // A bigint has at most 20.
constexpr int nesting_max = 8;            // Arrays in arrays; beyond it nobody's outputs are.

template <class Kind, std::size_t Count>
using Words = std::array<std::pair<std::string_view, Kind>, Count>;

template <class Kind, std::size_t Count>
std::optional<Kind> find_word(const Words<Kind, Count>& words, std::string_view word) noexcept {
    for (const auto& [known, kind] : words) {
        if (known == word) {
            return kind;
        }
    }
    return std::nullopt;
}

constexpr Words<NoticeKind, 3> notice_kinds{
    {{"ending", NoticeKind::ending}, {"follow_up", NoticeKind::follow_up}, {"correction", NoticeKind::correction}}};
constexpr Words<EndStatus, 3> end_statuses{
    {{"completed", EndStatus::completed}, {"failed", EndStatus::failed}, {"cancelled", EndStatus::cancelled}}};

// Videos and audio usually come under `files` (docs/sender.md, "Outputs"), so the file name's extension comes first.
// Image formats that Telegram shows no preview of go as documents (docs/bot-api.md, "Media").
constexpr Words<MediumKind, 40> extensions{{
    {"png", MediumKind::photo},     {"jpg", MediumKind::photo},
    {"jpeg", MediumKind::photo},    {"webp", MediumKind::photo},
    {"bmp", MediumKind::photo},     {"jfif", MediumKind::photo},
    {"gif", MediumKind::animation}, {"mp4", MediumKind::video},
    {"m4v", MediumKind::video},     {"avi", MediumKind::video},
    {"mpg", MediumKind::video},     {"mpeg", MediumKind::video},
    {"mp3", MediumKind::audio},     {"m4a", MediumKind::audio},
    {"wav", MediumKind::audio},     {"flac", MediumKind::audio},
    {"ogg", MediumKind::audio},     {"opus", MediumKind::audio},
    {"aac", MediumKind::audio},     {"avif", MediumKind::document},
    {"heic", MediumKind::document}, {"heif", MediumKind::document},
    {"mov", MediumKind::document},  {"webm", MediumKind::document},
    {"mkv", MediumKind::document},  {"tif", MediumKind::document},
    {"tiff", MediumKind::document}, {"exr", MediumKind::document},
    {"psd", MediumKind::document},  {"svg", MediumKind::document},
    {"zip", MediumKind::document},  {"pdf", MediumKind::document},
    {"json", MediumKind::document}, {"txt", MediumKind::document},
    {"glb", MediumKind::document},  {"gltf", MediumKind::document},
    {"obj", MediumKind::document},  {"stl", MediumKind::document},
    {"ply", MediumKind::document},  {"safetensors", MediumKind::document},
}};
constexpr Words<MediumKind, 11> medium_keys{{
    {"images", MediumKind::photo},
    {"image", MediumKind::photo},
    {"gifs", MediumKind::animation},
    {"gif", MediumKind::animation},
    {"videos", MediumKind::video},
    {"video", MediumKind::video},
    {"audio", MediumKind::audio},
    {"audios", MediumKind::audio},
    {"files", MediumKind::document},
    {"file", MediumKind::document},
    {"mesh", MediumKind::document},
}};

bool has_scheme(std::string_view url, std::string_view scheme) noexcept {
    return url.size() > scheme.size() && std::equal(scheme.begin(), scheme.end(), url.begin(), [](char wanted, char c) {
               return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) == wanted;
           });
}

bool begins_url(std::string_view url) noexcept { return has_scheme(url, "http://") || has_scheme(url, "https://"); }

bool is_odd(char c) noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7F || c == '"' || c == '<' || c == '>' || c == '\\' || c == '`';
}

bool is_text_key(std::string_view key) noexcept { return key == "text" || key == "texts" || key == "string"; }

std::string lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lowered;
}

std::string_view text_of(const Value& value) noexcept { return {value.GetString(), value.GetStringLength()}; }

const Value* find_member(const Value& object, std::string_view key) {
    const auto found =
        object.FindMember(rapidjson::StringRef(key.data(), static_cast<rapidjson::SizeType>(key.size())));
    return found == object.MemberEnd() ? nullptr : &found->value;
}

std::string_view find_text(const Value& object, std::string_view key) {
    const Value* value = find_member(object, key);
    return value != nullptr && value->IsString() ? text_of(*value) : std::string_view{};
}

// "ComfyUI_00001_.png" of "https://host/a/ComfyUI_00001_.png?X-Amz-…".
std::string_view file_of(std::string_view url) noexcept {
    url = url.substr(0, url.find_first_of("?#"));
    const std::size_t host = url.find("://") + 3;
    const std::size_t slash = url.rfind('/');
    return slash == std::string_view::npos || slash < host ? std::string_view{} : url.substr(slash + 1);
}

std::optional<MediumKind> kind_by_extension(std::string_view file) {
    const std::size_t dot = file.rfind('.');
    return dot == std::string_view::npos ? std::nullopt : find_word(extensions, lower(file.substr(dot + 1)));
}

class OutputReader {
public:
    explicit OutputReader(SettlementNotice& notice) : notice_(notice) {}

    // An element of `outputs`: an output object with `data`, that data itself, a medium, or a string.
    void read_output(const Value& output, int depth = 0) {
        if (depth > nesting_max) {
            return;
        }
        if (output.IsArray()) {
            for (const Value& element : output.GetArray()) {
                read_output(element, depth + 1);
            }
        } else if (output.IsObject()) {
            if (const Value* data = find_member(output, "data")) {
                read_output(*data, depth + 1);
            } else if (!add_medium(find_text(output, "type"), output)) {
                read_lists(output, depth + 1);
            }
        } else if (output.IsString()) {
            read_value({}, output, depth);
        }
    }

private:
    // {"images": […], "text": […], …}; beside the lists stand the sender's ids and times, which are nobody's output.
    void read_lists(const Value& lists, int depth) {
        for (const auto& member : lists.GetObject()) {
            const std::string_view key = text_of(member.name);
            if (member.value.IsArray() || member.value.IsObject() || is_text_key(key)) {
                read_value(key, member.value, depth);
            }
        }
    }

    void read_value(std::string_view key, const Value& value, int depth) {
        if (depth > nesting_max) {
            return;
        }
        if (value.IsArray()) {
            for (const Value& element : value.GetArray()) {
                read_value(key, element, depth + 1);
            }
        } else if (value.IsObject()) {
            (void)add_medium(key, value);  // Without a URL it is of no use here: node_meta, a file that was not stored.
        } else if (value.IsString()) {
            const std::string_view text = text_of(value);
            if (!is_text_key(key) && is_plain_url(text)) {
                add_medium({.key = key, .url = text, .file = {}});
            } else if (!find_word(medium_keys, key)) {
                add_text(text);  // One with a blank is a sentence that begins with a link.
            } else if (begins_url(text)) {
                add_link({.key = key, .url = text, .file = {}});
            }
        }
    }

    struct Found {
        std::string_view key;  // Of the list that it stood in.
        std::string_view url;
        std::string_view file;
    };

    [[nodiscard]] bool add_medium(std::string_view key, const Value& object) {
        const std::string_view url = find_text(object, "url");
        if (!begins_url(url)) {
            return false;
        }
        add_link({.key = key, .url = url, .file = find_text(object, "filename")});
        return true;
    }

    void add_link(const Found& found) {
        if (const auto url = find_plain_url(found.url)) {
            add_medium({.key = found.key, .url = *url, .file = found.file});
        } else {
            ++notice_.links_unusable;
        }
    }

    void add_medium(const Found& found) {
        if (notice_.media.size() == media_kept_max) {
            ++notice_.media_left_out;
            return;
        }
        std::string name =
            clean_line(cut_to_units(found.file.empty() ? file_of(found.url) : found.file, name_units_max));
        if (name.find_first_not_of(' ') == std::string::npos) {
            name = "output " + std::to_string(notice_.media.size() + 1);
        }
        auto kind = kind_by_extension(found.file);
        if (!kind) {
            kind = kind_by_extension(file_of(found.url));
        }
        if (!kind) {
            kind = find_word(medium_keys, found.key);
        }
        notice_.media.push_back(
            {.kind = kind.value_or(MediumKind::document), .url = std::string(found.url), .name = std::move(name)});
    }

    void add_text(std::string_view text) {
        std::string cleaned = clean(cut_to_bytes(text, text_kept_bytes_max));
        const std::size_t begin = cleaned.find_first_not_of(" \n");
        if (begin == std::string::npos || notice_.texts.size() == texts_kept_max) {
            return;
        }
        const std::size_t end = cleaned.find_last_not_of(" \n") + 1;
        notice_.texts.push_back(cleaned.substr(begin, end - begin));
    }

    SettlementNotice& notice_;
};

// jsonb holds numbers beyond a double, which RapidJSON can't read in any mode; nobody is told of them. A copy of the
// payload in which each is null.
std::string without_huge_numbers(std::string_view json) {
    constexpr std::size_t digits_max = 300;  // A double holds 308. The shortest that is masked is "1e400".
    std::string masked(json);
    bool in_string = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        if (in_string && json[i] == '\\') {
            ++i;
        } else if (json[i] == '"') {
            in_string = !in_string;
        } else if (!in_string && (json[i] == '-' || (json[i] >= '0' && json[i] <= '9'))) {
            const std::size_t end = std::min(json.find_first_not_of("0123456789+-.eE", i), json.size());
            const std::string_view number = json.substr(i, end - i);
            const std::size_t exponent = number.find_first_of("eE");
            if (number.size() > digits_max || (exponent != std::string_view::npos && number.size() - exponent > 3)) {
                masked.replace(i, number.size(), "null" + std::string(number.size() - 4, ' '));
            }
            i = end - 1;
        }
    }
    return masked;
}

std::optional<double> find_number(const Value& object, std::string_view key) {
    const std::string_view text = find_text(object, key);
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) {
        return std::nullopt;
    }
    return number;
}

// Positive, as notice_payload() writes it.
std::optional<std::int64_t> find_message_number(const Value& object, std::string_view key) {
    const std::string_view text = find_text(object, key);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number <= 0) {
        return std::nullopt;
    }
    return number;
}

}  // namespace

std::optional<NoticeKind> find_notice_kind(std::string_view word) noexcept { return find_word(notice_kinds, word); }

std::optional<SettlementNotice> read_notice(const NoticeSource& source) {
    try {
        JsonDocument document;
        document.Parse<parse_flags>(source.payload.data(), source.payload.size());
        if (document.HasParseError() && document.GetParseError() == rapidjson::kParseErrorNumberTooBig) {
            const std::string masked = without_huge_numbers(source.payload);
            document.Parse<parse_flags>(masked.data(), masked.size());
        }
        if (document.HasParseError() || !document.IsObject()) {
            return std::nullopt;
        }
        const auto status = find_word(end_statuses, find_text(document, "status"));
        if (!status) {
            return std::nullopt;
        }
        SettlementNotice notice{
            .kind = source.kind,
            .status = *status,
            .run_id = clean_line(source.run_id),
            .reason = clean_line(cut_to_bytes(find_text(document, "status_reason"), text_kept_bytes_max)),
            .duration_ms = find_number(document, "duration_ms"),
            .cost_usd = find_number(document, "cost_usd"),
            .generation_id = clean_line(cut_to_bytes(find_text(document, "generation_id"), id_bytes_max)),
            .thread_id = find_message_number(document, "message_thread_id"),
            .reply_to = find_message_number(document, "reply_to_message_id"),
            .left_out = clean_line(cut_to_bytes(find_text(document, "left_out"), text_kept_bytes_max))};
        if (const Value* hints = find_member(document, "hints")) {
            notice.options = read_options(*hints, notice.left_out);
        }
        if (const Value* language = find_member(document, "language")) {
            notice.options.language = read_language(*language, notice.left_out);
        }
        if (const Value* outputs = find_member(document, "outputs")) {
            notice.has_outputs =
                (outputs->IsArray() && !outputs->Empty()) || (outputs->IsObject() && !outputs->ObjectEmpty());
            OutputReader(notice).read_output(*outputs);
        }
        return notice;
    } catch (const std::logic_error&) {
        return std::nullopt;  // RAPIDJSON_ASSERT: no payload is known to reach it.
    }
}

bool is_plain_url(std::string_view url) noexcept {
    if (url.size() > url_bytes_max || !begins_url(url)) {
        return false;
    }
    const bool has_odd_bytes = std::any_of(url.begin(), url.end(), is_odd);
    const std::size_t host = url.find("://") + 3;
    const std::string_view authority = url.substr(host, url.find_first_of("/?#", host) - host);
    // A user before the host would let a link name one place and lead to another.
    return !has_odd_bytes && !authority.empty() && authority.front() != ':' &&
           authority.find('@') == std::string_view::npos;
}

std::optional<std::string> find_plain_url(std::string_view url) {
    if (url.size() > url_bytes_max || !begins_url(url)) {
        return std::nullopt;
    }
    const std::size_t path = std::min(url.find_first_of("/?#", url.find("://") + 3), url.size());
    std::string plain(url.substr(0, path));
    for (const char c : url.substr(path)) {
        if (is_odd(c)) {
            constexpr std::string_view digits = "0123456789ABCDEF";
            const auto byte = static_cast<unsigned char>(c);
            plain += {'%', digits[byte >> 4U], digits[byte & 0xFU]};
        } else {
            plain += c;
        }
    }
    return is_plain_url(plain) ? std::optional(std::move(plain)) : std::nullopt;
}

std::string mask_query(std::string_view url) {
    const std::size_t end = url.find_first_of("?#");
    return end == std::string_view::npos ? std::string(url) : std::string(url.substr(0, end)) + "?…";
}

}  // namespace runledger::telegram
