// What the HTTP tests share on top of the edge's: raw requests and their answers, requests that are held for as long as
// a test wants, and what nginx has logged of each.
//
// Invariant: each test ends with nginx having no connection left but the one that asks, so no request outlives its
// client.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/integration/edge/raw_connection.hpp"

namespace runledger::test {

// A request to the webhook, of which a test changes what it is about.
struct RawRequest {
    std::string method{"POST"};
    std::string target{"/api/webhook/comfydeploy"};
    std::string version{"HTTP/1.1"};
    std::string headers{};  // Further ones, each with its CRLF.
    std::string body{};     // As it is sent: chunked ones in their chunks.
    bool says_length{true};

    [[nodiscard]] std::string text() const;
};

// The body in chunks of so many bytes, with what may stand after each chunk's size and after the last chunk.
[[nodiscard]] std::string in_chunks(std::string_view body, std::size_t chunk_bytes, std::string_view extension = {},
                                    std::string_view trailers = {});

// What came over one connection, answer by answer; an interim one counts. A body without a length is the rest.
[[nodiscard]] std::vector<HttpAnswer> split_answers(std::string_view received);

// True where the headers hold this line, whole.
[[nodiscard]] bool has_header(const HttpAnswer& answer, std::string_view line);

// The module's own refusal: its status, a short problem document of this word, and its length.
void expect_problem(const HttpAnswer& answer, int status, std::string_view word);
// nginx's own: it refused before the module, or in its place.
void expect_page_of_nginx(const HttpAnswer& answer, int status);

class HttpFixture : public EdgeFixture {
protected:
    // With a daemon, and a location that says how many connections there are.
    void start(NginxConf conf = {});
    void TearDown() override;

    // cert.pem and key.pem in the test's folder, for a server that speaks TLS.
    void make_certificate();

    // On a connection of its own, which the request must have closed. The last answer.
    [[nodiscard]] HttpAnswer answer_to(const RawRequest& request);

    // Waits until the access log says this of a request, which its target tells apart.
    void expect_logged(std::string_view target, int status, std::string_view outcome);
    [[nodiscard]] int active_connections();

    // From now until release() every event is held: a new worker finds a spool that it can't write.
    void hold_events();
    void release();
    void wait_until_held(int requests);
    [[nodiscard]] int held_requests();

private:
    bool holding_{false};
};

}  // namespace runledger::test
