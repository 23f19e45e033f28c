#include "tests/stand_ins/comfy_output.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "tests/stand_ins/comfy_json.hpp"

namespace runledger::test {
namespace {

struct Oddity {
    std::string json;  // A value that goes into a medium's object.
    bool storable;
};

// What PostgreSQL 15's jsonb takes of what Python can write.
Oddity make_oddity(Dice& dice) {
    switch (dice.below(6)) {
        case 0:
            return {.json = "NaN", .storable = false};
        case 1:
            return {.json = "-Infinity", .storable = false};
        case 2:
            return {.json = R"("a\u0000b")", .storable = false};
        case 3:
            return {.json = R"("cut \ud83d")", .storable = false};
        case 4:
            return {.json = "1e200000", .storable = false};
        default:
            return {.json = std::string(400, '7'), .storable = true};
    }
}

class OutputMaker {
public:
    OutputMaker(Dice& dice, const std::string& run_id, const OutputOptions& options)
        : dice_(dice), run_id_(run_id), options_(options) {}

    PlannedOutput media(MediaKind kind, int count) {
        PlannedOutput output{.kind = kind};
        std::vector<std::string> objects;
        const std::string_view extension = kind == MediaKind::video ? "mp4" : "png";
        for (int i = 0; i < count; ++i) {
            const std::string name = fmt::format("ComfyUI_{:05}_.{}", ++files_, extension);
            const std::string url = fmt::format("{}/{}/{}", options_.picture_url, run_id_, name);
            std::vector<std::pair<std::string, std::string>> members{
                {"filename", python_string(name)},
                {"subfolder", python_string(kind == MediaKind::video ? "video" : "")},
                {"type", python_string("output")},
                {"url", python_string(url)},
                {"upload_duration", python_float(0.4137294180108234)},
                {"is_public", "true"}};
            if (dice_.chance(options_.odd)) {
                const Oddity oddity = make_oddity(dice_);
                output.storable = output.storable && oddity.storable;
                members.emplace_back("odd", oddity.json);
            }
            output.urls.push_back(url);
            objects.push_back(python_object(members));
        }
        finish(output, kind == MediaKind::video ? "files" : "images", python_array(objects));
        return output;
    }

    PlannedOutput text() {
        PlannedOutput output{.kind = MediaKind::text};
        std::string words = "“A lighthouse” <in> fog & rain 😀 ";
        while (words.size() < options_.text_bytes) {
            words += words;
        }
        std::string json = python_string(words);
        if (dice_.chance(options_.odd)) {
            json.insert(json.size() - 1, "\\ud83d");
            output.storable = false;
        }
        finish(output, "text", python_array({json}));
        return output;
    }

private:
    Dice& dice_;
    const std::string& run_id_;
    const OutputOptions& options_;
    int files_{0};

    void finish(PlannedOutput& output, const std::string& key, const std::string& media_json) {
        output.id = dice_.uuid();
        // Seconds' fraction present or not: both occur.
        const std::string time = dice_.chance(0.8) ? "2025-08-29T02:35:38.214Z" : "2025-08-29T02:35:38Z";
        output.json = python_object(
            {{"id", python_string(output.id)},
             {"run_id", python_string(run_id_)},
             {"data", python_object({{key, media_json}})},
             {"node_meta", dice_.chance(0.9) ? python_object({{"node_id", python_string("9")}}) : std::string{"null"}},
             {"created_at", python_string(time)},
             {"updated_at", python_string(time)}});
    }
};

}  // namespace

std::vector<PlannedOutput> make_outputs(Dice& dice, const std::string& run_id, const OutputOptions& options) {
    OutputMaker maker(dice, run_id, options);
    const std::size_t kind = dice.below(100);
    if (kind < 60) {
        return {maker.media(MediaKind::image, 1)};
    }
    if (kind < 72) {  // One node that saves several.
        return {maker.media(MediaKind::image, dice.between(2, 10))};
    }
    if (kind < 80) {  // Several nodes.
        return {maker.media(MediaKind::image, 1), maker.media(MediaKind::image, dice.between(1, 3))};
    }
    if (kind < 88) {
        return {maker.media(MediaKind::video, 1)};
    }
    if (kind < 95) {
        return {maker.text()};
    }
    return {};
}

}  // namespace runledger::test
