// Inline buttons under a message: as templates, from the configuration or a record, and filled in for one run.
//
// Invariant: a filled keyboard is within the Bot API's limits (docs/bot-api.md, "Buttons"), so far as they are known;
// what is not is left out and named. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/json.hpp"
#include "daemon/telegram/template.hpp"

namespace runledger::telegram {

inline constexpr std::size_t callback_data_bytes_max = 64;
inline constexpr std::size_t buttons_in_a_row_max = 8;
inline constexpr std::size_t buttons_max = 100;

struct Button {
    std::string text;
    std::string url{};            // One of these two.
    std::string callback_data{};  // 1 to 64 bytes, which the bot gets when somebody presses the button.
};

struct ButtonTemplate {
    Template text;
    std::optional<Template> url{};  // One of these two.
    std::optional<Template> callback_data{};

    bool operator==(const ButtonTemplate&) const = default;
};

template <class Each>
using Rows = std::vector<std::vector<Each>>;

// Of the parts that the caller found; nothing: it found none. Throws TemplateError, whose what() is half a sentence
// after the button's name.
struct ButtonParts {
    std::optional<std::string> text;
    std::optional<std::string> url;
    std::optional<std::string> callback_data;
};
[[nodiscard]] ButtonTemplate make_button(const ButtonParts& parts);

// `buttons` of a record's hints: a list of rows, each a list of buttons, or a list of buttons, each a row. Nothing if
// it is no list. What can't be used is left out and named.
[[nodiscard]] std::optional<Rows<ButtonTemplate>> read_buttons(const JsonValue& buttons, std::string_view path,
                                                               std::string& left_out);

// {run_id}, {generation_id} and {status}.
[[nodiscard]] Rows<Button> fill_buttons(const Rows<ButtonTemplate>& rows, const Template::Values& values,
                                        std::string_view path, std::string& left_out);

}  // namespace runledger::telegram
