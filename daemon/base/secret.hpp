// A text that must not be printed: a bot's token, an API key.
//
// It has no stream operator and no formatter. Code that needs the bytes calls reveal(), which a reader can search for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace runledger {

class Secret {
public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}

    [[nodiscard]] bool is_empty() const noexcept { return text_.empty(); }
    // For the one call that needs it. Never for a log, an error text or a metric.
    [[nodiscard]] std::string_view reveal() const noexcept { return text_; }

    bool operator==(const Secret&) const = default;

private:
    std::string text_;
};

// What the file holds, without white space around it; nothing where it can't be read or holds nothing.
[[nodiscard]] std::optional<Secret> read_secret_file(const std::string& path);

// Whether more than the file's owner and group have any right to it. False if it can't be looked at.
[[nodiscard]] bool is_open_to_others(const std::string& path);

// Likewise, but nothing if the file is open to others, too.
[[nodiscard]] std::optional<Secret> read_guarded_secret_file(const std::string& path);

}  // namespace runledger
