#include "common/event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/limits.hpp"

namespace runledger {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Outputs point into the body: a caller that looks at them keeps it.
Event accepted(std::string_view body) {
    const DecodeResult result = decode_event(body);
    if (const auto* refusal = std::get_if<Refusal>(&result)) {
        ADD_FAILURE() << to_word(refusal->fault) << " at " << refusal->offset << ": " << body.substr(0, 200);
        return {};
    }
    return std::get<Event>(result);
}

std::string fault_of(std::string_view body) {
    const DecodeResult result = decode_event(body);
    const auto* refusal = std::get_if<Refusal>(&result);
    return refusal == nullptr ? "accepted" : std::string(to_word(refusal->fault));
}

std::string with_outputs(std::string_view outputs) {
    return R"({"outputs": )" + std::string(outputs) + R"(, "status": "success", "run_id": "r1"})";
}

std::string nested(std::size_t depth) {
    // The object itself is the first level.
    return R"({"run_id":"r","status":"s","x":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
}

TEST(DecodeEvent, ReadsEveryKeyOfTheSender) {
    const Event event =
        accepted(R"({"event_type": "run.output", "status": "running", "live_status": "Executing KSampler", )"
                 R"("progress": 0.71, "run_id": "0b7f", "outputs": []})");

    EXPECT_EQ(event.event_type, "run.output");
    EXPECT_EQ(event.status, RunStatus::running);
    EXPECT_EQ(event.status_word, "running");
    EXPECT_EQ(event.live_status, "Executing KSampler");
    EXPECT_EQ(event.progress, 0.71);
    EXPECT_EQ(event.run_id, "0b7f");
    EXPECT_EQ(event.outputs_shape, OutputsShape::array);
    EXPECT_THAT(event.outputs, IsEmpty());
    EXPECT_FALSE(event.beyond_parser);
}

// RFC 8259, section 8.1: a parser may ignore a byte order mark rather than treat it as an error.
TEST(DecodeEvent, IgnoresAByteOrderMark) {
    const std::string body = "\xEF\xBB\xBF" + with_outputs(R"([{"id": "a"}])");
    const Event event = accepted(body);

    EXPECT_EQ(event.run_id, "r1");
    ASSERT_EQ(event.outputs.size(), 1U);
    EXPECT_EQ(event.outputs[0].json, R"({"id": "a"})");
    EXPECT_EQ(std::get<Refusal>(decode_event("\xEF\xBB\xBF{]")).offset, 4U) << "in the body, the mark included";
    EXPECT_EQ(fault_of("\xEF\xBB\xBF"), "body_empty");
    EXPECT_EQ(fault_of("\xEF\xBB\xBF\xEF\xBB\xBF{}"), "body_not_json") << "one mark only";
}

TEST(DecodeEvent, SaysThatACompressedBodyIsOne) { EXPECT_EQ(fault_of("\x1F\x8B\x08 and the rest"), "body_compressed"); }

TEST(DecodeEvent, ToleratesWhatTheSenderLeavesOutOrAdds) {
    const Event event = accepted(R"({"run_id":"r","status":"exploding","new_key":{"a":[1,2,{"run_id":"inner"}]}})");

    EXPECT_EQ(event.run_id, "r");
    EXPECT_EQ(event.status, std::nullopt);
    EXPECT_EQ(event.status_word, "exploding");
    EXPECT_EQ(event.event_type, "run.updated");
    EXPECT_EQ(event.live_status, "");
    EXPECT_EQ(event.progress, std::nullopt);
    EXPECT_EQ(event.outputs_shape, OutputsShape::absent);
}

TEST(DecodeEvent, TakesTheLastOfRepeatedKeys) {
    const Event event = accepted(
        R"({"run_id":1,"status":"queued","outputs":[{"id":"a"}],"run_id":"r","status":"running","outputs":[]})");

    EXPECT_EQ(event.run_id, "r");
    EXPECT_EQ(event.status, RunStatus::running);
    EXPECT_THAT(event.outputs, IsEmpty());
    EXPECT_EQ(fault_of(R"({"run_id":"r","status":"queued","run_id":null})"), "run_id_not_string");
}

TEST(DecodeEvent, TakesTheLastOfRepeatedKeysOfAnOutput) {
    for (const std::string value :
         {"7", "null", "true", "NaN", "{}", "[\"b\"]", "{\"id\":\"b\",\"updated_at\":\"b\"}"}) {
        std::string outputs = R"([{"id":"a","updated_at":"t","id":)";
        outputs.append(value).append(R"(,"updated_at":)").append(value).append("}]");
        const Event event = accepted(with_outputs(outputs));

        ASSERT_EQ(event.outputs.size(), 1U) << value;
        EXPECT_EQ(event.outputs[0].id, "") << value;
        EXPECT_EQ(event.outputs[0].updated_at, "") << value;
    }
    EXPECT_EQ(accepted(with_outputs(R"([{"id":"a","id":"b"}])")).outputs[0].id, "b");
}

TEST(DecodeEvent, KeepsEachOutputsOwnBytes) {
    const std::string body = with_outputs(
        R"([{"id": "a", "data": {"images": [{"url": "u"}]}, "updated_at": "2025-08-29T02:35:38.214Z"}, 7, "text",)"
        R"( {"data": ["x"], "nested": {"id": "no"}} ])");

    const Event event = accepted(body);

    ASSERT_EQ(event.outputs.size(), 2U);
    EXPECT_EQ(event.outputs[0].id, "a");
    EXPECT_EQ(event.outputs[0].updated_at, "2025-08-29T02:35:38.214Z");
    EXPECT_EQ(event.outputs[0].json,
              R"({"id": "a", "data": {"images": [{"url": "u"}]}, "updated_at": "2025-08-29T02:35:38.214Z"})");
    EXPECT_EQ(event.outputs[1].id, "");
    EXPECT_EQ(event.outputs[1].json, R"({"data": ["x"], "nested": {"id": "no"}})");
}

TEST(DecodeEvent, TakesOutputsThatAreAnObjectForOneOutput) {
    const std::string body = with_outputs(R"({"images": [{"url": "u"}]})");

    const Event event = accepted(body);

    EXPECT_EQ(event.outputs_shape, OutputsShape::object);
    ASSERT_EQ(event.outputs.size(), 1U);
    EXPECT_EQ(event.outputs[0].json, R"({"images": [{"url": "u"}]})");
}

TEST(DecodeEvent, ReadsAnErrorFromEitherKey) {
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"failed","error":"CUDA"})").error, "CUDA");
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"failed","error_details":"OOM","error":null})").error, "OOM");
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"failed","error":"A","error_details":"B"})").error, "A");
}

// What a Python sender can write and RapidJSON can't read (docs/nginx.md, "RapidJSON"), wherever it stands.
TEST(DecodeEvent, AcceptsWhatIsBeyondTheParser) {
    const std::string digits(400, '7');
    for (const std::string& value :
         {std::string("1e400"), std::string("-1E+400"), std::string("1e200000"), digits, "-" + digits + ".5e10",
          std::string("0.000000000000e-2147483639"), std::string("-1.5E-02147483648"), std::string(R"("\ud800")"),
          std::string(R"("\ud83d x \ud83d\ude00")"), std::string(R"("\uD800\u0041")")}) {
        const std::string body = with_outputs(R"([{"id": "a", "data": {"v": )" + value + "}}]");

        const Event event = accepted(body);

        EXPECT_TRUE(event.beyond_parser) << value;
        EXPECT_EQ(event.run_id, "r1") << value;
        ASSERT_EQ(event.outputs.size(), 1U) << value;
        EXPECT_EQ(event.outputs[0].json, R"({"id": "a", "data": {"v": )" + value + "}}") << "untouched";
    }
}

TEST(DecodeEvent, SeesNoNumberBeyondTheParserInsideAString) {
    const Event event = accepted(R"({"run_id":"0b7f1c7e-2147483639ab","status":"s","progress":0.5})");

    EXPECT_FALSE(event.beyond_parser);
    EXPECT_EQ(event.run_id, "0b7f1c7e-2147483639ab");
    EXPECT_EQ(event.progress, 0.5);
}

TEST(DecodeEvent, AcceptsWhatOnlyPostgresCantHold) {
    for (const std::string value : {"NaN", "Infinity", "-Infinity", R"("\u0000")", R"("\udc00")"}) {
        const Event event = accepted(with_outputs("[{\"v\": " + value + "}]"));

        EXPECT_FALSE(event.beyond_parser) << value;
        EXPECT_EQ(event.run_id, "r1") << value;
    }
}

TEST(DecodeEvent, KeepsDecodedStringsValidUtf8) {
    const Event low = accepted(R"({"run_id":"a\udc00b","status":"s","live_status":"\ud83d\ude00"})");
    const Event high = accepted(R"({"run_id":"a\ud800b","status":"s"})");
    const Event nul = accepted(R"({"run_id":"a\u0000b","status":"s"})");

    EXPECT_EQ(low.run_id,
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(low.live_status, "\xF0\x9F\x98\x80");
    EXPECT_EQ(high.run_id,
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(nul.run_id, std::string("a\0b", 3));
}

TEST(DecodeEvent, TakesNoProgressFromANumberBeyondADouble) {
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"s","progress":1e400})").progress, std::nullopt);
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"s","progress":NaN})").progress, std::nullopt);
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"s","progress":"0.5"})").progress, std::nullopt);
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"s","progress":1})").progress, 1.0);
    EXPECT_EQ(accepted(R"({"run_id":"r","status":"s","progress":0.8299999833106995})").progress, 0.8299999833106995);
}

struct Fault {
    const char* name;
    std::string body;
    const char* word;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class RefusedEvent : public testing::TestWithParam<Fault> {};

TEST_P(RefusedEvent, NamesItsFault) {
    EXPECT_EQ(fault_of(GetParam().body), GetParam().word);
    EXPECT_TRUE(std::holds_alternative<Refusal>(validate_event(GetParam().body)));
}

INSTANTIATE_TEST_SUITE_P(
    DecodeEvent, RefusedEvent,
    testing::Values(
        Fault{"empty", "", "body_empty"}, Fault{"blank", " \r\n\t", "body_empty"},
        Fault{"word", "hello", "body_not_json"}, Fault{"cut_off", R"({"run_id":"r","status":"s")", "body_not_json"},
        Fault{"two_documents", R"({"run_id":"r","status":"s"} {})", "body_not_json"},
        Fault{"trailing_comma", R"({"run_id":"r","status":"s",})", "body_not_json"},
        Fault{"single_quotes", R"({'run_id':'r'})", "body_not_json"},
        Fault{"leading_zeros", R"({"run_id":"r","status":"s","progress":01})", "body_not_json"},
        Fault{"huge_but_no_number", R"({"run_id":"r","status":"s","x":1e400e1})", "body_not_json"},
        Fault{"huge_negative_exponent_but_no_number", R"({"run_id":"r","status":"s","x":0.000000000000e-2147483639e1})",
              "body_not_json"},
        Fault{"nan_with_a_fraction", R"({"run_id":"r","status":"s","progress":NaN.5})", "body_not_json"},
        Fault{"infinity_with_an_exponent", R"({"run_id":"r","status":"s","x":[-Infinitye5]})", "body_not_json"},
        Fault{"inf_with_an_exponent", R"({"run_id":"r","status":"s","x":InfE-1})", "body_not_json"},
        Fault{"infinity_behind_a_part_of_nan", R"({"run_id":"r","status":"s","x":NInfinity})", "body_not_json"},
        Fault{"inf_behind_a_part_of_nan", R"({"run_id":"r","status":"s","x":[-NaInf]})", "body_not_json"},
        Fault{"infinity_behind_a_part_of_nan_at_the_root", "NInfinity", "body_not_json"},
        Fault{"infinity_with_an_exponent_at_the_root", "-Infinitye5", "body_not_json"},
        Fault{"zero_byte_at_the_end", std::string("{\"run_id\":\"r\",\"status\":\"s\"}\0", 28), "body_not_json"},
        Fault{"zero_byte_inside", std::string("{\"run_id\":\"\0r\",\"status\":\"s\"}", 28), "body_not_json"},
        Fault{"raw_control_character", "{\"run_id\":\"a\x01\",\"status\":\"s\"}", "body_not_json"},
        Fault{"latin_1", "{\"run_id\":\"r\xE9\",\"status\":\"s\"}", "body_not_utf8"},
        Fault{"raw_surrogate", "{\"run_id\":\"\xED\xA0\x80\",\"status\":\"s\"}", "body_not_utf8"},
        Fault{"array", R"([{"run_id":"r","status":"s"}])", "body_not_object"},
        Fault{"string", R"("run_id")", "body_not_object"}, Fault{"number", "7", "body_not_object"},
        Fault{"null", "null", "body_not_object"}, Fault{"too_deep", nested(json_depth_max + 1), "body_too_deep"},
        Fault{"far_too_deep", nested(100'000), "body_too_deep"},
        Fault{"no_run_id", R"({"status":"queued"})", "run_id_missing"},
        Fault{"inner_run_id", R"({"status":"queued","outputs":[{"run_id":"r"}]})", "run_id_missing"},
        Fault{"run_id_null", R"({"run_id":null,"status":"s"})", "run_id_not_string"},
        Fault{"run_id_number", R"({"run_id":7,"status":"s"})", "run_id_not_string"},
        Fault{"run_id_object", R"({"run_id":{},"status":"s"})", "run_id_not_string"},
        Fault{"run_id_empty", R"({"run_id":"","status":"s"})", "run_id_empty"},
        Fault{"run_id_too_long", R"({"run_id":")" + std::string(129, 'r') + R"(","status":"s"})", "run_id_too_long"},
        Fault{"no_status", R"({"run_id":"r"})", "status_missing"},
        Fault{"status_null", R"({"run_id":"r","status":null})", "status_not_string"},
        Fault{"status_list", R"({"run_id":"r","status":["s"]})", "status_not_string"}),
    [](const auto& fault) { return std::string(fault.param.name); });

TEST(DecodeEvent, AcceptsTheLongestRunIdAndTheDeepestNesting) {
    EXPECT_EQ(fault_of(R"({"run_id":")" + std::string(run_id_bytes_max, 'r') + R"(","status":"s"})"), "accepted");
    EXPECT_EQ(fault_of(nested(json_depth_max)), "accepted");
}

TEST(DecodeEvent, AgreesWithTheEdgesValidationOnEveryPublishedBody) {
    int bodies = 0;
    for (const char* folder : {"wire", "published"}) {
        const auto path = std::filesystem::path(RUNLEDGER_SOURCE_DIR) / "tests/data/payloads" / folder;
        for (const auto& entry : std::filesystem::directory_iterator(path)) {
            std::stringstream body;
            body << std::ifstream(entry.path()).rdbuf();
            const Event event = accepted(body.str());
            const auto summary = validate_event(body.str());

            ASSERT_TRUE(std::holds_alternative<EventSummary>(summary)) << entry.path();
            EXPECT_EQ(std::get<EventSummary>(summary).run_id, event.run_id);
            EXPECT_TRUE(event.status) << entry.path();
            ++bodies;
        }
    }
    EXPECT_EQ(bodies, 25);
}

}  // namespace
}  // namespace runledger
