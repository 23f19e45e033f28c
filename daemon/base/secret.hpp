// A text that must not be printed: a bot's token, an API key.
//
// It has no stream operator and no formatter. Code that needs the bytes calls reveal(), which a reader can search for.
#pragma once

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

private:
    std::string text_;
};

}  // namespace runledger
