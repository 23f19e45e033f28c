#include "daemon/tool/explain/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/database/generation_name.hpp"
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
        out.print("{}", Lines{event_line(event)});
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
        out.print("{}", Lines{settlement_lines(settlement, run_id)});
    }
    const auto notifications = work.run(queries::explain::notifications, run_id, id);
    out.print("\nNotifications\n");
    for (const auto& notification : notifications) {
        out.print("{}", Lines{notification_line(notification)});
    }
    if (notifications.empty()) {
        out.print("  none\n");
    }
}

void explain_generation(const Statements& work, const std::string& run_id, const pqxx::row& generation, bool has_ended,
                        const pqxx::row& rest, Output& out) {
    const auto id = generation["id"].as<std::int64_t>();
    const std::string name = generation_name(generation, "id");
    const bool names_it = generation["names_it"].as<bool>();
    const bool settled_by_it =
        generation["settled_by"].as<std::string>("") == run_id && generation["is_settled"].as<bool>(false);
    if (names_it || settled_by_it) {
        out.print("\nRate of generation {}\n{}", name, Lines{rate_lines(generation)});
        if (settled_by_it) {
            out.print("\nSum\n{}", Lines{sum_lines(generation)});
        }
        out.print("\nThe row of generation {}\n{}", name, Lines{row_lines(generation, has_ended, rest)});
    } else {
        out.print("\nGeneration {} was settled by this run once; {}\n", name,
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

// What is known of a run, or of a generation that names none.
ExplainedRun facts_of(const Statements& work, const std::string& run_id, std::optional<std::int64_t> generation,
                      const Config& config) {
    return {.run_id = run_id,
            .runs = work.run(queries::explain::run, run_id, config.settle.duration_max.count()),
            .generations = work.run(queries::explain::generation, run_id, generation),
            .gone = work.run(queries::explain::gone, run_id),
            .rest = work.run(queries::explain::rest, run_id)};
}

bool is_known(const ExplainedRun& run) { return !run.runs.empty() || !run.generations.empty() || !run.gone.empty(); }

bool has_generation(const ExplainedRun& run, std::int64_t generation) {
    return std::any_of(run.generations.begin(), run.generations.end(),
                       [generation](const pqxx::row& row) { return row["id"].as<std::int64_t>() == generation; });
}

void explain_row_without_run(const Statements& work, const pqxx::row& generation, Output& out) {
    out.print("  {}, {}\n  It names no run, so there are no events, and nothing is priced.\n",
              text_or(generation["status"], "?"),
              amounts(generation["duration_ms"], generation["cost_usd"], generation["cost_note"]));
    explain_history(work, "", generation["id"].as<std::int64_t>(), out);
}

void explain_run(const Statements& work, const ExplainedRun& facts, Output& out) {
    const std::string& run_id = facts.run_id;
    const auto quarantined = facts.rest[0]["quarantined"].as<std::int64_t>();
    std::string set_aside =
        quarantined == 0 ? "" : fmt::format("{} rows of runledger.quarantine are about this run.\n", quarantined);
    if (const auto masked = facts.rest[0]["masked"].as<std::int64_t>(); masked > 0) {
        set_aside += fmt::format(
            "{} of them: an output had values that PostgreSQL's jsonb can't hold, such as NaN or \\u0000. The row has "
            "null or U+FFFD in their place; runledger.quarantine has the exact bytes.\n",
            masked);
    }
    if (!is_known(facts)) {
        out.print("Run {} is unknown: no event of it was received, and no generation names it or has this key.\n{}",
                  run_id, Lines{set_aside});
        return;
    }
    bool has_ended = false;
    const bool was_settled =
        !facts.gone.empty() ||
        std::any_of(facts.generations.begin(), facts.generations.end(), [&run_id](const pqxx::row& generation) {
            return generation["is_settled"].as<bool>() && generation["settled_by"].as<std::string>("") == run_id;
        });
    if (facts.runs.empty() && was_settled) {
        out.print("Run {}: it was settled; retention has removed it since.\n{}", run_id, Lines{set_aside});
    } else if (facts.runs.empty()) {
        out.print(
            "Run {}: no event of it was received, though a generation names it. Either it has sent none yet, or "
            "its webhook goes elsewhere, or the edge refused it (see the edge's log and status).\n{}",
            run_id, Lines{set_aside});
    } else {
        const pqxx::row run = facts.runs[0];
        has_ended = !run["terminal_status"].is_null();
        out.print("Run {}: {}, {} events, {} outputs\n{}", run_id, text_or(run["status"], "?"),
                  run["event_count"].as<std::string>(), run["output_count"].as<std::string>(), Lines{set_aside});
        if (!has_ended) {
            const auto live = text_of(run["latest_live_status"]);
            out.print(
                "Not ended. Last heard of at {}: {}{}{}\n", run["latest_at"].as<std::string>(),
                text_or(run["latest_status"], "?"), live ? ", " + *live : "",
                run["latest_percent"].is_null() ? "" : fmt::format(" ({} %)", run["latest_percent"].as<std::string>()));
        }
        explain_events(work, run_id, run["event_count"].as<std::int64_t>(), out);
        out.print("\nTime\n{}", Lines{timing_lines(run)});
    }
    for (const auto& row : facts.gone) {
        explain_gone(work, run_id, row, out);
    }
    if (facts.generations.empty() && facts.gone.empty()) {
        out.print(
            "\nNo generation names this run, so nothing is priced and nobody is notified. When the application "
            "writes the run_id into a generation's metadata, the run is settled within a second.\n");
    }
    for (const auto& generation : facts.generations) {
        explain_generation(work, run_id, generation, has_ended, facts.rest[0], out);
    }
}

}  // namespace

ExplainCli::ExplainCli(CLI::App& app)
    : command_(app.add_subcommand("explain",
                                  "Show what was received about a run, and how its time and cost were computed")) {
    command_
        ->add_option("RUN_ID", named_,
                     "The provider's id of the run; or the key of its generation, by the application or by the ledger")
        ->required();
}

int ExplainCli::run(const Config& config, Output& out) const {
    Database database(config.postgres.direct_uri, "explain");
    const Snapshot work(database);
    const auto print = [&](const ExplainedRun& facts) {
        if (out.as_json) {
            out.print(explain_as_json(work, facts));
        } else if (facts.run_id.empty() && !facts.generations.empty()) {
            explain_row_without_run(work, facts.generations[0], out);
        } else {
            explain_run(work, facts, out);
        }
    };
    const ExplainedRun as_run = facts_of(work, named_, std::nullopt, config);
    bool is_explained = is_known(as_run);
    if (is_explained) {
        print(as_run);
    }
    // A word can be a run's id, a key of the application and a number of the ledger at once: all are explained.
    for (const KeyedGeneration& generation : generations_by_key(work, named_)) {
        if (is_known(as_run) && has_generation(as_run, generation.id)) {
            continue;
        }
        if (!out.as_json) {
            out.print("{}Generation {} {}\n", Lines{is_explained ? "\n" : ""}, generation.name,
                      Lines{generation.run_id.empty() ? "names no run:"
                                                      : fmt::format("names run {}.\n", one_line(generation.run_id))});
        }
        print(facts_of(work, generation.run_id, generation.id, config));
        is_explained = true;
    }
    if (!is_explained) {
        print(as_run);
    }
    return is_explained ? exit_yes : exit_no;
}

}  // namespace runledger::tool
