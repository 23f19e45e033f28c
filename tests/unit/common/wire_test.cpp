#include "common/wire.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "common/limits.hpp"

namespace runledger::wire {
namespace {

SegmentId segment() { return SegmentId::parse("00112233445566778899aabbccddeeff").value(); }
BootId boot() { return BootId::parse("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf").value(); }

Event event(std::string_view body, std::uint32_t flags = 0) {
    return {.stamp = {.received_at = WallTime{std::chrono::microseconds{1'756'434'938'214'000}},
                      .boottime = BootTime{std::chrono::microseconds{123'456'789}}},
            .flags = flags,
            .body = body};
}

std::vector<std::byte> two_events() {
    BatchEncoder encoder({.boot = boot(), .edge_name = "edge-1"});
    encoder.add(event(R"({"run_id":"r","status":"queued"})"));
    encoder.add(event("{}", redelivered));
    return encoder.finish({segment(), 7});
}

std::string hex(std::span<const std::byte> bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text.push_back(digits[static_cast<unsigned>(byte) >> 4U]);
        text.push_back(digits[static_cast<unsigned>(byte) & 0x0FU]);
    }
    return text;
}

Damage damage_of(std::span<const std::byte> frame) {
    const auto decoded = decode_batch(frame);
    const auto* damage = std::get_if<Damage>(&decoded);
    return damage == nullptr ? Damage::none : *damage;
}

// Pinned: other builds read these bytes. Made by a script with struct.pack and xxhsum, not by this code. A change here
// is a new wire version.
TEST(Wire, WritesTheGoldenBatch) {
    EXPECT_EQ(hex(two_events()),
              "524c574d01010000"                  // magic, version, kind
              "611292c5a965334554df500a5177e24e"  // digest
              "00112233445566778899aabbccddeeff"  // segment
              "0700000000000000"                  // batch number
              "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"  // boot
              "0200000006000000"                  // events, length of the edge's name
              "656467652d31"
              "703690e0773d0600"
              "15cd5b0700000000"
              "00000000"
              "20000000"
              "7b2272756e5f6964223a2272222c22737461747573223a22717565756564227d"
              "703690e0773d0600"
              "15cd5b0700000000"
              "01000000"
              "02000000"
              "7b7d");
}

TEST(Wire, WritesTheGoldenRetirementAndAnswers) {
    EXPECT_EQ(hex(encode(Retire{.segment = segment(), .batch_count = 8})),
              "524c574d01020000"
              "00112233445566778899aabbccddeeff"
              "0800000000000000");
    EXPECT_EQ(hex(encode(Answer{.verdict = Verdict::committed, .reason = Damage::none, .batch = {segment(), 7}})),
              "524c574d01030000"
              "00112233445566778899aabbccddeeff"
              "0700000000000000"
              "01000000");
    EXPECT_EQ(
        hex(encode(Answer{.verdict = Verdict::refused, .reason = Damage::digest_differs, .batch = {segment(), 7}})),
        "524c574d01030000"
        "00112233445566778899aabbccddeeff"
        "0700000000000000"
        "03050000");
}

TEST(Wire, ReadsBackABatch) {
    const auto frame = two_events();

    const auto decoded = decode_request(frame);

    const auto& batch = std::get<Batch>(decoded);
    EXPECT_EQ(batch.name, (BatchName{segment(), 7}));
    EXPECT_EQ(batch.boot, boot());
    EXPECT_EQ(batch.edge_name, "edge-1");
    ASSERT_EQ(batch.events.size(), 2U);
    EXPECT_EQ(batch.events[0].body, R"({"run_id":"r","status":"queued"})");
    EXPECT_EQ(batch.events[0].stamp, event("").stamp);
    EXPECT_EQ(batch.events[1].flags, redelivered);
    const auto header = decode_batch_header(frame);
    EXPECT_EQ(std::get<BatchHeader>(header).digest, batch.digest);
    EXPECT_EQ(std::get<BatchHeader>(header).event_count, 2U);
}

// Empty views have no pointer: memcpy may not be given one, which the sanitizers' build sees.
TEST(Wire, ReadsBackAnEmptyNameAndAnEmptyBody) {
    BatchEncoder encoder({.boot = boot(), .edge_name = {}});
    encoder.add(event({}));
    const auto frame = encoder.finish({segment(), 7});

    const auto decoded = decode_batch(frame);

    const auto& batch = std::get<Batch>(decoded);
    EXPECT_EQ(batch.edge_name, "");
    ASSERT_EQ(batch.events.size(), 1U);
    EXPECT_EQ(batch.events[0].body, "");
}

TEST(Wire, NamesASealedBatchAnewWithoutLosingItsEvents) {
    BatchEncoder encoder({.boot = boot(), .edge_name = "edge-1"});
    encoder.add(event("{}"));
    const auto first = encoder.seal({segment(), 0});
    const std::vector<std::byte> copy(first.begin(), first.end());

    const auto second = encoder.finish({SegmentId{}, 3});

    EXPECT_EQ(std::get<Batch>(decode_batch(copy)).events.size(), 1U);
    EXPECT_EQ(std::get<Batch>(decode_batch(second)).name, (BatchName{SegmentId{}, 3}));
    EXPECT_EQ(encoder.event_count(), 0U);
}

TEST(Wire, ReadsBackRetirementsAndAnswers) {
    const auto retire = decode_request(encode(Retire{.segment = segment(), .batch_count = 8}));
    const auto answer = decode_answer(encode(Answer{Verdict::busy, Damage::none, {segment(), 9}}));

    EXPECT_EQ(std::get<Retire>(retire).batch_count, 8U);
    EXPECT_EQ(std::get<Answer>(answer).verdict, Verdict::busy);
    EXPECT_EQ(std::get<Answer>(answer).batch, (BatchName{segment(), 9}));
}

TEST(Wire, FindsEveryChangedByteOfABatch) {
    const auto whole = two_events();

    for (std::size_t i = 0; i < whole.size(); ++i) {
        auto frame = whole;
        frame[i] ^= std::byte{0x10};
        const bool reserved = i == 6 || i == 7;  // Kept and ignored, for later versions.
        EXPECT_EQ(damage_of(frame) == Damage::none, reserved) << "byte " << i;
    }
}

TEST(Wire, FindsEveryShorterOrLongerBatch) {
    const auto whole = two_events();

    for (std::size_t length = 0; length < whole.size(); ++length) {
        EXPECT_NE(damage_of(std::span(whole).first(length)), Damage::none) << length;
    }
    auto longer = whole;
    longer.push_back(std::byte{0});
    EXPECT_NE(damage_of(longer), Damage::none);
}

// A digest says that the bytes are what was written, not that they make sense.
TEST(Wire, RefusesLengthsThatPointPastTheEnd) {
    const auto resealed = [](std::vector<std::byte> frame) {
        const auto digest = digest128(std::span(frame).subspan(24));
        std::memcpy(frame.data() + 8, digest.data(), digest.size());
        return frame;
    };
    auto many_events = two_events();
    many_events[64] = std::byte{3};
    auto no_events = two_events();
    no_events[64] = std::byte{0};
    auto absurd_count = two_events();
    absurd_count[67] = std::byte{0x7F};
    auto long_name = two_events();
    long_name[68] = std::byte{0xFF};
    auto long_body = two_events();
    long_body[72 + 6 + 20] = std::byte{0xFF};
    auto huge_body = two_events();
    huge_body[72 + 6 + 23] = std::byte{0x7F};
    auto one_byte_more = two_events();
    one_byte_more.push_back(std::byte{0});

    EXPECT_EQ(damage_of(resealed(many_events)), Damage::truncated);
    EXPECT_EQ(damage_of(resealed(no_events)), Damage::over_limit);
    EXPECT_EQ(damage_of(resealed(absurd_count)), Damage::over_limit);
    EXPECT_EQ(damage_of(resealed(long_name)), Damage::truncated);
    EXPECT_EQ(damage_of(resealed(long_body)), Damage::truncated);
    EXPECT_EQ(damage_of(resealed(huge_body)), Damage::over_limit);
    EXPECT_EQ(damage_of(resealed(one_byte_more)), Damage::truncated);
}

TEST(Wire, RefusesARetirementOrAnAnswerThatIsShorterOrLonger) {
    for (const int difference : {-1, 1}) {
        auto retirement = encode(Retire{segment(), 8});
        retirement.resize(static_cast<std::size_t>(static_cast<int>(retirement.size()) + difference));
        auto answer = encode(Answer{Verdict::busy, Damage::none, {segment(), 9}});
        answer.resize(static_cast<std::size_t>(static_cast<int>(answer.size()) + difference));

        EXPECT_EQ(std::get<Damage>(decode_request(retirement)), Damage::truncated) << difference;
        EXPECT_EQ(std::get<Damage>(decode_answer(answer)), Damage::truncated) << difference;
    }
}

TEST(Wire, RefusesAnAnswerWithAVerdictThatIsNone) {
    for (const std::uint8_t verdict : {std::uint8_t{0}, std::uint8_t{99}}) {
        auto answer = encode(Answer{Verdict::busy, Damage::none, {segment(), 9}});
        answer[32] = std::byte{verdict};

        EXPECT_EQ(std::get<Damage>(decode_answer(answer)), Damage::over_limit) << int{verdict};
    }
}

TEST(Wire, TellsAnotherVersionFromDamage) {
    auto frame = two_events();
    frame[4] = std::byte{2};

    EXPECT_EQ(damage_of(frame), Damage::unknown_version);
    EXPECT_EQ(std::get<Damage>(decode_answer(two_events())), Damage::unknown_kind);
    EXPECT_EQ(damage_of({}), Damage::not_ours);
}

TEST(Wire, SurvivesNoise) {
    std::mt19937 random(20261123);
    for (int round = 0; round < 20'000; ++round) {
        auto frame = two_events();
        for (int change = 0; change < 3; ++change) {
            frame[random() % frame.size()] = static_cast<std::byte>(random());
        }
        frame.resize(random() % (frame.size() + 1));
        EXPECT_NE(damage_of(frame), Damage::none);
        (void)decode_request(frame);
        (void)decode_answer(frame);
    }
}

}  // namespace
}  // namespace runledger::wire
