#include "common/segment_content.hpp"

#include <algorithm>
#include <system_error>

namespace runledger {
namespace {

constexpr std::size_t chunk_bytes = 256UL * 1024;
constexpr std::size_t block_bytes = 4096;

}  // namespace

bool PastBadBlocks::read_next() {
    if (done_ >= file_.size()) {
        return false;
    }
    const bool is_block = done_ < blocks_to_;
    const auto part = file_.subspan(done_, std::min(is_block ? block_bytes : chunk_bytes, file_.size() - done_));
    try {
        read_(part, done_);
    } catch (const std::system_error&) {
        std::fill(part.begin(), part.end(), std::byte{0});
        if (!is_block) {
            blocks_to_ = done_ + part.size();  // One bad block: the blocks beside it may be good.
            return true;
        }
        is_complete_ = false;
    }
    done_ += part.size();
    return done_ < file_.size();
}

bool read_past_bad_blocks(std::span<std::byte> file, const ReadAt& read) {
    PastBadBlocks reading(file, read);
    while (reading.read_next()) {
    }
    return reading.is_complete();
}

std::string_view to_word(SegmentFault fault) noexcept {
    switch (fault) {
        case SegmentFault::no_such_file:
            return "no_such_file";
        case SegmentFault::bad_name:
            return "bad_name";
        case SegmentFault::foreign_id:
            return "foreign_id";
        case SegmentFault::unknown_version:
            return "unknown_version";
        case SegmentFault::too_large:
            return "too_large";
    }
    return "unknown";
}

std::variant<SegmentContent, SegmentFault> SegmentContent::parse(const SegmentId& id, std::vector<std::byte> file,
                                                                 bool is_complete) {
    if (file.size() > segment_file_bytes_max) {
        return SegmentFault::too_large;
    }
    auto scanned = scan_segment(file, id);
    if (std::holds_alternative<HeaderFault>(scanned)) {
        return SegmentFault::unknown_version;
    }
    auto& scan = std::get<SegmentScan>(scanned);
    if (scan.header && scan.header->id != id) {
        return SegmentFault::foreign_id;
    }
    if (!is_complete) {
        scan.end = ScanEnd::damaged;  // What can't be read may have been answered.
    }
    return SegmentContent(id, std::move(file), std::move(scan), is_complete);
}

std::span<const std::byte> SegmentContent::frame(const RecordPlace& place) const noexcept {
    return std::span(file_).subspan(place.offset + record_header_bytes, place.frame_bytes);
}

}  // namespace runledger
