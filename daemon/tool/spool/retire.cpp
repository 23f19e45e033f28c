// `runledger spool retire`: is anything on this host that the ledger does not have?
#include <fmt/format.h>

#include <thread>

#include "daemon/database/transaction.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/spool/commands.hpp"
#include "daemon/tool/spool/folder.hpp"
#include "queries/spool.hpp"

namespace runledger::tool {
namespace {

constexpr std::chrono::milliseconds look_again_after{500};

// Whether the ledger holds a segment's batches: because it was retired, or one by one.
class Ledger {
public:
    explicit Ledger(const std::string& uri) : database_(uri, "spool retire") {}

    [[nodiscard]] bool has(const SegmentId& id, const SegmentContent& content) {
        if (content.batches().empty()) {
            return true;
        }
        const Snapshot work(database_);
        const auto row = work.run1(queries::spool::find_segment, id.hex(), content.batches().back().number + 1);
        return row[0].as<bool>() || row[1].as<std::uint64_t>() == content.batches().size();
    }

private:
    Database database_;
};

// Why the host can't be deleted now; empty: it can.
[[nodiscard]] std::vector<std::string> find_objections(const std::filesystem::path& folder,
                                                       std::optional<Ledger>& ledger) {
    std::vector<std::string> objections;
    std::size_t owned = 0;
    for (const SegmentPath& name : find_segments(folder)) {
        const auto look = look_at(name);
        if (!look || name.kind == SegmentKind::kept) {
            continue;  // Retired: the ledger has all of it.
        }
        owned += look->is_owned ? 1 : 0;
        const SegmentContent* content = look->segment();
        if (content == nullptr) {
            objections.push_back(fmt::format("{}: can't be read: {}", name.path.filename().string(),
                                             to_word(std::get<SegmentFault>(look->content))));
        } else if (name.kind == SegmentKind::damaged || content->end() == ScanEnd::damaged) {
            objections.push_back(fmt::format("{}: is damaged: its unreadable part is stored nowhere else",
                                             name.path.filename().string()));
        } else if (!content->batches().empty() && !(ledger && ledger->has(name.id, *content))) {
            objections.push_back(fmt::format("{}: {} batches {}", name.path.filename().string(),
                                             content->batches().size(),
                                             ledger ? "are not all in the ledger" : "are not retired"));
        }
    }
    if (owned > 0) {
        objections.push_back(
            fmt::format("nginx has {} segments open: it may still accept events; stop it first", owned));
    }
    return objections;
}

}  // namespace

int retire_spool(const RetireOptions& options, Output& out) {
    std::optional<Ledger> ledger;
    if (!options.postgres_uri.empty()) {
        ledger.emplace(options.postgres_uri);
    }
    const auto give_up_at = std::chrono::steady_clock::now() + options.wait;
    while (true) {
        const auto objections = find_objections(options.folder, ledger);
        if (objections.empty()) {
            if (out.as_json) {
                out.print(JsonObject().add("safe_to_delete", true).add("objections", objections));
            } else {
                out.print("safe to delete: every event of {} is in the ledger\n", options.folder.string());
            }
            return exit_yes;
        }
        if (std::chrono::steady_clock::now() >= give_up_at) {
            if (out.as_json) {
                out.print(JsonObject().add("safe_to_delete", false).add("objections", objections));
                return exit_no;
            }
            for (const std::string& objection : objections) {
                out.print("{}\n", objection);
            }
            out.print("NOT safe to delete\n");
            return exit_no;
        }
        std::this_thread::sleep_for(look_again_after);  // Nothing tells when a segment goes.
    }
}

}  // namespace runledger::tool
