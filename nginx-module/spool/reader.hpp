// Reads a segment file, whole or a piece at a time, without a lock and without changing it.
//
// Any thread; up to a segment's bytes are in memory at once.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "common/identity.hpp"
#include "common/segment_content.hpp"
#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

// Opens the file, reads it and closes it. Throws std::system_error if it can't be opened.
[[nodiscard]] std::variant<SegmentContent, SegmentFault> open_segment(Files& files, const std::string& path);

// Between two pieces the thread can do what must not wait for a bad disk.
class SegmentReading {
public:
    // Both must outlive it. Throws std::system_error if the disk fails.
    SegmentReading(Files& files, int fd);
    SegmentReading(SegmentReading&&) = default;
    SegmentReading& operator=(SegmentReading&&) = default;
    SegmentReading(const SegmentReading&) = delete;
    SegmentReading& operator=(const SegmentReading&) = delete;
    ~SegmentReading() = default;

    // Reads one piece. False when there is none left.
    [[nodiscard]] bool read_next() { return pieces_.read_next(); }
    // False once a part could not be read.
    [[nodiscard]] bool is_complete() const noexcept { return pieces_.is_complete(); }
    // Once, at the end. Unreadable parts count as damage, not as an end.
    [[nodiscard]] std::variant<SegmentContent, SegmentFault> finish(const SegmentId& id);

private:
    bool is_too_large_;
    std::vector<std::byte> bytes_;
    PastBadBlocks pieces_;  // Of bytes_, which stay in place when they are moved.
};

// Reads through a descriptor, all at once.
[[nodiscard]] std::variant<SegmentContent, SegmentFault> read_segment(Files& files, int fd, const SegmentId& id);

}  // namespace runledger::edge
