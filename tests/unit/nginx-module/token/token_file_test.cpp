#include "nginx-module/token/token_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/temp_folder.hpp"

namespace runledger::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Read = std::variant<TokenFile, TokenFileFault>;

[[nodiscard]] std::string sentence_of(const Read& read) {
    const auto* fault = std::get_if<TokenFileFault>(&read);
    return fault != nullptr ? fault->sentence : "no fault";
}

TEST(TokenFile, HoldsNamedTokensCommentsAndBlankLines) {
    const Read read = parse_token_file(
        "# who may post\n"
        "\n"
        "studio the-first-secret-word\n"
        " \t other.name_2-x \t the#second=secret/word%41 \t\n"
        "   # and an indented comment: one two three\n"
        "last the-third-secret-word");

    ASSERT_TRUE(std::holds_alternative<TokenFile>(read)) << sentence_of(read);
    const TokenFile& file = std::get<TokenFile>(read);
    EXPECT_THAT(file.tokens.names(), ElementsAre("studio", "other.name_2-x", "last"));
    EXPECT_EQ(file.tokens.find("the-first-secret-word"), "studio");
    EXPECT_EQ(file.tokens.find("the#second=secret/word%41"), "other.name_2-x");
    EXPECT_EQ(file.tokens.find("the-third-secret-word"), "last");
    EXPECT_EQ(file.weak_line, std::nullopt);
}

TEST(TokenFile, IgnoresTheCarriageReturnAtALinesEnd) {
    const Read read = parse_token_file("# names\r\n\r\nstudio the-first-secret-word\r\nnext the-second-secret-word\r");

    ASSERT_TRUE(std::holds_alternative<TokenFile>(read)) << sentence_of(read);
    EXPECT_EQ(std::get<TokenFile>(read).tokens.find("the-first-secret-word"), "studio");
    EXPECT_EQ(std::get<TokenFile>(read).tokens.find("the-second-secret-word"), "next");
}

TEST(TokenFile, NamesTheFirstLineWhoseTokenCanBeGuessed) {
    const auto weak_line = [](std::string_view text) {
        const Read read = parse_token_file(text);
        return std::get<TokenFile>(read).weak_line;
    };

    EXPECT_EQ(weak_line("a 0123456789abcdef\n"), std::nullopt);
    EXPECT_EQ(weak_line("a 0123456789abcdef\n\nb 0123456789abcde\nc short\n"), 3U);
}

struct BadText {
    std::string name;
    std::string text;
    std::string sentence;
};

[[nodiscard]] std::vector<BadText> bad_texts() {
    using namespace std::string_literals;
    std::string too_many;
    for (std::size_t i = 0; i <= tokens_max; ++i) {
        too_many += "n" + std::to_string(i) + " secret-word-" + std::to_string(i) + "\n";
    }
    const std::string bad_name = "line 1 begins with a name that is not 1 to 64 letters, digits, '_', '.' or '-'";
    const std::string bad_character = "line 1 has a token with a character outside visible ASCII";
    return {
        {"empty", "", "the file holds no token"},
        {"only_comments", "# nobody\n\n \t\n", "the file holds no token"},
        {"no_name", "a one\nsecret-word\n", "line 2 has one word; it takes a name and a token"},
        {"no_token", "a secret-one\nstudio \t\r\n", "line 2 has one word; it takes a name and a token"},
        {"three_words", "\na secret-one two\n", "line 2 has more than a name and a token"},
        {"comment_behind", "a secret-one # mine\n", "line 1 has more than a name and a token"},
        {"name_repeated", "a secret-one\nb secret-two\na secret-three\n", "line 3 repeats the name of line 1"},
        {"token_repeated", "# x\na secret-one\nb secret-two\nc secret-two\n", "line 4 repeats the token of line 3"},
        {"name_with_colon", "a:b secret-one\n", bad_name},
        {"name_not_ascii", "\xC3\xA9t\xC3\xA9 secret-one\n", bad_name},
        {"byte_order_mark", "\xEF\xBB\xBFstudio secret-one\n", bad_name},
        {"name_too_long", std::string(token_name_bytes_max + 1, 'n') + " secret-one\n", bad_name},
        {"token_not_ascii", "a secret-\xC3\xA9\n", bad_character},
        {"token_with_del", "a secret-\x7F\n", bad_character},
        {"token_with_cr", "a secret\r-one\n", bad_character},
        {"token_with_two_crs", "a secret-one\r\r\n", bad_character},
        {"token_with_escape", "a secret-\x1B[0m\n", bad_character},
        {"token_with_nul", "a secret\0-one\n"s, "line 1 holds a NUL character"},
        {"comment_with_nul", "# \0\na secret-one\n"s, "line 1 holds a NUL character"},
        {"token_too_long", "a " + std::string(token_bytes_max + 1, 't') + "\n",
         "line 1 has a token of more than 512 characters"},
        {"in_quotes", "studio \"the-secret-word\"\n",
         "line 1 has a token in quotes, which would be a part of it; leave the quotes out"},
        {"in_single_quotes", "studio 'the-secret-word'\n",
         "line 1 has a token in quotes, which would be a part of it; leave the quotes out"},
        {"too_many", too_many, "line 65 is one too many: a file holds at most 64 tokens"},
    };
}

TEST(TokenFile, IsRefusedWithASentenceThatNamesTheLineAndNoWordOfIt) {
    for (const BadText& bad : bad_texts()) {
        SCOPED_TRACE(bad.name);

        const std::string sentence = sentence_of(parse_token_file(bad.text));

        EXPECT_EQ(sentence, bad.sentence);
        EXPECT_EQ(sentence.find("secret"), std::string::npos);
    }
}

TEST(TokenFile, TakesNamesAndTokensOfTheLargestSize) {
    std::string text;
    for (std::size_t i = 0; i < tokens_max; ++i) {
        const std::string number = std::to_string(i);
        text += std::string(token_name_bytes_max - number.size(), 'n') + number + " " +
                std::string(token_bytes_max - number.size(), 't') + number + "\n";
    }

    const Read read = parse_token_file(text);

    ASSERT_TRUE(std::holds_alternative<TokenFile>(read)) << sentence_of(read);
    EXPECT_EQ(std::get<TokenFile>(read).tokens.size(), tokens_max);
}

class TokenFileOnDisk : public ::testing::Test {
protected:
    [[nodiscard]] std::string write(mode_t mode, std::string_view text = "studio the-first-secret-word\n") {
        const std::filesystem::path path = folder_.write_file("tokens", text);
        std::filesystem::permissions(path, std::filesystem::perms{mode});
        return path.string();
    }
    [[nodiscard]] const test::TempFolder& folder() const { return folder_; }

private:
    test::TempFolder folder_;
};

TEST_F(TokenFileOnDisk, IsReadWhereOnlyItsOwnerAndGroupHaveRights) {
    for (const mode_t mode : {0400U, 0600U, 0640U, 0660U, 0601U}) {
        const Read read = read_token_file(write(mode));
        EXPECT_TRUE(std::holds_alternative<TokenFile>(read)) << std::oct << mode << sentence_of(read);
    }
}

TEST_F(TokenFileOnDisk, IsRefusedWhereOthersCanReadOrWriteIt) {
    EXPECT_EQ(sentence_of(read_token_file(write(0604))),
              "others can read the file, its mode is 0604; chmod 0600 or 0640 it");
    EXPECT_EQ(sentence_of(read_token_file(write(0602))),
              "others can write to the file, its mode is 0602; chmod 0600 or 0640 it");
    EXPECT_THAT(sentence_of(read_token_file(write(0666))), HasSubstr("others can write to the file"));
}

TEST_F(TokenFileOnDisk, IsRefusedWhereItIsNoFile) {
    EXPECT_EQ(sentence_of(read_token_file(folder().path() / "nothing")),
              "the file can't be opened: No such file or directory");
    EXPECT_EQ(sentence_of(read_token_file(folder().path())), "it is not a regular file");
    EXPECT_EQ(sentence_of(read_token_file("/dev/zero")), "it is not a regular file");
}

// Opened the usual way, a FIFO that nobody writes to would hold up nginx for ever, and this test with it.
TEST_F(TokenFileOnDisk, IsNotWaitedForWhereItIsAFifo) {
    const std::string fifo = folder().path() / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);

    EXPECT_EQ(sentence_of(read_token_file(fifo)), "it is not a regular file");
}

TEST_F(TokenFileOnDisk, IsBoundedInBytes) {
    const std::string token = "studio the-first-secret-word\n";
    const std::string comment(token_file_bytes_max - token.size(), '#');

    const Read largest = read_token_file(write(0600, token + comment));
    EXPECT_TRUE(std::holds_alternative<TokenFile>(largest)) << sentence_of(largest);
    EXPECT_EQ(sentence_of(read_token_file(write(0600, token + comment + "#"))), "the file is larger than 64 KiB");
}

}  // namespace
}  // namespace runledger::edge
