// Copies of segments, made so that a courier can only ever meet a whole one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "daemon/tool/spool/folder.hpp"

namespace runledger::tool {

enum class CopyAs : std::uint8_t {
    copy,      // The original may still be sent, or grow: the copy is never retired.
    original,  // The source is gone for good.
};

// Writes the segment's good records into `folder` as "<id>.seg", durable on return, owned by the folder's owner.
// Returns false if the folder has that segment already, in whatever state. Throws std::system_error.
bool copy_segment(const SegmentLook& look, const SegmentContent& content, const std::filesystem::path& folder,
                  CopyAs as);

// Writes a whole segment file's bytes into `folder` as "<id>.seg". As copy_segment() otherwise.
bool put_segment(const SegmentId& id, std::span<const std::byte> bytes, const std::filesystem::path& folder);

// Writes the text under that name, durable on return: whoever reads finds the old or the new, whole. Owned by the
// folder's owner. Throws std::system_error.
void replace_file(const std::filesystem::path& path, std::string_view text);

// The same, for bytes that nobody but the folder's owner may read.
void write_private_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace runledger::tool
