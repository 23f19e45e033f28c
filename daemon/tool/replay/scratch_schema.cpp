#include "daemon/tool/replay/scratch_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "daemon/ingest/write_turn.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view mark = "runledger scratch schema: ";
constexpr std::size_t name_bytes_max = 50;  // PostgreSQL's own bound is 63.

bool is_plain_word(std::string_view name) {
    return !name.empty() && name.size() <= name_bytes_max && name.front() >= 'a' && name.front() <= 'z' &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

// Does whatever the statements say that the query makes.
void do_each(const Statements& work, const std::string& query, const std::string& schema) {
    for (const auto& row : work.run(query, schema)) {
        work.run(row[0].as<std::string>());
    }
}

// Keys and indexes by themselves: LIKE would give them names of its own, and ON CONFLICT ON CONSTRAINT asks for ours.
void copy_tables(const Statements& work, const std::string& schema) {
    static const std::string ours =
        " t.relnamespace = 'runledger'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition "
        "AND t.relname <> 'schema_migrations' ";
    do_each(work,
            "SELECT format('CREATE TABLE %I.%I (LIKE runledger.%2$I INCLUDING ALL EXCLUDING INDEXES)', $1::text, "
            "t.relname) "
            "FROM pg_class AS t WHERE" +
                ours + "ORDER BY t.oid",
            schema);
    do_each(work,
            "SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', $1::text, t.relname, c.conname, "
            "pg_get_constraintdef(c.oid)) FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid "
            "WHERE c.contype IN ('p', 'u', 'x') AND" +
                ours + "ORDER BY c.oid",
            schema);
    do_each(work,
            "SELECT regexp_replace(replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON '), '\\mrunledger\\.', "
            "$1::text || '.', 'g') FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid "
            "WHERE NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid) AND" +
                ours + "ORDER BY i.indexrelid",
            schema);
}

// Functions may name each other in any order: those that can't be made yet are tried again behind the others.
void copy_functions(const Statements& work, const std::string& schema) {
    work.run("SET LOCAL check_function_bodies = off");
    std::deque<std::string> left;
    for (const auto& row :
         work.run("SELECT regexp_replace(pg_get_functiondef(oid), '\\mrunledger(\\.|_settled)', $1 || '\\1', 'g') "
                  "FROM pg_proc WHERE pronamespace = 'runledger'::regnamespace AND prokind IN ('f', 'p') ORDER BY oid",
                  schema)) {
        left.push_back(row[0].as<std::string>());
    }
    for (std::size_t refused_in_a_row = 0; !left.empty();) {
        const std::string definition = std::move(left.front());
        left.pop_front();
        try {
            Savepoint attempt(work);
            attempt.run(definition);
            attempt.release();
            refused_in_a_row = 0;
        } catch (const pqxx::sql_error&) {
            if (++refused_in_a_row > left.size()) {
                throw;  // None of them can be made: the last one's reason is as good as any.
            }
            left.push_back(definition);
        }
    }
}

}  // namespace

ScratchSchema::ScratchSchema(std::string name) : name_(std::move(name)) {
    if (!is_plain_word(name_)) {
        throw ScratchRefused(
            fmt::format("\"{}\" is no name for a scratch schema: it wants a lower-case letter, then letters, digits "
                        "and _, up to {}",
                        name_, name_bytes_max));
    }
    if (name_ == "runledger" || name_ == "public" || name_ == "information_schema" || name_.starts_with("pg_")) {
        throw ScratchRefused(fmt::format("\"{}\" is not for scratch", name_));
    }
}

void ScratchSchema::create(const Statements& work) const {
    const auto existing =
        work.run("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1", name_);
    if (!existing.empty()) {
        const auto comment = existing[0][0].is_null() ? std::string{} : existing[0][0].as<std::string>();
        if (!comment.starts_with(mark)) {
            throw ScratchRefused(
                fmt::format("the schema \"{}\" exists and is no scratch schema of ours: it is left alone", name_));
        }
        work.run(fmt::format("DROP SCHEMA {} CASCADE", name_));
    }
    work.run(fmt::format("CREATE SCHEMA {}", name_));
    work.run(fmt::format("COMMENT ON SCHEMA {} IS '{}may be dropped at any time'", name_, mark));
    copy_tables(work, name_);
    copy_functions(work, name_);
}

std::string ScratchSchema::text(std::string_view query) const { return text_in(name_, query); }

}  // namespace runledger::tool
