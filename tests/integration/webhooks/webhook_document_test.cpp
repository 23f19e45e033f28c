// docs/webhooks.md: "Verify it", its function of Python; and "Try it", whose receiver and INSERTs, as they stand there,
// lead to what it says. StandardWebhooks runs the block of JavaScript.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <sstream>
#include <stdexcept>

#include "daemon/tell/tell.hpp"
#include "daemon/webhooks/signature.hpp"
#include "tests/integration/webhooks/webhook_fixture.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::UnorderedElementsAreArray;

class WebhookDocument : public WebhookFixture {
protected:
    void SetUp() override {
        WebhookFixture::SetUp();
        const std::string document = read_text(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/webhooks.md");
        text_ = document.substr(document.find("\n## Try it\n"));
        verify_ = document.substr(document.find("\n## Verify it\n"));
    }

    // What stands in the first block of this language.
    [[nodiscard]] std::string block(std::string_view language) const { return block(language, text_); }
    [[nodiscard]] static std::string block(std::string_view language, const std::string& section) {
        const auto fence = fmt::format("```{}\n", language);
        const auto at = section.find(fence);
        if (at == std::string::npos) {
            throw std::runtime_error("the section has no block of " + std::string(language));
        }
        const auto begin = at + fence.size();
        return section.substr(begin, section.find("```", begin) - begin);
    }
    // The indented lines behind these words.
    [[nodiscard]] std::vector<std::string> lines_behind(std::string_view words) const {
        std::vector<std::string> lines;
        std::istringstream rest(text_.substr(text_.find(words)));
        for (std::string line; std::getline(rest, line);) {
            if (line.starts_with("    ")) {
                lines.push_back(line.substr(4));
            } else if (!lines.empty()) {
                break;
            }
        }
        return lines;
    }
    void run_ends(const std::string& run_id, std::string_view status) {
        execute(fmt::format(
            "INSERT INTO runledger.runs (run_id, terminal_status, reported_status, reported_at, reported_digest, "
            "event_count) VALUES ('{0}', '{1}', '{1}', now(), 1, 0);"
            "SELECT runledger.settle_run('{0}', '0', '7 days')",
            run_id, status));
    }

    std::string text_;
    std::string verify_;
};

TEST_F(WebhookDocument, VerifiesInPythonAndRaisesValueErrorForAnythingElse) {
    const TempFolder folder;
    const std::string body = R"({"data": {"metadata": {"title": "größe 😀"}}})";
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
    const std::string signature =
        webhooks::signature_of({.id = "msg_1", .timestamp = now.count(), .body = body}, secrets(secret_text));
    const auto program = folder.write_file("verify.py", block("python", verify_) + R"(
import sys
secret, timestamp, signature, body = sys.argv[1:]
right = {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signature}

def said(body=body, without="", **changed):
    headers = right | {"webhook-" + name: value for name, value in changed.items()}
    headers.pop("webhook-" + without, None)
    try:
        verify(secret, headers, body.encode())
        return "verified"
    except Exception as error:
        return type(error).__name__

print("right", said())
print("one of two", said(signature="v1,AAAA " + signature))
print("another body", said(body + " "))
print("another id", said(id="msg_2"))
print("too old", said(timestamp=str(int(timestamp) - 301)))
print("no id", said(without="id"))
print("no timestamp", said(without="timestamp"))
print("no signature", said(without="signature"))
print("a word for a timestamp", said(timestamp="now"))
print("a signature outside ASCII", said(signature="v1,\u00e9"))
)");

    const Finished done = run_to_end(
        {.argv = {"python3", program.string(), std::string(secret_text), std::to_string(now.count()), signature, body},
         .drop_privileges = false},
        folder);

    EXPECT_EQ(done.output,
              "right verified\none of two verified\nanother body ValueError\nanother id ValueError\ntoo old "
              "ValueError\nno id ValueError\nno timestamp ValueError\nno signature ValueError\na word for a timestamp "
              "ValueError\na signature outside ASCII ValueError\n");
}

TEST_F(WebhookDocument, LeadsFromThreeInsertsToTheWebhookAboutTheirGroup) {
    const TempFolder folder;
    const auto output = folder.path() / "printed";
    const std::uint16_t port = free_port();
    const ChildProcess receiver(
        {.argv = {"python3", folder.write_file("receiver.py", block("python")).string(),
                  folder.write_file("secrets", std::string(secret_text) + "\n").string(), std::to_string(port)},
         .output = output,
         .drop_privileges = false});
    settings_.url = fmt::format("http://127.0.0.1:{}/", port);
    settings_.events = {"settled", "group"};
    // It answers GET, which it does not have, by 501.
    eventually("the receiver listens", [&] { return http_get(settings_.url).status == 501; });
    EXPECT_EQ(http_call({.url = settings_.url, .body = "{}", .headers = {}}).status, 401) << "nobody has signed it";
    start_sender();

    execute(block("sql"));
    run_ends("try-1", "success");
    run_ends("try-2", "success");
    run_ends("try-3", "failed");
    Wakeup stop;
    TellCounters counters;
    Teller teller{{}, daemon_uri(), stop, counters};
    EXPECT_TRUE(teller.turn());
    all_are_delivered();

    const std::vector<std::string> expected = lines_behind("The receiver prints");
    std::vector<std::string> printed;
    std::istringstream lines(read_text(output));
    for (std::string line; std::getline(lines, line);) {
        printed.push_back(line);
    }
    EXPECT_THAT(printed, UnorderedElementsAreArray(expected));  // Runs do not wait for each other.
    ASSERT_FALSE(printed.empty());
    EXPECT_EQ(printed.back(), expected.back());
}

}  // namespace
}  // namespace runledger::test
