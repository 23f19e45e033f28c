#include "common/curve.hpp"

#include <algorithm>

namespace runledger {
namespace {

constexpr std::string_view z85 =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
static_assert(z85.size() == 85);

constexpr std::string_view blanks = " \t\r";

std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    return first == std::string_view::npos ? std::string_view{}
                                           : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace

bool is_curve_key(std::string_view text) noexcept {
    return text.size() == curve_key_characters && text.find_first_not_of(z85) == std::string_view::npos;
}

std::variant<std::vector<NamedKey>, KeyFault> parse_curve_keys(std::string_view text) {
    std::vector<NamedKey> keys;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const auto fault = [&](std::string_view what) {
            return KeyFault{"line " + std::to_string(number) + " " + std::string{what}};
        };
        if (line.empty() || (line.front() == '#' && !is_curve_key(line))) {
            continue;
        }
        const std::size_t gap = line.find_first_of(blanks);
        NamedKey named;
        if (gap == std::string_view::npos) {
            named.key = line;
        } else {
            named.name = line.substr(0, gap);
            named.key = trim(line.substr(gap));
        }
        if (!is_curve_key(named.key)) {
            return fault("does not end in a key of 40 Z85 characters, as runledger keygen makes them");
        }
        for (const NamedKey& other : keys) {
            if (other.key == named.key) {
                return fault("repeats a key");
            }
            if (!named.name.empty() && other.name == named.name) {
                return fault("repeats a name");
            }
        }
        keys.push_back(std::move(named));
    }
    if (keys.empty()) {
        return KeyFault{"the file holds no key"};
    }
    return keys;
}

bool leaves_the_host(std::string_view endpoint) noexcept {
    constexpr std::string_view tcp = "tcp://";
    if (!endpoint.starts_with(tcp)) {
        return false;
    }
    const std::string_view address = endpoint.substr(tcp.size());
    const std::string_view host = address.substr(0, address.rfind(':'));
    const bool is_dotted =
        std::all_of(host.begin(), host.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
    return !(host == "localhost" || host == "[::1]" || (is_dotted && host.starts_with("127.")));
}

}  // namespace runledger
