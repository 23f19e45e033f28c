// `runledger refused take` and `drop`: what leaves the folder, once and for all.
//
// A take is a folder in the folder, named by a segment's id. The chosen files are moved into it; a segment is made of
// them and stored beside them; the segment is put into the spool; then the files are removed, the segment the last. If
// the tool is killed before the segment is stored, the next take moves the files back; after that, it goes on with the
// same segment, and the ledger ignores a batch that it has by the same name. So each event arrives exactly once.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "common/digest.hpp"
#include "common/event.hpp"
#include "common/limits.hpp"
#include "common/spool_format.hpp"
#include "common/wire.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/output/whole_file.hpp"
#include "daemon/tool/refused/commands.hpp"
#include "daemon/tool/refused/folder.hpp"
#include "daemon/tool/spool/folder.hpp"
#include "daemon/tool/spool/move.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view segment_name = "segment";

// What one take puts into one segment; an event of the largest size fits beside the rest.
constexpr std::size_t take_events_max = 4096;
constexpr std::size_t take_bytes_max = 6UL * 1024 * 1024;
static_assert(take_bytes_max + body_bytes_max + take_events_max * 128 < segment_bytes);

// The sender's tries of one event are at most its timeout apart (docs/sender.md, "Delivery").
constexpr std::chrono::seconds tries_apart_max{25};

[[nodiscard]] RefusedError error(const std::filesystem::path& path, std::string_view doing) {
    return RefusedError(fmt::format("{}: can't {}: {}", path.string(), doing, std::generic_category().message(errno)));
}

struct Taken {
    std::size_t events{};
    std::size_t repeats{};
    std::size_t segments{};
    std::map<std::string, std::size_t, std::less<>> staying;  // By why they stay.
};

[[nodiscard]] SegmentId fresh_id() {
    std::random_device random;
    SegmentId id;
    for (std::uint8_t& byte : id.bytes) {
        byte = static_cast<std::uint8_t>(random());
    }
    return id;
}

void make_folder(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), 0700) == -1) {
        throw error(path, "make the folder");
    }
    struct stat facts {};
    if (::geteuid() == 0 &&
        (::stat(path.parent_path().c_str(), &facts) == -1 || ::chown(path.c_str(), facts.st_uid, facts.st_gid) == -1)) {
        throw error(path, "give it to the folder's owner");
    }
}

// False if it has gone: it expired, and a worker has removed it.
[[nodiscard]] bool move_file(const std::filesystem::path& from, const std::filesystem::path& folder) {
    const auto to = folder / from.filename();
    if (::rename(from.c_str(), to.c_str()) == -1) {
        if (errno == ENOENT) {
            return false;
        }
        throw error(from, "move it");
    }
    return true;
}

void remove_file(const std::filesystem::path& path) {
    if (::unlink(path.c_str()) == -1 && errno != ENOENT) {
        throw error(path, "remove it");
    }
}

// Tells the sender's second and third try from its first one. They are known by their method, and by the body of an
// earlier try. Two events of the same body that both came first are both kept.
class Tries {
public:
    // In the order of receipt.
    [[nodiscard]] bool is_repeat(const RefusedBody& refused) {
        const Digest128 digest = digest128(std::as_bytes(std::span(refused.body)));
        const auto earlier = last_.find(digest);
        const bool is_repeat = (refused.flags & wire::redelivered) != 0 && earlier != last_.end() &&
                               refused.stamp.received_at - earlier->second <= tries_apart_max;
        last_[digest] = refused.stamp.received_at;
        return is_repeat;
    }

private:
    std::map<Digest128, WallTime> last_;  // Of each body.
};

// The batches of a segment, filled event by event. The events of one batch are of one edge and one boot.
class SegmentBuilder {
public:
    explicit SegmentBuilder(const SegmentId& id) : id_(id) {}

    void add(const RefusedBody& refused, std::uint32_t more_flags) {
        if (!encoder_ || boot_ != refused.boot || edge_ != refused.edge_name ||
            encoder_->event_count() >= batch_events_max ||
            (encoder_->event_count() > 0 && encoder_->size_bytes() + refused.body.size() > batch_bytes_soft_max)) {
            end_batch();
            boot_ = refused.boot;
            edge_ = refused.edge_name;
            encoder_.emplace(wire::BatchEncoder::Origin{.boot = boot_, .edge_name = edge_});
        }
        if (events_ == 0) {
            created_at_ = refused.stamp.received_at;
        }
        encoder_->add({.stamp = refused.stamp, .flags = refused.flags | more_flags, .body = refused.body});
        ++events_;
    }

    [[nodiscard]] std::size_t events() const noexcept { return events_; }

    // Precondition: at least one event.
    [[nodiscard]] std::vector<std::byte> finish() {
        end_batch();
        const auto header = encode_segment_header(
            {.id = id_, .reserved_bytes = segment_header_bytes + records_.size(), .created_at = created_at_});
        std::vector<std::byte> file(header.begin(), header.end());
        file.insert(file.end(), records_.begin(), records_.end());
        return file;
    }

private:
    void end_batch() {
        if (encoder_ && encoder_->event_count() > 0) {
            append_record(records_, batches_, encoder_->finish({.segment = id_, .number = batches_}));
            ++batches_;
        }
        encoder_.reset();
    }

    SegmentId id_;
    BootId boot_;
    std::string edge_;
    std::optional<wire::BatchEncoder> encoder_;
    std::vector<std::byte> records_;
    BatchNumber batches_{0};
    std::size_t events_{0};
    WallTime created_at_{};
};

class Take {
public:
    Take(const std::filesystem::path& folder, const std::filesystem::path& spool, Taken& taken)
        : folder_(folder), spool_(spool), taken_(taken) {}

    void run(const BegunTake& begun) {
        if (make_segment(begun)) {
            put_through(begun);
        } else {
            remove_folder(begun.path);
        }
    }

    // A take that another tool has left, at whatever step.
    void recover(const BegunTake& begun) {
        if (std::filesystem::exists(begun.path / segment_name)) {
            put_through(begun);
            return;
        }
        for (const RefusedPath& name : find_refused(begun.path)) {
            (void)move_file(name.path, folder_);  // We alone have it: it is there.
        }
        sync_folder(folder_);
        remove_folder(begun.path);
    }

private:
    // From the stored segment on.
    void put_through(const BegunTake& begun) {
        const auto segment_path = begun.path / segment_name;
        remove_half_segments(begun.segment);
        if (put_segment(begun.segment, read_segment(begun.segment, segment_path), spool_)) {
            ++taken_.segments;
        }
        for (const RefusedPath& name : find_refused(begun.path)) {
            remove_file(name.path);
        }
        sync_folder(begun.path);  // Without its segment such a file would be taken a second time.
        remove_file(segment_path);
        remove_folder(begun.path);
    }

    // False if nothing is left to be put through.
    [[nodiscard]] bool make_segment(const BegunTake& begun) {
        SegmentBuilder builder(begun.segment);
        for (const RefusedPath& name : find_refused(begun.path)) {
            const auto look = look_at(name);
            const RefusedBody* refused = look ? look->body() : nullptr;
            const auto event =
                refused != nullptr ? validate_event(refused->body) : std::variant<EventSummary, Refusal>{Refusal{}};
            const auto* summary = std::get_if<EventSummary>(&event);
            if (summary == nullptr) {
                throw RefusedError(fmt::format("{}: has changed while it was taken", name.path.string()));
            }
            if (tries_.is_repeat(*refused)) {
                ++taken_.repeats;
            } else {
                builder.add(*refused, summary->beyond_parser ? wire::beyond_parser : 0U);
            }
        }
        // The files are here and nowhere else, before the segment says that they are taken.
        sync_folder(folder_);
        sync_folder(begun.path);
        if (builder.events() == 0) {
            return false;
        }
        write_private_file(begun.path / segment_name, builder.finish());
        return true;
    }

    [[nodiscard]] std::vector<std::byte> read_segment(const SegmentId& id, const std::filesystem::path& path) {
        std::ifstream file(path, std::ios::binary);
        const std::string text(std::istreambuf_iterator<char>(file), {});
        const auto bytes = std::as_bytes(std::span(text));
        std::vector<std::byte> content(bytes.begin(), bytes.end());
        const auto parsed = SegmentContent::parse(id, content, true);
        const auto* segment = std::get_if<SegmentContent>(&parsed);
        if (!file || segment == nullptr || segment->end() != ScanEnd::clean) {
            throw RefusedError(fmt::format("{}: is damaged; remove it, and the take makes it anew", path.string()));
        }
        for (const RecordPlace& place : segment->batches()) {
            const auto header = wire::decode_batch_header(segment->frame(place));
            if (const auto* batch = std::get_if<wire::BatchHeader>(&header)) {
                taken_.events += batch->event_count;
            }
        }
        return content;
    }

    // What a killed take has left there under a name that no courier looks at.
    void remove_half_segments(const SegmentId& id) const {
        std::error_code code;  // A folder that can't be listed can't be written to either, which is said then.
        for (const auto& entry : std::filesystem::directory_iterator(spool_, code)) {
            if (entry.path().filename().string().starts_with("." + file_name(id, SegmentKind::live) + "-")) {
                remove_file(entry.path());
            }
        }
    }

    // With what a killed take may have left in it.
    void remove_folder(const std::filesystem::path& path) const {
        std::error_code code;
        std::filesystem::remove_all(path, code);
        if (code) {
            throw RefusedError(fmt::format("{}: can't remove it: {}", path.string(), code.message()));
        }
        sync_folder(folder_);
    }

    const std::filesystem::path& folder_;
    const std::filesystem::path& spool_;
    Taken& taken_;
    Tries tries_;  // Over all segments of this run.
};

void require_a_choice(const RefusedChoice& choice) {
    if (!choice.says_something()) {
        throw Misused("say which bodies: --digest, --reason, --since, --until, or --all");
    }
}

void require_a_spool(const std::filesystem::path& spool) {
    if (const auto why = why_no_nginx_sends_from(spool)) {
        throw RefusedError(*why);
    }
}

// The files that are chosen, as many as one segment holds, from `next` on.
[[nodiscard]] std::vector<RefusedPath> next_files(const std::vector<RefusedPath>& names, std::size_t& next,
                                                  const RefusedChoice& choice, Taken& taken) {
    std::vector<RefusedPath> files;
    std::size_t bytes = 0;
    for (; next < names.size() && files.size() < take_events_max && bytes < take_bytes_max; ++next) {
        const auto look = look_at(names[next]);
        if (!look || !is_chosen(choice, *look)) {
            continue;
        }
        if (const std::string_view fault = look->fault(); !fault.empty()) {
            ++taken.staying[std::string(fault)];
            continue;
        }
        files.push_back(names[next]);
        bytes += look->file_bytes;
    }
    return files;
}

[[nodiscard]] std::string describe(const std::map<std::string, std::size_t, std::less<>>& staying) {
    std::string text;
    for (const auto& [why, count] : staying) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, why);
    }
    return text;
}

void say_taken(const TakeRefusedOptions& options, const Taken& taken, Output& out) {
    if (out.as_json) {
        JsonObject staying;
        for (const auto& [why, count] : taken.staying) {
            staying.add(why, count);
        }
        out.print(JsonObject()
                      .add("spool", options.spool.string())
                      .add("events", taken.events)
                      .add("segments", taken.segments)
                      .add("repeats", taken.repeats)
                      .add("staying", std::move(staying)));
        return;
    }
    out.print("{} events put into {}, in {} segments\n", taken.events, options.spool.string(), taken.segments);
    if (taken.repeats > 0) {
        out.print("{} repeated tries of the sender left out\n", taken.repeats);
    }
    if (!taken.staying.empty()) {
        out.print("stay in {}: {}\n", options.folder.string(), describe(taken.staying));
    }
}

}  // namespace

int take_refused(const TakeRefusedOptions& options, Output& out) {
    require_a_choice(options.choice);
    require_a_spool(options.spool);
    const RefusedFolderLock lock(options.folder);
    Taken taken;
    Take take(options.folder, options.spool, taken);
    for (const BegunTake& begun : find_begun_takes(options.folder)) {
        take.recover(begun);
    }
    const std::vector<RefusedPath> names = find_refused(options.folder);
    for (std::size_t next = 0; next < names.size();) {
        out.show_progress("taking refused bodies", next, names.size());
        const auto files = next_files(names, next, options.choice, taken);
        if (files.empty()) {
            continue;
        }
        const SegmentId segment = fresh_id();
        const BegunTake begun{.path = take_path(options.folder, segment), .segment = segment};
        make_folder(begun.path);
        for (const RefusedPath& file : files) {
            (void)move_file(file.path, begun.path);  // If it has expired meanwhile, it is not taken.
        }
        take.run(begun);
    }
    say_taken(options, taken, out);
    return taken.staying.empty() ? exit_yes : exit_no;
}

int drop_refused(const DropRefusedOptions& options, Output& out) {
    require_a_choice(options.choice);
    const RefusedFolderLock lock(options.folder);
    std::size_t dropped = 0;
    for (const RefusedPath& name : find_refused(options.folder)) {
        const auto look = look_at(name);
        if (look && is_chosen(options.choice, *look)) {
            remove_file(name.path);
            ++dropped;
        }
    }
    if (out.as_json) {
        out.print(JsonObject().add("dropped", dropped));
    } else {
        out.print("{} bodies dropped\n", dropped);
    }
    return exit_yes;
}

}  // namespace runledger::tool
