#include "daemon/telegram.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "daemon/json.hpp"
#include "daemon/telegram_text.hpp"
#include "tests/support/bot_api_message.hpp"

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

News completed(std::vector<Medium> media = {}) {
    News news{.kind = NewsKind::ending, .status = EndStatus::completed, .run_id = "run-1", .duration_ms = 12'300.0};
    news.has_outputs = !media.empty();
    news.media = std::move(media);
    return news;
}

std::vector<Medium> photos(int count) {
    std::vector<Medium> media;
    for (int i = 1; i <= count; ++i) {
        media.push_back(photo(i));
    }
    return media;
}

Message composed(const News& news, Form form = Form::media, bool may_be_duplicate = false) {
    const auto message = compose(news, form, may_be_duplicate);
    if (!message) {
        ADD_FAILURE() << "nothing is said";
        return {};
    }
    return *message;
}

TEST(Compose, SendsOnePictureAsAPhotoWithItsDuration) {
    const Message message = composed(completed(photos(1)));

    EXPECT_EQ(message.method, Method::send_photo);
    EXPECT_THAT(message.media, ElementsAre("https://h/1.png?a=1&b=2"));
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

TEST(Compose, SendsMorePicturesThanAnAlbumHoldsAsLinks) {
    const Message message = composed(completed(photos(11)));

    EXPECT_EQ(message.method, Method::send_message);
    EXPECT_THAT(message.text, HasSubstr("<a href=\"https://h/11.png?a=1&amp;b=2\">11.png</a>"));
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
    EXPECT_THAT(message.media, ElementsAre("https://h/x"));
}

INSTANTIATE_TEST_SUITE_P(All, OnlyMedium,
                         testing::Values(Only{"photo", MediumKind::photo, Method::send_photo},
                                         Only{"video", MediumKind::video, Method::send_video},
                                         Only{"animation", MediumKind::animation, Method::send_animation},
                                         Only{"audio", MediumKind::audio, Method::send_audio},
                                         Only{"document", MediumKind::document, Method::send_document}),
                         [](const auto& row) { return row.param.name; });

TEST(Compose, SendsSeveralOtherMediaAsLinks) {
    const Message message =
        composed(completed({medium(MediumKind::video, "a.mp4"), medium(MediumKind::audio, "b.mp3")}));

    EXPECT_EQ(message.method, Method::send_message);
    EXPECT_EQ(message.text,
              "Finished in 12.3 s\n<a href=\"https://h/a.mp4\">a.mp4</a>\n<a href=\"https://h/b.mp3\">b.mp3</a>");
}

TEST(Compose, LinksFromTheCaptionWhatComesBesideAPicture) {
    const Message message = composed(completed({medium(MediumKind::video, "a.mp4"), photo(1)}));

    EXPECT_EQ(message.method, Method::send_photo);
    EXPECT_THAT(message.media, ElementsAre("https://h/1.png?a=1&b=2"));
    EXPECT_EQ(message.text, "Finished in 12.3 s\n<a href=\"https://h/a.mp4\">a.mp4</a>");
}

TEST(Compose, SaysTextOutputsAsText) {
    News news = completed();
    news.texts = {"a <cat>", "a dog"};

    const Message message = composed(news);

    EXPECT_EQ(message.method, Method::send_message);
    EXPECT_EQ(message.text, "Finished in 12.3 s\n\na &lt;cat&gt;\n\na dog");
}

TEST(Compose, FallsBackToLinksWhenMediaAreRefused) {
    const Message message = composed(completed(photos(1)), Form::links);

    EXPECT_EQ(message.method, Method::send_message);
    EXPECT_THAT(message.media, IsEmpty());
    EXPECT_EQ(message.text, "Finished in 12.3 s\n<a href=\"https://h/1.png?a=1&amp;b=2\">1.png</a>");
}

TEST(Compose, SaysThatThereIsNothingToShow) {
    EXPECT_EQ(composed(completed()).text, "Finished in 12.3 s, no outputs\nRun <code>run-1</code>");

    News useless = completed();
    useless.has_outputs = true;
    EXPECT_EQ(composed(useless).text,
              "Finished in 12.3 s, but its outputs can't be shown here\nRun <code>run-1</code>");
}

struct Bad {
    const char* name;
    EndStatus status;
    NewsKind kind;
    const char* reason;
    std::optional<double> duration_ms;
    const char* headline;
};

class BadEndings : public testing::TestWithParam<Bad> {};

TEST_P(BadEndings, SayWhatIsKnown) {
    News news = completed(photos(1));
    news.status = GetParam().status;
    news.kind = GetParam().kind;
    news.reason = GetParam().reason;
    news.duration_ms = GetParam().duration_ms;

    const Message message = composed(news);

    EXPECT_EQ(message.method, Method::send_message);
    EXPECT_EQ(message.text, fmt::format("{}\nRun <code>run-1</code>", GetParam().headline));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadEndings,
    testing::Values(
        Bad{"failed", EndStatus::failed, NewsKind::ending, "", std::nullopt, "Failed"},
        Bad{"with_error", EndStatus::failed, NewsKind::ending, "CUDA < 12", std::nullopt, "Failed: CUDA &lt; 12"},
        Bad{"with_place", EndStatus::failed, NewsKind::ending, "failed while Executing KSampler (71 %)", 2500.0,
            "Failed while Executing KSampler (71 %), after 2.5 s"},
        Bad{"timed_out", EndStatus::failed, NewsKind::ending, "timed out (3 %)", std::nullopt, "Timed out (3 %)"},
        Bad{"cancelled", EndStatus::cancelled, NewsKind::ending, "cancelled", std::nullopt, "Cancelled"},
        Bad{"correction", EndStatus::failed, NewsKind::correction, "CUDA", std::nullopt, "Correction: failed: CUDA"}),
    [](const auto& row) { return row.param.name; });

TEST(Compose, SaysWhatKindOfNewsItIs) {
    News news = completed(photos(1));
    news.kind = NewsKind::follow_up;
    EXPECT_EQ(composed(news).text, "Here are the outputs of a run that finished in 12.3 s");

    news.kind = NewsKind::correction;
    EXPECT_EQ(composed(news).text, "Correction: finished in 12.3 s");
}

TEST(Compose, SaysNothingWhereAFollowUpHasNothingToShow) {
    News news = completed();
    news.kind = NewsKind::follow_up;

    EXPECT_EQ(compose(news, Form::media, false), std::nullopt);
}

struct Duration {
    double milliseconds;
    const char* text;
};

class Durations : public testing::TestWithParam<Duration> {};

TEST_P(Durations, AreForPeople) {
    News news = completed(photos(1));
    news.duration_ms = GetParam().milliseconds;

    EXPECT_EQ(composed(news).text, fmt::format("Finished in {}", GetParam().text));
}

INSTANTIATE_TEST_SUITE_P(All, Durations,
                         testing::Values(Duration{0, "less than 0.1 s"}, Duration{49, "less than 0.1 s"},
                                         Duration{50, "0.1 s"}, Duration{12'345.678, "12.3 s"},
                                         Duration{59'949, "59.9 s"}, Duration{59'950, "1 min 0 s"},
                                         Duration{192'400, "3 min 12 s"}, Duration{3'599'600, "1 h 0 min"},
                                         Duration{3'780'000, "1 h 3 min"}));

TEST(Compose, LeavesAnUnknownDurationOut) {
    News news = completed(photos(1));
    news.duration_ms.reset();

    EXPECT_EQ(composed(news).text, "Finished");
}

TEST(Compose, MarksAPossibleDuplicateInEveryForm) {
    for (const auto& news : {completed(), completed(photos(1)), completed(photos(2)), completed(photos(20))}) {
        EXPECT_THAT(composed(news, Form::media, true).text, HasSubstr("Possibly a duplicate"));
        EXPECT_THAT(composed(news, Form::links, true).text, HasSubstr("Possibly a duplicate"));
        EXPECT_THAT(composed(news, Form::links, false).text, Not(HasSubstr("duplicate")));
    }
}

// Whatever the payload holds, Telegram must be able to take it.
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
    for (const int photo_count : {0, 1, 2, 10, 11, 100}) {
        for (const bool has_texts : {false, true}) {
            for (const bool may_be_duplicate : {false, true}) {
                for (const Form form : {Form::media, Form::links}) {
                    News news = completed({many.begin(), many.begin() + photo_count});
                    news.reason = odd;
                    news.media.push_back(medium(MediumKind::audio, "b.mp3"));
                    news.media_left_out = photo_count == 100 ? 7 : 0;
                    if (has_texts) {
                        news.texts = {odd, odd};
                    }
                    const Message message = composed(news, form, may_be_duplicate);
                    const std::size_t units = test::visible_utf16_units(message.text, "HTML");
                    const auto fields = test::fields_of_json(to_json(message, -100));

                    EXPECT_LE(units, message.has_media() ? caption_units_max : text_units_max);
                    EXPECT_TRUE(!has_texts || units > (message.has_media() ? 900U : 3900U))
                        << "room is wasted: " << units;
                    EXPECT_EQ(clean(message.text), message.text);
                    ASSERT_TRUE(fields.has_value());
                    EXPECT_EQ(test::fault_of(to_word(message.method), *fields), std::nullopt) << message.text;
                    EXPECT_EQ(message.text.ends_with("arrived.</i>"), may_be_duplicate);
                }
            }
        }
    }
}

TEST(Compose, CountsTheLinksThatDoNotFit) {
    News news = completed(photos(60));
    news.media_left_out = 2;

    EXPECT_THAT(composed(news).text, HasSubstr("\n… and 12 more"));
}

TEST(Compose, KeepsRoomForLinksBesideALongText) {
    News news = completed({medium(MediumKind::video, "a.mp4"), medium(MediumKind::audio, "b.mp3")});
    news.texts = {std::string(10'000, 'x')};

    const Message message = composed(news);

    EXPECT_THAT(message.text, HasSubstr("x…\n<a href"));
    EXPECT_THAT(message.text, HasSubstr(">b.mp3</a>"));
}

rapidjson::Document parsed(const std::string& json) {
    rapidjson::Document document;
    document.Parse(json.c_str());
    EXPECT_FALSE(document.HasParseError()) << json;
    return document;
}

TEST(ToJson, WritesWhatTheBotApiTakes) {
    const auto text = parsed(to_json(composed(completed()), 42));
    EXPECT_EQ(text["chat_id"].GetInt64(), 42);
    EXPECT_STREQ(text["text"].GetString(), "Finished in 12.3 s, no outputs\nRun <code>run-1</code>");
    EXPECT_STREQ(text["parse_mode"].GetString(), "HTML");

    const auto one = parsed(to_json(composed(completed(photos(1))), -100'123));
    EXPECT_EQ(one["chat_id"].GetInt64(), -100'123);
    EXPECT_STREQ(one["photo"].GetString(), "https://h/1.png?a=1&b=2");
    EXPECT_STREQ(one["caption"].GetString(), "Finished in 12.3 s");

    const auto album = parsed(to_json(composed(completed(photos(2))), 42));
    ASSERT_EQ(album["media"].Size(), 2U);
    EXPECT_STREQ(album["media"][0]["type"].GetString(), "photo");
    EXPECT_STREQ(album["media"][0]["caption"].GetString(), "Finished in 12.3 s");
    EXPECT_STREQ(album["media"][1]["media"].GetString(), "https://h/2.png?a=1&b=2");
    EXPECT_FALSE(album["media"][1].HasMember("caption"));
    EXPECT_FALSE(album.HasMember("caption"));
}

}  // namespace
}  // namespace runledger::telegram
