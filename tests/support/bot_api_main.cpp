// bot_api_stand_in: Telegram's Bot API for a person who tries runledger without a bot. Prints each call as a line;
// GET /_messages shows all of them. Ends on SIGINT or SIGTERM.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <exception>

#include "tests/support/bot_api.hpp"

int main(int argc, char** argv) {
    namespace test = runledger::test;

    std::uint16_t port = 0;
    std::string token;
    bool pace = false;
    CLI::App app{"A stand-in for Telegram's Bot API on 127.0.0.1"};
    app.add_option("--port", port, "Port; 0 takes a free one");
    app.add_option("--token", token, "The only token that is taken; any where it is not given");
    app.add_flag("--pace", pace, "Refuse with 429 beyond Telegram's limits of pace");
    CLI11_PARSE(app, argc, argv);

    // Blocked before any thread starts, so that every thread inherits it and sigwait has the signal to itself.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    try {
        test::BotApi api({.port = port,
                          .token = token,
                          .pace = pace ? std::optional{test::PaceLimits{}} : std::nullopt,
                          .on_call = [](const test::BotCall& call) {
                              fmt::print("{}\n", test::to_line(call));
                              std::fflush(stdout);
                          }});
        fmt::print("listening on {}\n", api.url());
        std::fflush(stdout);
        int received = 0;
        sigwait(&ends, &received);
    } catch (const std::exception& e) {
        fmt::print(stderr, "bot_api_stand_in: {}\n", e.what());
        return 1;
    }
    return 0;
}
