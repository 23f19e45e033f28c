#include "tests/integration/webhooks/webhook_schema.hpp"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.hpp"

#include <rapidjson/schema.h>

namespace runledger::test {

JsonDocument held_to_schema(const std::string& text) {
    JsonDocument schema_text;
    schema_text.Parse(read_text(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/webhooks.schema.json").c_str());
    EXPECT_FALSE(schema_text.HasParseError());
    JsonDocument body;
    body.Parse(text.c_str());
    const rapidjson::GenericSchemaDocument<JsonValue, JsonMemory> schema(schema_text);
    rapidjson::GenericSchemaValidator<decltype(schema)> validator(schema);
    EXPECT_TRUE(body.Accept(validator)) << text << " at " << validator.GetInvalidSchemaKeyword();
    return body;
}

}  // namespace runledger::test
