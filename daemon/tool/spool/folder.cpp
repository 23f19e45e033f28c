#include "daemon/tool/spool/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "common/spool_identity.hpp"
#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

constexpr std::uint64_t stat_block_bytes = 512;  // st_blocks counts in these, whatever the file system's are.

class OpenFile {
public:
    // No link is followed and no FIFO waited for: anybody may have put them there.
    explicit OpenFile(const std::filesystem::path& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {}
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile() {
        if (fd_ != -1) {
            ::close(fd_);  // Read only: nothing can be lost by a failure here.
        }
    }
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    int fd_;
};

[[nodiscard]] SpoolError error(const std::filesystem::path& path, std::string_view doing) {
    return SpoolError(fmt::format("{}: can't {}: {}", path.string(), doing, std::generic_category().message(errno)));
}

// Short if the file was truncated since it was looked at, as when a courier seals it. Throws std::system_error.
void read_fully(int fd, std::span<std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t count = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (count == 0) {
            return;
        }
        if (count == -1) {
            if (errno == EINTR) {
                continue;
            }
            throw std::system_error(errno, std::generic_category(), "read");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
    }
}

// Whether somebody else holds the exclusive lock.
[[nodiscard]] bool is_locked(int fd) {
    if (::flock(fd, LOCK_SH | LOCK_NB) == 0) {
        ::flock(fd, LOCK_UN);  // Closing does it too, a little later.
        return false;
    }
    return errno == EWOULDBLOCK;
}

}  // namespace

std::string file_name(const SegmentId& id, SegmentKind kind) {
    std::string name = segment_file_name(id);
    switch (kind) {
        case SegmentKind::live:
            break;
        case SegmentKind::kept:
            name += kept_suffix;
            break;
        case SegmentKind::damaged:
            name += damaged_suffix;
            break;
    }
    return name;
}

std::optional<SegmentPath> parse_segment_path(const std::filesystem::path& path) {
    const std::string name = path.filename().string();
    for (const SegmentKind kind : {SegmentKind::live, SegmentKind::kept, SegmentKind::damaged}) {
        const std::size_t stem = std::min(name.size(), 32 + segment_suffix.size());
        const auto id = parse_segment_file_name(std::string_view(name).substr(0, stem));
        if (id && file_name(*id, kind) == name) {
            return SegmentPath{.path = path, .id = *id, .kind = kind};
        }
    }
    return std::nullopt;
}

std::vector<SegmentPath> find_segments(const std::filesystem::path& folder) {
    std::vector<SegmentPath> found;
    std::error_code code;
    std::filesystem::directory_iterator entries(folder, code);
    for (; !code && entries != std::filesystem::directory_iterator{}; entries.increment(code)) {
        if (auto name = parse_segment_path(entries->path())) {
            found.push_back(std::move(*name));
        }
    }
    if (code) {
        throw SpoolError(
            fmt::format("{}: can't list the folder: {}{}", folder.string(), code.message(),
                        code == std::errc::permission_denied ? ": run it as root, or as nginx's user" : ""));
    }
    std::ranges::sort(found, {}, [](const SegmentPath& name) { return name.path.filename().string(); });
    return found;
}

std::optional<std::string> why_no_spool(const std::filesystem::path& folder) {
    std::error_code code;
    if (std::filesystem::exists(folder / spool_identity_name, code) || !find_segments(folder).empty()) {
        return std::nullopt;
    }
    return fmt::format(
        "{}: has neither a segment nor the file \"{}\", so it is not the folder of runledger_spool, or no nginx has "
        "ever used it",
        folder.string(), spool_identity_name);
}

std::optional<std::string> why_no_nginx_sends_from(const std::filesystem::path& folder) {
    std::error_code code;
    if (std::filesystem::exists(folder / spool_identity_name, code)) {
        return std::nullopt;
    }
    return fmt::format(
        "{}: has no file \"{}\", so it is not the folder of runledger_spool, or no nginx has ever used it",
        folder.string(), spool_identity_name);
}

std::optional<SegmentLook> look_at(const SegmentPath& name) {
    const OpenFile file(name.path);
    if (file.fd() == -1) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        throw error(name.path, "open it");
    }
    struct stat facts {};
    if (::fstat(file.fd(), &facts) == -1) {
        throw error(name.path, "look at it");
    }
    if (!S_ISREG(facts.st_mode)) {
        throw SpoolError(fmt::format("{}: is not a regular file", name.path.string()));
    }
    SegmentLook look{.name = name,
                     .is_owned = is_locked(file.fd()),
                     .allocated_bytes = static_cast<std::uint64_t>(facts.st_blocks) * stat_block_bytes,
                     .content = SegmentFault::too_large};
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    if (size <= segment_file_bytes_max) {
        std::vector<std::byte> bytes(size);
        const bool is_complete = read_past_bad_blocks(
            bytes, [&](std::span<std::byte> part, std::uint64_t offset) { read_fully(file.fd(), part, offset); });
        look.content = SegmentContent::parse(name.id, std::move(bytes), is_complete);
    }
    return look;
}

SegmentPath find_segment(const std::filesystem::path& folder, std::string_view text) {
    std::vector<SegmentPath> matching;
    for (SegmentPath& name : find_segments(folder)) {
        if (name.path.filename().string().starts_with(text)) {
            matching.push_back(std::move(name));
        }
    }
    if (matching.empty() || text.empty()) {
        throw NotThere(fmt::format("{}: no segment's id begins with '{}'", folder.string(), text));
    }
    if (matching.size() > 1) {
        throw SpoolError(fmt::format("{}: {} segments' ids begin with '{}'", folder.string(), matching.size(), text));
    }
    return std::move(matching.front());
}

}  // namespace runledger::tool
