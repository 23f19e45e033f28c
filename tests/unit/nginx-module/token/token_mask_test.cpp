#include "nginx-module/token/token_mask.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace runledger::edge {
namespace {

struct Row {
    std::string_view name;
    std::string_view text;
    std::string_view wanted;  // The argument's or cookie's name, or the value.
    std::string_view masked;
};

template <class Mask>
void expect_masked(const std::vector<Row>& rows, Mask mask_in) {
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        std::string text{row.text};

        mask_in(Writable{text}, row.wanted);

        EXPECT_EQ(text, row.masked);
    }
}

TEST(TokenText, UnescapesWhatIsAnEscapeAndNothingElse) {
    EXPECT_EQ(unescape("a%2Db%2db"), "a-b-b");
    EXPECT_EQ(unescape("%25%32%44"), "%2D");
    EXPECT_EQ(unescape("a+b%"), "a+b%");
    EXPECT_EQ(unescape("%2"), "%2");
    EXPECT_EQ(unescape("%2g%g2%%41"), "%2g%g2%A");
}

TEST(TokenText, MasksAnArgumentByItsName) {
    const std::vector<Row> rows{
        {"only", "token=secret", "token", "token=******"},
        {"in a URI", "/hook?token=secret", "token", "/hook?token=******"},
        {"between others", "/hook?a=secret&token=secret&b=secret", "token", "/hook?a=secret&token=******&b=secret"},
        {"twice", "/hook?token=one&token=two", "token", "/hook?token=***&token=***"},
        {"any case", "/hook?TOKEN=secret", "token", "/hook?TOKEN=******"},
        {"escaped value", "/hook?token=%73ecre%74", "token", "/hook?token=**********"},
        {"escaped name", "/hook?to%6Ben=secret", "token", "/hook?to%6Ben=******"},
        {"escaped name in capitals", "/hook?T%4FKEN=secret", "token", "/hook?T%4FKEN=******"},
        {"with equals", "/hook?token=a=b", "token", "/hook?token=***"},
        {"after one with equals", "/hook?a=b=token=c&token=secret", "token", "/hook?a=b=token=c&token=******"},
        {"after one without a name", "/hook?=token=a&token=b", "token", "/hook?=token=a&token=*"},
        {"after a name only", "/hook?a&token=secret", "token", "/hook?a&token=******"},
        {"with a fragment", "/hook?token=a#b", "token", "/hook?token=***"},
        {"after a second question mark", "/hook?a=b?token=secret", "token", "/hook?a=b?token=******"},
        {"empty", "/hook?token=&a=b", "token", "/hook?token=&a=b"},
        {"name only", "/hook?token", "token", "/hook?token"},
        {"longer name", "/hook?mytoken=a&tokens=b", "token", "/hook?mytoken=a&tokens=b"},
        {"a path", "/token=secret", "token", "/token=secret"},
        {"nothing", "", "token", ""},
        {"separators", "??&&=", "token", "??&&="},
    };
    expect_masked(rows, [](Writable text, std::string_view name) { mask_argument(text, name); });
}

TEST(TokenText, MasksACookieByItsName) {
    const std::vector<Row> rows{
        {"only", "token=secret", "token", "token=******"},
        {"between others", "a=secret; token=secret; b=secret", "token", "a=secret; token=******; b=secret"},
        {"twice", "token=one;token=two", "token", "token=***;token=***"},
        {"any case", "Token=secret", "token", "Token=******"},
        {"with spaces", "  token =  secret", "token", "  token =  ******"},
        {"after a comma", "a=b,token=secret", "token", "a=b,token=******"},
        {"with a comma", "token=a,b; c=d", "token", "token=***; c=d"},
        {"longer name", "mytoken=a; tokens=b; token2", "token", "mytoken=a; tokens=b; token2"},
        {"empty", "token=; token", "token", "token=; token"},
        {"nothing", "", "token", ""},
        {"separators", ";, ;=", "token", ";, ;="},
    };
    expect_masked(rows, [](Writable text, std::string_view name) { mask_cookie(text, name); });
}

TEST(TokenText, MasksAValueAnywhere) {
    const std::vector<Row> rows{
        {"within a word", "xsecretx", "secret", "x******x"},
        {"escaped", "/%73ecret/s%65cre%74", "secret", "/********/**********"},
        {"all of it", "secret", "secret", "******"},
        {"overlapping", "abababa", "aba", "*******"},
        {"after a false start", "aaab", "aab", "a***"},
        {"at the end", "x=secret", "secret", "x=******"},
        {"beside an escape of something else", "%41secret", "secret", "%41******"},
        {"literal escape", "a%41b", "%41", "a***b"},
        {"escaped escape", "a%2541b", "%41", "a*****b"},
        {"none", "secre%7", "secret", "secre%7"},
        {"empty value", "abc", "", "abc"},
        {"empty text", "", "abc", ""},
    };
    expect_masked(rows, [](Writable text, std::string_view value) { mask_value(text, value, Bounds::anywhere); });
}

TEST(TokenText, MasksAValueThatIsAWholeWord) {
    const std::vector<Row> rows{
        {"within a word", "xhook hookx _hook hook-", "hook", "xhook hookx _hook hook-"},
        {"in a path", "/hooks/hook/x?a=hook&hook=b", "hook", "/hooks/****/x?a=****&****=b"},
        {"after an escaped slash", "/%2Fhook/", "hook", "/%2F****/"},
        {"before an escaped slash", "/hook%2F", "hook", "/****%2F"},
        {"before an escaped letter", "/hook%41", "hook", "/hook%41"},
    };
    expect_masked(rows, [](Writable text, std::string_view value) { mask_value(text, value, Bounds::whole_word); });
}

TEST(TokenText, SaysWhetherAValueWasThere) {
    std::string text = "/hook/secret";
    EXPECT_FALSE(mask_value(text, "Secret", Bounds::anywhere));
    EXPECT_TRUE(mask_value(text, "secret", Bounds::whole_word));
    EXPECT_FALSE(mask_value(text, "secret", Bounds::anywhere));
}

TEST(TokenText, KnowsAsterisks) {
    EXPECT_TRUE(is_masked("***"));
    EXPECT_FALSE(is_masked("**a"));
    EXPECT_FALSE(is_masked(""));
}

// A client chooses both texts; in the event loop, every request pays for it.
TEST(TokenText, TakesTimeLinearInTheText) {
    const std::string value = std::string(500'000, 'a') + "b";
    std::string text(1'000'000, 'a');
    const auto start = std::chrono::steady_clock::now();

    EXPECT_FALSE(mask_value(text, value, Bounds::anywhere));
    EXPECT_TRUE(mask_value(text, value.substr(0, 500'000), Bounds::anywhere));

    EXPECT_TRUE(is_masked(text));
    // Quadratic: a quarter of a million million steps.
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{20});
}

}  // namespace
}  // namespace runledger::edge
