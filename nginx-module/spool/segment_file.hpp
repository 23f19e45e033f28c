// A segment file that this process owns: it holds the file's lock, and nobody else writes, cuts or unlinks it.
//
// Invariants: a file is written only by the process that made it; after any failed write or sync it is never written
// again; a record that append() returned for is on stable storage. Used by the courier's thread alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/identity.hpp"
#include "common/spool_format.hpp"
#include "nginx-module/spool/files.hpp"
#include "nginx-module/spool/reader.hpp"

namespace runledger::edge {

class SegmentFile {
public:
    struct Plan {
        std::string folder;
        SegmentId id;
        std::uint64_t reserved_bytes{};
        WallTime created_at{};
    };

    // Makes, locks and reserves the file and writes its header; on return the file and its name are durable.
    // Throws std::system_error and removes the file: ENOSPC and EDQUOT mean that there is no room now.
    // Nothing if another courier took the new file for an orphan: try again with a new id.
    [[nodiscard]] static std::optional<SegmentFile> create(Files& files, const Plan& plan);

    // Takes the lock of a file without an owner. Nothing if it has one or is gone; then try the next one.
    // Throws std::system_error if it can't be opened.
    [[nodiscard]] static std::optional<SegmentFile> adopt(Files& files, const std::string& folder, const SegmentId& id);

    [[nodiscard]] const SegmentId& id() const noexcept { return id_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    // Whether a record with such a frame may be appended.
    [[nodiscard]] bool takes(std::size_t frame_bytes) const noexcept {
        return writable_ && used_bytes_ + record_bytes(frame_bytes) <= reserved_bytes_;
    }
    [[nodiscard]] bool is_writable() const noexcept { return writable_; }
    [[nodiscard]] BatchNumber next_number() const noexcept { return next_number_; }
    [[nodiscard]] std::uint64_t used_bytes() const noexcept { return used_bytes_; }
    [[nodiscard]] std::uint64_t reserved_bytes() const noexcept { return reserved_bytes_; }

    // Appends the frame as the record next_number() and returns its place; durable on return.
    // Throws std::system_error: the frame may or may not be found after a crash, so it must not be answered, and the
    // segment is never written again. It also throws if the file was moved away, because nobody would find the frame.
    // Precondition: takes(frame.size()), and the frame names this segment and that number.
    RecordPlace append(std::span<const std::byte> frame);

    // Reads an adopted file, which must outlive it. Throws std::system_error if the disk fails.
    [[nodiscard]] SegmentReading start_reading() const { return {*files_, fd_.get()}; }
    // Once all is read. Cuts off a tail that was never answered.
    [[nodiscard]] std::variant<SegmentContent, SegmentFault> finish_reading(SegmentReading& reading);

    // Nothing is written after this. Frees the reserved space that is not used, if that is possible.
    void seal() noexcept;

    // The frame of a batch, as it was written. Nothing if the bytes have been damaged since.
    // Throws std::system_error if they can't be read.
    [[nodiscard]] std::optional<std::vector<std::byte>> read_frame(const RecordPlace& place) const;

    // Bytes that the file takes on the disk now.
    [[nodiscard]] std::uint64_t allocated_bytes() const { return files_->facts(fd_.get()).allocated_bytes; }

    // Whether the path certainly no longer leads to this file, so that nobody would find it in the folder.
    [[nodiscard]] bool was_taken_away() const;

    // Each throws std::system_error, and may be tried again. If the file is no longer where it was made, that is not a
    // failure: somebody has moved or replaced it, and the replacement is not touched.
    void unlink();
    // Renames the file, so that it stays for an operator and no courier adopts it.
    void set_aside();
    // Renames the file, so that it is kept for some time, and sets its modification time.
    void keep(WallTime now);

private:
    SegmentFile(Files& files, Fd fd, std::string path, const SegmentId& id)
        : files_(&files), fd_(std::move(fd)), path_(std::move(path)), id_(id) {}

    // Whether the path leads to this very file. Throws std::system_error if that can't be determined.
    [[nodiscard]] bool is_in_place() const;
    void rename_with(std::string_view suffix);
    // Locks, and makes sure that the path still names this very file: its owner may have unlinked it in between.
    [[nodiscard]] bool lock();

    Files* files_;
    Fd fd_;
    std::string path_;
    SegmentId id_;
    bool writable_{false};
    BatchNumber next_number_{};
    std::uint64_t used_bytes_{};
    std::uint64_t reserved_bytes_{};
    std::uint64_t filled_bytes_{};  // The file is written up to here: records, and zeros behind them.
    std::vector<std::byte> record_;
};

}  // namespace runledger::edge
