// Which hosts a tcp:// endpoint can be listened on: the one judgement of the daemon, before it binds, and of `runledger
// check`, which must not pass what ends the daemon.
//
// libzmq 4.3.5 takes some names and short forms of addresses, 4.3.4 takes others. What is taken here both take. Asks
// the kernel for its interfaces; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace runledger {

enum class BindHost : std::uint8_t {
    every_address,  // "*".
    interface,      // An interface of this machine.
    address,        // An IPv4 address, or an IPv6 address in brackets; bind() says whether it is one of this machine's.
    unusable,       // Anything else, such as a name: none is resolved.
};

// What to say of an unusable one, and of an address that is not of this machine.
inline constexpr std::string_view no_host_to_bind =
    "the host is neither an address of this machine (IPv6 in brackets) nor an interface nor *; names are not resolved "
    "here";

// Of the "HOST:PORT" that stands behind tcp://.
[[nodiscard]] BindHost bind_host(std::string_view host_and_port);

}  // namespace runledger
