#include "daemon/tool/output/whole_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

[[noreturn]] void fail_at(const std::filesystem::path& path, std::string_view doing, int code) {
    throw std::system_error(code, std::generic_category(), fmt::format("{}: can't {}", path.string(), doing));
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
    return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

std::filesystem::path place_of_file(const std::filesystem::path& path) {
    std::error_code code;
    const auto there = std::filesystem::status(path, code);
    if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there)) {
        throw Misused(fmt::format("{}: is there, and is not a regular file that could be replaced", path.string()));
    }
    // A link that leads nowhere is replaced itself.
    return std::filesystem::exists(there) ? std::filesystem::canonical(path) : std::filesystem::absolute(path);
}

void sync_folder(const std::filesystem::path& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1) {
        fail_at(folder, "open the folder", errno);
    }
    const int result = ::fsync(fd);
    const int code = errno;
    ::close(fd);  // It was only read.
    if (result == -1) {
        fail_at(folder, "sync the folder", code);
    }
}

WholeFile::WholeFile(std::filesystem::path path, mode_t mode)
    : path_(std::move(path)),
      beside_(folder_of(path_) / fmt::format(".{}-{}", path_.filename().string(), ::getpid())),
      fd_(::open(beside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)) {
    if (fd_ == -1) {
        fail_at(beside_, "make it", errno);
    }
}

WholeFile::~WholeFile() {
    ::close(fd_);               // Synced before, or about to go.
    ::unlink(beside_.c_str());  // Its own name remains, if it has got it.
}

void WholeFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
        if (count == -1 && errno != EINTR) {
            fail_at(beside_, "write it", errno);
        }
        bytes = bytes.subspan(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
}

void WholeFile::give_to_owner_of_folder() {
    struct stat facts {};
    const auto folder = folder_of(path_);
    if (::stat(folder.c_str(), &facts) == -1) {
        fail_at(folder, "look at the folder", errno);
    }
    if (::geteuid() == 0 && ::fchown(fd_, facts.st_uid, facts.st_gid) == -1) {
        fail_at(beside_, "give it to the folder's owner", errno);
    }
}

void WholeFile::take_rights_of_old() {
    struct stat facts {};
    if (::stat(path_.c_str(), &facts) == -1) {
        return;  // There is none.
    }
    if (::geteuid() == 0 && ::fchown(fd_, facts.st_uid, facts.st_gid) == -1) {
        fail_at(beside_, "give it to the owner of the old file", errno);
    }
    if (::fchmod(fd_, facts.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO)) == -1) {
        fail_at(beside_, "give it the mode of the old file", errno);
    }
}

void WholeFile::sync() {
    if (::fsync(fd_) == -1) {
        fail_at(beside_, "sync it", errno);
    }
}

void WholeFile::replace() {
    sync();
    if (::rename(beside_.c_str(), path_.c_str()) == -1) {
        fail_at(path_, "put it in its place", errno);
    }
    sync_name();
}

bool WholeFile::take_name() {
    sync();
    if (::link(beside_.c_str(), path_.c_str()) == -1) {
        if (errno == EEXIST) {
            return false;
        }
        fail_at(path_, "name it", errno);
    }
    sync_name();
    return true;
}

void WholeFile::sync_name() {
    const auto folder = folder_of(path_);
    if (::access(folder.c_str(), R_OK) == 0) {  // One may be written to and not read; the file is whole in any case.
        sync_folder(folder);
    }
}

}  // namespace runledger::tool
