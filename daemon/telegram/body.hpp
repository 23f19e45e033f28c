// A message as the body of a call: JSON, or fields and files where bytes are uploaded. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/net/http_client.hpp"
#include "daemon/telegram/compose.hpp"

namespace runledger::telegram {

// Where a message goes.
struct Chat {
    std::int64_t id{};
    std::string_view name{};  // @channelname, which is used in place of the id; empty: none.
};

// For a message without uploads.
[[nodiscard]] std::string to_json(const Message& message, const Chat& chat);

// For editMessageText; `html` as in a message's text.
[[nodiscard]] std::string to_edit_json(const std::string& html, std::int64_t chat_id, std::int64_t message_id);
[[nodiscard]] std::string to_delete_json(std::int64_t chat_id, std::int64_t message_id);

// For any; what is not uploaded stays a URL.
[[nodiscard]] HttpForm to_form(const Message& message, const Chat& chat);

}  // namespace runledger::telegram
