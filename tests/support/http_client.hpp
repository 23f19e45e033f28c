// One HTTP request, and what came of it: for tests that ask a server something. Each call is a connection of its own,
// as the sender's are. Any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runledger::test {

struct HttpRequest {
    std::string url{};
    std::string method{"POST"};
    std::optional<std::string> body{};  // A GET may have one: tries two and three of the sender's do.
    std::vector<std::string> headers{"Content-Type: application/json"};
    // multipart/form-data instead of `body`: name and text; a name with '@' before it is sent as a file of that name.
    std::vector<std::pair<std::string, std::string>> parts{};
    std::chrono::milliseconds timeout{20'000};
};

struct HttpAnswer {
    long status{};  // 0 where there was none: see `error`.
    std::string body{};
    std::string headers{};  // As received.
    std::string error{};    // libcurl's words; empty where an answer came.
};

[[nodiscard]] HttpAnswer http_call(const HttpRequest& request);
[[nodiscard]] HttpAnswer http_post(const std::string& url, std::string_view json);
[[nodiscard]] HttpAnswer http_get(const std::string& url);

// Once per process, before any other thread uses libcurl; called by everything here that does.
void prepare_libcurl();

}  // namespace runledger::test
