// The edge's courier and the daemon's intake, both as they are shipped, over CURVE on a loopback port: who gets in,
// what both sides say of who does not, and how keys are changed while all of it runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/spdlog.h>
#include <zmq.h>

#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <sstream>
#include <thread>

#include "daemon/ingest/intake.hpp"
#include "nginx-module/courier/courier.hpp"
#include "nginx-module/link/keys.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

struct KeyPair {
    std::string public_key;
    std::string secret_key;
};

KeyPair make_key_pair() {
    std::array<char, 41> public_key{};
    std::array<char, 41> secret_key{};
    EXPECT_EQ(zmq_curve_keypair(public_key.data(), secret_key.data()), 0);
    return {public_key.data(), secret_key.data()};
}

// An intake whose batches are answered as soon as they come.
class CommittingDaemon {
public:
    CommittingDaemon(const std::string& endpoint, const std::optional<CurveServer>& curve)
        : intake_({endpoint}, queue_, counters_, curve),
          intake_thread_([this] { intake_.run(); }),
          apply_thread_([this] { apply(); }) {}
    ~CommittingDaemon() {
        intake_.stop();
        apply_thread_.join();
        queue_.abandon();
        intake_thread_.join();
    }
    CommittingDaemon(const CommittingDaemon&) = delete;
    CommittingDaemon& operator=(const CommittingDaemon&) = delete;

    [[nodiscard]] std::size_t batches() const { return batches_; }
    [[nodiscard]] const IntakeCounters& counters() const { return counters_; }

private:
    void apply() {
        for (auto arrivals = queue_.take(1); !arrivals.empty(); arrivals = queue_.take(1)) {
            const bool is_retirement = arrivals[0]->key.number == retire_key;
            if (is_retirement) {
                queue_.forget(arrivals[0]);
                continue;
            }
            ++batches_;
            queue_.answer(
                arrivals[0],
                {.verdict = wire::Verdict::committed, .reason = wire::Damage::none, .batch = arrivals[0]->key});
        }
    }

    IntakeQueue queue_;
    IntakeCounters counters_;
    Intake intake_;
    std::atomic<std::size_t> batches_{0};
    std::thread intake_thread_;
    std::thread apply_thread_;
};

class CurveLink : public testing::Test {
protected:
    CurveLink() {
        logger_before_ = spdlog::default_logger();
        spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", daemon_sink_));
        authorize("studio " + edge_keys_.public_key + "\n");
    }
    ~CurveLink() override {
        courier_.reset();
        daemon_.reset();
        spdlog::set_default_logger(logger_before_);
    }

    void authorize(const std::string& text) {
        // As an operator's editor does it: a new file in the old one's place.
        const auto made = folder_.write_file("authorized.new", text);
        std::filesystem::rename(made, folder_ / "authorized");
    }
    void start_daemon() { start_daemon(daemon_keys_); }
    void start_daemon(const KeyPair& keys) {
        daemon_.reset();
        const CurveServer curve{.secret_key = Secret(keys.secret_key), .authorized_keys_file = folder_ / "authorized"};
        daemon_ = std::make_unique<CommittingDaemon>(endpoint_, curve);
    }
    void start_plain_daemon() { daemon_ = std::make_unique<CommittingDaemon>(endpoint_, std::nullopt); }
    // With the daemons' keys that it believes in; none: it speaks no CURVE.
    void start_edge(const std::vector<std::string>& daemon_keys) {
        edge::CourierConfig config;
        config.spool_dir = folder_.make_folder("spool");
        config.spool_bytes_max = 64UL * 1024 * 1024;
        config.daemon_endpoints = {endpoint_};
        config.edge_name = "studio";
        if (!daemon_keys.empty()) {
            config.curve = std::make_shared<const edge::CurveKeys>(edge::CurveKeys{
                .secret = edge_keys_.secret_key, .own_public = edge_keys_.public_key, .daemons = daemon_keys});
        }
        courier_ = std::make_unique<edge::Courier>(config);
        courier_->start();
        auto event = std::make_shared<edge::HeldEvent>();
        event->body = R"({"run_id": "r", "status": "queued"})";
        event->body_bytes = event->body.size();
        event->validated = true;
        ASSERT_EQ(courier_->submit(event), edge::SubmitResult::submitted);
    }
    void edge_gets_through() {
        eventually(
            "the edge's batch is committed", [&] { return courier_->stats().batches_acked >= 1; }, default_patience,
            [&] { return edge_log() + daemon_log(); });
    }
    // Fails again and again, and is told of once.
    void edge_is_kept_out(const std::string& says) {
        eventually(
            "its handshake has failed several times", [&] { return courier_->stats().handshakes_failed >= 4; },
            default_patience, [&] { return edge_log() + daemon_log(); });
        const std::string log = edge_log();
        EXPECT_THAT(log, HasSubstr("handshake failed: " + endpoint_ + ": "));
        EXPECT_THAT(log, HasSubstr(says));
        // Once for each reason: which side hangs up first is a race.
        std::istringstream lines(log);
        std::set<std::string> said;
        for (std::string line; std::getline(lines, line);) {
            EXPECT_TRUE(said.insert(line).second) << "twice: " << line;
        }
        EXPECT_EQ(courier_->stats().endpoints_up, 0U);
        EXPECT_EQ(daemon_->batches(), 0U);
        for (const KeyPair& keys : {edge_keys_, daemon_keys_}) {
            EXPECT_THAT(log + daemon_log(), Not(HasSubstr(keys.secret_key)));
        }
    }
    [[nodiscard]] std::string daemon_log() const {
        std::string text;
        for (const std::string& line : daemon_sink_->last_formatted()) {
            text += line;
        }
        return text;
    }
    [[nodiscard]] std::string edge_log() {
        for (const edge::LogLine& line : courier_->take_log_lines()) {
            edge_log_ += line.text + "\n";
        }
        return edge_log_;
    }

    TempFolder folder_;
    const std::string endpoint_{"tcp://127.0.0.1:" + std::to_string(free_port())};
    const KeyPair edge_keys_{make_key_pair()};
    const KeyPair daemon_keys_{make_key_pair()};
    const std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> daemon_sink_{
        std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(1000)};
    std::shared_ptr<spdlog::logger> logger_before_;
    std::unique_ptr<CommittingDaemon> daemon_;
    std::unique_ptr<edge::Courier> courier_;
    std::string edge_log_;
};

TEST_F(CurveLink, LetsAnAuthorisedEdgeIn) {
    start_daemon();
    start_edge({daemon_keys_.public_key});

    edge_gets_through();

    EXPECT_EQ(courier_->stats().handshakes_failed, 0U);
    EXPECT_EQ(daemon_->counters().handshakes_denied, 0U);
    daemon_.reset();
    EXPECT_THAT(daemon_log(), HasSubstr("edge let in name=studio address=127.0.0.1"));
}

TEST_F(CurveLink, KeepsAnEdgeOutThatIsNotListedUntilItIs) {
    authorize("other " + make_key_pair().public_key + "\n");
    start_daemon();
    start_edge({daemon_keys_.public_key});

    edge_is_kept_out("the daemon does not let this edge's key in");
    EXPECT_GE(daemon_->counters().handshakes_denied, 4U);

    authorize("studio " + edge_keys_.public_key + "\n");
    edge_gets_through();
    daemon_.reset();
    const std::string log = daemon_log();
    EXPECT_THAT(log, HasSubstr("edge denied, its key is not in curve_authorized_keys_file address=127.0.0.1 key=" +
                               edge_keys_.public_key.substr(0, 8) + "..."));
    EXPECT_EQ(log.find("edge denied"), log.rfind("edge denied")) << "once: " << log;
    EXPECT_THAT(log, HasSubstr("authorized keys read again keys=1"));
}

TEST_F(CurveLink, KeepsToTheKeysItKnewWhenTheirFileIsDamaged) {
    start_daemon();
    authorize("studio no-key\n");
    start_edge({daemon_keys_.public_key});

    edge_gets_through();

    daemon_.reset();
    EXPECT_THAT(daemon_log(), HasSubstr("the daemon keeps those that it has"));
    EXPECT_THAT(daemon_log(), HasSubstr("line 1 does not end in a key"));
}

TEST_F(CurveLink, AnEdgeDoesNotTalkToADaemonThatHasAnotherKey) {
    start_daemon(make_key_pair());
    start_edge({daemon_keys_.public_key});

    edge_is_kept_out("it was broken off");

    start_daemon();
    edge_gets_through();
}

TEST_F(CurveLink, AnEdgeWithCurveDoesNotTalkToADaemonWithout) {
    start_plain_daemon();
    start_edge({daemon_keys_.public_key});

    edge_is_kept_out("");
}

TEST_F(CurveLink, ADaemonWithCurveDoesNotTalkToAnEdgeWithout) {
    start_daemon();
    start_edge({});

    edge_is_kept_out("");
}

// The daemon's key is changed while edges run: they are told both, and take whichever the daemon has.
TEST_F(CurveLink, AnEdgeThatKnowsTheNextKeyFollowsTheDaemonToIt) {
    const KeyPair next = make_key_pair();
    start_daemon();
    start_edge({daemon_keys_.public_key, next.public_key});
    edge_gets_through();

    start_daemon(next);

    eventually("the edge is connected again", [&] {
        const auto stats = courier_->stats();
        return stats.peers_lost == 1 && stats.endpoints_up == 1;
    });
}

}  // namespace
}  // namespace runledger::test
