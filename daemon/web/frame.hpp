// What all pages have: the document around the content, and the headers of its answer. Pure.
#pragma once

#include <string>
#include <string_view>

#include "daemon/web/html.hpp"
#include "daemon/web/listener.hpp"

namespace runledger::web {

struct Frame {
    std::string title{};
    std::string words{};     // In the search's field.
    bool refreshes{false};   // By page.js; without JavaScript, as a whole.
    bool has_search{false};  // And a way to log out.
};
[[nodiscard]] std::string framed(const Frame& frame, const Markup& content);

// Answers with a page: nothing of another origin, no inline script or style, no frame around it, in no cache.
[[nodiscard]] Answer page_answer(std::string html, int status = 200);
// The headers that make it so.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> page_headers();

// For a query's value: all but letters, digits and -._~ escaped.
[[nodiscard]] std::string url_word(std::string_view text);

}  // namespace runledger::web
