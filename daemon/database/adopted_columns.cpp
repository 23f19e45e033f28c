#include "daemon/database/adopted_columns.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>

namespace runledger {
namespace {

// What may become of a column of this name that does not fit.
enum class Misfit : std::uint8_t {
    in_step,  // Beside the ledger's, with a trigger.
    beside,   // Beside it, and nothing more: the ledger takes nothing from it.
};

struct Known {
    LedgerColumn ledger;
    Misfit misfit;
};

constexpr std::array columns_of_generations{
    Known{{"id", "bigint", ""}, Misfit::in_step},
    Known{{"metadata", "jsonb", ""}, Misfit::in_step},
    Known{{"request_timestamp", "timestamp with time zone", ""}, Misfit::in_step},
    Known{{"response_timestamp", "timestamp with time zone", ""}, Misfit::in_step},
    Known{{"request_payload", "jsonb", ""}, Misfit::in_step},
    Known{{"response_payload", "jsonb", ""}, Misfit::in_step},
    Known{{"status", "text", "NOT NULL DEFAULT 'pending'"}, Misfit::in_step},
    Known{{"status_reason", "text", ""}, Misfit::beside},
    Known{{"duration_ms", "numeric", ""}, Misfit::in_step},
    Known{{"cost_usd", "numeric", ""}, Misfit::in_step},
    Known{{"cost_note", "text", ""}, Misfit::beside},
    Known{{"updated_at", "timestamp with time zone", "NOT NULL DEFAULT now()"}, Misfit::beside},
    Known{{"run_id", "text", "COLLATE \"C\""}, Misfit::beside},
    Known{{"telegram_chat_id", "bigint", ""}, Misfit::beside},
    Known{{"adopted_at", "timestamp with time zone", "DEFAULT now()"}, Misfit::beside},
    Known{{"group_key", "text", "COLLATE \"C\""}, Misfit::beside},
    Known{{"group_size", "integer", ""}, Misfit::beside},
    Known{{"account_key", "text", "COLLATE \"C\""}, Misfit::beside},
    Known{{"tool_key", "text", "COLLATE \"C\""}, Misfit::beside},
    Known{{"application_id", "text", ""}, Misfit::beside},
    Known{{"application_status", "text", ""}, Misfit::beside},
};
// The ledger makes these by itself, so one that is there is never taken for the ledger's.
constexpr std::array<std::string_view, 9> made_by_the_ledger{"run_id",    "telegram_chat_id", "adopted_at",
                                                             "group_key", "group_size",       "account_key",
                                                             "tool_key",  "application_id",   "application_status"};

bool fits(const TableColumn& column, const LedgerColumn& ledger, const ColumnTerms& terms) {
    if (std::ranges::find(made_by_the_ledger, column.name) != made_by_the_ledger.end()) {
        return false;
    }
    if (column.name == "id") {
        return column.type == "bigint" || column.type == "integer";
    }
    if (column.name == "status") {
        return !terms.has_status_words;  // Without a mapping, it has to be the ledger's.
    }
    if (column.name == "cost_note" && terms.has_cost_notes) {
        return false;
    }
    if (column.name == "updated_at" && column.type.starts_with("timestamp")) {
        return true;  // It is only written.
    }
    if (ledger.type == "text" && column.type.starts_with("character varying")) {
        return true;  // Once the bound is gone, which rewrites nothing: a fault that has a statement.
    }
    return column.type == ledger.type && !column.is_generated;
}

// Whether a trigger can keep the two in step: PostgreSQL converts the values both ways, with the meaning that they have
// in the ledger. Milliseconds are no interval, an instant is no number, and nobody writes a generated column.
bool can_be_in_step(const TableColumn& column, const LedgerColumn& ledger) {
    if (ledger.name == "id" || ledger.name == "status") {
        return true;  // A key only has to be text, and the words of status are tried one by one.
    }
    if (column.is_generated) {
        return false;
    }
    const auto is_one_of = [&column](std::initializer_list<std::string_view> types) {
        // Of numeric(10,2) and timestamp(3) with time zone the first word counts.
        return std::ranges::any_of(types, [&column](std::string_view type) {
            return column.type == type || column.type.starts_with(std::string(type) + "(") ||
                   (type == "timestamp" && column.type.starts_with("timestamp "));
        });
    };
    if (ledger.type == "jsonb") {
        return is_one_of({"json", "jsonb", "text", "character varying"});
    }
    if (ledger.type == "numeric") {
        return is_one_of({"numeric", "real", "double precision", "smallint", "integer", "bigint", "money", "text",
                          "character varying"});
    }
    return is_one_of({"timestamp", "date", "text", "character varying"});
}

}  // namespace

const TableColumn* find_column(const std::vector<TableColumn>& columns, std::string_view name) {
    const auto at = std::ranges::find(columns, name, &TableColumn::name);
    return at == columns.end() ? nullptr : &*at;
}

AdoptedColumns adopt_columns(const std::vector<TableColumn>& columns, const ColumnTerms& terms) {
    AdoptedColumns adopted;
    for (const TableColumn& column : columns) {
        adopted.theirs.push_back({.column = &column, .kept_as = column.name});
    }
    const auto is_taken = [&](std::string_view name) {
        return std::ranges::find(adopted.theirs, name, &AdoptedColumn::kept_as) != adopted.theirs.end();
    };
    for (const auto& [ledger, misfit] : columns_of_generations) {
        const auto theirs = std::ranges::find(columns, ledger.name, &TableColumn::name);
        if (theirs != columns.end() && !fits(*theirs, ledger, terms)) {
            AdoptedColumn& renamed = adopted.theirs.at(static_cast<std::size_t>(theirs - columns.begin()));
            const std::string name = "application_" + renamed.column->name;
            // The name may be another column's of theirs, which then gives way.
            for (AdoptedColumn& other : adopted.theirs) {
                if (&other != &renamed && other.kept_as == name) {
                    do {
                        other.kept_as.insert(0, "application_");
                    } while (std::ranges::count(adopted.theirs, other.kept_as, &AdoptedColumn::kept_as) > 1);
                }
            }
            renamed.kept_as = name;
            renamed.has_trigger = misfit == Misfit::in_step && can_be_in_step(*renamed.column, ledger);
        }
    }
    for (const auto& [ledger, misfit] : columns_of_generations) {
        if (!is_taken(ledger.name)) {
            adopted.added.push_back(&ledger);
        }
    }
    // The longest first: a name that another column gets is free by then.
    for (const AdoptedColumn& column : adopted.theirs) {
        if (column.is_renamed()) {
            adopted.renamed.push_back(&column);
        }
    }
    std::ranges::stable_sort(adopted.renamed, std::ranges::greater{},
                             [](const AdoptedColumn* column) { return column->column->name.size(); });
    adopted.has_own_key =
        std::ranges::any_of(adopted.added, [](const LedgerColumn* column) { return column->name == "id"; });
    return adopted;
}

}  // namespace runledger
