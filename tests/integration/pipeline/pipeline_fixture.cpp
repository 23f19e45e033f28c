#include "tests/integration/pipeline/pipeline_fixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "daemon/database/libpqxx.hpp"
#include "tests/oracle/generation_rows.hpp"
#include "tests/support/http_client.hpp"

namespace runledger::test {

Pipeline::Pipeline() : postgres_(std::make_unique<PostgresServer>()), bot_(std::make_unique<BotApi>()) {
    uri_ = postgres_->uri();
    daemon_uri = postgres_->daemon_uri();
    direct_daemon_uri = postgres_->direct_daemon_uri();
    owner_uri = postgres_->owner_uri();
    application_uri = postgres_->application_uri();
}

void Pipeline::prepare_all() {
    nginx_ = std::make_unique<NginxServer>(folder_, standard_conf(nginx_conf), nginx_options);
    daemon_ = make_daemon("daemon", {});
}

std::unique_ptr<DaemonProcess> Pipeline::make_daemon(std::string name, std::vector<std::string> bind) {
    return std::make_unique<DaemonProcess>(folder_, DaemonConf{.postgres_uri = daemon_uri,
                                                               .direct_uri = direct_daemon_uri,
                                                               .owner_uri = owner_uri,
                                                               .bind = std::move(bind),
                                                               .telegram_api_url = bot_->url(),
                                                               .postgres_extra = postgres_extra,
                                                               .telegram_extra = telegram_extra,
                                                               .extra = daemon_extra,
                                                               .name = std::move(name)});
}

void Pipeline::start_all() {
    prepare_all();
    daemon_->start();
    nginx_->start();
}

void Pipeline::TearDown() {
    if (daemon_ && daemon_->running()) {
        daemon_->stop();
        daemon_->check_log();
    }
    if (nginx_) {
        // Started again at once, nginx may find its port taken for a moment. It says so and tries again, and start()
        // returns only once it serves. An old master whose successor is killed takes back the name of the pid file, and
        // removes it at its end, whoever's it is by then.
        std::vector<std::string> allowed = allowed_alarms_;
        if (expects_worker_deaths_) {
            allowed.insert(allowed.end(), {NginxServer::death_notice(), "(98: Address already in use)",
                                           "nginx.pid\" failed (2: No such file or directory)"});
        }
        nginx_->check_logs(allowed);
    }
}

std::string Pipeline::value(const std::string& query) const {
    const auto connection = connect_to(uri_);
    pqxx::work work(*connection);
    const auto row = libpqxx::run1(work, query);
    return row[0].is_null() ? "NULL" : row[0].as<std::string>();
}

void Pipeline::insert_generation(std::string_view run_id, std::string_view chat_id) const {
    const auto connection = connect_to(application_uri);
    pqxx::work work(*connection);
    libpqxx::run(
        work, "INSERT INTO runledger.generations (metadata) VALUES ($1::pg_catalog.jsonb)",
        fmt::format(
            R"({{"run_id": "{}", "costRate": {{"amount": 0.000337, "currency": "USD", "unit": "second"}}, "telegramChatId": {}}})",
            run_id, chat_id));
    work.commit();
}

long Pipeline::post(std::string_view body) { return http_post(nginx().url(), body).status; }

std::vector<Delivery> Pipeline::send(const std::vector<RunPlan>& runs, std::size_t concurrency,
                                     const std::function<void(const Delivery&)>& on_delivered,
                                     const std::function<bool()>& stop) {
    GenerationRows rows(application_uri, runs);
    rows.insert_first();
    auto deliveries = send_runs(runs, {.url = nginx().url(),
                                       .concurrency = concurrency,
                                       .on_delivered =
                                           [&](const Delivery& delivery) {
                                               rows.on_delivered(delivery);
                                               if (on_delivered) {
                                                   on_delivered(delivery);
                                               }
                                           },
                                       .stop = stop});
    rows.insert_rest(std::chrono::seconds{60});
    return deliveries;
}

void Pipeline::expect_the_oracle_agrees(const std::vector<RunPlan>& runs, const std::vector<Delivery>& deliveries,
                                        const Judgement& judgement) {
    Findings findings;
    const auto judge = [&] {
        findings = {"the ledger can't be read"};  // Stands if the next line throws: PostgreSQL may be starting.
        const Ledger ledger = read_ledger(uri_);
        findings = check_events(runs, deliveries, ledger, judgement.events);
        for (Findings more :
             {check_generations(runs, ledger), check_messages(runs, ledger, bot().calls(), judgement.messages)}) {
            findings.insert(findings.end(), more.begin(), more.end());
        }
        return findings.empty();
    };
    if (comes_true(judge, judgement.patience)) {
        return;
    }
    constexpr std::size_t shown_max = 20;
    for (std::size_t i = 0; i < std::min(findings.size(), shown_max); ++i) {
        ADD_FAILURE() << findings[i];
    }
    FAIL() << findings.size() << " findings";
}

void Pipeline::expect_the_books_balance() {
    EXPECT_EQ(value("SELECT events - events_counted_in_runs FROM runledger.ledger_balance_v1"), "0");
    // Segments that are still open know how many events their batches held; retired ones were checked batch by batch.
    EXPECT_EQ(value("WITH kept AS (SELECT segment_id, batch_number, count(*) AS events FROM ("
                    "SELECT segment_id, batch_number FROM runledger.webhook_events UNION ALL "
                    "SELECT segment_id, batch_number FROM runledger.quarantine WHERE scope = 'event'"
                    ") AS either GROUP BY segment_id, batch_number) "
                    "SELECT coalesce(string_agg(format('%s/%s', segment_id, batch_number), ', '), '') "
                    "FROM runledger.ingested_batches LEFT JOIN kept USING (segment_id, batch_number) "
                    "WHERE event_count <> coalesce(events, 0)"),
              "");
}

std::string payload(std::string_view name) {
    std::ifstream file(fmt::format("{}/tests/data/payloads/{}", RUNLEDGER_SOURCE_DIR, name));
    std::stringstream content;
    content << file.rdbuf();
    if (!file || content.str().empty()) {
        throw std::runtime_error(fmt::format("no payload {}", name));
    }
    return content.str();
}

}  // namespace runledger::test
