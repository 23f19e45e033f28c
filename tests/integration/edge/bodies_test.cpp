// How a body can arrive: in memory, in a temporary file, in chunks, after a pause, over HTTP/2, through a subrequest.
#include <curl/curl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/integration/edge/http_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"

namespace runledger::test {
namespace {

// A body may be validated by the event loop or by the courier, in memory or from a file: the answers are the same.
struct Buffering {
    std::string_view name;
    std::string_view directives;
};

void PrintTo(const Buffering& buffering, std::ostream* out) { *out << buffering.name; }

class Bodies : public EdgeFixture, public ::testing::WithParamInterface<Buffering> {
protected:
    void start() {
        start_daemon();
        start_nginx({.location_extra = std::string{GetParam().directives}});
    }
};

TEST_P(Bodies, OfAnySizeAreDeliveredByteForByte) {
    start();
    std::vector<std::string> events;
    for (const std::size_t bytes : {0UL, 900UL, 2'000UL, 65'535UL, 65'536UL, 65'537UL, 200'000UL, 3'000'000UL}) {
        events.push_back(fresh_event_of_bytes(bytes));
        EXPECT_EQ(post(events.back()).status, 200) << bytes;
    }

    expect_delivered(events);
}

TEST_P(Bodies, ThatHoldNoEventAreRefusedWhateverTheirSize) {
    start();
    for (const std::size_t bytes : {1UL, 2'000UL, 100'000UL}) {
        const std::string body(bytes, '[');

        EXPECT_EQ(post(body).status, 400) << bytes;
        EXPECT_EQ(post("{\"run_id\": \"r\"}" + std::string(bytes, ' ')).status, 400) << bytes;
    }
    EXPECT_EQ(post("").status, 400);
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_P(Bodies, ComeInChunksAsWell) {
    start();
    const std::string small = fresh_event();
    const std::string large = fresh_event_of_bytes(300'000);
    for (const std::string& event : {small, large}) {
        const HttpAnswer answer =
            http_call({.url = nginx().url(),
                       .body = event,
                       .headers = {"Content-Type: application/json", "Transfer-Encoding: chunked"}});
        EXPECT_EQ(answer.status, 200) << answer.error << answer.body;
    }

    expect_delivered({small, large});
}

TEST_P(Bodies, ComeByteByByteAsWell) {
    start();
    const std::string event = fresh_event();
    const std::string request = raw_post(event, "Connection: close\r\n");
    RawConnection connection{nginx().port()};

    for (const char byte : request) {
        connection.send({&byte, 1});
    }

    EXPECT_NE(connection.read_to_end().find("HTTP/1.1 200"), std::string::npos);
    expect_delivered({event});
}

INSTANTIATE_TEST_SUITE_P(
    Buffered, Bodies,
    ::testing::Values(Buffering{"by_default", ""}, Buffering{"in_large_memory", "client_body_buffer_size 8m;"},
                      Buffering{"in_small_memory", "client_body_buffer_size 1k;"},
                      Buffering{"in_one_buffer", "client_body_buffer_size 1m; client_body_in_single_buffer on;"},
                      Buffering{"in_a_file", "client_body_in_file_only clean;"},
                      Buffering{"in_a_file_that_stays", "client_body_in_file_only on;"}),
    [](const auto& buffering) { return std::string{buffering.param.name}; });

class Requests : public EdgeFixture {
protected:
    static std::size_t append(char* bytes, std::size_t size, std::size_t count, void* text) {
        static_cast<std::string*>(text)->append(bytes, size * count);
        return size * count;
    }

    // Cleartext HTTP/2 without an upgrade. 0 where there was no answer.
    [[nodiscard]] static long post_by_http2(const std::string& url, const std::string& body, bool by_get = false) {
        prepare_libcurl();
        const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy{curl_easy_init(), curl_easy_cleanup};
        const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers{
            curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all};
        std::string answer;
        long status = 0;
        curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
        curl_easy_setopt(easy.get(), CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE));
        curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, body.data());
        curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
        curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, 20'000L);
        curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
        curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, append);
        curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer);
        if (by_get) {
            curl_easy_setopt(easy.get(), CURLOPT_CUSTOMREQUEST, "GET");
        }
        EXPECT_EQ(curl_easy_perform(easy.get()), CURLE_OK);
        curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
        return status;
    }

    // A second port, which speaks HTTP/2.
    [[nodiscard]] std::string http2_url() const {
        return "http://127.0.0.1:" + std::to_string(http2_port_) + std::string{endpoint};
    }
    [[nodiscard]] std::string listen_for_http2() {
        http2_port_ = free_port();
        return "listen 127.0.0.1:" + std::to_string(http2_port_) + " http2;";
    }

private:
    std::uint16_t http2_port_{};
};

TEST_F(Requests, ComeOverHttp2AsWell) {
    start_daemon();
    start_nginx({.server_extra = listen_for_http2()});
    const std::vector<std::string> events{fresh_event(), fresh_event_of_bytes(200'000), fresh_event()};

    EXPECT_EQ(post_by_http2(http2_url(), events[0]), 200);
    EXPECT_EQ(post_by_http2(http2_url(), events[1]), 200);
    EXPECT_EQ(post_by_http2(http2_url(), events[2], true), 200);
    EXPECT_EQ(post_by_http2(http2_url(), "not an event"), 400);
    EXPECT_EQ(post_by_http2(http2_url(), ""), 400);

    expect_delivered(events);
}

TEST_F(Requests, PassAuthRequestOverHttp2) {
    start_daemon();
    start_nginx({.server_extra = listen_for_http2() +
                                 "location = /yes { internal; return 204; } location = /no { internal; return 403; }"
                                 "location = /guarded { auth_request /no; runledger_webhook; runledger_token off; }",
                 .location_extra = "auth_request /yes;"});
    const std::string event = fresh_event();

    EXPECT_EQ(post_by_http2(http2_url(), event), 200);
    EXPECT_EQ(http_post(nginx().url("/guarded"), event).status, 403);

    expect_delivered({event});
    wait_for_access_log("outcome=refused_by_nginx");
}

TEST_F(Requests, AreAskedForTheirBodyWhenTheyExpectIt) {
    start_daemon();
    start_nginx();
    const std::string event = fresh_event();
    const std::string request = raw_post(event, "Expect: 100-continue\r\nConnection: close\r\n");
    const std::size_t header_bytes = request.size() - event.size();
    RawConnection connection{nginx().port()};

    connection.send(request.substr(0, header_bytes));
    EXPECT_EQ(connection.read_until("\r\n\r\n").find("HTTP/1.1 100"), 0U);
    connection.send(event);

    EXPECT_NE(connection.read_to_end().find("HTTP/1.1 200"), std::string::npos);
    expect_delivered({event});
}

TEST_F(Requests, AreNotAskedForABodyThatIsRefusedUnread) {
    start_daemon();
    start_nginx();
    RawConnection connection{nginx().port()};

    connection.send("PUT " + std::string{endpoint} +
                    " HTTP/1.1\r\nHost: edge\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n");

    EXPECT_EQ(connection.read_until("method_not_allowed").find("HTTP/1.1 405"), 0U);
}

TEST_F(Requests, ThatEndInMidBodyLeaveNoTrace) {
    start_daemon();
    start_nginx();
    const std::string event = fresh_event();
    {
        RawConnection connection{nginx().port()};
        connection.send(raw_post(event).substr(0, 200));
    }

    wait_for_access_log("outcome=client_gone");
    EXPECT_TRUE(daemon().delivered().empty());
}

TEST_F(Requests, CanBeCopiesThatNginxMirrors) {
    start_daemon();
    start_nginx({.server_extra = "location = /app { mirror /api/webhook/comfydeploy; "
                                 "proxy_pass http://127.0.0.1:@PORT@/behind; } location = /behind { return 204; }"});
    const std::string small = fresh_event();
    const std::string large = fresh_event_of_bytes(100'000);

    EXPECT_EQ(http_post(nginx().url("/app"), small).status, 204);
    EXPECT_EQ(http_post(nginx().url("/app"), large).status, 204);

    expect_delivered({small, large});
}

TEST_F(Requests, ArriveByTheHundredAtOnce) {
    start_daemon();
    start_nginx({.workers = 2});
    std::vector<std::string> events;
    std::vector<std::unique_ptr<RawConnection>> connections;
    for (int i = 0; i < 300; ++i) {
        events.push_back(fresh_event());
        connections.push_back(std::make_unique<RawConnection>(nginx().port()));
        connections.back()->send(raw_post(events.back(), "Connection: close\r\n"));
    }

    for (const auto& connection : connections) {
        EXPECT_EQ(connection->read_to_end().find("HTTP/1.1 200"), 0U);
    }

    expect_delivered(events);
}

class BodyFiles : public HttpFixture {};

// nginx's temporary file is cut short between nginx's writing and the courier's reading. The courier reads a batch's
// bodies together, and a large event that waits before it is a batch of its own.
TEST_F(BodyFiles, ThatCannotBeReadBackAreRefused) {
    start({.server_extra = "location = /in_a_file { runledger_webhook; runledger_token off; "
                           "client_body_in_file_only clean; runledger_timeout 60s; }",
           .location_extra = "client_body_buffer_size 8m; runledger_timeout 60s;"});
    hold_events();
    const std::string large = fresh_event_of_bytes(2'000'000);
    RawConnection before{nginx().port()};
    before.send(RawRequest{.headers = "Connection: close\r\n", .body = large}.text());
    wait_until_held(1);
    RawConnection cut{nginx().port()};
    cut.send(
        RawRequest{.target = "/in_a_file", .headers = "Connection: close\r\n", .body = fresh_event_of_bytes(50'000)}
            .text());
    wait_until_held(2);

    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{nginx().folder() / "client_body"}) {
        if (entry.is_regular_file()) {
            files.push_back(entry.path());
        }
    }
    ASSERT_EQ(files.size(), 1U);
    std::filesystem::resize_file(files[0], 1'000);
    release();

    EXPECT_EQ(split_answers(before.read_to_end()).at(0).status, 200);
    expect_problem(split_answers(cut.read_to_end()).at(0), 503, "body_unreadable");
    cut.close();  // Or nginx would linger before it logs.
    expect_logged("/in_a_file", 503, "body_unreadable");
    wait_for_error_log("the temp file is shorter than the body");
    expect_delivered({large});
}

}  // namespace
}  // namespace runledger::test
