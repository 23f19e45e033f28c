// What the page's numbers are made of without a database: rates, words, an edge's answer, and the keeper of a value.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "daemon/overview/overview.hpp"
#include "daemon/overview/rates.hpp"
#include "daemon/overview/words.hpp"

namespace runledger {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RateHistory, KnowsNothingBeforeItsSecondSample) {
    RateHistory history;
    history.add(RateHistory::Time{}, {.events = 100});

    EXPECT_EQ(history.rates().events, 0);
    EXPECT_TRUE(history.rates().events_by_minute.empty());
}

TEST(RateHistory, AddsUpTheLastMinuteAndTheMinutesOfAnHour) {
    RateHistory history;
    std::uint64_t events = 0;
    for (int i = 0; i <= 24 * 60; ++i) {  // Two hours, one event a second, then ten.
        history.add(RateHistory::Time{seconds{5} * i}, {.events = events, .settlements = events / 2});
        events += i < 23 * 60 ? 5 : 50;
    }

    const WorkRates rates = history.rates();

    EXPECT_DOUBLE_EQ(rates.events, 10);
    EXPECT_DOUBLE_EQ(rates.settlements, 5);
    ASSERT_EQ(rates.events_by_minute.size(), 60);
    EXPECT_EQ(rates.events_by_minute.front(), 60);
    EXPECT_EQ(rates.events_by_minute.back(), 600);
    EXPECT_EQ(rates.events_of_hour, 55 * 60 + 5 * 600);
}

TEST(Words, SayNumbersForPeople) {
    EXPECT_EQ(in_groups(1234567),
              "1\xE2\x80\xAF"
              "234\xE2\x80\xAF"
              "567");
    EXPECT_EQ(in_groups(-999), "-999");
    EXPECT_EQ(counted(1, "run"), "1 run");
    EXPECT_EQ(counted(0, "run"), "0 runs");
    EXPECT_EQ(in_seconds(0.0004), "0.4 ms");
    EXPECT_EQ(in_seconds(0.042), "42 ms");
    EXPECT_EQ(in_seconds(1.239), "1.24 s");
    EXPECT_EQ(in_seconds(600), "10 min");
    EXPECT_EQ(in_bytes(999), "999 B");
    EXPECT_EQ(in_bytes(33'554'432), "33.6 MB");
    EXPECT_EQ(as_rate(0), "0");
    EXPECT_EQ(as_rate(0.05), "3.0 /min");
    EXPECT_EQ(as_rate(12.44), "12.4 /s");
    EXPECT_EQ(short_dollars("12.345678901234"), "12.35");
    EXPECT_EQ(short_dollars("0.004160493486"), "0.0042");
    EXPECT_EQ(short_dollars("0"), "0.00");
    EXPECT_EQ(short_dollars("1234.5"),
              "1\xE2\x80\xAF"
              "234.50");
}

TEST(ShellWord, IsQuotedWhereItHasTo) {
    EXPECT_EQ(shell_word("8b1c-42_x.y"), "8b1c-42_x.y");
    EXPECT_EQ(shell_word("a b; rm -rf /"), "'a b; rm -rf /'");
    EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_word("--apply"), "-- '--apply'");
    EXPECT_EQ(shell_word(""), "''");
    EXPECT_EQ(shell_word("größe 猫"), "'größe 猫'");
    EXPECT_EQ(shell_word("-a\x1b[2J'\\\n"), "-- $'-a\\033[2J\\047\\134\\012'");
    EXPECT_EQ(shell_word("\xC2\x9B\x31m"), "$'\\302\\2331m'");
    EXPECT_EQ(shell_word("a\xE2\x80\xAE"), "$'a\\342\\200\\256'");
}

TEST(EdgeAnswer, IsReadOrSaysThatItIsNone) {
    const EdgeNumbers edge = edge_of(
        "e", R"({"requests_total": {"accepted": 5, "redelivered": 1, "refused_json": 2}, "spool_bytes": 33554432,
                 "spool_bytes_max": 100000000, "spool_batches": 3, "held_events": 1})");

    EXPECT_EQ(edge.error, "");
    EXPECT_EQ(edge.accepted, 6);
    EXPECT_EQ(edge.refused, 2);
    EXPECT_EQ(edge.spool_bytes, 33'554'432);
    EXPECT_EQ(edge.spool_batches, 3);
    for (const std::string json : {"", "[]", "{}", "<html>", R"({"requests_total": [1]})", R"({"spool_bytes": )"}) {
        EXPECT_NE(edge_of("e", json).error, "") << json;
    }
    EXPECT_EQ(edge_of("e", R"({"spool_bytes": "x", "requests_total": [1], "spool_batches": -1e300})").error, "");
}

TEST(EdgeAnswer, HasTheNameOfItsHost) {
    EXPECT_EQ(host_of("http://edge-1:9145/runledger_status?a=b"), "edge-1:9145");
    EXPECT_EQ(host_of("https://user:word@edge-1/x"), "edge-1");
    EXPECT_EQ(host_of("http://[::1]:80"), "[::1]:80");
}

TEST(Searchable, IsShortValidTextAsARunsIdMayBe) {
    EXPECT_TRUE(is_searchable("run-1"));
    EXPECT_TRUE(is_searchable("-100123"));
    EXPECT_TRUE(is_searchable("día"));
    EXPECT_TRUE(is_searchable("\x1b[2J\n\xC2\x9B")) << "the page's list links to it";
    for (const std::string& words :
         {std::string(), std::string("a\0b", 3), std::string("\xff"), std::string("\xc3"), std::string(257, 'a')}) {
        EXPECT_FALSE(is_searchable(words)) << words;
    }
}

TEST(Keeper, ReadsOnceForManyAskers) {
    std::atomic<int> reads{0};
    Keeper<int> keeper({.fresh = seconds{60}}, [&] { return ++reads; });

    std::vector<std::jthread> askers;
    for (int i = 0; i < 8; ++i) {
        askers.emplace_back([&] {
            const auto kept = keeper.get();
            EXPECT_EQ(kept.value == nullptr ? -1 : *kept.value, 1);
        });
    }
    askers.clear();

    EXPECT_EQ(reads, 1);
}

TEST(Keeper, KeepsTheLastValueWithItsAgeIfAReadFails) {
    bool is_away = false;
    Keeper<int> keeper({.fresh = milliseconds{0}, .rest = 0}, [&]() -> int {
        if (is_away) {
            throw std::runtime_error("no");
        }
        return 7;
    });
    (void)keeper.get();
    is_away = true;

    const Kept<int> kept = keeper.get();

    ASSERT_NE(kept.value, nullptr);
    EXPECT_EQ(*kept.value, 7);
    EXPECT_TRUE(kept.age.has_value());
    EXPECT_NE(kept.error, "");
}

TEST(Keeper, RestsAfterALongRead) {
    int reads = 0;
    Keeper<int> keeper({.fresh = milliseconds{0}, .rest = 10'000}, [&] {
        std::this_thread::sleep_for(milliseconds{5});  // The read that takes long.
        return ++reads;
    });

    (void)keeper.get();
    (void)keeper.get();

    EXPECT_EQ(reads, 1);
}

}  // namespace
}  // namespace runledger
