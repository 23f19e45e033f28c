#include "tests/integration/reconcile/reconcile_fixture.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "daemon/database/libpqxx.hpp"

namespace runledger::test {

using std::chrono::milliseconds;

RunningReconciler::RunningReconciler(const ReconcileSettings& config, const std::string& uri, const std::string& owner,
                                     const ReconcileTuning& tuning)
    : reconciler_(config, uri, owner, stop_, settle_, counters_, tuning), thread_([this] { reconciler_.run(); }) {}

RunningReconciler::~RunningReconciler() { stop(); }

void RunningReconciler::stop() {
    stop_.stop();
    if (thread_.joinable()) {
        thread_.join();
    }
}

Reconcile::Reconcile() : log_(std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(10'000)) {
    auto logger = std::make_shared<spdlog::logger>("test", log_);
    logger->set_level(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));

    config.api_url = api_.url();
    config.api_key = Secret(std::string(key));
    config.timeout = std::chrono::seconds{2} * patience_factor;
    config.retry_delay_min = milliseconds{100};
    config.retry_delay_max = milliseconds{400};
    tuning.poll_interval = milliseconds{20};
    tuning.key_retry = milliseconds{300};
    tuning.outage_delay_min = milliseconds{40};
    tuning.outage_delay_max = milliseconds{320};
}

void Reconcile::TearDown() {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("none"));
    EXPECT_TRUE(log_lines_with(key).empty()) << "the key is in the log";
    EXPECT_EQ(count(fmt::format("reconcile_lookups AS l WHERE l::text LIKE '%{}%'", key)), 0)
        << "the key is in a table";
}

std::unique_ptr<RunningReconciler> Reconcile::start(const std::string& owner) {
    return std::make_unique<RunningReconciler>(config, daemon_uri(), owner, tuning);
}

void Reconcile::silent_run(std::string_view run_id, std::string_view status, std::string_view silence) {
    apply_events({{event_text({.run_id = std::string(run_id), .status = std::string(status)}), 0}});
    set_silence(run_id, silence);
}

void Reconcile::looked_up_for_eight_days(std::string_view run_id) {
    pqxx::work work(db());
    libpqxx::run(work,
                 "INSERT INTO runledger.reconcile_lookups (run_id, enrolled_at, last_asked_at) "
                 "VALUES ($1, now() - interval '8 days', now())",
                 std::string(run_id));
    work.commit();
}

void Reconcile::set_silence(std::string_view run_id, std::string_view silence) {
    pqxx::work work(db());
    libpqxx::run(
        work,
        "UPDATE runledger.runs SET applied_at = now() - $2::interval, quiet_from = now() - $2::interval WHERE run_id = "
        "$1",
        std::string(run_id), std::string(silence));
    work.commit();
}

void Reconcile::is_ended(std::string_view run_id) {
    eventually(fmt::format("{} is ended", run_id), [&] {
        return count(fmt::format("runs WHERE run_id = '{}' AND terminal_status IS NOT NULL", run_id)) == 1;
    });
}

std::string Reconcile::run(std::string_view run_id, std::string_view columns) {
    return value(fmt::format("SELECT concat_ws('|', {}) FROM runledger.runs WHERE run_id = '{}'", columns, run_id));
}

std::string Reconcile::lookup(std::string_view run_id, std::string_view columns) {
    return value(
        fmt::format("SELECT coalesce((SELECT concat_ws('|', {}) FROM runledger.reconcile_lookups "
                    "WHERE run_id = '{}'), 'none')",
                    columns, run_id));
}

std::vector<std::string> Reconcile::log_lines_with(std::string_view text) const {
    std::vector<std::string> lines = log_->last_formatted();
    std::erase_if(lines, [&](const std::string& line) { return line.find(text) == std::string::npos; });
    return lines;
}

}  // namespace runledger::test
