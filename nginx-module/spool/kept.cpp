#include "nginx-module/spool/kept.hpp"

#include <algorithm>
#include <system_error>
#include <tuple>

namespace runledger::edge {
namespace {

// What a turn of the courier's other work waits for.
constexpr std::size_t removals_per_turn_max = 16;

}  // namespace

void KeptSegments::forget() noexcept {
    kept_.clear();
    bytes_ = 0;
    is_sorted_ = true;
}

void KeptSegments::note(std::string name, const FileFacts& facts) {
    kept_.push_back({.since = facts.modified_at, .name = std::move(name), .bytes = facts.allocated_bytes});
    bytes_ += facts.allocated_bytes;
    is_sorted_ = false;
}

void KeptSegments::sort() {
    if (!is_sorted_) {
        std::ranges::sort(
            kept_, [](const Kept& a, const Kept& b) { return std::tie(a.since, a.name) > std::tie(b.since, b.name); });
        is_sorted_ = true;
    }
}

bool KeptSegments::remove_last() {
    try {
        files_.unlink(folder_ + "/" + kept_.back().name);
    } catch (const std::system_error& e) {
        // Gone: another courier was quicker, or an operator has it sent again.
        if (e.code() != std::errc::no_such_file_or_directory) {
            log_.add(LogLine::Level::crit, "kept segment not removed", e.what());
            return false;
        }
    }
    bytes_ -= kept_.back().bytes;
    kept_.pop_back();
    return true;
}

void KeptSegments::remove_expired(WallTime now) {
    sort();
    for (std::size_t i = 0; i < removals_per_turn_max; ++i) {
        if (kept_.empty() || now - kept_.back().since < keep_for_ || !remove_last()) {
            return;
        }
    }
}

std::uint64_t KeptSegments::give_up(std::uint64_t bytes) {
    sort();
    const std::uint64_t before = bytes_;
    const std::size_t count_before = kept_.size();
    while (before - bytes_ < bytes && !kept_.empty() && remove_last()) {
    }
    if (kept_.size() != count_before) {
        log_.add(LogLine::Level::warn, "kept segments removed before their time, their room is needed",
                 "segments=" + std::to_string(count_before - kept_.size()));
    }
    return before - bytes_;
}

}  // namespace runledger::edge
