// Every kind of request, a reload and a shutdown under Valgrind: no invalid access, no value from nowhere, no leak.
// Slow, so it is short; ASan sees the whole suite, this sees what ASan can't: uninitialised memory and leaks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

// Valgrind runs a program some twenty to fifty times slower.
constexpr int slowness = 12;

class Memcheck : public EdgeFixture {
protected:
    void start_under_valgrind(const NginxConf& conf) {
        const fs::path suppressions = folder().write_file(
            "memcheck.supp",
            read_text(fs::path{RUNLEDGER_SOURCE_DIR} / "tests" / "integration" / "edge" / "memcheck.supp"));
        prepare_nginx(
            standard_conf(conf),
            {.env = {{"TMPDIR", (folder() / "nginx").string()}},  // Valgrind writes there, as nginx's user.
             .wrapper = {"valgrind", "--log-file=" + (folder() / "nginx" / "memcheck.%p.log").string(),
                         "--suppressions=" + suppressions.string(), "--leak-check=full", "--show-leak-kinds=definite",
                         "--errors-for-leak-kinds=definite", "--num-callers=40",
                         "--keep-debuginfo=yes"},  // The master unmaps the module before its leaks are counted.
             .patience_factor = slowness});
        nginx().start();
    }

    void ask(const HttpRequest& request, long status) {
        HttpRequest patient = request;
        patient.url = nginx().url(request.url.empty() ? endpoint : std::string_view{request.url});
        patient.timeout *= slowness;
        const HttpAnswer answer = http_call(patient);
        EXPECT_EQ(answer.status, status) << request.method << " " << request.url << " " << answer.error;
    }

    void ask_everything() {
        ask({.body = fresh_event()}, 200);
        ask({.method = "GET", .body = fresh_event()}, 200);
        ask({.body = fresh_event_of_bytes(100'000)}, 200);    // Validated by the courier.
        ask({.body = fresh_event_of_bytes(1'000'000)}, 200);  // Through a temp file.
        ask({.body = fresh_event(), .headers = {"Content-Type: application/json", "Transfer-Encoding: chunked"}}, 200);
        ask({.body = "{"}, 400);
        ask({.body = std::string(100'000, '[')}, 400);
        ask({.body = ""}, 400);
        ask({.method = "GET"}, 405);
        ask({.method = "DELETE"}, 405);
        ask({.body = fresh_event(), .headers = {"Content-Type: text/plain"}}, 415);
        ask({.body = std::string(9'000'000, ' ')}, 413);
        ask({.url = "/runledger_status", .method = "GET"}, 200);
        RawConnection leaves{nginx().port()};
        leaves.send(raw_post(fresh_event()));
    }

    [[nodiscard]] std::vector<std::string> reports() {
        std::vector<std::string> texts;
        for (const auto& entry : fs::directory_iterator{nginx().folder()}) {
            if (entry.path().filename().string().starts_with("memcheck.")) {
                texts.push_back(read_text(entry.path()));
            }
        }
        return texts;
    }
};

TEST_F(Memcheck, FindsNothingInAShortLife) {
    start_daemon();
    start_under_valgrind({.location_extra = "client_body_buffer_size 16k;"});
    ask_everything();
    const auto old = nginx().workers();

    nginx().reload();
    eventually(
        "the old worker is gone", [&] { return !is_alive(old.front()); }, slowness * default_patience);
    ask_everything();
    nginx().quit();

    const auto texts = reports();
    EXPECT_EQ(texts.size(), 3U) << "a master and two workers";
    for (const std::string& text : texts) {
        EXPECT_NE(text.find("LEAK SUMMARY"), std::string::npos) << text;
        EXPECT_NE(text.find("ERROR SUMMARY: 0 errors"), std::string::npos) << text;
    }
}

}  // namespace
}  // namespace runledger::test
