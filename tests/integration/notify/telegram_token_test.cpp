// The bot's token, looked for wherever it must not be, after all that makes a daemon talk.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <pqxx/pqxx>
#include <sstream>

#include "daemon/database/libpqxx.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* secret = "AAE-nobody_may_read-this";

std::string content_of(const std::string& path) {
    std::ifstream file(path);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
}

TEST(TelegramToken, IsNowhereToBeFound) {
    const TempFolder folder;
    PostgresServer postgres(PostgresOptions{.fsync = false, .settings = {}});
    const std::string uri = postgres.create_database("token");
    auto bot = std::make_unique<BotApi>(BotApiOptions{.token = fmt::format("100:{}", secret)});
    const std::uint16_t port = bot->port();
    DaemonProcess daemon(folder, DaemonConf{.postgres_uri = postgres.daemon_uri("token"),
                                            .direct_uri = postgres.direct_daemon_uri("token"),
                                            .owner_uri = postgres.owner_uri("token"),
                                            .telegram_api_url = bot->url(),
                                            .telegram_token = fmt::format("100:{}", secret),
                                            .log_level = "trace",
                                            .telegram_extra = "timeout_ms = 1000\nretry_delay_max_ms = 300\n"});
    daemon.migrate();
    const auto connection = connect_to(uri);
    const auto there_are_messages = [&](int chat) {
        pqxx::work work(*connection);
        work.exec(fmt::format(
            "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload) VALUES "
            "({0}, 'run-{0}', 'ending', '', {0}, '{{\"status\": \"failed\", \"outputs\": []}}')",
            chat));
        work.commit();
    };
    const auto state_of = [&](int chat) {
        pqxx::work work(*connection);
        return libpqxx::run1(work, fmt::format("SELECT state FROM runledger.notifications WHERE chat_id = {}", chat))[0]
            .as<std::string>();
    };
    // Everything that the daemon can say of a call: each refusal, one that echoes the path, lost and slow answers.
    bot->script({.answer = BotAnswer::forbidden(), .chat_id = "1"});
    bot->script({.answer = BotAnswer::bad_request(fmt::format("no /bot100:{}/sendMessage", secret)), .chat_id = "2"});
    bot->script({.answer = BotAnswer::too_many_requests(1), .chat_id = "3"});
    bot->script({.answer = BotAnswer::server_error(), .chat_id = "4"});
    bot->script({.answer = BotAnswer::accept_then_drop(), .chat_id = "5"});
    bot->script({.answer = BotAnswer::slow(std::chrono::seconds{20}), .chat_id = "6"});
    for (int chat = 1; chat <= 6; ++chat) {
        there_are_messages(chat);
    }

    daemon.start();
    for (int chat = 1; chat <= 6; ++chat) {
        eventually(fmt::format("chat {} is told or given up", chat),
                   [&] { return state_of(chat) == (chat <= 2 ? "dead" : "sent"); });
    }
    bot->goes_away();
    there_are_messages(7);
    eventually("it is missed", [&] { return daemon.log_text().find("onnect to server") != std::string::npos; });
    bot = std::make_unique<BotApi>(BotApiOptions{.port = port, .token = "100:another"});
    const auto metrics = [&] { return http_get(daemon.metrics_url()).body; };
    eventually("the token is refused",
               [&] { return metrics().find("\nrunledger_telegram_token_refused 1\n") != std::string::npos; });

    EXPECT_THAT(daemon.log_text(), HasSubstr("telegram refuses the token"));
    EXPECT_THAT(daemon.log_text(), Not(HasSubstr(secret)));
    EXPECT_THAT(metrics(), Not(HasSubstr(secret)));
    EXPECT_THAT(content_of(fmt::format("/proc/{}/cmdline", daemon.pid())), Not(HasSubstr(secret)))
        << "it would be in a core dump's command line, and in everybody's ps";
    EXPECT_THAT(content_of(fmt::format("/proc/{}/environ", daemon.pid())), Not(HasSubstr(secret)));
    EXPECT_THAT(daemon.tool({"outbox", "list"}).output, Not(HasSubstr(secret)));
    EXPECT_THAT(daemon.tool({"outbox", "show", "2"}).output, Not(HasSubstr(secret)));
    pqxx::work work(*connection);
    EXPECT_EQ(libpqxx::run1(work, "SELECT count(*) FROM runledger.notifications AS n WHERE strpos(n::text, $1) > 0",
                            std::string(secret))[0]
                  .as<int>(),
              0);
    work.commit();
    daemon.stop();
    EXPECT_THAT(daemon.log_text(), Not(HasSubstr(secret)));
}

}  // namespace
}  // namespace runledger::test
