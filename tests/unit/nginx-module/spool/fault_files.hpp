// A disk that can be made to fill, to fail, to write short, or to lose what was not synced.
//
// Works on a real folder, so that locks are real; what is durable is kept beside it, in memory. After power_loss()
// the folder holds what a disk may hold then. One thread uses the files; another may say what is to fail.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "nginx-module/spool/files.hpp"

namespace runledger::edge::test {

enum class Op : std::uint8_t { create, write, read, reserve, truncate, sync, sync_folder, unlink, rename, list };

// The machine is dead: nothing works until power_loss(). Not a std::system_error, since nobody may handle it.
struct Dead : std::exception {
    [[nodiscard]] const char* what() const noexcept override { return "the machine is dead"; }
};

class FaultFiles : public PosixFiles {
public:
    explicit FaultFiles(std::string folder) : folder_(std::move(folder)) {}

    // Every operation of the kind fails with the error until heal().
    void fail(Op op, int error);
    // Only the next `count` operations of the kind do.
    void fail_times(Op op, int error, int count);
    void heal();
    // A write takes at most that many bytes, and reports so.
    void write_short(std::size_t bytes_max);
    // Reserving fails with ENOSPC where the files would take more than that together.
    void set_disk_bytes(std::uint64_t bytes);
    // Called before each operation that changes the disk, by the thread that asks for it.
    void on_change(std::function<void(Op)> hook);

    // The operation of that number, counted from now, and all that follow throw Dead.
    void die_at(std::uint64_t step) { die_at_ = steps_ + step; }
    [[nodiscard]] bool is_dead() const { return dead_; }
    [[nodiscard]] std::uint64_t steps() const { return steps_; }

    enum class Unsynced : std::uint8_t {
        lost,  // Only what was synced is there.
        kept,  // All is there, as after a SIGKILL.
        torn,  // Some sectors and some names are there, others are not.
    };
    // Nobody may use the folder meanwhile. Alive again afterwards.
    void power_loss(Unsynced unsynced, std::uint64_t seed);

    [[nodiscard]] Fd create(const std::string& path) override;
    [[nodiscard]] std::size_t write_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset) override;
    [[nodiscard]] std::size_t read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset) override;
    void reserve(int fd, std::uint64_t bytes) override;
    void truncate(int fd, std::uint64_t bytes) override;
    void sync(int fd) override;
    void sync_folder(const std::string& path) override;
    void unlink(const std::string& path) override;
    void rename(const std::string& from, const std::string& to) override;
    [[nodiscard]] std::vector<std::string> list(const std::string& folder) override;

private:
    using Bytes = std::vector<std::byte>;

    void step(Op op);
    [[nodiscard]] int injected_error(Op op);
    [[nodiscard]] Bytes content(int fd);
    [[nodiscard]] Bytes torn(const Bytes& durable, const Bytes& current, std::mt19937_64& random) const;
    [[nodiscard]] std::uint64_t allocated_in_folder();

    std::string folder_;
    std::mutex control_;  // What another thread may set: up to hook_.
    std::map<Op, int> errors_;
    std::map<Op, std::pair<int, int>> counted_errors_;
    std::size_t write_bytes_max_{SIZE_MAX};
    std::optional<std::uint64_t> disk_bytes_;
    std::function<void(Op)> hook_;
    std::uint64_t steps_{};
    std::uint64_t die_at_{UINT64_MAX};
    bool dead_{false};
    // Files by a number of our own: the file system gives an inode's number again as soon as the file has gone.
    using FileId = std::uint64_t;
    std::map<ino_t, FileId> ids_;
    std::map<FileId, Bytes> durable_content_;
    std::map<std::string, FileId> durable_names_;
};

}  // namespace runledger::edge::test
