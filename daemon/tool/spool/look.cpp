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

// The batch in a record that was found whole; says so where its frame is not.
template <class EachBatch>
void for_each_batch(const SegmentLook& look, Output& out, const EachBatch& each) {
    const SegmentContent* content = look.segment();
    if (content == nullptr) {
        throw SpoolError(fmt::format("{}: is not a segment that this build can read: {}", look.name.path.string(),
                                     to_word(std::get<SegmentFault>(look.content))));
    }
    for (const RecordPlace& place : content->batches()) {
        const auto decoded = wire::decode_batch(content->frame(place));
        if (const auto* damage = std::get_if<wire::Damage>(&decoded)) {
            out.warn(fmt::format("{}: batch {}: {}", look.name.path.string(), place.number, wire::to_word(*damage)));
            continue;
        }
        each(std::get<wire::Batch>(decoded));
    }
    if (content->end() == ScanEnd::damaged) {
        out.warn(fmt::format("{}: damaged: what is missing can't be read", look.name.path.string()));
    }
}

void print_events(const SegmentLook& look, Output& out) {
    for_each_batch(look, out, [&out](const wire::Batch& batch) {
        for (std::size_t index = 0; index < batch.events.size(); ++index) {
            out.print("{}\n", to_json(batch, index, WithBody::yes));
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
        out.print("{}\n", row.line);
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
    for_each_batch(*look, out, [&](const wire::Batch& batch) {
        if (options.batch && *options.batch != batch.name.number) {
            return;
        }
        is_found = true;
        for (std::size_t index = 0; index < batch.events.size(); ++index) {
            const WithBody body = options.bodies ? WithBody::yes : WithBody::no;
            out.print("{}\n", options.bodies || out.as_json ? to_json(batch, index, body) : to_line(batch, index));
        }
    });
    if (!is_found) {
        throw NotThere(fmt::format("{}: has no batch {}", name.path.string(), *options.batch));
    }
    return exit_yes;
}

int export_spool(const ExportOptions& options, Output& out) {
    std::vector<SegmentPath> names;
    for (const std::string& text : options.segments) {
        names.push_back(find_segment(options.folder, text));
    }
    if (options.segments.empty()) {
        names = find_segments(options.folder);
    }
    for (const SegmentPath& name : names) {
        const auto look = look_at(name);
        if (!look) {
            continue;  // Retired since it was listed: the ledger has it.
        }
        if (options.to.empty()) {
            print_events(*look, out);
        } else if (const SegmentContent* content = look->segment()) {
            copy_segment(*look, *content, options.to, CopyAs::copy);
            if (out.as_json) {
                out.print(JsonObject().add("segment", name.id.hex()).add("batches", content->batches().size()));
            } else {
                out.print("{} {} batches\n", name.id.hex(), content->batches().size());
            }
        } else {
            out.warn(fmt::format("{}: left out: {}", name.path.string(), state_of(*look)));
        }
    }
    return exit_yes;
}

}  // namespace runledger::tool
