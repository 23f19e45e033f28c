#include "daemon/database/obstacles.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "daemon/database/database.hpp"
#include "daemon/database/libpqxx.hpp"
#include "queries/adopt.hpp"

namespace runledger {
namespace {

// What settle sets to NULL if it is unknown, and `runledger forget` if it is to be gone.
constexpr std::array<std::string_view, 7> unset_by_the_ledger{
    "request_payload", "response_payload", "response_timestamp", "status_reason",
    "duration_ms",     "cost_usd",         "cost_note"};

class Search {
public:
    Search(pqxx::work& work, const TableToAdopt& table) : work_(work), table_(table) {}

    std::vector<Obstacle> all() {
        of_table();
        of_columns();
        of_terms();
        if (!may_read(work_, table_.name)) {
            add("its rows can't be looked at before the login has the rights: plan again then");
            return std::move(found_);
        }
        of_status();
        of_rows();
        of_shared_runs();
        return std::move(found_);
    }

private:
    void add(std::string sentence, std::string statement = "") {
        found_.push_back({.sentence = std::move(sentence), .statement = std::move(statement)});
    }
    std::int64_t count(const std::string& condition) {
        return libpqxx::run1(work_, fmt::format("SELECT count(*) FROM {} WHERE {}", table_.name, condition))[0]
            .as<std::int64_t>();
    }
    const TableColumn* find(std::string_view name) const { return find_column(table_.columns, name); }
    // A column that becomes the ledger's own.
    const TableColumn* find_taken(std::string_view name) const {
        const auto at = std::ranges::find(table_.adopted.theirs, name,
                                          [](const AdoptedColumn& column) { return column.column->name; });
        return at == table_.adopted.theirs.end() || at->is_renamed() ? nullptr : at->column;
    }
    // A question that the application's types or expressions may refuse to answer.
    std::optional<bool> ask(const std::string& question) {
        try {
            pqxx::subtransaction attempt(work_, "question");
            const auto row = libpqxx::run1(attempt, question);
            const bool is_true = row[0].is_null() || row[0].as<bool>();  // A CHECK that is NULL refuses nothing.
            attempt.commit();
            return is_true;
        } catch (const pqxx::sql_error&) {
            return std::nullopt;
        }
    }

    void of_table() {
        ArrayLiteral renamed;
        for (const AdoptedColumn* column : table_.adopted.renamed) {
            renamed.add(column->column->name);
        }
        for (const auto& row : libpqxx::run(work_, queries::adopt::find_faults, table_.name, renamed.str())) {
            add(row[0].as<std::string>(), row[1].as<std::string>());
        }
    }

    void of_columns() {
        if (find("metadata") == nullptr) {
            add("it has no column metadata, where a row's run_id is",
                fmt::format("ALTER TABLE {} ADD COLUMN metadata jsonb NOT NULL DEFAULT '{{}}'", table_.name));
        }
        for (const AdoptedColumn* column : table_.adopted.renamed) {
            if (column->column->name == "metadata" && !column->has_trigger) {
                add(fmt::format("its column metadata is {}{}, and the ledger reads json, jsonb and text",
                                column->column->is_generated ? "generated " : "", column->column->type));
            }
        }
        if (const TableColumn* id = find_taken("id"); id != nullptr && !id->is_not_null) {
            add("its column id may be NULL", fmt::format("ALTER TABLE {} ALTER COLUMN id SET NOT NULL", table_.name));
        }
        for (const std::string_view name : {"status_reason", "cost_note"}) {
            if (const TableColumn* column = find_taken(name); column != nullptr && column->type != "text") {
                make_text(*column);
            }
        }
        for (const std::string_view name : unset_by_the_ledger) {
            const auto at = std::ranges::find(table_.adopted.theirs, name,
                                              [](const AdoptedColumn& column) { return column.column->name; });
            if (at != table_.adopted.theirs.end() && at->column->is_not_null &&
                (at->has_trigger || !at->is_renamed())) {
                add(fmt::format(
                        "its column {} is NOT NULL, but the ledger sets it to NULL where it is unknown or forgotten",
                        name),
                    fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table_.name, name));
            }
        }
    }

    void make_text(const TableColumn& column) {
        const bool rewrites = !column.type.starts_with("character varying");
        add(fmt::format("its column {} is {}, not text; this statement {}", column.name, column.type,
                        rewrites ? "writes the table anew, under a lock" : "rewrites nothing"),
            fmt::format("ALTER TABLE {} ALTER COLUMN {} TYPE text", table_.name, column.name));
    }

    void of_terms() {
        for (const auto& [option, names] :
             {std::pair{"--requested-at", &table_.requested_at}, std::pair{"--ended-at", &table_.ended_at}}) {
            for (const std::string& name : *names) {
                if (find(name) == nullptr) {
                    add(fmt::format("it has no column {}, which {} names", name, option));
                }
            }
        }
        if (!table_.status_words.empty() && find("status") == nullptr) {
            add("it has no column status, so --status-words has no use: leave it out");
        }
    }

    void of_status() {
        const TableColumn* status = find("status");
        if (status == nullptr) {
            return;
        }
        std::vector<std::string> written;
        if (table_.status_words.empty()) {
            if (status->is_generated) {
                add("its column status is generated",
                    fmt::format("ALTER TABLE {} ALTER COLUMN status DROP EXPRESSION", table_.name));
            } else if (status->type.starts_with("character")) {
                make_text(*status);
            } else if (status->type != "text") {
                add(
                    fmt::format("its column status is {}, not text: say with --status-words what its words mean, and "
                                "it is kept as it is",
                                status->type));
            }
            written.assign(std::begin(ledger_statuses), std::end(ledger_statuses));
        } else {
            for (const StatusWord& word : table_.status_words) {
                if (word.is_written) {
                    written.push_back(word.word);
                }
            }
            of_type(*status, written);
        }
        of_constraints(*status, written);
        of_words();
    }

    // Whether the application's column takes what the ledger would write there.
    void of_type(const TableColumn& status, const std::vector<std::string>& written) {
        for (const std::string& word : written) {
            const std::string quoted = work_.quote(word);
            if (ask(fmt::format("SELECT {0}::{1}::text = {0}", quoted, status.type)).value_or(false)) {
                continue;
            }
            if (status.is_enum) {
                add(fmt::format("its type {} has no word {}, which the ledger would write", status.type, word),
                    fmt::format("ALTER TYPE {} ADD VALUE {}", status.type, quoted));
            } else {
                add(fmt::format("its column status, {}, can't hold the word {}, which the ledger would write",
                                status.type, word),
                    fmt::format("ALTER TABLE {} ALTER COLUMN status TYPE text", table_.name));
                return;
            }
        }
    }

    void of_constraints(const TableColumn& status, const std::vector<std::string>& written) {
        for (const auto& row : libpqxx::run(work_, queries::adopt::find_status_checks, table_.name)) {
            std::vector<std::string> refused;
            for (const std::string& word : written) {
                const std::string quoted = work_.quote(word);
                const auto is_taken = row[1].is_null()
                                          ? ask(fmt::format("SELECT EXISTS (SELECT FROM {} WHERE {}::text = {})",
                                                            row[2].as<std::string>(), row[3].as<std::string>(), quoted))
                                          : ask(fmt::format("SELECT {} FROM (SELECT {}::{} AS status) AS word",
                                                            row[1].as<std::string>(), quoted, status.type));
                if (is_taken == false) {
                    refused.push_back(word);
                }
            }
            if (!refused.empty()) {
                add(fmt::format("its constraint {} refuses the words {}, which the ledger would write",
                                row[0].as<std::string>(), fmt::join(refused, ", ")),
                    fmt::format("ALTER TABLE {} DROP CONSTRAINT {}", table_.name,
                                work_.quote_name(row[0].as<std::string>())));
            }
        }
    }

    void of_words() {
        const auto is_known = [this](const std::string& word) {
            return table_.status_words.empty()
                       ? std::ranges::find(ledger_statuses, word) != std::end(ledger_statuses)
                       : std::ranges::find(table_.status_words, word, &StatusWord::word) != table_.status_words.end();
        };
        std::vector<std::string> unknown;
        for (const auto& row : libpqxx::run(
                 work_, fmt::format("SELECT status::text, count(*) FROM {} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100",
                                    table_.name))) {
            if (!row[0].is_null() && !is_known(row[0].as<std::string>())) {
                unknown.push_back(fmt::format("{} ({} rows)", row[0].as<std::string>(), row[1].as<std::int64_t>()));
            } else if (row[0].is_null() && table_.status_words.empty()) {
                add(fmt::format("in {} of its rows status is NULL", row[1].as<std::int64_t>()),
                    fmt::format("UPDATE {} SET status = 'pending' WHERE status IS NULL", table_.name));
            }
        }
        if (!unknown.empty()) {
            add(fmt::format(
                "status has words {}: {}. Say what they mean with --status-words FILE (docs/dba.md, \"Words "
                "of your own\")",
                table_.status_words.empty() ? "that are not the ledger's" : "that --status-words does not have",
                fmt::join(unknown, ", ")));
        }
    }

    void of_rows() {
        for (const auto& [name, bound] : {std::pair{"duration_ms", "9e15"}, std::pair{"cost_usd", "1e30"}}) {
            if (find_taken(name) == nullptr) {
                continue;
            }
            if (const auto rows = count(fmt::format("{} >= {}", name, bound)); rows > 0) {  // NaN is, too.
                add(fmt::format("in {} of its rows {} is NaN, Infinity or {} or more", rows, name, bound),
                    fmt::format("UPDATE {0} SET {1} = NULL WHERE {1} >= {2}", table_.name, name, bound));
            }
            if (const auto rows = count(fmt::format("{} < 0", name)); rows > 0) {
                add(fmt::format("in {} of its rows {} is negative", rows, name),
                    fmt::format("UPDATE {0} SET {1} = NULL WHERE {1} < 0", table_.name, name));
            }
        }
        for (const std::string_view name : {"request_timestamp", "response_timestamp"}) {
            const TableColumn* column = find_taken(name);
            if (column == nullptr) {
                continue;
            }
            constexpr std::string_view first = "timestamptz '1970-01-01 00:00:00+00'";
            constexpr std::string_view last = "timestamptz '9999-12-31 23:59:59+00'";
            const std::string is_unusual = fmt::format("{} NOT BETWEEN {} AND {}", name, first, last);
            if (const auto rows = count(is_unusual); rows > 0) {
                add(fmt::format("in {} of its rows {} is before 1970 or after 9999", rows, name),
                    fmt::format("UPDATE {} SET {} = {} WHERE {}", table_.name, name,
                                column->is_not_null ? fmt::format("least(greatest({}, {}), {})", name, first, last)
                                                    : std::string("NULL"),
                                is_unusual));
            }
        }
    }

    void of_shared_runs() {
        const TableColumn* metadata = find("metadata");
        if (metadata == nullptr) {
            return;
        }
        const std::string json = metadata->type == "jsonb" ? "metadata" : "metadata::text::jsonb";
        const std::string run_ids = fmt::format(
            "SELECT {0} ->> 'run_id' AS run_id FROM {1} WHERE jsonb_typeof({0} -> 'run_id') = 'string' AND "
            "octet_length({0} ->> 'run_id') BETWEEN 1 AND 128 GROUP BY 1 HAVING count(*) > 1",
            json, table_.name);
        std::int64_t shared = 0;
        std::string example;
        try {
            pqxx::subtransaction attempt(work_, "shared");
            const auto row =
                libpqxx::run1(attempt, fmt::format("SELECT count(*), min(run_id) FROM ({}) AS shared", run_ids));
            shared = row[0].as<std::int64_t>();
            example = row[1].is_null() ? "" : row[1].as<std::string>();
            attempt.commit();
        } catch (const pqxx::data_exception&) {
            // A text that is no JSON: its row has no run. The unique index will find the others.
            return;
        }
        if (shared > 0) {
            const std::string_view key = find("id") == nullptr ? "ctid" : "id";
            const std::string their_json = metadata->type == "jsonb" ? "later.metadata" : "later.metadata::text::jsonb";
            const std::string my_json = metadata->type == "jsonb" ? "g.metadata" : "g.metadata::text::jsonb";
            add(fmt::format("{} run_ids stand in more than one of its rows, such as {}; this statement leaves each to "
                            "the row with the greatest {}, and the others have it as former_run_id",
                            shared, example, key),
                fmt::format("UPDATE {0} AS g SET metadata = ({1} - 'run_id' || jsonb_build_object('former_run_id', {1} "
                            "-> 'run_id'))::text::{3} WHERE EXISTS (SELECT FROM {0} AS later WHERE {2} ->> 'run_id' = "
                            "{1} ->> 'run_id' AND later.{4} > g.{4})",
                            table_.name, my_json, their_json, metadata->type, key));
        }
    }

    pqxx::work& work_;
    const TableToAdopt& table_;
    std::vector<Obstacle> found_;
};

}  // namespace

bool may_read(pqxx::transaction_base& work, const std::string& table) {
    return libpqxx::run1(work, "SELECT has_table_privilege($1, 'SELECT')", table)[0].as<bool>();
}

std::vector<Obstacle> find_obstacles(pqxx::work& work, const TableToAdopt& table) { return Search(work, table).all(); }

}  // namespace runledger
