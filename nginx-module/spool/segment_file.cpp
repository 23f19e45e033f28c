#include "nginx-module/spool/segment_file.hpp"

#include <algorithm>
#include <cassert>
#include <system_error>

namespace runledger::edge {

namespace {

// The first write into reserved space makes a file system note that there is something in it, which the sync has to
// write, too, elsewhere on the disk and before it returns. So zeros, which is what the space reads as anyway, are
// written ahead together with a record now and then, and most records find their space written before. Large records
// would find too little of it to be worth writing everything twice.
constexpr std::size_t fill_ahead_bytes = 128UL * 1024;
constexpr std::size_t filled_for_bytes_max = fill_ahead_bytes / 4;

}  // namespace

bool SegmentFile::lock() {
    if (!files_->try_lock(fd_.get())) {
        return false;
    }
    return is_in_place();
}

bool SegmentFile::is_in_place() const {
    const auto named = files_->facts(path_);
    return named && named->same_file(files_->facts(fd_.get()));
}

std::optional<SegmentFile> SegmentFile::create(Files& files, const Plan& plan) {
    const std::string path = plan.folder + "/" + segment_file_name(plan.id);
    SegmentFile segment(files, files.create(path), path, plan.id);
    try {
        if (!segment.lock()) {
            return std::nullopt;
        }
        files.reserve(segment.fd_.get(), plan.reserved_bytes);
        const auto header = encode_segment_header(
            {.id = plan.id, .reserved_bytes = plan.reserved_bytes, .created_at = plan.created_at});
        write_fully(files, segment.fd_.get(), header, 0);
        files.sync(segment.fd_.get());
        files.sync_folder(plan.folder);
    } catch (const std::system_error&) {
        try {
            segment.unlink();
        } catch (const std::system_error&) {
            // Then it stays as a segment without a batch, which whoever adopts it unlinks.
        }
        throw;
    }
    segment.writable_ = true;
    segment.used_bytes_ = segment_header_bytes;
    segment.reserved_bytes_ = plan.reserved_bytes;
    return segment;
}

std::optional<SegmentFile> SegmentFile::adopt(Files& files, const std::string& folder, const SegmentId& id) {
    const std::string path = folder + "/" + segment_file_name(id);
    auto fd = files.open(path);
    if (!fd) {
        return std::nullopt;
    }
    SegmentFile segment(files, std::move(*fd), path, id);
    if (!segment.lock()) {
        return std::nullopt;
    }
    return segment;
}

RecordPlace SegmentFile::append(std::span<const std::byte> frame) {
    assert(takes(frame.size()));
    record_.clear();
    append_record(record_, next_number_, frame);
    const std::size_t record_bytes = record_.size();
    std::uint64_t filled_to = std::max(filled_bytes_, used_bytes_ + record_bytes);
    if (filled_to > filled_bytes_ && record_bytes <= filled_for_bytes_max) {
        filled_to = std::min(filled_to + fill_ahead_bytes, reserved_bytes_);
        record_.resize(filled_to - used_bytes_);
    }
    // Set back only after the sync: whatever fails on the way leaves a segment that is not written again.
    writable_ = false;
    write_fully(*files_, fd_.get(), record_, used_bytes_);
    files_->sync(fd_.get());
    if (was_taken_away()) {
        throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory),
                                "the segment was taken away while it was written: " + path_);
    }
    const RecordPlace place{.number = next_number_, .offset = used_bytes_, .frame_bytes = frame.size()};
    used_bytes_ += record_bytes;
    filled_bytes_ = filled_to;
    ++next_number_;
    writable_ = true;
    return place;
}

std::variant<SegmentContent, SegmentFault> SegmentFile::finish_reading(SegmentReading& reading) {
    auto result = reading.finish(id_);
    if (const auto* content = std::get_if<SegmentContent>(&result)) {
        used_bytes_ = content->used_bytes();
        if (content->end() != ScanEnd::damaged) {
            seal();
        }
    }
    return result;
}

void SegmentFile::seal() noexcept {
    writable_ = false;
    record_ = {};
    try {
        files_->truncate(fd_.get(), used_bytes_);
    } catch (const std::exception&) {
        // The space comes back when the segment is unlinked. A read-only file system refuses this, too.
    }
}

std::optional<std::vector<std::byte>> SegmentFile::read_frame(const RecordPlace& place) const {
    std::vector<std::byte> record(record_header_bytes + place.frame_bytes);
    if (read_fully(*files_, fd_.get(), record, place.offset) != record.size() || !frame_of_record(record, place)) {
        return std::nullopt;
    }
    record.erase(record.begin(), record.begin() + record_header_bytes);
    return record;
}

bool SegmentFile::was_taken_away() const {
    try {
        return !is_in_place();
    } catch (const std::system_error&) {
        return false;  // A folder that was closed to us may be opened again: what it holds is not gone.
    }
}

void SegmentFile::unlink() {
    if (is_in_place()) {
        files_->unlink(path_);
    }
}

void SegmentFile::rename_with(std::string_view suffix) {
    if (is_in_place()) {
        files_->rename(path_, path_ + std::string(suffix));
    }
}

void SegmentFile::set_aside() { rename_with(damaged_suffix); }

void SegmentFile::keep(WallTime now) {
    try {
        files_->touch(fd_.get(), now);
    } catch (const std::system_error&) {
        // Then it is kept from when it was sealed: not as long, but no longer than was asked for.
    }
    rename_with(kept_suffix);
}

}  // namespace runledger::edge
