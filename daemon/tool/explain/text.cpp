#include "daemon/tool/explain/text.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <utility>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {
namespace {

bool ends_link(char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '\\' ||
           c == ')' || c == ']' || c == '}';
}

std::string seconds_of(std::int64_t micros) { return fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000); }

}  // namespace

std::string without_link_queries(std::string_view text) {
    std::string masked;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t scheme = text.find("://", at);
        if (scheme == std::string_view::npos) {
            break;
        }
        std::size_t end = scheme + 3;
        while (end < text.size() && !ends_link(text[end]) && text[end] != '?' && text[end] != '#') {
            ++end;
        }
        masked += text.substr(at, end - at);
        at = end;
        if (at < text.size() && (text[at] == '?' || text[at] == '#')) {
            while (at < text.size() && !ends_link(text[at])) {
                ++at;
            }
            masked += "?…";
        }
    }
    return masked.append(text.substr(at));
}

std::optional<std::string> text_of(const pqxx::field& field) {
    if (field.is_null()) {
        return std::nullopt;
    }
    return one_line(without_link_queries({field.c_str(), field.size()}));
}

std::string text_or(const pqxx::field& field, std::string_view absent) {
    return text_of(field).value_or(std::string(absent));
}

std::string amounts(const pqxx::field& duration_ms, const pqxx::field& cost_usd, const pqxx::field& cost_note) {
    const std::string duration = duration_ms.is_null() ? "no duration" : duration_ms.as<std::string>() + " ms";
    const std::string cost = cost_usd.is_null() ? "no cost" : cost_usd.as<std::string>() + " USD";
    return fmt::format("{}, {}{}", duration, cost,
                       cost_note.is_null() ? "" : fmt::format(" ({})", cost_note.as<std::string>()));
}

std::string advice_on(std::string_view cost_note) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 13> notes{{
        {"no_running_event",
         "no running event was received, so the beginning is unknown; if one still comes, the run is priced then"},
        {"running_after_end",
         "the first running event came after the ending, so the duration is unknown; if an earlier one still comes, "
         "the run is priced then"},
        {"clocks_differ", "the two instants come from different boots, so the duration is by wall clocks"},
        {"clock_implausible",
         "the duration is longer than [settle] duration_max_seconds; to have it priced, raise that and change "
         "metadata"},
        {"rate_missing",
         "metadata has neither a costRate nor a gpu; write either, and the run is priced within a second"},
        {"gpu_rate_missing",
         "gpu_rates has no rate for metadata.gpu that was in force at the ending; add one and run `runledger reprice`"},
        {"rate_malformed",
         "metadata.costRate is not an object with an amount that is a number or a decimal string; repair it, or remove "
         "it if metadata.gpu is to decide, and the run is priced within a second"},
        {"rate_negative",
         "the amount of metadata.costRate is negative; repair it, and the run is priced within a second"},
        {"currency_not_usd",
         "metadata.costRate is not in USD, and nothing is converted; write a rate in USD, and the run is priced within "
         "a second"},
        {"unit_unknown",
         "the unit of metadata.costRate is not second(s), minute(s), hour(s), run, fixed, request(s) or token(s); "
         "repair "
         "it, and the run is priced within a second"},
        {"tokens_missing",
         "the unit of metadata.costRate is token, and metadata has no tokenCount; write it, and the run is priced "
         "within a second"},
        {"tokens_malformed",
         "the unit of metadata.costRate is token, and metadata.tokenCount is not a whole number of 1 to 18 digits; "
         "repair it, and the run is priced within a second"},
        {"not_charged", "only a success is charged"},
    }};
    for (const auto& [note, advice] : notes) {
        if (note == cost_note) {
            return std::string(advice);
        }
    }
    return "docs/dba.md has the list of notes";
}

std::string event_line(const pqxx::row& event) {
    std::string remark;
    if (event["begins"].as<bool>(false)) {
        remark = "  <- counts from here";
    } else if (event["ends"].as<bool>(false)) {
        remark = "  <- the ending";
    } else if (event["terminal"].as<bool>(false)) {
        remark = "  repeats or contradicts an ending: the first one counts";
    }
    if (event["redelivered"].as<bool>()) {
        remark += "  redelivered: the sender's second or third try, late by up to 1.6 s and the earlier tries";
    }
    return fmt::format("  {}  {:<11}  {}  boot {} + {} s{}\n", event["received_at"].as<std::string>(),
                       text_or(event["status"], ""), text_or(event["edge"], ""), event["boot"].as<std::string>(),
                       seconds_of(event["boottime_us"].as<std::int64_t>()), remark);
}

std::string timing_lines(const pqxx::row& run) {
    if (run["terminal_status"].is_null()) {
        return "  No ending was received.\n";
    }
    const std::string note = text_or(run["note"], "");
    if (run["running_at"].is_null()) {
        return fmt::format("  to   {} ({})\n  No duration: {}.\n", run["finished_at"].as<std::string>(),
                           run["terminal_status"].as<std::string>(), advice_on(note));
    }
    std::string text = fmt::format("  from {} (running)\n  to   {} ({})\n", run["running_at"].as<std::string>(),
                                   run["finished_at"].as<std::string>(), run["terminal_status"].as<std::string>());
    if (run["duration_us"].is_null()) {
        return text + fmt::format("  No duration ({}): {}.\n", note, advice_on(note));
    }
    if (run["clock"].as<std::string>() == "boottime") {
        text +=
            fmt::format("  {} - {} = {} microseconds, by the clock of boot {}: steps of the wall clock don't count\n",
                        run["finished_boottime_us"].as<std::string>(), run["running_boottime_us"].as<std::string>(),
                        run["duration_us"].as<std::string>(), run["finished_boot"].as<std::string>());
    } else {
        text += fmt::format("  {} microseconds, by wall clocks, since the boots differ: {} and {} (clocks_differ)\n",
                            run["duration_us"].as<std::string>(), run["running_boot"].as<std::string>(),
                            run["finished_boot"].as<std::string>());
    }
    if (run["running_redelivered"].as<bool>(false) || run["finished_redelivered"].as<bool>(false)) {
        text += "  One of the two was redelivered, so the duration may be off by that delay.\n";
    }
    return text;
}

std::string rate_lines(const pqxx::row& generation) {
    if (generation["is_given"].as<bool>(false)) {
        return "  None: the cost was written into the row with its ending, and is kept.\n";
    }
    if (generation["amount"].is_null()) {
        const std::string note = text_or(generation["rate_note"], "rate_missing");
        const bool is_about_tokens = note.starts_with("tokens_");
        return fmt::format(
            "  None ({}): {}.\n  metadata.costRate: {}; metadata.gpu: {}{}\n", note, advice_on(note),
            text_or(generation["said_rate"], "absent"), text_or(generation["said_gpu"], "absent"),
            is_about_tokens ? "; metadata.tokenCount: " + text_or(generation["said_token_count"], "absent") : "");
    }
    const auto unit = generation["unit"].as<std::string>();
    const bool from_metadata = generation["source"].as<std::string>() == "metadata";
    const bool is_flat = unit == "run" || unit == "request";
    return fmt::format(
        "  {} USD {}{}, from {}{}\n", generation["amount"].as<std::string>(), is_flat ? "a " : "per ",
        is_flat ? unit + ", whatever it took" : unit,
        from_metadata ? std::string("metadata.costRate")
                      : fmt::format("gpu_rates for {}, as in force at the ending", text_or(generation["gpu"], "?")),
        generation["is_settled"].as<bool>() ? "; copied at the settlement" : "");
}

std::string sum_lines(const pqxx::row& generation) {
    const auto note = text_of(generation["settled_note"]);
    if (generation["settled_cost"].is_null()) {
        return fmt::format("  No cost ({}): {}.\n", note.value_or("?"), advice_on(note.value_or("")));
    }
    const auto cost = generation["settled_cost"].as<std::string>();
    if (generation["is_given"].as<bool>(false)) {
        return fmt::format("  as it was written: {} USD\n", cost);
    }
    const auto unit = generation["unit"].as<std::string>();
    std::string text;
    if (unit == "run" || unit == "request") {
        text = fmt::format("  a flat price: {} USD\n", cost);
    } else if (unit == "token") {
        text = fmt::format("  {} USD x {} tokens = {} USD, rounded to 12 decimals\n",
                           generation["amount"].as<std::string>(), generation["token_count"].as<std::string>(), cost);
    } else {
        const std::string_view unit_us = unit == "second" ? "1000000" : unit == "minute" ? "60000000" : "3600000000";
        text = fmt::format("  {} USD x {} us / {} us = {} USD, rounded to 12 decimals\n",
                           generation["amount"].as<std::string>(), generation["duration_us"].as<std::string>(), unit_us,
                           cost);
    }
    return note ? text + fmt::format("  {}: {}.\n", *note, advice_on(*note)) : text;
}

std::string settlement_lines(const pqxx::row& settlement, std::string_view run_id) {
    const auto by = settlement["run_id"].as<std::string>();
    std::string text = fmt::format(
        "  {}  {}{}: {}\n", settlement["settled_at"].as<std::string>(), settlement["outcome"].as<std::string>(),
        by == run_id ? "" : fmt::format(" (run {})", one_line(by)), text_or(settlement["why"], ""));
    text += fmt::format(
        "    before: {}, {}\n", text_or(settlement["status_before"], "?"),
        amounts(settlement["duration_ms_before"], settlement["cost_usd_before"], settlement["cost_note_before"]));
    const auto reason = text_of(settlement["status_reason"]);
    text += fmt::format("    {}: {}{}, {}\n",
                        settlement["outcome"].as<std::string>() == "edited_by_hand" ? "not written" : "after",
                        text_or(settlement["status"], "?"), reason ? fmt::format(" \"{}\"", *reason) : "",
                        amounts(settlement["duration_ms"], settlement["cost_usd"], settlement["cost_note"]));
    return text;
}

std::string notification_line(const pqxx::row& notification) {
    const auto for_status = text_of(notification["for_status"]);
    const auto error = text_of(notification["last_error"]);
    const auto state = notification["state"].as<std::string>();
    const auto at = text_of(notification[state == "logged" ? "logged_at" : "sent_at"]);
    const auto kind = notification["kind"].as<std::string>();
    const auto recipient = notification["recipient"].as<std::string>();
    if (state == "elsewhere") {
        return fmt::format("  {}: {}, {}\n", kind, state, one_line(recipient));
    }
    const bool is_webhook = notification["channel"].as<std::string>() == "webhook";
    const auto group = text_of(notification["group_id"]);
    const auto subject = group ? fmt::format("the end of group {}, number ", *group)
                               : std::string(kind == "progress" ? "" : "settlement ");
    const auto what = is_webhook ? fmt::format("webhook of {}{}", subject, for_status.value_or("?"))
                                 : fmt::format("{}{}", kind, for_status ? " to " + *for_status : "");
    const auto where =
        is_webhook ? fmt::format("{}, id {}", text_or(notification["webhook_host"], "?"),
                                 text_or(notification["webhook_id"], "?"))
                   : fmt::format("chat {}", recipient.starts_with('@') ? one_line(recipient)
                                                                       : text_or(notification["chat_id"], "unusable"));
    return fmt::format("  {}: {}{}, {}, {} attempts{}\n", what, state, at ? " " + *at : "", where,
                       notification["attempts"].as<std::string>(), error ? ": " + *error : "");
}

}  // namespace runledger::tool
