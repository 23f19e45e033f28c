// Reads a segment file, whole, without a lock and without changing it.
//
// Any thread; up to a segment's bytes are in memory at once.
#pragma once

#include <string>
#include <variant>

#include "common/identity.hpp"
#include "common/segment_content.hpp"
#include "nginx-module/spool/files.hpp"

namespace runledger::edge {

// Opens the file, reads it and closes it. Throws std::system_error if it can't be opened.
[[nodiscard]] std::variant<SegmentContent, SegmentFault> open_segment(Files& files, const std::string& path);

// Reads through a descriptor. Unreadable parts count as damage, not as an end.
[[nodiscard]] std::variant<SegmentContent, SegmentFault> read_segment(Files& files, int fd, const SegmentId& id);

}  // namespace runledger::edge
