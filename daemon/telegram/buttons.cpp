#include "daemon/telegram/buttons.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "daemon/telegram/left_out.hpp"
#include "daemon/telegram/notice.hpp"
#include "daemon/telegram/text.hpp"

namespace runledger::telegram {
namespace {

constexpr std::array<std::string_view, 3> placeholders{"run_id", "generation_id", "status"};
constexpr std::size_t text_units_of_a_button_max = 64;
constexpr std::size_t template_bytes_max = 2048;

std::string in_a_url(std::string_view value) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string encoded;
    for (const char c : value) {
        if (plain.find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return encoded;
}

Template made(const std::string& what, const std::string& text) {
    if (text.size() > template_bytes_max) {
        throw TemplateError(fmt::format("has a {} of more than {} bytes", what, template_bytes_max));
    }
    try {
        return {text, placeholders};
    } catch (const TemplateError& error) {
        throw TemplateError(fmt::format("has a {} that {}", what, error.what()));
    }
}

std::optional<std::string> find_text(const JsonValue& object, const char* key) {
    const auto found = object.FindMember(key);
    if (found == object.MemberEnd() || !found->value.IsString()) {
        return std::nullopt;
    }
    return std::string(found->value.GetString(), found->value.GetStringLength());
}

std::optional<ButtonTemplate> read_button(const JsonValue& button, const std::string& name, std::string& left_out) {
    if (!button.IsObject()) {
        add_left_out(left_out, name + " is no object");
        return std::nullopt;
    }
    try {
        return make_button({.text = find_text(button, "text"),
                            .url = find_text(button, "url"),
                            .callback_data = find_text(button, "callback_data")});
    } catch (const TemplateError& error) {
        add_left_out(left_out, fmt::format("{} {}", name, error.what()));
        return std::nullopt;
    }
}

bool is_url_for_a_button(std::string_view url) {
    constexpr std::string_view in_telegram = "tg://";
    return is_plain_url(url) ||
           (url.starts_with(in_telegram) && is_plain_url("https://" + std::string(url.substr(in_telegram.size()))));
}

// Half a sentence; empty: nothing is wrong.
std::string fault_of(const Button& button, bool has_url) {
    if (button.text.find_first_not_of(' ') == std::string::npos) {
        return "has an empty text";
    }
    if (!has_url) {
        const std::size_t bytes = button.callback_data.size();
        return bytes >= 1 && bytes <= callback_data_bytes_max
                   ? std::string{}
                   : fmt::format("has callback_data of {} bytes, not 1 to {}", bytes, callback_data_bytes_max);
    }
    return is_url_for_a_button(button.url) ? std::string{}
                                           : "has a url that is neither a plain http:// or https:// URL nor tg://";
}

}  // namespace

ButtonTemplate make_button(const ButtonParts& parts) {
    if (!parts.text || parts.text->empty()) {
        throw TemplateError("has no text");
    }
    if (parts.url.has_value() == parts.callback_data.has_value()) {
        throw TemplateError("has not one of url and callback_data");
    }
    ButtonTemplate button{.text = made("text", *parts.text)};
    if (parts.url) {
        button.url = made("url", *parts.url);
    } else {
        button.callback_data = made("callback_data", *parts.callback_data);
    }
    return button;
}

std::optional<Rows<ButtonTemplate>> read_buttons(const JsonValue& buttons, std::string_view path,
                                                 std::string& left_out) {
    if (!buttons.IsArray()) {
        add_left_out(left_out, fmt::format("{} is no list", path));
        return std::nullopt;
    }
    Rows<ButtonTemplate> rows;
    for (rapidjson::SizeType i = 0; i < buttons.Size(); ++i) {
        auto& row = rows.emplace_back();
        const std::string name = fmt::format("{}[{}]", path, i);
        if (!buttons[i].IsArray()) {
            if (auto button = read_button(buttons[i], name, left_out)) {
                row.push_back(std::move(*button));
            }
            continue;
        }
        for (rapidjson::SizeType j = 0; j < buttons[i].Size(); ++j) {
            if (auto button = read_button(buttons[i][j], fmt::format("{}[{}]", name, j), left_out)) {
                row.push_back(std::move(*button));
            }
        }
    }
    return rows;
}

Rows<Button> fill_buttons(const Rows<ButtonTemplate>& rows, const Template::Values& values, std::string_view path,
                          std::string& left_out) {
    Template::Values in_urls;
    for (const auto& [name, value] : values) {
        in_urls[name] = in_a_url(value);
    }
    Rows<Button> filled;
    std::size_t count = 0;
    std::size_t too_many = 0;
    for (const auto& row : rows) {
        std::vector<Button> buttons;
        for (const ButtonTemplate& each : row) {
            const std::string text = clean_line(each.text.fill(values));
            Button button{.text = std::string(cut_to_units(text, text_units_of_a_button_max))};
            if (each.url) {
                button.url = each.url->fill(in_urls);
            } else {
                button.callback_data = each.callback_data->fill(values);
            }
            if (const std::string fault = fault_of(button, each.url.has_value()); !fault.empty()) {
                add_left_out(left_out, fmt::format("the button \"{}\" of {} {}", button.text, path, fault));
            } else if (buttons.size() == buttons_in_a_row_max || count == buttons_max) {
                ++too_many;
            } else {
                ++count;
                buttons.push_back(std::move(button));
            }
        }
        if (!buttons.empty()) {
            filled.push_back(std::move(buttons));
        }
    }
    if (too_many > 0) {
        add_left_out(left_out, fmt::format("{} buttons of {} are more than {} in a row or {} in all", too_many, path,
                                           buttons_in_a_row_max, buttons_max));
    }
    return filled;
}

}  // namespace runledger::telegram
