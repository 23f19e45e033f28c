// Taking over the table that an application has kept its generations in, when the schema is first made.
//
// The table itself becomes runledger.generations: it is moved, never copied or rewritten, in one short transaction; the
// application goes on through a view of the old name. run_id and telegram_chat_id can't be generated columns there,
// since adding one rewrites a table: they are plain columns that a trigger keeps, filled in batches for the rows that
// are there, so that every query of the daemon stays the same. Nobody is notified of a row that was there before.
#pragma once

#include <pqxx/pqxx>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace runledger {

// The table can't be taken over as it is. what() says, a line each, what is in the way and how to mend it.
class AdoptionRefused : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Adoption {
public:
    // "schema.table", unquoted; throws AdoptionRefused if it is not that.
    explicit Adoption(std::string_view table);

    // Looks and changes nothing: what would be done, a sentence each. Throws AdoptionRefused.
    [[nodiscard]] std::vector<std::string> plan(pqxx::connection& connection) const;

    // In place of the migration that creates generations, and entered as that one: one transaction, which is tried
    // again while a lock is not had within a second. Throws what pqxx throws; then nothing is changed.
    void take_over(pqxx::connection& connection, int version, std::string_view migration_name,
                   std::string_view migration_sql) const;

private:
    std::string schema_;
    std::string table_;
};

// What take_over() leaves to be done without holding up the application: fills the columns and builds the unique index
// concurrently. Does nothing where all is done, so that an interrupted one is finished by the next migrate.
void finish_adoption(pqxx::connection& connection, const std::function<void(std::string_view)>& report);

}  // namespace runledger
