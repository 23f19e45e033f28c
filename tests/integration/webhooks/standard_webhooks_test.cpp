// The receiver is the npm package standardwebhooks in node. tests/webhooks/run.sh installs it and runs these tests;
// without it they are skipped.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "daemon/base/json.hpp"
#include "daemon/webhooks/signature.hpp"
#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct NodeNote {
    bool is_verified{};
    std::string error{};
    std::string run_id{};
    std::int64_t settlement{};
    std::string id{};
    std::string timestamp{};
    std::string signature{};
    std::string body{};
};

class StandardWebhooks : public WebhookFixture {
protected:
    void SetUp() override {
        const char* packages = std::getenv("RUNLEDGER_NODE_PACKAGES");  // NOLINT(concurrency-mt-unsafe)
        if (packages == nullptr) {
            GTEST_SKIP() << "tests/webhooks/run.sh runs this with node";
        }
        WebhookFixture::SetUp();
        settings_.url = fmt::format("http://127.0.0.1:{}/hook", port_);
    }

    void receiver_starts(std::string_view secret = secret_text) {
        node_.emplace(Command{.argv = {"node", std::string(RUNLEDGER_SOURCE_DIR) + "/tests/webhooks/receiver.cjs",
                                       std::to_string(port_), file().string(), std::string(secret)},
                              .output = folder_.path() / "node.log",
                              .drop_privileges = false});
        eventually("node listens", [&] { return http_get(settings_.url).status == 401; });
    }
    // The receiver that docs/webhooks.md shows, at this test's port.
    void documented_receiver_starts() {
        const std::string document = read_text(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/webhooks.md");
        const auto begin = document.find("```js\n", document.find("\n## Verify it\n")) + 6;
        std::string code = document.substr(begin, document.find("```", begin) - begin);
        code.replace(code.find("8000"), 4, std::to_string(port_));
        std::filesystem::create_directory_symlink(
            std::string(std::getenv("RUNLEDGER_NODE_PACKAGES")) + "/node_modules",  // NOLINT(concurrency-mt-unsafe)
            folder_.path() / "node_modules");
        node_.emplace(Command{.argv = {"env", fmt::format("RUNLEDGER_SECRET={}", secret_text), "node",
                                       folder_.write_file("documented.mjs", code).string()},
                              .output = folder_.path() / "node.log",
                              .drop_privileges = false});
        eventually("node listens", [&] { return http_get(settings_.url).status == 401; });
    }
    void receiver_ends() { node_.reset(); }

    // Without those that were posted by nobody's webhook.
    [[nodiscard]] std::vector<NodeNote> notes() const {
        std::vector<NodeNote> notes;
        std::istringstream lines(read_text(file()));
        for (std::string line; std::getline(lines, line);) {
            JsonDocument note;
            note.Parse(line.c_str());
            const auto& headers = note["headers"];
            if (!headers.HasMember("webhook-id")) {
                continue;
            }
            const bool is_verified = note["verified"].GetBool();
            notes.push_back({.is_verified = is_verified,
                             .error = is_verified ? "" : note["error"].GetString(),
                             .run_id = is_verified ? note["run_id"].GetString() : "",
                             .settlement = is_verified ? note["settlement"].GetInt64() : 0,
                             .id = headers["webhook-id"].GetString(),
                             .timestamp = headers["webhook-timestamp"].GetString(),
                             .signature = headers["webhook-signature"].GetString(),
                             .body = note["body"].GetString()});
        }
        return notes;
    }

    [[nodiscard]] long post(const NodeNote& note) const {
        return http_call({.url = settings_.url,
                          .body = note.body,
                          .headers = {"Content-Type: application/json", "webhook-id: " + note.id,
                                      "webhook-timestamp: " + note.timestamp, "webhook-signature: " + note.signature}})
            .status;
    }

private:
    [[nodiscard]] std::filesystem::path file() const { return folder_.path() / "notes.jsonl"; }

    TempFolder folder_;
    std::uint16_t port_{free_port()};
    std::optional<ChildProcess> node_;
};

TEST_F(StandardWebhooks, VerifiesWhatIsSentAndNothingThatWasTamperedWith) {
    receiver_starts();
    start_sender();
    const std::string run = settle();
    all_are_delivered();

    const auto received = notes();
    ASSERT_EQ(received.size(), 1U);
    EXPECT_TRUE(received[0].is_verified) << received[0].error;
    EXPECT_EQ(received[0].run_id, run);
    EXPECT_EQ(post(received[0]), 204);
    NodeNote body = received[0];
    body.body.replace(body.body.find("failed"), 6, "passed");
    EXPECT_EQ(post(body), 401);
    NodeNote id = received[0];
    id.id.back() = id.id.back() == '0' ? '1' : '0';
    EXPECT_EQ(post(id), 401);
    NodeNote time = received[0];
    time.timestamp = std::to_string(std::stoll(time.timestamp) - 1);
    EXPECT_EQ(post(time), 401);
}

// Node reads 64 KiB at a time, which ends within characters.
TEST_F(StandardWebhooks, VerifiesAsDocumentedWhateverThePiecesAre) {
    documented_receiver_starts();
    std::string title;
    for (int count = 0; count < 300'000; ++count) {
        title += "€";
    }
    const std::string body =
        fmt::format(R"({{"type": "t", "data": {{"run_id": "r", "cost": "1", "title": "{}"}}}})", title);
    const auto now = std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    NodeNote note{.id = "msg_1", .timestamp = std::to_string(now), .body = body};
    note.signature = webhooks::signature_of({.id = note.id, .timestamp = now, .body = note.body}, secrets(secret_text));

    EXPECT_EQ(post(note), 204);
    note.body.back() = ' ';
    EXPECT_EQ(post(note), 401);
}

TEST_F(StandardWebhooks, VerifiesThroughARotationWithTwoSecrets) {
    receiver_starts();
    settings_.secrets = secrets(fmt::format("{}\n{}", other_secret_text, secret_text));
    start_sender();
    (void)settle();
    all_are_delivered();
    receiver_ends();
    receiver_starts(other_secret_text);
    (void)settle();
    all_are_delivered();
    settings_.secrets = secrets(secret_text);
    sender_->use(settings_);
    eventually("the new secret is gone", [&] { return !log_.lines_with("by the new configuration").empty(); });
    const std::string refused = settle();
    // It is stored after it is counted.
    eventually("it is refused",
               [&] { return webhook_of(refused, "last_error").find("HTTP 401") != std::string::npos; });

    std::size_t verified = 0;
    for (const NodeNote& note : notes()) {
        verified += note.is_verified ? 1 : 0;
    }
    EXPECT_EQ(verified, 2U);
}

TEST_F(StandardWebhooks, LosesNothingWhileTheReceiverIsAwayUnderLoad) {
    const seconds away_for{from_environment("RUNLEDGER_AWAY_SECONDS", 5)};
    const std::chrono::milliseconds pause{1000 / from_environment("RUNLEDGER_AWAY_RUNS_PER_SECOND", 1000)};
    receiver_starts();
    start_sender();
    std::vector<std::string> runs;
    const auto work = [&] {
        runs.push_back(settle());
        settle_again(runs.back(), "success");
    };
    work();
    receiver_ends();
    const auto back_at = std::chrono::steady_clock::now() + away_for;
    while (std::chrono::steady_clock::now() < back_at) {
        const auto next = std::chrono::steady_clock::now() + pause;
        work();
        std::this_thread::sleep_until(next);
    }
    receiver_starts();
    work();
    all_are_delivered(seconds{3700});  // the longest delay between two attempts is an hour

    std::map<std::string, std::vector<std::int64_t>> settlements;
    std::set<std::string> ids;
    for (const NodeNote& note : notes()) {
        EXPECT_TRUE(note.is_verified) << note.error;
        if (ids.insert(note.id).second) {
            settlements[note.run_id].push_back(note.settlement);
        }
    }
    EXPECT_EQ(ids.size(), 2 * runs.size()) << "one id an event";
    EXPECT_EQ(settlements.size(), runs.size());
    for (const auto& [run, order] : settlements) {
        EXPECT_EQ(order.size(), 2U) << run;
        EXPECT_TRUE(std::ranges::is_sorted(order)) << run;
    }
    fmt::print("{} runs while the receiver was away for {} s: {} webhooks, {} ids\n", runs.size(), away_for.count(),
               2 * runs.size(), ids.size());
}

}  // namespace
}  // namespace runledger::test
