// A running daemon whose configuration is changed: what it takes over, what it keeps, and what it says of both.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <optional>
#include <thread>

#include "tests/integration/start/start_fixture.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/prometheus_text.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// In the file, once.
void replace_in(const std::filesystem::path& file, std::string_view old_text, std::string_view new_text) {
    std::string text = read_text(file);
    const std::size_t at = text.find(old_text);
    ASSERT_NE(at, std::string::npos) << old_text << " is not in " << text;
    text.replace(at, old_text.size(), new_text);
    std::ofstream(file, std::ios::trunc) << text;
}

class Reload : public Start {
protected:
    void SetUp() override {
        conf_ = conf(server().uri(database()));
        conf_.migrates = true;
        conf_.telegram_api_url = bot_.url();
        conf_.extra = "[retention]\nruns_days = 400\n";
        conf_.env = {{"NOTIFY_SOCKET", systemd_.path()}};
    }
    DaemonProcess& start() {
        daemon_.emplace(folder(), conf_);
        daemon_->start();
        eventually("the daemon is ready", [&] { return said("READY=1") == 1; });
        return *daemon_;
    }
    [[nodiscard]] DaemonProcess& daemon() { return *daemon_; }
    [[nodiscard]] std::size_t said(std::string_view words) { return lines_with(systemd_.heard(), words).size(); }
    // Until systemd has heard of its end.
    void reload() {
        const std::size_t before = said("READY=1");
        daemon().signal(SIGHUP);
        eventually("the reload is over", [&] { return said("READY=1") == before + 1; });
    }
    [[nodiscard]] double sample(const std::string& name) {
        return samples_of(http_get(daemon().metrics_url()).body).at(name);
    }
    [[nodiscard]] std::vector<std::string> log_with(std::string_view words) {
        return lines_with(daemon().log_text(), words);
    }
    [[nodiscard]] ServiceManager& systemd() { return systemd_; }
    void there_is_a_message_to(int chat) const {
        run(fmt::format(
            "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload) "
            "VALUES ({0}, 'run-{0}', 'ending', 'completed', {0}, "
            "'{{\"status\": \"completed\", \"outputs\": [{{\"text\": [\"hello\"]}}]}}')",
            chat));
    }

    BotApi bot_;
    DaemonConf conf_;

private:
    ServiceManager systemd_{folder()};
    std::optional<DaemonProcess> daemon_;
};

TEST_F(Reload, PutsNewValuesToUseAndSaysWhich) {
    start();
    const double read_at = sample("runledger_config_read_last_seconds");
    EXPECT_GT(read_at, 0);
    replace_in(daemon().configuration(), "level = \"info\"", "level = \"debug\"\nformat = \"json\"");
    replace_in(daemon().configuration(), "runs_days = 400", "runs_days = 30");

    reload();

    EXPECT_THAT(log_with("configuration reloaded changed=\"[retention], [log]\""), SizeIs(1)) << daemon().log_text();
    EXPECT_EQ(sample("runledger_config_reloads_total{outcome=\"done\"}"), 1);
    EXPECT_EQ(sample("runledger_config_reloads_total{outcome=\"refused\"}"), 0);
    EXPECT_GE(sample("runledger_config_read_last_seconds"), read_at);
    EXPECT_THAT(systemd().heard(), AllOf(HasSubstr("RELOADING=1\nMONOTONIC_USEC="), Not(HasSubstr("refused"))));
    daemon().stop();
    EXPECT_THAT(log_with("{\"time\":"), Contains(HasSubstr("\"message\":\"stopped\""))) << "the format has changed";
}

TEST_F(Reload, GivesTheMessagesTheirNewWords) {
    start();
    replace_in(daemon().configuration(), "[metrics]", "[telegram.text]\ncompleted = \"It is done\"\n[metrics]");

    reload();
    // A turn that has begun before ends with the old words.
    there_is_a_message_to(41);
    eventually("the first message is there", [&] { return bot_.sent_to("41").size() == 1; });
    there_is_a_message_to(42);

    eventually("the message is there", [&] { return bot_.sent_to("42").size() == 1; });
    EXPECT_TRUE(bot_.sent_to("42")[0].mentions("It is done"));
    daemon().stop();
}

TEST_F(Reload, KeepsEverythingIfTheFileHasAFault) {
    start();
    const std::string good = read_text(daemon().configuration());
    replace_in(daemon().configuration(), "runs_days = 400", "runs_days = 30");
    replace_in(daemon().configuration(), "level = \"info\"", "level = \"noise\"");

    reload();

    EXPECT_THAT(log_with("the configuration is not reloaded"),
                ElementsAre(AllOf(HasSubstr(" error "), HasSubstr("[log] level (line"), HasSubstr("\\\"noise\\\""))));
    EXPECT_EQ(sample("runledger_config_reloads_total{outcome=\"refused\"}"), 1);
    EXPECT_EQ(sample("runledger_config_refused"), 1);
    eventually("systemd shows it", [&] { return said("the last reload was refused") == 1; });
    std::ofstream(daemon().configuration(), std::ios::trunc) << good;
    reload();
    EXPECT_EQ(sample("runledger_config_refused"), 0);
    EXPECT_THAT(log_with("configuration reloaded changed=\"nothing\""), SizeIs(1)) << "runs_days was not taken";
    daemon().stop();
}

TEST_F(Reload, NamesWhatOnlyARestartChanges) {
    start();
    replace_in(daemon().configuration(), "[postgres]\n", "[postgres]\nappliers = 3\n");
    replace_in(daemon().configuration(), fmt::format("\"127.0.0.1:{}\"", daemon().metrics_port()), "\"\"");
    replace_in(daemon().configuration(), "runs_days = 400", "runs_days = 30");

    reload();

    EXPECT_THAT(
        log_with("only a restart changes these keys"),
        ElementsAre(AllOf(HasSubstr(" warning "), HasSubstr("keys=\"[postgres] appliers, [metrics] listen\""))));
    EXPECT_THAT(log_with("configuration reloaded changed=\"[retention]\""), SizeIs(1));
    EXPECT_EQ(sample("runledger_config_keys_for_restart"), 2) << "and it listens where it did";
    daemon().stop();
}

TEST_F(Reload, ReadsAnotherDatabaseWhileItWaitsForOne) {
    const std::string uri = conf_.postgres_uri;
    {
        const DaemonProcess owner(folder(), conf_);
        ASSERT_TRUE(owner.tool({"migrate"}).status.clean());
    }
    conf_.postgres_uri = fmt::format("host={} port=1 dbname=x user=y", folder().path().string());
    conf_.migrates = false;
    conf_.name = "misled";
    DaemonProcess misled(folder(), conf_);
    misled.start();
    eventually("it waits", [&] { return said("STATUS=waiting for PostgreSQL: ") > 0; });

    replace_in(misled.configuration(), conf_.postgres_uri, uri);
    misled.signal(SIGHUP);

    eventually("it is ready", [&] { return said("READY=1") == 1; });
    EXPECT_EQ(samples_of(http_get(misled.metrics_url()).body).at("runledger_postgres_up"), 1)
        << "the one that it was misled to is no longer asked";
    EXPECT_THAT(systemd().heard(), Not(HasSubstr("RELOADING=1"))) << "READY=1 is for a daemon that is";
    EXPECT_THAT(lines_with(misled.log_text(), "configuration reloaded changed=\"[postgres] uri"), SizeIs(1));
    misled.stop();
}

// Hundreds of them, from the moment at which it listens for metrics to its end: one always waits.
TEST_F(Reload, SurvivesAHangupAtAnyMoment) {
    conf_.env.clear();  // Nobody empties systemd's socket meanwhile.
    DaemonProcess daemon(folder(), conf_);
    daemon.start();
    std::atomic<int> hangups{0};
    std::jthread operating([&, pid = daemon.pid()](const std::stop_token& is_over) {
        while (!is_over.stop_requested() && ::kill(pid, SIGHUP) == 0) {
            ++hangups;
            std::this_thread::sleep_for(std::chrono::milliseconds{2});  // The pace of the hangups, and no wait.
        }
    });

    eventually("the daemon is ready", [&] { return !lines_with(daemon.log_text(), " ready ").empty(); });
    there_is_a_message_to(42);
    eventually("the message is there", [&] { return bot_.sent_to("42").size() == 1; });
    eventually("hundreds have come", [&] { return hangups > 300; });
    const auto refused =
        samples_of(http_get(daemon.metrics_url()).body).at("runledger_config_reloads_total{outcome=\"refused\"}");
    daemon.stop();  // Throws unless it returns 0.
    operating.request_stop();

    EXPECT_EQ(refused, 0);
    EXPECT_THAT(lines_with(daemon.log_text(), "stopped"), SizeIs(1));
    EXPECT_THAT(lines_with(daemon.log_text(), " critical "), IsEmpty());
}

TEST_F(Reload, IsCheckedBeforehandByTheProgramItself) {
    const auto program =
        install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon/runledgerd").string();
    const auto check = [&](const std::filesystem::path& configuration) {
        return run_to_end({.argv = {program, "--check", "--config", configuration.string()}}, folder());
    };

    const Finished good = check(write_configuration("[postgres]\nuri = \"host=/nonexistent\"\n"));
    const Finished bad = check(write_configuration("[postgres]\nurl = \"\"\n"));

    EXPECT_EQ(good.status, (ExitStatus{.code = 0})) << good.output;
    EXPECT_THAT(good.output, HasSubstr("can be used"));
    EXPECT_EQ(bad.status, (ExitStatus{.code = 1})) << bad.output;
    EXPECT_THAT(bad.output, HasSubstr("[postgres] url (line"));
}

}  // namespace
}  // namespace runledger::test
