#include "daemon/net/bind_host.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <string>

namespace runledger {
namespace {

bool is_v4_address(const std::string& text) {
    in_addr address{};
    return inet_pton(AF_INET, text.c_str(), &address) == 1;
}

// A link-local one may name its interface: "fe80::1%eth0".
bool is_v6_address(const std::string& text) {
    const std::size_t percent = text.find('%');
    in6_addr address{};
    return inet_pton(AF_INET6, text.substr(0, percent).c_str(), &address) == 1 &&
           (percent == std::string::npos ||
            (IN6_IS_ADDR_LINKLOCAL(&address) && if_nametoindex(text.substr(percent + 1).c_str()) != 0));
}

}  // namespace

BindHost bind_host(std::string_view host_and_port) {
    const std::string host(host_and_port.substr(0, std::min(host_and_port.rfind(':'), host_and_port.size())));
    if (host == "*") {
        return BindHost::every_address;
    }
    if (host.starts_with('[') && host.ends_with(']')) {
        return is_v6_address(host.substr(1, host.size() - 2)) ? BindHost::address : BindHost::unusable;
    }
    if (is_v4_address(host)) {
        return BindHost::address;
    }
    return if_nametoindex(host.c_str()) != 0 ? BindHost::interface : BindHost::unusable;
}

}  // namespace runledger
