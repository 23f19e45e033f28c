// `runledger spool claim`: the operator says that this host, and no other, sends what is in the folder from now on.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>
#include <random>

#include "common/spool_identity.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/spool/commands.hpp"
#include "daemon/tool/spool/folder.hpp"
#include "daemon/tool/spool/move.hpp"

namespace runledger::tool {
namespace {

[[nodiscard]] SpoolHost this_host() {
    std::string machine_id;
    std::ifstream file("/etc/machine-id");
    std::getline(file, machine_id);  // No file, no text: the name counts, as it does for nginx.
    std::array<char, HOST_NAME_MAX + 1> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) {
        name[0] = '\0';  // Fails only for a name that is longer than any can be.
    }
    return SpoolHost::from_machine(machine_id, name.data());
}

[[nodiscard]] SpoolFolderId fresh_folder_id() {
    std::random_device random;
    SpoolFolderId id;
    for (std::uint8_t& byte : id.bytes) {
        byte = static_cast<std::uint8_t>(random());
    }
    return id;
}

// What the file says now, for the operator to see what was replaced.
[[nodiscard]] std::string describe_owner(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return "nobody";
    }
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const auto identity = parse_spool_identity(text);
    if (const auto* known = std::get_if<SpoolIdentity>(&identity)) {
        return known->host.name;
    }
    return "an unknown host: the file is damaged or of a later version";
}

}  // namespace

int claim_spool(const ClaimOptions& options, Output& out) {
    for (const SegmentPath& name : find_segments(options.folder)) {
        const auto look = look_at(name);
        if (look && look->is_owned) {
            throw SpoolError(fmt::format("{}: an nginx has it open; stop it first", name.path.string()));
        }
    }
    const SpoolHost host = options.host.empty() ? this_host() : SpoolHost::from_name(options.host);
    const auto path = options.folder / spool_identity_name;
    const std::string owner = describe_owner(path);
    replace_file(path, format_spool_identity({.folder = fresh_folder_id(), .host = host}));
    if (out.as_json) {
        JsonObject object;
        object.add("folder", options.folder.string()).add("host", host.name).add("host_before", owner);
        out.print(object);
    } else {
        out.print("{} belongs to {} now; it belonged to {}\n", options.folder.string(), host.name, owner);
    }
    return exit_yes;
}

}  // namespace runledger::tool
