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

// What the folder has of a segment after copy_segment().
struct Copied {
    bool is_new{false};       // It was written just now.
    std::size_t batches{};    // So many of the source's batches are in the folder.
    std::size_t left_out{0};  // So many are not: a file of this name is there, and lacks them.
};

// Writes the segment's good records into `folder` as "<id>.seg", durable on return, owned by the folder's owner.
// A file of that segment which is there stays, and may lack what its source has got since: Copied says so. It is
// replaced only where no nginx can have it: in a folder that is no spool in use (why_no_nginx_sends_from()), or if it
// is a kept one, which nobody sends. Throws std::system_error.
Copied copy_segment(const SegmentLook& look, const SegmentContent& content, const std::filesystem::path& folder,
                    CopyAs as);

// Writes a whole segment file's bytes into `folder` as "<id>.seg", likewise. Returns false if the folder has that
// segment already, in whatever state.
bool put_segment(const SegmentId& id, std::span<const std::byte> bytes, const std::filesystem::path& folder);

// Writes the text under that name, durable on return: whoever reads finds the old or the new, whole. Owned by the
// folder's owner. Throws std::system_error.
void replace_file(const std::filesystem::path& path, std::string_view text);

// The same, for bytes that nobody but the folder's owner may read.
void write_private_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace runledger::tool
