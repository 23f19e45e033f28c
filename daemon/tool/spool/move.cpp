#include "daemon/tool/spool/move.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <span>
#include <system_error>
#include <vector>

#include "common/spool_format.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/output/whole_file.hpp"
#include "daemon/tool/spool/commands.hpp"
#include "daemon/tool/spool/text.hpp"

namespace runledger::tool {
namespace {

[[nodiscard]] SpoolError error(const std::filesystem::path& path, std::string_view doing) {
    return SpoolError(fmt::format("{}: can't {}: {}", path.string(), doing, std::generic_category().message(errno)));
}

// The files of a segment, in whatever state: its name may also be that of a kept one.
[[nodiscard]] std::vector<SegmentPath> files_of(const std::filesystem::path& folder, const SegmentId& id) {
    std::vector<SegmentPath> files;
    for (const SegmentKind kind : {SegmentKind::live, SegmentKind::kept, SegmentKind::damaged}) {
        const auto path = folder / file_name(id, kind);
        struct stat facts {};
        if (::lstat(path.c_str(), &facts) == 0) {
            files.push_back({.path = path, .id = id, .kind = kind});
        }
    }
    return files;
}

// How many of the batches a file has. One that can't be read, or has gone meanwhile, has none.
[[nodiscard]] std::size_t count_there(const SegmentPath& file, const SegmentContent& wanted) {
    std::set<BatchNumber> there;
    try {
        const auto look = look_at(file);
        if (const SegmentContent* content = look ? look->segment() : nullptr) {
            for (const RecordPlace& place : content->batches()) {
                there.insert(place.number);
            }
        }
    } catch (const SpoolError&) {
        return 0;  // No segment, such as a FIFO: what it has is nothing that would be sent.
    }
    return static_cast<std::size_t>(std::ranges::count_if(
        wanted.batches(), [&there](const RecordPlace& place) { return there.contains(place.number); }));
}

[[nodiscard]] std::vector<SegmentPath> segments_at(const std::filesystem::path& from) {
    std::error_code code;
    if (std::filesystem::is_directory(from, code)) {
        if (const auto why = why_no_spool(from)) {
            throw NotThere(*why);
        }
        return find_segments(from);
    }
    auto name = parse_segment_path(from);
    if (!name) {
        throw SpoolError(fmt::format("{}: is neither a folder nor a segment's file", from.string()));
    }
    return {std::move(*name)};
}

[[nodiscard]] bool is_same_folder(const std::filesystem::path& one, const std::filesystem::path& other) {
    std::error_code code;
    return std::filesystem::equivalent(one, other, code) && !code;
}

void say_imported(const SegmentPath& name, const Copied& copied, Output& out) {
    if (out.as_json) {
        JsonObject object;
        object.add("segment", name.id.hex()).add("imported", copied.is_new);
        object.add("batches", copied.is_new ? copied.batches : 0).add("left_out", copied.left_out);
        out.print(object);
    } else if (copied.is_new) {
        out.print("{} {} batches imported\n", name.id.hex(), copied.batches);
    } else if (copied.left_out == 0) {
        out.print("{} is in the spool already\n", name.id.hex());
    }
    if (copied.left_out > 0) {
        out.warn(fmt::format(
            "{}: {} batches are NOT imported: a file of this segment is in the spool, with {} of them. When "
            "nginx has sent it, and `spool list` does not show it any more, import again",
            name.path.string(), copied.left_out, copied.batches));
    }
}

}  // namespace

Copied copy_segment(const SegmentLook& look, const SegmentContent& content, const std::filesystem::path& folder,
                    CopyAs as) {
    const SegmentId& id = look.name.id;
    const std::size_t all = content.batches().size();
    bool may_replace = true;
    for (const SegmentPath& file : files_of(folder, id)) {
        const std::size_t there = count_there(file, content);
        if (there == all) {
            return {.is_new = false, .batches = all};
        }
        if (file.kind != SegmentKind::kept && !why_no_nginx_sends_from(folder)) {
            return {.is_new = false, .batches = there, .left_out = all - there};
        }
        std::error_code code;
        may_replace = may_replace && std::filesystem::is_regular_file(std::filesystem::symlink_status(file.path, code));
    }
    // Records are taken over byte by byte and keep their numbers; gaps that damage has left remain gaps.
    std::vector<std::byte> records;
    records.reserve(content.used_bytes());
    for (const RecordPlace& place : content.batches()) {
        append_record(records, place.number, content.frame(place));
    }
    const WallTime created_at = content.header() ? content.header()->created_at : WallTime{};
    const bool was_copy = content.header() && content.header()->is_copy;
    const auto header = encode_segment_header({.id = id,
                                               .reserved_bytes = segment_header_bytes + records.size(),
                                               .created_at = created_at,
                                               .is_copy = as == CopyAs::copy || was_copy});
    WholeFile file(folder / file_name(id, SegmentKind::live), 0600);
    file.write(header);
    file.write(records);
    file.give_to_owner_of_folder();  // The workers must be able to open it, whoever runs the tool.
    if (may_replace && why_no_nginx_sends_from(folder)) {
        file.replace();
    } else if (!file.take_name()) {
        return {.is_new = false, .batches = 0, .left_out = all};  // It has come meanwhile.
    }
    return {.is_new = true, .batches = all};
}

bool put_segment(const SegmentId& id, std::span<const std::byte> bytes, const std::filesystem::path& folder) {
    if (!files_of(folder, id).empty()) {
        return false;
    }
    WholeFile file(folder / file_name(id, SegmentKind::live), 0600);
    file.write(bytes);
    file.give_to_owner_of_folder();
    return file.take_name();
}

void replace_file(const std::filesystem::path& path, std::string_view text) {
    WholeFile file(path, 0644);
    file.write(text);
    file.give_to_owner_of_folder();
    file.replace();
}

void write_private_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
    WholeFile file(path, 0600);
    file.write(bytes);
    file.give_to_owner_of_folder();
    file.replace();
}

int import_segments(const ImportOptions& options, Output& out) {
    if (const auto why = why_no_nginx_sends_from(options.folder)) {
        throw NotThere(*why);
    }
    std::size_t imported = 0;
    bool is_whole = true;
    std::uint64_t looked_at = 0;
    for (const std::filesystem::path& from : options.from) {
        const std::filesystem::path from_folder = std::filesystem::is_directory(from) ? from : from.parent_path();
        if (is_same_folder(from_folder.empty() ? "." : from_folder, options.folder)) {
            throw SpoolError(fmt::format("{}: is in the spool already; resend sends it again", from.string()));
        }
        for (const SegmentPath& name : segments_at(from)) {
            out.show_progress("importing segments", looked_at++, 0);
            const auto look = look_at(name);
            if (!look) {
                throw SpoolError(fmt::format("{}: is not there", name.path.string()));
            }
            const SegmentContent* content = look->segment();
            if (content == nullptr) {
                throw SpoolError(fmt::format("{}: is not a segment that this build can read: {}", name.path.string(),
                                             state_of(*look)));
            }
            if (look->is_owned && options.source_is_gone) {
                throw SpoolError(fmt::format("{}: an nginx has it open: its source is not gone", name.path.string()));
            }
            if (content->batches().empty()) {
                continue;
            }
            const bool is_original = options.source_is_gone && content->end() != ScanEnd::damaged;
            const Copied copied =
                copy_segment(*look, *content, options.folder, is_original ? CopyAs::original : CopyAs::copy);
            imported += copied.is_new ? 1 : 0;
            is_whole = is_whole && copied.left_out == 0 && content->end() != ScanEnd::damaged;
            say_imported(name, copied, out);
            if (content->end() == ScanEnd::damaged) {
                out.warn(fmt::format("{}: is damaged: only its readable batches were imported", name.path.string()));
            }
        }
    }
    if (!out.as_json) {
        out.print("{} segments imported\n", imported);
    }
    return is_whole ? exit_yes : exit_no;
}

int resend_segments(const ResendOptions& options, Output& out) {
    std::vector<SegmentPath> names;
    for (const std::string& text : options.segments) {
        names.push_back(find_segment(options.folder, text));
    }
    if (options.all_kept) {
        for (SegmentPath& name : find_segments(options.folder)) {
            if (name.kind == SegmentKind::kept) {
                names.push_back(std::move(name));
            }
        }
    }
    for (const SegmentPath& name : names) {
        if (name.kind == SegmentKind::live) {
            throw SpoolError(
                fmt::format("{}: is sent until the ledger has it; there is nothing to resend", name.path.string()));
        }
        const auto live = options.folder / file_name(name.id, SegmentKind::live);
        // link() and not rename(): it never replaces what is there.
        if (::link(name.path.c_str(), live.c_str()) == -1) {
            if (errno == ENOENT) {
                out.warn(fmt::format("{}: was removed meanwhile", name.path.string()));
                continue;
            }
            throw error(name.path, "rename it");
        }
        if (::unlink(name.path.c_str()) == -1 && errno != ENOENT) {
            throw error(name.path, "remove its other name");
        }
        if (out.as_json) {
            out.print(JsonObject().add("segment", name.id.hex()).add("resent", true));
        } else {
            out.print("{} will be sent again\n", name.id.hex());
        }
    }
    sync_folder(options.folder);
    return exit_yes;
}

}  // namespace runledger::tool
