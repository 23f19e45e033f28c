#include "daemon/tool/simulate/simulate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/base/secret.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "queries/simulate.hpp"

namespace runledger::tool {
namespace {

constexpr std::chrono::milliseconds look_again_after{100};
constexpr std::chrono::seconds removal_wait_max{30};
// Apply waits while rows are removed, and the removal waits for apply's turns that are under way.
constexpr TransactionBounds removal_bounds{.statement_timeout = std::chrono::minutes{1},
                                           .lock_timeout = removal_wait_max};
// As settle's first thread: the application's triggers may wait for something.
constexpr TransactionBounds trial_bounds{.statement_timeout = std::chrono::seconds{10},
                                         .lock_timeout = std::chrono::seconds{3}};

// What a run sends, in order. One event comes as the sender's second try does.
struct Step {
    std::string_view status;
    double progress;
    bool is_get;
};
constexpr std::array<Step, 6> steps{{{"queued", 0, false},
                                     {"started", 0, false},
                                     {"running", 0, false},
                                     {"running", 0.5, true},
                                     {"uploading", 0.9, false},
                                     {"success", 1, false}}};
constexpr std::size_t last_running = 3;  // The pause that is the run's duration comes after it.

// As runledger.is_simulated() knows it.
std::string make_run_id() {
    std::random_device random;
    std::string id = "runledger-simulated-";
    for (int word = 0; word < 4; ++word) {
        id += fmt::format("{:08x}", random() & 0xFFFFFFFFU);
    }
    return id;
}

std::string make_body(const std::string& run_id, std::size_t step) {
    JsonObject body;
    body.add("event_type", "run.updated").add("status", steps[step].status);
    body.add("live_status", fmt::format("runledger simulate, event {} of {}", step + 1, steps.size()));
    body.add("progress", steps[step].progress).add("run_id", run_id);
    std::vector<JsonObject> outputs;
    if (step + 1 == steps.size()) {
        JsonObject data;
        data.add("text", std::vector<std::string>{"made up by runledger simulate"});
        outputs.emplace_back().add("id", run_id).add("run_id", run_id).add("data", std::move(data));
    }
    body.add("outputs", std::move(outputs));
    return body.take();
}

// For a URL's query.
std::string percent_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const bool is_unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                   c == '-' || c == '.' || c == '_' || c == '~';
        encoded += is_unreserved ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

// The text of the file, or of standard input, which may be open where the file is closed to this user.
std::string read_tokens(const std::string& file) {
    if (file == "-") {
        std::ostringstream text;
        text << std::cin.rdbuf();
        return text.str();
    }
    const auto secret = read_secret_file(file);
    if (!secret) {
        throw Misused(fmt::format("simulate: --token-file {} can't be read, or is empty", file));
    }
    return std::string(secret->reveal());
}

// Without what may be a token.
std::string shown(const std::string& url) { return url.substr(0, url.find_first_of("?#")); }

using RemovedRows = std::map<std::string, std::int64_t>;  // By table.

// `run_ids`: nothing: all.
RemovedRows remove_runs(Database& database, const std::optional<std::string>& run_ids) {
    Transaction work(database, removal_bounds);
    RemovedRows removed;
    for (const auto& row : work.run(queries::simulate::remove, run_ids)) {
        removed[row[0].as<std::string>()] = row[1].as<std::int64_t>();
    }
    database.commit(work);
    return removed;
}

JsonObject to_json(const RemovedRows& removed) {
    JsonObject object;
    for (const auto& [table, rows] : removed) {
        object.add(table, rows);
    }
    return object;
}

std::string to_text(const RemovedRows& removed) {
    std::string text;
    for (const auto& [table, rows] : removed) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", rows, table);
    }
    return text.empty() ? "nothing" : text;
}

// One simulation: what was sent, and what of it is proved.
class Simulation {
public:
    Simulation(Database& database, Output& out, std::size_t runs) : database_(database), out_(out) {
        for (std::size_t run = 0; run < runs; ++run) {
            run_ids_.push_back(make_run_id());
            for (std::size_t step = 0; step < steps.size(); ++step) {
                events_.push_back({.run = run, .body = make_body(run_ids_.back(), step), .is_get = steps[step].is_get});
            }
        }
        array_ = array_of(run_ids_);
    }

    void send(const std::string& url, std::chrono::seconds duration) {
        SimulatedSender sender(url);
        for (std::size_t step = 0; step < steps.size(); ++step) {
            out_.show_progress("sending events", step * run_ids_.size(), events_.size());
            std::vector<SimulatedEvent*> now;
            for (std::size_t run = 0; run < run_ids_.size(); ++run) {
                now.push_back(&events_[run * steps.size() + step]);
            }
            sender.deliver(now);
            if (step == last_running) {
                std::this_thread::sleep_for(duration);  // The made-up run takes that long.
            }
        }
        std::map<std::string, std::size_t> refusals;
        for (const SimulatedEvent& event : events_) {
            if (event.is_accepted()) {
                ++accepted_;
                slowest_ = std::max(slowest_, event.took);
            } else {
                ++refusals[event.status == 0 ? event.error : fmt::format("status {}", event.status)];
            }
        }
        for (const auto& [why, count] : refusals) {
            findings_.push_back(fmt::format(
                "{} of {} events were not accepted, in three tries each: {}. docs/http.md lists the answers, and the "
                "edge's error log has the reason",
                count, events_.size(), why));
        }
    }

    void wait_for_arrival(std::chrono::seconds patience) {
        const auto begun = std::chrono::steady_clock::now();
        while (true) {
            look();
            const auto waited = std::chrono::steady_clock::now() - begun;
            if ((arrived_ >= accepted_ && taken_ == run_ids_.size()) || waited >= patience) {
                arrived_after_ = std::chrono::ceil<std::chrono::milliseconds>(waited);
                break;
            }
            out_.show_progress("events in the ledger", arrived_, accepted_);
            std::this_thread::sleep_for(look_again_after);  // Nothing tells when an event is stored.
        }
        if (arrived_ < accepted_) {
            findings_.push_back(fmt::format(
                "{} of {} accepted events are not in the ledger after {} s. They wait in the edge's spool: does a "
                "daemon run, and is the edge's link to it up? docs/operations.md, \"Link\". When they have arrived, "
                "`runledger simulate --clean` removes them",
                accepted_ - arrived_, accepted_, patience.count()));
        }
        if (quarantined_ > 0) {
            findings_.push_back(
                fmt::format("{} events are in quarantine: `runledger quarantine list` says why", quarantined_));
        }
        if (arrived_ == events_.size() && taken_ < run_ids_.size()) {
            findings_.push_back(
                fmt::format("the daemon has not taken {} of {} runs from settle_queue within {} s: its log says why",
                            run_ids_.size() - taken_, run_ids_.size(), patience.count()));
        }
    }

    // Each run that ended, in a transaction that is rolled back.
    void try_to_settle(const SettleSettings& settle) {
        for (std::size_t run = 0; run < run_ids_.size(); ++run) {
            out_.show_progress("settling runs on trial", run, run_ids_.size());
            try {
                settle_on_trial(run_ids_[run], settle);
            } catch (const pqxx::sql_error& error) {
                findings_.push_back(
                    fmt::format("the settlement could not be tried, because the database refuses a made-up row of "
                                "runledger.generations: {}",
                                one_line(error.what())));
                return;  // The others are refused in the same way.
            }
        }
    }

    void remove() { removed_ = remove_runs(database_, array_); }

    int report(const std::string& url) {
        if (out_.as_json) {
            JsonObject object;
            object.add("url", url).add("runs", run_ids_.size()).add("events", events_.size());
            object.add("accepted", accepted_).add("slowest_answer_ms", slowest_.count()).add("arrived", arrived_);
            object.add("arrived_after_ms", arrived_after_.count()).add("taken_by_settle", taken_);
            object.add("settled", settled_).add("duration_ms", duration_ms_).add("cost_usd", cost_usd_);
            object.add("removed", to_json(removed_)).add("proved", findings_.empty()).add("findings", findings_);
            out_.print(object);
            return findings_.empty() ? exit_yes : exit_no;
        }
        out_.print("sent      {} events of {} made-up runs to {}, {} of them as GET, as the sender's second try\n",
                   events_.size(), run_ids_.size(), url, run_ids_.size());
        out_.print("accepted  {}, each within {} ms\n", accepted_, slowest_.count());
        out_.print("arrived   {} in the ledger, within {} ms of the last answer\n", arrived_, arrived_after_.count());
        out_.print("settled   {} runs, on trial and rolled back; the daemon had taken {} from its queue\n", settled_,
                   taken_);
        if (!duration_ms_.empty()) {
            out_.print("          the last one: {} ms, {} USD\n", duration_ms_, cost_usd_);
        }
        out_.print("removed   {}\n", to_text(removed_));
        for (const std::string& finding : findings_) {
            out_.print("NOT PROVED: {}\n", finding);
        }
        if (findings_.empty()) {
            out_.print("proved: each event arrived, and each run can be settled\n");
        }
        return findings_.empty() ? exit_yes : exit_no;
    }

    [[nodiscard]] bool has_accepted() const { return accepted_ > 0; }
    // Everything, and the daemon's settle has seen it.
    [[nodiscard]] bool has_arrived() const { return arrived_ == events_.size() && taken_ == run_ids_.size(); }

private:
    void look() {
        const Snapshot work(database_);
        std::set<std::string> bodies;
        for (const auto& row : work.run(queries::simulate::arrived, array_)) {
            bodies.insert(row["body"].as<std::string>());
        }
        arrived_ = static_cast<std::size_t>(std::count_if(events_.begin(), events_.end(), [&](const auto& event) {
            return event.is_accepted() && bodies.contains(event.body);
        }));
        taken_ = 0;
        quarantined_ = 0;
        for (const auto& row : work.run(queries::simulate::states, array_)) {
            taken_ += !row["terminal_status"].is_null() && row["queued"].as<std::int64_t>() == 0 ? 1 : 0;
            quarantined_ += row["quarantined"].as<std::size_t>();
        }
    }

    void settle_on_trial(const std::string& run_id, const SettleSettings& settle) {
        Transaction work(database_, trial_bounds);  // Never committed.
        work.run(queries::simulate::insert_generation, run_id);
        // With the daemon's rights, if this login may have them: what refuses the daemon is to be noticed.
        if (work.run1("SELECT pg_has_role('runledger_daemon', 'MEMBER')")[0].as<bool>()) {
            work.run("SET LOCAL ROLE runledger_daemon");
        }
        const auto outcome =
            work.run1(queries::simulate::settle, run_id, settle.outputs_grace.count(), settle.duration_max.count());
        if (outcome[0].as<std::string>() != "settled") {
            findings_.push_back(fmt::format("run {} is not settled: {} {}", run_id, outcome[0].as<std::string>(),
                                            outcome[1].is_null() ? "" : one_line(outcome[1].as<std::string>())));
            return;
        }
        const auto row = work.run1(queries::simulate::settled_row, run_id);
        if (row["status"].as<std::string>() != "completed" || !row["is_exact"].as<bool>()) {
            findings_.push_back(fmt::format(
                "run {} is settled as {}, with the note {}: docs/dba.md, \"Money and time\", explains it", run_id,
                row["status"].as<std::string>(), row["cost_note"].is_null() ? "-" : row["cost_note"].c_str()));
            return;
        }
        ++settled_;
        duration_ms_ = row["duration_ms"].as<std::string>();
        cost_usd_ = row["cost_usd"].as<std::string>();
    }

    Database& database_;
    Output& out_;
    std::vector<std::string> run_ids_;
    std::vector<SimulatedEvent> events_;  // Run by run, each in the order of its steps.
    std::string array_;                   // Of run_ids_.
    std::size_t accepted_{0};
    std::chrono::milliseconds slowest_{0};
    std::size_t arrived_{0};
    std::chrono::milliseconds arrived_after_{0};
    std::size_t taken_{0};  // Runs that have ended and are not in settle_queue.
    std::size_t quarantined_{0};
    std::size_t settled_{0};
    std::string duration_ms_;
    std::string cost_usd_;
    RemovedRows removed_;
    std::vector<std::string> findings_;
};

}  // namespace

SimulateCli::SimulateCli(CLI::App& app)
    : command_(app.add_subcommand("simulate",
                                  "Send made-up runs to your endpoint, prove that they arrive, and remove them")) {
    CLI::Option* url = command_->add_option("URL", url_, "Your endpoint, as it is registered with the sender");
    command_->add_option("--token-file", token_file_,
                         "The edge's token file, or - for standard input: its first token is added to the URL's query");
    command_->add_option("--token-name", token_name_, "The token of this name in that file, instead of the first");
    command_->add_option("--token-argument", token_argument_, "The name of the query's argument")
        ->capture_default_str();
    command_->add_option("--runs", runs_, "How many runs to make up, with six events each")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command_->add_option("--seconds", seconds_, "How long each run seems to take")
        ->check(CLI::Range(0, 3600))
        ->capture_default_str();
    command_->add_option("--wait", wait_seconds_, "How long to wait until the events are in the ledger, in seconds")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
    command_->add_flag("--clean", clean_, "Only remove what earlier simulations have left, as after an interruption")
        ->excludes(url);
}

int SimulateCli::run(const Config& config, Output& out) {
    Database database(config.postgres.direct_uri, "simulate");
    if (clean_) {
        return clean(database, out);
    }
    const std::string url = url_with_token();
    static_cast<void>(remove_runs(database, "{}"));  // Nothing: but what has no right to remove must not send.
    Simulation simulation(database, out, static_cast<std::size_t>(runs_));
    try {
        simulation.send(url, std::chrono::seconds{seconds_});
        if (simulation.has_accepted()) {
            simulation.wait_for_arrival(std::chrono::seconds{wait_seconds_});
            if (simulation.has_arrived()) {
                simulation.try_to_settle(config.settle);
            }
        }
        simulation.remove();
    } catch (const std::exception&) {
        out.warn("the simulation stopped half way: `runledger simulate --clean` removes what it has left");
        throw;
    }
    return simulation.report(shown(url_));
}

std::string SimulateCli::url_with_token() const {
    if (url_.empty()) {
        throw Misused("simulate: name the URL of your endpoint, or --clean");
    }
    if (!url_.starts_with("http://") && !url_.starts_with("https://")) {
        throw Misused(fmt::format("simulate: {}: write http:// or https:// in front", shown(url_)));
    }
    if (token_file_.empty()) {
        return url_;
    }
    std::istringstream lines(read_tokens(token_file_));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name;
        std::string token;
        if (words >> name >> token && !name.starts_with('#') && (token_name_.empty() || name == token_name_)) {
            return fmt::format("{}{}{}={}", url_, url_.find('?') == std::string::npos ? "?" : "&", token_argument_,
                               percent_encoded(token));
        }
    }
    throw Misused(fmt::format("simulate: {} has no token{}", token_file_,
                              token_name_.empty() ? "" : fmt::format(" of the name {}", token_name_)));
}

int SimulateCli::clean(Database& database, Output& out) const {
    const RemovedRows removed = remove_runs(database, std::nullopt);
    if (out.as_json) {
        out.print(JsonObject().add("removed", to_json(removed)));
    } else {
        out.print("removed   {}\n", to_text(removed));
    }
    return exit_yes;
}

}  // namespace runledger::tool
