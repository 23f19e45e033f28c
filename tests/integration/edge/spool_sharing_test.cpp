// What a folder holds when something happened to it: damage inside a segment, and several nginx at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "common/segment_content.hpp"
#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

class SpoolSharing : public EdgeFixture {
protected:
    // Posts events of its own, one after the other, until it is told to stop.
    class Sender {
    public:
        Sender(std::string url, std::string name) : thread_{[this, url, name] { run(url, name); }} {}
        ~Sender() { stop(); }
        Sender(const Sender&) = delete;
        Sender& operator=(const Sender&) = delete;

        void stop() {
            stopping_ = true;
            if (thread_.joinable()) {
                thread_.join();
            }
        }
        [[nodiscard]] std::size_t answered_count() const { return answered_count_; }
        // Once stopped.
        [[nodiscard]] const std::set<std::string>& answered() const { return answered_; }
        [[nodiscard]] const std::set<std::string>& tried() const { return tried_; }

    private:
        void run(const std::string& url, const std::string& name) {
            for (int i = 0; !stopping_; ++i) {
                const std::string body =
                    R"({"run_id": ")" + name + "-" + std::to_string(i) + R"(", "status": "running"})";
                tried_.insert(body);
                if (http_post(url, body).status == 200) {
                    answered_.insert(body);
                    ++answered_count_;
                }
            }
        }

        std::atomic<bool> stopping_{false};
        std::atomic<std::size_t> answered_count_{0};
        std::set<std::string> answered_;
        std::set<std::string> tried_;
        std::thread thread_;  // The last: it uses the others.
    };

    static void wait_for_more(const Sender& sender) {
        const std::size_t before = sender.answered_count();
        eventually("more is answered", [&] { return sender.answered_count() >= before + 30; });
    }
    [[nodiscard]] std::unique_ptr<NginxServer> another(const std::string& name) {
        auto server = std::make_unique<NginxServer>(folder(), standard_conf(),
                                                    NginxOptions{.name = name, .spool = nginx().spool()});
        server->start();
        return server;
    }
    // The spool's segments that hold batches.
    [[nodiscard]] std::map<fs::path, SegmentContent> segments() const {
        std::map<fs::path, SegmentContent> found;
        for (const auto& entry : fs::directory_iterator(spool_)) {
            const auto id = parse_segment_file_name(entry.path().filename().string());
            if (!id) {
                continue;
            }
            const std::string text = read_text(entry.path());
            const auto bytes = std::as_bytes(std::span(text));
            auto content = SegmentContent::parse(*id, {bytes.begin(), bytes.end()}, true);
            if (auto* good = std::get_if<SegmentContent>(&content); good != nullptr && !good->batches().empty()) {
                found.emplace(entry.path(), std::move(*good));
            }
        }
        return found;
    }

    fs::path spool_;
};

TEST_F(SpoolSharing, DeliversWhatIsWholeOfASegmentWithADamagedMiddleAndSetsItAside) {
    start_nginx();
    spool_ = nginx().spool();
    auto events = post_until_answered(6);  // One after the other: a batch each.
    nginx().quit();
    const auto stored = segments();
    ASSERT_EQ(stored.size(), 1U);
    const auto& [path, content] = *stored.begin();
    ASSERT_EQ(content.batches().size(), 6U);
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(content.batches()[2].offset + record_header_bytes + 60));
        file << "these bytes are not the ones";
    }

    start_daemon();
    nginx().start();

    events.erase(events.begin() + 2);
    expect_delivered(events);
    eventually("it is set aside", [damaged = path.string() + ".damaged"] { return fs::exists(damaged); });
    EXPECT_FALSE(fs::exists(path));
    // The thread of the spool has the worker say it.
    eventually("it is said", [this] {
        return nginx().error_log().find("damaged segment renamed, the rest of it is delivered") != std::string::npos;
    });
    const std::string log = nginx().error_log();
    EXPECT_NE(log.find("[crit]"), std::string::npos) << log;
    EXPECT_NE(log.find("segment damaged, events may be lost, its valid batches are sent"), std::string::npos) << log;

    // The edge works on, and nobody touches the file again.
    events.push_back(fresh_event());
    EXPECT_EQ(post(events.back()).status, 200);
    nginx().reload();
    expect_delivered(events);
    EXPECT_TRUE(fs::exists(path.string() + ".damaged"));
}

TEST_F(SpoolSharing, TwoNginxOnOneFolderLoseAndDoubleNothingThoughOneIsKilledAndAThirdComesAndGoes) {
    start_nginx({.workers = 2});
    auto second = another("second");
    std::vector<std::unique_ptr<Sender>> senders;
    const auto send_to = [&](const NginxServer& server, const std::string& name) -> Sender& {
        senders.push_back(std::make_unique<Sender>(server.url(), name));
        return *senders.back();
    };
    Sender& to_first = send_to(nginx(), "first");
    Sender& to_second = send_to(*second, "second");
    wait_for_more(to_first);
    wait_for_more(to_second);
    start_daemon();  // From here on segments are acknowledged, retired and unlinked by both.
    wait_for_more(to_first);
    wait_for_more(to_second);

    auto third = another("third");
    Sender& to_third = send_to(*third, "third");
    wait_for_more(to_third);
    daemon().stop();  // What comes now stays in the spool, so that the dead leave something.
    wait_for_more(to_second);
    wait_for_more(to_third);
    second->kill_all();  // In the middle of its load.
    to_second.stop();
    wait_for_more(to_first);
    to_third.stop();
    third->quit();
    wait_for_more(to_first);
    to_first.stop();
    start_daemon();

    std::multiset<std::string> delivered;
    const auto lost = [&] {
        const auto bodies = daemon().delivered_bodies();
        delivered = {bodies.begin(), bodies.end()};
        std::size_t count = 0;
        for (const auto& sender : senders) {
            count += static_cast<std::size_t>(std::ranges::count_if(
                sender->answered(), [&](const std::string& body) { return !delivered.contains(body); }));
        }
        return count;
    };
    eventually(
        "the first nginx delivers what all three have answered", [&] { return lost() == 0; }, default_patience,
        [&] { return std::to_string(lost()) + " are missing\n" + nginx().error_log(); });
    for (const std::string& body : delivered) {
        EXPECT_EQ(delivered.count(body), 1U) << "delivered twice: " << body;
        EXPECT_TRUE(std::ranges::any_of(senders, [&](const auto& sender) { return sender->tried().contains(body); }))
            << "never sent: " << body;
    }
    second->check_logs();
    third->check_logs();
    EXPECT_EQ(nginx().error_log().find("[crit]"), std::string::npos) << nginx().error_log();
}

}  // namespace
}  // namespace runledger::test
