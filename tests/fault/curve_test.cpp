// Two nginx instances and two daemons that speak CURVE over loopback ports, on one PostgreSQL; one daemon or the other
// is killed every few seconds under load. At the end the ledger is what the oracle says.
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <future>
#include <iterator>
#include <random>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/oracle/generation_rows.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/http_client.hpp"

namespace runledger::test {
namespace {

using Clock = std::chrono::steady_clock;

class CurveCampaign : public Pipeline {
protected:
    static constexpr std::size_t edges = 2;
    static constexpr std::size_t daemons = 2;

    // Counts at its end, even if that is an exception: nobody waits for ever.
    class Counted {
    public:
        explicit Counted(std::atomic<std::size_t>& count) : count_(count) {}
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        ~Counted() { ++count_; }

    private:
        std::atomic<std::size_t>& count_;
    };

    // RUNLEDGER_CURVE_SECONDS makes it longer than ./test's share.
    [[nodiscard]] static std::chrono::seconds span() {
        return std::chrono::seconds{from_environment("RUNLEDGER_CURVE_SECONDS", 20, 20)};
    }

    // As an operator does it: keys by the tool, public halves carried to the other side.
    void make_keys() {
        const auto tool =
            install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger");
        for (const std::string_view name : {"edge-0", "edge-1", "ledger"}) {
            const Finished made = run_to_end(
                {.argv = {tool.string(), "keygen", std::string{name}, "--folder", keys_.string()}}, folder());
            ASSERT_TRUE(made.status.clean()) << made.output;
            EXPECT_EQ(made.output, read_text(keys_ / fmt::format("{}.public", name)));
        }
        static_cast<void>(folder().write_file(
            "keys/authorized",
            "# who may send\n" + read_text(keys_ / "edge-0.public") + read_text(keys_ / "edge-1.public")));
    }

    void start_daemons() {
        for (std::size_t i = 0; i < daemons; ++i) {
            const std::string endpoint = fmt::format("tcp://127.0.0.1:{}", free_port());
            endpoints_ += " " + endpoint;
            daemons_.push_back(std::make_unique<DaemonProcess>(
                folder(), DaemonConf{.postgres_uri = daemon_uri,
                                     .direct_uri = direct_daemon_uri,
                                     .owner_uri = owner_uri,
                                     .bind = {endpoint},
                                     .telegram_api_url = bot().url(),
                                     .log_level = "info",
                                     .intake_extra = fmt::format("curve_secret_key_file = \"{0}/ledger.secret\"\n"
                                                                 "curve_authorized_keys_file = \"{0}/authorized\"\n",
                                                                 keys_.string()),
                                     .name = fmt::format("daemon-{}", i)}));
            daemons_.back()->start();
        }
    }

    void start_edges() {
        for (std::size_t i = 0; i < edges; ++i) {
            const NginxConf conf{
                .workers = 2,
                .daemon_endpoints = endpoints_,
                .http_extra = fmt::format(
                    "runledger_curve secret_key={0}/edge-{1}.secret server_key={0}/ledger.public;", keys_.string(), i)};
            edges_.push_back(std::make_unique<NginxServer>(folder(), standard_conf(conf),
                                                           NginxOptions{.name = fmt::format("edge-{}", i)}));
            edges_.back()->start();
        }
    }

    // Each edge gets its half of the runs, at the same time.
    [[nodiscard]] std::future<std::vector<Delivery>> send_half(const std::vector<RunPlan>& half, std::size_t edge) {
        return std::async(std::launch::async, [this, &half, edge] {
            const Counted sent(halves_sent_);
            GenerationRows rows(application_uri, half);
            rows.insert_first();
            auto deliveries =
                send_runs(half, {.url = edges_[edge]->url(), .on_delivered = [&](const Delivery& delivery) {
                                     rows.on_delivered(delivery);
                                     accepted_ += delivery.accepted() ? 1U : 0U;
                                 }});
            rows.insert_rest(std::chrono::seconds{60});
            return deliveries;
        });
    }

    void let_pass(std::chrono::milliseconds time) {
        const auto end = Clock::now() + time;
        eventually(
            "time passes, or all is sent", [&] { return Clock::now() >= end || halves_sent_ == edges; },
            time + std::chrono::seconds{20});
    }

    // Of both edges together.
    [[nodiscard]] std::uint64_t figure(const std::string& name) const {
        std::uint64_t sum = 0;
        for (const auto& edge : edges_) {
            const std::string text = http_get(edge->url("/runledger_status")).body;
            const std::size_t at = text.find("\nrunledger_edge_" + name + " ");
            EXPECT_NE(at, std::string::npos) << name;
            sum += at == std::string::npos ? 0 : std::stoull(text.substr(text.find(' ', at) + 1));
        }
        return sum;
    }

    void TearDown() override {
        for (const auto& edge : edges_) {
            edge->quit(std::chrono::seconds{30});
            edge->check_logs();
        }
        for (const auto& daemon : daemons_) {
            daemon->stop();
            daemon->check_log();
        }
        Pipeline::TearDown();
    }

    const std::filesystem::path keys_{folder().make_folder("keys")};
    std::string endpoints_;
    std::vector<std::unique_ptr<DaemonProcess>> daemons_;
    std::vector<std::unique_ptr<NginxServer>> edges_;
    std::atomic<std::size_t> accepted_{0};
    std::atomic<std::size_t> halves_sent_{0};
};

TEST_F(CurveCampaign, TwoEdgesAndTwoDaemonsOneOfThemKilledEveryFewSeconds) {
    make_keys();
    start_daemons();
    start_edges();
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto runs =
        make_runs({.seed = seed, .runs = static_cast<std::size_t>(span().count()) * 30, .arrival_span = span()});
    const auto middle = runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2);
    const std::array<std::vector<RunPlan>, edges> halves{std::vector<RunPlan>(runs.begin(), middle),
                                                         std::vector<RunPlan>(middle, runs.end())};
    auto first = send_half(halves[0], 0);
    auto second = send_half(halves[1], 1);
    std::mt19937_64 dice(seed);
    std::size_t kills = 0;

    while (halves_sent_ < edges) {
        DaemonProcess& victim = *daemons_[dice() % daemons];
        let_pass(std::chrono::milliseconds{1000 + dice() % 1500});
        victim.kill();
        ++kills;
        let_pass(std::chrono::milliseconds{300 + dice() % 1200});
        victim.start();
    }
    auto deliveries = first.get();
    for (Delivery& delivery : second.get()) {
        delivery.run += halves[0].size();
        deliveries.push_back(std::move(delivery));
    }

    EXPECT_GE(kills, static_cast<std::size_t>(span().count()) / 5);
    EXPECT_EQ(accepted_, deliveries.size()) << "the edges stand by themselves: none may be refused";
    expect_the_oracle_agrees(runs, deliveries, {.messages = {.duplicates_allowed = true, .follow_ups_allowed = true}});
    expect_the_books_balance();
    eventually("every batch is acknowledged", [&] { return figure("spool_batches") == 0; });
    for (const auto& daemon : daemons_) {
        EXPECT_NE(daemon->log_text().find("edge let in name=edge-0"), std::string::npos) << "any may take any batch";
        EXPECT_NE(daemon->log_text().find("edge let in name=edge-1"), std::string::npos);
    }
    fmt::print(
        "{} s, {} events answered 2xx, {} kills, {} batches sent, {} sent again, {} daemons lost, {} suspected, "
        "{} convicted, {} handshakes failed\n",
        span().count(), accepted_.load(), kills, figure("batches_sent_total"), figure("batches_resent_total"),
        figure("daemons_lost_total"), figure("batches_suspected_total"), figure("batches_convicted_total"),
        figure("handshakes_failed_total"));
}

}  // namespace
}  // namespace runledger::test
