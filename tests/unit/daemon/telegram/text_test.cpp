#include "daemon/telegram/text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/stand_ins/bot_api_message.hpp"

namespace runledger::telegram {
namespace {

constexpr std::string_view face = "\xF0\x9F\x98\x80";  // U+1F600: four bytes, two units.
constexpr std::string_view ellipsis = "…";

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) {
        all += text;
    }
    return all;
}

struct Counted {
    const char* name;
    std::string text;
    std::size_t units;
};

class TelegramUnits : public testing::TestWithParam<Counted> {};

TEST_P(TelegramUnits, AreUtf16Units) { EXPECT_EQ(count_units(GetParam().text), GetParam().units); }

INSTANTIATE_TEST_SUITE_P(
    Texts, TelegramUnits,
    testing::Values(Counted{"nothing", "", 0}, Counted{"ascii", "abc", 3}, Counted{"two_bytes", "äöü", 3},
                    Counted{"three_bytes", "日本", 2}, Counted{"surrogate_pair", std::string(face), 2},
                    Counted{"lone_continuation", "\x80\x80", 2}, Counted{"overlong_slash", "\xC0\xAF", 2},
                    Counted{"encoded_surrogate", "\xED\xA0\x80", 3}, Counted{"beyond_unicode", "\xF4\x90\x80\x80", 4},
                    Counted{"cut_sequence", "a\xE6\x97", 3}),
    [](const auto& row) { return row.param.name; });

TEST(TelegramCut, NeverHalvesASurrogatePair) {
    const std::string text = repeated(face, 3);

    EXPECT_EQ(cut_to_units(text, 5), repeated(face, 2));
    EXPECT_EQ(cut_to_units(text, 6), text);
    EXPECT_EQ(cut_to_units(text, 1), "");
}

TEST(TelegramCut, NeverHalvesASequenceOfBytes) {
    EXPECT_EQ(cut_to_bytes("日本", 5), "日");
    EXPECT_EQ(cut_to_bytes("日本", 6), "日本");
    EXPECT_EQ(cut_to_bytes(repeated(face, 2), 7), face);
}

TEST(TelegramClean, LeavesWhatCanBeShown) {
    EXPECT_EQ(clean("a\tb\nc\r\x01\x7F\xC2\x85 ä 日 \x80"), "a b\nc ä 日 \xEF\xBF\xBD");
    EXPECT_EQ(clean_line("a\nb\r\nc"), "a b  c");
    EXPECT_EQ(clean_line(std::string_view("a\0b", 3)), "ab");
}

TEST(TelegramHtml, EscapesWhatHtmlMeans) {
    HtmlText text(100);

    EXPECT_TRUE(text.add("<b>&\"x\"</b>"));

    EXPECT_EQ(text.take(), "&lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;");
}

TEST(TelegramHtml, CountsAnEscapeAsOneUnit) {
    HtmlText text(4);

    EXPECT_TRUE(text.add("<&>\""));

    EXPECT_EQ(text.units_left(), 0U);
}

TEST(TelegramHtml, CutsBetweenEscapesAndSaysSo) {
    HtmlText text(3);

    EXPECT_FALSE(text.add("&&&&"));

    EXPECT_EQ(text.take(), "&amp;&amp;…");
}

TEST(TelegramHtml, CutsBeforeASurrogatePairThatDoesNotFit) {
    HtmlText text(4);

    EXPECT_FALSE(text.add(repeated(face, 3)));

    EXPECT_EQ(text.take(), std::string(face) + std::string(ellipsis));
}

TEST(TelegramHtml, AddsALinkWholeOrNotAtAll) {
    HtmlText text(4);

    EXPECT_FALSE(text.add_link("https://host/x", "five5"));
    EXPECT_TRUE(text.add_link("https://host/x?a=1&b=\"2\"", "four"));
    EXPECT_FALSE(text.add_code("x"));

    EXPECT_EQ(text.take(), "<a href=\"https://host/x?a=1&amp;b=&quot;2&quot;\">four</a>");
}

TEST(TelegramHtml, KeepsItsBoundWhateverIsAdded) {
    const std::string odd = repeated("<&日\xF0\x9F\x98\x80\">", 40);
    for (std::size_t units_max = 0; units_max < 120; ++units_max) {
        HtmlText text(units_max);
        text.add("head ");
        text.add(odd, units_max / 2);
        (void)text.add_link("https://host/a?b&c", "name<");
        text.add(odd);

        const std::string html = text.take();

        EXPECT_LE(test::visible_utf16_units(html, "HTML"), units_max);
        EXPECT_EQ(test::html_fault(html), std::nullopt) << html;
        EXPECT_EQ(clean(html), html) << "a sequence of bytes was halved";
    }
}

}  // namespace
}  // namespace runledger::telegram
