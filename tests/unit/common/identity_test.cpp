#include "common/identity.hpp"

#include <gtest/gtest.h>

#include "common/status.hpp"

namespace runledger {
namespace {

TEST(Id128, ReadsBackWhatItWrites) {
    SegmentId id;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        id.bytes[i] = static_cast<std::uint8_t>(i * 17);
    }

    EXPECT_EQ(id.hex(), "00112233445566778899aabbccddeeff");
    EXPECT_EQ(SegmentId::parse(id.hex()), id);
    EXPECT_EQ(SegmentId::parse("00112233-4455-6677-8899-AABBCCDDEEFF"), id);
}

TEST(Id128, RefusesWhatIsNotThirtyTwoDigits) {
    for (const char* text : {"", "00", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff0",
                             "0011223344556677889 aabbccddeeff", "g0112233445566778899aabbccddeeff"}) {
        EXPECT_EQ(SegmentId::parse(text), std::nullopt) << text;
    }
}

TEST(RunStatus, KnowsTheSendersWordsAndNoOthers) {
    for (const std::string_view word : run_status_words) {
        ASSERT_TRUE(find_run_status(word)) << word;
        EXPECT_EQ(to_word(*find_run_status(word)), word);
    }
    // The vendor's public page lists these; the sender does not send them.
    EXPECT_EQ(find_run_status("completed"), std::nullopt);
    EXPECT_EQ(find_run_status("processing"), std::nullopt);
    EXPECT_EQ(find_run_status("SUCCESS"), std::nullopt);
}

TEST(RunStatus, EndsARunWithFourOfThem) {
    int terminal = 0;
    for (const std::string_view word : run_status_words) {
        terminal += is_terminal(*find_run_status(word)) ? 1 : 0;
    }

    EXPECT_EQ(terminal, 4);
    EXPECT_FALSE(is_terminal(RunStatus::uploading));
    EXPECT_TRUE(is_terminal(RunStatus::cancelled));
}

}  // namespace
}  // namespace runledger
