#include "daemon/tool/migrate.hpp"

#include <fmt/format.h>

#include <string_view>

#include "daemon/database/adopt.hpp"
#include "daemon/database/database.hpp"
#include "daemon/database/schema.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view default_table = "public.generations";
constexpr int exit_done = 0;
constexpr int exit_only_said = 3;

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
    yes->needs(adopt_option_);
    dry_run->needs(adopt_option_);
    yes->excludes(dry_run);
}

int MigrateCli::run(const std::string& postgres_uri, std::FILE* out) const {
    Database database(postgres_uri, "migrate");
    const auto report = [out](std::string_view sentence) { fmt::print(out, "{}\n", sentence); };
    if (adopt_option_->count() == 0) {
        migrate(database.connection(), report);
        return exit_done;
    }
    const Adoption adoption(table_.empty() ? default_table : table_);
    for (const std::string& step : adoption.plan(database.connection())) {
        report(step);
    }
    if (!yes_) {
        report("nothing was changed; with --yes it is done");
        return exit_only_said;
    }
    migrate(database.connection(), report, &adoption);
    return exit_done;
}

}  // namespace runledger::tool
