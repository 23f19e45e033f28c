#include "daemon/tool/export/export.hpp"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "daemon/database/database.hpp"
#include "daemon/tool/output/csv.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/output/json_object.hpp"
#include "daemon/tool/output/whole_file.hpp"
#include "daemon/tool/time_option.hpp"
#include "queries/focus.hpp"

namespace runledger::tool {
ExportCli::ExportCli(CLI::App& app)
    : command_(app.add_subcommand("export", "Write a month's costs for other systems")) {
    command_->require_subcommand(1);
    CLI::App* focus = command_->add_subcommand(
        "focus", "Write a month's charges as CSV in the columns of FOCUS 1.2, the FinOps cost format");
    focus
        ->add_option("--month", month_,
                     "The month, such as 2026-06, by the database's runledger.report_time_zone; UTC if it is not set")
        ->required()
        ->check([](const std::string& text) { return is_month(text) ? "" : text + " is no month: 2026-06"; });
    focus->add_option("--output", file_, "Write this file, as a whole or not at all, instead of standard output");
}

template <class Write>
std::uint64_t ExportCli::write_charges(const Statements& work, std::uint64_t expected, Output& out, Write write) const {
    std::uint64_t charges = 0;
    work.run(queries::focus::open_charges, month_);
    for (;;) {
        const pqxx::result rows = work.run(queries::focus::next_charges);
        write(rows);
        charges += static_cast<std::uint64_t>(rows.size());
        if (rows.empty()) {
            return charges;
        }
        out.show_progress("writing charges", charges, expected);
    }
}

template <class Write>
std::uint64_t ExportCli::write_csv(const Statements& work, std::uint64_t expected, Output& out, Write write) const {
    CsvLines lines;
    bool has_heading = false;
    return write_charges(work, expected, out, [&](const pqxx::result& rows) {
        if (!has_heading) {
            lines.add_heading(rows);
            has_heading = true;
        }
        lines.add_rows(rows);
        write(lines.text());
        lines.clear();
    });
}

int ExportCli::run(const Config& config, Output& out) {
    std::optional<WholeFile> file;
    if (!file_.empty()) {
        file.emplace(place_of_file(file_));
        file->take_rights_of_old();  // Charges name people's accounts.
    }
    Database database(config.page.uri, "export");
    const Snapshot work(database);
    const auto month = work.run1(queries::focus::month, month_);
    const auto expected = month["charges"].as<std::uint64_t>();
    const auto without_cost = month["without_cost"].as<std::uint64_t>();
    if (file) {
        const std::uint64_t charges =
            write_csv(work, expected, out, [&](std::string_view lines) { file->write(lines); });
        file->replace();
        if (out.as_json) {
            out.print(JsonObject()
                          .add("month", month_)
                          .add("charges", charges)
                          .add("without_cost", without_cost)
                          .add("file", file_));
        } else {
            out.print("{}: {} charges in {}\n", month_, charges, file_);
        }
    } else if (out.as_json) {
        static_cast<void>(write_charges(work, expected, out, [&](const pqxx::result& rows) {  // The lines are counted.
            for (const auto& row : rows) {
                out.print(JsonObject().add(row));
            }
        }));
    } else {
        static_cast<void>(
            write_csv(work, expected, out, [&](std::string_view lines) { out.write(lines); }));  // Likewise.
    }
    if (!month["has_ended"].as<bool>()) {
        out.warn(fmt::format("{} has not ended: more charges come", month_));
    }
    if (without_cost > 0) {
        out.warn(
            fmt::format("{} completed generations of {} have no known cost and are left out; "
                        "runledger.unpriced_generations_v1 says why",
                        without_cost, month_));
    }
    return without_cost > 0 ? exit_no : exit_yes;
}

}  // namespace runledger::tool
