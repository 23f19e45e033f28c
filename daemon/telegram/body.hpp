// A message as the body of a call: JSON, or fields and files where bytes are uploaded. Pure; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/telegram/telegram.hpp"

namespace runledger::telegram {

// multipart/form-data.
struct Form {
    struct File {
        std::string field;
        std::string name;
        std::shared_ptr<const std::string> bytes;
    };
    std::vector<std::pair<std::string, std::string>> fields;
    std::vector<File> files;
};

// For a message without uploads.
[[nodiscard]] std::string to_json(const Message& message, std::int64_t chat_id);

// For editMessageText; `html` as in a message's text.
[[nodiscard]] std::string to_edit_json(const std::string& html, std::int64_t chat_id, std::int64_t message_id);
[[nodiscard]] std::string to_delete_json(std::int64_t chat_id, std::int64_t message_id);

// For any; what is not uploaded stays a URL.
[[nodiscard]] Form to_form(const Message& message, std::int64_t chat_id);

}  // namespace runledger::telegram
