// A token file is read again by each reload: how a token is rotated while events come.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/integration/edge/lifecycle_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

class TokenReload : public LifecycleFixture {
protected:
    static constexpr std::string_view old_token = "the-token-of-yesterday";
    static constexpr std::string_view new_token = "the-token-of-tomorrow";

    void start_with(std::string_view tokens) {
        write_tokens(tokens);
        start_daemon();
        start_nginx({.workers = 2, .token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;"});
    }
    void write_tokens(std::string_view text) { static_cast<void>(folder().write_secret("tokens", text)); }
    void reload_with(std::string_view tokens) {
        const auto old = nginx().workers();
        write_tokens(tokens);
        nginx().reload();
        expect_workers_gone(old);
    }

    [[nodiscard]] static std::string query(std::string_view token) { return fmt::format("?token={}", token); }
    [[nodiscard]] std::string url_with(std::string_view token) {
        return nginx().url(std::string{endpoint} + query(token));
    }
    [[nodiscard]] long status_with(std::string_view token) { return post(not_an_event, query(token)).status; }

    static constexpr std::string_view not_an_event = "{}";
    static constexpr long let_in = 400;  // For what is not an event; the token is looked at before.
    static constexpr long kept_out = 401;
};

TEST_F(TokenReload, RotatesATokenUnderLoadWithoutLosingAnEvent) {
    const std::string old_line = fmt::format("old {}\n", old_token);
    const std::string new_line = fmt::format("new {}\n", new_token);
    start_with(old_line);
    Load before{url_with(old_token)};
    before.wait_for_answers(20);
    EXPECT_EQ(status_with(new_token), kept_out);

    reload_with(old_line + new_line);
    Load after{url_with(new_token)};
    before.wait_for_answers(20);
    after.wait_for_answers(20);
    reload_with(fmt::format("former {}\n{}", old_token, new_line));  // Another name for it changes nothing.
    before.wait_for_answers(20);
    std::vector<std::string> answered = end_load_without_failure(before);
    reload_with(new_line);
    after.wait_for_answers(20);

    EXPECT_EQ(status_with(old_token), kept_out);
    EXPECT_EQ(status_with(new_token), let_in);
    for (std::string& body : end_load_without_failure(after)) {
        answered.push_back(std::move(body));
    }
    expect_has_each_once(answered);
}

TEST_F(TokenReload, KeepsTheOldTokensWhileTheFileIsBroken) {
    struct Breakage {
        std::string text;
        mode_t mode;
        std::string sentence;
    };
    const std::string line = fmt::format("old {}\n", old_token);
    const std::vector<Breakage> breakages{
        {"# nobody\n", 0600, "the file holds no token"},
        {line + fmt::format("old {}\n", new_token), 0600, "line 2 repeats the name of line 1"},
        {line + fmt::format("new {}\n", new_token), 0604, "others can read the file"},
    };
    start_with(line);
    const auto workers = nginx().worker_pids();
    Load load{url_with(old_token)};
    allow_alarm("[emerg]");

    for (const Breakage& breakage : breakages) {
        SCOPED_TRACE(breakage.sentence);
        write_tokens(breakage.text);
        std::filesystem::permissions(folder() / "tokens", std::filesystem::perms{breakage.mode});
        nginx().signal_master(SIGHUP);
        wait_for_error_log(breakage.sentence);
        load.wait_for_answers(10);
        EXPECT_EQ(status_with(old_token), let_in);
        EXPECT_EQ(status_with(new_token), kept_out);
    }

    EXPECT_EQ(nginx().worker_pids(), workers);
    expect_has_each_once(end_load_without_failure(load));
    reload_with(line + fmt::format("new {}\n", new_token));  // What was mended is read.
    EXPECT_EQ(status_with(new_token), let_in);
}

}  // namespace
}  // namespace runledger::test
