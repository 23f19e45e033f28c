// runledger_refused: what is refused for its token or its JSON is kept for a second try, and nothing else changes.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "common/refused_format.hpp"
#include "common/wire.hpp"
#include "tests/integration/edge/raw_connection.hpp"
#include "tests/integration/edge/status_fixture.hpp"
#include "tests/support/disk_faults.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::string_view right = "rightrightrightright";
constexpr std::string_view wrong = "wrongwrongwrongwrong";
// printf %s wrongwrongwrongwrong | sha256sum
constexpr std::string_view digest_of_wrong = "4d0c2f97ae4b9c6d";

class SecondTry : public StatusFixture {
protected:
    SecondTry() {
        static_cast<void>(folder().write_secret("tokens", fmt::format("studio {}\n", right)));
        static_cast<void>(folder().make_folder("refused"));
    }

    void start(std::string_view parameters = "", NginxConf conf = {}, NginxOptions options = {}) {
        conf.token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;";
        conf.http_extra += fmt::format("runledger_refused @TEST_FOLDER@/refused {};", parameters);
        start_nginx(conf, std::move(options));
    }

    [[nodiscard]] fs::path refused_folder() const { return folder() / "refused"; }
    [[nodiscard]] std::string url(std::string_view token) {
        return nginx().url(fmt::format("{}?token={}", endpoint, token));
    }
    long post_with(std::string_view token, std::string_view body) { return http_post(url(token), body).status; }

    [[nodiscard]] std::vector<RefusedBody> kept() const {
        std::vector<RefusedBody> bodies;
        for (const std::string& name : kept_names()) {
            auto decoded = decode_refused(read_text(refused_folder() / name));
            if (auto* body = std::get_if<RefusedBody>(&decoded)) {
                bodies.push_back(std::move(*body));
            } else {
                ADD_FAILURE() << name << " can't be read";
            }
        }
        return bodies;
    }
    [[nodiscard]] std::vector<std::string> kept_names() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(refused_folder())) {
            if (entry.path().extension() == refused_suffix) {
                names.push_back(entry.path().filename());
            }
        }
        std::ranges::sort(names);
        return names;
    }
    void wait_until_kept(std::size_t count) {
        eventually(
            fmt::format("{} bodies are kept", count), [&] { return kept_names().size() == count; }, default_patience,
            [&] { return fmt::format("{}\n{}\n{}", kept_names().size(), text(), nginx().error_log()); });
    }
    void wait_until_at_least(std::string_view name, double value) {
        eventually(fmt::format("{} is at least {}", name, value),
                   [&] { return sample("runledger_edge_" + std::string{name}) >= value; });
    }
};

TEST_F(SecondTry, KeepsAnEventWithAWrongTokenAndAnswersAsWithout) {
    start_daemon();
    start();
    const std::string event = fresh_event();
    const auto before = std::chrono::system_clock::now();

    const HttpAnswer answer = http_call({.url = url(wrong),
                                         .body = event,
                                         .headers = {"Content-Type: application/json", "User-Agent: tool/1",
                                                     "Authorization: Bearer secret-of-another"}});

    EXPECT_EQ(answer.status, 401);
    EXPECT_THAT(answer.body, HasSubstr("urn:runledger:problem:token_refused"));
    EXPECT_THAT(answer.headers, HasSubstr("WWW-Authenticate: Bearer realm=\"runledger\""));
    wait_until_kept(1);
    const RefusedBody body = kept().front();
    EXPECT_EQ(body.body, event);
    EXPECT_EQ(body.reason, RefusedFor::token);
    EXPECT_EQ(body.token_digest, digest_of_wrong);
    EXPECT_EQ(body.token_name, "");
    EXPECT_EQ(body.location, endpoint);
    EXPECT_EQ(body.address, "127.0.0.1");
    EXPECT_EQ(body.content_type, "application/json");
    EXPECT_EQ(body.user_agent, "tool/1");
    EXPECT_EQ(body.flags, 0U);
    EXPECT_GE(body.stamp.received_at + std::chrono::microseconds{1}, before);
    EXPECT_LE(body.stamp.received_at, std::chrono::system_clock::now());
    wait_for_access_log("outcome=refused_token");
    wait_for_sample("runledger_edge_refused_kept_total", 1);
    EXPECT_EQ(sample(requests("refused_token")), 1);
    eventually("the folder's figures follow", [&] { return sample("runledger_edge_refused_bodies") == 1; });
    expect_delivered({});
}

TEST_F(SecondTry, StoresNoSecretAndNothingThatOthersCanRead) {
    start_daemon();
    start();

    EXPECT_EQ(post_with(wrong, fresh_event()), 401);
    EXPECT_EQ(post_with(right, "not an event"), 400);
    EXPECT_EQ(http_call({.url = url(wrong),
                         .body = fresh_event(),
                         .headers = {"Content-Type: application/json", "Cookie: a=secret-of-another",
                                     fmt::format("Referer: https://x/?token={}", wrong)}})
                  .status,
              401);

    wait_until_kept(3);
    for (const std::string& name : kept_names()) {
        const fs::path path = refused_folder() / name;
        struct stat facts {};
        ASSERT_EQ(::stat(path.c_str(), &facts), 0);
        EXPECT_EQ(facts.st_mode & 0777U, 0600U);
        for (const std::string_view secret : {right, wrong, std::string_view{"secret-of-another"}}) {
            EXPECT_THAT(read_text(path), Not(HasSubstr(std::string{secret})));
        }
    }
}

TEST_F(SecondTry, TellsARetryAMissingTokenAndAnEscapedOneApart) {
    start_daemon();
    start();

    EXPECT_EQ(http_call({.url = url(wrong), .method = "GET", .body = fresh_event()}).status, 401);
    EXPECT_EQ(post(fresh_event()).status, 401);
    EXPECT_EQ(post_with("wrong%77rongwrongwrong", fresh_event()), 401);

    wait_until_kept(3);
    const auto bodies = kept();
    EXPECT_EQ(bodies[0].flags, wire::redelivered);
    EXPECT_EQ(bodies[0].token_digest, digest_of_wrong);
    EXPECT_EQ(bodies[1].token_digest, "");
    EXPECT_EQ(bodies[2].token_digest, digest_of_wrong) << "the same token, escaped where it need not be";
}

TEST_F(SecondTry, KeepsABodyWithoutAnEventBehindARightTokenWithTheReason) {
    start_daemon();
    start();
    const std::string large = fresh_event_of_bytes(200'000) + "}";

    EXPECT_EQ(post_with(right, R"({"status": "running"})"), 400);
    EXPECT_EQ(post_with(right, large), 400) << "found by the courier";

    wait_until_kept(2);
    const auto bodies = kept();
    EXPECT_EQ(bodies[0].reason, RefusedFor::json);
    EXPECT_EQ(bodies[0].fault, "run_id_missing");
    EXPECT_EQ(bodies[0].token_name, "studio");
    EXPECT_EQ(bodies[0].token_digest, "");
    EXPECT_EQ(bodies[0].body, R"({"status": "running"})");
    EXPECT_EQ(bodies[1].fault, "body_not_json");
    EXPECT_EQ(bodies[1].body, large);
    EXPECT_GT(bodies[1].stamp.received_at, bodies[0].stamp.received_at);
    wait_for_sample(requests("refused_json"), 2);
}

TEST_F(SecondTry, KeepsNothingThatCouldNotBePutThrough) {
    start_daemon();
    start();
    const std::string event = fresh_event();
    const auto with = [&](std::string_view header) {
        return http_call({.url = url(wrong), .body = event, .headers = {std::string{header}}}).status;
    };

    EXPECT_EQ(post_with(wrong, "not an event"), 401);
    EXPECT_EQ(post_with(wrong, ""), 401);
    EXPECT_EQ(with("Content-Type: text/plain"), 401);
    EXPECT_EQ(
        http_call(
            {.url = url(wrong), .body = event, .headers = {"Content-Type: application/json", "Content-Encoding: gzip"}})
            .status,
        401);
    EXPECT_EQ(post_with(wrong, fresh_event_of_bytes(100'000)), 401) << "over client_body_buffer_size";
    EXPECT_EQ(http_call({.url = url(wrong),
                         .body = event,
                         .headers = {"Content-Type: application/json", "Transfer-Encoding: chunked"}})
                  .status,
              401);
    EXPECT_EQ(http_call({.url = url(wrong), .method = "PUT", .body = event}).status, 405);
    EXPECT_EQ(http_call({.url = url(right), .body = event, .headers = {"Content-Type: text/plain"}}).status, 415);

    wait_for_sample("runledger_edge_refused_unfit_total", 6);
    EXPECT_THAT(kept_names(), IsEmpty());
}

TEST_F(SecondTry, KeepsLargerBodiesWhereNginxReadsThemIntoMemory) {
    start_daemon();
    start("", {.location_extra = "client_body_buffer_size 1m;"});
    const std::string event = fresh_event_of_bytes(900'000);

    EXPECT_EQ(post_with(wrong, event), 401);

    wait_until_kept(1);
    EXPECT_EQ(kept().front().body, event);
}

TEST_F(SecondTry, AnswersAClientThatSendsItsBodySlowlyOrNotAtAll) {
    start_daemon();
    start("", {.location_extra = "client_body_timeout 1s;"});
    const std::string event = fresh_event();
    const std::string head = fmt::format(
        "POST {}?token={} HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        endpoint, wrong, event.size());

    RawConnection slow{nginx().port()};
    slow.send(head + event.substr(0, 10));
    EXPECT_EQ(post_with(right, fresh_event()), 200) << "others are served meanwhile";
    slow.send(event.substr(10));
    EXPECT_THAT(slow.read_until("\r\n\r\n"), HasSubstr("HTTP/1.1 401"));
    wait_until_kept(1);

    {
        RawConnection gone{nginx().port()};
        gone.send(head + event.substr(0, 10));
        gone.close();
    }
    RawConnection silent{nginx().port()};
    silent.send(head + event.substr(0, 10));
    static_cast<void>(silent.read_to_end());

    wait_for_sample(requests("refused_token"), 3);
    EXPECT_EQ(sample(requests("client_gone")), 0) << "the token is what counts";
    EXPECT_THAT(kept_names(), SizeIs(1));
}

TEST_F(SecondTry, LeavesConnectionsToOthersWhileManySendTheirBodiesSlowly) {
    start_daemon();
    start("", {.worker_connections = 64});
    const std::string head = fmt::format(
        "POST {}?token={} HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        "Connection: close\r\n\r\n0123456789",
        endpoint, wrong);

    std::vector<std::unique_ptr<RawConnection>> slow;
    for (int i = 0; i < 52; ++i) {
        slow.push_back(std::make_unique<RawConnection>(nginx().port()));
        slow.back()->send(head);
    }

    EXPECT_THAT(slow.back()->read_until("\r\n\r\n"), HasSubstr("HTTP/1.1 401")) << "it is not waited for";
    EXPECT_EQ(post_with(right, fresh_event()), 200);
    wait_until_at_least("refused_over_rate_total", 1);
}

TEST_F(SecondTry, AsksForABodyThatIsExpected) {
    start_daemon();
    start();
    const std::string event = fresh_event();

    RawConnection client{nginx().port()};
    client.send(
        fmt::format("POST {}?token={} HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\n"
                    "Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
                    endpoint, wrong, event.size()));
    static_cast<void>(client.read_until("100 Continue\r\n\r\n"));
    client.send(event);

    EXPECT_THAT(client.read_until("401 Unauthorized"), HasSubstr("HTTP/1.1 401"));
    wait_until_kept(1);
}

TEST_F(SecondTry, LeavesAllToWhatItWasWhereItIsNotSwitchedOn) {
    start_daemon();
    start_nginx({.token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;"});

    EXPECT_EQ(post_with(wrong, fresh_event()), 401);
    EXPECT_EQ(post_with(right, "not an event"), 400);

    wait_for_sample(requests("refused_token"), 1);
    EXPECT_EQ(sample("runledger_edge_refused_kept_total"), 0);
    EXPECT_EQ(sample("runledger_edge_refused_unfit_total"), 0);
    EXPECT_THAT(kept_names(), IsEmpty());
}

TEST_F(SecondTry, IsBoundedUnderAFloodThatHarmsNobody) {
    start_daemon();
    start("max_count=200 max_size=1m", {.workers = 2});
    constexpr int threads = 4;
    constexpr int each = 800;
    std::vector<std::jthread> flood;
    std::atomic<int> odd{0};
    for (int i = 0; i < threads; ++i) {
        flood.emplace_back([&, i] {
            const std::string url_of_all = url(wrong);
            for (int n = 0; n < each; ++n) {
                const std::string body = fmt::format(R"({{"run_id": "flood-{}-{}", "status": "running"}})", i, n);
                odd += http_post(url_of_all, body).status == 401 ? 0 : 1;
            }
        });
    }
    std::vector<std::string> accepted;
    for (int i = 0; i < 50; ++i) {
        accepted.push_back(fresh_event());
        EXPECT_EQ(post_with(right, accepted.back()), 200);
    }
    flood.clear();

    EXPECT_EQ(odd, 0);
    expect_delivered(accepted);
    const auto names = kept_names();
    EXPECT_GE(names.size(), 90U);
    // One address has half; each worker looks again after 32 bodies of its own.
    EXPECT_LE(names.size(), 100U + 2 * 32);
    eventually("every refused body is counted", [&] {
        const auto all = samples();
        return all.at("runledger_edge_refused_kept_total") + all.at("runledger_edge_refused_no_room_total") +
                   all.at("runledger_edge_refused_over_rate_total") ==
               threads * each;
    });
    EXPECT_EQ(sample("runledger_edge_refused_kept_total"), static_cast<double>(names.size()));
}

TEST_F(SecondTry, ForgetsWhatIsTooOld) {
    start_daemon();
    start("max_age=1s");

    EXPECT_EQ(post_with(wrong, fresh_event()), 401);
    wait_for_sample("runledger_edge_refused_kept_total", 1);

    eventually(
        "it is removed", [&] { return kept_names().empty(); }, std::chrono::seconds{30});
    eventually("and counted no more", [&] { return sample("runledger_edge_refused_bodies") == 0; });
}

TEST_F(SecondTry, KeepsOnOverAReloadAndAKill) {
    start_daemon();
    start();
    EXPECT_EQ(post_with(wrong, fresh_event()), 401);
    wait_until_kept(1);

    nginx().reload();
    EXPECT_EQ(post_with(wrong, fresh_event()), 401);
    wait_until_kept(2);
    eventually("the old worker has ended", [this] { return nginx().worker_pids().size() == 1; });
    kill_workers();
    eventually("the new worker keeps, too", [&] { return post_with(wrong, fresh_event()) == 401; });

    wait_until_kept(3);
}

struct DiskCase {
    const char* name;
    void (*begins)(DiskFaults&);
};

const DiskCase disk_cases[] = {
    {"Full", [](DiskFaults& disk) { disk.set(disk_write, {.error = ENOSPC}); }},
    {"ReadOnly", [](DiskFaults& disk) { disk.set(disk_open_for_writing, {.error = EROFS}); }},
    {"Unwritable", [](DiskFaults& disk) { disk.set(disk_open_for_writing, {.error = EACCES}); }},
    {"FailingRename",
     [](DiskFaults& disk) {
         disk.set(disk_rename, {.error = EIO});
         disk.set(disk_unlink, {.error = EIO});
     }},
    {"Hanging", [](DiskFaults& disk) { disk.hang(disk_write); }},
};

class SecondTryOnDisk : public SecondTry, public ::testing::WithParamInterface<DiskCase> {};

TEST_P(SecondTryOnDisk, HarmsNobodyWhenItsDiskFailsAndGoesOnAfterwards) {
    DiskFaults disk(folder(), refused_folder());
    start_daemon();
    start("", {}, {.env = disk.env()});
    std::vector<std::string> accepted;

    GetParam().begins(disk);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(post_with(wrong, fresh_event()), 401);
        accepted.push_back(fresh_event());
        EXPECT_EQ(post_with(right, accepted.back()), 200);
    }
    expect_delivered(accepted);
    EXPECT_THAT(kept_names(), IsEmpty());
    disk.heal();

    eventually("bodies are kept again",
               [&] { return post_with(wrong, fresh_event()) == 401 && !kept_names().empty(); });
}

INSTANTIATE_TEST_SUITE_P(Faults, SecondTryOnDisk, ::testing::ValuesIn(disk_cases),
                         [](const auto& row) { return std::string{row.param.name}; });

TEST_F(SecondTry, EndsInTimeWhileItsDiskHangs) {
    DiskFaults disk(folder(), refused_folder());
    start_daemon();
    start("", {}, {.env = disk.env()});
    disk.hang(disk_write);
    EXPECT_EQ(post_with(wrong, fresh_event()), 401);
    eventually("the keeper hangs", [&] { return disk.hanging(disk_write) == 1; });

    nginx().quit();

    EXPECT_THAT(nginx().error_log(), HasSubstr("the keeper did not stop in time"));
}

}  // namespace
}  // namespace runledger::test
