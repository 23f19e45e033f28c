#include "daemon/tool/replay/scratch_schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/database/schema.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view mark = "runledger scratch schema: ";
constexpr std::size_t name_bytes_max = 50;  // PostgreSQL's own bound is 63.

bool is_plain_word(std::string_view name) {
    return !name.empty() && name.size() <= name_bytes_max && name.front() >= 'a' && name.front() <= 'z' &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
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
    make_scratch_tables(work, name_);
}

std::string ScratchSchema::text(std::string_view query) const { return text_in(name_, query); }

}  // namespace runledger::tool
