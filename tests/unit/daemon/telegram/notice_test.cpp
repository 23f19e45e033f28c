#include "daemon/telegram/notice.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "daemon/base/json.hpp"

namespace runledger::telegram {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string payload_with(std::string_view outputs, std::string_view status = "completed") {
    return fmt::format(R"({{"status": "{}", "status_reason": null, "duration_ms": 12300.000, "cost_usd": 0.004,)"
                       R"( "cost_note": null, "outputs": {}}})",
                       status, outputs);
}

SettlementNotice notice_of(std::string_view payload) {
    const auto notice = read_notice({.kind = NoticeKind::ending, .run_id = "run-1", .payload = payload});
    if (!notice) {
        ADD_FAILURE() << "can't be read: " << payload;
        return {};
    }
    return *notice;
}

// As settlement writes it: the outputs of a webhook body, as an array.
std::string payload_of_file(const std::string& name) {
    std::ifstream file(std::filesystem::path(RUNLEDGER_SOURCE_DIR) / "tests/data/payloads" / name);
    std::stringstream body;
    body << file.rdbuf();
    rapidjson::Document document;
    document.Parse(body.str().c_str());
    if (document.HasParseError() || !document.IsObject()) {
        ADD_FAILURE() << name << " can't be read";
        return "{}";
    }
    std::string outputs = "[]";
    if (document.HasMember("outputs")) {
        rapidjson::StringBuffer buffer;
        rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
        document["outputs"].Accept(writer);
        outputs = buffer.GetString();
        outputs = document["outputs"].IsObject() ? "[" + outputs + "]" : outputs;
    }
    return payload_with(outputs);
}

std::string shape_of(const SettlementNotice& notice) {
    std::string shape;
    for (const Medium& medium : notice.media) {
        shape += "pvagd"[static_cast<int>(medium.kind)];
    }
    return shape + std::string(notice.texts.size(), 't') + (notice.has_outputs ? "" : " none");
}

struct File {
    const char* name;
    const char* file;
    const char* shape;  // p photo, v video, a animation, g audio, d document, t text.
};

class PayloadFiles : public testing::TestWithParam<File> {};

TEST_P(PayloadFiles, AreUnderstood) {
    EXPECT_EQ(shape_of(notice_of(payload_of_file(GetParam().file))), GetParam().shape);
}

INSTANTIATE_TEST_SUITE_P(
    All, PayloadFiles,
    testing::Values(File{"one_image", "wire/08_success_one_image.json", "p"},
                    File{"ten_images", "wire/10_success_ten_images.json", "pppppppppp"},
                    File{"presigned", "wire/11_success_private_presigned.json", "p"},
                    File{"video_in_files", "wire/13_success_video_files.json", "v"},
                    File{"no_outputs", "wire/15_success_no_outputs.json", " none"},
                    File{"failed", "wire/16_failed.json", " none"},
                    File{"run_output", "wire/19_run_output_event.json", "p"},
                    File{"before_event_types", "wire/20_pre_2025_02_13_no_event_type.json", "p"},
                    File{"vendor_example", "published/sdk_speakeasy_webhook_body_example.json", " none"},
                    File{"medium_as_output", "published/stationthis_mock_2025_success.json", "p"},
                    File{"outputs_as_object", "published/stationthis_test_success.json", "p"},
                    File{"failed_without_outputs", "published/stationthis_test_failed.json", " none"}),
    [](const auto& row) { return row.param.name; });

struct Shape {
    const char* name;
    const char* outputs;
    const char* shape;
};

class OutputShapes : public testing::TestWithParam<Shape> {};

TEST_P(OutputShapes, AreReadAsFarAsTheyCanBe) {
    EXPECT_EQ(shape_of(notice_of(payload_with(GetParam().outputs))), GetParam().shape);
}

INSTANTIATE_TEST_SUITE_P(
    Odd, OutputShapes,
    testing::Values(
        Shape{"not_there", "null", " none"}, Shape{"a_string", "\"x\"", "t none"}, Shape{"a_number", "7", "t none"},
        Shape{"empty_object", "{}", " none"}, Shape{"nulls", "[null, true, false]", ""},
        Shape{"data_is_array_of_media", R"([{"id": "a", "data": [{"url": "https://h/x.png"}]}])", "p"},
        Shape{"data_is_array_of_maps", R"([{"data": [{"images": [{"url": "https://h/x.png"}]}]}])", "p"},
        Shape{"data_is_array_of_strings", R"([{"data": ["https://h/x.png", "words"]}])", "pt"},
        Shape{"data_is_string", R"([{"data": "words"}])", "t"}, Shape{"data_is_null", R"([{"data": null}])", ""},
        Shape{"element_is_the_map", R"([{"images": [{"url": "https://h/x.png"}]}])", "p"},
        Shape{"element_is_a_string", R"(["https://h/x.png"])", "p"},
        Shape{"media_are_strings", R"([{"data": {"images": ["https://h/x.png", "x.png"]}}])", "p"},
        Shape{"media_are_booleans", R"([{"data": {"images": [{"url": "https://h/x.png"}], "animated": [false]}}])",
              "p"},
        Shape{"medium_is_an_object", R"([{"data": {"images": {"url": "https://h/x.png"}}}])", "p"},
        Shape{"medium_without_url", R"([{"data": {"images": [{"filename": "x.png", "type": "output"}]}}])", ""},
        Shape{"url_is_a_number", R"([{"data": {"images": [{"url": 5}]}}])", ""},
        Shape{"text", R"([{"data": {"text": ["one", "two"]}}])", "tt"},
        Shape{"text_is_a_string", R"([{"data": {"text": "one"}}])", "t"},
        Shape{"text_is_a_url", R"([{"data": {"text": ["https://h/x.png"]}}])", "t"},
        Shape{"text_is_blank", R"([{"data": {"text": [" \n ", ""]}}])", ""},
        Shape{"text_is_nested", R"([{"data": {"text": [["one"], ["two"]]}}])", "tt"},
        Shape{"text_beside_image", R"([{"data": {"images": [{"url": "https://h/x.png"}], "text": ["one"]}}])", "pt"},
        Shape{"ids_are_no_text", R"([{"id": "a", "run_id": "b", "node_meta": {"node_id": "9"}, "created_at": "c"}])",
              ""},
        Shape{"deeply_nested", R"([[[[[[[[[[[[["words"]]]]]]]]]]]]])", ""},
        Shape{"exponent_beyond_double", R"([{"data": {"images": [{"url": "https://h/x.png", "seed": 1e999999}]}}])",
              "p"}),
    [](const auto& row) { return row.param.name; });

struct Kind {
    const char* name;
    const char* key;
    const char* file;
    const char* url;
    MediumKind kind;
};

class MediumKinds : public testing::TestWithParam<Kind> {};

TEST_P(MediumKinds, AreToldByTheFileFirst) {
    const Kind& row = GetParam();
    const SettlementNotice notice = notice_of(payload_with(
        fmt::format(R"([{{"data": {{"{}": [{{"filename": "{}", "url": "{}"}}]}}}}])", row.key, row.file, row.url)));

    ASSERT_EQ(notice.media.size(), 1U);
    EXPECT_EQ(notice.media.front().kind, row.kind);
}

INSTANTIATE_TEST_SUITE_P(
    All, MediumKinds,
    testing::Values(Kind{"png", "images", "a.png", "https://h/1", MediumKind::photo},
                    Kind{"upper_case", "images", "a.JPG", "https://h/1", MediumKind::photo},
                    Kind{"gif_in_images", "images", "a.gif", "https://h/1", MediumKind::animation},
                    Kind{"film_in_gifs", "gifs", "a.mp4", "https://h/1", MediumKind::video},
                    Kind{"gif_in_gifs", "gifs", "a.gif", "https://h/1", MediumKind::animation},
                    Kind{"nameless_in_gifs", "gifs", "", "https://h/1", MediumKind::animation},
                    Kind{"film_in_files", "files", "a.mp4", "https://h/1", MediumKind::video},
                    Kind{"sound_in_files", "files", "a.flac", "https://h/1", MediumKind::audio},
                    Kind{"sound_by_key", "audio", "a", "https://h/1", MediumKind::audio},
                    Kind{"mesh", "files", "a.glb", "https://h/1", MediumKind::document},
                    Kind{"unknown", "files", "a.xyz", "https://h/1", MediumKind::document},
                    Kind{"unknown_key", "whatever", "a", "https://h/1", MediumKind::document},
                    Kind{"layered_image", "images", "a.exr", "https://h/1", MediumKind::document},
                    Kind{"by_url", "files", "", "https://h/a/b.webm?X-Amz-Date=1.png", MediumKind::document},
                    Kind{"name_before_url", "files", "a.mp3", "https://h/b.png", MediumKind::audio},
                    Kind{"image_without_extension", "images", "picture", "https://h/1", MediumKind::photo}),
    [](const auto& row) { return row.param.name; });

struct Url {
    const char* name;
    std::string url;
    bool is_plain;
};

class Urls : public testing::TestWithParam<Url> {};

TEST_P(Urls, ArePlainOrNothing) { EXPECT_EQ(is_plain_url(GetParam().url), GetParam().is_plain); }

INSTANTIATE_TEST_SUITE_P(
    All, Urls,
    testing::Values(Url{"https", "https://host/x", true}, Url{"http", "http://host/x", true},
                    Url{"upper_case", "HTTPS://host/x", true}, Url{"port", "https://host:8443/x", true},
                    Url{"only_host", "https://host", true}, Url{"query", "https://host?a=b", true},
                    Url{"address", "http://[::1]/x", true}, Url{"path_with_at", "https://host/@x", true},
                    Url{"foreign_letters", "https://host/画像.png", true}, Url{"nothing", "", false},
                    Url{"no_host", "https://", false}, Url{"no_host_but_path", "https:///x", false},
                    Url{"only_port", "https://:80/", false}, Url{"javascript", "javascript:alert(1)", false},
                    Url{"file", "file:///etc/passwd", false}, Url{"attach", "attach://x", false},
                    Url{"telegram", "tg://user?id=1", false}, Url{"scheme_relative", "//host/x", false},
                    Url{"user", "https://bank@host/x", false}, Url{"blank", "https://host/a b", false},
                    Url{"line_end", "https://host/a\nb", false}, Url{"quote", "https://host/\"", false},
                    Url{"tag", "https://host/<b>", false}, Url{"backslash", "https://host\\@x", false},
                    Url{"longest", "https://host/" + std::string(url_bytes_max - 13, 'x'), true},
                    Url{"too_long", "https://host/" + std::string(url_bytes_max - 12, 'x'), false}),
    [](const auto& row) { return row.param.name; });

TEST(SettlementNotice, EncodesOrCountsLinksThatArentPlain) {
    struct Row {
        const char* name;
        std::string url;   // As in JSON.
        std::string used;  // Empty: counted.
    };
    for (const Row& row :
         {Row{"blank", "https://h/My portrait.png", "https://h/My%20portrait.png"},
          Row{"backslash", R"(https://h/a\\b.png?x=\\)", "https://h/a%5Cb.png?x=%5C"},
          Row{"quote", R"(https://h/a\"b.png)", "https://h/a%22b.png"},
          Row{"encoded", "https://h/a%20b.png", "https://h/a%20b.png"},
          Row{"too_long", "https://h/" + std::string(url_bytes_max, 'x'), ""},
          Row{"too_long_encoded", "https://h/" + std::string(1000, ' '), ""},
          Row{"blank_in_host", "https://h h/a.png", ""}, Row{"backslash_in_host", R"(https://h\\x/a.png)", ""},
          Row{"user", "https://bank@h/a.png", ""}}) {
        for (const std::string& element :
             {fmt::format(R"({{"url": "{}"}})", row.url), fmt::format(R"("{}")", row.url)}) {
            SCOPED_TRACE(row.name);

            const SettlementNotice notice = notice_of(
                payload_with(fmt::format(R"([{{"data": {{"images": ["https://h/good.png", {}]}}}}])", element)));

            ASSERT_EQ(notice.media.size(), row.used.empty() ? 1U : 2U);
            EXPECT_EQ(notice.media.back().url, row.used.empty() ? "https://h/good.png" : row.used);
            EXPECT_EQ(notice.links_unusable, row.used.empty() ? 1U : 0U);
        }
    }
}

TEST(SettlementNotice, TellsStatusReasonAndDuration) {
    const SettlementNotice notice = notice_of(
        R"({"status": "failed", "status_reason": "CUDA out\nof memory", "duration_ms": 61250.125, "outputs": []})");

    EXPECT_EQ(notice.status, EndStatus::failed);
    EXPECT_EQ(notice.reason, "CUDA out of memory");
    EXPECT_EQ(notice.duration_ms, 61250.125);
    EXPECT_EQ(notice.run_id, "run-1");
}

TEST(SettlementNotice, LeavesUnknownWhatIsNull) {
    const SettlementNotice notice = notice_of(R"({"status": "completed", "status_reason": null, "duration_ms": null})");

    EXPECT_EQ(notice.duration_ms, std::nullopt);
    EXPECT_EQ(notice.reason, "");
    EXPECT_THAT(notice.media, IsEmpty());
}

TEST(SettlementNotice, CantBeMadeOfWhatTellsNoEnding) {
    for (const std::string_view payload : {"", "[]", "7", "{", "{}", R"({"status": null})", R"({"status": "running"})",
                                           R"({"status": ["completed"]})"}) {
        EXPECT_EQ(read_notice({.kind = NoticeKind::ending, .run_id = "run-1", .payload = payload}), std::nullopt)
            << payload;
    }
}

TEST(SettlementNotice, KeepsABoundedNumberOfMediaAndCountsTheRest) {
    std::string media;
    for (std::size_t i = 0; i < media_kept_max + 5; ++i) {
        media += fmt::format(R"({}{{"url": "https://h/{}.png"}})", i == 0 ? "" : ", ", i);
    }

    const SettlementNotice notice = notice_of(payload_with(fmt::format(R"([{{"data": {{"images": [{}]}}}}])", media)));

    EXPECT_EQ(notice.media.size(), media_kept_max);
    EXPECT_EQ(notice.media_left_out, 5U);
}

TEST(SettlementNotice, KeepsABoundedPartOfALongText) {
    const SettlementNotice notice =
        notice_of(payload_with(fmt::format(R"([{{"data": {{"text": ["{}"]}}}}])", std::string(1'000'000, 'x'))));

    ASSERT_EQ(notice.texts.size(), 1U);
    EXPECT_EQ(notice.texts.front().size(), text_kept_bytes_max);
}

TEST(SettlementNotice, IsReadThoughANumberIsBeyondADouble) {
    const SettlementNotice notice = notice_of(payload_with(fmt::format(
        R"([{{"seed": {0}, "data": {{"text": ["a \" {0}"], "x": [-{0}, {0}.5]}}}}])", std::string(400, '9'))));

    ASSERT_EQ(notice.texts.size(), 1U);
    EXPECT_EQ(notice.texts.front(), "a \" " + std::string(400, '9'));
    EXPECT_EQ(notice.duration_ms, 12'300.0);
}

TEST(SettlementNotice, NamesEveryMedium) {
    const SettlementNotice notice = notice_of(payload_with(
        R"([{"data": {"files": [{"filename": "a\nb.png", "url": "https://h/1"}, {"url": "https://h/dir/c.png?q=/d"},)"
        R"( {"url": "https://h/"}, {"url": "https://h"}]}}])"));

    std::vector<std::string> names;
    for (const Medium& medium : notice.media) {
        names.push_back(medium.name);
    }
    EXPECT_THAT(names, ElementsAre("a b.png", "c.png", "output 3", "output 4"));
}

TEST(MaskQuery, HidesAPresignedKey) {
    EXPECT_EQ(mask_query("https://h/x.png?X-Amz-Signature=0"), "https://h/x.png?…");
    EXPECT_EQ(mask_query("https://h/x.png#f"), "https://h/x.png?…");
    EXPECT_EQ(mask_query("https://h/x.png"), "https://h/x.png");
}

}  // namespace
}  // namespace runledger::telegram
