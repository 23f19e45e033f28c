#include "nginx-module/spool/claim.hpp"

#include <unistd.h>

#include <array>
#include <climits>
#include <fstream>
#include <system_error>

#include "nginx-module/spool/folder.hpp"

namespace runledger::edge {
namespace {

// Where the file is made before it gets its name. One that was left by a crash is used again.
constexpr std::string_view unfinished_suffix = ".new";

std::string identity_path(const std::string& folder) { return folder + "/" + std::string(spool_identity_name); }

// Opens or makes it. Nothing if it came or went just now.
std::optional<Fd> open_unfinished(Files& files, const std::string& path) {
    if (auto fd = files.open(path)) {
        return fd;
    }
    try {
        return files.create(path);
    } catch (const std::system_error& e) {
        if (e.code() != std::errc::file_exists) {
            throw;
        }
        return std::nullopt;
    }
}

}  // namespace

SpoolHost this_host(const std::string& machine_id_path) {
    std::string machine_id;
    std::ifstream file(machine_id_path);
    std::getline(file, machine_id);  // No file, no text: the name counts.
    std::array<char, HOST_NAME_MAX + 1> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) {
        name[0] = '\0';  // Fails only for a name that is longer than any can be.
    }
    return SpoolHost::from_machine(machine_id, name.data());
}

std::optional<std::variant<SpoolIdentity, SpoolIdentityFault>> read_spool_identity(Files& files,
                                                                                   const std::string& folder) {
    const auto fd = files.open(identity_path(folder));
    if (!fd) {
        return std::nullopt;
    }
    std::string text(spool_identity_bytes_max + 1, '\0');
    text.resize(read_fully(files, fd->get(), std::as_writable_bytes(std::span(text)), 0));
    if (text.size() > spool_identity_bytes_max) {
        return SpoolIdentityFault::damaged;
    }
    return parse_spool_identity(text);
}

void SpoolClaim::look() {
    if (!host_) {
        return;
    }
    std::string fault;
    try {
        const auto identity = read_spool_identity(files_, folder_);
        if (identity) {
            fault = find_spool_identity_fault(*identity, *host_, folder_).value_or("");
        } else {
            write();
        }
    } catch (const std::system_error& e) {
        log_.add(LogLine::Level::crit, "spool's identity can't be read or written", e.what());
        return;
    }
    if (!fault.empty() && fault != fault_) {
        log_.add(LogLine::Level::crit, "spool refused", folder_ + ": " + fault);
    } else if (fault.empty() && !fault_.empty()) {
        log_.add(LogLine::Level::notice, "the spool belongs to this host again", folder_);
    }
    fault_ = std::move(fault);
}

void SpoolClaim::write() {
    const std::string unfinished = identity_path(folder_).append(unfinished_suffix);
    const auto fd = open_unfinished(files_, unfinished);
    if (!fd || !files_.try_lock(fd->get())) {
        return;  // Another courier is at it; the next look sees what it has written.
    }
    // Under the lock: the one who had it before may have given the file its name, or have finished another.
    const auto named = files_.facts(unfinished);
    if (!named || !named->same_file(files_.facts(fd->get()))) {
        return;
    }
    if (files_.facts(identity_path(folder_))) {
        files_.unlink(unfinished);
        return;
    }
    const SpoolIdentity identity{.folder = {.bytes = fresh_segment_id().bytes}, .host = *host_};
    const std::string text = format_spool_identity(identity);
    files_.truncate(fd->get(), 0);
    write_fully(files_, fd->get(), std::as_bytes(std::span(text)), 0);
    files_.sync(fd->get());
    files_.rename(unfinished, identity_path(folder_));
    files_.sync_folder(folder_);
}

}  // namespace runledger::edge
