#include "daemon/tool/migrate.hpp"

#include <fmt/format.h>

#include <string_view>

#include "daemon/database/adopt.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/schema.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/status_words.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view default_table = "public.generations";

}  // namespace

MigrateCli::MigrateCli(CLI::App& app)
    : command_(app.add_subcommand("migrate", "Bring the database's schema to this build's version; safe to repeat")) {
    adopt_option_ = command_->add_option("--adopt", table_,
                                         "With the first migrate: take over this table (schema.table; without one, "
                                         "public.generations) as runledger.generations");
    adopt_option_->expected(0, 1)->default_str(std::string(default_table));
    CLI::Option* yes =
        command_->add_flag("--yes", yes_, "Do it; without this, --adopt only prints what it would do (exit code 3)");
    CLI::Option* dry_run = command_->add_flag("--dry-run", dry_run_, "Only print what --adopt would do (exit code 3)");
    const auto of_adoption = [this](CLI::Option* option) { option->needs(adopt_option_); };
    of_adoption(command_
                    ->add_option("--status-words", status_words_file_,
                                 "What the status words of the adopted table mean: a TOML file")
                    ->check(CLI::ExistingFile));
    of_adoption(
        command_
            ->add_option("--requested-at", requested_at_,
                         "Columns of the adopted table that say when a row was asked for; the first that is not "
                         "NULL counts")
            ->delimiter(','));
    of_adoption(command_
                    ->add_option("--ended-at", ended_at_,
                                 "Columns of the adopted table that say when a row ended; the first that is not NULL "
                                 "counts")
                    ->delimiter(','));
    yes->needs(adopt_option_);
    dry_run->needs(adopt_option_);
    yes->excludes(dry_run);
}

int MigrateCli::run(const std::string& postgres_uri, Output& out) const {
    Database database(postgres_uri, "migrate");
    const auto report = [&out](std::string_view sentence) {
        if (out.as_json) {
            out.print(JsonObject().add("step", sentence));
        } else {
            out.print("{}\n", Lines{std::string(sentence)});
        }
    };
    if (adopt_option_->count() == 0) {
        migrate(database, report);
        return exit_yes;
    }
    const Adoption adoption(AdoptionTerms{
        .table = table_.empty() ? std::string(default_table) : table_,
        .status_words = status_words_file_.empty() ? std::vector<StatusWord>{} : load_status_words(status_words_file_),
        .requested_at = requested_at_,
        .ended_at = ended_at_});
    for (const std::string& step : plan_adoption(database, adoption)) {
        report(step);
    }
    if (!yes_) {
        report("nothing was changed; with --yes it is done");
        return exit_no;
    }
    migrate(database, report, &adoption);
    return exit_yes;
}

}  // namespace runledger::tool
