#include "daemon/reload.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <string_view>
#include <utility>

namespace runledger {
namespace {

// A key, or a section as a whole.
struct Key {
    std::string_view name;
    bool (*differs)(const Config& in_use, const Config& read);
};

template <class Of>
std::string key_of(const std::optional<CurveServer>& curve, Of of) {
    return curve ? std::string(of(*curve)) : std::string();
}

constexpr std::string_view page_uri = "[page] uri";

// Sockets are bound, and connections made, by these.
constexpr std::array<Key, 11> keys_for_restart{{
    {"[intake] bind", [](const Config& a, const Config& b) { return a.intake.bind != b.intake.bind; }},
    {"[intake] curve_secret_key_file",
     [](const Config& a, const Config& b) {
         const auto secret = [](const CurveServer& curve) { return curve.secret_key.reveal(); };
         return key_of(a.intake.curve, secret) != key_of(b.intake.curve, secret);
     }},
    {"[intake] curve_authorized_keys_file",
     [](const Config& a, const Config& b) {
         const auto path = [](const CurveServer& curve) { return curve.authorized_keys_file.string(); };
         return key_of(a.intake.curve, path) != key_of(b.intake.curve, path);
     }},
    // The password is in both of the others.
    {"[postgres] password_file",
     [](const Config& a, const Config& b) { return a.postgres.password != b.postgres.password; }},
    {"[postgres] uri",
     [](const Config& a, const Config& b) {
         return a.postgres.uri != b.postgres.uri && a.postgres.password == b.postgres.password;
     }},
    {"[postgres] direct_uri",
     [](const Config& a, const Config& b) {
         return a.postgres.direct_uri != b.postgres.direct_uri && a.postgres.password == b.postgres.password;
     }},
    {"[postgres] appliers",
     [](const Config& a, const Config& b) { return a.postgres.appliers != b.postgres.appliers; }},
    {"[metrics] listen", [](const Config& a, const Config& b) { return a.metrics != b.metrics; }},
    {"[page] token_file", [](const Config& a, const Config& b) { return a.page.token_file != b.page.token_file; }},
    {page_uri,
     [](const Config& a, const Config& b) {
         return a.page.uri != b.page.uri && a.postgres.uri == b.postgres.uri;  // By itself.
     }},
    {"[page] edges", [](const Config& a, const Config& b) { return a.page.edges != b.page.edges; }},
}};

// The listener is there before PostgreSQL is asked for the first time.
bool is_made_first(std::string_view key) { return key.starts_with("[metrics]") || key.starts_with("[page]"); }

// The page reads where [postgres] uri led when it was made.
bool page_stays_behind(const Config& in_use, const Config& read) {
    return !in_use.page.token_file.empty() && in_use.page.uri != read.page.uri;
}

// Their stages, and the log, change while they run.
constexpr std::array<Key, 7> sections{{
    {"[settle]", [](const Config& a, const Config& b) { return a.settle != b.settle; }},
    {"[retention]", [](const Config& a, const Config& b) { return a.retention != b.retention; }},
    {"[application]", [](const Config& a, const Config& b) { return a.application != b.application; }},
    {"[telegram]", [](const Config& a, const Config& b) { return a.telegram != b.telegram; }},
    {"[webhooks]", [](const Config& a, const Config& b) { return a.webhooks != b.webhooks; }},
    {"[comfydeploy]", [](const Config& a, const Config& b) { return a.comfydeploy != b.comfydeploy; }},
    {"[log]", [](const Config& a, const Config& b) { return a.log != b.log; }},
}};

std::int64_t unix_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

ConfigChange change_between(const Config& in_use, const Config& read) {
    ConfigChange change;
    for (const Key& section : sections) {
        if (section.differs(in_use, read)) {
            change.sections.emplace_back(section.name);
        }
    }
    for (const Key& key : keys_for_restart) {
        if (key.differs(in_use, read)) {
            change.keys_for_restart.emplace_back(key.name);
        }
    }
    return change;
}

ConfigInUse::ConfigInUse(std::filesystem::path file, Config config, ConfigCounters& counters)
    : file_(std::move(file)), config_(std::move(config)), counters_(counters) {
    counters_.read_at = unix_seconds();
}

bool ConfigInUse::read_again(Phase phase) noexcept {
    try {
        take(load_config(file_), phase);
        return true;
    } catch (const std::exception& error) {
        ++counters_.reloads_refused;
        counters_.is_refused = true;
        // spdlog catches what its sinks throw.
        spdlog::error("the configuration is not reloaded: the daemon keeps the one that it has error={:?}",
                      std::string_view(error.what()));
        return false;
    }
}

// What can fail comes before the first value that changes.
void ConfigInUse::take(Config read, Phase phase) {
    ConfigChange change = change_between(config_, read);
    if (phase == Phase::starting) {
        for (std::string& key : change.keys_for_restart) {
            if (!is_made_first(key)) {
                change.sections.push_back(std::move(key));
            }
        }
        std::erase_if(change.keys_for_restart, [](const std::string& key) { return !is_made_first(key); });
        const bool is_named = std::ranges::find(change.keys_for_restart, page_uri) != change.keys_for_restart.end();
        if (!is_named && page_stays_behind(config_, read)) {
            change.keys_for_restart.emplace_back(page_uri);
        }
    } else {
        read.intake = config_.intake;
        read.postgres = config_.postgres;
    }
    read.metrics = config_.metrics;
    read.page = config_.page;
    const std::string changed =
        change.sections.empty() ? "nothing" : fmt::format("{}", fmt::join(change.sections, ", "));
    const std::string kept = fmt::format("{}", fmt::join(change.keys_for_restart, ", "));

    config_ = std::move(read);
    ++counters_.reloads_done;
    counters_.is_refused = false;
    counters_.read_at = unix_seconds();
    counters_.keys_for_restart = change.keys_for_restart.size();
    spdlog::info("configuration reloaded changed={:?}", changed);
    if (!kept.empty()) {
        spdlog::warn("only a restart changes these keys, the daemon keeps their values keys={:?}", kept);
    }
}

}  // namespace runledger
