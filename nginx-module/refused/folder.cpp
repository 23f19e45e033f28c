#include "nginx-module/refused/folder.hpp"

#include <algorithm>
#include <span>
#include <system_error>

namespace runledger::edge {
namespace {

constexpr std::uint64_t page_bytes = 4096;

// A worker looks again after so much of its own. So the bounds can be exceeded by this much for each worker.
constexpr std::uint64_t bodies_between_looks = 32;
constexpr std::uint64_t bytes_between_looks = 1024UL * 1024;
constexpr std::chrono::milliseconds look_fresh_for{1000};

// Of the file system, in bytes and in files: left to the spool and to everything else.
constexpr std::uint64_t disk_left_free = 10;  // A tenth.

// One sender's part of the folder: a flood from one address leaves as much to the others.
constexpr std::uint64_t sender_share = 2;  // Half.

// A worker that was killed leaves a file half written; a live one needs no such time.
constexpr std::chrono::minutes half_file_lifetime{10};

std::uint64_t rounded(std::uint64_t bytes) noexcept {
    return std::max((bytes + page_bytes - 1) / page_bytes, std::uint64_t{1}) * page_bytes;
}

bool has_enough_free(const FileSystemRoom& room) noexcept {
    return room.bytes_free >= room.bytes / disk_left_free && room.files_free >= room.files / disk_left_free;
}

}  // namespace

bool RefusedFolder::is_full() const noexcept {
    return !has_disk_ || bodies_ >= settings_.bodies_max || bytes_ + page_bytes > settings_.bytes_max;
}

void RefusedFolder::count(const RefusedName& name, std::uint64_t file_bytes) {
    Share& share = shares_[name.sender];
    share.bodies += 1;
    share.bytes += file_bytes;
    bodies_ += 1;
    bytes_ += file_bytes;
}

void RefusedFolder::look(WallTime now) {
    has_disk_ = has_enough_free(files_.room(settings_.folder));
    bodies_ = 0;
    bytes_ = 0;
    shares_.clear();
    bodies_since_look_ = 0;
    bytes_since_look_ = 0;
    looked_at_ = std::chrono::steady_clock::now();
    for (const std::string& name : files_.list(settings_.folder)) {
        const auto parsed = parse_refused_file_name(name);
        const bool is_half = name.starts_with('.') && name.ends_with(refused_half_suffix);
        if (!parsed && !is_half) {
            continue;
        }
        const auto facts = files_.facts(settings_.folder + "/" + name);
        if (!facts || !facts->is_regular) {
            continue;  // Taken meanwhile, or nothing of ours.
        }
        const bool is_over =
            parsed ? parsed->received_at + settings_.age_max < now : facts->modified_at + half_file_lifetime < now;
        if ((!is_over || !remove(name)) && parsed) {
            count(*parsed, rounded(facts->size_bytes));
        }
    }
}

void RefusedFolder::look_if_stale(WallTime now) {
    if (bodies_since_look_ >= bodies_between_looks || bytes_since_look_ >= bytes_between_looks ||
        std::chrono::steady_clock::now() - looked_at_ >= look_fresh_for) {
        look(now);
    }
}

bool RefusedFolder::has_room_for(std::uint32_t sender, std::uint64_t file_bytes) const {
    if (!has_disk_ || bodies_ + 1 > settings_.bodies_max || bytes_ + file_bytes > settings_.bytes_max) {
        return false;
    }
    const auto share = shares_.find(sender);
    return share == shares_.end() || (share->second.bodies < std::max(settings_.bodies_max / sender_share, 1UL) &&
                                      share->second.bytes + file_bytes <= settings_.bytes_max / sender_share);
}

bool RefusedFolder::store(const RefusedName& name, std::string_view file, WallTime now) {
    look_if_stale(now);
    const std::uint64_t file_bytes = rounded(file.size());
    if (!has_room_for(name.sender, file_bytes)) {
        return false;
    }
    write(name, file);
    count(name, file_bytes);
    bodies_since_look_ += 1;
    bytes_since_look_ += file_bytes;
    return true;
}

void RefusedFolder::write(const RefusedName& name, std::string_view file) {
    const std::string final_name = refused_file_name(name);
    const std::string half_name = "." + final_name + std::string{refused_half_suffix};
    const std::string half_path = settings_.folder + "/" + half_name;
    const Fd fd = files_.create_private(half_path);
    try {
        write_fully(files_, fd.get(), std::as_bytes(std::span(file.data(), file.size())), 0);
        files_.rename(half_path, settings_.folder + "/" + final_name);
    } catch (const std::system_error&) {
        (void)remove(half_name);  // If it stays, a later look removes it.
        throw;
    }
}

bool RefusedFolder::remove(const std::string& name) noexcept {
    try {
        files_.unlink(settings_.folder + "/" + name);
        return true;
    } catch (const std::system_error& e) {
        if (e.code() == std::errc::no_such_file_or_directory) {
            return true;  // Another worker was quicker, or the operator's tool.
        }
        log_.add(LogLine::Level::error, "refused body not removed", e.what());
    } catch (const std::exception&) {
        // No memory for the path: the next look tries again.
    }
    return false;
}

}  // namespace runledger::edge
