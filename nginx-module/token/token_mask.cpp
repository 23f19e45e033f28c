#include "nginx-module/token/token_mask.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

namespace runledger::edge {

namespace {

[[nodiscard]] int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const int letter = c | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

[[nodiscard]] char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

[[nodiscard]] bool is_same_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, lower, lower);
}

[[nodiscard]] bool is_escaped(std::string_view text) noexcept { return text.find('%') != std::string_view::npos; }

// A text with its escapes resolved, and where each of its characters stands.
struct Unescaped {
    std::string text;
    std::vector<std::size_t> begins;  // One more than characters: the last is the end.
};

[[nodiscard]] Unescaped unescape_with_places(std::string_view text) {
    Unescaped result;
    result.text.reserve(text.size());
    result.begins.reserve(text.size() + 1);
    std::size_t i = 0;
    while (i < text.size()) {
        result.begins.push_back(i);
        const int high = text[i] == '%' && text.size() - i > 2 ? hex_value(text[i + 1]) : -1;
        const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        const bool is_escape = low >= 0;
        result.text.push_back(is_escape ? static_cast<char>(high * 16 + low) : text[i]);
        i += is_escape ? 3 : 1;
    }
    result.begins.push_back(text.size());
    return result;
}

// Knuth, Morris and Pratt's search, since a client that chooses both texts could make a naive one take quadratic time.
class Search {
public:
    explicit Search(std::string_view wanted) : wanted_{wanted}, borders_(wanted.size(), 0) {
        std::size_t matched = 0;
        for (std::size_t i = 1; i < wanted.size(); ++i) {
            matched = advance(matched, wanted[i]);
            borders_[i] = matched;
        }
    }

    // Calls found(begin) for each place where the text has what is wanted, overlapping ones included.
    template <class Found>
    void run(std::string_view text, Found&& found) const {
        std::size_t matched = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            matched = advance(matched == wanted_.size() ? borders_.back() : matched, text[i]);
            if (matched == wanted_.size()) {
                found(i + 1 - matched);
            }
        }
    }

private:
    [[nodiscard]] std::size_t advance(std::size_t matched, char next) const {
        while (matched > 0 && wanted_[matched] != next) {
            matched = borders_[matched - 1];
        }
        return wanted_[matched] == next ? matched + 1 : 0;
    }

    std::string_view wanted_;
    std::vector<std::size_t> borders_;  // The longest proper prefix of wanted_ that ends at each place.
};

[[nodiscard]] bool is_word_character(char c) noexcept {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view{"_-.~%"}.find(c) != std::string_view::npos;
}

[[nodiscard]] bool is_whole_word(std::string_view text, std::size_t begin, std::size_t end) noexcept {
    return (begin == 0 || !is_word_character(text[begin - 1])) && (end == text.size() || !is_word_character(text[end]));
}

[[nodiscard]] std::string_view view(Writable text) noexcept { return {text.data(), text.size()}; }

// As it is written in a URI, escaped perhaps.
[[nodiscard]] bool is_argument_name(std::string_view written, std::string_view name) {
    return is_same_ignoring_case(written, name) ||
           (is_escaped(written) && is_same_ignoring_case(unescape(written), name));
}

// Each byte once, however many of the places overlap there.
void mask_each(std::vector<Writable>& places) {
    std::ranges::sort(places, {}, &Writable::data);
    const char* end = nullptr;
    for (const Writable place : places) {
        const auto masked = end > place.data() ? static_cast<std::size_t>(end - place.data()) : 0;
        if (masked < place.size()) {
            mask(place.subspan(masked));
            end = place.data() + place.size();
        }
    }
}

// The value of a cookie that begins here, if it has this name.
[[nodiscard]] std::optional<Writable> find_cookie_value(Writable cookie, std::string_view name) noexcept {
    const auto skip_spaces = [&cookie](std::size_t i) {
        return std::min(view(cookie).find_first_not_of(' ', i), cookie.size());
    };
    if (cookie.size() < name.size() || !is_same_ignoring_case(view(cookie.first(name.size())), name)) {
        return std::nullopt;
    }
    const std::size_t equals = skip_spaces(name.size());
    if (equals == cookie.size() || cookie[equals] != '=') {
        return std::nullopt;
    }
    const std::size_t begin = skip_spaces(equals + 1);
    return cookie.subspan(begin, std::min(view(cookie).find(';', begin), cookie.size()) - begin);
}

}  // namespace

std::string unescape(std::string_view text) { return unescape_with_places(text).text; }

bool is_masked(std::string_view text) noexcept {
    return !text.empty() && text.find_first_not_of('*') == std::string_view::npos;
}

void mask(Writable text) noexcept { std::ranges::fill(text, '*'); }

void mask_argument(Writable uri, std::string_view name) {
    const std::string_view text = view(uri);
    const auto separates = [text](std::size_t i) { return text[i] == '?' || text[i] == '&'; };
    std::size_t begin = 0;  // Where an argument may begin.
    for (auto equals = text.find('='); equals != std::string_view::npos; equals = text.find('=', begin)) {
        std::size_t name_begin = equals;
        while (name_begin > begin && !separates(name_begin - 1)) {
            --name_begin;
        }
        std::size_t end = equals + 1;
        while (end < text.size() && !separates(end)) {
            ++end;
        }
        if (is_argument_name(text.substr(name_begin, equals - name_begin), name)) {
            mask(uri.subspan(equals + 1, end - equals - 1));
        }
        begin = end;
    }
}

void mask_cookie(Writable header, std::string_view name) noexcept {
    const std::string_view text = view(header);
    std::size_t begin = 0;
    while (begin < text.size()) {
        begin = std::min(text.find_first_not_of(' ', begin), text.size());
        if (const auto value = find_cookie_value(header.subspan(begin), name)) {
            mask(*value);
        }
        begin = std::min(text.find_first_of(";,", begin), text.size() - 1) + 1;
    }
}

bool mask_value(Writable text, std::string_view value, Bounds bounds) {
    if (value.empty() || text.size() < value.size()) {  // Most headers; unescaping makes no text longer.
        return false;
    }
    const bool has_escapes = is_escaped(view(text));
    if (!has_escapes && memmem(text.data(), text.size(), value.data(), value.size()) == nullptr) {
        return false;  // Nearly all that is left. The C library's search is linear, too, and needs no memory.
    }
    // All are found before any is overwritten: one may overlap another.
    std::vector<Writable> found;
    const Search search{value};
    const auto is_meant = [&](std::string_view searched, std::size_t begin) {
        return bounds == Bounds::anywhere || is_whole_word(searched, begin, begin + value.size());
    };
    search.run(view(text), [&](std::size_t begin) {
        if (is_meant(view(text), begin)) {
            found.push_back(text.subspan(begin, value.size()));
        }
    });
    if (has_escapes) {
        const Unescaped unescaped = unescape_with_places(view(text));
        search.run(unescaped.text, [&](std::size_t begin) {
            if (is_meant(unescaped.text, begin)) {
                const std::size_t first = unescaped.begins[begin];
                found.push_back(text.subspan(first, unescaped.begins[begin + value.size()] - first));
            }
        });
    }
    mask_each(found);
    return !found.empty();
}

}  // namespace runledger::edge
