#include "tests/integration/edge/http_fixture.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "tests/support/eventually.hpp"

namespace runledger::test {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t problem_bytes_max = 512;

// Of the header whose name is this, in lower case as HTTP/2 has it or not; -1 where there is none.
[[nodiscard]] long content_length(std::string_view headers) {
    for (const std::string_view name : {"\nContent-Length: ", "\ncontent-length: "}) {
        if (const std::size_t at = headers.find(name); at != std::string_view::npos) {
            return std::stol(std::string{headers.substr(at + name.size(), 20)});
        }
    }
    return -1;
}

}  // namespace

std::string RawRequest::text() const {
    const std::string length = says_length ? fmt::format("Content-Length: {}\r\n", body.size()) : std::string{};
    return fmt::format("{} {} {}\r\nHost: edge\r\nContent-Type: application/json\r\n{}{}\r\n{}", method, target,
                       version, length, headers, body);
}

std::string in_chunks(std::string_view body, std::size_t chunk_bytes, std::string_view extension,
                      std::string_view trailers) {
    std::string chunks;
    for (; !body.empty(); body.remove_prefix(std::min(chunk_bytes, body.size()))) {
        const std::string_view chunk = body.substr(0, chunk_bytes);
        chunks += fmt::format("{:x}{}\r\n{}\r\n", chunk.size(), extension, chunk);
    }
    return chunks + fmt::format("0\r\n{}\r\n", trailers);
}

std::vector<HttpAnswer> split_answers(std::string_view received) {
    std::vector<HttpAnswer> answers;
    while (received.starts_with("HTTP/1.")) {
        HttpAnswer& answer = answers.emplace_back();
        const std::size_t header_bytes = received.find("\r\n\r\n") + 4;
        answer.headers = received.substr(0, header_bytes);
        answer.status = std::stol(answer.headers.substr(9, 3));
        received.remove_prefix(header_bytes);
        const long length = content_length(answer.headers);
        const bool has_no_body = answer.status < 200;
        answer.body = received.substr(0, has_no_body  ? 0
                                         : length < 0 ? received.size()
                                                      : static_cast<std::size_t>(length));
        received.remove_prefix(answer.body.size());
    }
    EXPECT_EQ(received, "") << "after " << answers.size() << " answers";
    return answers;
}

bool has_header(const HttpAnswer& answer, std::string_view line) {
    return answer.headers.find(fmt::format("\r\n{}\r\n", line)) != std::string::npos;
}

void expect_problem(const HttpAnswer& answer, int status, std::string_view word) {
    EXPECT_EQ(answer.status, status) << answer.error << answer.body;
    EXPECT_NE(answer.headers.find("application/problem+json"), std::string::npos) << answer.headers;
    EXPECT_EQ(content_length(answer.headers), static_cast<long>(answer.body.size())) << answer.headers;
    EXPECT_LE(answer.body.size(), problem_bytes_max);
    rapidjson::Document document;
    document.Parse(answer.body.data(), answer.body.size());
    ASSERT_TRUE(document.IsObject() && document.HasMember("type") && document.HasMember("status")) << answer.body;
    EXPECT_EQ(document["type"].GetString(), fmt::format("urn:runledger:problem:{}", word));
    EXPECT_EQ(document["status"].GetInt(), status);
}

void expect_page_of_nginx(const HttpAnswer& answer, int status) {
    EXPECT_EQ(answer.status, status) << answer.error << answer.body;
    EXPECT_NE(answer.body.find("<hr><center>"), std::string::npos) << answer.headers << answer.body;
    EXPECT_EQ(answer.headers.find("problem+json"), std::string::npos) << answer.headers;
}

void HttpFixture::start(NginxConf conf) {
    conf.server_extra += " location = /connections { stub_status; access_log off; }";
    start_daemon();
    start_nginx(conf);
}

void HttpFixture::TearDown() {
    if (holding_) {
        release();
    }
    if (!nginx().running()) {  // It never started, or the test has ended it.
        EdgeFixture::TearDown();
        return;
    }
    eventually(
        "no connection is left but the one that asks", [this] { return active_connections() == 1; }, default_patience,
        [this] { return fmt::format("{} connections\n{}", active_connections(), nginx().error_log()); });
    EdgeFixture::TearDown();
}

void HttpFixture::make_certificate() {
    const Finished made =
        run_to_end({.argv = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                             "-nodes", "-subj", "/CN=edge", "-days", "2", "-keyout", (folder() / "key.pem").string(),
                             "-out", (folder() / "cert.pem").string()}},
                   folder());
    ASSERT_TRUE(made.status.clean()) << made.output;
}

HttpAnswer HttpFixture::answer_to(const RawRequest& request) {
    RawConnection connection{nginx().port()};
    connection.send(request.text());
    const auto answers = split_answers(connection.read_to_end());
    EXPECT_FALSE(answers.empty()) << request.text();
    return answers.empty() ? HttpAnswer{} : answers.back();
}

void HttpFixture::expect_logged(std::string_view target, int status, std::string_view outcome) {
    const std::string wanted_start = fmt::format(" {} {} ", target, status);
    const std::string wanted_end = fmt::format(" outcome={}", outcome);
    eventually(
        fmt::format("the access log says {} … {}", wanted_start, wanted_end),
        [&] {
            std::istringstream log{nginx().access_log()};
            for (std::string line; std::getline(log, line);) {
                if (line.find(wanted_start) != std::string::npos && line.ends_with(wanted_end)) {
                    return true;
                }
            }
            return false;
        },
        default_patience, [this] { return nginx().access_log(); });
}

int HttpFixture::active_connections() {
    const HttpAnswer answer = http_get(nginx().url("/connections"));
    constexpr std::string_view label = "Active connections: ";
    return answer.body.starts_with(label) ? std::stoi(answer.body.substr(label.size())) : -1;
}

void HttpFixture::hold_events() {
    fs::permissions(nginx().spool(), fs::perms::none);
    holding_ = true;
    kill_workers();
}

void HttpFixture::release() {
    fs::permissions(nginx().spool(), fs::perms::owner_all);
    holding_ = false;
}

void HttpFixture::wait_until_held(int requests) {
    eventually(fmt::format("{} requests are held", requests), [&] { return held_requests() == requests; });
}

int HttpFixture::held_requests() {
    const std::string status = http_get(nginx().url("/runledger_status")).body;
    constexpr std::string_view label = "held_events ";
    const std::size_t at = status.rfind(label);
    return at == std::string::npos ? -1 : std::stoi(status.substr(at + label.size()));
}

}  // namespace runledger::test
