// --chat, as every subcommand takes it: a chat's number, or @channelname.
#pragma once

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string>

namespace runledger::tool {

// As runledger.chat_named(), which makes of what passes the number by which the ledger keeps the chat.
inline CLI::Validator is_chat() {
    const auto fault_of = [](const std::string& text) -> std::string {
        const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
        const auto is_of_a_name = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; };
        const std::string digits = text.starts_with('-') ? text.substr(1) : text;
        const bool is_number =
            !digits.empty() && digits.size() <= 18 && digits.find_first_not_of("0123456789") == std::string::npos;
        const bool is_name = text.size() >= 5 && text.size() <= 33 && text[0] == '@' && is_letter(text[1]) &&
                             std::all_of(text.begin() + 2, text.end(), is_of_a_name);
        return is_number || is_name ? std::string{} : text + " is neither a chat's number nor @channelname";
    };
    return CLI::Validator(fault_of, "CHAT");
}

}  // namespace runledger::tool
