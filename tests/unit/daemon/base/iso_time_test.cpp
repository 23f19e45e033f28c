#include "daemon/base/iso_time.hpp"

#include <gtest/gtest.h>

namespace runledger {
namespace {

TEST(IsoTime, ReadsWhatTheProviderWrites) {
    const auto micros = [](std::string_view text) {
        const auto time = parse_iso_time(text);
        return time ? time->time_since_epoch().count() : -1;
    };

    EXPECT_EQ(micros("2025-08-29T02:35:38.214Z"), 1'756'434'938'214'000);
    EXPECT_EQ(micros("2025-08-29T02:35:38.2145678Z"), 1'756'434'938'214'567);
    EXPECT_EQ(micros("2025-08-29T02:35:38Z"), 1'756'434'938'000'000);
    EXPECT_EQ(micros("2025-08-29T02:35:38"), 1'756'434'938'000'000);
    EXPECT_EQ(micros("2025-08-29 04:35:38.214+02:00"), 1'756'434'938'214'000);
    EXPECT_EQ(micros("2025-08-28T21:35:38.214-0500"), 1'756'434'938'214'000);
    EXPECT_EQ(micros("2025-08-29 02:35:38.214+00"), 1'756'434'938'214'000) << "as PostgreSQL writes it";
    EXPECT_EQ(micros("2025-08-29T02:35:38.214000+00Z"), 1'756'434'938'214'000) << "the sender's, of a time with a zone";
}

// The sender's isoformat()[:-3] takes the seconds away where there are no microseconds.
TEST(IsoTime, KnowsNoTimeWithoutItsSeconds) {
    for (const char* text : {"2025-08-29T02:35Z", "2025-08-29T02:35", "2025-08-29T02:35+00:00", "2025-08-29T02:35:Z"}) {
        EXPECT_EQ(parse_iso_time(text), std::nullopt) << text;
    }
}

TEST(IsoTime, ReadsNothingFromAnythingElse) {
    for (const char* text : {"",
                             "yesterday",
                             "2025-13-01T00:00:00Z",
                             "2025-02-29T00:00:00Z",
                             "2025-08-29",
                             "2025-08-29T24:00:00Z",
                             "2025-08-29T02:60:00Z",
                             "2025-08-29T02:35:61Z",
                             "2025-08-29T02:35:38Z and more",
                             "0000-01-01T00:00:00Z",
                             "2025-08-29T02:35:38+25:00",
                             "+025-08-29T02:35:38Z",
                             "2025-08-29T-1:35:38Z",
                             "2025-08-29T02:35:38.Z",
                             "2025-08-29T02:35:60Z",
                             "2025-08-29T02:35:38+2:00",
                             "2025-08-29T02:35:38+02:60",
                             "2025-08-29T02:35:38+020",
                             "2025-08-29T02:35:38-",
                             "2025-8-29T02:35:38Z"}) {
        EXPECT_EQ(parse_iso_time(text), std::nullopt) << text;
    }
}

// timestamptz has no year 0, and a year of five digits would be read as something else: what PostgreSQL refuses would
// cost the event its outputs.
TEST(IsoTime, ReadsNothingBeyondTheYearsOneTo9999OfUtc) {
    EXPECT_EQ(parse_iso_time("0001-01-01T00:30:00+01:00"), std::nullopt);
    EXPECT_EQ(parse_iso_time("9999-12-31T23:30:00-01:00"), std::nullopt);
    EXPECT_NE(parse_iso_time("0001-01-01T00:30:00Z"), std::nullopt);
    EXPECT_NE(parse_iso_time("9999-12-31T23:30:00Z"), std::nullopt);
}

}  // namespace
}  // namespace runledger
