#include "daemon/tool/explain/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "daemon/database/transaction.hpp"
#include "daemon/tool/explain/json.hpp"
#include "daemon/tool/explain/text.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "queries/explain.hpp"

namespace runledger::tool {
namespace {

constexpr std::size_t events_shown_max = 500;

// One snapshot of everything, so that what is said of the row and of the audit fits together.
void explain_events(const Statements& work, const std::string& run_id, std::int64_t counted, Output& out) {
    const auto events = work.run(queries::explain::events, run_id);
    out.print("\nEvents, as the edge received them (UTC)\n");
    std::size_t shown = 0;
    for (const auto& event : events) {
        if (shown++ == events_shown_max) {
            out.print("  … and more: only {} are shown\n", events_shown_max);
            return;
        }
        out.print("{}", event_line(event));
    }
    if (static_cast<std::int64_t>(events.size()) < counted) {
        out.print("  {} more were counted; their rows are no longer in webhook_events\n",
                  counted - static_cast<std::int64_t>(events.size()));
    }
}

// What the row says now, against what was settled, or why nothing was.
std::string row_lines(const pqxx::row& generation, bool has_ended, const pqxx::row& rest) {
    std::string text = fmt::format("  {}, {}\n", text_or(generation["status"], "?"),
                                   amounts(generation["duration_ms"], generation["cost_usd"], generation["cost_note"]));
    if (generation["is_edited"].as<bool>(false)) {
        text += fmt::format(
            "  It was edited by hand: the settled values are {}, {}. Further events of the run are "
            "reported in the audit and change nothing; docs/dba.md, \"Edit a row\", says how to give it back.\n",
            text_or(generation["settled_status"], "?"),
            amounts(generation["settled_ms"], generation["settled_cost"], generation["settled_note"]));
    } else if (generation["is_settled"].as<bool>(false)) {
        text += "  The row still has the settled values.\n";
        if (generation["keeps_status"].as<bool>(false)) {
            text += "  The application had ended the row itself: its status stays, and nobody was notified.\n";
        }
    } else if (!has_ended) {
        text += "  The row is settled within a second of the run's ending.\n";
    }
    if (rest["queued"].as<std::int64_t>() > 0) {
        text += fmt::format("  The run waits in settle_queue{}\n",
                            rest["last_error"].is_null()
                                ? "; is a daemon running?"
                                : ", since it could not be settled yet: " + text_or(rest["last_error"], ""));
    }
    return text;
}

// What was settled, and who was told.
void explain_history(const Statements& work, const std::string& run_id, std::int64_t id, Output& out) {
    const auto settlements = work.run(queries::explain::settlements, id);
    if (!settlements.empty()) {
        out.print("\nSettlements and their reasons\n");
    }
    for (const auto& settlement : settlements) {
        out.print("{}", settlement_lines(settlement, run_id));
    }
    const auto notifications = work.run(queries::explain::notifications, run_id, id);
    out.print("\nNotifications\n");
    for (const auto& notification : notifications) {
        out.print("{}", notification_line(notification));
    }
    if (notifications.empty()) {
        out.print("  none\n");
    }
}

void explain_generation(const Statements& work, const std::string& run_id, const pqxx::row& generation, bool has_ended,
                        const pqxx::row& rest, Output& out) {
    const auto id = generation["id"].as<std::int64_t>();
    const bool names_it = generation["names_it"].as<bool>();
    const bool settled_by_it =
        text_or(generation["settled_by"], "") == run_id && generation["is_settled"].as<bool>(false);
    if (names_it || settled_by_it) {
        out.print("\nRate of generation {}\n{}", id, rate_lines(generation));
        if (settled_by_it) {
            out.print("\nSum\n{}", sum_lines(generation));
        }
        out.print("\nThe row of generation {}\n{}", id, row_lines(generation, has_ended, rest));
    } else {
        out.print("\nGeneration {} was settled by this run once; {}\n", id,
                  generation["run_id"].is_null() ? "it names none now."
                                                 : "it names run " + text_or(generation["run_id"], "") + " now.");
    }
    explain_history(work, run_id, id, out);
}

// The row is gone; what was settled and told stays in the audit.
void explain_gone(const Statements& work, const std::string& run_id, const pqxx::row& gone, Output& out) {
    out.print("\nGeneration {} was settled by this run, and its row is gone. It said: {}, {}\n",
              gone["id"].as<std::string>(), text_or(gone["status"], "?"),
              amounts(gone["duration_ms"], gone["cost_usd"], gone["cost_note"]));
    explain_history(work, run_id, gone["id"].as<std::int64_t>(), out);
}

}  // namespace

ExplainCli::ExplainCli(CLI::App& app)
    : command_(app.add_subcommand("explain",
                                  "Show what was received about a run, and how its time and cost were computed")) {
    command_->add_option("RUN_ID", run_id_, "The provider's id of the run")->required();
}

int ExplainCli::run(const Config& config, Output& out) const {
    Database database(config.postgres.direct_uri, "explain");
    const Snapshot work(database);
    const auto runs = work.run(queries::explain::run, run_id_, config.settle.duration_max.count());
    const auto generations = work.run(queries::explain::generation, run_id_);
    const auto rest = work.run(queries::explain::rest, run_id_);
    const auto gone = work.run(queries::explain::gone, run_id_);
    const bool is_known = !runs.empty() || !generations.empty() || !gone.empty();
    if (out.as_json) {
        JsonObject object = explain_as_json(
            work, {.run_id = run_id_, .runs = runs, .generations = generations, .gone = gone, .rest = rest});
        out.print(object);
        return is_known ? exit_yes : exit_no;
    }
    const auto quarantined = rest[0]["quarantined"].as<std::int64_t>();
    std::string set_aside =
        quarantined == 0 ? "" : fmt::format("{} rows of runledger.quarantine are about this run.\n", quarantined);
    if (const auto masked = rest[0]["masked"].as<std::int64_t>(); masked > 0) {
        set_aside += fmt::format(
            "{} of them: an output had values that PostgreSQL's jsonb can't hold, such as NaN or \\u0000. The row has "
            "null or U+FFFD in their place; runledger.quarantine has the exact bytes.\n",
            masked);
    }
    if (!is_known) {
        out.print("Run {} is unknown: no event of it was received, and no generation names it.\n{}", run_id_,
                  set_aside);
        return exit_no;
    }
    bool has_ended = false;
    const bool was_settled =
        !gone.empty() || std::any_of(generations.begin(), generations.end(), [this](const pqxx::row& generation) {
            return generation["is_settled"].as<bool>() && text_or(generation["settled_by"], "") == run_id_;
        });
    if (runs.empty() && was_settled) {
        out.print("Run {}: it was settled; retention has removed it since.\n{}", run_id_, set_aside);
    } else if (runs.empty()) {
        out.print(
            "Run {}: no event of it was received, though a generation names it. Either it has sent none yet, or "
            "its webhook goes elsewhere, or the edge refused it (see the edge's log and status).\n{}",
            run_id_, set_aside);
    } else {
        const pqxx::row run = runs[0];
        has_ended = !run["terminal_status"].is_null();
        out.print("Run {}: {}, {} events, {} outputs\n{}", run_id_, text_or(run["status"], "?"),
                  run["event_count"].as<std::string>(), run["output_count"].as<std::string>(), set_aside);
        if (!has_ended) {
            const auto live = text_of(run["latest_live_status"]);
            out.print(
                "Not ended. Last heard of at {}: {}{}{}\n", run["latest_at"].as<std::string>(),
                text_or(run["latest_status"], "?"), live ? ", " + *live : "",
                run["latest_percent"].is_null() ? "" : fmt::format(" ({} %)", run["latest_percent"].as<std::string>()));
        }
        explain_events(work, run_id_, run["event_count"].as<std::int64_t>(), out);
        out.print("\nTime\n{}", timing_lines(run));
    }
    for (const auto& row : gone) {
        explain_gone(work, run_id_, row, out);
    }
    if (generations.empty() && gone.empty()) {
        out.print(
            "\nNo generation names this run, so nothing is priced and nobody is notified. When the application "
            "writes the run_id into a generation's metadata, the run is settled within a second.\n");
    }
    for (const auto& generation : generations) {
        explain_generation(work, run_id_, generation, has_ended, rest[0], out);
    }
    return exit_yes;
}

}  // namespace runledger::tool
