#include "daemon/tool/output/json_object.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace runledger::tool {
namespace {

TEST(JsonObject, HasEachMemberInTheOrderInWhichItWasAdded) {
    JsonObject object;
    object.add("text", "a \"quoted\"\nline").add("count", std::numeric_limits<std::int64_t>::min()).add("yes", true);
    object.add("large", std::numeric_limits<std::uint64_t>::max()).add("none", std::optional<std::string>());
    object.add("some", std::optional(7)).add("half", 0.5);

    EXPECT_EQ(object.take(),
              R"({"text":"a \"quoted\"\nline","count":-9223372036854775808,"yes":true,"large":18446744073709551615,)"
              R"("none":null,"some":7,"half":0.5})");
}

TEST(JsonObject, HoldsOthers) {
    std::vector<JsonObject> inner;
    inner.emplace_back().add("a", 1);
    inner.emplace_back();
    JsonObject object;
    object.add("list", std::move(inner)).add("texts", std::vector<std::string>{"x", "y"}).add("one", JsonObject());

    EXPECT_EQ(object.take(), R"({"list":[{"a":1},{}],"texts":["x","y"],"one":{}})");
}

TEST(JsonObject, IsEmptyAfterItWasTaken) {
    JsonObject object;
    object.add("a", 1);
    static_cast<void>(object.take());

    EXPECT_EQ(object.take(), "{}");
}

TEST(JsonObject, PutsAReplacementCharacterInThePlaceOfBytesThatAreNotUtf8) {
    JsonObject object;
    object.add("text", std::string_view("\xC3\xA4 \xFF \xE2\x82", 7));  // ä, a byte of none, and half of a €.

    EXPECT_EQ(object.take(), "{\"text\":\"\xC3\xA4 \xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace runledger::tool
