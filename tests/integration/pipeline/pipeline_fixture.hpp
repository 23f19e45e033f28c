// Everything together, on real parts: nginx with the module, the daemon, PostgreSQL, a stand-in Bot API. The daemon,
// the tool and the application come as the documented roles; only the test itself is a superuser.
//
// One PostgreSQL serves the program; each test has a database, a nginx and a daemon of its own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "tests/oracle/oracle.hpp"
#include "tests/stand_ins/bot_api.hpp"
#include "tests/stand_ins/comfy_run.hpp"
#include "tests/stand_ins/comfy_sender.hpp"
#include "tests/support/daemon_process.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/nginx_server.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

class Pipeline : public testing::Test {
protected:
    Pipeline();

    // For tests that need other parts than the usual; before start_all().
    NginxConf nginx_conf{};
    NginxOptions nginx_options{};
    std::string daemon_extra{};
    std::string postgres_extra{};  // Further keys of [postgres].
    // Where PostgreSQL is for each of them.
    std::string daemon_uri{};
    std::string direct_daemon_uri{};
    std::string owner_uri{};  // Of the tool.
    std::string application_uri{};
    std::string telegram_extra{};  // Further keys of [telegram].

    // Writes what the parts need; starts none of them.
    void prepare_all();
    void start_all();
    void TearDown() override;

    [[nodiscard]] PostgresServer& postgres() { return *postgres_; }
    [[nodiscard]] NginxServer& nginx() { return *nginx_; }
    [[nodiscard]] DaemonProcess& daemon() { return *daemon_; }
    [[nodiscard]] BotApi& bot() { return *bot_; }
    [[nodiscard]] const TempFolder& folder() const { return folder_; }
    [[nodiscard]] const std::string& uri() const { return uri_; }
    // Where PostgreSQL is from now on, for the test itself.
    void move_to(std::string uri) { uri_ = std::move(uri); }
    // Another daemon on the same database and Bot API, with these endpoints.
    [[nodiscard]] std::unique_ptr<DaemonProcess> make_daemon(std::string name, std::vector<std::string> bind);

    // The single value of a query; "NULL" for NULL. Over a fresh connection: PostgreSQL may have been killed.
    [[nodiscard]] std::string value(const std::string& query) const;
    void insert_generation(std::string_view run_id, std::string_view chat_id = "42") const;
    // The answer's status.
    long post(std::string_view body);

    // Worker deaths are expected: nginx itself writes an alert for each.
    void expect_worker_deaths() { expects_worker_deaths_ = true; }
    // Lines of nginx's log at alert or above that have this text are no failure.
    void allow_alarm(std::string text) { allowed_alarms_.push_back(std::move(text)); }

    // Sends the runs while the application inserts its records; what the oracle finds amiss is waited out.
    // `on_delivered` is called for each event whose fate is known, on the calling thread; once `stop` says true, no
    // event is begun any more.
    std::vector<Delivery> send(const std::vector<RunPlan>& runs, std::size_t concurrency = 64,
                               const std::function<void(const Delivery&)>& on_delivered = {},
                               const std::function<bool()>& stop = {});
    struct Judgement {
        EventRules events{};
        MessageRules messages{};
        std::chrono::milliseconds patience{std::chrono::seconds{120}};
    };
    void expect_the_oracle_agrees(const std::vector<RunPlan>& runs, const std::vector<Delivery>& deliveries,
                                  const Judgement& judgement);
    // Stored events, each in exactly one place: as many as the edge's batches held.
    void expect_the_books_balance();

private:
    TempFolder folder_;
    std::unique_ptr<PostgresServer> postgres_;
    std::unique_ptr<BotApi> bot_;
    std::unique_ptr<NginxServer> nginx_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::string uri_;
    bool expects_worker_deaths_{false};
    std::vector<std::string> allowed_alarms_;
};

// A file of tests/data/payloads.
[[nodiscard]] std::string payload(std::string_view name);

}  // namespace runledger::test
