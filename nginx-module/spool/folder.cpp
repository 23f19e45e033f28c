#include "nginx-module/spool/folder.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace runledger::edge {
namespace {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t usual_bytes_min = 256UL * 1024;
// A small folder is cut into this many segments, so that every worker finds room for the one it writes and the next.
constexpr std::uint64_t segments_in_small_folder = 16;
// A disk that refuses to read may give everything back when it has recovered; a bad block never does. After so many
// looks, with `avoid_for` between them, what can be read is delivered and the rest is set aside.
constexpr int tries_to_read_max = 3;

// What a turn of the courier's thread spends on reading, plus one read.
class Slice {
public:
    explicit Slice(std::chrono::milliseconds length) : ends_at_(std::chrono::steady_clock::now() + length) {}
    [[nodiscard]] bool is_over() const { return std::chrono::steady_clock::now() >= ends_at_; }

private:
    SpoolFolder::SteadyTime ends_at_;
};

// A segment's name with the suffix behind it.
bool is_segment_with(std::string_view suffix, std::string_view name) {
    return name.ends_with(suffix) && parse_segment_file_name(name.substr(0, name.size() - suffix.size())).has_value();
}

}  // namespace

SegmentId fresh_segment_id() {
    SegmentId id;
    std::size_t done = 0;
    while (done < id.bytes.size()) {
        const ssize_t got = ::getrandom(id.bytes.data() + done, id.bytes.size() - done, 0);
        if (got < 0 && errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
        done += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    return id;
}

std::uint64_t usual_segment_bytes(std::uint64_t room_bytes) noexcept {
    const std::uint64_t share = room_bytes / segments_in_small_folder / page_bytes * page_bytes;
    return std::clamp<std::uint64_t>(share, usual_bytes_min, segment_bytes);
}

SpoolFolder::SpoolFolder(const SpoolSettings& settings, Files& files, EdgeLog& log, IsOwned is_owned)
    : settings_(settings),
      files_(files),
      log_(log),
      is_owned_(std::move(is_owned)),
      claim_(settings_.folder, settings_.host, files, log),
      kept_(settings_.folder, settings_.keep_acked, files, log) {}

std::vector<SegmentId> SpoolFolder::list_segments() {
    std::vector<SegmentId> ids;
    std::uint64_t bytes = 0;
    SegmentCounts counts;
    kept_.forget();
    for (std::string& name : files_.list(settings_.folder)) {
        const auto id = parse_segment_file_name(name);
        const bool is_kept = is_segment_with(kept_suffix, name);
        if (!id && !is_kept && !is_segment_with(damaged_suffix, name)) {
            continue;
        }
        if (id) {
            ids.push_back(*id);
            counts.in_use += 1;
        } else if (!is_kept) {
            counts.damaged += 1;
        }
        if (const auto facts = files_.facts(settings_.folder + "/" + name); facts && facts->is_regular) {
            bytes += facts->allocated_bytes;
            if (is_kept) {
                kept_.note(std::move(name), *facts);
            }
        }
    }
    bytes_ = bytes;
    segments_ = counts;
    return ids;
}

void SpoolFolder::look() { (void)list_segments(); }

void SpoolFolder::remove_expired(WallTime now) {
    if (claim_.fault().empty()) {
        const std::uint64_t before = kept_.bytes();
        kept_.remove_expired(now);
        bytes_ -= before - kept_.bytes();
    }
}

std::uint64_t SpoolFolder::usual_bytes() const {
    return usual_segment_bytes(std::min(settings_.bytes_max, files_.room(settings_.folder).bytes));
}

std::optional<SegmentFile> SpoolFolder::try_create(std::uint64_t reserved_bytes, WallTime now, std::string& why) {
    claim_.look();
    if (!claim_.fault().empty()) {
        throw std::system_error(std::make_error_code(std::errc::operation_not_permitted), claim_.fault());
    }
    look();
    if (bytes_ + reserved_bytes > settings_.bytes_max) {
        give_up_kept(bytes_ + reserved_bytes - settings_.bytes_max);
    }
    const auto say_full = [&] {
        why = "the spool holds " + std::to_string(bytes_) + " of at most " + std::to_string(settings_.bytes_max) +
              " bytes";
    };
    if (bytes_ + reserved_bytes > settings_.bytes_max) {
        say_full();
        return std::nullopt;
    }
    while (true) {
        try {
            // Nothing comes back if another courier was quicker to lock the new file than we were: rare, and a fresh
            // id is no more likely to meet it again.
            auto file = SegmentFile::create(files_, {.folder = settings_.folder,
                                                     .id = fresh_segment_id(),
                                                     .reserved_bytes = reserved_bytes,
                                                     .created_at = now});
            if (file) {
                look();
                const std::uint64_t own_bytes = file->allocated_bytes();
                const std::uint64_t others_bytes = bytes_ - std::min(own_bytes, bytes_);
                if (others_bytes + reserved_bytes <= settings_.bytes_max) {
                    return file;
                }
                // Another courier has made one at the same moment. Whoever sees that gives way; if both do, each tries
                // again in its own time.
                file->unlink();
                bytes_ = others_bytes;
                say_full();
                return std::nullopt;
            }
        } catch (const std::system_error& e) {
            if (!is_no_room(e)) {
                throw;
            }
            const std::uint64_t freed = kept_.give_up(reserved_bytes);
            if (freed == 0) {
                why = e.what();
                return std::nullopt;
            }
            bytes_ -= freed;
        }
    }
}

SegmentFile SpoolFolder::create_for(std::size_t frame_bytes, WallTime now) {
    const std::uint64_t needed = segment_header_bytes + record_bytes(frame_bytes);
    const std::uint64_t smallest = (needed + page_bytes - 1) / page_bytes * page_bytes;
    const std::uint64_t usual = std::max(usual_bytes(), smallest);
    std::string why;
    auto file = try_create(usual, now, why);
    if (!file && smallest < usual) {
        file = try_create(smallest, now, why);
    }
    if (!file) {
        throw SpoolFull(why);
    }
    return std::move(*file);
}

SegmentFile SpoolFolder::create_ahead(WallTime now) {
    std::string why;
    auto file = try_create(usual_bytes(), now, why);
    if (!file) {
        throw SpoolFull(why);
    }
    return std::move(*file);
}

WallTime SpoolFolder::age_of(const SegmentId& id) {
    const auto known = ages_.find(id);
    if (known != ages_.end()) {
        return known->second;
    }
    WallTime created_at{};  // One whose header can't be read goes first: it may need an operator.
    try {
        if (const auto fd = files_.open(settings_.folder + "/" + segment_file_name(id))) {
            std::array<std::byte, segment_header_bytes> bytes{};
            (void)read_fully(files_, fd->get(), bytes, 0);  // Short or not: decoding tells.
            const auto header = decode_segment_header(bytes);
            if (const auto* good = std::get_if<SegmentHeader>(&header)) {
                created_at = good->created_at;
            } else {
                return created_at;  // Perhaps just being made: look again next time.
            }
        }
    } catch (const std::system_error&) {
        // Reading all of it meets the same failure and logs it. Not read again before that, for it may take long.
    }
    ages_.emplace(id, created_at);
    return created_at;
}

std::optional<SpoolFolder::Orphan> SpoolFolder::take_orphan(SteadyTime now, WallTime older_than) {
    if (reading_) {
        return go_on_reading(now);
    }
    has_more_ = false;
    claim_.look();
    if (!claim_.fault().empty()) {
        return std::nullopt;
    }
    std::vector<SegmentId> ids = list_segments();
    std::sort(ids.begin(), ids.end());
    const auto is_gone = [&](const auto& entry) { return !std::binary_search(ids.begin(), ids.end(), entry.first); };
    std::erase_if(ages_, is_gone);
    std::erase_if(tries_to_read_, is_gone);
    std::erase_if(avoid_until_, [&](const auto& entry) {
        if (entry.second <= now) {
            ages_.erase(entry.first);  // Its header may have been unreadable.
        }
        return entry.second <= now || is_gone(entry);
    });

    const Slice slice(settings_.read_slice);
    std::vector<std::pair<WallTime, SegmentId>> candidates;
    for (const SegmentId& id : ids) {
        if (avoid_until_.contains(id) || is_owned_(id)) {
            continue;
        }
        const bool is_read = !ages_.contains(id);
        candidates.emplace_back(age_of(id), id);
        if (is_read && ages_.contains(id) && slice.is_over()) {  // What it took to read it is not taken again.
            has_more_ = true;
            return std::nullopt;
        }
    }
    std::sort(candidates.begin(), candidates.end());
    for (const auto& [created_at, id] : candidates) {
        if (created_at >= older_than) {
            break;
        }
        if (start_reading(id, now)) {
            return go_on_reading(now);
        }
        if (slice.is_over() && avoid_until_.contains(id)) {
            has_more_ = true;
            break;
        }
    }
    return std::nullopt;
}

bool SpoolFolder::start_reading(const SegmentId& id, SteadyTime now) {
    try {
        auto file = SegmentFile::adopt(files_, settings_.folder, id);
        if (!file) {
            return false;
        }
        SegmentReading pieces = file->start_reading();
        reading_.emplace(Reading{.file = std::move(*file), .pieces = std::move(pieces)});
        return true;
    } catch (const std::system_error& e) {
        log_.add(LogLine::Level::crit, "segment not adopted", e.what());
    }
    avoid(id, now);
    return false;
}

std::optional<SpoolFolder::Orphan> SpoolFolder::go_on_reading(SteadyTime now) {
    const bool is_last_try = tries_to_read_[reading_->file.id()] + 1 >= tries_to_read_max;
    const Slice slice(settings_.read_slice);
    while (reading_->pieces.read_next()) {
        if (!reading_->pieces.is_complete() && !is_last_try) {
            break;  // The rest is read another time.
        }
        if (slice.is_over()) {
            return std::nullopt;
        }
    }
    return finish_reading(now);
}

std::optional<SpoolFolder::Orphan> SpoolFolder::finish_reading(SteadyTime now) {
    Reading read = std::move(*reading_);
    reading_.reset();
    has_more_ = true;
    const SegmentId id = read.file.id();
    if (read.file.was_taken_away()) {
        return std::nullopt;  // While it was read.
    }
    if (!read.pieces.is_complete() && ++tries_to_read_[id] < tries_to_read_max) {
        log_.add(LogLine::Level::crit, "segment not adopted",
                 read.file.path() + " has parts that can't be read, tried again later");
        avoid(id, now);
        return std::nullopt;
    }
    auto content = read.file.finish_reading(read.pieces);
    if (auto* whole = std::get_if<SegmentContent>(&content)) {
        return Orphan{.file = std::move(read.file), .content = std::move(*whole)};
    }
    log_.add(LogLine::Level::crit, "segment left alone",
             read.file.path() + " " + std::string(to_word(std::get<SegmentFault>(content))));
    avoid(id, now);
    return std::nullopt;
}

void SpoolFolder::avoid(const SegmentId& id, SteadyTime now) { avoid_until_[id] = now + settings_.avoid_for; }

}  // namespace runledger::edge
