#include "daemon/tool/check/files.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace runledger::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view secrets = "secrets";
constexpr std::string_view spool = "spool";
constexpr std::string_view space = "space";

constexpr std::uint64_t mebibyte = 1024UL * 1024;

std::string system_words() { return std::generic_category().message(errno); }

std::string mib(std::uint64_t bytes) { return fmt::format("{} MiB", bytes / mebibyte); }

// Of everybody but the owner: may change it, or put another file in its place.
std::optional<std::string> find_writers(const fs::path& path, const struct stat& file) {
    if ((file.st_mode & S_IWOTH) != 0) {
        return "everybody may change it";
    }
    if ((file.st_mode & S_IWGRP) != 0 && file.st_gid != 0) {
        return fmt::format("the group {} may change it", group_name_of(file.st_gid));
    }
    struct stat folder {};
    if (::stat(path.parent_path().c_str(), &folder) == 0 && (folder.st_mode & S_IWOTH) != 0 &&
        (folder.st_mode & S_ISVTX) == 0) {
        return "everybody may put another file in its place";
    }
    return std::nullopt;
}

// False: something is wrong, and was reported.
bool check_file(std::string_view what, const fs::path& path, const Account& daemon, Findings& findings) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
        findings.unknown(secrets, fmt::format("{} {}: {}", what, path.string(), system_words()),
                         "run the check as root, or as the daemon's user");
        return false;
    }
    if (!daemon.may_read(file)) {
        findings.fail(secrets, fmt::format("{} {}: the user {} can't read it", what, path.string(), daemon.name),
                      fmt::format("chown root:{0} {1} and chmod 0640 {1}", group_name_of(daemon.gid), path.string()));
        return false;
    }
    if (const auto writers = find_writers(path, file)) {
        findings.fail(secrets, fmt::format("{} {}: {}", what, path.string(), *writers),
                      fmt::format("chmod go-w on it and on its folder: {}", path.string()));
        return false;
    }
    if (file.st_uid != 0 && file.st_uid != daemon.uid) {
        findings.warn(
            secrets,
            fmt::format("{} {}: the user {} owns it and may change it", what, path.string(), name_of(file.st_uid)),
            fmt::format("chown root {}", path.string()));
        return false;
    }
    return true;
}

bool has_password(const std::string& uri) {
    const std::size_t scheme = uri.find("://");
    if (scheme == std::string::npos) {
        return uri.find("password") != std::string::npos;
    }
    const std::string_view authority = std::string_view(uri).substr(scheme + 3, uri.find('/', scheme + 3) - scheme - 3);
    const std::size_t at = authority.rfind('@');
    return uri.find("password=") != std::string::npos ||
           (at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos);
}

std::string_view trouble_of(std::uint32_t type) {
    switch (type) {
        case NFS_SUPER_MAGIC:
        case SMB_SUPER_MAGIC:
        case 0xFF534D42:  // CIFS
        case 0xFE534D42:  // SMB2
        case V9FS_MAGIC:
        case 0x00C36400:  // Ceph
            return "is on a network file system";
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
            return "is in memory and does not survive a power loss";
        case OVERLAYFS_SUPER_MAGIC:
            return "is in a container's own layer and is gone with the container";
        default:
            return "";
    }
}

struct Segments {
    std::uint64_t bytes{0};
    std::size_t damaged{0};
    bool is_known{false};
};

Segments look_at_segments(const fs::path& folder) {
    Segments segments;
    std::error_code error;
    fs::directory_iterator at(folder, error);
    segments.is_known = !error;
    for (; !error && at != fs::directory_iterator(); at.increment(error)) {
        struct stat file {};
        if (::stat(at->path().c_str(), &file) == 0) {  // Else it has gone since it was listed.
            segments.bytes += static_cast<std::uint64_t>(file.st_blocks) * 512;  // st_blocks' unit: stat(2).
        }
        segments.damaged += at->path().extension() == ".damaged" ? 1 : 0;
    }
    return segments;
}

std::optional<std::uint64_t> free_bytes(const fs::path& folder) {
    struct statvfs room {};
    if (::statvfs(folder.c_str(), &room) != 0) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
}

void check_spool_room(const LocalEdge& edge, Findings& findings) {
    const std::string folder = edge.spool.string();
    const auto room = free_bytes(edge.spool);
    if (!room) {
        findings.unknown(space, fmt::format("{}: {}", folder, system_words()), "run the check as root");
        return;
    }
    constexpr std::uint64_t least = 64 * mebibyte;  // Of four segments.
    const Segments segments = look_at_segments(edge.spool);
    const std::uint64_t to_come = edge.spool_bytes_max - std::min(edge.spool_bytes_max, segments.bytes);
    if (*room < least) {
        findings.fail(space,
                      fmt::format("{} are free for the spool {}: events are about to be refused", mib(*room), folder),
                      "free space on this disk, or give the spool another one");
    } else if (*room < to_come) {
        findings.warn(space,
                      fmt::format("{} are free for the spool {}, and up to max_size {} would be needed", mib(*room),
                                  folder, mib(to_come)),
                      "enlarge the disk, or reduce max_size of runledger_spool");
    } else {
        findings.passed(space, fmt::format("{} are free for the spool {}", mib(*room), folder));
    }
    if (!segments.is_known) {
        findings.unknown(spool,
                         fmt::format("{}: its segments can't be listed by the user {}", folder, own_account().name),
                         "run the check as root, or as nginx's user");
    } else if (segments.damaged > 0) {
        findings.warn(spool, fmt::format("{} damaged segments are in {}", segments.damaged, folder),
                      "docs/operations.md, \"Damage\": look at them with `runledger spool show`, check the disk");
    }
}

}  // namespace

void check_secrets(const Config& config, const fs::path& config_file, const Account& daemon, Findings& findings) {
    std::vector<std::pair<std::string_view, fs::path>> files{{"the configuration", config_file}};
    const auto add = [&files](std::string_view key, const fs::path& path) {
        if (!path.empty()) {
            files.emplace_back(key, path);
        }
    };
    add("[postgres] password_file", config.postgres.password_file);
    add("[telegram] token_file", config.telegram.token_file);
    add("[comfydeploy] api_key_file", config.comfydeploy.api_key_file);
    add("[page] token_file", config.page.token_file);
    add("[webhooks] secrets_file", config.webhooks.secrets_file);
    if (config.intake.curve) {
        add("[intake] curve_secret_key_file", config.intake.curve->secret_key_file);
        add("[intake] curve_authorized_keys_file", config.intake.curve->authorized_keys_file);
    }
    bool is_sound = true;
    for (const auto& [what, path] : files) {
        is_sound = check_file(what, path, daemon, findings) && is_sound;
    }
    std::ifstream opened(config_file);
    std::stringstream text;
    text << opened.rdbuf();
    const auto stands_in_file = [&](const std::string& uri) {
        return has_password(uri) && text.str().find(uri) != std::string::npos;
    };
    struct stat file {};
    if ((stands_in_file(config.postgres.uri) || stands_in_file(config.postgres.direct_uri) ||
         stands_in_file(config.page.uri)) &&
        ::stat(config_file.c_str(), &file) == 0 && (file.st_mode & S_IRWXO) != 0) {
        findings.fail(
            secrets, fmt::format("everybody may read {}, which has a database's password", config_file.string()),
            fmt::format("chown root:{0} {1} and chmod 0640 {1}, and change the password if others could read it",
                        group_name_of(daemon.gid), config_file.string()));
        is_sound = false;
    }
    if (is_sound) {
        findings.passed(
            secrets, fmt::format("the user {} can read all that it needs, and no stranger can change it", daemon.name));
    }
}

void check_spool(const LocalEdge& edge, Findings& findings) {
    const std::string folder = edge.spool.string();
    const std::string owner = edge.workers ? edge.workers->name : "www-data";
    struct stat status {};
    if (::stat(folder.c_str(), &status) != 0) {
        if (errno == EACCES) {
            findings.unknown(spool, fmt::format("{}: {}", folder, system_words()),
                             "run the check as root, or as nginx's user");
        } else {
            findings.fail(spool, fmt::format("{}: {}", folder, system_words()),
                          fmt::format("install -d -o {0} -g {0} -m 0700 {1}", owner, folder));
        }
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        findings.fail(spool, fmt::format("{} is no folder", folder), "name a folder in runledger_spool");
        return;
    }
    const bool is_writable = edge.workers ? edge.workers->may_write(status) && edge.workers->may_enter(status)
                                          : status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    struct statfs mounted {};
    const std::string_view trouble =
        ::statfs(folder.c_str(), &mounted) == 0 ? trouble_of(static_cast<std::uint32_t>(mounted.f_type)) : "";
    if (!is_writable) {
        findings.fail(spool,
                      fmt::format("{}: nginx's workers can't write to it; {} owns it", folder, name_of(status.st_uid)),
                      fmt::format("chown {} {}", owner, folder));
    } else if (trouble.find("network") != std::string_view::npos) {
        findings.fail(spool, fmt::format("{} {}, where locks and fdatasync can't be relied on", folder, trouble),
                      "use a folder on a local disk");
    } else if (!trouble.empty()) {
        findings.warn(spool, fmt::format("{} {}", folder, trouble), "use a folder on a local disk");
    } else if ((status.st_mode & S_IRWXO) != 0) {
        findings.warn(spool, fmt::format("{}: everybody may enter it, and events hold personal data", folder),
                      fmt::format("chmod 0700 {}", folder));
    } else {
        findings.passed(spool, fmt::format("{}: a folder of {}", folder, name_of(status.st_uid)));
    }
    check_spool_room(edge, findings);
}

void check_space(const fs::path& folder, Findings& findings) {
    constexpr std::uint64_t least = 256 * mebibyte;
    const auto room = free_bytes(folder);
    if (!room) {
        findings.unknown(space, fmt::format("{}: {}", folder.string(), system_words()), "look with df");
    } else if (*room < least) {
        findings.warn(space, fmt::format("{} are free in {}, where logs go", mib(*room), folder.string()),
                      "free space on this disk");
    } else {
        findings.passed(space, fmt::format("{} are free in {}", mib(*room), folder.string()));
    }
}

}  // namespace runledger::tool
