// Adopts an application's existing table of generations when the schema is first made.
//
// The table itself becomes runledger.generations: it is moved, never copied or rewritten, in one short transaction. The
// application uses it through a view with the old name. run_id and telegram_chat_id can't be generated columns there,
// because adding one rewrites the table. They are plain columns that a trigger sets, filled in batches for existing
// rows, so that every query of the daemon stays the same. Nobody is notified about a row that existed before.
#pragma once

#include <pqxx/pqxx>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace runledger {

// The table can't be adopted as it is. what() has a line for each reason, with its cure.
class AdoptionRefused : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Adoption {
public:
    // "schema.table", unquoted; throws AdoptionRefused if it is not that.
    explicit Adoption(std::string_view table);

    // Changes nothing: returns a sentence for each thing that would be done. Throws AdoptionRefused.
    [[nodiscard]] std::vector<std::string> plan(pqxx::connection& connection) const;

    // In place of the migration that creates generations, and entered as that one: one transaction, which is tried
    // again while a lock is not had within a second. Throws what pqxx throws; then nothing is changed.
    void take_over(pqxx::connection& connection, int version, std::string_view migration_name,
                   std::string_view migration_sql) const;

private:
    std::string schema_;
    std::string table_;
};

// The rest of the adoption, which does not delay the application: fills the columns and builds the unique index
// concurrently. Does nothing if all is done, so the next migrate finishes an interrupted one.
void finish_adoption(pqxx::connection& connection, const std::function<void(std::string_view)>& report);

}  // namespace runledger
