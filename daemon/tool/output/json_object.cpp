#include "daemon/tool/output/json_object.hpp"

#include <utility>

#include "daemon/base/json.hpp"
#include "daemon/base/masked_links.hpp"

namespace runledger::tool {
namespace {

// PostgreSQL's numbers of these types, fixed for ever (pg_type.dat).
constexpr pqxx::oid bool_oid = 16;
constexpr pqxx::oid int8_oid = 20;
constexpr pqxx::oid int2_oid = 21;
constexpr pqxx::oid int4_oid = 23;
constexpr pqxx::oid json_oid = 114;
constexpr pqxx::oid jsonb_oid = 3802;

constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

// The text with U+FFFD in place of each byte that belongs to no character.
std::string as_utf8(std::string_view text) {
    std::string valid;
    std::size_t at = 0;
    while (at < text.size()) {
        rapidjson::MemoryStream in(text.data() + at, text.size() - at);
        rapidjson::StringBuffer character;
        if (rapidjson::UTF8<>::Validate(in, character) && in.Tell() <= text.size() - at) {
            valid.append(text.substr(at, in.Tell()));
            at += in.Tell();
        } else {
            valid.append(replacement_character);
            ++at;
        }
    }
    return valid;
}

}  // namespace

struct JsonObject::State {
    JsonText text;
    JsonWriter writer{text};

    void key(std::string_view name) { writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size())); }
    void string(std::string_view value) {
        const std::string valid = as_utf8(value);
        writer.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size()));
    }
    void raw(const std::string& json, rapidjson::Type type) { writer.RawValue(json.data(), json.size(), type); }
};

JsonObject::JsonObject() : state_(std::make_unique<State>()) { state_->writer.StartObject(); }
JsonObject::JsonObject(JsonObject&&) noexcept = default;
JsonObject& JsonObject::operator=(JsonObject&&) noexcept = default;
JsonObject::~JsonObject() = default;

JsonObject& JsonObject::add(std::string_view key, std::string_view text) {
    state_->key(key);
    state_->string(text);
    return *this;
}

JsonObject& JsonObject::add(std::string_view key, bool value) {
    state_->key(key);
    state_->writer.Bool(value);
    return *this;
}

JsonObject& JsonObject::add(std::string_view key, double value) {
    state_->key(key);
    state_->writer.Double(value);
    return *this;
}

JsonObject& JsonObject::add_signed(std::string_view key, std::int64_t value) {
    state_->key(key);
    state_->writer.Int64(value);
    return *this;
}

JsonObject& JsonObject::add_unsigned(std::string_view key, std::uint64_t value) {
    state_->key(key);
    state_->writer.Uint64(value);
    return *this;
}

JsonObject& JsonObject::add_null(std::string_view key) {
    state_->key(key);
    state_->writer.Null();
    return *this;
}

JsonObject& JsonObject::add(std::string_view key, const std::vector<std::string>& texts) {
    state_->key(key);
    state_->writer.StartArray();
    for (const std::string& text : texts) {
        state_->string(text);
    }
    state_->writer.EndArray();
    return *this;
}

JsonObject& JsonObject::add(std::string_view key, JsonObject object) {
    state_->key(key);
    state_->raw(object.take(), rapidjson::kObjectType);
    return *this;
}

JsonObject& JsonObject::add(std::string_view key, std::vector<JsonObject> objects) {
    state_->key(key);
    state_->writer.StartArray();
    for (JsonObject& object : objects) {
        state_->raw(object.take(), rapidjson::kObjectType);
    }
    state_->writer.EndArray();
    return *this;
}

JsonObject& JsonObject::add(std::string_view key, const pqxx::field& field) {
    if (field.is_null()) {
        return add_null(key);
    }
    switch (field.type()) {
        case bool_oid:
            return add(key, field.as<bool>());
        case int8_oid:
        case int2_oid:
        case int4_oid:
            return add_signed(key, field.as<std::int64_t>());
        case json_oid:
        case jsonb_oid:
            state_->key(key);
            state_->raw(masked_links({field.c_str(), field.size()}), rapidjson::kObjectType);
            return *this;
        default:  // Types are numbers, not an enum.
            return add(key, std::string_view(masked_links({field.c_str(), field.size()})));
    }
}

JsonObject& JsonObject::add(const pqxx::row& row) {
    for (const pqxx::field& field : row) {
        add(field.name(), field);
    }
    return *this;
}

std::string JsonObject::take() {
    state_->writer.EndObject();
    std::string text(state_->text.GetString(), state_->text.GetSize());
    *this = JsonObject();
    return text;
}

}  // namespace runledger::tool
