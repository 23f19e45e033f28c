// CSV as RFC 4180 has it: fields with commas between them, lines that end with CR LF, a field in double quotes if it
// has a comma, a quote or a line end in it. NULL and an empty text differ, as in PostgreSQL's CSV: nothing, and "".
//
// One thread.
#pragma once

#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>

namespace runledger::tool {

class CsvLines {
public:
    // The next field of the line. Nothing: NULL.
    void add(std::optional<std::string_view> text);
    void end_line();
    // A line of the names of the columns.
    void add_heading(const pqxx::result& rows);
    // A line for each.
    void add_rows(const pqxx::result& rows);

    [[nodiscard]] std::string_view text() const { return text_; }
    // Begins anew, after an ended line.
    void clear() { text_.clear(); }

private:
    std::string text_;
    bool is_first_{true};  // Of its line.
};

}  // namespace runledger::tool
