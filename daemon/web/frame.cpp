#include "daemon/web/frame.hpp"

#include <fmt/format.h>

namespace runledger::web {

std::string framed(const Frame& frame, const Markup& content) {
    Html html;
    html.put(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{} · runledger</title>"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">"
        "<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/page.css\">",
        frame.title);
    if (frame.refreshes) {
        html.put(
            "<noscript><meta http-equiv=\"refresh\" content=\"15\"></noscript>"
            "<script src=\"/page.js\" defer></script>");
    }
    html.put("</head><body>");
    if (frame.has_search) {
        html.put(
            "<nav><a class=\"mark\" href=\"/\"><img src=\"/icon.svg\" alt=\"\" width=\"22\" height=\"22\">"
            "runledger</a>"
            "<form action=\"/search\" method=\"get\" role=\"search\"><input type=\"search\" name=\"q\" "
            "value=\"{}\" maxlength=\"256\" placeholder=\"Run id, chat or generation\" "
            "aria-label=\"Run id, chat or generation\" autocomplete=\"off\" spellcheck=\"false\">"
            "<button>Find</button></form>"
            "<form action=\"/logout\" method=\"post\"><button class=\"quiet\">Log out</button></form></nav>",
            frame.words);
    }
    html.put("<main>{}</main></body></html>", content);
    return std::move(html).take().text();
}

std::vector<std::pair<std::string, std::string>> page_headers() {
    return {{"Content-Security-Policy",
             "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
             "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
            {"Referrer-Policy", "no-referrer"},
            {"X-Frame-Options", "DENY"},
            {"Cross-Origin-Opener-Policy", "same-origin"},
            {"Cross-Origin-Resource-Policy", "same-origin"},
            {"Cache-Control", "no-store"}};
}

Answer page_answer(std::string html, int status) {
    return {.status = status, .type = "text/html; charset=utf-8", .body = std::move(html), .headers = page_headers()};
}

std::string url_word(std::string_view text) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string word;
    for (const char c : text) {
        if (plain.find(c) != std::string_view::npos) {
            word.push_back(c);
        } else {
            fmt::format_to(std::back_inserter(word), "%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return word;
}

}  // namespace runledger::web
