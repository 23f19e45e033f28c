#include "daemon/tool/output/whole_file.hpp"

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

class WholeFileTest : public testing::Test {
protected:
    TempFolder folder_;
    std::filesystem::path path_{folder_.path() / "june.csv"};
};

TEST_F(WholeFileTest, IsNotThereBeforeItIsWhole) {
    WholeFile file(path_);
    file.write("a part");

    EXPECT_FALSE(std::filesystem::exists(path_));
    file.replace();

    EXPECT_EQ(read_text(path_), "a part");
    EXPECT_EQ(files_in(folder_.path()), 1U);
}

TEST_F(WholeFileTest, LeavesTheOldOneWhereItIsGivenUp) {
    folder_.write_file("june.csv", "old");
    {
        WholeFile file(path_);
        file.write("new");
    }

    EXPECT_EQ(read_text(path_), "old");
    EXPECT_EQ(files_in(folder_.path()), 1U);
}

TEST_F(WholeFileTest, IsReadableForNobodyWhoCouldNotReadTheOldOne) {
    folder_.write_file("june.csv", "old");
    std::filesystem::permissions(path_, std::filesystem::perms{0600});
    WholeFile file(path_);
    file.take_rights_of_old();
    file.write("new");
    file.replace();

    EXPECT_EQ(std::filesystem::status(path_).permissions(), std::filesystem::perms{0600});
    EXPECT_EQ(read_text(path_), "new");

    WholeFile another(folder_.path() / "july.csv");
    another.take_rights_of_old();  // None is there.
    another.replace();
}

TEST_F(WholeFileTest, ReplacesTheTargetOfALink) {
    folder_.write_file("june.csv", "old");
    std::filesystem::create_symlink("june.csv", folder_.path() / "link.csv");
    WholeFile file(place_of_file(folder_.path() / "link.csv"));
    file.write("new");
    file.replace();

    EXPECT_EQ(read_text(path_), "new");
    EXPECT_TRUE(std::filesystem::is_symlink(folder_.path() / "link.csv"));
}

// A rename would put a file in the place of the device.
TEST_F(WholeFileTest, RefusesWhatIsNoRegularFile) {
    EXPECT_THROW(static_cast<void>(place_of_file("/dev/null")), Misused);
    EXPECT_THROW(static_cast<void>(place_of_file(folder_.path())), Misused);
}

TEST_F(WholeFileTest, SaysWhereItCannotBeMade) {
    EXPECT_THROW(WholeFile(folder_.path() / "not-there" / "june.csv"), std::system_error);
}

TEST_F(WholeFileTest, TakesNoNameThatAnotherFileHas) {
    {
        WholeFile first(path_);
        first.write("first");
        EXPECT_TRUE(first.take_name());
    }
    {
        WholeFile second(path_);
        second.write("second");
        EXPECT_FALSE(second.take_name());
    }

    EXPECT_EQ(read_text(path_), "first");
    EXPECT_EQ(files_in(folder_.path()), 1U);
}

}  // namespace
}  // namespace runledger::tool
