#include "nginx-module/spool/spool.hpp"

#include <algorithm>
#include <system_error>

namespace runledger::edge {
namespace {

// After a failure that only time or an operator can mend.
constexpr std::chrono::milliseconds try_again_after{1000};

std::chrono::sys_seconds first_received_at(std::span<const std::byte> frame, WallTime fallback) {
    const auto decoded = wire::decode_batch(frame);
    const auto* batch = std::get_if<wire::Batch>(&decoded);
    const WallTime at = batch != nullptr && !batch->events.empty() ? batch->events.front().stamp.received_at : fallback;
    return std::chrono::floor<std::chrono::seconds>(at);
}

}  // namespace

Spool::Spool(const SpoolSettings& settings, Files& files, WallClock wall_clock, EdgeLog& log)
    : settings_(settings),
      folder_(settings, files, log, [this](const SegmentId& id) { return find(id) != nullptr; }),
      wall_clock_(std::move(wall_clock)),
      log_(log) {}

Spool::Stored Spool::append(wire::BatchEncoder& encoder, std::chrono::sys_seconds received_at, SteadyTime now) {
    Segment& segment = writable_segment(encoder.size_bytes(), now);
    segment.make_room_for_one();  // So that nothing can fail between durable and known.
    const auto frame = encoder.seal({.segment = segment.id(), .number = segment.file().next_number()});
    try {
        const RecordPlace place = segment.file().append(frame);
        segment.last_added_at = now;
        return {.segment = segment, .index = segment.add(place, received_at), .frame = frame};
    } catch (const std::system_error& e) {
        seal_active(now);
        if (is_no_room(e)) {
            // In spite of the reservation, as a copy-on-write file system may say.
            folder_.give_up_kept(record_bytes(frame.size()));
        }
        throw;
    }
}

Segment& Spool::writable_segment(std::size_t frame_bytes, SteadyTime now) {
    if (active_ != nullptr && active_->file().takes(frame_bytes)) {
        return *active_;
    }
    if (active_ != nullptr) {
        seal_active(now);  // Gives its unused tail back before more is asked for.
    }
    segments_.reserve(segments_.size() + 1);
    segments_.push_back(std::make_unique<Segment>(take_file_for(frame_bytes), wall_clock_()));
    active_ = segments_.back().get();
    active_->last_added_at = now;
    tend_due_at_ = now;  // The next one is wanted.
    return *active_;
}

SegmentFile Spool::take_file_for(std::size_t frame_bytes) {
    if (next_ && next_->was_taken_away()) {
        next_.reset();  // With the folder that it was made in, perhaps.
    }
    if (next_ && next_->takes(frame_bytes)) {
        SegmentFile file = std::move(*next_);
        next_.reset();
        return file;
    }
    try {
        return folder_.create_for(frame_bytes, wall_clock_());
    } catch (const SpoolFull&) {
        if (!next_) {
            throw;
        }
        // The room that is reserved is too small for this batch alone: give it up for one that is large enough.
        drop_next();
        return folder_.create_for(frame_bytes, wall_clock_());
    }
}

void Spool::seal_active(SteadyTime now) {
    Segment& sealed = *active_;
    active_ = nullptr;
    sealed.file().seal();
    tend_due_at_ = now;
    if (sealed.batch_count() == 0) {
        remove(sealed, now);
    }
}

void Spool::seal(const Segment& segment) {
    if (is_active(segment)) {
        seal_active({});
    }
}

void Spool::seal_if_idle(SteadyTime now) {
    if (active_ == nullptr || active_->batch_count() == 0 || !active_->is_acked()) {
        return;
    }
    const bool is_idle = now - active_->last_added_at >= settings_.seal_idle_after;
    const bool is_half_used = active_->file().used_bytes() >= active_->file().reserved_bytes() / 2;
    if (is_idle || is_half_used) {
        seal_active(now);
    }
}

void Spool::make_next(SteadyTime now) {
    if (next_ || now < next_due_at_) {
        return;
    }
    try {
        next_ = folder_.create_ahead(wall_clock_());
    } catch (const std::runtime_error& e) {
        // SpoolFull, or the disk failed: append() makes its own when it must, and says what is wrong then.
        next_due_at_ = now + try_again_after;
        log_.add(LogLine::Level::warn, "no segment made ahead", e.what());
    }
}

void Spool::drop_next() noexcept {
    try {
        next_->unlink();
    } catch (const std::exception&) {
        // It stays as a segment without a batch, which whoever adopts it unlinks.
    }
    next_.reset();
}

void Spool::tend(SteadyTime now) {
    if (now >= adopt_due_at_) {
        adopt(now);
    }
    seal_if_idle(now);
    remove_finished(now);
    let_go_over_bound(now);
    make_next(now);

    tend_due_at_ = adopt_due_at_;
    if (!next_) {
        tend_due_at_ = std::min(tend_due_at_, next_due_at_);
    }
}

void Spool::adopt(SteadyTime now) {
    adopt_due_at_ = now + settings_.adopt_every;
    try {
        if (count_of(true) < settings_.moving_segments_max) {
            if (auto orphan = folder_.take_orphan(now)) {
                adopt_due_at_ = now;  // There may be more; the turn's other work comes first.
                take_over(std::move(*orphan), now);
            } else if (folder_.has_more()) {
                adopt_due_at_ = now;
            }
        } else if (const Segment* newest = newest_to_let_go()) {
            // At the bound an older one takes its place, so that the oldest are sent first whoever left them. Only one
            // at a time: each is read whole.
            if (auto orphan = folder_.take_orphan(now, newest->created_at())) {
                take_over(std::move(*orphan), now);
            } else if (folder_.has_more()) {
                adopt_due_at_ = now;
            }
        } else {
            folder_.look();
        }
        folder_.remove_expired(wall_clock_());
    } catch (const std::system_error& e) {
        log_.add(LogLine::Level::crit, "spool unreadable", e.what());
    }
}

void Spool::take_over(SpoolFolder::Orphan orphan, SteadyTime now) {
    const SegmentContent& content = orphan.content;
    const WallTime created_at = content.header() ? content.header()->created_at : WallTime{};
    auto segment = std::make_unique<Segment>(std::move(orphan.file), created_at);
    for (const RecordPlace& place : content.batches()) {
        segment->add(place, first_received_at(content.frame(place), created_at));
    }
    segment->is_damaged = content.end() == ScanEnd::damaged;
    segment->is_copy = content.header() && content.header()->is_copy;
    const std::string& path = segment->file().path();
    const std::string what = path + " batches=" + std::to_string(segment->batch_count());
    switch (content.end()) {
        case ScanEnd::clean:
            break;
        case ScanEnd::torn_tail:
            log_.add(LogLine::Level::warn, "torn tail cut, it was never answered", what);
            break;
        case ScanEnd::damaged:
            log_.add(LogLine::Level::crit, "segment damaged, events may be lost, its valid batches are sent", what);
            break;
    }
    // The active segment stays last. Equal ages keep the order in which they came.
    const auto last = segments_.end() - (active_ != nullptr ? 1 : 0);
    const auto at = std::upper_bound(segments_.begin(), last, created_at,
                                     [](WallTime time, const auto& other) { return time < other->created_at(); });
    Segment& adopted = **segments_.insert(at, std::move(segment));
    if (adopted.batch_count() == 0) {
        remove(adopted, now);
        return;
    }
    ++figures_.segments_adopted;
    log_.add(LogLine::Level::info, "segment adopted", what);
}

Segment* Spool::find(const SegmentId& id) const noexcept {
    const auto found = std::find_if(segments_.begin(), segments_.end(), [&](const auto& s) { return s->id() == id; });
    return found == segments_.end() ? nullptr : found->get();
}

void Spool::remove(Segment& segment, SteadyTime now) {
    segment.is_finished = true;
    try {
        if (segment.is_damaged) {
            segment.file().set_aside();
        } else if (settings_.keep_acked > std::chrono::seconds{0} && segment.batch_count() > 0 && !segment.is_copy) {
            // Not a copy: it may hold less than the original that is kept under the name.
            segment.file().keep(wall_clock_());
        } else {
            segment.file().unlink();
        }
    } catch (const std::system_error& e) {
        segment.due_at = now + try_again_after;
        log_.add(LogLine::Level::crit, "segment not removed", e.what());
        return;
    }
    ++figures_.segments_removed;
    figures_.segments_damaged += segment.is_damaged ? 1 : 0;
    adopt_due_at_ = std::min(adopt_due_at_, now + try_again_after);
    std::erase_if(segments_, [&](const auto& s) { return s.get() == &segment; });
}

void Spool::remove_finished(SteadyTime now) {
    for (std::size_t i = segments_.size(); i > 0; --i) {  // Backwards, since remove() erases.
        Segment& segment = *segments_[i - 1];
        if (segment.is_finished && now >= segment.due_at) {
            remove(segment, now);
        }
    }
}

std::size_t Spool::count_of(bool moving) const noexcept {
    return static_cast<std::size_t>(std::count_if(segments_.begin(), segments_.end(), [&](const auto& s) {
        return s.get() != active_ && s->is_moving() == moving;
    }));
}

const Segment* Spool::newest_to_let_go() const noexcept {
    const auto found = std::find_if(segments_.rbegin(), segments_.rend(), [&](const auto& s) {
        return s.get() != active_ && s->is_moving() && s->count(BatchState::in_flight) == 0;
    });
    return found == segments_.rend() ? nullptr : found->get();
}

void Spool::let_go_over_bound(SteadyTime now) {
    std::size_t moving = count_of(true);
    std::size_t parked = count_of(false);
    for (std::size_t i = segments_.size(); i > 0; --i) {  // The newest first: it is the last to be sent.
        Segment& segment = *segments_[i - 1];
        if (&segment == active_) {
            continue;
        }
        if (segment.is_moving()) {
            if (moving <= settings_.moving_segments_max || segment.count(BatchState::in_flight) > 0) {
                continue;
            }
            --moving;
        } else {
            if (parked <= settings_.parked_segments_max) {
                continue;
            }
            --parked;
            folder_.avoid(segment.id(), now);  // Or we would adopt it at once, and send all of it again.
        }
        segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(i - 1));
    }
}

SpoolFigures Spool::figures() const {
    SpoolFigures figures = figures_;
    figures.folder_bytes = folder_.bytes();
    figures.folder_segments = folder_.segments().in_use;
    figures.folder_damaged_segments = folder_.segments().damaged;
    figures.folder_kept_segments = folder_.kept().count();
    figures.folder_kept_bytes = folder_.kept().bytes();
    std::optional<std::chrono::sys_seconds> oldest;
    for (const auto& segment : segments_) {
        figures.batches_unacked += segment->batch_count() - segment->count(BatchState::acked);
        if (const auto at = segment->oldest_unacked(); at && (!oldest || *at < *oldest)) {
            oldest = at;
        }
    }
    if (oldest) {
        const auto age = std::chrono::floor<std::chrono::seconds>(wall_clock_()) - *oldest;
        figures.oldest_unacked_seconds = static_cast<std::uint64_t>(std::max(age.count(), std::int64_t{0}));
    }
    return figures;
}

void Spool::close() noexcept {
    try {
        if (active_ != nullptr) {
            seal_active({});
        }
    } catch (const std::exception&) {
        // Left unsealed, or empty: whoever adopts it deals with either.
    }
    active_ = nullptr;
    release_all_but_active();
}

void Spool::release_all_but_active() noexcept {
    if (next_) {
        drop_next();
    }
    folder_.stop_reading();
    std::erase_if(segments_, [this](const auto& segment) { return segment.get() != active_; });
}

}  // namespace runledger::edge
