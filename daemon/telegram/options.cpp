#include "daemon/telegram/options.hpp"

#include <fmt/format.h>

#include <string_view>

#include "daemon/telegram/left_out.hpp"
#include "daemon/telegram/text.hpp"

namespace runledger::telegram {
namespace {

constexpr std::string_view hints_path = "metadata.deliveryHints.telegram";
constexpr std::string_view buttons_path = "metadata.deliveryHints.telegram.buttons";

const JsonValue* find_hint(const JsonValue& hints, const char* key) {
    const auto found = hints.FindMember(key);
    return found == hints.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}

std::optional<bool> read_bool(const JsonValue& hints, const char* key, std::string& left_out) {
    const JsonValue* value = find_hint(hints, key);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->IsBool()) {
        add_left_out(left_out, fmt::format("{}.{} is neither true nor false", hints_path, key));
        return std::nullopt;
    }
    return value->GetBool();
}

std::optional<bool> read_send_as(const JsonValue& hints, std::string& left_out) {
    const JsonValue* value = find_hint(hints, "send-as");
    if (value == nullptr) {
        return std::nullopt;
    }
    const std::string_view word =
        value->IsString() ? std::string_view(value->GetString(), value->GetStringLength()) : std::string_view{};
    if (word != "document" && word != "media") {
        add_left_out(left_out, fmt::format("{}.send-as is neither \"document\" nor \"media\"", hints_path));
        return std::nullopt;
    }
    return word == "document";
}

// A name and no path; empty if there is none.
std::string read_file_name(const JsonValue& hints, std::string& left_out) {
    constexpr std::size_t units_max = 64;
    const JsonValue* value = find_hint(hints, "filename");
    if (value == nullptr) {
        return {};
    }
    std::string name =
        value->IsString()
            ? std::string(cut_to_units(clean_line({value->GetString(), value->GetStringLength()}), units_max))
            : std::string{};
    for (char& c : name) {
        c = c == '/' || c == '\\' ? '_' : c;
    }
    if (name.find_first_not_of(" .") == std::string::npos) {
        add_left_out(left_out, fmt::format("{}.filename is no name", hints_path));
        return {};
    }
    return name;
}

}  // namespace

std::string read_language(const JsonValue& language, std::string& left_out) {
    if (!language.IsString()) {
        return {};
    }
    const auto tag = find_language({language.GetString(), language.GetStringLength()});
    if (!tag) {
        add_left_out(left_out,
                     "metadata.notificationContext.language or languageCode is no language's tag such as \"fr\" or "
                     "\"pt-BR\"");
    }
    return tag.value_or(std::string{});
}

MessageOptions read_options(const JsonValue& hints, std::string& left_out) {
    if (hints.IsString()) {
        add_left_out(left_out, clean_line({hints.GetString(), hints.GetStringLength()}));
    }
    if (!hints.IsObject()) {
        return {};
    }
    MessageOptions options{.is_silent = read_bool(hints, "disable_notification", left_out),
                           .is_protected = read_bool(hints, "protect_content", left_out)};
    if (const JsonValue* buttons = find_hint(hints, "buttons")) {
        options.buttons = read_buttons(*buttons, buttons_path, left_out);
    }
    options.sends_documents = read_send_as(hints, left_out);
    options.file_name = read_file_name(hints, left_out);
    return options;
}

}  // namespace runledger::telegram
