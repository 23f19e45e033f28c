// A spool folder as the operator's tool sees it: the segments in it, read without a lock, on a live spool too.
//
// Nothing here changes a file. docs/spool-format.md describes the files and who owns them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/identity.hpp"
#include "common/segment_content.hpp"

namespace runledger::tool {

// What was asked for can't be done; what() is a sentence that names the file and what is wrong with it.
class SpoolError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// By the file's name.
enum class SegmentKind : std::uint8_t {
    live,     // "<id>.seg": a courier sends it, or will adopt it.
    kept,     // "<id>.seg.kept": the ledger has all of it; kept by keep_acked.
    damaged,  // "<id>.seg.damaged": what could be read was delivered.
};

struct SegmentPath {
    std::filesystem::path path;
    SegmentId id;
    SegmentKind kind{};
};

[[nodiscard]] std::string file_name(const SegmentId& id, SegmentKind kind);
[[nodiscard]] std::optional<SegmentPath> parse_segment_path(const std::filesystem::path& path);

// The segments of a folder by name, without looking into them. Throws SpoolError if it can't be listed.
[[nodiscard]] std::vector<SegmentPath> find_segments(const std::filesystem::path& folder);

// Why a folder can't be a spool, as a sentence: it has neither a segment nor the file `identity`. A mistyped folder
// looks like a spool that is empty, and "every event of it is in the ledger" would be true of it. Throws as
// find_segments().
[[nodiscard]] std::optional<std::string> why_no_spool(const std::filesystem::path& folder);
// The same of a folder from which an nginx is to send: only `identity` shows that one does.
[[nodiscard]] std::optional<std::string> why_no_nginx_sends_from(const std::filesystem::path& folder);

// One segment, looked at. Holds its bytes: look at one after the other.
struct SegmentLook {
    SegmentPath name;
    bool is_owned{false};             // A process holds its lock: an nginx runs on this folder.
    std::uint64_t allocated_bytes{};  // On the disk.
    std::variant<SegmentContent, SegmentFault> content;

    [[nodiscard]] const SegmentContent* segment() const { return std::get_if<SegmentContent>(&content); }
};

// Nothing if the file has gone since it was listed, as it may on a live spool. Takes a shared lock for a moment, to
// learn whether somebody has the exclusive one; a courier that wants it just then has it a second later.
// Throws SpoolError if the file can't be read.
[[nodiscard]] std::optional<SegmentLook> look_at(const SegmentPath& name);

// The segment that the text names: an id, or the beginning of just one. Throws NotThere if there is none, SpoolError if
// there are several.
[[nodiscard]] SegmentPath find_segment(const std::filesystem::path& folder, std::string_view text);

}  // namespace runledger::tool
