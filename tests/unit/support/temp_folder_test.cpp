#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

struct stat stat_of(const fs::path& path) {
    struct stat result {};
    if (::stat(path.c_str(), &result) != 0) {
        throw std::runtime_error(path.string());
    }
    return result;
}

TEST(TempFolder, BelongsToTheUserThatServersRunAs) {
    const TempFolder folder;

    const struct stat found = stat_of(folder.path());

    EXPECT_EQ(found.st_uid, unprivileged_user().uid);
    EXPECT_NE(found.st_uid, 0U) << "servers must not run as root";
    EXPECT_EQ(found.st_mode & 07777U, 0755U);
}

TEST(TempFolder, IsGoneAfterATestThatPassed) {
    fs::path path;
    {
        const TempFolder folder;
        path = folder.path();
        folder.write_file("a", "text");
        folder.make_folder("b/c");
    }

    EXPECT_FALSE(fs::exists(path));
}

TEST(TempFolder, StaysWhenAnExceptionEndsTheTest) {
    fs::path path;
    try {
        const TempFolder folder;
        path = folder.path();
        throw std::runtime_error("as an eventually() does");
    } catch (const std::runtime_error&) {  // Expected.
    }

    EXPECT_TRUE(fs::exists(path));
    fs::remove_all(path);
}

TEST(TempFolder, IsNotClearedAwayByAForkedCopyOfTheTest) {
    auto folder = std::make_unique<TempFolder>();

    const pid_t copy = ::fork();
    if (copy == 0) {
        folder.reset();
        ::_exit(0);
    }
    ASSERT_EQ(::waitpid(copy, nullptr, 0), copy);

    EXPECT_TRUE(fs::exists(folder->path()));
}

TEST(TempFolder, StaysWhenItWasToldTo) {
    fs::path path;
    {
        TempFolder folder;
        path = folder.path();
        folder.keep();
    }

    EXPECT_TRUE(fs::exists(path));
    fs::remove_all(path);
}

TEST(TempFolder, IsShortEnoughForASocket) {
    const TempFolder folder;

    EXPECT_LT((folder / "pg/.s.PGSQL.65535.lock").string().size(), 100U);
}

TEST(TempFolder, InstallsAnExecutableThatAnybodyMayRun) {
    const TempFolder folder;
    const fs::path original = folder.write_file("program", "#!/bin/sh\n");
    fs::permissions(original, fs::perms{0700});

    const fs::path copy = install_executable(folder, original);

    EXPECT_NE(copy, original);
    EXPECT_EQ(stat_of(copy).st_mode & 07777U, 0755U);
    EXPECT_EQ(read_text(copy), "#!/bin/sh\n");
    EXPECT_EQ(install_executable(folder, original), copy);
}

}  // namespace
}  // namespace runledger::test
