#include "common/spool_identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view machine_id = "0123456789abcdef0123456789abcdef\n";
constexpr std::string_view good =
    "runledger-spool 1\n"
    "folder a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\n"
    "host b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2\n"
    "hostname edge-1\n";

TEST(SpoolIdentity, IsWrittenAndReadAsTheFormatSays) {
    const auto parsed = parse_spool_identity(good);

    const auto& identity = std::get<SpoolIdentity>(parsed);
    EXPECT_EQ(identity.folder.hex(), "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1");
    EXPECT_EQ(identity.host.id.hex(), "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2");
    EXPECT_EQ(identity.host.name, "edge-1");
    EXPECT_EQ(format_spool_identity(identity), good);
}

TEST(SpoolIdentity, IsRefusedUnlessItIsWhole) {
    const auto with = [](std::string_view from, std::string_view to) {
        std::string text(good);
        return text.replace(text.find(from), from.size(), to);
    };
    struct Row {
        const char* name;
        std::string text;
        SpoolIdentityFault fault;
    };
    const Row rows[] = {
        {"empty", "", SpoolIdentityFault::damaged},
        {"another file", "do not delete\n", SpoolIdentityFault::damaged},
        {"cut in the first line", "runledger-spool 1", SpoolIdentityFault::damaged},
        {"cut after the first line", "runledger-spool 1\n", SpoolIdentityFault::damaged},
        {"no last newline", std::string(good.substr(0, good.size() - 1)), SpoolIdentityFault::damaged},
        {"short folder", with("folder a1", "folder "), SpoolIdentityFault::damaged},
        {"hyphens in the host", with("host b2b2", "host b2-b2"), SpoolIdentityFault::damaged},
        {"upper case", with("folder a1", "folder A1"), SpoolIdentityFault::damaged},
        {"lines in another order", with("folder", "fodler"), SpoolIdentityFault::damaged},
        {"no host name", with("edge-1", ""), SpoolIdentityFault::damaged},
        {"zeros in the host name", with("edge-1", std::string_view("e\0", 2)), SpoolIdentityFault::damaged},
        {"a line more", std::string(good) + "more 1\n", SpoolIdentityFault::damaged},
        {"version without a number", with("spool 1", "spool one"), SpoolIdentityFault::damaged},
        {"version with a zero before it", with("spool 1", "spool 01"), SpoolIdentityFault::damaged},
        {"version 2", with("spool 1", "spool 2"), SpoolIdentityFault::unknown_version},
        {"version 2 with other lines", "runledger-spool 2\nowner x\n", SpoolIdentityFault::unknown_version},
    };
    for (const Row& row : rows) {
        const auto parsed = parse_spool_identity(row.text);
        ASSERT_TRUE(std::holds_alternative<SpoolIdentityFault>(parsed)) << row.name;
        EXPECT_EQ(std::get<SpoolIdentityFault>(parsed), row.fault) << row.name;
    }
}

TEST(SpoolIdentity, EveryPrefixOfAFileIsDamage) {
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_TRUE(std::holds_alternative<SpoolIdentityFault>(parse_spool_identity(good.substr(0, length)))) << length;
    }
}

// `systemd-id128 machine-id --app-specific=5e1f9b3a704d4c869a2ed10753c8bf64` says the same on that machine.
TEST(SpoolIdentity, TellsAHostByItsMachineIdWithoutGivingThatAway) {
    const auto host = SpoolHost::from_machine(machine_id, "edge-1");

    EXPECT_EQ(host.id.hex(), "5055e73a009d418b8948805043ed2c53");
    EXPECT_EQ(host.name, "edge-1");
    EXPECT_EQ(SpoolHost::from_machine(machine_id, "renamed").id, host.id) << "a host may be renamed";
}

TEST(SpoolIdentity, TellsAHostWithoutAMachineIdByItsName) {
    struct Row {
        const char* name;
        std::string_view text;
    };
    const Row rows[] = {{"no file", ""},
                        {"before the first boot", "uninitialized\n"},
                        {"an image's", "00000000000000000000000000000000\n"},
                        {"too short", "0123456789abcdef\n"}};
    for (const Row& row : rows) {
        EXPECT_EQ(SpoolHost::from_machine(row.text, "edge-1").id, SpoolHost::from_name("edge-1").id) << row.name;
    }
    EXPECT_NE(SpoolHost::from_name("edge-1").id, SpoolHost::from_name("edge-2").id);
    EXPECT_NE(SpoolHost::from_name("edge-1").id, SpoolHost::from_machine(machine_id, "edge-1").id);
}

TEST(SpoolIdentity, KeepsTheHostNameToOneLine) {
    const SpoolIdentity identity{.folder = {}, .host = SpoolHost::from_name("two\nlines")};

    const auto parsed = parse_spool_identity(format_spool_identity(identity));

    EXPECT_EQ(std::get<SpoolIdentity>(parsed).host.name, "two?lines");
    EXPECT_EQ(SpoolHost::from_name("").name, "unnamed");
}

TEST(SpoolIdentity, SaysWhyAFolderIsRefusedAndWhatToDo) {
    const auto ours = SpoolHost::from_name("new-host");
    const auto theirs = SpoolHost::from_name("old-host");
    const auto fault = [&](const std::variant<SpoolIdentity, SpoolIdentityFault>& identity) {
        return find_spool_identity_fault(identity, ours, "/spool").value_or("none");
    };

    EXPECT_EQ(fault(SpoolIdentity{.folder = {}, .host = {.id = ours.id, .name = "its former name"}}), "none");
    EXPECT_THAT(fault(SpoolIdentity{.folder = {}, .host = theirs}),
                AllOf(HasSubstr("\"old-host\""), HasSubstr("\"new-host\""), HasSubstr("runledger spool claim /spool")));
    EXPECT_THAT(fault(SpoolIdentityFault::damaged), AllOf(HasSubstr("damaged"), HasSubstr("spool claim /spool")));
    EXPECT_THAT(fault(SpoolIdentityFault::unknown_version), HasSubstr("later version"));
}

}  // namespace
}  // namespace runledger
