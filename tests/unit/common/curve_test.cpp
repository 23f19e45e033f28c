#include "common/curve.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string key_a(40, 'a');
const std::string key_hash = "#" + std::string(39, 'b');  // Begins as a comment does.

std::string fault_of(const std::string& text) {
    const auto parsed = parse_curve_keys(text);
    const auto* fault = std::get_if<KeyFault>(&parsed);
    return fault != nullptr ? fault->sentence : "accepted";
}

TEST(CurveKeys, AreReadWithAndWithoutNames) {
    const auto parsed = parse_curve_keys("# edges\n\n  studio\t" + key_a + " \r\n" + key_hash);

    const auto& keys = std::get<std::vector<NamedKey>>(parsed);
    ASSERT_EQ(keys.size(), 2U);
    EXPECT_EQ(keys[0].name, "studio");
    EXPECT_EQ(keys[0].key, key_a);
    EXPECT_EQ(keys[1].name, "");
    EXPECT_EQ(keys[1].key, key_hash);
}

TEST(CurveKeys, FaultsAreNamedAndTheKeysAreNot) {
    struct Fault {
        std::string name;
        std::string text;
        std::string says;
    };
    const std::vector<Fault> faults{
        {"empty", "", "holds no key"},
        {"comments only", "# nothing\n", "holds no key"},
        {"short", "\nstudio aaaa\n", "line 2 does not end in a key"},
        {"long", "studio " + key_a + "a", "line 1 does not end in a key"},
        {"not Z85", "studio " + std::string(39, 'a') + "~", "line 1 does not end in a key"},
        {"three words", "studio " + key_a + " more", "line 1 does not end in a key"},
        {"name twice", "studio " + key_a + "\nstudio " + std::string(40, 'b'), "line 2 repeats a name"},
        {"key twice", "one " + key_a + "\ntwo " + key_a, "line 2 repeats a key"},
    };
    for (const Fault& fault : faults) {
        SCOPED_TRACE(fault.name);
        EXPECT_THAT(fault_of(fault.text), HasSubstr(fault.says));
        EXPECT_THAT(fault_of(fault.text), Not(HasSubstr("aaaa")));
    }
}

TEST(Endpoints, NeedCurveWhereTheyLeaveTheHost) {
    for (const auto* at_home : {"ipc:///run/d.sock", "ipc://@name", "tcp://127.0.0.1:7000", "tcp://127.8.8.8:7000",
                                "tcp://[::1]:7000", "tcp://localhost:7000"}) {
        EXPECT_FALSE(leaves_the_host(at_home)) << at_home;
    }
    for (const auto* away : {"tcp://10.0.0.5:7000", "tcp://*:7000", "tcp://0.0.0.0:7000", "tcp://[::]:7000",
                             "tcp://127.0.0.1.example.com:7000", "tcp://ledger:7000", "tcp://eth0:7000",
                             "tcp://localhost.example.com:7000"}) {
        EXPECT_TRUE(leaves_the_host(away)) << away;
    }
}

}  // namespace
}  // namespace runledger
