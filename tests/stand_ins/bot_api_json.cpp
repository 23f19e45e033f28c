// The stand-in's answers and records as JSON and as lines.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <charconv>
#include <stdexcept>

#include "tests/stand_ins/bot_api_state.hpp"

namespace runledger::test {
namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void key(Writer& writer, std::string_view name) {
    writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
}

void text(Writer& writer, std::string_view value) {
    writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

// A number where it is one, as Telegram answers; a channel's "@name" stays a string.
void number_or_text(Writer& writer, std::string_view value) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc{} && end == value.data() + value.size()) {
        writer.Int64(number);
    } else {
        text(writer, value);
    }
}

void write_message(Writer& writer, const BotCall& call, std::int64_t message_id) {
    writer.StartObject();
    key(writer, "message_id");
    writer.Int64(message_id);
    key(writer, "date");
    writer.Int64(std::chrono::system_clock::to_time_t(call.at));
    key(writer, "chat");
    writer.StartObject();
    key(writer, "id");
    number_or_text(writer, call.chat_id);
    key(writer, "type");
    text(writer, call.chat_id.starts_with('-') ? "supergroup" : "private");
    writer.EndObject();
    if (const std::string words = call.fields.get("text"); !words.empty()) {
        key(writer, "text");
        text(writer, words);
    }
    writer.EndObject();
}

void write_result(Writer& writer, const BotCall& call) {
    if (call.method == "getMe") {
        writer.StartObject();
        key(writer, "id");
        writer.Int64(100);
        key(writer, "is_bot");
        writer.Bool(true);
        key(writer, "first_name");
        text(writer, "Stand-in");
        key(writer, "username");
        text(writer, "stand_in_bot");
        writer.EndObject();
    } else if (call.method == "deleteMessage") {
        writer.Bool(true);
    } else if (call.method == "sendMediaGroup") {
        writer.StartArray();
        for (const std::int64_t id : call.message_ids) {
            write_message(writer, call, id);
        }
        writer.EndArray();
    } else if (!call.message_ids.empty()) {
        write_message(writer, call, call.message_ids.front());
    } else {
        const std::string id = call.fields.get("message_id");
        std::int64_t number = 0;
        std::from_chars(id.data(), id.data() + id.size(), number);  // An accepted edit's id was found, so is a number.
        write_message(writer, call, number);
    }
}

void write_call(Writer& writer, const BotCall& call) {
    writer.StartObject();
    key(writer, "time");
    text(writer, fmt::format("{:%FT%T}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(call.at))));
    key(writer, "method");
    text(writer, call.method);
    key(writer, "chat_id");
    text(writer, call.chat_id);
    key(writer, "message_ids");
    writer.StartArray();
    for (const std::int64_t id : call.message_ids) {
        writer.Int64(id);
    }
    writer.EndArray();
    if (!call.accepted) {
        key(writer, "error_code");
        writer.Int(call.error_code);
        key(writer, "description");
        text(writer, call.description);
    }
    key(writer, "answered");
    writer.Bool(call.answered);
    key(writer, "fields");
    writer.StartObject();
    for (const auto& [name, value] : call.fields.texts) {
        key(writer, name);
        text(writer, value);
    }
    writer.EndObject();
    key(writer, "uploads");
    writer.StartObject();
    for (const auto& [name, bytes] : call.fields.uploads) {
        key(writer, name);
        writer.Uint64(bytes);
    }
    writer.EndObject();
    writer.EndObject();
}

std::string on_one_line(std::string_view value) {
    std::string line;
    for (const char c : value) {
        if (c == '\n') {
            line += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            line += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
            line += c;
        }
    }
    return line;
}

}  // namespace

std::string reply_body(const BotCall& call, const BotAnswer& answer) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.StartObject();
    key(writer, "ok");
    writer.Bool(call.accepted);
    if (call.accepted) {
        key(writer, "result");
        write_result(writer, call);
    } else {
        key(writer, "error_code");
        writer.Int(answer.error_code);
        key(writer, "description");
        text(writer, answer.description);
        if (answer.retry_after > 0 || !answer.migrate_to_chat_id.empty()) {
            key(writer, "parameters");
            writer.StartObject();
            if (answer.retry_after > 0) {
                key(writer, "retry_after");
                writer.Int(answer.retry_after);
            }
            if (!answer.migrate_to_chat_id.empty()) {
                key(writer, "migrate_to_chat_id");
                number_or_text(writer, answer.migrate_to_chat_id);
            }
            writer.EndObject();
        }
    }
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

std::string recorded_as_json(const std::vector<BotCall>& calls) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.StartObject();
    for (const bool accepted : {true, false}) {
        key(writer, accepted ? "accepted" : "refused");
        writer.StartArray();
        for (const BotCall& call : calls) {
            if (call.accepted == accepted) {
                write_call(writer, call);
            }
        }
        writer.EndArray();
    }
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

std::vector<BotCall> calls_of_json(std::string_view recorded) {
    rapidjson::Document document;
    document.Parse(recorded.data(), recorded.size());
    if (document.HasParseError() || !document.IsObject() || !document.HasMember("accepted") ||
        !document.HasMember("refused")) {
        throw std::runtime_error("this is not what the Bot API's stand-in records");
    }
    std::vector<BotCall> calls;
    for (const char* list : {"accepted", "refused"}) {
        for (const auto& entry : document[list].GetArray()) {
            BotCall call;
            call.method = entry["method"].GetString();
            call.chat_id = entry["chat_id"].GetString();
            call.accepted = std::string_view{list} == "accepted";
            for (const auto& id : entry["message_ids"].GetArray()) {
                call.message_ids.push_back(id.GetInt64());
            }
            for (const auto& field : entry["fields"].GetObject()) {
                call.fields.texts.emplace(field.name.GetString(), field.value.GetString());
            }
            calls.push_back(std::move(call));
        }
    }
    return calls;
}

std::string to_line(const BotCall& call) {
    std::string line = fmt::format("{:%FT%T}Z {} chat={}", fmt::gmtime(std::chrono::system_clock::to_time_t(call.at)),
                                   on_one_line(call.method), on_one_line(call.chat_id));
    for (const std::int64_t id : call.message_ids) {
        line += fmt::format(" message_id={}", id);
    }
    if (!call.accepted) {
        line += fmt::format(" refused={} \"{}\"", call.error_code, on_one_line(call.description));
    }
    for (const auto& [name, value] : call.fields.texts) {
        if (name != "chat_id") {
            line += fmt::format(" {}={}", on_one_line(name), on_one_line(value));
        }
    }
    for (const auto& [name, bytes] : call.fields.uploads) {
        line += fmt::format(" {}=({} bytes)", on_one_line(name), bytes);
    }
    return line;
}

}  // namespace runledger::test
