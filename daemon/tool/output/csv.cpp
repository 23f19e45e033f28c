#include "daemon/tool/output/csv.hpp"

namespace runledger::tool {

void CsvLines::add(std::optional<std::string_view> text) {
    if (!is_first_) {
        text_ += ',';
    }
    is_first_ = false;
    if (!text) {
        return;
    }
    if (!text->empty() && text->find_first_of(",\"\r\n") == std::string_view::npos) {
        text_ += *text;
        return;
    }
    text_ += '"';
    for (const char c : *text) {
        text_ += c;
        if (c == '"') {
            text_ += c;
        }
    }
    text_ += '"';
}

void CsvLines::end_line() {
    text_ += "\r\n";
    is_first_ = true;
}

void CsvLines::add_heading(const pqxx::result& rows) {
    for (pqxx::row_size_type column = 0; column < rows.columns(); ++column) {
        add(rows.column_name(column));
    }
    end_line();
}

void CsvLines::add_rows(const pqxx::result& rows) {
    for (const auto& row : rows) {
        for (const auto& field : row) {
            add(field.is_null() ? std::nullopt : std::optional(std::string_view(field.c_str(), field.size())));
        }
        end_line();
    }
}

}  // namespace runledger::tool
