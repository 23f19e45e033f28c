#include "daemon/telegram/template.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace runledger::telegram {
namespace {

using testing::HasSubstr;

constexpr std::array<std::string_view, 2> known{"duration", "cost"};

struct Filled {
    const char* name;
    const char* text;
    const char* with_both;
    const char* with_none;
};

class Templates : public testing::TestWithParam<Filled> {};

TEST_P(Templates, AreFilled) {
    const Template made(GetParam().text, known);

    EXPECT_EQ(made.fill({{"duration", "1 s"}, {"cost", "$2"}}), GetParam().with_both);
    EXPECT_EQ(made.fill({{"duration", ""}}), GetParam().with_none);
}

INSTANTIATE_TEST_SUITE_P(All, Templates,
                         testing::Values(Filled{"plain", "Done", "Done", "Done"},
                                         Filled{"value", "Done in {duration}!", "Done in 1 s!", "Done in !"},
                                         Filled{"option", "Done[ in {duration}][, {cost}]", "Done in 1 s, $2", "Done"},
                                         Filled{"option_of_two", "Done[ in {duration} for {cost}].",
                                                "Done in 1 s for $2.", "Done."},
                                         Filled{"option_of_text", "Done[ really]", "Done really", "Done really"},
                                         Filled{"doubled", "{{x}} [[y]]", "{x} [y]", "{x} [y]"}),
                         [](const auto& row) { return row.param.name; });

struct Faulty {
    const char* name;
    const char* text;
    const char* fault;
};

class FaultyTemplates : public testing::TestWithParam<Faulty> {};

TEST_P(FaultyTemplates, AreRefusedWithTheReason) {
    try {
        (void)Template(GetParam().text, known);
        FAIL() << "it was taken";
    } catch (const TemplateError& error) {
        EXPECT_THAT(error.what(), HasSubstr(GetParam().fault));
    }
}

INSTANTIATE_TEST_SUITE_P(All, FaultyTemplates,
                         testing::Values(Faulty{"unknown", "in {durations}",
                                                "has no placeholder {durations}; known are {duration} {cost}"},
                                         Faulty{"open_brace", "in {duration", "a { without its }"},
                                         Faulty{"lone_brace", "in duration}", "a } without its {"},
                                         Faulty{"open_bracket", "[in {duration}", "a [ without its ]"},
                                         Faulty{"lone_bracket", "in]", "a ] without its ["},
                                         Faulty{"nested", "[in [{duration}]]", "a [ within a ["}),
                         [](const auto& row) { return row.param.name; });

TEST(Wordings, AreReplacedByTheirKeys) {
    Wording wording;

    wording.set("duplicate", "Vielleicht doppelt.");

    EXPECT_EQ(wording.duplicate.fill({}), "Vielleicht doppelt.");
    EXPECT_THROW(wording.set("finished", "x"), std::out_of_range);
    EXPECT_THROW(wording.set("completed", "{message}"), TemplateError) << "only a correction has it";
    EXPECT_THROW(wording.set("completed", ""), TemplateError);
}

TEST(Wordings, AreFoundByLanguage) {
    Wordings wordings;
    wordings.plain.set("completed", "Fertig");
    wordings.by_language["fr"] = wordings.plain;
    wordings.by_language["fr"].set("completed", "Fini");
    wordings.by_language["pt-br"].set("completed", "Pronto");
    const auto said = [&](std::string_view text) {
        return wordings.get(find_language(text).value_or("")).completed.fill({});
    };

    EXPECT_EQ(said("fr"), "Fini");
    EXPECT_EQ(said("FR_ca"), "Fini") << "the language that it begins with";
    EXPECT_EQ(said("pt-BR"), "Pronto");
    EXPECT_EQ(said("pt"), "Fertig") << "a part of another tag is another language";
    EXPECT_EQ(said("de"), "Fertig");
    EXPECT_EQ(said(""), "Fertig");
    wordings.language = "fr";
    EXPECT_EQ(said("de"), "Fini");
}

TEST(Languages, AreTags) {
    for (const char* tag : {"fr", "pt-BR", "zh_Hans_CN", "es-419", "gsw"}) {
        EXPECT_TRUE(find_language(tag)) << tag;
    }
    for (const char* text : {"", "f", "french", "7", "fr-", "-fr", "f1", "fr--ca", "fr ca", "fr-123456789",
                             "fr-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd"}) {
        EXPECT_FALSE(find_language(text)) << text;
    }
}

}  // namespace
}  // namespace runledger::telegram
