// Signals, ports that are taken, and the exit codes that docs/operations.md lists.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <optional>
#include <zmq.hpp>

#include "tests/integration/start/start_fixture.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/memory_faults.hpp"
#include "tests/support/prometheus_text.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

struct Taken {
    const char* name;
    const char* section;  // With the port at {}.
    const char* says;
};

void PrintTo(const Taken& taken, std::ostream* out) { *out << taken.name; }

class TakenPort : public Start, public testing::WithParamInterface<Taken> {};

TEST_P(TakenPort, IsNamedWithItsReason) {
    // PostgreSQL's own port is taken for as long as this runs.
    const std::string port = std::to_string(server().port());
    const auto configuration =
        folder().write_file("runledgerd.toml", fmt::format("[postgres]\nuri = \"{}\"\n", server().uri(database())) +
                                                   fmt::format(fmt::runtime(GetParam().section), fmt::arg("port", port),
                                                               fmt::arg("folder", folder().path().string())));
    const DaemonProcess owner(folder(), conf(server().uri(database())));
    ASSERT_TRUE(owner.tool({"migrate"}).status.clean());

    const Finished ended = run_daemon(configuration);

    EXPECT_EQ(ended.status, (ExitStatus{.code = 1})) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(fmt::format(fmt::runtime(GetParam().says), fmt::arg("port", port))));
}

INSTANTIATE_TEST_SUITE_P(
    Start, TakenPort,
    testing::Values(
        Taken{"metrics", "[intake]\nbind = [\"ipc://{folder}/d.sock\"]\n[metrics]\nlisten = \"127.0.0.1:{port}\"\n",
              "[metrics] listen: \"127.0.0.1:{port}\" can't be listened on: Address already in use; stop what listens "
              "there, or name another address"},
        Taken{"metrics_of_no_address_of_ours",
              "[intake]\nbind = [\"ipc://{folder}/d.sock\"]\n[metrics]\nlisten = \"192.0.2.1:{port}\"\n",
              "[metrics] listen: \"192.0.2.1:{port}\" can't be listened on: Cannot assign requested address"},
        Taken{"metrics_of_no_address",
              "[intake]\nbind = [\"ipc://{folder}/d.sock\"]\n[metrics]\nlisten = \"loopback\"\n",
              "[metrics] listen: \"loopback\" can't be listened on: it is not ADDRESS:PORT"},
        Taken{"intake", "[metrics]\nlisten = \"\"\n[intake]\nbind = [\"tcp://127.0.0.1:{port}\"]\n",
              "[intake] bind: \"tcp://127.0.0.1:{port}\" can't be bound: Address already in use"}),
    [](const auto& taken) { return std::string(taken.param.name); });

struct Ending {
    const char* name;
    const char* text;  // The configuration.
    int code;
    const char* says;
};

void PrintTo(const Ending& ending, std::ostream* out) { *out << ending.name; }

class ExitCode : public Start, public testing::WithParamInterface<Ending> {};

TEST_P(ExitCode, IsAsDocumented) {
    const auto configuration =
        write_configuration(fmt::format(fmt::runtime(GetParam().text), fmt::arg("uri", server().uri(database())),
                                        fmt::arg("elsewhere", server().uri("not_there"))));

    const Finished ended = run_daemon(configuration);

    EXPECT_EQ(ended.status, (ExitStatus{.code = GetParam().code})) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(Start, ExitCode,
                         testing::Values(Ending{"no_uri", "", 1, "[postgres] uri is missing"},
                                         Ending{"no_schema", "[postgres]\nuri = \"{uri}\"\n", 1,
                                                "the database has no schema runledger"},
                                         Ending{"no_database", "[postgres]\nuri = \"{elsewhere}\"\n", 3, "3D000"}),
                         [](const auto& ending) { return std::string(ending.param.name); });

TEST_F(Start, SaysWithItsExitCodeThatTheCommandLineIsWrong) {
    const auto program =
        install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon/runledgerd").string();
    const auto code_of = [&](std::vector<std::string> words) {
        words.insert(words.begin(), program);
        return run_to_end({.argv = std::move(words)}, folder()).status;
    };

    EXPECT_EQ(code_of({"--config"}), (ExitStatus{.code = 1}));
    EXPECT_EQ(code_of({"--config", "/nonexistent"}), (ExitStatus{.code = 1}));
    EXPECT_EQ(code_of({"--no-such-option"}), (ExitStatus{.code = 1}));
    EXPECT_EQ(code_of({"--help"}), (ExitStatus{.code = 0}));
}

TEST_F(Start, NamesTheConfigurationThatItReadsUnlessItIsToldAnother) {
    for (const std::string name : {"runledgerd", "runledger"}) {
        const auto program =
            install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / name).string();

        EXPECT_THAT(run_to_end({.argv = {program, "--help"}}, folder()).output,
                    HasSubstr("/etc/runledger/runledgerd.toml"));
    }
}

TEST_F(Start, TakesTheToolsConfigurationBeforeAndAfterTheSubcommand) {
    const auto configuration =
        write_configuration(fmt::format("[postgres]\nuri = \"{}\"\n[telegram]\ntoken_file = \"/not/for/the/tool\"\n"
                                        "[comfydeploy]\napi_key_file = \"/not/for/the/tool\"\n",
                                        server().uri(database())))
            .string();
    const auto program =
        install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon/runledger").string();
    const auto run_tool = [&](std::vector<std::string> words) {
        words.insert(words.begin(), program);
        return run_to_end({.argv = std::move(words)}, folder());
    };

    for (const auto& words : std::vector<std::vector<std::string>>{{"--config", configuration, "migrate"},
                                                                   {"migrate", "--config", configuration},
                                                                   {"audit", "--config", configuration},
                                                                   {"quarantine", "--config", configuration, "list"},
                                                                   {"quarantine", "list", "--config", configuration},
                                                                   {"outbox", "list", "--config", configuration}}) {
        const Finished ended = run_tool(words);
        EXPECT_TRUE(ended.status.clean()) << words[0] << ' ' << words[1] << ": " << ended.output;
    }
}

// libzmq is C++ within: where it finds no memory its state is broken, and only a new process mends it. Its allocations
// for a peer that it does not know yet fail one after the other, each in a daemon of its own, until one ends it.
TEST_F(Start, EndsWithACodeThatSystemdStartsAnewWhereAnInvariantIsBroken) {
    if (is_built_sanitized) {
        GTEST_SKIP() << "the sanitizer has its own allocations";
    }
    constexpr int allocations_tried = 20;
    const DaemonProcess owner(folder(), conf(server().uri(database())));
    ASSERT_TRUE(owner.tool({"migrate"}).status.clean());
    std::optional<ExitStatus> ended;
    std::string log;
    for (int further = 1; !ended && further <= allocations_tried; ++further) {
        MemoryFaults memory(folder(), fmt::format("memory-{}", further));
        DaemonConf configured = conf(server().uri(database()));
        configured.name = fmt::format("daemon-{}", further);
        configured.env = memory.env();
        DaemonProcess daemon(folder(), configured);
        daemon.start();
        eventually("the daemon is ready", [&] { return !lines_with(daemon.log_text(), " ready ").empty(); });
        memory.fail_allocation("rl-intake", memory.allocations()["rl-intake"] + further);

        zmq::context_t context;
        zmq::socket_t dealer(context, zmq::socket_type::dealer);
        dealer.set(zmq::sockopt::linger, 0);
        dealer.connect(daemon.endpoint());
        (void)dealer.send(zmq::str_buffer("no batch"), zmq::send_flags::none);
        eventually("the allocation has failed, or the message was read without it", [&] {
            return memory.has_struck() || !daemon.running() ||
                   samples_of(http_get(daemon.metrics_url()).body).at("runledger_intake_damaged_total") > 0;
        });

        if (memory.has_struck() && memory.culprit().starts_with("libzmq")) {
            eventually("the daemon has ended", [&] { return !daemon.running(); });
            ended = daemon.ended_with();
            log = daemon.log_text();
        }
    }

    EXPECT_EQ(ended, (ExitStatus{.code = 2})) << log;
    EXPECT_THAT(lines_with(log, "libzmq has failed within"), SizeIs(1));
}

}  // namespace
}  // namespace runledger::test
