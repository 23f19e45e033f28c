// Which host a spool folder belongs to: reads its file `identity`, and writes the file if there is none.
//
// Invariants: an existing file is never replaced, and no part of a file ever has its name, even if several couriers
// write at the same time or the machine dies. Only a courier writes; nginx's master only reads.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "common/spool_identity.hpp"
#include "nginx-module/log/edge_log.hpp"
#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

// This machine, from /etc/machine-id and its name.
[[nodiscard]] SpoolHost this_host(const std::string& machine_id_path = "/etc/machine-id");

// The file as it is now; nothing if there is none. Throws std::system_error if it can't be read.
[[nodiscard]] std::optional<std::variant<SpoolIdentity, SpoolIdentityFault>> read_spool_identity(
    Files& files, const std::string& folder);

// A courier's view of it. Used by the courier's thread alone.
class SpoolClaim {
public:
    // Without a host, any folder is accepted: nothing is read or written.
    SpoolClaim(std::string folder, std::optional<SpoolHost> host, Files& files, CourierLog& log)
        : folder_(std::move(folder)), host_(std::move(host)), files_(files), log_(log) {}

    // Reads the file again, and writes it if there is none. Logs a change. A failure is logged and changes nothing: a
    // folder without a file, or with an unreadable one, is used, because refusing events would cost more than waiting
    // for the next call.
    void look();

    // Why nothing may be adopted or made in the folder now; empty if it may.
    [[nodiscard]] const std::string& fault() const noexcept { return fault_; }

private:
    void write();

    std::string folder_;
    std::optional<SpoolHost> host_;
    Files& files_;
    CourierLog& log_;
    std::string fault_;
};

}  // namespace runledger::edge
