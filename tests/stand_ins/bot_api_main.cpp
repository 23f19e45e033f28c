// bot_api_stand_in: Telegram's Bot API for a person who tries runledger without a bot. Prints each call as a line;
// GET /_messages shows all of them. Ends on SIGINT or SIGTERM.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tests/stand_ins/bot_api.hpp"

namespace {

namespace test = runledger::test;

// What a person can have it do in place of accepting: words of --answer.
struct ScriptedWords {
    std::string answer;
    std::string chat;
    std::string method;
    int calls{-1};
    int retry_after{5};
    int slow_ms{3000};
    std::string new_chat{"-1001234567890"};
    std::string description;
};

test::BotRule rule_of(const ScriptedWords& words) {
    test::BotAnswer answer;
    if (words.answer == "429") {
        answer = test::BotAnswer::too_many_requests(words.retry_after);
    } else if (words.answer == "403") {
        answer = test::BotAnswer::forbidden();
    } else if (words.answer == "400") {
        answer = test::BotAnswer::bad_request();
    } else if (words.answer == "401") {
        answer = test::BotAnswer::unauthorized();
    } else if (words.answer == "5xx") {
        answer = test::BotAnswer::server_error();
    } else if (words.answer == "migrated") {
        answer = test::BotAnswer::migrated(words.new_chat);
    } else if (words.answer == "slow") {
        answer = test::BotAnswer::slow(std::chrono::milliseconds{words.slow_ms});
    } else if (words.answer == "lost") {
        answer = test::BotAnswer::accept_then_drop();
    } else {
        answer = test::BotAnswer::drop();
    }
    if (!words.description.empty()) {
        answer.description = words.description;
    }
    return {.answer = answer, .calls = words.calls, .chat_id = words.chat, .method = words.method};
}

}  // namespace

int main(int argc, char** argv) {
    test::BotApiOptions options{.token = {}};
    bool pace = false;
    test::PaceLimits limits;
    ScriptedWords words;
    CLI::App app{
        "A stand-in for Telegram's Bot API on 127.0.0.1: JSON, forms and multipart; checks lengths, HTML and albums as "
        "Telegram does. GET /_messages answers what was recorded."};
    app.add_option("--port", options.port, "Port; 0 takes a free one");
    app.add_option("--token", options.token, "The only token that is taken; any where it is not given");
    app.add_flag("--pace", pace, "Refuse with 429 beyond Telegram's limits of pace");
    app.add_option("--bot-per-second", limits.bot_per_second, "With --pace: messages of the bot");
    app.add_option("--chat-per-second", limits.chat_per_second, "With --pace: messages in one chat");
    app.add_option("--chat-burst", limits.chat_burst, "With --pace: messages in one chat at once");
    app.add_option("--group-per-minute", limits.group_per_minute, "With --pace: messages in one group");
    app.add_flag("--fetch-media", options.fetches_media,
                 "Fetch media that are given by URL; one that does not answer once stays bad");
    app.add_option("--lose-answers", options.lost_answers_per_thousand,
                   "So many of a thousand sends are accepted and their answer lost")
        ->check(CLI::Range(0, 1000));
    app.add_option("--seed", options.seed, "Chooses which answers are lost");
    app.add_option("--answer", words.answer, "Answer so instead of accepting")
        ->check(CLI::IsMember({"429", "403", "400", "401", "5xx", "migrated", "slow", "lost", "reset"}));
    app.add_option("--answer-chat", words.chat, "With --answer: only in this chat");
    app.add_option("--answer-method", words.method, "With --answer: only to this method, as sendPhoto");
    app.add_option("--answer-calls", words.calls, "With --answer: so many calls; -1 for ever");
    app.add_option("--answer-description", words.description, "With --answer: the refusal's words");
    app.add_option("--retry-after", words.retry_after, "With --answer 429: seconds");
    app.add_option("--slow-ms", words.slow_ms, "With --answer slow: milliseconds before the answer");
    app.add_option("--new-chat", words.new_chat, "With --answer migrated: the group's new id");
    CLI11_PARSE(app, argc, argv);
    if (pace) {
        options.pace = limits;
    }
    options.on_call = [](const test::BotCall& call) {
        fmt::print("{}\n", test::to_line(call));
        std::fflush(stdout);
    };

    // Blocked before any thread starts, so that every thread inherits it and sigwait has the signal to itself.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    try {
        test::BotApi api(std::move(options));
        if (!words.answer.empty()) {
            api.script(rule_of(words));
        }
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
