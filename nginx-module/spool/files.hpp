// The file operations that the spool needs, behind an interface, so that a test can make a disk fill, fail, or lose
// what was not synced.
//
// Every failure is a std::system_error whose text names the operation and the path; what it means is the caller's to
// decide. Used by one thread at a time.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/clock.hpp"

namespace runledger::edge {

// Whether the failure means that the disk, the quota or the file has no room. Removing something may cure it.
[[nodiscard]] bool is_no_room(const std::system_error& e) noexcept;

// Owns a file descriptor. Closing it also gives up the lock that was taken through it.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd();

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_{-1};
};

struct FileFacts {
    dev_t device{};
    ino_t inode{};
    std::uint64_t size_bytes{};
    std::uint64_t allocated_bytes{};
    WallTime modified_at{};
    bool is_regular{};  // Not a folder, link, pipe, socket or device.

    // Whether both are the same file, whatever it is called.
    [[nodiscard]] bool same_file(const FileFacts& other) const noexcept {
        return device == other.device && inode == other.inode;
    }
};

// The room of a file system for those who have no privilege.
struct FileSystemRoom {
    std::uint64_t bytes{};  // Used or not.
    std::uint64_t bytes_free{};
    std::uint64_t files{};  // 0 where the file system makes as many as it needs.
    std::uint64_t files_free{};
};

class Files {
public:
    Files() = default;
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    virtual ~Files() = default;

    // For reading and writing; fails if there is such a file.
    [[nodiscard]] virtual Fd create(const std::string& path) = 0;
    // The same, for a file that nobody but its owner may read.
    [[nodiscard]] virtual Fd create_private(const std::string& path) = 0;
    // For reading and writing, or only reading if the file system allows no more. Nothing if there is no such file.
    // Fails if it is not a regular file; follows no link and does not wait for a pipe's other end.
    [[nodiscard]] virtual std::optional<Fd> open(const std::string& path) = 0;
    // flock(LOCK_EX | LOCK_NB): false if another open file has it. The kernel drops it with the last descriptor.
    [[nodiscard]] virtual bool try_lock(int fd) = 0;

    // Both may transfer fewer bytes than requested; read_at returns 0 at the file's end.
    [[nodiscard]] virtual std::size_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) = 0;
    [[nodiscard]] virtual std::size_t read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset) = 0;

    // Makes the file this long and reserves its space: writing there needs no new block.
    virtual void reserve(int fd, std::uint64_t bytes) = 0;
    virtual void truncate(int fd, std::uint64_t bytes) = 0;
    // fdatasync: on return the bytes, and the length needed to read them, are on stable storage.
    virtual void sync(int fd) = 0;
    // On return the folder's entries are on stable storage.
    virtual void sync_folder(const std::string& path) = 0;

    // Sets the time of the last modification.
    virtual void touch(int fd, WallTime modified_at) = 0;
    virtual void unlink(const std::string& path) = 0;
    virtual void rename(const std::string& from, const std::string& to) = 0;

    [[nodiscard]] virtual FileFacts facts(int fd) = 0;
    // Nothing if there is no such file.
    [[nodiscard]] virtual std::optional<FileFacts> facts(const std::string& path) = 0;
    // The names in the folder, in no order.
    [[nodiscard]] virtual std::vector<std::string> list(const std::string& folder) = 0;
    // Of the file system that the folder is on.
    [[nodiscard]] virtual FileSystemRoom room(const std::string& folder) = 0;
};

// The real file system.
class PosixFiles : public Files {
public:
    [[nodiscard]] Fd create(const std::string& path) override;
    [[nodiscard]] Fd create_private(const std::string& path) override;
    [[nodiscard]] std::optional<Fd> open(const std::string& path) override;
    [[nodiscard]] bool try_lock(int fd) override;
    [[nodiscard]] std::size_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override;
    [[nodiscard]] std::size_t read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset) override;
    void reserve(int fd, std::uint64_t bytes) override;
    void truncate(int fd, std::uint64_t bytes) override;
    void sync(int fd) override;
    void sync_folder(const std::string& path) override;
    void touch(int fd, WallTime modified_at) override;
    void unlink(const std::string& path) override;
    void rename(const std::string& from, const std::string& to) override;
    [[nodiscard]] FileFacts facts(int fd) override;
    [[nodiscard]] std::optional<FileFacts> facts(const std::string& path) override;
    [[nodiscard]] std::vector<std::string> list(const std::string& folder) override;
    [[nodiscard]] FileSystemRoom room(const std::string& folder) override;
};

// Reads until the span is full or the file ends; returns how much there was.
[[nodiscard]] std::size_t read_fully(Files& files, int fd, std::span<std::byte> bytes, std::uint64_t offset);
// Writes all of it. If it throws, a part may have been written.
void write_fully(Files& files, int fd, std::span<const std::byte> bytes, std::uint64_t offset);

}  // namespace runledger::edge
