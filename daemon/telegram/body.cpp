#include "daemon/telegram/body.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "daemon/base/json.hpp"

namespace runledger::telegram {
namespace {

using Writer = JsonWriter;

void write_field(Writer& writer, std::string_view key, std::string_view value) {
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

std::string_view field_of(MediumKind kind) noexcept {
    switch (kind) {
        case MediumKind::photo:
            return "photo";
        case MediumKind::video:
            return "video";
        case MediumKind::animation:
            return "animation";
        case MediumKind::audio:
            return "audio";
        case MediumKind::document:
            return "document";
    }
    return "document";
}

// The General topic of a forum has this number, and Telegram refuses it as a thread (docs/bot-api.md, "Topics and
// replies").
constexpr std::int64_t general_topic = 1;

std::optional<std::int64_t> thread_of(const Message& message) {
    return message.thread_id == general_topic ? std::nullopt : message.thread_id;
}

std::string file_field(std::size_t index) { return fmt::format("file{}", index); }

// Where Telegram finds the medium: at its URL, or in the field that uploads it.
std::string place_of(const Message& message, std::size_t index) {
    const Attachment& attachment = message.media[index];
    return attachment.bytes ? "attach://" + file_field(index) : attachment.url;
}

void write_album(Writer& writer, const Message& message) {
    writer.StartArray();
    for (std::size_t i = 0; i < message.media.size(); ++i) {
        writer.StartObject();
        write_field(writer, "type", field_of(message.media[i].kind));
        write_field(writer, "media", place_of(message, i));
        if (i == 0 && !message.text.empty()) {
            write_field(writer, "caption", message.text);
            write_field(writer, "parse_mode", "HTML");
        }
        writer.EndObject();
    }
    writer.EndArray();
}

void write_reply(Writer& writer, std::int64_t message_id) {
    writer.StartObject();
    writer.Key("message_id");
    writer.Int64(message_id);
    writer.Key("allow_sending_without_reply");  // What it answers may be gone; it is told all the same.
    writer.Bool(true);
    writer.EndObject();
}

void write_buttons(Writer& writer, const Rows<Button>& rows) {
    writer.StartObject();
    writer.Key("inline_keyboard");
    writer.StartArray();
    for (const auto& row : rows) {
        writer.StartArray();
        for (const Button& button : row) {
            writer.StartObject();
            write_field(writer, "text", button.text);
            if (button.url.empty()) {
                write_field(writer, "callback_data", button.callback_data);
            } else {
                write_field(writer, "url", button.url);
            }
            writer.EndObject();
        }
        writer.EndArray();
    }
    writer.EndArray();
    writer.EndObject();
}

std::array<std::pair<const char*, bool>, 2> flags_of(const Message& message) {
    return {{{"disable_notification", message.is_silent}, {"protect_content", message.is_protected}}};
}

template <class Write>
std::string json_of(Write write) {
    JsonText buffer;
    Writer writer(buffer);
    write(writer);
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace

std::string to_json(const Message& message, const Chat& chat) {
    return json_of([&](Writer& writer) {
        writer.StartObject();
        if (chat.name.empty()) {
            writer.Key("chat_id");
            writer.Int64(chat.id);
        } else {
            write_field(writer, "chat_id", chat.name);
        }
        if (const auto thread_id = thread_of(message)) {
            writer.Key("message_thread_id");
            writer.Int64(*thread_id);
        }
        if (message.reply_to) {
            writer.Key("reply_parameters");
            write_reply(writer, *message.reply_to);
        }
        for (const auto& [key, is_set] : flags_of(message)) {
            if (is_set) {
                writer.Key(key);
                writer.Bool(true);
            }
        }
        if (!message.buttons.empty()) {
            writer.Key("reply_markup");
            write_buttons(writer, message.buttons);
        }
        if (message.method == Method::send_media_group) {
            writer.Key("media");
            write_album(writer, message);
        } else {
            if (message.has_media()) {
                write_field(writer, field_of(message.media.front().kind), message.media.front().url);
            }
            if (!message.text.empty()) {
                write_field(writer, message.has_media() ? "caption" : "text", message.text);
                write_field(writer, "parse_mode", "HTML");
            }
        }
        writer.EndObject();
    });
}

std::string to_edit_json(const std::string& html, std::int64_t chat_id, std::int64_t message_id) {
    return json_of([&](Writer& writer) {
        writer.StartObject();
        writer.Key("chat_id");
        writer.Int64(chat_id);
        writer.Key("message_id");
        writer.Int64(message_id);
        write_field(writer, "text", html);
        write_field(writer, "parse_mode", "HTML");
        writer.EndObject();
    });
}

std::string to_delete_json(std::int64_t chat_id, std::int64_t message_id) {
    return json_of([&](Writer& writer) {
        writer.StartObject();
        writer.Key("chat_id");
        writer.Int64(chat_id);
        writer.Key("message_id");
        writer.Int64(message_id);
        writer.EndObject();
    });
}

HttpForm to_form(const Message& message, const Chat& chat) {
    HttpForm form;
    form.fields.emplace_back("chat_id", chat.name.empty() ? std::to_string(chat.id) : std::string(chat.name));
    if (const auto thread_id = thread_of(message)) {
        form.fields.emplace_back("message_thread_id", std::to_string(*thread_id));
    }
    if (message.reply_to) {
        form.fields.emplace_back("reply_parameters",
                                 json_of([&](Writer& writer) { write_reply(writer, *message.reply_to); }));
    }
    for (const auto& [key, is_set] : flags_of(message)) {
        if (is_set) {
            form.fields.emplace_back(key, "true");
        }
    }
    if (!message.buttons.empty()) {
        form.fields.emplace_back("reply_markup",
                                 json_of([&](Writer& writer) { write_buttons(writer, message.buttons); }));
    }
    if (message.method == Method::send_media_group) {
        form.fields.emplace_back("media", json_of([&](Writer& writer) { write_album(writer, message); }));
    } else {
        if (message.has_media()) {
            form.fields.emplace_back(field_of(message.media.front().kind), place_of(message, 0));
        }
        if (!message.text.empty()) {
            form.fields.emplace_back(message.has_media() ? "caption" : "text", message.text);
            form.fields.emplace_back("parse_mode", "HTML");
        }
    }
    for (std::size_t i = 0; i < message.media.size(); ++i) {
        if (message.media[i].bytes) {
            form.files.push_back({file_field(i), message.media[i].name, message.media[i].bytes});
        }
    }
    return form;
}

}  // namespace runledger::telegram
