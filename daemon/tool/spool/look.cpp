// `runledger spool list` and `show`, and `export` as JSON lines: reading only.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/spool/commands.hpp"
#include "daemon/tool/spool/folder.hpp"
#include "daemon/tool/spool/move.hpp"
#include "daemon/tool/spool/text.hpp"

namespace runledger::tool {
namespace {

struct Row {
    WallTime created_at;
    std::string line;
};

[[nodiscard]] std::string to_row(const SegmentLook& look, const SegmentSums& sums) {
    const SegmentContent* content = look.segment();
    const bool has_header = content != nullptr && content->header();
    return fmt::format("{}  {:<15} {:<27} {:>7} {:>8} {:>10} {:>10}  {}{}", look.name.id.hex(), state_of(look),
                       has_header ? to_text(content->header()->created_at) : "-", sums.batches, sums.events,
                       content != nullptr ? content->used_bytes() : 0, look.allocated_bytes,
                       content != nullptr ? to_word(content->end()) : "-",
                       has_header && content->header()->is_copy ? " copy" : "");
}

// The batch in a record that was found whole; says so where its frame is not. False: not all of the segment was read.
template <class EachBatch>
bool for_each_batch(const SegmentLook& look, Output& out, const EachBatch& each) {
    const SegmentContent* content = look.segment();
    if (content == nullptr) {
        throw SpoolError(fmt::format("{}: is not a segment that this build can read: {}", look.name.path.string(),
                                     to_word(std::get<SegmentFault>(look.content))));
    }
    bool is_whole = content->end() != ScanEnd::damaged;
    for (const RecordPlace& place : content->batches()) {
        const auto decoded = wire::decode_batch(content->frame(place));
        if (const auto* damage = std::get_if<wire::Damage>(&decoded)) {
            out.warn(fmt::format("{}: batch {}: {}", look.name.path.string(), place.number, wire::to_word(*damage)));
            is_whole = false;
            continue;
        }
        each(std::get<wire::Batch>(decoded));
    }
    if (content->end() == ScanEnd::damaged) {
        out.warn(fmt::format("{}: damaged: what is missing can't be read", look.name.path.string()));
    }
    return is_whole;
}

bool print_events(const SegmentLook& look, Output& out) {
    return for_each_batch(look, out, [&out](const wire::Batch& batch) {
        for (std::size_t index = 0; index < batch.events.size(); ++index) {
            out.print_json(to_json(batch, index, WithBody::yes));
        }
    });
}

}  // namespace

int list_spool(const ListOptions& options, Output& out) {
    std::vector<Row> rows;
    std::uint64_t batches = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    for (const SegmentPath& name : find_segments(options.folder)) {
        const auto look = look_at(name);
        if (!look) {
            continue;
        }
        const SegmentContent* content = look->segment();
        const SegmentSums sums = content != nullptr ? sum_up(*content) : SegmentSums{};
        const WallTime created_at =
            content != nullptr && content->header() ? content->header()->created_at : WallTime{};
        rows.push_back({created_at, out.as_json ? to_json(*look, sums) : to_row(*look, sums)});
        bytes += look->allocated_bytes;
        if (name.kind == SegmentKind::live) {
            batches += sums.batches;
            events += sums.events;
        }
    }
    std::ranges::sort(rows, {}, [](const Row& row) { return std::tie(row.created_at, row.line); });
    if (!out.as_json) {
        out.print("{:<32}  {:<15} {:<27} {:>7} {:>8} {:>10} {:>10}  {}\n", "SEGMENT", "STATE", "MADE", "BATCHES",
                  "EVENTS", "USED", "DISK", "END");
    }
    for (const Row& row : rows) {
        if (out.as_json) {
            out.print_json(row.line);
        } else {
            out.print("{}\n", row.line);
        }
    }
    if (!out.as_json) {
        out.print("{} segments, {} bytes on the disk; {} batches with {} events are not retired yet\n", rows.size(),
                  bytes, batches, events);
    }
    return exit_yes;
}

int show_segment(const ShowOptions& options, Output& out) {
    const SegmentPath name = find_segment(options.folder, options.segment);
    const auto look = look_at(name);
    if (!look) {
        throw SpoolError(fmt::format("{}: has been retired meanwhile", name.path.string()));
    }
    bool is_found = !options.batch;
    const bool is_whole = for_each_batch(*look, out, [&](const wire::Batch& batch) {
        if (options.batch && *options.batch != batch.name.number) {
            return;
        }
        is_found = true;
        for (std::size_t index = 0; index < batch.events.size(); ++index) {
            const WithBody body = options.bodies ? WithBody::yes : WithBody::no;
            if (options.bodies || out.as_json) {
                out.print_json(to_json(batch, index, body));
            } else {
                out.print("{}\n", to_line(batch, index));
            }
        }
    });
    if (!is_found) {
        throw NotThere(fmt::format("{}: has no batch {}", name.path.string(), *options.batch));
    }
    return is_whole || options.batch ? exit_yes : exit_no;
}

int export_spool(const ExportOptions& options, Output& out) {
    std::vector<SegmentPath> names;
    for (const std::string& text : options.segments) {
        names.push_back(find_segment(options.folder, text));
    }
    if (options.segments.empty()) {
        names = find_segments(options.folder);
    }
    bool is_whole = true;
    for (const SegmentPath& name : names) {
        const auto look = look_at(name);
        if (!look) {
            continue;  // Retired since it was listed: the ledger has it.
        }
        const SegmentContent* content = look->segment();
        if (options.to.empty()) {
            is_whole = print_events(*look, out) && is_whole;
        } else if (content == nullptr) {
            is_whole = false;
            out.warn(fmt::format("{}: left out: {}", name.path.string(), state_of(*look)));
        } else {
            const Copied copied = copy_segment(*look, *content, options.to, CopyAs::copy);
            is_whole = is_whole && copied.left_out == 0 && content->end() != ScanEnd::damaged;
            if (out.as_json) {
                out.print(JsonObject()
                              .add("segment", name.id.hex())
                              .add("batches", copied.batches)
                              .add("left_out", copied.left_out));
            } else {
                out.print("{} {} batches\n", name.id.hex(), copied.batches);
            }
            if (copied.left_out > 0) {
                out.warn(
                    fmt::format("{}: {} batches are NOT copied: {} has a file of this name that lacks them, and "
                                "that an nginx may have; name an empty folder",
                                name.path.string(), copied.left_out, options.to.string()));
            }
            if (content->end() == ScanEnd::damaged) {
                out.warn(fmt::format("{}: damaged: only its readable batches were copied", name.path.string()));
            }
        }
    }
    return is_whole ? exit_yes : exit_no;
}

}  // namespace runledger::tool
