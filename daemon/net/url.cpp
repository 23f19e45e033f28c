#include "daemon/net/url.hpp"

#include <curl/curl.h>

#include <memory>
#include <stdexcept>

namespace runledger {
namespace {

struct CurlDeleter {
    void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
    void operator()(char* text) const noexcept { curl_free(text); }
};
using Url = std::unique_ptr<CURLU, CurlDeleter>;
using Text = std::unique_ptr<char, CurlDeleter>;

// Null: the text is no URL.
Url parsed(const std::string& text) {
    Url url(curl_url());
    if (url == nullptr) {
        throw std::runtime_error("libcurl: out of memory");
    }
    return curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK ? std::move(url) : nullptr;
}

// Empty: it has no such part.
std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
    char* text = nullptr;
    if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) {
        return "";
    }
    const Text owned(text);
    return owned.get();
}

}  // namespace

std::optional<UrlParts> parse_url(const std::string& url) {
    const Url parts = parsed(url);
    if (parts == nullptr) {
        return std::nullopt;
    }
    const std::string port = part(parts, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    return UrlParts{.scheme = part(parts, CURLUPART_SCHEME),
                    .host = part(parts, CURLUPART_HOST),
                    .port = static_cast<std::uint16_t>(port.empty() ? 0 : std::stoul(port)),
                    .query = part(parts, CURLUPART_QUERY)};
}

std::optional<std::string> find_argument(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const std::string_view argument = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(argument.size() + 1, query.size()));
        if (argument.substr(0, argument.find('=')) == name) {
            const std::size_t equals = argument.find('=');
            return std::string(equals == std::string_view::npos ? "" : argument.substr(equals + 1));
        }
    }
    return std::nullopt;
}

std::optional<std::string> with_query(const std::string& url, const std::string& query) {
    const Url parts = parsed(url);
    if (parts == nullptr ||
        curl_url_set(parts.get(), CURLUPART_QUERY, query.empty() ? nullptr : query.c_str(), 0) != CURLUE_OK ||
        curl_url_set(parts.get(), CURLUPART_FRAGMENT, nullptr, 0) != CURLUE_OK) {
        return std::nullopt;
    }
    return part(parts, CURLUPART_URL);
}

std::string escaped(std::string_view text) {
    if (text.empty()) {
        return "";
    }
    const Text made(curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size())));
    if (made == nullptr) {
        throw std::runtime_error("libcurl: out of memory");
    }
    return made.get();
}

std::string unescaped(const std::string& text) {
    int bytes = 0;
    const Text made(curl_easy_unescape(nullptr, text.data(), static_cast<int>(text.size()), &bytes));
    if (made == nullptr) {
        throw std::runtime_error("libcurl: out of memory");
    }
    return {made.get(), static_cast<std::size_t>(bytes)};
}

}  // namespace runledger
