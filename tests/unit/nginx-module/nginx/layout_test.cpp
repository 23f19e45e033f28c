// The canary's facts, on structures that were shifted on purpose: as if nginx had been built with a member more than
// the headers that the module was built with.
#include "nginx-module/nginx/layout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace runledger::edge {
namespace {

// The bytes of a structure as nginx would have written them with `more` bytes inserted at `at`; those at the end are
// lost, as they lie behind what the module takes for the structure's end.
template <class T>
void insert_bytes(T& structure, std::size_t at, std::size_t more) {
    std::vector<unsigned char> bytes(sizeof structure + more, 0);
    std::memcpy(bytes.data(), &structure, at);
    std::memcpy(bytes.data() + at + more, reinterpret_cast<unsigned char*>(&structure) + at, sizeof structure - at);
    std::memcpy(static_cast<void*>(&structure), bytes.data(), sizeof structure);
}

class Layout : public ::testing::Test {
protected:
    Layout() {
        ngx_http_request_t& request = copies().request;
        request.signature = NGX_HTTP_MODULE;
        request.main = address();
        request.main_conf = main_conf_;
        request.variables = values_;
        request.request_length = 321;
        request.http_version = NGX_HTTP_VERSION_11;
        request.http_major = 1;
        request.http_minor = 1;
        request.unparsed_uri = {4, uri_};
        request.stat_writing = 1;
        request.headers_in.content_length_n = 100;
        request.lingering_close = 1;
        request.keepalive = 1;
        request.count = 1;
        copies().connection.number = 77;
        copies().conf_ctx.main_conf = main_conf_;
        answers_ = {.connection_number = 77,
                    .request_length = 321,
                    .variable = values_ + 2,
                    .variable_index = 2,
                    .counts_requests = true};
        copies().main = request;
    }

    [[nodiscard]] RequestCopies& copies() { return *copies_; }
    [[nodiscard]] ngx_http_request_t* address() { return request_.get(); }
    [[nodiscard]] NginxsAnswers& answers() { return answers_; }
    [[nodiscard]] std::optional<std::string> difference() {
        return find_difference(request_facts(copies(), address(), answers_, RequestMoment::body_untouched));
    }

private:
    std::unique_ptr<RequestCopies> copies_{std::make_unique<RequestCopies>()};
    std::unique_ptr<ngx_http_request_t> request_{std::make_unique<ngx_http_request_t>()};  // For its address alone.
    void* main_conf_[1]{};
    ngx_http_variable_value_t values_[4]{};
    u_char uri_[4]{'/', 'u', 'r', 'i'};
    NginxsAnswers answers_;
};

TEST_F(Layout, HoldsForARequestAsTheHeadersHaveIt) { EXPECT_EQ(difference(), std::nullopt); }

TEST_F(Layout, NoticesAMemberMoreWhereverItIsInARequest) {
    const ngx_http_request_t sound = copies().request;
    for (std::size_t at = 0; at < sizeof sound; at += sizeof(void*)) {
        copies().request = sound;
        insert_bytes(copies().request, at, sizeof(void*));
        copies().main = copies().request;

        EXPECT_NE(difference(), std::nullopt) << "a member more at byte " << at;
    }
}

// As if a bit had been put before it among the bits of its word; the other words are as they were.
void shift_word_with(ngx_http_request_t& request, void (*clear)(ngx_http_request_t& request)) {
    ngx_http_request_t cleared = request;
    clear(cleared);
    const auto* a = reinterpret_cast<const unsigned char*>(&request);
    const auto* b = reinterpret_cast<const unsigned char*>(&cleared);
    const auto place = static_cast<std::size_t>(std::mismatch(a, a + sizeof request, b).first - a);
    std::uint32_t word = 0;
    auto* at = reinterpret_cast<unsigned char*>(&request) + place / sizeof word * sizeof word;
    std::memcpy(&word, at, sizeof word);
    word <<= 1U;
    std::memcpy(at, &word, sizeof word);
}

TEST_F(Layout, NoticesABitMoreAmongTheBits) {
    const ngx_http_request_t sound = copies().request;
    constexpr void (*clear_one_of_each_word[])(ngx_http_request_t&) = {
        +[](ngx_http_request_t& request) { request.lingering_close = 0; },
        +[](ngx_http_request_t& request) { request.stat_writing = 0; }};

    for (const auto clear : clear_one_of_each_word) {
        copies().request = sound;
        shift_word_with(copies().request, clear);
        copies().main = copies().request;

        EXPECT_NE(difference(), std::nullopt);
    }
}

TEST_F(Layout, NoticesAMemberMoreInAConnection) {
    const ngx_connection_t sound = copies().connection;
    for (std::size_t at = 0; at <= offsetof(ngx_connection_t, number); at += sizeof(void*)) {
        copies().connection = sound;
        insert_bytes(copies().connection, at, sizeof(void*));

        EXPECT_EQ(difference(),
                  "ngx_connection_t::number is not where the headers have it that the module was built with")
            << "a member more at byte " << at;
    }
}

TEST_F(Layout, NoticesAnHttpConnectionThatLeadsNowhere) {
    copies().conf_ctx = {};

    EXPECT_NE(difference(), std::nullopt);
}

TEST_F(Layout, HoldsForASubrequestAndForALineThatNginxDidNotUnderstand) {
    ngx_http_request_t& request = copies().request;
    request.http_major = 0;
    request.unparsed_uri = {};
    EXPECT_EQ(difference(), std::nullopt);

    auto parent = std::make_unique<ngx_http_request_t>(request);
    parent->main = parent.get();
    request.main = parent.get();
    request.parent = parent.get();
    request.stat_writing = 0;
    request.lingering_close = 0;
    request.http_connection = nullptr;
    copies().main = *parent;
    EXPECT_EQ(difference(), std::nullopt);
}

#if (NGX_HTTP_V2)
TEST_F(Layout, HoldsForHttp2AndNoticesAStreamOfAnotherRequest) {
    ngx_http_v2_stream_t stream{};
    ngx_http_request_t& request = copies().request;
    request.http_version = NGX_HTTP_VERSION_20;
    request.http_major = request.http_minor = 0;
    request.stream = &stream;
    copies().stream_request = address();
    EXPECT_EQ(difference(), std::nullopt);

    copies().stream_request = nullptr;
    EXPECT_NE(difference(), std::nullopt);
}
#endif

TEST_F(Layout, AsksNothingOfWhatNginxDoesNotSay) {
    answers() = {};

    EXPECT_EQ(difference(), std::nullopt);
}

TEST(LayoutFacts, NameTheFirstMemberThatIsElsewhere) {
    const LayoutFacts facts{{LayoutFact::Kind::offset, "ngx_http_headers_in_t", "host", 56, 56},
                            {LayoutFact::Kind::offset, "ngx_http_headers_in_t", "content_type", 136, 144},
                            {LayoutFact::Kind::value, "ngx_conf_t", "pool", 1, 2}};

    EXPECT_EQ(find_difference(facts),
              "ngx_http_headers_in_t::content_type is at byte 144 of the structure, and at 136 in the headers that the "
              "module was built with");
}

TEST(LayoutFacts, NoticeEventsAndConnectionsOfAnotherSize) {
    std::vector<ngx_event_t> events(6);
    ngx_connection_t second{};
    second.read = events.data() + 1;
    second.write = events.data() + 3;
    EXPECT_EQ(find_difference(event_facts(second, events.data(), events.data() + 2)), std::nullopt);

    second.read = reinterpret_cast<ngx_event_t*>(reinterpret_cast<unsigned char*>(second.read) + sizeof(void*));
    EXPECT_NE(find_difference(event_facts(second, events.data(), events.data() + 2)), std::nullopt);
}

}  // namespace
}  // namespace runledger::edge
