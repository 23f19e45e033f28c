#include "daemon/tool/outbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "daemon/database/generation_name.hpp"
#include "daemon/tool/output/chat_option.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "queries/outbox.hpp"

namespace runledger::tool {
namespace {

const std::vector<std::string> all_states{"pending",   "leased", "sent",    "logged",
                                          "uncertain", "dead",   "skipped", "elsewhere"};

// Seconds of "90s", "15m", "6h", "2d".
std::int64_t seconds_of(std::string_view option, const std::string& text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const std::int64_t factor = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86'400 : 0;
    if (error != std::errc{} || number < 0 || number > 1'000'000 || factor == 0) {
        throw Misused(fmt::format("{} {}: write a number and s, m, h or d: 90s, 15m, 6h, 2d", option, text));
    }
    return number * factor;
}

std::string age_text(std::int64_t seconds) {
    return seconds < 120      ? fmt::format("{}s", seconds)
           : seconds < 7200   ? fmt::format("{}m", seconds / 60)
           : seconds < 172800 ? fmt::format("{}h", seconds / 3600)
                              : fmt::format("{}d", seconds / 86'400);
}

std::string text_of(const pqxx::field& field) { return field.is_null() ? "-" : field.as<std::string>(); }

// The name that the record has for it, if the number is only the ledger's or there is none.
std::string place_text(const pqxx::row& row) {
    if (!row["webhook_host"].is_null()) {
        return text_of(row["webhook_host"]);
    }
    const auto recipient = row["recipient"].as<std::string>();
    const bool is_named = recipient.starts_with('@') || row["state"].as<std::string>() == "elsewhere";
    return is_named ? recipient : text_of(row["chat_id"]);
}

// What it is about.
std::string subject_text(const pqxx::row& row) {
    return row["kind"].as<std::string>() == "group" ? "group " + text_of(row["group_id"]) : text_of(row["run_id"]);
}

}  // namespace

OutboxCli::OutboxCli(CLI::App& app)
    : command_(app.add_subcommand("outbox", "List, show, retry and drop the messages of the outbox")) {
    command_->require_subcommand(1);
    list_command_ = command_->add_subcommand("list", "List notifications, the newest first");
    add_choice(*list_command_, all_states);
    list_command_->add_option("--limit", count_max_, "List at most this many")->check(CLI::Range(1, 100'000));
    show_command_ = command_->add_subcommand("show", "Show everything that is known of a notification");
    show_command_->add_option("ID", choice_.ids, "The notifications' ids")->required();
    retry_command_ =
        command_->add_subcommand("retry", "Send dead, uncertain or skipped messages again, as if they were new");
    add_choice(*retry_command_, {"dead", "uncertain", "skipped"});
    retry_command_->add_flag("--all", all_, "All of them; required if no other option chooses");
    drop_command_ =
        command_->add_subcommand("drop", "Give up pending, dead or uncertain messages: they become skipped");
    add_choice(*drop_command_, {"pending", "dead", "uncertain"});
    drop_command_->add_flag("--all", all_, "All of them; required if no other option chooses");
    send_logged_command_ = command_->add_subcommand(
        "send-logged", "Send messages that were only logged, because [telegram] mode was log; the oldest first");
    send_logged_command_->add_option("ID", choice_.ids, "The notifications' ids");
    send_logged_command_->add_option("--chat", choice_.chat, "Only those for this chat")->check(is_chat());
    send_logged_command_->add_option("--newer-than", newer_than_, "Only those made since: 90s, 15m, 6h, 2d");
    send_logged_command_->add_flag("--all", all_, "All of them; required if no other option chooses");
    send_logged_command_->add_option("--limit", send_count_max_, "Send at most this many")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    send_logged_command_->add_flag("--dry-run", is_dry_run_, "Only say how many; change nothing");
}

void OutboxCli::add_choice(CLI::App& command, const std::vector<std::string>& states) {
    command.add_option("ID", choice_.ids, "The notifications' ids");
    command.add_option("--state", choice_.states, "Only those in this state; may be repeated")
        ->check(CLI::IsMember(states));
    command.add_option("--chat", choice_.chat, "Only those for this chat")->check(is_chat());
    command.add_option("--error", choice_.error, "Only those whose last error contains this text");
    command.add_option("--older-than", choice_.older_than, "Only those older than this: 90s, 15m, 6h, 2d");
}

// The first five parameters of each of the queries.
OutboxCli::Parameters OutboxCli::parameters() const {
    Parameters given{.ids = {}, .states = {}, .chat = {}, .error = {}, .least_age_seconds = {}};
    if (!choice_.chat.empty()) {
        given.chat = choice_.chat;
    }
    if (!choice_.ids.empty()) {
        given.ids = array_of(choice_.ids);
    }
    if (!choice_.states.empty()) {
        given.states = array_of(choice_.states);
    }
    if (!choice_.error.empty()) {
        given.error = choice_.error;
    }
    if (!choice_.older_than.empty()) {
        given.least_age_seconds = seconds_of("--older-than", choice_.older_than);
    }
    return given;
}

pqxx::result OutboxCli::choose(const Statements& work, int count_max) const {
    const Parameters given = parameters();
    return work.run(queries::outbox::list, given.ids, given.states, given.chat, given.error, given.least_age_seconds,
                    count_max);
}

int OutboxCli::list(const Statements& work, Output& out) const {
    const auto rows = choose(work, count_max_);
    if (out.as_json) {
        for (const pqxx::row& row : rows) {
            out.print(JsonObject().add(row));
        }
        return exit_yes;
    }
    if (!rows.empty()) {
        out.print("{:>10}  {:<9} {:<10} {:>15} {:>5} {:>4}  {:<36}  {}\n", "id", "state", "kind", "to", "age", "try",
                  "run", "last error");
    }
    for (const pqxx::row& row : rows) {
        out.print("{:>10}  {:<9} {:<10} {:>15} {:>5} {:>4}  {:<36}  {}\n", text_of(row["id"]), text_of(row["state"]),
                  text_of(row["kind"]), place_text(row), age_text(row["age_seconds"].as<std::int64_t>()),
                  text_of(row["attempts"]), subject_text(row), text_of(row["last_error"]));
    }
    out.print("{} notifications{}\n", rows.size(),
              std::cmp_equal(rows.size(), count_max_) ? " (--limit; there may be more)" : "");
    return exit_yes;
}

int OutboxCli::show(const Statements& work, Output& out) const {
    const auto rows = choose(work, static_cast<int>(choice_.ids.size()));
    for (const pqxx::row& row : rows) {
        if (out.as_json) {
            out.print(JsonObject().add(row));
            continue;
        }
        for (const pqxx::field& field : row) {
            const std::string_view name = field.name();
            if (name == "generation_id" && !field.is_null()) {
                out.print("{:<18} {}\n", name, generation_name(row));
            } else if (name != "application_id") {  // The generation's name has it.
                out.print("{:<18} {}\n", name, text_of(field));
            }
        }
        out.print("\n");
    }
    if (std::cmp_less(rows.size(), choice_.ids.size())) {
        throw NotThere(
            fmt::format("{} of {} notifications do not exist", choice_.ids.size() - rows.size(), choice_.ids.size()));
    }
    return exit_yes;
}

int OutboxCli::change(Database& database, bool retries, Output& out) const {
    const bool chooses = !choice_.ids.empty() || !choice_.states.empty() || !choice_.chat.empty() ||
                         !choice_.error.empty() || !choice_.older_than.empty();
    if (chooses == all_) {
        throw Misused("choose by ids, --state, --chat, --error or --older-than, or give --all");
    }
    Transaction work(database, {});
    const Parameters given = parameters();
    const auto rows = work.run(retries ? queries::outbox::retry : queries::outbox::drop, given.ids, given.states,
                               given.chat, given.error, given.least_age_seconds);
    database.commit(work);
    if (out.as_json) {
        out.print(JsonObject().add(retries ? "retried" : "dropped", rows.size()));
    } else {
        out.print("{} notifications {}\n", rows.size(), retries ? "are tried again" : "dropped");
    }
    if (rows.empty() || (!choice_.ids.empty() && std::cmp_less(rows.size(), choice_.ids.size()))) {
        throw NotThere(fmt::format("the others do not exist{} in another state; see runledger outbox show",
                                   retries ? ", were replaced by something newer, or are" : " or are"));
    }
    return exit_yes;
}

int OutboxCli::send_logged(Database& database, Output& out) const {
    if ((!choice_.ids.empty() || !choice_.chat.empty() || !newer_than_.empty()) == all_) {
        throw Misused("choose by ids, --chat or --newer-than, or give --all");
    }
    std::optional<std::int64_t> greatest_age_seconds;
    if (!newer_than_.empty()) {
        greatest_age_seconds = seconds_of("--newer-than", newer_than_);
    }
    Transaction work(database, {});
    const Parameters given = parameters();
    const auto rows =
        work.run(queries::outbox::send_logged, given.ids, given.chat, greatest_age_seconds, send_count_max_);
    const auto corrected =
        std::count_if(rows.begin(), rows.end(), [](const auto& row) { return row[1].template as<bool>(); });
    const auto left = work.run(queries::outbox::count_logged)[0][0].as<std::int64_t>();
    if (!is_dry_run_) {  // Else the transaction is rolled back.
        database.commit(work);
    }
    const auto sent = static_cast<std::int64_t>(rows.size()) - corrected;
    if (out.as_json) {
        JsonObject object;
        object.add("sent", sent).add("skipped", corrected).add("logged", left).add("dry_run", is_dry_run_);
        out.print(object);
    } else {
        out.print("{} notifications {}, {} stay logged\n", sent, is_dry_run_ ? "would be sent" : "are to be sent",
                  left);
        if (corrected > 0) {
            out.print("{} notifications {} skipped, because a later correction was sent or is to be sent\n", corrected,
                      is_dry_run_ ? "would be" : "are");
        }
    }
    if (rows.empty() || (!choice_.ids.empty() && std::cmp_less(rows.size(), choice_.ids.size()))) {
        throw NotThere("the others do not exist or are in another state; see runledger outbox show");
    }
    return exit_yes;
}

int OutboxCli::run(const Config& config, Output& out) {
    std::ranges::sort(choice_.ids);  // One that is named twice is one.
    choice_.ids.erase(std::unique(choice_.ids.begin(), choice_.ids.end()), choice_.ids.end());
    Database database(config.postgres.direct_uri, "outbox");
    if (send_logged_command_->parsed()) {
        if (config.telegram.mode == TelegramMode::log) {
            throw std::runtime_error(
                "[telegram] mode is \"log\", so these messages would only be logged again: set token_file, and mode = "
                "\"send\" if there is a line with mode, and reload the daemon");
        }
        return send_logged(database, out);
    }
    if (retry_command_->parsed() || drop_command_->parsed()) {
        return change(database, retry_command_->parsed(), out);
    }
    const Snapshot work(database);
    return list_command_->parsed() ? list(work, out) : show(work, out);
}

}  // namespace runledger::tool
