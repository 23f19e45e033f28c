#include "daemon/net/bind_host.hpp"

#include <gtest/gtest.h>

#include <string>

namespace runledger {
namespace {

TEST(BindHost, IsAnAddressAnInterfaceOrEveryAddress) {
    struct Case {
        const char* host;
        BindHost is;
    };
    for (const Case& row : {
             Case{"127.0.0.1", BindHost::address},
             Case{"203.0.113.7", BindHost::address},  // Whether it is of this machine, bind() says.
             Case{"[::1]", BindHost::address},
             Case{"[2001:db8::7]", BindHost::address},
             Case{"[fe80::1%lo]", BindHost::address},
             Case{"*", BindHost::every_address},
             Case{"lo", BindHost::interface},
             Case{"localhost", BindHost::unusable},
             Case{"ledger.example.com", BindHost::unusable},
             Case{"no-such-nic", BindHost::unusable},
             Case{"", BindHost::unusable},
             // What one resolver takes for an address, and another one does not.
             Case{"127.1", BindHost::unusable},
             Case{"0x7f000001", BindHost::unusable},
             Case{"127.0.0.1:1", BindHost::unusable},
             Case{"::1", BindHost::unusable},
             Case{"[::1", BindHost::unusable},
             Case{"[]", BindHost::unusable},
             Case{"[*]", BindHost::unusable},
             Case{"[localhost]", BindHost::unusable},
             Case{"[127.0.0.1]", BindHost::unusable},
             Case{"[fe80::1%]", BindHost::unusable},
             Case{"[::1%lo]", BindHost::unusable},  // getaddrinfo() wants a scope of link-local addresses alone.
             Case{"[fe80::1%no-such-nic]", BindHost::unusable},
         }) {
        for (const char* port : {"9463", "*"}) {
            EXPECT_EQ(bind_host(std::string(row.host) + ":" + port), row.is) << row.host << ":" << port;
        }
    }
    EXPECT_EQ(bind_host("9463"), BindHost::unusable);
}

}  // namespace
}  // namespace runledger
