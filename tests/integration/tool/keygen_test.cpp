// `runledger keygen`: what it writes, and that it overwrites nothing.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zmq.h>

#include <array>
#include <filesystem>

#include "common/curve.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

class Keygen : public ::testing::Test {
protected:
    [[nodiscard]] Finished keygen(std::vector<std::string> words) const {
        words.insert(words.begin(), {tool_.string(), "keygen"});
        return run_to_end({.argv = std::move(words), .cwd = keys_}, folder_);
    }
    [[nodiscard]] static std::string only_key(const std::filesystem::path& file) {
        const auto parsed = parse_curve_keys(read_text(file));
        const auto* keys = std::get_if<std::vector<NamedKey>>(&parsed);
        EXPECT_TRUE(keys != nullptr && keys->size() == 1);
        return keys != nullptr ? keys->front().key : "";
    }
    [[nodiscard]] static mode_t mode_of(const std::filesystem::path& file) {
        struct stat facts {};
        EXPECT_EQ(::stat(file.c_str(), &facts), 0);
        return facts.st_mode & 07777U;
    }

    TempFolder folder_;
    const std::filesystem::path keys_{folder_.make_folder("keys")};
    const std::filesystem::path tool_{
        install_executable(folder_, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger")};
};

TEST_F(Keygen, MakesAPairThatBelongsTogetherAndShowsThePublicHalfOnly) {
    const Finished made = keygen({"edge-1"});

    ASSERT_TRUE(made.status.clean()) << made.output;
    const std::string secret = only_key(keys_ / "edge-1.secret");
    std::array<char, 41> derived{};
    ASSERT_EQ(zmq_curve_public(derived.data(), secret.c_str()), 0);
    EXPECT_EQ(only_key(keys_ / "edge-1.public"), derived.data());
    EXPECT_EQ(mode_of(keys_ / "edge-1.secret"), 0600U);
    EXPECT_EQ(mode_of(keys_ / "edge-1.public"), 0644U);
    EXPECT_EQ(made.output, "edge-1 " + std::string{derived.data()} + "\n");
    EXPECT_EQ(made.output.find(secret), std::string::npos);
}

TEST_F(Keygen, OverwritesNothingAndLeavesNoHalfAPair) {
    ASSERT_TRUE(keygen({"edge-1"}).status.clean());
    const std::string before = read_text(keys_ / "edge-1.secret");

    EXPECT_FALSE(keygen({"edge-1"}).status.clean());
    EXPECT_EQ(read_text(keys_ / "edge-1.secret"), before);

    std::filesystem::remove(keys_ / "edge-1.secret");
    const Finished refused = keygen({"edge-1"});
    EXPECT_FALSE(refused.status.clean());
    EXPECT_NE(refused.output.find("edge-1.public\" can't be made"), std::string::npos) << refused.output;
    EXPECT_FALSE(std::filesystem::exists(keys_ / "edge-1.secret"));
}

TEST_F(Keygen, RefusesANameThatIsNoFileName) {
    for (const auto* name : {"../x", ".hidden", "a b", "a/b", ""}) {
        EXPECT_FALSE(keygen({name}).status.clean()) << name;
    }
    EXPECT_TRUE(std::filesystem::is_empty(keys_));
}

}  // namespace
}  // namespace runledger::test
