// Fuzzes the token file's parser: an operator's file can hold anything, and no sentence may say a secret.
//
// A model reads the file line by line with other means; what it takes for tokens must be in the set under its name,
// and nothing else, and a file that is refused must be refused for a line that the model finds fault with, too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "nginx-module/token/token_file.hpp"
#include "tests/fuzz/claim.hpp"

namespace runledger::fuzz {
namespace {

// The words of each line that is neither blank nor a comment, split at blanks and carriage returns.
std::vector<std::vector<std::string>> words_of_lines(const std::string& text) {
    std::vector<std::vector<std::string>> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        std::ranges::replace(line, '\t', ' ');
        std::ranges::replace(line, '\r', ' ');
        std::vector<std::string> words;
        std::string word;
        for (const char c : line + " ") {
            if (c != ' ') {
                word += c;
            } else if (!word.empty()) {
                words.push_back(std::move(word));
                word.clear();
            }
        }
        if (!words.empty() && words.front().front() != '#') {
            lines.push_back(std::move(words));
        }
    }
    return lines;
}

void check(const std::string& text) {
    const auto lines = words_of_lines(text);
    const auto parsed = edge::parse_token_file(text);

    if (const auto* fault = std::get_if<edge::TokenFileFault>(&parsed)) {
        claim(!fault->sentence.empty(), "a refusal has a sentence");
        for (const auto& words : lines) {
            // A shorter token is a word of some sentence by chance.
            claim(words.size() < 2 || words[1].size() < 24 || fault->sentence.find(words[1]) == std::string::npos,
                  "the sentence does not say the token");
        }
        return;
    }
    const auto& file = std::get<edge::TokenFile>(parsed);
    claim(!lines.empty() && file.tokens.size() == lines.size() && lines.size() <= edge::tokens_max,
          "each line is one token");
    for (std::size_t i = 0; i < lines.size(); ++i) {
        claim(lines[i].size() == 2, "a line has a name and a token");
        claim(file.tokens.names()[i] == lines[i][0], "the names come in the file's order");
        claim(file.tokens.find(lines[i][1]) == std::string_view(lines[i][0]), "a token is found under its name");
        claim(!file.tokens.find(lines[i][1] + "x") ||
                  std::ranges::any_of(lines, [&](const auto& other) { return other[1] == lines[i][1] + "x"; }),
              "what only begins with a token is none");
        claim(lines[i][0].size() <= edge::token_name_bytes_max && lines[i][1].size() <= edge::token_bytes_max,
              "names and tokens are bounded");
    }
    claim(!file.tokens.find(""), "no token at all is none");
    const bool has_weak =
        std::ranges::any_of(lines, [](const auto& words) { return words[1].size() < edge::token_bytes_weak; });
    claim(file.weak_line.has_value() == has_weak, "a token that can be guessed is noticed");
}

}  // namespace
}  // namespace runledger::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // libFuzzer's bytes are the file's characters.
    runledger::fuzz::check({reinterpret_cast<const char*>(data), size});
    return 0;
}
