#include "daemon/telegram/options.hpp"

#include <gtest/gtest.h>

#include "daemon/telegram/compose.hpp"
#include "daemon/telegram/notice.hpp"

namespace runledger::telegram {
namespace {

SettlementNotice notice_of(const std::string& hints, const std::string& status = "completed") {
    return read_notice({.kind = NoticeKind::ending,
                        .run_id = "run-1",
                        .payload = R"({"status": ")" + status + R"(", "generation_id": 7, "hints": )" + hints + "}"})
        .value();
}

struct Odd {
    const char* name;
    const char* hints;
    const char* left_out;
};

void PrintTo(const Odd& odd, std::ostream* out) { *out << odd.name; }

class OddHints : public testing::TestWithParam<Odd> {};

TEST_P(OddHints, AreLeftOutAndNamed) { EXPECT_EQ(notice_of(GetParam().hints).left_out, GetParam().left_out); }

INSTANTIATE_TEST_SUITE_P(
    Options, OddHints,
    testing::Values(
        Odd{"none", "null", ""}, Odd{"empty", "{}", ""}, Odd{"others", R"({"mine": [1]})", ""},
        Odd{"nulls", R"({"disable_notification": null, "protect_content": null})", ""},
        Odd{"a_reason", R"("metadata.deliveryHints.telegram is no object")",
            "metadata.deliveryHints.telegram is no object"},
        Odd{"silence_as_number", R"({"disable_notification": 1})",
            "metadata.deliveryHints.telegram.disable_notification is neither true nor false"},
        Odd{"protection_as_text", R"({"protect_content": "yes"})",
            "metadata.deliveryHints.telegram.protect_content is neither true nor false"},
        Odd{"sent_as_something", R"({"send-as": "sticker"})",
            "metadata.deliveryHints.telegram.send-as is neither \"document\" nor \"media\""},
        Odd{"sent_as_a_number", R"({"send-as": 7})",
            "metadata.deliveryHints.telegram.send-as is neither \"document\" nor \"media\""},
        Odd{"a_name_of_dots", R"({"filename": ".."})", "metadata.deliveryHints.telegram.filename is no name"},
        Odd{"a_name_that_is_an_object", R"({"filename": {}})", "metadata.deliveryHints.telegram.filename is no name"},
        Odd{"buttons_are_no_list", R"({"buttons": {"text": "a"}})",
            "metadata.deliveryHints.telegram.buttons is no list"},
        Odd{"a_button_is_no_object", R"({"buttons": [["a"], 7]})",
            "metadata.deliveryHints.telegram.buttons[0][0] is no object; "
            "metadata.deliveryHints.telegram.buttons[1] is no "
            "object"},
        Odd{"a_button_without_text", R"({"buttons": [[{"callback_data": "a"}]]})",
            "metadata.deliveryHints.telegram.buttons[0][0] has no text"},
        Odd{"a_button_of_no_kind", R"({"buttons": [[{"text": "a", "web_app": {}}]]})",
            "metadata.deliveryHints.telegram.buttons[0][0] has not one of url and callback_data"},
        Odd{"a_button_with_a_lone_brace", R"({"buttons": [[{"text": "a", "callback_data": "{run"}]]})",
            "metadata.deliveryHints.telegram.buttons[0][0] has a callback_data that has a { without its }; "
            "for the brace "
            "itself write {{"}),
    [](const auto& row) { return row.param.name; });

SettlementNotice with_media(SettlementNotice notice, std::initializer_list<Medium> media) {
    notice.media = media;
    return notice;
}

const Medium picture{.kind = MediumKind::photo, .url = "https://h/1.png", .name = "1.png"};
const Medium sound{.kind = MediumKind::audio, .url = "https://h/2.mp3", .name = "2.mp3"};

TEST(Documents, AreAllOutputsIfTheRecordOrTheConfigurationSaysSo) {
    const auto plain = with_media(notice_of("null"), {picture, sound});
    const auto documents = with_media(notice_of(R"({"send-as": "document", "filename": "a/b.png"})"), {picture, sound});
    const auto media = with_media(notice_of(R"({"send-as": "media"})"), {picture, sound});
    const OptionDefaults all{.sends_documents = true};

    EXPECT_EQ(compose(plain, Wording{}, {}).size(), 2U) << "a picture, and sound";
    EXPECT_EQ(compose(plain, Wording{}, {}, all).size(), 1U);
    EXPECT_EQ(compose(media, Wording{}, {}, all).size(), 2U);
    const auto parts = compose(documents, Wording{}, {});
    ASSERT_EQ(parts.size(), 1U);
    EXPECT_EQ(parts[0].method, Method::send_media_group);
    EXPECT_EQ(parts[0].media[0].kind, MediumKind::document);
    EXPECT_EQ(parts[0].media[0].name, "a_b.png");
    EXPECT_EQ(parts[0].media[1].name, "a_b-2.png");
}

TEST(Documents, BecomeWhatTheyAreIfTheyFitIntoOneMessage) {
    const OptionDefaults all{.sends_documents = true};
    const auto one = compose(with_media(notice_of("null"), {picture}), Wording{}, {}, all).front();
    const auto two = compose(with_media(notice_of("null"), {picture, picture}), Wording{}, {}, all).front();
    const auto mixed = compose(with_media(notice_of("null"), {picture, sound}), Wording{}, {}, all).front();
    const auto plain = compose(with_media(notice_of("null"), {picture}), Wording{}, {}).front();

    EXPECT_EQ(as_previews(one).value().method, Method::send_photo);
    EXPECT_EQ(as_previews(two).value().media[1].kind, MediumKind::photo);
    EXPECT_FALSE(as_previews(mixed).has_value()) << "no album has pictures and sound";
    EXPECT_FALSE(as_previews(as_documents(plain).value()).has_value()) << "it was refused as a picture before";
}

Message with_buttons(const std::string& buttons, const OptionDefaults& defaults = {}) {
    return compose(notice_of("{\"buttons\": " + buttons + "}"), Wording{}, {}, defaults).back();
}

// "text=url text=data / next row"
std::string text_of(const Rows<Button>& rows) {
    std::string text;
    for (const auto& row : rows) {
        text += text.empty() ? "" : " /";
        for (const Button& button : row) {
            text += (text.empty() ? "" : " ") + button.text + "=" + button.url + button.callback_data;
        }
    }
    return text;
}

TEST(Buttons, AreFilledInForTheRunAndEscapedInUrls) {
    auto notice =
        notice_of(R"({"buttons": [[{"text": "Rate {generation_id}", "callback_data": "rate:{run_id}:{status}"},
                                             {"text": "Open", "url": "https://h.example/r?id={run_id}"}],
                                            {"text": "Me", "url": "tg://resolve?domain=bot"}]})");
    notice.run_id = "a b/c&d";

    const Message message = compose(notice, Wording{}, {}).back();

    EXPECT_EQ(text_of(message.buttons),
              "Rate 7=rate:a b/c&d:completed Open=https://h.example/r?id=a%20b%2Fc%26d / Me=tg://resolve?domain=bot");
    EXPECT_EQ(message.left_out, "");
}

TEST(Buttons, AreWithinTheBotApisLimits) {
    const auto data = [](std::size_t bytes) {
        return R"([[{"text": "a", "callback_data": ")" + std::string(bytes, 'd') +
               R"("}, {"text": "b", "callback_data": "b"}]])";
    };
    EXPECT_EQ(with_buttons(data(64)).buttons.at(0).size(), 2U);
    EXPECT_EQ(with_buttons(data(65)).buttons.at(0).size(), 1U) << "the other one stays";
    EXPECT_EQ(with_buttons(data(65)).left_out,
              "the button \"a\" of metadata.deliveryHints.telegram.buttons has callback_data of 65 bytes, not 1 to 64");
    EXPECT_EQ(with_buttons(data(0)).buttons.at(0).size(), 1U);
    EXPECT_EQ(
        with_buttons(R"x([{"text": "a", "url": "javascript:alert(1)"}])x").left_out,
        "the button \"a\" of metadata.deliveryHints.telegram.buttons has a url that is neither a plain http:// or "
        "https:// URL nor tg://");
    EXPECT_EQ(with_buttons(R"([{"text": " ", "callback_data": "a"}])").left_out,
              "the button \" \" of metadata.deliveryHints.telegram.buttons has an empty text");

    std::string many = "[";
    for (int row = 0; row < 30; ++row) {
        many += std::string(row == 0 ? "" : ",") + "[";
        for (int i = 0; i < 9; ++i) {
            many += std::string(i == 0 ? "" : ",") + R"({"text": "a", "callback_data": "a"})";
        }
        many += "]";
    }
    const Message message = with_buttons(many + "]");
    std::size_t count = 0;
    for (const auto& row : message.buttons) {
        EXPECT_LE(row.size(), 8U);
        count += row.size();
    }
    EXPECT_EQ(count, 100U);
    EXPECT_EQ(message.left_out,
              "170 buttons of metadata.deliveryHints.telegram.buttons are more than 8 in a row or 100 in all");
}

TEST(Buttons, OfTheRecordTakeThePlaceOfTheConfigurations) {
    const OptionDefaults defaults{.buttons = {{make_button({.text = "Configured", .url = {}, .callback_data = "c"})}}};

    EXPECT_EQ(text_of(compose(notice_of("null"), Wording{}, {}, defaults).back().buttons), "Configured=c");
    EXPECT_EQ(text_of(with_buttons(R"([{"text": "Own", "callback_data": "o"}])", defaults).buttons), "Own=o");
    EXPECT_EQ(text_of(with_buttons("[]", defaults).buttons), "") << "none, if it says so";
    EXPECT_EQ(text_of(with_buttons("7", defaults).buttons), "Configured=c");
}

TEST(Buttons, OfAnAlbumHaveAMessageOfTheirOwn) {
    auto notice = notice_of(R"({"buttons": [{"text": "a", "callback_data": "a"}]})");
    for (const char* name : {"1.png", "2.png"}) {
        notice.media.push_back({.kind = MediumKind::photo, .url = std::string("https://h/") + name, .name = name});
    }
    notice.thread_id = 5;

    const auto parts = compose(notice, Wording{}, {});

    ASSERT_EQ(parts.size(), 2U);
    EXPECT_TRUE(parts[0].buttons.empty());
    EXPECT_EQ(parts[1].method, Method::send_message);
    EXPECT_EQ(parts[1].text, "What next?");
    EXPECT_EQ(parts[1].thread_id, 5);
    EXPECT_TRUE(parts[1].is_silent);
    EXPECT_EQ(text_of(parts[1].buttons), "a=a");
}

TEST(Languages, OfARecordAreNamedWhereTheyAreNone) {
    const auto read = [](const std::string& language) {
        return read_notice({.kind = NoticeKind::ending,
                            .run_id = "r",
                            .payload = R"({"status": "failed", "language": )" + language + "}"})
            .value();
    };

    EXPECT_EQ(read("\"pt_BR\"").options.language, "pt-br");
    EXPECT_EQ(read("null").options.language, "");
    EXPECT_EQ(read("null").left_out, "");
    EXPECT_EQ(read("\"{}\"").options.language, "");
    EXPECT_EQ(read("\"{}\"").left_out,
              "metadata.notificationContext.language or languageCode is no language's tag such as \"fr\" or \"pt-BR\"");
}

struct Silence {
    const char* name;
    const char* status;
    const char* hints;
    OptionDefaults defaults;
    bool is_silent;
    bool is_protected;
};

void PrintTo(const Silence& silence, std::ostream* out) { *out << silence.name; }

class Silences : public testing::TestWithParam<Silence> {};

TEST_P(Silences, AreTheRecordsOrElseTheConfigurations) {
    const Silence& given = GetParam();

    const auto parts = compose(notice_of(given.hints, given.status), Wording{}, {}, given.defaults);

    ASSERT_EQ(parts.size(), 1U);
    EXPECT_EQ(parts[0].is_silent, given.is_silent);
    EXPECT_EQ(parts[0].is_protected, given.is_protected);
}

INSTANTIATE_TEST_SUITE_P(
    Options, Silences,
    testing::Values(Silence{"default", "completed", "null", {}, false, false},
                    Silence{"success", "completed", "null", {.silent_success = true}, true, false},
                    Silence{"failure_is_loud", "failed", "null", {.silent_success = true}, false, false},
                    Silence{"failure", "failed", "null", {.silent_failure = true}, true, false},
                    Silence{"cancelled_as_failure", "cancelled", "null", {.silent_failure = true}, true, false},
                    Silence{"success_is_loud", "completed", "null", {.silent_failure = true}, false, false},
                    Silence{"record_silences", "failed", R"({"disable_notification": true})", {}, true, false},
                    Silence{"record_is_loud",
                            "completed",
                            R"({"disable_notification": false})",
                            {.silent_success = true},
                            false,
                            false},
                    Silence{"protected_by_all", "failed", "null", {.protect_content = true}, false, true},
                    Silence{"protected_by_the_record", "completed", R"({"protect_content": true})", {}, false, true},
                    Silence{"open_by_the_record",
                            "completed",
                            R"({"protect_content": false})",
                            {.protect_content = true},
                            false,
                            false}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace runledger::telegram
