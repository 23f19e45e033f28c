#include "tests/bench/load/run_bodies.hpp"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <string_view>

namespace runledger::bench {
namespace {

struct Step {
    std::string_view status;
    std::string_view live_status;  // As JSON.
    std::string_view progress;
};

constexpr std::array<Step, 8> steps{{
    {"queued", "null", "0.0"},
    {"started", "null", "0.0"},
    {"running", "null", "0.0"},
    {"running", R"("Executing CheckpointLoaderSimple")", "0.14"},
    {"running", R"("Executing KSampler")", "0.71"},
    {"running", R"("Executing SaveImage")", "1.0"},
    {"uploading", R"("Executing SaveImage")", "1.0"},
    {"success", R"("Executing SaveImage")", "1.0"},
}};

// SplitMix64's mixing function: any two numbers give unrelated results.
std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31U);
}

// The least that all of a body with an image fits into.
constexpr std::size_t body_with_image_bytes = 700;

constexpr std::string_view image =
    R"({"url": "https://comfy-deploy-output.s3.us-east-2.amazonaws.com/outputs/runs/0b7f9a52/ComfyUI_00001_.png", )"
    R"("type": "output", "filename": "ComfyUI_00001_.png", "subfolder": ""})";

}  // namespace

std::string run_id_of(std::uint64_t seed, std::uint64_t number) {
    const std::uint64_t high = mix(mix(seed) + number);
    const std::uint64_t low = mix(high ^ seed);
    return fmt::format("{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}", high >> 32U, (high >> 16U) & 0xffffU, high & 0xfffU,
                       low >> 52U, low & 0xffffffffffffU);
}

RunBodies::RunBodies(const BodyOptions& options) : options_(options), in_flight_(options.runs_in_flight) {
    while (images_.size() < options.body_bytes) {
        images_ += images_.empty() ? "" : ", ";
        images_ += image;
    }
}

void RunBodies::append_next(std::string& out) {
    Run& run = in_flight_[mix(options_.seed ^ ++draws_) % in_flight_.size()];
    if (run.id.empty()) {
        run.id = run_id_of(options_.seed, next_run_++);
    }
    const Step& step = steps[run.step];
    const std::size_t begin = out.size();
    fmt::format_to(
        std::back_inserter(out),
        R"({{"event_type": "run.updated", "status": "{}", "live_status": {}, "progress": {}, "run_id": "{}", "outputs": [)",
        step.status, step.live_status, step.progress, run.id);
    const bool is_last = ++run.step == steps.size();
    if (options_.body_bytes == 0 ? is_last : options_.body_bytes >= body_with_image_bytes) {
        fmt::format_to(std::back_inserter(out),
                       R"({{"id": "{0}-1", "run_id": "{0}", "data": {{"images": [{1}]}}, )"
                       R"("node_meta": {{"node_id": "9", "node_class": "SaveImage"}}, )"
                       R"("created_at": "2025-08-29T02:35:38.214Z", "updated_at": "2025-08-29T02:35:38.214Z", )"
                       R"("type": "output", "node_id": "9"}})",
                       run.id, image);
    }
    out += "]}";
    fill_up(out, begin);
    if (is_last) {
        run = {};
    }
}

void RunBodies::fill_up(std::string& out, std::size_t begin) const {
    const std::size_t bytes = out.size() - begin;
    if (options_.body_bytes <= bytes) {
        return;
    }
    const std::size_t missing = options_.body_bytes - bytes;
    const std::size_t images_at = out.find(R"("images": [)", begin);
    constexpr std::string_view key = R"("images": [)";
    constexpr std::size_t separator_bytes = 2;
    if (images_at == std::string::npos) {
        constexpr std::string_view empty_outputs = R"(, "outputs")";
        constexpr std::string_view note_begin = R"(, "note": ")";
        if (missing > note_begin.size()) {
            const std::size_t at = out.find(empty_outputs, begin);
            out.insert(at, fmt::format("{}{}\"", note_begin, std::string(missing - note_begin.size() - 1, '.')));
        }
        return;
    }
    // Whole images, and spaces for what is left.
    const std::size_t each = image.size() + separator_bytes;
    const std::size_t whole = missing / each * each;
    out.insert(images_at + key.size(), whole == 0 ? "" : images_.substr(0, whole - separator_bytes) + ", ");
    out.append(missing - whole, ' ');
}

}  // namespace runledger::bench
