// Whose a spool's folder is: reads its file `identity`, and writes it where there is none.
//
// Invariants: a file that is there is never replaced, and there is never a part of one under its name, whoever writes
// at the same time and wherever the machine dies. Only a courier writes; nginx's master only looks.
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
    // Without a host, the folder is anybody's: nothing is read or written.
    SpoolClaim(std::string folder, std::optional<SpoolHost> host, Files& files, CourierLog& log)
        : folder_(std::move(folder)), host_(std::move(host)), files_(files), log_(log) {}

    // Looks again, and claims a folder that nobody has claimed. What it finds is logged when it changes. A failure is
    // logged, and what was seen last stands: a folder without a file, or with one that can't be read, is used, since
    // refusing events costs more than waiting for the next look.
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
