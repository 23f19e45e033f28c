#include "common/refused_format.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <span>

#include "common/digest.hpp"

namespace runledger {
namespace {

constexpr std::string_view first_word = "runledger-refused ";
constexpr std::string_view checksum_word = "checksum ";

constexpr std::size_t time_digits = 16;  // Microseconds, until the year 2286.
constexpr std::size_t sender_digits = 8;
constexpr std::size_t random_digits = 16;
constexpr std::size_t checksum_digits = 16;

std::string to_hex(std::uint64_t value, std::size_t digits) {
    constexpr std::string_view alphabet = "0123456789abcdef";
    std::string text(digits, '0');
    for (std::size_t i = digits; i > 0; --i, value >>= 4U) {
        text[i - 1] = alphabet[value & 0xFU];
    }
    return text;
}

// Exactly these digits, in lower case.
std::optional<std::uint64_t> parse_hex(std::string_view text, std::size_t digits) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != digits || error != std::errc{} || end != text.data() + text.size() ||
        to_hex(value, digits) != text) {
        return std::nullopt;
    }
    return value;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || std::to_string(value) != text) {
        return std::nullopt;
    }
    return value;
}

std::string padded(std::int64_t value) {
    std::string text = std::to_string(std::max(value, std::int64_t{0}));
    text.insert(0, time_digits - std::min(time_digits, text.size()), '0');
    return text;
}

std::string one_line(std::string_view text) {
    std::string line(text.substr(0, refused_text_bytes_max));
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '_');
    return line;
}

void put(std::string& out, std::string_view key, std::string_view value) {
    if (!value.empty()) {
        out.append(key).append(" ").append(one_line(value)).append("\n");
    }
}

std::uint64_t checksum_of(std::string_view text) {
    return checksum64(std::as_bytes(std::span(text.data(), text.size())));
}

// Takes the next line off the text; nothing if it has no end.
std::optional<std::string_view> take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
}

// The header's lines between the checksum and the empty line. False if one that is needed is missing or wrong.
class HeaderReader {
public:
    explicit HeaderReader(RefusedBody& refused) : refused_(refused) {}

    // A key that is not known belongs to a later build of the same version.
    [[nodiscard]] bool read(std::string_view key, std::string_view value) {
        if (key == "received_at") {
            return keep(received_at_, has_received_at, parse_number<std::int64_t>(value));
        }
        if (key == "boottime") {
            return keep(boottime_, has_boottime, parse_number<std::int64_t>(value));
        }
        if (key == "boot") {
            return keep(boot_, has_boot, BootId::parse(value));
        }
        if (key == "flags") {
            return keep(flags_, has_flags, parse_number<std::uint32_t>(value));
        }
        if (key == "body_bytes") {
            return keep(body_bytes_, has_body_bytes, parse_number<std::uint64_t>(value));
        }
        if (key == "reason") {
            const auto reason = value == to_word(RefusedFor::token)  ? std::optional{RefusedFor::token}
                                : value == to_word(RefusedFor::json) ? std::optional{RefusedFor::json}
                                                                     : std::nullopt;
            return keep(reason_, has_reason, reason);
        }
        for (const auto& [name, text] : texts_) {
            if (key == name) {
                refused_.*text = value;
            }
        }
        return true;
    }

    [[nodiscard]] bool finish(std::string_view body) {
        constexpr unsigned all = has_received_at | has_boottime | has_boot | has_flags | has_body_bytes | has_reason;
        if (has_ != all || body_bytes_ != body.size()) {
            return false;
        }
        refused_.stamp = {WallTime{std::chrono::microseconds{received_at_}},
                          BootTime{std::chrono::microseconds{boottime_}}};
        refused_.boot = boot_;
        refused_.flags = flags_;
        refused_.reason = reason_;
        refused_.body = body;
        return true;
    }

private:
    // What has been read, a bit for each.
    enum Has : unsigned {
        has_received_at = 1,
        has_boottime = 2,
        has_boot = 4,
        has_flags = 8,
        has_body_bytes = 16,
        has_reason = 32,
    };
    template <class Value>
    [[nodiscard]] bool keep(Value& place, Has what, const std::optional<Value>& value) {
        if (!value) {
            return false;
        }
        place = *value;
        has_ |= what;
        return true;
    }

    struct Text {
        std::string_view name;
        std::string RefusedBody::*text;
    };
    static constexpr std::array texts_{Text{"fault", &RefusedBody::fault},
                                       Text{"token", &RefusedBody::token_digest},
                                       Text{"token_name", &RefusedBody::token_name},
                                       Text{"location", &RefusedBody::location},
                                       Text{"address", &RefusedBody::address},
                                       Text{"edge", &RefusedBody::edge_name},
                                       Text{"content_type", &RefusedBody::content_type},
                                       Text{"user_agent", &RefusedBody::user_agent}};

    RefusedBody& refused_;
    std::int64_t received_at_{};
    std::int64_t boottime_{};
    BootId boot_{};
    std::uint32_t flags_{};
    RefusedFor reason_{};
    unsigned has_{0};
    std::uint64_t body_bytes_{};
};

}  // namespace

std::string_view to_word(RefusedFor reason) noexcept {
    switch (reason) {
        case RefusedFor::token:
            return "token";
        case RefusedFor::json:
            return "json";
    }
    return "unknown";
}

std::string_view to_word(RefusedFault fault) noexcept {
    switch (fault) {
        case RefusedFault::damaged:
            return "damaged";
        case RefusedFault::unknown_version:
            return "unknown_version";
    }
    return "unknown";
}

std::string refused_file_name(const RefusedName& name) {
    return padded(name.received_at.time_since_epoch().count()) + "-" + to_hex(name.sender, sender_digits) + "-" +
           to_hex(name.random, random_digits) + std::string{refused_suffix};
}

std::optional<RefusedName> parse_refused_file_name(std::string_view name) {
    constexpr std::size_t stem_bytes = time_digits + 1 + sender_digits + 1 + random_digits;
    if (name.size() != stem_bytes + refused_suffix.size() || !name.ends_with(refused_suffix)) {
        return std::nullopt;
    }
    std::string_view time_text = name.substr(0, time_digits);
    std::int64_t microseconds = 0;
    const auto [end, error] = std::from_chars(time_text.data(), time_text.data() + time_text.size(), microseconds);
    const auto sender = parse_hex(name.substr(time_digits + 1, sender_digits), sender_digits);
    const auto random = parse_hex(name.substr(time_digits + sender_digits + 2, random_digits), random_digits);
    if (error != std::errc{} || end != time_text.data() + time_text.size() || !sender || !random) {
        return std::nullopt;
    }
    const RefusedName parsed{.received_at = WallTime{std::chrono::microseconds{microseconds}},
                             .sender = static_cast<std::uint32_t>(*sender),
                             .random = *random};
    return refused_file_name(parsed) == name ? std::optional{parsed} : std::nullopt;
}

std::string encode_refused(const RefusedBody& refused) {
    std::string checked;
    checked.reserve(1024 + refused.body.size());
    put(checked, "received_at", std::to_string(refused.stamp.received_at.time_since_epoch().count()));
    put(checked, "boottime", std::to_string(refused.stamp.boottime.since_boot.count()));
    put(checked, "boot", refused.boot.hex());
    put(checked, "flags", std::to_string(refused.flags));
    put(checked, "reason", to_word(refused.reason));
    put(checked, "fault", refused.fault);
    put(checked, "token", refused.token_digest);
    put(checked, "token_name", refused.token_name);
    put(checked, "location", refused.location);
    put(checked, "address", refused.address);
    put(checked, "edge", refused.edge_name);
    put(checked, "content_type", refused.content_type);
    put(checked, "user_agent", refused.user_agent);
    put(checked, "body_bytes", std::to_string(refused.body.size()));
    checked.append("\n").append(refused.body);

    std::string file{first_word};
    file.reserve(64 + checked.size());
    file.append(std::to_string(refused_version)).append("\n");
    file.append(checksum_word).append(to_hex(checksum_of(checked), checksum_digits)).append("\n");
    return file.append(checked);
}

std::variant<RefusedBody, RefusedFault> decode_refused(std::string_view file) {
    const auto first = take_line(file);
    if (!first || !first->starts_with(first_word)) {
        return RefusedFault::damaged;
    }
    const auto version = parse_number<std::uint32_t>(first->substr(first_word.size()));
    if (!version) {
        return RefusedFault::damaged;
    }
    if (*version != refused_version) {
        return RefusedFault::unknown_version;
    }
    const auto second = take_line(file);
    if (!second || !second->starts_with(checksum_word)) {
        return RefusedFault::damaged;
    }
    const auto checksum = parse_hex(second->substr(checksum_word.size()), checksum_digits);
    if (!checksum || *checksum != checksum_of(file)) {
        return RefusedFault::damaged;
    }
    RefusedBody refused;
    HeaderReader header(refused);
    while (true) {
        const auto line = take_line(file);
        if (!line) {
            return RefusedFault::damaged;
        }
        if (line->empty()) {
            break;
        }
        const std::size_t space = line->find(' ');
        if (space == std::string_view::npos || !header.read(line->substr(0, space), line->substr(space + 1))) {
            return RefusedFault::damaged;
        }
    }
    if (file.size() > body_bytes_max || !header.finish(file)) {
        return RefusedFault::damaged;
    }
    return refused;
}

}  // namespace runledger
