#include "daemon/telegram/template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace runledger::telegram {
namespace {

constexpr std::array<std::string_view, 6> of_an_ending{"duration", "cost",   "reason",
                                                       "detail",   "run_id", "generation_id"};
constexpr std::array<std::string_view, 2> of_a_correction{"message", "run_id"};
constexpr std::array<std::string_view, 1> of_more{"count"};
constexpr std::array<std::string_view, 2> of_buttons{"run_id", "generation_id"};
constexpr std::array<std::string_view, 4> of_progress{"step", "percent", "run_id", "generation_id"};

std::string names_of(std::span<const std::string_view> known) {
    std::string names;
    for (const std::string_view name : known) {
        names += fmt::format("{}{{{}}}", names.empty() ? "" : " ", name);
    }
    return names.empty() ? "none" : names;
}

struct Default {
    std::string_view key;
    std::string_view text;
    std::span<const std::string_view> known;
    Template Wording::*member;
};

const std::array<Default, 14>& defaults() {
    static const std::array<Default, 14> all{{
        {"completed", "Finished[ in {duration}]", of_an_ending, &Wording::completed},
        {"no_outputs", "Finished[ in {duration}], no outputs", of_an_ending, &Wording::no_outputs},
        {"unshowable", "Finished[ in {duration}], but its outputs can't be shown here", of_an_ending,
         &Wording::unshowable},
        {"failed", "{reason}[, after {duration}]", of_an_ending, &Wording::failed},
        {"timed_out", "{reason}[, after {duration}]", of_an_ending, &Wording::timed_out},
        {"cancelled", "{reason}[, after {duration}]", of_an_ending, &Wording::cancelled},
        {"follow_up", "Here are the outputs of a run that finished[ in {duration}]", of_an_ending, &Wording::follow_up},
        {"correction", "Correction: {message}", of_a_correction, &Wording::correction},
        {"duplicate", "Possibly a duplicate: an earlier try may have arrived.", {}, &Wording::duplicate},
        {"link_expired", "The outputs' links have expired, so they can't be shown here.", {}, &Wording::link_expired},
        {"some_expired", "Not shown, because the links have expired: {count}", of_more, &Wording::some_expired},
        {"more", "… and {count} more", of_more, &Wording::more},
        {"progress", "Working[: {step}][ ({percent} %)]", of_progress, &Wording::progress},
        {"buttons", "What next?", of_buttons, &Wording::buttons},
    }};
    return all;
}

Template made(std::string_view key) {
    const auto& all = defaults();
    const auto found = std::find_if(all.begin(), all.end(), [&](const Default& each) { return each.key == key; });
    return {found->text, found->known};  // The keys below are those above.
}

}  // namespace

Template::Template(std::string_view text, std::span<const std::string_view> known) {
    std::string plain;
    const auto flush = [&] {
        if (!plain.empty()) {
            pieces_.push_back({Kind::text, std::exchange(plain, {})});
        }
    };
    bool in_option = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool is_special = c == '{' || c == '}' || c == '[' || c == ']';
        if (is_special && i + 1 < text.size() && text[i + 1] == c) {
            plain += c;
            ++i;
        } else if (c == '{') {
            const std::size_t end = text.find('}', i);
            if (end == std::string_view::npos) {
                throw TemplateError("has a { without its }; for the brace itself write {{");
            }
            const std::string_view name = text.substr(i + 1, end - i - 1);
            if (std::find(known.begin(), known.end(), name) == known.end()) {
                throw TemplateError(fmt::format("has no placeholder {{{}}}; known are {}", name, names_of(known)));
            }
            flush();
            pieces_.push_back({Kind::value, std::string(name)});
            i = end;
        } else if (c == '}') {
            throw TemplateError("has a } without its {; for the brace itself write }}");
        } else if (c == '[') {
            if (in_option) {
                throw TemplateError("has a [ within a [; for the bracket itself write [[");
            }
            flush();
            pieces_.push_back({Kind::option_begins, {}});
            in_option = true;
        } else if (c == ']') {
            if (!in_option) {
                throw TemplateError("has a ] without its [; for the bracket itself write ]]");
            }
            flush();
            pieces_.push_back({Kind::option_ends, {}});
            in_option = false;
        } else {
            plain += c;
        }
    }
    if (in_option) {
        throw TemplateError("has a [ without its ]; for the bracket itself write [[");
    }
    flush();
}

std::string Template::fill(const Values& values) const {
    std::string filled;
    std::size_t option_at = 0;
    bool option_says_all = true;
    for (const Piece& piece : pieces_) {
        switch (piece.kind) {
            case Kind::text:
                filled += piece.text;
                break;
            case Kind::value: {
                const auto found = values.find(piece.text);
                const bool says_nothing = found == values.end() || found->second.empty();
                option_says_all = option_says_all && !says_nothing;
                if (!says_nothing) {
                    filled += found->second;
                }
                break;
            }
            case Kind::option_begins:
                option_at = filled.size();
                option_says_all = true;
                break;
            case Kind::option_ends:
                if (!option_says_all) {
                    filled.resize(option_at);
                }
                break;
        }
    }
    return filled;
}

Wording::Wording()
    : completed(made("completed")),
      no_outputs(made("no_outputs")),
      unshowable(made("unshowable")),
      failed(made("failed")),
      timed_out(made("timed_out")),
      cancelled(made("cancelled")),
      follow_up(made("follow_up")),
      correction(made("correction")),
      duplicate(made("duplicate")),
      link_expired(made("link_expired")),
      some_expired(made("some_expired")),
      more(made("more")),
      progress(made("progress")),
      buttons(made("buttons")) {}

void Wording::set(std::string_view key, std::string_view text) {
    for (const Default& each : defaults()) {
        if (each.key == key) {
            if (text.size() > 1000) {
                throw TemplateError("is longer than 1000 bytes");
            }
            Template made_of_it(text, each.known);
            if (made_of_it.is_empty()) {
                throw TemplateError("is empty");
            }
            this->*each.member = std::move(made_of_it);
            return;
        }
    }
    throw std::out_of_range("no such text");
}

std::span<const std::string_view> Wording::keys() noexcept {
    static const auto all = [] {
        std::array<std::string_view, 14> names{};
        std::transform(defaults().begin(), defaults().end(), names.begin(),
                       [](const Default& each) { return each.key; });
        return names;
    }();
    return all;
}

std::optional<std::string> find_language(std::string_view text) {
    constexpr std::size_t bytes_max = 35;  // RFC 5646, section 4.4.1.
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    std::string tag;
    std::size_t part = 0;
    for (const char c : text) {
        const bool is_break = c == '-' || c == '_';
        const bool fits =
            is_break ? part > 0 : is_letter(c) || (c >= '0' && c <= '9' && tag.find('-') != std::string::npos);
        part = is_break ? 0 : part + 1;
        if (!fits || part > 8) {
            return std::nullopt;
        }
        tag += is_break ? '-' : is_letter(c) ? static_cast<char>(c | 0x20) : c;
    }
    const std::size_t first = std::min(tag.find('-'), tag.size());
    return part > 0 && tag.size() <= bytes_max && (first == 2 || first == 3) ? std::optional(tag) : std::nullopt;
}

const Wording& Wordings::get(std::string_view tag) const {
    for (std::string_view wanted : {tag, std::string_view(language)}) {
        while (!wanted.empty()) {
            if (const auto found = by_language.find(std::string(wanted)); found != by_language.end()) {
                return found->second;
            }
            const std::size_t end = wanted.rfind('-');
            wanted = wanted.substr(0, end == std::string_view::npos ? 0 : end);
        }
    }
    return plain;
}

}  // namespace runledger::telegram
