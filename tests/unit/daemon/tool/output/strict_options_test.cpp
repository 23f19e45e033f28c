#include "daemon/tool/output/strict_options.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace runledger::tool {
namespace {

// A command with an option of each kind that the tool has.
class StrictOptions : public ::testing::Test {
protected:
    StrictOptions() {
        CLI::App* command = app.add_subcommand("rows");
        command->add_option("ID", ids);
        command->add_option("--batch", batch);
        command->add_option("--limit", limit)->check(CLI::Range(1, 100));
        command->add_option("--error", error);
        command->add_option("--state", states);
        command->add_option("--adopt", adopted)->expected(0, 1);
        command->add_flag("--all", all);
        CLI::Option_group* group = command->add_option_group("whom");
        group->add_option("--chat", chat);
        be_strict(app);
    }
    // Whether the words are taken.
    bool takes(std::vector<std::string> words) {
        words.insert(words.begin(), "rows");
        std::ranges::reverse(words);  // CLI11 takes them from the end.
        try {
            app.parse(words);
            return true;
        } catch (const CLI::ParseError& fault) {
            said = fault.what();
            return false;
        }
    }

    CLI::App app;
    std::vector<std::int64_t> ids;
    std::optional<std::uint64_t> batch;
    int limit{1};
    std::string error, chat, adopted, said;
    std::vector<std::string> states;
    bool all{false};
};

TEST_F(StrictOptions, TakeWhatIsWrittenAsItIsMeant) {
    EXPECT_TRUE(takes({"0", "10", "-7", "9223372036854775807"})) << said;
    EXPECT_EQ(ids, (std::vector<std::int64_t>{0, 10, -7, INT64_MAX}));
    EXPECT_TRUE(takes({"--batch", "18446744073709551615", "--limit", "100", "--error", "x", "--all", "--adopt"}))
        << said;
    EXPECT_TRUE(takes({"--adopt", "public.generations", "--state", "dead", "--chat", "7"})) << said;
}

TEST_F(StrictOptions, RefuseANumberThatWouldBeTakenForAnother) {
    for (const char* number : {"010", "0x10", "00", "+7", " 7", "7 ", "1.5", "-010", "9223372036854775808", ""}) {
        EXPECT_FALSE(takes({number})) << '"' << number << '"';
    }
    for (const char* number : {"-1", "010", "18446744073709551616", ""}) {
        EXPECT_FALSE(takes({"--batch", number})) << '"' << number << '"';
    }
    EXPECT_FALSE(takes({"--limit", "010"}));
    EXPECT_NE(said.find("\"010\" is not a whole number"), std::string::npos) << said;
}

TEST_F(StrictOptions, RefuseAnEmptyValueThatWouldChooseAll) {
    for (const char* option : {"--error", "--chat", "--state"}) {
        EXPECT_FALSE(takes({option, ""})) << option;
        EXPECT_NE(said.find(std::string(option) + ": an empty value"), std::string::npos) << said;
    }
}

}  // namespace
}  // namespace runledger::tool
