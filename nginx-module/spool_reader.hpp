// Reads a segment file, whole, without a lock and without changing it: for a courier that adopts, and for an
// operator who wants to look at a live spool.
//
// A segment that is being written may seem to have a torn tail. Any thread; the reader holds up to a segment's bytes.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/identity.hpp"
#include "nginx-module/spool_files.hpp"
#include "nginx-module/spool_format.hpp"

namespace runledger::edge {

// Why a file is no segment for us. It is left as it is.
enum class SegmentFault : std::uint8_t {
    no_such_file,
    bad_name,         // Not "<32 hexadecimal digits>.seg".
    foreign_id,       // The header names another segment than the file's name: a copy, or renamed.
    unknown_version,  // Written by a later version of the module.
    too_large,        // Longer than any segment that we write.
};

[[nodiscard]] std::string_view to_word(SegmentFault fault) noexcept;

class SegmentReader {
public:
    // Opens the file, reads it and closes it. Throws std::system_error if it can't be opened.
    [[nodiscard]] static std::variant<SegmentReader, SegmentFault> open(Files& files, const std::string& path);

    // Reads through a descriptor. Parts that the disk can't give back count as damage, not as an end.
    [[nodiscard]] static std::variant<SegmentReader, SegmentFault> read(Files& files, int fd, const SegmentId& id);

    [[nodiscard]] const SegmentId& id() const noexcept { return id_; }
    // Nothing if the header is damaged.
    [[nodiscard]] const std::optional<SegmentHeader>& header() const noexcept { return scan_.header; }
    [[nodiscard]] const std::vector<RecordPlace>& batches() const noexcept { return scan_.records; }
    [[nodiscard]] ScanEnd end() const noexcept { return scan_.end; }
    [[nodiscard]] std::size_t used_bytes() const noexcept { return scan_.used_bytes; }
    // The wire frame of one of batches(); valid as long as the reader.
    [[nodiscard]] std::span<const std::byte> frame(const RecordPlace& place) const noexcept;

private:
    SegmentReader(const SegmentId& id, std::vector<std::byte> file, SegmentScan scan)
        : id_(id), file_(std::move(file)), scan_(std::move(scan)) {}

    SegmentId id_;
    std::vector<std::byte> file_;
    SegmentScan scan_;
};

}  // namespace runledger::edge
