// What runledgerd says where it can't start.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

TEST(DaemonStart, EndsWithAReasonWhereTheUserMayStartNoThread) {
    const TempFolder folder;
    const auto program = install_executable(folder, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon/runledgerd");
    const auto configuration = folder.write_file(
        "runledgerd.toml", fmt::format("[intake]\nbind = [\"ipc://{0}/d.sock\"]\n[postgres]\nuri = \"host={0}\"\n",
                                       folder.path().string()));

    const Finished ended =
        run_to_end({.argv = {"prlimit", "--nproc=1:1", program.string(), "--config", configuration.string()}}, folder);

    EXPECT_EQ(ended.status, (ExitStatus{.code = 1})) << ended.output;
    EXPECT_THAT(ended.output, testing::HasSubstr("threads are needed, and only 0 can be started"));
    EXPECT_THAT(ended.output, testing::HasSubstr("TasksMax="));
}

TEST(Version, IsSaidByBothPrograms) {
    const TempFolder folder;
    for (const std::string name : {"runledgerd", "runledger"}) {
        const auto program = install_executable(folder, std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / name);

        const Finished said = run_to_end({.argv = {program.string(), "--version"}}, folder);

        EXPECT_TRUE(said.status.clean()) << said.output;
        EXPECT_THAT(said.output, testing::MatchesRegex(name + " [0-9]+\\.[0-9]+\\.[0-9]+( \\([-.0-9A-Za-z]+\\))?\n"));
    }
}

}  // namespace
}  // namespace runledger::test
