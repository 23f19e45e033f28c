#include "nginx-module/refused/folder.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>

#include "tests/unit/nginx-module/refused/refused_fixture.hpp"

namespace runledger::edge::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RefusedFolderTest : public RefusedFixture {
protected:
    bool store(RefusedFolder& folder, int second, std::size_t bytes = 100, std::uint32_t from = sender) {
        const RefusedName name{.received_at = time_at(second), .sender = from, .random = ++last_random_};
        return folder.store(name, std::string(bytes, 'x'), time_at(second));
    }
    // One sender alone gets half, and two would fill the folder by their halves: of three, the bound stops them.
    int store_of_three_senders(RefusedFolder& folder, int count) {
        int stored = 0;
        for (int i = 0; i < count; ++i) {
            stored += store(folder, i, 100, sender + static_cast<std::uint32_t>(i % 3)) ? 1 : 0;
        }
        return stored;
    }

    EdgeLog log_;

private:
    std::uint64_t last_random_{0};
};

TEST_F(RefusedFolderTest, WritesAFileForItsOwnerAlone) {
    RefusedFolder folder(settings_, *files_, log_);

    ASSERT_TRUE(store(folder, 1));

    ASSERT_THAT(names(), SizeIs(1));
    struct stat facts {};
    ASSERT_EQ(::stat((std::filesystem::path(settings_.folder) / names().front()).c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U);
    EXPECT_EQ(folder.bodies(), 1U);
    EXPECT_EQ(folder.bytes(), 4096U);
}

TEST_F(RefusedFolderTest, KeepsTheOldestWhenThereAreTooMany) {
    settings_.bodies_max = 10;
    RefusedFolder folder(settings_, *files_, log_);

    EXPECT_EQ(store_of_three_senders(folder, 30), 10);

    EXPECT_TRUE(folder.is_full());
    ASSERT_THAT(names(), SizeIs(10));
    EXPECT_TRUE(names().back().starts_with("1700000009"));
}

TEST_F(RefusedFolderTest, KeepsTheOldestWhenTheyAreTooLarge) {
    settings_.bytes_max = 1024UL * 1024;
    RefusedFolder folder(settings_, *files_, log_);

    int stored = 0;
    for (int i = 0; i < 40; ++i) {
        stored += store(folder, i, 100'000, static_cast<std::uint32_t>(i)) ? 1 : 0;
    }

    EXPECT_EQ(stored, 10);
    EXPECT_LE(folder.bytes(), settings_.bytes_max);
    EXPECT_FALSE(folder.is_full()) << "a smaller one still fits";
    EXPECT_TRUE(store(folder, 99));
}

TEST_F(RefusedFolderTest, GivesOneSenderHalfAndNoMore) {
    settings_.bodies_max = 10;
    RefusedFolder folder(settings_, *files_, log_);

    int of_the_stranger = 0;
    for (int i = 0; i < 30; ++i) {
        of_the_stranger += store(folder, i, 100, stranger) ? 1 : 0;
    }

    EXPECT_EQ(of_the_stranger, 5);
    EXPECT_FALSE(folder.is_full());
    EXPECT_TRUE(store(folder, 40));
}

TEST_F(RefusedFolderTest, KnowsWhatOthersHaveStored) {
    settings_.bodies_max = 10;
    RefusedFolder one(settings_, *files_, log_);
    EXPECT_EQ(store_of_three_senders(one, 8), 8);

    RefusedFolder other(settings_, *files_, log_);
    EXPECT_EQ(store_of_three_senders(other, 8), 2);
}

TEST_F(RefusedFolderTest, RemovesWhatIsTooOldAndThenHasRoomAgain) {
    settings_.bodies_max = 4;
    settings_.age_max = std::chrono::seconds{100};
    RefusedFolder folder(settings_, *files_, log_);
    ASSERT_EQ(store_of_three_senders(folder, 4), 4);

    folder.look(time_at(100));
    EXPECT_TRUE(folder.is_full()) << "the oldest is just as old as it may be";
    folder.look(time_at(102));

    EXPECT_EQ(folder.bodies(), 2U);
    EXPECT_FALSE(folder.is_full());
    EXPECT_THAT(names(), SizeIs(2));
}

TEST_F(RefusedFolderTest, LeavesAloneWhatIsNotItsOwn) {
    settings_.age_max = std::chrono::seconds{1};
    std::ofstream(settings_.folder + "/notes.txt") << "of the operator";
    std::filesystem::create_directory(settings_.folder + "/1700000000000000-0a1b2c3d-0011223344556677.refused");
    RefusedFolder folder(settings_, *files_, log_);

    folder.look(time_at(1'000'000));

    EXPECT_THAT(names(), SizeIs(2));
    EXPECT_EQ(folder.bodies(), 0U);
}

TEST_F(RefusedFolderTest, RemovesHalfWrittenFilesOfWorkersThatWereKilledLongAgo) {
    const std::string half = ".1700000000000000-0a1b2c3d-0011223344556677.refused.half";
    std::ofstream(settings_.folder + "/" + half) << "runledger-ref";
    RefusedFolder folder(settings_, *files_, log_);
    const auto now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());

    folder.look(now);
    EXPECT_THAT(names(), ElementsAre(half)) << "its worker may be writing it";
    folder.look(now + std::chrono::minutes{11});

    EXPECT_THAT(names(), IsEmpty());
}

TEST_F(RefusedFolderTest, LeavesATenthOfTheDiskFree) {
    RefusedFolder folder(settings_, *files_, log_);
    files_->free_percent = 10;
    ASSERT_TRUE(store(folder, 1));

    files_->free_percent = 9;
    folder.look(time_at(1));

    EXPECT_FALSE(store(folder, 2));
    EXPECT_TRUE(folder.is_full());
    files_->free_percent = 10;
    folder.look(time_at(3));
    EXPECT_TRUE(store(folder, 3));
}

TEST_F(RefusedFolderTest, LeavesNothingOfAFileThatCouldNotBeWritten) {
    RefusedFolder folder(settings_, *files_, log_);
    files_->write_error = ENOSPC;

    EXPECT_THROW((void)store(folder, 1), std::system_error);

    EXPECT_THAT(names(), IsEmpty());
    EXPECT_EQ(folder.bodies(), 0U);
    files_->write_error = 0;
    EXPECT_TRUE(store(folder, 2));
}

}  // namespace
}  // namespace runledger::edge::test
