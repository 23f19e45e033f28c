#include "nginx-module/spool/file_system.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "tests/support/temp_folder.hpp"

namespace runledger::edge {
namespace {

using ::testing::HasSubstr;

enum class Verdict : std::uint8_t { fine, warned, refused };

struct Row {
    const char* name;
    std::uint32_t type;
    Verdict verdict;
    const char* words;
};

// The numbers stand here once more, so that a slip in the table shows.
constexpr Row rows[] = {
    {"ext4", 0xEF53, Verdict::fine, ""},
    {"XFS", 0x58465342, Verdict::fine, ""},
    {"Btrfs", 0x9123683E, Verdict::fine, ""},
    {"ZFS", 0x2FC12FC1, Verdict::fine, ""},
    {"F2FS", 0xF2F52010, Verdict::fine, ""},
    {"one that nobody knows", 0x12345678, Verdict::fine, ""},
    {"NFS", 0x6969, Verdict::refused, "on NFS, where neither locks nor fdatasync"},
    {"SMB", 0x517B, Verdict::refused, "on SMB"},
    {"CIFS", 0xFF534D42, Verdict::refused, "on CIFS"},
    {"SMB2", 0xFE534D42, Verdict::refused, "on SMB2"},
    {"9P", 0x01021997, Verdict::refused, "on 9P"},
    {"Ceph", 0x00C36400, Verdict::refused, "on Ceph"},
    {"OpenAFS", 0x5346414F, Verdict::refused, "on AFS"},
    {"kAFS", 0x6B414653, Verdict::refused, "on AFS"},
    {"Coda", 0x73757245, Verdict::refused, "on Coda"},
    {"NCP", 0x564C, Verdict::refused, "on NCP"},
    {"Lustre", 0x0BD00BD0, Verdict::refused, "on Lustre"},
    {"GPFS", 0x47504653, Verdict::refused, "on GPFS"},
    {"BeeGFS", 0x19830326, Verdict::refused, "on BeeGFS"},
    {"PanFS", 0xAAD7AAEA, Verdict::refused, "on PanFS"},
    {"OrangeFS", 0x20030528, Verdict::refused, "on OrangeFS"},
    {"VirtualBox", 0x786F4256, Verdict::refused, "shared folder"},
    {"VMware", 0xBACBACBC, Verdict::refused, "shared folder"},
    {"Parallels", 0x7C7C6673, Verdict::refused, "shared folder"},
    {"OCFS2", 0x7461636F, Verdict::warned, "other hosts"},
    {"GFS2", 0x01161970, Verdict::warned, "other hosts"},
    {"tmpfs", 0x01021994, Verdict::warned, "does not survive a power loss"},
    {"ramfs", 0x858458F6, Verdict::warned, "does not survive a power loss"},
    {"FUSE", 0x65735546, Verdict::warned, "on FUSE"},
    {"overlay", 0x794C7630, Verdict::warned, "container"},
};

TEST(FileSystem, IsRefusedWarnedOfOrTakenByItsType) {
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);

        const auto finding = find_file_system_fault("/spool", [&](const std::string& path) {
            EXPECT_EQ(path, "/spool");
            return row.type;
        });

        EXPECT_EQ(finding.has_value(), row.verdict != Verdict::fine);
        if (finding) {
            EXPECT_EQ(finding->is_refused, row.verdict == Verdict::refused);
            EXPECT_THAT(finding->sentence, HasSubstr(row.words));
        }
    }
}

TEST(FileSystem, ThatCannotBeAskedIsAFailure) {
    EXPECT_THROW((void)find_file_system_fault("/nowhere/at/all"), std::system_error);
}

TEST(FileSystem, OfMemoryIsKnownWhenItIsReallyMounted) {
    const runledger::test::TempFolder temp;
    const std::string folder = temp.make_folder("tmpfs");
    if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m") != 0) {
        GTEST_SKIP() << "mounting needs rights that this user has not: " << std::strerror(errno);
    }

    const auto finding = find_file_system_fault(folder);

    EXPECT_EQ(::umount2(folder.c_str(), MNT_DETACH), 0);
    ASSERT_TRUE(finding.has_value());
    EXPECT_FALSE(finding->is_refused);
    EXPECT_THAT(finding->sentence, HasSubstr("on tmpfs, which does not survive a power loss"));
}

}  // namespace
}  // namespace runledger::edge
