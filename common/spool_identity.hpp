// The file `identity` in a spool's folder, as pure functions: which host the folder's events are sent from.
//
// If two hosts send the segments of one folder, because it was copied or is shared, each has the other's segments
// retired too early. docs/spool-format.md describes the file. The caller reads and writes it. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/identity.hpp"

namespace runledger {

inline constexpr std::string_view spool_identity_name = "identity";
inline constexpr std::uint32_t spool_identity_version = 1;
inline constexpr std::size_t spool_identity_bytes_max = 1024;

// Random, made with the file.
using SpoolFolderId = Id128<struct SpoolFolderTag>;
// A one-way digest.
using HostId = Id128<struct HostTag>;

// A host as a spool's folder knows it.
struct SpoolHost {
    HostId id;
    std::string name;  // For people; only `id` is compared.

    // From the text of /etc/machine-id: what sd_id128_get_machine_app_specific(3) makes of it, since the machine's own
    // id is a secret. If that text is not an id, as in a container without one, the host's name is used.
    // Throws std::runtime_error if the cryptographic library has no HMAC-SHA256.
    [[nodiscard]] static SpoolHost from_machine(std::string_view machine_id_text, std::string_view hostname);
    // A host that its operator has named: it stays the same on any machine and in any container.
    [[nodiscard]] static SpoolHost from_name(std::string_view name);
};

struct SpoolIdentity {
    SpoolFolderId folder;
    SpoolHost host;
};

enum class SpoolIdentityFault : std::uint8_t {
    damaged,
    unknown_version,  // Ours, of a version that this build can't read.
};

// The file's whole text. Bytes of the name that would not fit a line are replaced.
[[nodiscard]] std::string format_spool_identity(const SpoolIdentity& identity);
[[nodiscard]] std::variant<SpoolIdentity, SpoolIdentityFault> parse_spool_identity(std::string_view text);

// Why this host must not use the folder, in a sentence that says what to do; nothing if the folder is this host's.
[[nodiscard]] std::optional<std::string> find_spool_identity_fault(
    const std::variant<SpoolIdentity, SpoolIdentityFault>& identity, const SpoolHost& host, std::string_view folder);

}  // namespace runledger
