// A token is rotated wrongly, and every event is refused until the sender has given it up. Mended and taken up again,
// none is lost, each is in the ledger once, and the times are those of receipt.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include "common/refused_format.hpp"
#include "common/wire.hpp"
#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/disk_faults.hpp"
#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::string_view old_line = "studio-2025 oldoldoldoldoldoldold\n";
constexpr std::string_view new_line = "studio-2026 newnewnewnewnewnewnew\n";
constexpr std::string_view old_secret = "oldoldoldoldoldoldold";
// printf %s oldoldoldoldoldoldold | sha256sum
constexpr std::string_view old_digest = "4df6dcc27095a5a9";
constexpr int runs = 250;  // Of two events each.

class SecondTry : public Pipeline {
protected:
    SecondTry() {
        static_cast<void>(folder().make_folder("refused"));
        write_tokens(old_line);
        nginx_conf.workers = 2;
        nginx_conf.token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;";
        nginx_conf.http_extra = "runledger_refused @TEST_FOLDER@/refused;";
        start_all();
    }

    void write_tokens(std::string_view text) { static_cast<void>(folder().write_secret("tokens", text)); }

    [[nodiscard]] static std::string event(int run, std::string_view status) {
        return fmt::format(R"({{"event_type": "run.updated", "run_id": "run-{}", "status": "{}", "outputs": []}})", run,
                           status);
    }

    // As the sender does: a POST and two GETs, then the event is gone for it. The last answer.
    long send_as_comfy(const std::string& body) {
        long status = 0;
        for (const char* method : {"POST", "GET", "GET"}) {
            status = http_call({.url = nginx().url(fmt::format("/api/webhook/comfydeploy?token={}", old_secret)),
                                .method = method,
                                .body = body})
                         .status;
            if (status == 200) {
                break;
            }
        }
        return status;
    }

    // What was kept of first tries, by the body.
    [[nodiscard]] std::map<std::string, Stamp> first_stamps() const {
        std::map<std::string, Stamp> stamps;
        for (const auto& entry : fs::directory_iterator(folder() / "refused")) {
            const auto decoded = decode_refused(read_text(entry.path()));
            const auto* refused = std::get_if<RefusedBody>(&decoded);
            if (refused != nullptr && (refused->flags & wire::redelivered) == 0) {
                stamps[refused->body] = refused->stamp;
            }
        }
        return stamps;
    }

    [[nodiscard]] Finished take(const std::map<std::string, std::string>& env) {
        return run_to_end(
            {.argv = {install_executable(folder(), fs::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger"), "refused",
                      "take", folder() / "refused", "--spool", nginx().spool(), "--digest", std::string{old_digest}},
             .env = env},
            folder());
    }
};

TEST_F(SecondTry, LosesNothingOfWhatAWronglyRotatedTokenHasRefused) {
    for (int run = 0; run < runs; ++run) {
        insert_generation(fmt::format("run-{}", run));
    }
    ASSERT_EQ(send_as_comfy(event(0, "queued")), 200);

    // The old token goes before the sender has the new one.
    write_tokens(new_line);
    nginx().reload();
    eventually("the workers that know the old token have ended", [this] { return nginx().worker_pids().size() == 2; });
    std::vector<std::jthread> senders;
    std::atomic<int> odd{0};
    for (int first = 0; first < 4; ++first) {
        senders.emplace_back([&, first] {
            for (int run = first; run < runs; run += 4) {
                odd += send_as_comfy(event(run, "running")) == 401 ? 0 : 1;
                odd += send_as_comfy(event(run, "success")) == 401 ? 0 : 1;
            }
        });
    }
    senders.clear();
    ASSERT_EQ(odd, 0);
    eventually(
        "all are kept", [&] { return first_stamps().size() == 2 * runs; }, std::chrono::seconds{60},
        [this] { return http_get(nginx().url("/runledger_status")).body; });
    const auto stamps = first_stamps();

    // Mended; the first take is stopped in the middle.
    write_tokens(std::string{old_line} + std::string{new_line});
    nginx().reload();
    eventually("the workers that refuse it have ended", [this] { return nginx().worker_pids().size() == 2; });
    DiskFaults disk(folder(), folder() / "refused");
    disk.set(disk_unlink, {.error = EIO, .after = 700});
    EXPECT_EQ(take(disk.env()).status.code, 1);
    eventually("what it has put through is in the ledger",
               [&] { return value("SELECT count(*) FROM runledger.webhook_events") == std::to_string(2 * runs + 1); });
    const Finished taken = take({});

    EXPECT_EQ(taken.status.code, 0) << taken.output;
    EXPECT_THAT(taken.output, HasSubstr(fmt::format("{} events put into", 2 * runs)));
    EXPECT_TRUE(fs::is_empty(folder() / "refused"));
    EXPECT_EQ(send_as_comfy(event(0, "success")), 200);
    eventually(
        "every generation is completed",
        [&] {
            return value("SELECT count(*) FROM runledger.generations WHERE status = 'completed'") ==
                   std::to_string(runs);
        },
        std::chrono::seconds{60});
    eventually("every segment is settled with the edge",
               [&] { return value("SELECT count(*) FROM runledger.webhook_events") == std::to_string(2 * runs + 2); });
    int wrong_times = 0;
    for (const auto& [body, stamp] : stamps) {
        const std::string found = value(fmt::format(
            "SELECT string_agg((extract(epoch FROM received_at) * 1000000)::bigint || ' ' || boottime_us, ', ' ORDER "
            "BY received_at) FROM runledger.webhook_events WHERE body = $body${}$body$ AND NOT redelivered",
            body));
        const std::string expected =
            fmt::format("{} {}", stamp.received_at.time_since_epoch().count(), stamp.boottime.since_boot.count());
        wrong_times += found.starts_with(expected) ? 0 : 1;
    }
    EXPECT_EQ(wrong_times, 0);
    // Run 1's time is the one between the two receipts.
    const auto duration =
        stamps.at(event(1, "success")).boottime.since_boot - stamps.at(event(1, "running")).boottime.since_boot;
    EXPECT_EQ(value("SELECT duration_ms * 1000 = " + std::to_string(duration.count()) +
                    " FROM runledger.generations WHERE run_id = 'run-1'"),
              "t");
    expect_the_books_balance();
}

}  // namespace
}  // namespace runledger::test
