// A schema with the ledger's tables and functions and nothing in them, for trying things out beside the real one.
//
// Made by the files that made the real schema, so that the same SQL works on it. It carries a mark in its COMMENT; a
// schema without the mark is never touched.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "daemon/database/transaction.hpp"

namespace runledger::tool {

// The name is none that may be used. what() says why.
struct ScratchRefused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class ScratchSchema {
public:
    // Throws ScratchRefused where the name is not a plain lower-case word, or PostgreSQL's, or the ledger's.
    explicit ScratchSchema(std::string name);

    // Makes it anew; one of an earlier time is dropped. Throws ScratchRefused where a schema of that name is no scratch
    // schema of ours.
    void create(const Statements& work) const;

    // A query on the ledger's tables, on the scratch schema's instead.
    [[nodiscard]] std::string text(std::string_view query) const;
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    std::string name_;
};

}  // namespace runledger::tool
