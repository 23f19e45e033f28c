#include "common/refused_format.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/wire.hpp"

namespace runledger {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The example of docs/refused-format.md.
constexpr std::string_view example =
    "runledger-refused 1\n"
    "checksum aac9bae3afd28122\n"
    "received_at 1700000000123456\n"
    "boottime 987654321\n"
    "boot b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0\n"
    "flags 1\n"
    "reason token\n"
    "token 4c2e9e6da31a64c7\n"
    "location /api/webhook/comfydeploy\n"
    "address 203.0.113.9\n"
    "edge edge-1\n"
    "content_type application/json\n"
    "user_agent Python/3.11 aiohttp/3.9.5\n"
    "body_bytes 64\n"
    "\n"
    R"({"run_id":"run-7","status":"running","event_type":"run.updated"})";

RefusedBody example_body() {
    RefusedBody refused;
    refused.stamp = {.received_at = WallTime{std::chrono::microseconds{1'700'000'000'123'456}},
                     .boottime = BootTime{std::chrono::microseconds{987'654'321}}};
    refused.boot = *BootId::parse("b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0");
    refused.flags = wire::redelivered;
    refused.reason = RefusedFor::token;
    refused.token_digest = "4c2e9e6da31a64c7";
    refused.location = "/api/webhook/comfydeploy";
    refused.address = "203.0.113.9";
    refused.edge_name = "edge-1";
    refused.content_type = "application/json";
    refused.user_agent = "Python/3.11 aiohttp/3.9.5";
    refused.body = R"({"run_id":"run-7","status":"running","event_type":"run.updated"})";
    return refused;
}

void expect_same(const RefusedBody& one, const RefusedBody& other) {
    EXPECT_EQ(one.stamp, other.stamp);
    EXPECT_EQ(one.boot, other.boot);
    EXPECT_EQ(one.flags, other.flags);
    EXPECT_EQ(one.reason, other.reason);
    EXPECT_EQ(one.fault, other.fault);
    EXPECT_EQ(one.token_digest, other.token_digest);
    EXPECT_EQ(one.token_name, other.token_name);
    EXPECT_EQ(one.location, other.location);
    EXPECT_EQ(one.address, other.address);
    EXPECT_EQ(one.edge_name, other.edge_name);
    EXPECT_EQ(one.content_type, other.content_type);
    EXPECT_EQ(one.user_agent, other.user_agent);
    EXPECT_EQ(one.body, other.body);
}

TEST(RefusedFormat, IsWrittenAndReadAsTheDocumentSays) {
    EXPECT_EQ(encode_refused(example_body()), example);

    const auto decoded = decode_refused(example);

    ASSERT_TRUE(std::holds_alternative<RefusedBody>(decoded));
    expect_same(std::get<RefusedBody>(decoded), example_body());
}

TEST(RefusedFormat, KeepsAnyBodyByteForByte) {
    for (const std::string& body : {std::string{}, std::string("\n\n\0x", 4), std::string(body_bytes_max, '\xff')}) {
        RefusedBody refused = example_body();
        refused.body = body;

        const auto decoded = decode_refused(encode_refused(refused));

        ASSERT_TRUE(std::holds_alternative<RefusedBody>(decoded)) << body.size();
        EXPECT_EQ(std::get<RefusedBody>(decoded).body, body);
    }
}

TEST(RefusedFormat, LetsNoTextOfAClientsBecomeALine) {
    RefusedBody refused = example_body();
    refused.user_agent = "a\nreason json\r\n\nbody" + std::string(10'000, 'x');

    const std::string file = encode_refused(refused);
    const auto decoded = decode_refused(file);

    ASSERT_TRUE(std::holds_alternative<RefusedBody>(decoded));
    const auto& read = std::get<RefusedBody>(decoded);
    EXPECT_EQ(read.reason, RefusedFor::token);
    EXPECT_EQ(read.user_agent.substr(0, 24), "a_reason json___bodyxxxx");
    EXPECT_EQ(read.user_agent.size(), refused_text_bytes_max);
    EXPECT_EQ(read.body, refused.body);
    EXPECT_LE(file.size(), refused_header_bytes_max + refused.body.size());
}

TEST(RefusedFormat, IsShortEnoughWithTheLongestTexts) {
    RefusedBody refused = example_body();
    for (std::string* text : {&refused.fault, &refused.token_digest, &refused.token_name, &refused.location,
                              &refused.address, &refused.edge_name, &refused.content_type, &refused.user_agent}) {
        text->assign(100'000, 'x');
    }

    EXPECT_LE(encode_refused(refused).size(), refused_header_bytes_max + refused.body.size());
}

TEST(RefusedFormat, NoticesEveryChangedByteAndEveryCut) {
    for (std::size_t at = 0; at < example.size(); ++at) {
        std::string changed(example);
        changed[at] = static_cast<char>(changed[at] ^ 0x04);
        EXPECT_TRUE(std::holds_alternative<RefusedFault>(decode_refused(changed))) << at;
        EXPECT_TRUE(std::holds_alternative<RefusedFault>(decode_refused(example.substr(0, at)))) << at;
    }
}

TEST(RefusedFormat, LeavesALaterVersionAlone) {
    std::string later(example);
    later.replace(later.find('1'), 1, "2");

    const auto decoded = decode_refused(later);

    ASSERT_TRUE(std::holds_alternative<RefusedFault>(decoded));
    EXPECT_EQ(std::get<RefusedFault>(decoded), RefusedFault::unknown_version);
    EXPECT_EQ(std::get<RefusedFault>(decode_refused("something else")), RefusedFault::damaged);
}

TEST(RefusedName, SortsByTheTimeOfReceipt) {
    const auto name_at = [](std::int64_t microseconds) {
        return refused_file_name({.received_at = WallTime{std::chrono::microseconds{microseconds}},
                                  .sender = 0x0a1b2c3d,
                                  .random = 0x0011223344556677});
    };

    EXPECT_EQ(name_at(1'700'000'000'123'456), "1700000000123456-0a1b2c3d-0011223344556677.refused");
    EXPECT_LT(name_at(9), name_at(10));
    EXPECT_LT(name_at(999'999'999'999'999), name_at(1'700'000'000'123'456));
    EXPECT_EQ(name_at(-5), name_at(0)) << "a clock before 1970";
}

TEST(RefusedName, IsReadAsItIsWrittenAndNotOtherwise) {
    const RefusedName name{.received_at = WallTime{std::chrono::microseconds{1'700'000'000'123'456}},
                           .sender = 0xffffffff,
                           .random = 0xffffffffffffffff};

    EXPECT_EQ(parse_refused_file_name(refused_file_name(name)), name);
    for (const std::string_view other :
         {"", ".refused", "identity", "1700000000123456-0a1b2c3d-0011223344556677",
          "1700000000123456-0A1b2c3d-0011223344556677.refused", "1700000000123456_0a1b2c3d-0011223344556677.refused",
          "170000000012345x-0a1b2c3d-0011223344556677.refused", "-700000000123456-0a1b2c3d-0011223344556677.refused",
          ".1700000000123456-0a1b2c3d-0011223344556677.refused.half"}) {
        EXPECT_EQ(parse_refused_file_name(other), std::nullopt) << other;
    }
}

}  // namespace
}  // namespace runledger
