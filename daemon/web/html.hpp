// HTML that is written piece by piece: whatever is not a literal of this source is escaped.
//
// A template is checked when it is compiled. A value that is text is escaped for element content and for attributes in
// double quotes; only Markup, which a Html has made, goes in as it is. No value may stand anywhere else
// in a template: not in a tag's name, a script or a style.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace runledger::web {

// <, >, &, both quotes and the backquote as references; control characters, and bytes that are no UTF-8, as U+FFFD.
[[nodiscard]] std::string escaped(std::string_view text);

class Html;

class Markup {
public:
    [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
    friend class Html;
    std::string text_;
};

class Html {
public:
    // html.put("<td class=\"{}\">{}</td>", word, count)
    template <class... Values>
    Html& put(fmt::format_string<std::conditional_t<std::is_arithmetic_v<Values>, Values, std::string>...> form,
              const Values&... values) {
        append(fmt::string_view(form), safe(values)...);
        return *this;
    }

    [[nodiscard]] Markup take() && {
        Markup markup;
        markup.text_ = std::move(text_);
        return markup;
    }

private:
    template <class... Safe>
    void append(fmt::string_view form, const Safe&... values) {
        fmt::vformat_to(std::back_inserter(text_), form, fmt::make_format_args(values...));
    }
    template <class Number>
    requires std::is_arithmetic_v<Number>
    static Number safe(Number number) { return number; }
    static std::string safe(std::string_view text) { return escaped(text); }
    static std::string safe(const Markup& markup) { return markup.text(); }

    std::string text_;
};

}  // namespace runledger::web
