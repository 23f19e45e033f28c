#include "daemon/tool/output/replaced_file.hpp"

#include <gmock/gmock.h>

#include "daemon/tool/output/exit_code.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::tool {
namespace {

using test::read_text;
using test::TempFolder;

std::size_t files_in(const std::filesystem::path& folder) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

class ReplacedFileTest : public testing::Test {
protected:
    TempFolder folder_;
    std::filesystem::path path_{folder_.path() / "june.csv"};
};

TEST_F(ReplacedFileTest, IsNotThereBeforeItIsWhole) {
    ReplacedFile file(path_);
    file.write("a part");

    EXPECT_FALSE(std::filesystem::exists(path_));
    file.put_in_place();

    EXPECT_EQ(read_text(path_), "a part");
    EXPECT_EQ(files_in(folder_.path()), 1U);
}

TEST_F(ReplacedFileTest, LeavesTheOldOneWhereItIsGivenUp) {
    folder_.write_file("june.csv", "old");
    {
        ReplacedFile file(path_);
        file.write("new");
    }

    EXPECT_EQ(read_text(path_), "old");
    EXPECT_EQ(files_in(folder_.path()), 1U);
}

TEST_F(ReplacedFileTest, ReplacesTheTargetOfALink) {
    folder_.write_file("june.csv", "old");
    std::filesystem::create_symlink("june.csv", folder_.path() / "link.csv");
    ReplacedFile file(folder_.path() / "link.csv");
    file.write("new");
    file.put_in_place();

    EXPECT_EQ(read_text(path_), "new");
    EXPECT_TRUE(std::filesystem::is_symlink(folder_.path() / "link.csv"));
}

// A rename would put a file in the place of the device.
TEST_F(ReplacedFileTest, RefusesWhatIsNoRegularFile) {
    EXPECT_THROW(ReplacedFile("/dev/null"), Misused);
    EXPECT_THROW(ReplacedFile(folder_.path()), Misused);
    EXPECT_THROW(ReplacedFile(folder_.path() / "not-there" / "june.csv"), std::system_error);
}

}  // namespace
}  // namespace runledger::tool
