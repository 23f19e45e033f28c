#include "nginx-module/token/token.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger::edge {
namespace {

using ::testing::ElementsAre;

TEST(TokenSet, NamesTheTokenThatIsPresented) {
    TokenSet tokens;
    ASSERT_FALSE(tokens.add("old", "the-first-secret"));
    ASSERT_FALSE(tokens.add("new", "the-second-secret"));

    EXPECT_EQ(tokens.find("the-first-secret"), "old");
    EXPECT_EQ(tokens.find("the-second-secret"), "new");
    EXPECT_THAT(tokens.names(), ElementsAre("old", "new"));
}

TEST(TokenSet, KnowsNothingThatOnlyResemblesAToken) {
    TokenSet tokens;
    ASSERT_FALSE(tokens.add("only", "the-first-secret"));

    for (const std::string_view presented :
         {"", "the-first-secre", "the-first-secrets", "The-first-secret", "he-first-secret", "only"}) {
        EXPECT_EQ(tokens.find(presented), std::nullopt) << presented;
    }
    EXPECT_EQ(TokenSet{}.find("the-first-secret"), std::nullopt);
}

TEST(TokenSet, FindsEachOfAsManyAsAFileMayHold) {
    TokenSet tokens;
    for (std::size_t i = 0; i < tokens_max; ++i) {
        ASSERT_FALSE(tokens.add("name" + std::to_string(i), "token" + std::to_string(i)));
    }

    for (std::size_t i = 0; i < tokens_max; ++i) {
        EXPECT_EQ(tokens.find("token" + std::to_string(i)), "name" + std::to_string(i));
    }
}

TEST(TokenSet, TakesNeitherANameNorATokenTwice) {
    TokenSet tokens;
    ASSERT_FALSE(tokens.add("zero", "the-secret-zero"));
    ASSERT_FALSE(tokens.add("one", "the-secret-one"));

    EXPECT_EQ(tokens.add("one", "another"), 1U);
    EXPECT_EQ(tokens.add("two", "the-secret-zero"), 0U);

    EXPECT_EQ(tokens.size(), 2U);
    EXPECT_EQ(tokens.find("another"), std::nullopt);
}

}  // namespace
}  // namespace runledger::edge
