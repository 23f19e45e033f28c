// How a message is sent, beside what it says: the record's deliveryHints over the operator's configuration.
//
// As tolerant as the ledger: what can't be used is left out, and `left_out` names it; nothing throws. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "daemon/base/json.hpp"
#include "daemon/telegram/buttons.hpp"

namespace runledger::telegram {

// What one record asks for. Nothing: as configured.
struct MessageOptions {
    std::optional<bool> is_silent{};     // disable_notification
    std::optional<bool> is_protected{};  // protect_content
    std::optional<Rows<ButtonTemplate>> buttons{};
    std::optional<bool> sends_documents{};  // All outputs as files, not as pictures, films and sound.
    std::string file_name{};                // Of what is uploaded; empty: the outputs' own.
    std::string language{};                 // As of find_language(); empty: as configured.
};

// [telegram] of the configuration.
struct OptionDefaults {
    bool silent_success{false};
    bool silent_failure{false};  // Of a run that failed, timed out or was cancelled.
    bool protect_content{false};
    Rows<ButtonTemplate> buttons{};
    bool sends_documents{false};

    bool operator==(const OptionDefaults&) const = default;
};

// Of the payload's: its tag, or empty.
[[nodiscard]] std::string read_language(const JsonValue& language, std::string& left_out);

// `hints` is the payload's: an object, or a text that says why there is none. Adds to `left_out`, with "; " between.
[[nodiscard]] MessageOptions read_options(const JsonValue& hints, std::string& left_out);

}  // namespace runledger::telegram
