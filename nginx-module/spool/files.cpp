#include "nginx-module/spool/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

namespace runledger::edge {
namespace {

constexpr mode_t segment_mode = 0640;
constexpr mode_t private_mode = 0600;

[[noreturn]] void fail(int error, const char* operation, const std::string& path) {
    throw std::system_error(error, std::generic_category(), std::string(operation) + " " + path);
}

// The path of a descriptor, for an error's text only.
std::string path_of(int fd) {
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    std::string path(4096, '\0');
    const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
    if (length <= 0) {
        return "descriptor " + std::to_string(fd);
    }
    path.resize(static_cast<std::size_t>(length));
    return path;
}

[[noreturn]] void fail(int error, const char* operation, int fd) { fail(error, operation, path_of(fd)); }

// Our threads block all signals, but a debugger or a stop and continue can still interrupt a call.
template <class Call>
auto retrying(Call call) {
    auto result = call();
    while (result < 0 && errno == EINTR) {
        result = call();
    }
    return result;
}

Fd create_with(const std::string& path, mode_t mode) {
    const int fd = retrying([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode); });
    if (fd < 0) {
        fail(errno, "create", path);
    }
    return Fd(fd);
}

FileFacts to_facts(const struct stat& status) {
    constexpr std::uint64_t block_bytes = 512;  // Of st_blocks, whatever st_blksize says: stat(2).
    return {.device = status.st_dev,
            .inode = status.st_ino,
            .size_bytes = static_cast<std::uint64_t>(status.st_size),
            .allocated_bytes = static_cast<std::uint64_t>(status.st_blocks) * block_bytes,
            .modified_at = WallTime{std::chrono::seconds{status.st_mtim.tv_sec} +
                                    std::chrono::microseconds{status.st_mtim.tv_nsec / 1000}},
            .is_regular = S_ISREG(status.st_mode)};
}

}  // namespace

bool is_no_room(const std::system_error& e) noexcept {
    return e.code() == std::errc::no_space_on_device || e.code().value() == EDQUOT ||
           e.code() == std::errc::file_too_large;
}

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        Fd old(std::exchange(fd_, std::exchange(other.fd_, -1)));
    }
    return *this;
}

Fd::~Fd() {
    if (fd_ >= 0) {
        // Nothing depends on close: what had to be durable was synced before.
        (void)::close(fd_);
    }
}

Fd PosixFiles::create(const std::string& path) { return create_with(path, segment_mode); }

Fd PosixFiles::create_private(const std::string& path) { return create_with(path, private_mode); }

std::optional<Fd> PosixFiles::open(const std::string& path) {
    // O_NONBLOCK so that a named pipe somebody left here can't hang us; O_NOFOLLOW since we make no links.
    constexpr int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = retrying([&] { return ::open(path.c_str(), O_RDWR | flags); });
    if (fd < 0 && (errno == EROFS || errno == EACCES)) {
        // A file system that turned read-only after an error: what it holds can still be sent.
        fd = retrying([&] { return ::open(path.c_str(), O_RDONLY | flags); });
    }
    if (fd < 0) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        fail(errno, "open", path);
    }
    Fd opened(fd);
    if (!facts(opened.get()).is_regular) {
        fail(EINVAL, "open what is not a regular file", path);
    }
    return opened;
}

bool PosixFiles::try_lock(int fd) {
    if (retrying([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0) {
        return true;
    }
    if (errno == EWOULDBLOCK) {
        return false;
    }
    fail(errno, "flock", fd);
}

std::size_t PosixFiles::write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
    const ssize_t written =
        retrying([&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (written < 0) {
        fail(errno, "write", fd);
    }
    return static_cast<std::size_t>(written);
}

std::size_t PosixFiles::read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset) {
    const ssize_t got = retrying([&] { return ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (got < 0) {
        fail(errno, "read", fd);
    }
    return static_cast<std::size_t>(got);
}

void PosixFiles::reserve(int fd, std::uint64_t bytes) {
    int error = EINTR;
    while (error == EINTR) {
        // Returns the error instead of setting errno. On file systems without fallocate(2) it writes zeros.
        error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    }
    if (error != 0) {
        fail(error, "reserve", fd);
    }
}

void PosixFiles::truncate(int fd, std::uint64_t bytes) {
    if (retrying([&] { return ::ftruncate(fd, static_cast<off_t>(bytes)); }) < 0) {
        fail(errno, "truncate", fd);
    }
}

void PosixFiles::sync(int fd) {
    // Not repeated after a failure: the kernel may have marked the pages clean, and would then say all is well.
    if (::fdatasync(fd) < 0) {
        fail(errno, "fdatasync", fd);
    }
}

void PosixFiles::sync_folder(const std::string& path) {
    const Fd folder(retrying([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!folder || ::fsync(folder.get()) < 0) {
        fail(errno, "fsync", path);
    }
}

void PosixFiles::touch(int fd, WallTime modified_at) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(modified_at);
    const timespec time{.tv_sec = seconds.time_since_epoch().count(),
                        .tv_nsec = std::chrono::nanoseconds{modified_at - seconds}.count()};
    const std::array<timespec, 2> access_and_modification{time, time};
    if (::futimens(fd, access_and_modification.data()) < 0) {
        fail(errno, "set the time of", fd);
    }
}

void PosixFiles::unlink(const std::string& path) {
    if (::unlink(path.c_str()) < 0) {
        fail(errno, "unlink", path);
    }
}

void PosixFiles::rename(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) < 0) {
        fail(errno, "rename", from);
    }
}

FileFacts PosixFiles::facts(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) < 0) {
        fail(errno, "stat", fd);
    }
    return to_facts(status);
}

std::optional<FileFacts> PosixFiles::facts(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) < 0) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        fail(errno, "stat", path);
    }
    return to_facts(status);
}

std::vector<std::string> PosixFiles::list(const std::string& folder) {
    struct Close {
        void operator()(DIR* opened) const noexcept { (void)::closedir(opened); }  // Only read from: nothing to lose.
    };
    const std::unique_ptr<DIR, Close> opened(::opendir(folder.c_str()));
    if (!opened) {
        fail(errno, "open folder", folder);
    }
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        // One thread reads this stream. NOLINTNEXTLINE(concurrency-mt-unsafe)
        const dirent* entry = ::readdir(opened.get());
        if (entry == nullptr) {
            if (errno != 0) {
                fail(errno, "read folder", folder);
            }
            return names;
        }
        names.emplace_back(entry->d_name);
    }
}

FileSystemRoom PosixFiles::room(const std::string& folder) {
    struct statvfs status {};
    if (::statvfs(folder.c_str(), &status) < 0) {
        fail(errno, "statvfs", folder);
    }
    return {.bytes = static_cast<std::uint64_t>(status.f_blocks) * status.f_frsize,
            .bytes_free = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize,
            .files = static_cast<std::uint64_t>(status.f_files),
            .files_free = static_cast<std::uint64_t>(status.f_favail)};
}

std::size_t read_fully(Files& files, int fd, std::span<std::byte> bytes, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const std::size_t got = files.read_at(fd, bytes.subspan(done), offset + done);
        if (got == 0) {
            break;
        }
        done += got;
    }
    return done;
}

void write_fully(Files& files, int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const std::size_t written = files.write_at(fd, bytes.subspan(done), offset + done);
        if (written == 0) {
            fail(EIO, "write nothing to", fd);
        }
        done += written;
    }
}

}  // namespace runledger::edge
