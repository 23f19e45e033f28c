// One JSON object as a command prints it, member by member, through RapidJSON.
//
// Numbers that are counts are JSON numbers; money, and whatever has more digits than a double, is a string. Bytes that
// are not UTF-8 become U+FFFD, so that each line can be parsed.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::tool {

class JsonObject {
public:
    JsonObject();
    JsonObject(JsonObject&&) noexcept;
    JsonObject& operator=(JsonObject&&) noexcept;
    ~JsonObject();

    JsonObject& add(std::string_view key, std::string_view text);
    JsonObject& add(std::string_view key, const char* text) { return add(key, std::string_view(text)); }
    JsonObject& add(std::string_view key, bool value);
    JsonObject& add(std::string_view key, double value);
    template <std::integral Integer>
    JsonObject& add(std::string_view key, Integer value) {
        if constexpr (std::is_signed_v<Integer>) {
            return add_signed(key, value);
        } else {
            return add_unsigned(key, value);
        }
    }
    // JSON's null if there is no value.
    template <class Value>
    JsonObject& add(std::string_view key, const std::optional<Value>& value) {
        return value ? add(key, *value) : add_null(key);
    }
    JsonObject& add(std::string_view key, const std::vector<std::string>& texts);
    JsonObject& add(std::string_view key, JsonObject object);
    JsonObject& add(std::string_view key, std::vector<JsonObject> objects);
    JsonObject& add_null(std::string_view key);

    // A column of a result: integers and booleans as such, NULL as null, JSON as it is, everything else as text, with
    // the queries of links masked.
    JsonObject& add(std::string_view key, const pqxx::field& field);
    // Every column, under its own name.
    JsonObject& add(const pqxx::row& row);

    // The text of the whole object, without a line end. The object is empty afterwards.
    [[nodiscard]] std::string take();

private:
    JsonObject& add_signed(std::string_view key, std::int64_t value);
    JsonObject& add_unsigned(std::string_view key, std::uint64_t value);

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace runledger::tool
