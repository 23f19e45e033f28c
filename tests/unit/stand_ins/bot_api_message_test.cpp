#include "tests/stand_ins/bot_api_message.hpp"

#include <gmock/gmock.h>

namespace runledger::test {
namespace {

std::string repeated(std::string_view text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i) {
        result += text;
    }
    return result;
}

struct LengthCase {
    std::string_view name;
    std::string text;
    std::string_view parse_mode;
    std::size_t units;
};

class VisibleLength : public testing::TestWithParam<LengthCase> {};

TEST_P(VisibleLength, CountsUtf16UnitsAfterEntities) {
    EXPECT_EQ(visible_utf16_units(GetParam().text, GetParam().parse_mode), GetParam().units);
}

INSTANTIATE_TEST_SUITE_P(Texts, VisibleLength,
                         testing::Values(LengthCase{"ascii", "abc", "", 3}, LengthCase{"umlaut", "ä", "", 1},
                                         LengthCase{"euro", "€", "", 1}, LengthCase{"surrogate_pair", "😀", "", 2},
                                         LengthCase{"tags", "<b>a</b>", "HTML", 1},
                                         LengthCase{"tags_without_html", "<b>a</b>", "", 8},
                                         LengthCase{"entity", "a&amp;b", "HTML", 3},
                                         LengthCase{"lone_ampersand", "a & b", "HTML", 5}),
                         [](const auto& tested) { return std::string{tested.param.name}; });

struct CallCase {
    std::string_view name;
    std::string_view method;
    std::map<std::string, std::string> texts;
    std::string_view fault;  // Empty: accepted.
};

class CallRules : public testing::TestWithParam<CallCase> {};

TEST_P(CallRules, AreTelegrams) {
    const CallCase& given = GetParam();

    const auto fault = fault_of(given.method, {.texts = given.texts, .uploads = {{"upload", 5}}});

    if (given.fault.empty()) {
        EXPECT_EQ(fault, std::nullopt);
    } else {
        EXPECT_THAT(fault.value_or("accepted"), testing::HasSubstr(std::string{given.fault}));
    }
}

const std::string photo = R"({"type":"photo","media":"https://a/b.png"})";
const std::string document = R"({"type":"document","media":"https://a/b.zip"})";

INSTANTIATE_TEST_SUITE_P(
    Calls, CallRules,
    testing::Values(
        CallCase{"text", "sendMessage", {{"chat_id", "1"}, {"text", "hi"}}, ""},
        CallCase{"no_chat", "sendMessage", {{"text", "hi"}}, "chat_id is empty"},
        CallCase{"no_text", "sendMessage", {{"chat_id", "1"}}, "text is empty"},
        CallCase{"longest_text", "sendMessage", {{"chat_id", "1"}, {"text", repeated("😀", 2048)}}, ""},
        CallCase{
            "text_too_long", "sendMessage", {{"chat_id", "1"}, {"text", repeated("a", 4097)}}, "message is too long"},
        CallCase{"html", "sendMessage", {{"chat_id", "1"}, {"text", "<b>a &lt; b</b>"}, {"parse_mode", "HTML"}}, ""},
        CallCase{"unescaped",
                 "sendMessage",
                 {{"chat_id", "1"}, {"text", "a < b"}, {"parse_mode", "HTML"}},
                 "can't parse entities"},
        CallCase{"cut_tag",
                 "sendMessage",
                 {{"chat_id", "1"}, {"text", "<b>a"}, {"parse_mode", "HTML"}},
                 "can't parse entities"},
        CallCase{"photo_by_url", "sendPhoto", {{"chat_id", "1"}, {"photo", "https://a/b.png"}}, ""},
        CallCase{"photo_by_upload", "sendPhoto", {{"chat_id", "1"}, {"photo", "attach://upload"}}, ""},
        CallCase{"photo_missing", "sendPhoto", {{"chat_id", "1"}}, "there is no photo"},
        CallCase{"photo_by_nonsense", "sendPhoto", {{"chat_id", "1"}, {"photo", "b.png"}}, "wrong file identifier"},
        CallCase{"caption_too_long",
                 "sendPhoto",
                 {{"chat_id", "1"}, {"photo", "https://a/b.png"}, {"caption", repeated("a", 1025)}},
                 "caption is too long"},
        CallCase{"album", "sendMediaGroup", {{"chat_id", "1"}, {"media", "[" + photo + "," + photo + "]"}}, ""},
        CallCase{"album_of_one", "sendMediaGroup", {{"chat_id", "1"}, {"media", "[" + photo + "]"}}, "wrong number"},
        CallCase{"mixed_album",
                 "sendMediaGroup",
                 {{"chat_id", "1"}, {"media", "[" + photo + "," + document + "]"}},
                 "one album"},
        CallCase{"no_album", "sendMediaGroup", {{"chat_id", "1"}, {"media", "{"}}, "can't parse media"}),
    [](const auto& tested) { return std::string{tested.param.name}; });

TEST(CallFields, KeepsNumbersAsWrittenAndObjectsAsJson) {
    const auto fields =
        fields_of_json(R"({"chat_id": -1001234567890123, "reply_parameters": {"message_id": 7}, "text": "ä"})");

    ASSERT_TRUE(fields.has_value());
    EXPECT_EQ(fields->get("chat_id"), "-1001234567890123");
    EXPECT_EQ(fields->get("reply_parameters"), R"({"message_id":7})");
    EXPECT_EQ(fields->get("text"), "ä");
    EXPECT_EQ(fields_of_json("[]"), std::nullopt);
}

}  // namespace
}  // namespace runledger::test
