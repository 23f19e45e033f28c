// Adopts an application's existing table of generations when the schema is first made.
//
// The table itself becomes runledger.generations: it is moved, never copied or rewritten, in one short transaction. The
// application uses it through a view with the old name and the old columns. What the ledger needs and the table has in
// another form is added beside the application's column, and triggers keep the two in step. run_id and
// telegram_chat_id can't be generated columns there, because adding one rewrites the table: they are plain columns that
// a trigger sets. Rows that are there are filled in batches. Nobody is notified about a row that existed before.
#pragma once

#include <pqxx/pqxx>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/database/adopted_columns.hpp"
#include "daemon/database/status_words.hpp"

namespace runledger {

// The table can't be adopted as it is. what() has every reason, and below it the statement that is its cure.
class AdoptionRefused : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What the operator says of the table.
struct AdoptionTerms {
    std::string table;                       // "schema.table", unquoted.
    std::vector<StatusWord> status_words{};  // Empty: the table has the ledger's words.
    std::vector<std::string>
        requested_at{};  // The table's columns; the first that is not NULL says when a row was asked for,
    std::vector<std::string> ended_at{};  // and when a row that has ended did.
};

class Adoption {
public:
    // Throws AdoptionRefused if the table's name is none.
    explicit Adoption(AdoptionTerms terms);

    // Changes nothing: returns a sentence for each thing that would be done. Throws AdoptionRefused, with everything
    // that stands in the way.
    [[nodiscard]] std::vector<std::string> plan(pqxx::connection& connection) const;

    // In place of the migration that creates generations, in the transaction that would run it; `migration_sql` is that
    // migration, whose comments are kept. Throws what pqxx throws; then nothing is changed.
    void take_over(pqxx::work& work, std::string_view migration_sql) const;

private:
    // The table's columns, and what becomes of them.
    struct Columns {
        std::vector<TableColumn> found;
        AdoptedColumns adopted;
    };
    [[nodiscard]] Columns columns_of(pqxx::transaction_base& work, const std::string& table) const;

    AdoptionTerms terms_;
    std::string schema_;
    std::string table_;
};

// The rest of the adoption, which does not delay the application: fills the columns and builds the indexes
// concurrently, those of `index_migration`, too. Does nothing if all is done, so the next migrate finishes an
// interrupted one.
void finish_adoption(pqxx::connection& connection, std::string_view index_migration,
                     const std::function<void(std::string_view)>& report);

}  // namespace runledger
