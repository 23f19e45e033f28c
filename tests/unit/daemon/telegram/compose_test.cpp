#include "daemon/telegram/compose.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "daemon/base/json.hpp"
#include "daemon/telegram/body.hpp"
#include "daemon/telegram/text.hpp"
#include "tests/stand_ins/bot_api_message.hpp"

namespace runledger::telegram {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Medium photo(int number) {
    return {.kind = MediumKind::photo,
            .url = fmt::format("https://h/{}.png?a=1&b=2", number),
            .name = fmt::format("{}.png", number)};
}

Medium medium(MediumKind kind, std::string name) { return {.kind = kind, .url = "https://h/" + name, .name = name}; }

SettlementNotice completed(std::vector<Medium> media = {}) {
    SettlementNotice notice{
        .kind = NoticeKind::ending, .status = EndStatus::completed, .run_id = "run-1", .duration_ms = 12'300.0};
    notice.has_outputs = !media.empty();
    notice.media = std::move(media);
    return notice;
}

std::vector<Medium> photos(int count) {
    std::vector<Medium> media;
    for (int i = 1; i <= count; ++i) {
        media.push_back(photo(i));
    }
    return media;
}

const Wording wording{};

std::vector<Message> parts_of(const SettlementNotice& notice, const EarlierAttempts& earlier = {}) {
    return compose(notice, wording, earlier);
}

// The first part.
Message composed(const SettlementNotice& notice, bool may_have_arrived = false) {
    const auto parts = parts_of(notice, {.parts_sent = 0, .may_have_arrived = may_have_arrived});
    if (parts.empty()) {
        ADD_FAILURE() << "nothing is said";
        return {};
    }
    return parts.front();
}

std::vector<std::string> urls(const Message& message) {
    std::vector<std::string> found;
    for (const Attachment& attachment : message.media) {
        found.push_back(attachment.url);
    }
    return found;
}

std::vector<std::size_t> sizes(const std::vector<Message>& parts) {
    std::vector<std::size_t> found;
    for (const Message& part : parts) {
        found.push_back(part.media.size());
    }
    return found;
}

TEST(Compose, SendsOnePictureAsAPhotoWithItsDuration) {
    const Message message = composed(completed(photos(1)));

    EXPECT_EQ(message.method, Method::send_photo);
    EXPECT_THAT(urls(message), ElementsAre("https://h/1.png?a=1&b=2"));
    EXPECT_EQ(message.text, "Finished in 12.3 s");
    EXPECT_EQ(message.message_count(), 1U);
}

TEST(Compose, SendsTwoToTenPicturesAsAnAlbum) {
    for (const int count : {2, 10}) {
        const Message message = composed(completed(photos(count)));

        EXPECT_EQ(message.method, Method::send_media_group);
        EXPECT_EQ(message.media.size(), static_cast<std::size_t>(count));
        EXPECT_EQ(message.message_count(), static_cast<std::size_t>(count));
        EXPECT_EQ(message.text, "Finished in 12.3 s");
    }
}

struct Album {
    const char* name;
    int photos;
    std::vector<std::size_t> parts;
};

class Albums : public testing::TestWithParam<Album> {};

TEST_P(Albums, HoldTenAtMostAndOneCaption) {
    const auto parts = parts_of(completed(photos(GetParam().photos)));

    EXPECT_EQ(sizes(parts), GetParam().parts);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        EXPECT_EQ(parts[i].text, i == 0 ? "Finished in 12.3 s" : "") << i;
        EXPECT_EQ(parts[i].method, parts[i].media.size() == 1 ? Method::send_photo : Method::send_media_group);
    }
}

INSTANTIATE_TEST_SUITE_P(AtTheirLimits, Albums,
                         testing::Values(Album{"one", 1, {1}}, Album{"two", 2, {2}}, Album{"nine", 9, {9}},
                                         Album{"ten", 10, {10}}, Album{"eleven", 11, {10, 1}},
                                         Album{"twelve", 12, {10, 2}}, Album{"twenty", 20, {10, 10}},
                                         Album{"twenty_one", 21, {10, 10, 1}},
                                         Album{"hundred", 100, {10, 10, 10, 10, 10, 10, 10, 10, 10, 10}}),
                         [](const auto& row) { return row.param.name; });

TEST(Compose, PutsIntoOneAlbumOnlyWhatTelegramTakesTogether) {
    std::vector<Medium> media{medium(MediumKind::audio, "a.mp3"),     photo(1),
                              medium(MediumKind::document, "d.zip"),  medium(MediumKind::video, "v.mp4"),
                              medium(MediumKind::animation, "g.gif"), medium(MediumKind::audio, "b.mp3"),
                              medium(MediumKind::animation, "h.gif")};

    const auto parts = parts_of(completed(std::move(media)));

    ASSERT_EQ(sizes(parts), (std::vector<std::size_t>{2, 1, 1, 2, 1}));
    EXPECT_THAT(urls(parts[0]), ElementsAre("https://h/1.png?a=1&b=2", "https://h/v.mp4"));
    EXPECT_EQ(parts[1].method, Method::send_animation);
    EXPECT_EQ(parts[2].method, Method::send_animation);
    EXPECT_THAT(urls(parts[3]), ElementsAre("https://h/a.mp3", "https://h/b.mp3"));
    EXPECT_EQ(parts[4].method, Method::send_document);
    for (const Message& part : parts) {
        const auto fields = test::fields_of_json(to_json(part, {.id = 42}));
        EXPECT_EQ(test::fault_of(to_word(part.method), *fields), std::nullopt) << to_json(part, {.id = 42});
    }
}

TEST(Compose, LinksWhatWouldTakeTooManyCalls) {
    std::vector<Medium> media;
    for (int i = 0; i < 15; ++i) {
        media.push_back(medium(MediumKind::animation, fmt::format("{}.gif", i)));
    }

    const auto parts = parts_of(completed(std::move(media)));

    ASSERT_EQ(parts.size(), media_parts_max + 1);
    EXPECT_EQ(parts.back().method, Method::send_message);
    EXPECT_EQ(parts.back().text,
              "\n<a href=\"https://h/12.gif\">12.gif</a>\n<a href=\"https://h/13.gif\">13.gif</a>\n<a "
              "href=\"https://h/14.gif\">14.gif</a>");
}

struct Only {
    const char* name;
    MediumKind kind;
    Method method;
};

class OnlyMedium : public testing::TestWithParam<Only> {};

TEST_P(OnlyMedium, GoesByItsOwnMethod) {
    const Message message = composed(completed({medium(GetParam().kind, "x")}));

    EXPECT_EQ(message.method, GetParam().method);
    EXPECT_THAT(urls(message), ElementsAre("https://h/x"));
}

INSTANTIATE_TEST_SUITE_P(All, OnlyMedium,
                         testing::Values(Only{"photo", MediumKind::photo, Method::send_photo},
                                         Only{"video", MediumKind::video, Method::send_video},
                                         Only{"animation", MediumKind::animation, Method::send_animation},
                                         Only{"audio", MediumKind::audio, Method::send_audio},
                                         Only{"document", MediumKind::document, Method::send_document}),
                         [](const auto& row) { return row.param.name; });

TEST(Compose, SaysTextOutputsAsText) {
    SettlementNotice notice = completed();
    notice.texts = {"a <cat>", "a dog"};

    const Message message = composed(notice);

    EXPECT_EQ(message.method, Method::send_message);
    EXPECT_EQ(message.text, "Finished in 12.3 s\n\na &lt;cat&gt;\n\na dog");
}

TEST(Compose, SaysShortTextsInTheCaptionAndLongOnesAfterIt) {
    SettlementNotice notice = completed(photos(2));
    notice.texts = {"a cat"};
    EXPECT_EQ(composed(notice).text, "Finished in 12.3 s\n\na cat");
    EXPECT_EQ(parts_of(notice).size(), 1U);

    notice.texts = {std::string(2000, 'x')};
    const auto parts = parts_of(notice);
    ASSERT_EQ(parts.size(), 2U);
    EXPECT_EQ(parts[0].text, "Finished in 12.3 s");
    EXPECT_EQ(parts[1].method, Method::send_message);
    EXPECT_EQ(parts[1].text, std::string(2000, 'x'));
}

TEST(Compose, FallsBackToDocumentsAndThenToLinks) {
    const Message picture = composed(completed(photos(2)));

    const auto documents = as_documents(picture);
    ASSERT_TRUE(documents.has_value());
    EXPECT_EQ(documents->method, Method::send_media_group);
    EXPECT_EQ(documents->media[1].kind, MediumKind::document);
    EXPECT_EQ(documents->text, picture.text);
    EXPECT_EQ(as_documents(*documents), std::nullopt);

    const Message text = as_text(*documents);
    EXPECT_EQ(text.method, Method::send_message);
    EXPECT_FALSE(text.has_media());
    EXPECT_EQ(text.text,
              "Finished in 12.3 s\n<a href=\"https://h/1.png?a=1&amp;b=2\">1.png</a>\n<a "
              "href=\"https://h/2.png?a=1&amp;b=2\">2.png</a>");
}

TEST(Compose, CountsTheLinksThatCantBeUsed) {
    SettlementNotice notice = completed(photos(1));
    notice.links_unusable = 2;

    const auto parts = compose(notice, wording, {});

    ASSERT_EQ(parts.size(), 2U);
    EXPECT_THAT(parts[1].text, HasSubstr("… and 2 more"));

    notice.media.clear();
    const auto none = compose(notice, wording, {});
    ASSERT_EQ(none.size(), 1U);
    EXPECT_THAT(none[0].text, Not(HasSubstr("more")));
}

TEST(Compose, SaysThatLinksHaveExpired) {
    const Message album = composed(completed(photos(3)));

    const Message some = without(album, {true, false, true}, wording);
    EXPECT_EQ(some.method, Method::send_photo);
    EXPECT_THAT(urls(some), ElementsAre("https://h/2.png?a=1&b=2"));
    EXPECT_THAT(some.text, HasSubstr("Finished in 12.3 s\nNot shown, because the links have expired: 2"));

    const Message none = without(album, {true, true, true}, wording);
    EXPECT_EQ(none.method, Method::send_message);
    EXPECT_THAT(none.text, Not(HasSubstr("href")));
    EXPECT_THAT(none.text, HasSubstr("The outputs' links have expired"));
    EXPECT_EQ(without(album, {false, false, false}, wording).text, album.text);
}

TEST(Compose, SaysItInTheOperatorsWords) {
    Wording german;
    german.set("completed", "Fertig[ nach {duration}][ für {cost}]");
    german.set("failed", "Fehlgeschlagen[: {detail}]");
    SettlementNotice notice = completed(photos(1));
    notice.cost_usd = 0.00414;
    EXPECT_EQ(compose(notice, german, {}).front().text, "Fertig nach 12.3 s für $0.0041");

    notice.status = EndStatus::failed;
    notice.reason = "failed while <Executing> KSampler (71 %)";
    EXPECT_THAT(compose(notice, german, {}).front().text,
                testing::StartsWith("Fehlgeschlagen: &lt;Executing&gt; KSampler (71 %)\n"));
}

TEST(Compose, PutsTheMessageWhereItBelongs) {
    SettlementNotice notice = completed(photos(11));
    notice.thread_id = 7;
    notice.reply_to = 99;

    const auto parts = parts_of(notice);

    ASSERT_EQ(parts.size(), 2U);
    EXPECT_THAT(to_json(parts[0], {.id = 42}), HasSubstr(R"("message_thread_id":7)"));
    EXPECT_THAT(to_json(parts[0], {.id = 42}),
                HasSubstr(R"("reply_parameters":{"message_id":99,"allow_sending_without_reply":true})"));
    EXPECT_THAT(to_json(parts[1], {.id = 42}), HasSubstr(R"("message_thread_id":7)"));
    EXPECT_THAT(to_json(parts[1], {.id = 42}), Not(HasSubstr("reply_parameters")));
}

TEST(Compose, NamesNoThreadForTheGeneralTopic) {
    SettlementNotice notice = completed();
    notice.thread_id = 1;

    const Message message = composed(notice);

    EXPECT_THAT(to_json(message, {.id = 42}), Not(HasSubstr("message_thread_id")));
    for (const auto& [name, value] : to_form(message, {.id = 42}).fields) {
        EXPECT_NE(name, "message_thread_id");
    }
}

TEST(Compose, SaysThatThereIsNothingToShow) {
    EXPECT_EQ(composed(completed()).text, "Finished in 12.3 s, no outputs\n<code>run-1</code>");

    SettlementNotice useless = completed();
    useless.has_outputs = true;
    EXPECT_EQ(composed(useless).text, "Finished in 12.3 s, but its outputs can't be shown here\n<code>run-1</code>");
}

struct Bad {
    const char* name;
    EndStatus status;
    NoticeKind kind;
    const char* reason;
    std::optional<double> duration_ms;
    const char* headline;
};

class BadEndings : public testing::TestWithParam<Bad> {};

TEST_P(BadEndings, SayWhatIsKnown) {
    SettlementNotice notice = completed(photos(1));
    notice.status = GetParam().status;
    notice.kind = GetParam().kind;
    notice.reason = GetParam().reason;
    notice.duration_ms = GetParam().duration_ms;

    const Message message = composed(notice);

    EXPECT_EQ(message.method, Method::send_message);
    EXPECT_EQ(message.text, fmt::format("{}\n<code>run-1</code>", GetParam().headline));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadEndings,
    testing::Values(
        Bad{"failed", EndStatus::failed, NoticeKind::ending, "", std::nullopt, "Failed"},
        Bad{"with_error", EndStatus::failed, NoticeKind::ending, "CUDA < 12", std::nullopt, "Failed: CUDA &lt; 12"},
        Bad{"with_place", EndStatus::failed, NoticeKind::ending, "failed while Executing KSampler (71 %)", 2500.0,
            "Failed while Executing KSampler (71 %), after 2.5 s"},
        Bad{"timed_out", EndStatus::failed, NoticeKind::ending, "timed out (3 %)", std::nullopt, "Timed out (3 %)"},
        Bad{"cancelled", EndStatus::cancelled, NoticeKind::ending, "cancelled", std::nullopt, "Cancelled"},
        Bad{"correction", EndStatus::failed, NoticeKind::correction, "CUDA", std::nullopt, "Correction: Failed: CUDA"}),
    [](const auto& row) { return row.param.name; });

TEST(Compose, SaysWhatKindOfNoticeItIs) {
    SettlementNotice notice = completed(photos(1));
    notice.kind = NoticeKind::follow_up;
    EXPECT_EQ(composed(notice).text, "Here are the outputs of a run that finished in 12.3 s");

    notice.kind = NoticeKind::correction;
    EXPECT_EQ(composed(notice).text, "Correction: Finished in 12.3 s");
}

TEST(Compose, SaysNothingWhereAFollowUpHasNothingToShow) {
    SettlementNotice notice = completed();
    notice.kind = NoticeKind::follow_up;

    EXPECT_THAT(parts_of(notice), IsEmpty());
}

struct Duration {
    double milliseconds;
    const char* text;
};

class Durations : public testing::TestWithParam<Duration> {};

TEST_P(Durations, AreForPeople) {
    SettlementNotice notice = completed(photos(1));
    notice.duration_ms = GetParam().milliseconds;

    EXPECT_EQ(composed(notice).text, fmt::format("Finished in {}", GetParam().text));
}

INSTANTIATE_TEST_SUITE_P(All, Durations,
                         testing::Values(Duration{0, "less than 0.1 s"}, Duration{49, "less than 0.1 s"},
                                         Duration{50, "0.1 s"}, Duration{12'345.678, "12.3 s"},
                                         Duration{59'949, "59.9 s"}, Duration{59'950, "1 min 0 s"},
                                         Duration{192'400, "3 min 12 s"}, Duration{3'599'600, "1 h 0 min"},
                                         Duration{3'780'000, "1 h 3 min"}));

TEST(Compose, LeavesAnUnknownDurationOut) {
    SettlementNotice notice = completed(photos(1));
    notice.duration_ms.reset();

    EXPECT_EQ(composed(notice).text, "Finished");
}

TEST(Compose, MarksAPossibleDuplicateInEveryForm) {
    for (const auto& notice : {completed(), completed(photos(1)), completed(photos(2)), completed(photos(20))}) {
        const Message marked = composed(notice, true);
        EXPECT_THAT(marked.text, HasSubstr("Possibly a duplicate"));
        EXPECT_THAT(as_text(marked).text, HasSubstr("Possibly a duplicate"));
        EXPECT_THAT(composed(notice).text, Not(HasSubstr("duplicate")));
    }
}

TEST(Compose, MarksOnlyThePartThatMayHaveArrived) {
    const auto parts = parts_of(completed(photos(30)), {.parts_sent = 1, .may_have_arrived = true});

    ASSERT_EQ(parts.size(), 3U);
    EXPECT_EQ(parts[0].text, "Finished in 12.3 s");
    EXPECT_EQ(parts[1].text, "<i>Possibly a duplicate: an earlier try may have arrived.</i>");
    EXPECT_EQ(parts[2].text, "");
}

// Whatever the payload holds, Telegram must be able to take it, in every part and form.
TEST(Compose, KeepsTelegramsBounds) {
    std::string odd;
    for (int i = 0; i < 4000; ++i) {
        odd += "<&\"日\xF0\x9F\x98\x80";
    }
    std::vector<Medium> many = photos(100);
    for (Medium& each : many) {
        each.name = std::string(64, '<');
        each.url = "https://h/" + std::string(1500, '&');
    }
    const auto takes = [](const Message& message) {
        const std::size_t units = test::visible_utf16_units(message.text, "HTML");
        const auto fields = test::fields_of_json(to_json(message, {.id = -100}));
        EXPECT_LE(units, message.has_media() ? caption_units_max : text_units_max);
        EXPECT_EQ(units, visible_units(message.text));
        EXPECT_EQ(clean(message.text), message.text);
        ASSERT_TRUE(fields.has_value());
        EXPECT_EQ(test::fault_of(to_word(message.method), *fields), std::nullopt) << message.text;
    };
    for (const int photo_count : {0, 1, 2, 10, 11, 100}) {
        for (const std::size_t text_size : {std::size_t{0}, std::size_t{40}, odd.size()}) {
            for (const bool may_have_arrived : {false, true}) {
                SettlementNotice notice = completed({many.begin(), many.begin() + photo_count});
                notice.reason = odd;
                notice.media.push_back(medium(MediumKind::audio, "b.mp3"));
                notice.media_left_out = photo_count == 100 ? 7 : 0;
                if (text_size > 0) {
                    notice.texts = {std::string(cut_to_bytes(odd, text_size)), odd.substr(0, text_size / 10 * 10)};
                }
                const auto parts = parts_of(notice, {.parts_sent = 0, .may_have_arrived = may_have_arrived});
                EXPECT_EQ(sizes(parts), sizes(parts_of(notice))) << "parts must not depend on what happened before";
                EXPECT_EQ(parts.front().text.ends_with("arrived.</i>"), may_have_arrived);
                for (const Message& part : parts) {
                    takes(part);
                    takes(as_text(part));
                    takes(as_documents(part).value_or(part));
                    takes(without(part, std::vector<bool>(part.media.size(), true), wording));
                }
                if (text_size == odd.size()) {
                    EXPECT_GT(visible_units(parts.back().text), 3900U) << "room is wasted";
                }
            }
        }
    }
}

// Cut between code points, never within a pair, an escape or an entity.
struct Cut {
    const char* name;
    std::string piece;       // Repeated without end.
    std::size_t units_each;  // Of a piece.
};

class Cuts : public testing::TestWithParam<Cut> {};

TEST_P(Cuts, FallBetweenCharacters) {
    for (const std::size_t shift : {0U, 1U, 2U, 3U}) {
        SettlementNotice notice = completed();
        std::string text(shift, 'a');
        while (count_units(text) < 5000) {
            text += GetParam().piece;
        }
        notice.texts = {text};

        const std::string said = composed(notice).text;

        EXPECT_LE(visible_units(said), text_units_max);
        EXPECT_GT(visible_units(said) + GetParam().units_each, text_units_max);
        EXPECT_EQ(test::html_fault(said), std::nullopt);
        EXPECT_EQ(clean(said), said) << "half a character";
        EXPECT_TRUE(said.ends_with("…"));
    }
}

INSTANTIATE_TEST_SUITE_P(All, Cuts,
                         testing::Values(Cut{"ascii", "x", 1}, Cut{"ampersand", "&", 1}, Cut{"less", "<", 1},
                                         Cut{"two_bytes", "ä", 1}, Cut{"three_bytes", "日", 1},
                                         Cut{"surrogate_pair", "\xF0\x9F\x98\x80", 2},
                                         Cut{"pair_and_escape", "\xF0\x9F\x98\x80<&>", 5},
                                         Cut{"looks_like_an_entity", "&amp;", 5}),
                         [](const auto& row) { return row.param.name; });

TEST(Compose, CountsTheLinksThatDoNotFit) {
    std::vector<Medium> media;
    for (int i = 0; i < 74; ++i) {
        media.push_back(medium(MediumKind::animation, fmt::format("{}.gif", i)));
    }
    SettlementNotice notice = completed(std::move(media));
    notice.media_left_out = 2;

    EXPECT_THAT(parts_of(notice).back().text, HasSubstr("\n… and 14 more"));
}

rapidjson::Document parsed(const std::string& json) {
    rapidjson::Document document;
    document.Parse(json.c_str());
    EXPECT_FALSE(document.HasParseError()) << json;
    return document;
}

TEST(ToJson, WritesWhatTheBotApiTakes) {
    const auto text = parsed(to_json(composed(completed()), {.id = 42}));
    EXPECT_EQ(text["chat_id"].GetInt64(), 42);
    EXPECT_STREQ(text["text"].GetString(), "Finished in 12.3 s, no outputs\n<code>run-1</code>");
    EXPECT_STREQ(text["parse_mode"].GetString(), "HTML");

    const auto one = parsed(to_json(composed(completed(photos(1))), {.id = -100'123}));
    EXPECT_EQ(one["chat_id"].GetInt64(), -100'123);
    EXPECT_STREQ(one["photo"].GetString(), "https://h/1.png?a=1&b=2");
    EXPECT_STREQ(one["caption"].GetString(), "Finished in 12.3 s");

    const auto album = parsed(to_json(composed(completed(photos(2))), {.id = 42}));
    ASSERT_EQ(album["media"].Size(), 2U);
    EXPECT_STREQ(album["media"][0]["type"].GetString(), "photo");
    EXPECT_STREQ(album["media"][0]["caption"].GetString(), "Finished in 12.3 s");
    EXPECT_STREQ(album["media"][1]["media"].GetString(), "https://h/2.png?a=1&b=2");
    EXPECT_FALSE(album["media"][1].HasMember("caption"));
    EXPECT_FALSE(album.HasMember("caption"));
}

}  // namespace
}  // namespace runledger::telegram
