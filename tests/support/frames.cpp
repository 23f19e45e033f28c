#include "tests/support/frames.hpp"

#include <charconv>
#include <stdexcept>
#include <system_error>

namespace runledger::test {
namespace {

constexpr std::string_view run_prefix = "run-";

}  // namespace

std::string body_of(std::uint64_t number, std::size_t bytes) {
    std::string body =
        R"({"run_id":"run-)" + std::to_string(number) + R"(","status":"running","event_type":"run.updated")";
    constexpr std::string_view padding = R"(,"padding":"")";
    if (body.size() + padding.size() + 1 < bytes) {
        body += R"(,"padding":")" + std::string(bytes - body.size() - padding.size() - 1, 'x') + '"';
    }
    return body + '}';
}

std::uint64_t number_of(std::string_view body) {
    const std::size_t at = body.find(run_prefix);
    if (at == std::string_view::npos) {
        throw std::runtime_error("a body that no test made: " + std::string(body.substr(0, 60)));
    }
    std::uint64_t number = 0;
    const char* digits = body.data() + at + run_prefix.size();
    if (std::from_chars(digits, body.data() + body.size(), number).ec != std::errc{}) {
        throw std::runtime_error("a body without a number");
    }
    return number;
}

wire::BatchEncoder make_encoder() {
    BootId boot;
    boot.bytes.fill(0xB0);
    return wire::BatchEncoder({.boot = boot, .edge_name = "edge-1"});
}

void add_event(wire::BatchEncoder& encoder, std::uint64_t number, std::size_t body_bytes) {
    const std::string body = body_of(number, body_bytes);
    const Stamp stamp{.received_at = WallTime{std::chrono::microseconds{1'700'000'000'123'456}},
                      .boottime = BootTime{std::chrono::microseconds{987'654'321}}};
    encoder.add({.stamp = stamp, .flags = 0, .body = body});
}

std::vector<std::byte> make_frame(const BatchName& name, const std::vector<std::uint64_t>& numbers,
                                  std::size_t body_bytes) {
    auto encoder = make_encoder();
    for (const std::uint64_t number : numbers) {
        add_event(encoder, number, body_bytes);
    }
    return encoder.finish(name);
}

SegmentId segment_id(std::uint8_t fill) {
    SegmentId id;
    id.bytes.fill(fill);
    return id;
}

}  // namespace runledger::test
