// The sentences of a message, as the operator words them: plain text with named placeholders, and parts in square
// brackets that are left out if a placeholder in them has no value.
//
//     Finished[ in {duration}][ · {cost}]
//
// Doubled, {{ }} [[ ]] stand for themselves. The constructor checks the text, so filling it in never fails. The result
// is plain text: the caller escapes it for HTML. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::telegram {

// what() is half a sentence that names the fault: "has no placeholder {durations}; …".
class TemplateError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Template {
public:
    using Values = std::map<std::string_view, std::string>;  // By placeholder; an empty string is no value.

    // Throws TemplateError: a bracket that is not closed, or one within another, or a placeholder that is not known.
    Template(std::string_view text, std::span<const std::string_view> known);

    [[nodiscard]] std::string fill(const Values& values) const;
    [[nodiscard]] bool is_empty() const noexcept { return pieces_.empty(); }

    bool operator==(const Template&) const = default;

private:
    enum class Kind : std::uint8_t { text, value, option_begins, option_ends };
    struct Piece {
        Kind kind{};
        std::string text;  // Or the placeholder's name.

        bool operator==(const Piece&) const = default;
    };

    std::vector<Piece> pieces_;
};

// All sentences, with the wording of [telegram.text]. docs/telegram.md lists the keys and their placeholders.
struct Wording {
    Wording();  // The defaults, in English.

    // Replaces one. Throws TemplateError; std::out_of_range where there is no such key.
    void set(std::string_view key, std::string_view text);
    [[nodiscard]] static std::span<const std::string_view> keys() noexcept;

    bool operator==(const Wording&) const = default;

    Template completed;
    Template no_outputs;  // Completed, and the run had none.
    Template unshowable;  // Completed, and none of them can be shown.
    Template failed;
    Template timed_out;
    Template cancelled;
    Template follow_up;
    Template correction;  // Around what is true now, {message}.
    Template duplicate;   // At the end of what may have arrived before.
    Template link_expired;
    Template some_expired;
    Template more;  // For {count} outputs that a message has no room for.
    Template progress;
    Template buttons;  // Above the buttons of an album, which have a message of their own.
};

// A language's tag as its key: in lower case, with "-" between its parts. Nothing if the text is no tag such as "fr" or
// "pt-BR".
[[nodiscard]] std::optional<std::string> find_language(std::string_view text);

// The sentences, by language.
struct Wordings {
    Wording plain{};                               // [telegram.text]
    std::map<std::string, Wording> by_language{};  // [telegram.text.fr], by find_language().
    std::string language{};                        // Of records without one; empty: `plain`.

    bool operator==(const Wordings&) const = default;

    // Of the language, or of one that it begins with ("pt" for "pt-BR"); else of `language`, else `plain`. `tag` is
    // find_language()'s, or empty.
    [[nodiscard]] const Wording& get(std::string_view tag) const;
};

}  // namespace runledger::telegram
