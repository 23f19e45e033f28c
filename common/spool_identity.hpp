// The file `identity` in a spool's folder, as pure functions: which host the folder's events are sent from.
//
// Two hosts that send one folder's segments, because it was copied or is shared, would retire each other's segments
// too early. docs/spool-format.md describes the file. Whoever calls reads and writes it. Any thread.
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
// A digest from which what it was made of can't be had back.
using HostId = Id128<struct HostTag>;

// A host as a spool's folder knows it.
struct SpoolHost {
    HostId id;
    std::string name;  // For people; only `id` is compared.

    // From the text of /etc/machine-id: what sd_id128_get_machine_app_specific(3) makes of it, since the machine's own
    // id is a secret. From the host's name where that text is no id, as in a container that has none.
    // Throws std::runtime_error where the cryptographic library has no HMAC-SHA256.
    [[nodiscard]] static SpoolHost from_machine(std::string_view machine_id_text, std::string_view hostname);
    // A host that its operator has named: whatever machine or container it is, it stays the same.
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

// Why the host must leave the folder alone, in a sentence that says what to do; nothing if it is the host's.
[[nodiscard]] std::optional<std::string> find_spool_identity_fault(
    const std::variant<SpoolIdentity, SpoolIdentityFault>& identity, const SpoolHost& host, std::string_view folder);

}  // namespace runledger
