// What becomes of each column of an application's table when it is adopted.
//
// A column that has the ledger's name, type and meaning becomes the ledger's. Any other column of that name is kept
// beside the ledger's, as application_<name>, and the view by the table's old name shows it under its own name: so no
// column has to be converted or renamed by the application. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runledger {

// A column of the table as it is.
struct TableColumn {
    std::string name;
    std::string type;  // As format_type has it.
    bool is_not_null{false};
    bool is_generated{false};  // From other columns.
    bool is_enum{false};
};

// A column of generations.
struct LedgerColumn {
    std::string_view name;
    std::string_view type;        // What a missing one is made as.
    std::string_view definition;  // What comes behind the type. A constant default does not rewrite the table.
};

struct AdoptedColumn {
    const TableColumn* column;
    std::string kept_as;  // Its name in generations; the same: it is the ledger's, or none of the ledger's concern.
    // Whether a trigger, by the function keep_adopted_<name>, keeps it and the ledger's column in step. If not, the
    // ledger takes nothing from it and writes nothing there.
    bool has_trigger{false};

    [[nodiscard]] bool is_renamed() const { return kept_as != column->name; }
};

struct AdoptedColumns {
    AdoptedColumns() = default;
    AdoptedColumns(const AdoptedColumns&) = delete;  // It points into itself.
    AdoptedColumns& operator=(const AdoptedColumns&) = delete;
    AdoptedColumns(AdoptedColumns&&) = default;
    AdoptedColumns& operator=(AdoptedColumns&&) = default;

    std::vector<AdoptedColumn> theirs;          // All of the table's, in their order.
    std::vector<const AdoptedColumn*> renamed;  // Those that get another name, in the order in which it is free.
    std::vector<const LedgerColumn*> added;     // The ledger's that it lacks.
    bool has_own_key{false};                    // Its key is no number: the ledger numbers the rows for itself.
};

struct ColumnTerms {
    bool has_status_words{false};  // The application's words are mapped.
    bool has_cost_notes{false};    // A column cost_note holds something that the ledger has not said.
};

// `columns` outlives the result.
[[nodiscard]] AdoptedColumns adopt_columns(const std::vector<TableColumn>& columns, const ColumnTerms& terms);

// nullptr: there is no such column.
[[nodiscard]] const TableColumn* find_column(const std::vector<TableColumn>& columns, std::string_view name);

}  // namespace runledger
