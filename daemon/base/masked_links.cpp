#include "daemon/base/masked_links.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace runledger {
namespace {

constexpr std::string_view ellipsis = "…";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

bool has_at(std::string_view text, std::size_t at, std::string_view lower_case) {
    return text.size() - at >= lower_case.size() &&
           std::equal(lower_case.begin(), lower_case.end(), text.begin() + static_cast<std::ptrdiff_t>(at),
                      [](char wanted, char c) { return wanted == lower(c); });
}

std::size_t past_backslashes(std::string_view text, std::size_t at) {
    return std::min(text.find_first_not_of('\\', at), text.size());
}

// Just behind a link's next character, escaped or not; `at` itself where the link ends there.
std::size_t past_character(std::string_view text, std::size_t at) {
    if (at == text.size()) {
        return at;
    }
    if (text[at] != '\\') {
        return is_space(text[at]) || text[at] == '"' || text[at] == '<' || text[at] == '>' ? at : at + 1;
    }
    const std::size_t escaped = past_backslashes(text, at);
    // \n, \r and \t are white space, and \" is the end of a string within a string.
    const bool ends = escaped == text.size() || is_space(text[escaped]) ||
                      std::string_view("\"nrtNRT").find(text[escaped]) != std::string_view::npos;
    return ends ? at : escaped + 1;
}

bool begins_query(std::string_view text, std::size_t at) {
    if (text[at] != '\\') {
        return text[at] == '?' || text[at] == '#';
    }
    const std::size_t escaped = past_backslashes(text, at);
    return has_at(text, escaped, "u003f") || has_at(text, escaped, "u0023");
}

// Just behind the two slashes that follow a scheme's colon, each escaped or not; npos: there are none.
std::size_t past_slashes(std::string_view text, std::size_t at) {
    for (int slash = 0; slash < 2; ++slash) {
        at = past_backslashes(text, at);
        if (at == text.size() || text[at] != '/') {
            return std::string_view::npos;
        }
        ++at;
    }
    return at;
}

// Whether a letter and then only what a scheme may hold stand before `colon`, behind `from`.
bool has_scheme(std::string_view text, std::size_t from, std::size_t colon) {
    while (colon > from) {
        const char c = text[--colon];
        if (is_letter(c)) {
            return true;
        }
        if (!is_digit(c) && c != '+' && c != '.' && c != '-') {
            return false;
        }
    }
    return false;
}

// Just behind the last @ of the authority that begins at `at`; `at` itself where it names no user.
std::size_t past_user(std::string_view text, std::size_t at) {
    for (std::size_t end = at; end < text.size(); ++end) {
        const char c = text[end];
        if (c == '@') {
            return end + 1;
        }
        if (is_space(c) || std::string_view("\"<>\\/?#").find(c) != std::string_view::npos) {
            break;
        }
    }
    return at;
}

std::string without_users(std::string_view text) {
    std::string masked;
    std::size_t copied = 0;
    for (std::size_t colon = text.find(':'); colon != std::string_view::npos; colon = text.find(':', colon + 1)) {
        const std::size_t host = past_slashes(text, colon + 1);
        if (host == std::string_view::npos || !has_scheme(text, copied, colon) || past_user(text, host) == host) {
            continue;
        }
        masked.append(text, copied, host - copied).append(ellipsis).push_back('@');
        copied = past_user(text, host);
        colon = copied - 1;
    }
    return masked.append(text, copied);
}

std::string without_queries(std::string_view text) {
    std::string masked;
    std::size_t copied = 0;
    for (std::size_t colon = text.find(':'); colon != std::string_view::npos; colon = text.find(':', colon + 1)) {
        const std::size_t host = past_slashes(text, colon + 1);
        if (host == std::string_view::npos || !has_scheme(text, copied, colon)) {
            continue;
        }
        std::size_t at = host;
        while (at < text.size() && !begins_query(text, at)) {
            // A backslash is the path's only before a slash.
            const std::size_t escaped = past_backslashes(text, at);
            if (text[at] == '\\' && (escaped == text.size() || text[escaped] != '/')) {
                break;
            }
            const std::size_t next = past_character(text, at);
            if (next == at) {
                break;
            }
            at = next;
        }
        masked.append(text, copied, at - copied);
        copied = at;
        if (at < text.size() && begins_query(text, at)) {
            masked.append("?").append(ellipsis);
            while (past_character(text, copied) > copied) {
                copied = past_character(text, copied);
            }
        }
        colon = std::max(colon, copied - 1);
    }
    return masked.append(text, copied);
}

// What a signature is called, where the beginning of its link was cut off: whether such a name ends before `equals`.
bool names_signature(std::string_view text, std::size_t equals) {
    static constexpr std::array<std::string_view, 5> names{"signature", "sig", "policy", "key-pair-id", "token"};
    const auto begins_word = [&](std::size_t at) { return at == 0 || !is_word(text[at - 1]); };
    for (const std::string_view name : names) {
        if (equals >= name.size() && has_at(text, equals - name.size(), name) && begins_word(equals - name.size())) {
            return true;
        }
    }
    std::size_t begin = equals;
    while (begin > 0 && (is_letter(text[begin - 1]) || text[begin - 1] == '-')) {
        --begin;
    }
    for (std::size_t at = begin; at < equals; ++at) {
        for (const std::string_view prefix : {"x-amz-", "x-goog-"}) {
            if (has_at(text, at, prefix) && at + prefix.size() < equals && begins_word(at)) {
                return true;
            }
        }
    }
    return false;
}

std::string without_signatures(std::string_view text) {
    std::string masked;
    std::size_t copied = 0;
    for (std::size_t equals = text.find('='); equals != std::string_view::npos; equals = text.find('=', equals + 1)) {
        if (equals < copied || !names_signature(text, equals)) {
            continue;
        }
        std::size_t end = equals + 1;
        while (end < text.size() && text[end] != '&') {
            const std::size_t escaped = past_backslashes(text, end);
            if (text[end] == '\\' && escaped < text.size() && lower(text[escaped]) == 'u') {
                break;  // An escaped &, most likely.
            }
            const std::size_t next = past_character(text, end);
            if (next == end) {
                break;
            }
            end = next;
        }
        if (end > equals + 1) {
            masked.append(text, copied, equals + 1 - copied).append(ellipsis);
            copied = end;
        }
    }
    return masked.append(text, copied);
}

}  // namespace

std::string masked_links(std::string_view text) { return without_signatures(without_queries(without_users(text))); }

}  // namespace runledger
