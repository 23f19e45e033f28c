#include "daemon/tool/status_words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view kept_key = "kept";

std::vector<std::string> words_of(const toml::node& node, std::string_view key, const std::string& file) {
    std::vector<std::string> words;
    if (const toml::array* array = node.as_array()) {
        for (const toml::node& element : *array) {
            const auto word = element.value<std::string>();
            if (!word || word->empty()) {
                throw Misused(fmt::format("{}: {} has something that is no word", file, key));
            }
            words.push_back(*word);
        }
        return words;
    }
    throw Misused(fmt::format("{}: {} is not a list of words, such as [\"success\"]", file, key));
}

}  // namespace

std::vector<StatusWord> load_status_words(const std::filesystem::path& file) {
    const std::string name = file.string();
    toml::table root;
    try {
        root = toml::parse_file(name);
    } catch (const toml::parse_error& error) {
        throw Misused(fmt::format("{}: {}", name, error.description()));
    }
    std::vector<StatusWord> words;
    std::vector<std::string> kept;
    for (const auto& [key, node] : root) {
        const std::string_view said = key;
        if (said == kept_key) {
            kept = words_of(node, said, name);
            continue;
        }
        const auto status = std::ranges::find(ledger_statuses, said);
        if (status == std::end(ledger_statuses)) {
            throw Misused(
                fmt::format("{}: {} is none of {}, {}", name, said, fmt::join(ledger_statuses, ", "), kept_key));
        }
        bool is_first = true;
        for (std::string& word : words_of(node, said, name)) {
            if (std::ranges::find(words, word, &StatusWord::word) != words.end()) {
                throw Misused(fmt::format("{}: {} stands there twice", name, word));
            }
            words.push_back({.word = std::move(word), .status = *status, .is_written = is_first});
            is_first = false;
        }
    }
    for (const std::string& word : kept) {
        const auto at = std::ranges::find(words, word, &StatusWord::word);
        if (at == words.end()) {
            throw Misused(fmt::format("{}: {} is to be kept, but no status has it", name, word));
        }
        at->is_kept = true;
    }
    if (words.empty()) {
        throw Misused(fmt::format("{}: it has no words", name));
    }
    return words;
}

}  // namespace runledger::tool
