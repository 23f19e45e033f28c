#include "nginx-module/spool/file_system.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

namespace runledger::edge {
namespace {

enum class Trouble : std::uint8_t { network, shared_disk, memory, unknown_below, layered };

struct KnownType {
    std::uint32_t magic;
    std::string_view name;
    Trouble trouble;
};

// From linux/magic.h where it has them; the others from the file systems' own sources, as statfs(2) and stat(1) list
// them.
constexpr std::array known_types{
    KnownType{NFS_SUPER_MAGIC, "NFS", Trouble::network},
    KnownType{SMB_SUPER_MAGIC, "SMB", Trouble::network},
    KnownType{0xFF534D42, "CIFS", Trouble::network},
    KnownType{0xFE534D42, "SMB2", Trouble::network},
    KnownType{V9FS_MAGIC, "9P", Trouble::network},
    KnownType{0x00C36400, "Ceph", Trouble::network},
    KnownType{AFS_SUPER_MAGIC, "AFS", Trouble::network},
    KnownType{AFS_FS_MAGIC, "AFS", Trouble::network},
    KnownType{CODA_SUPER_MAGIC, "Coda", Trouble::network},
    KnownType{NCP_SUPER_MAGIC, "NCP", Trouble::network},
    KnownType{0x0BD00BD0, "Lustre", Trouble::network},
    KnownType{0x47504653, "GPFS", Trouble::network},
    KnownType{0x19830326, "BeeGFS", Trouble::network},
    KnownType{0xAAD7AAEA, "PanFS", Trouble::network},
    KnownType{0x20030528, "OrangeFS", Trouble::network},
    KnownType{0x786F4256, "a VirtualBox shared folder", Trouble::network},
    KnownType{0xBACBACBC, "a VMware shared folder", Trouble::network},
    KnownType{0x7C7C6673, "a Parallels shared folder", Trouble::network},
    KnownType{OCFS2_SUPER_MAGIC, "OCFS2", Trouble::shared_disk},
    KnownType{0x01161970, "GFS2", Trouble::shared_disk},
    KnownType{TMPFS_MAGIC, "tmpfs", Trouble::memory},
    KnownType{RAMFS_MAGIC, "ramfs", Trouble::memory},
    KnownType{FUSE_SUPER_MAGIC, "FUSE", Trouble::unknown_below},
    KnownType{OVERLAYFS_SUPER_MAGIC, "overlay", Trouble::layered},
};

std::string_view sentence_end(Trouble trouble) {
    switch (trouble) {
        case Trouble::network:
            return ", where neither locks nor fdatasync can be relied on: use a folder on a local disk";
        case Trouble::shared_disk:
            return ", which other hosts may have mounted, too: each host needs a folder of its own";
        case Trouble::memory:
            return ", which does not survive a power loss: events that were answered would be lost with it";
        case Trouble::unknown_below:
            return ", and what is below it is not to be seen: make sure that flock and fdatasync mean what they say";
        case Trouble::layered:
            return ", such as a container's own layer, which is gone with the container: mount a volume for it";
    }
    return "";
}

}  // namespace

std::uint32_t file_system_type(const std::string& path) {
    struct statfs status {};
    int result = ::statfs(path.c_str(), &status);
    while (result < 0 && errno == EINTR) {  // statfs(2): a call to a network file system can be interrupted.
        result = ::statfs(path.c_str(), &status);
    }
    if (result < 0) {
        throw std::system_error(errno, std::generic_category(), "statfs " + path);
    }
    return static_cast<std::uint32_t>(status.f_type);  // Signed and wider on some machines; the magic has 32 bits.
}

std::optional<FileSystemFinding> find_file_system_fault(const std::string& path, const FileSystemType& type_of) {
    const std::uint32_t type = type_of(path);
    const auto* known = std::ranges::find(known_types, type, &KnownType::magic);
    if (known == known_types.end()) {
        return std::nullopt;
    }
    return FileSystemFinding{
        .is_refused = known->trouble == Trouble::network,
        .sentence = "the folder is on " + std::string(known->name) + std::string(sentence_end(known->trouble))};
}

}  // namespace runledger::edge
