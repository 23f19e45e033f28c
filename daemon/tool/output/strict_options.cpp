#include "daemon/tool/output/strict_options.hpp"

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace runledger::tool {
namespace {

template <class Number>
[[nodiscard]] bool is_decimal(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
    return error == std::errc{} && end == text.data() + text.size() && (digits.size() == 1 || digits.front() != '0');
}

// CLI11 names the types; validators add to the name, behind it.
[[nodiscard]] std::string fault_of(std::string_view type, const std::string& text) {
    if (text.empty()) {
        return "an empty value; leave the option out if none is meant";
    }
    const bool is_sound = type.starts_with("UINT")  ? is_decimal<std::uint64_t>(text)
                          : type.starts_with("INT") ? is_decimal<std::int64_t>(text)
                                                    : true;
    return is_sound ? std::string{} : "\"" + text + "\" is not a whole number within range, in decimal digits";
}

}  // namespace

void be_strict(CLI::App& app) {
    for (CLI::Option* option : app.get_options()) {
        if (option->get_items_expected_max() > 0) {  // Else a flag.
            option->check([option](const std::string& text) { return fault_of(option->get_type_name(), text); });
        }
    }
    for (CLI::App* command : app.get_subcommands({})) {  // A group of options is one, too.
        be_strict(*command);
    }
}

}  // namespace runledger::tool
