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

}  // namespace runledger::tool
