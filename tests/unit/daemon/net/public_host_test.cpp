#include "daemon/net/public_host.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace runledger {
namespace {

struct Host {
    const char* name;
    const char* url;
    const char* host;  // Empty: not to be fetched.
};

class HttpsHosts : public testing::TestWithParam<Host> {};

TEST_P(HttpsHosts, AreNamesOfHttpsLinks) { EXPECT_EQ(find_https_host(GetParam().url).value_or(""), GetParam().host); }

INSTANTIATE_TEST_SUITE_P(
    All, HttpsHosts,
    testing::Values(Host{"plain", "https://cdn.example.com/a.png", "cdn.example.com"},
                    Host{"upper_case", "HTTPS://CDN.Example.COM/a", "cdn.example.com"},
                    Host{"port_443", "https://cdn.example.com:443/a", "cdn.example.com"},
                    Host{"query_at_once", "https://cdn.example.com?x=/", "cdn.example.com"},
                    Host{"http", "http://cdn.example.com/a", ""}, Host{"ftp", "ftp://cdn.example.com/a", ""},
                    Host{"file", "file:///etc/passwd", ""}, Host{"another_port", "https://cdn.example.com:8443/a", ""},
                    Host{"a_user", "https://cdn.example.com@10.0.0.1/a", ""},
                    Host{"a_user_and_password", "https://cdn.example.com:443@evil.example/a", ""},
                    Host{"a_backslash", "https://evil.example\\\\.cdn.example.com/a", "evil.example"},
                    Host{"dotted_address", "https://10.0.0.1/a", ""}, Host{"short_address", "https://127.1/a", ""},
                    Host{"decimal_address", "https://2130706433/a", ""},
                    Host{"hex_address", "https://0x7f000001/a", ""}, Host{"octal_address", "https://0177.0.0.1/a", ""},
                    Host{"ipv6", "https://[::1]/a", ""}, Host{"trailing_dot", "https://cdn.example.com./a", ""},
                    Host{"percent", "https://cdn%2eexample.com/a", ""},
                    Host{"unicode",
                         "https://cdn\xE3\x80\x82"
                         "example.com/a",
                         ""},
                    Host{"no_host", "https:///a", ""}, Host{"nothing", "https://", ""}),
    [](const auto& row) { return row.param.name; });

TEST(ConfiguredHosts, AreSuffixesOfWholeLabels) {
    const std::array<std::string, 2> suffixes{"amazonaws.com", "cdn.example"};

    EXPECT_TRUE(is_configured_host("amazonaws.com", suffixes));
    EXPECT_TRUE(is_configured_host("bucket.s3.amazonaws.com", suffixes));
    EXPECT_TRUE(is_configured_host("cdn.example", suffixes));
    EXPECT_FALSE(is_configured_host("notamazonaws.com", suffixes));
    EXPECT_FALSE(is_configured_host("amazonaws.com.evil.example", suffixes));
    EXPECT_FALSE(is_configured_host(".amazonaws.com", std::array<std::string, 1>{"b.amazonaws.com"}));
    EXPECT_FALSE(is_configured_host("anything", {}));
}

struct Address {
    const char* text;
    bool is_public;
};

class Addresses : public testing::TestWithParam<Address> {};

TEST_P(Addresses, ArePublicOrAreNotConnectedTo) {
    sockaddr_storage storage{};
    socklen_t length = 0;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);   // The sockets API's own way of passing addresses.
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);  // Likewise.
    if (inet_pton(AF_INET, GetParam().text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        length = sizeof *v4;
    } else {
        ASSERT_EQ(inet_pton(AF_INET6, GetParam().text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        length = sizeof *v6;
    }

    EXPECT_EQ(is_public_address(reinterpret_cast<const sockaddr&>(storage), length), GetParam().is_public)
        << GetParam().text;
    EXPECT_FALSE(is_public_address(reinterpret_cast<const sockaddr&>(storage), 2)) << "cut off";
}

INSTANTIATE_TEST_SUITE_P(
    V4, Addresses,
    testing::Values(Address{"8.8.8.8", true}, Address{"1.1.1.1", true}, Address{"9.255.255.255", true},
                    Address{"11.0.0.0", true}, Address{"172.15.255.255", true}, Address{"172.32.0.0", true},
                    Address{"100.63.255.255", true}, Address{"100.128.0.0", true}, Address{"0.0.0.0", false},
                    Address{"0.1.2.3", false}, Address{"10.0.0.1", false}, Address{"10.255.255.255", false},
                    Address{"100.64.0.1", false}, Address{"127.0.0.1", false}, Address{"127.255.255.255", false},
                    Address{"169.254.169.254", false}, Address{"172.16.0.1", false}, Address{"172.31.255.255", false},
                    Address{"192.0.0.1", false}, Address{"192.0.2.1", false}, Address{"192.168.1.1", false},
                    Address{"198.18.0.1", false}, Address{"198.19.255.255", false}, Address{"198.51.100.1", false},
                    Address{"203.0.113.1", false}, Address{"224.0.0.1", false}, Address{"240.0.0.1", false},
                    Address{"255.255.255.255", false}));

INSTANTIATE_TEST_SUITE_P(
    V6, Addresses,
    testing::Values(Address{"2606:4700::1111", true}, Address{"2a00:1450:4001::200e", true}, Address{"::", false},
                    Address{"::1", false}, Address{"::ffff:127.0.0.1", false}, Address{"::ffff:10.0.0.1", false},
                    Address{"::ffff:8.8.8.8", true}, Address{"::127.0.0.1", false}, Address{"::8.8.8.8", false},
                    Address{"64:ff9b::10.0.0.1", false}, Address{"64:ff9b::8.8.8.8", true},
                    Address{"64:ff9b:1::1", false}, Address{"100::1", false}, Address{"2001::1", false},
                    Address{"2001:db8::1", false}, Address{"2002:7f00:1::", false}, Address{"2002:a9fe:a9fe::1", false},
                    Address{"2002:808:808::1", true}, Address{"3fff::1", false}, Address{"fc00::1", false},
                    Address{"fd12:3456::1", false}, Address{"fe80::1", false}, Address{"fec0::1", false},
                    Address{"ff02::1", false}));

TEST(OddAddresses, OfOtherFamiliesAreNotPublic) {
    sockaddr_storage storage{};
    storage.ss_family = AF_UNIX;

    EXPECT_FALSE(is_public_address(reinterpret_cast<const sockaddr&>(storage), sizeof storage));
}

}  // namespace
}  // namespace runledger
