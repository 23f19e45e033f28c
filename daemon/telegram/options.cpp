#include "daemon/telegram/options.hpp"

#include <fmt/format.h>

#include <string_view>

#include "daemon/telegram/text.hpp"

namespace runledger::telegram {
namespace {

constexpr std::string_view hints_path = "metadata.deliveryHints.telegram";

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

}  // namespace

void add_left_out(std::string& left_out, const std::string& what) {
    constexpr std::size_t bytes_max = 2000;
    if (!what.empty() && left_out.size() + what.size() < bytes_max) {
        left_out += (left_out.empty() ? "" : "; ") + what;
    }
}

MessageOptions read_options(const JsonValue& hints, std::string& left_out) {
    if (hints.IsString()) {
        add_left_out(left_out, clean_line({hints.GetString(), hints.GetStringLength()}));
    }
    if (!hints.IsObject()) {
        return {};
    }
    return {.is_silent = read_bool(hints, "disable_notification", left_out),
            .is_protected = read_bool(hints, "protect_content", left_out)};
}

}  // namespace runledger::telegram
