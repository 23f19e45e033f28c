// `runledger refused list` and `show`: reading only.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "common/event.hpp"
#include "common/wire.hpp"
#include "daemon/base/json.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/refused/commands.hpp"
#include "daemon/tool/refused/folder.hpp"
#include "daemon/tool/spool/text.hpp"

namespace runledger::tool {
namespace {

// Refuses to write what is no UTF-8, instead of writing it as it is.
using Writer = rapidjson::Writer<JsonText, rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory,
                                 rapidjson::kWriteValidateEncodingFlag>;

[[nodiscard]] bool is_utf8(std::string_view text) {
    JsonText ignored;
    Writer writer(ignored);
    return writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

[[nodiscard]] std::string to_hex(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

[[nodiscard]] std::optional<std::string_view> if_any(std::string_view text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

enum class With : std::uint8_t { header, body };

[[nodiscard]] JsonObject to_json(const RefusedLook& look, With with) {
    JsonObject object;
    object.add("id", look.name.id()).add("received_at", to_text(look.name.name.received_at));
    object.add("fault", if_any(look.fault()));
    const RefusedBody* refused = look.body();
    if (refused == nullptr) {
        return object;
    }
    object.add("reason", to_word(refused->reason));
    object.add("token", if_any(refused->token_digest)).add("token_name", if_any(refused->token_name));
    object.add("location", refused->location).add("address", refused->address).add("edge", refused->edge_name);
    object.add("content_type", if_any(refused->content_type)).add("user_agent", if_any(refused->user_agent));
    object.add("boot_id", refused->boot.hex());
    object.add("received_at_us", refused->stamp.received_at.time_since_epoch().count());
    object.add("boottime_us", refused->stamp.boottime.since_boot.count());
    object.add("redelivered", (refused->flags & wire::redelivered) != 0);
    object.add("body_bytes", refused->body.size());
    const auto event = validate_event(refused->body);
    const auto* summary = std::get_if<EventSummary>(&event);
    object.add("run_id", if_any(summary != nullptr ? std::string_view(summary->run_id) : ""));
    object.add("status", if_any(summary != nullptr ? std::string_view(summary->status_word) : ""));
    if (with == With::body && is_utf8(refused->body)) {
        object.add("body", refused->body);
    } else if (with == With::body) {
        object.add("body_hex", to_hex(refused->body));
    }
    return object;
}

// Quoted, control characters escaped: a sender's text must not reach the operator's terminal as it is.
[[nodiscard]] std::string quote(std::string_view text) {
    JsonText quoted;
    Writer writer(quoted);
    if (!writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()))) {
        return "0x" + to_hex(text);
    }
    return {quoted.GetString(), quoted.GetSize()};
}

// Which wrong token, or which right one.
[[nodiscard]] std::string token_of(const RefusedLook& look) {
    const RefusedBody* refused = look.body();
    if (refused == nullptr) {
        return "-";
    }
    if (refused->reason == RefusedFor::token) {
        return refused->token_digest.empty() ? "none" : refused->token_digest;
    }
    return refused->token_name.empty() ? "-" : refused->token_name;
}

[[nodiscard]] std::string_view reason_of(const RefusedLook& look) {
    return look.body() != nullptr ? to_word(look.body()->reason) : look.fault();
}

[[nodiscard]] std::string to_line(const RefusedLook& look) {
    std::string what = fmt::format("fault={}", look.fault());
    if (const RefusedBody* refused = look.body()) {
        const auto event = validate_event(refused->body);
        if (const auto* summary = std::get_if<EventSummary>(&event)) {
            what = fmt::format("run={} status={}", quote(summary->run_id), quote(summary->status_word));
        }
        what += fmt::format(" bytes={} from={}{}", refused->body.size(), quote(refused->address),
                            (refused->flags & wire::redelivered) != 0 ? " redelivered" : "");
    }
    return fmt::format("{}  {} {:<7} {:<16} {}", look.name.id(), to_text(look.name.name.received_at), reason_of(look),
                       token_of(look), what);
}

struct Group {
    std::size_t bodies{};
    std::size_t events{};
    WallTime first{};
    WallTime last{};
    std::set<std::string> addresses;
};

}  // namespace

int list_refused(const ListRefusedOptions& options, Output& out) {
    std::map<std::pair<std::string, std::string>, Group> groups;
    std::size_t bodies = 0;
    std::size_t events = 0;
    std::uint64_t bytes = 0;
    for (const RefusedPath& name : find_refused(options.folder)) {
        const auto look = look_at(name);
        if (!look || !is_chosen(options.choice, *look)) {
            continue;
        }
        if (out.as_json) {
            out.print(to_json(*look, With::header));
        } else if (options.each) {
            out.print("{}\n", to_line(*look));
        }
        Group& group = groups[{std::string(reason_of(*look)), token_of(*look)}];
        if (group.bodies == 0) {
            group.first = name.name.received_at;  // They come in this order.
        }
        group.last = name.name.received_at;
        group.bodies += 1;
        group.events += look->fault().empty() ? 1 : 0;
        if (look->body() != nullptr) {
            group.addresses.insert(look->body()->address);
        }
        bodies += 1;
        events += look->fault().empty() ? 1 : 0;
        bytes += look->file_bytes;
    }
    if (!options.each && !out.as_json) {
        out.print("{:<7} {:<16} {:>8} {:>8}  {:<27} {:<27} {:>9}\n", "REASON", "TOKEN", "BODIES", "EVENTS",
                  "FIRST RECEIVED", "LAST RECEIVED", "ADDRESSES");
        for (const auto& [key, group] : groups) {
            out.print("{:<7} {:<16} {:>8} {:>8}  {:<27} {:<27} {:>9}\n", key.first, key.second, group.bodies,
                      group.events, to_text(group.first), to_text(group.last), group.addresses.size());
        }
    }
    if (!out.as_json) {
        out.print("{} bodies, {} bytes; {} hold an event and can be taken\n", bodies, bytes, events);
    }
    if (const std::size_t begun = find_begun_takes(options.folder).size(); begun > 0) {
        out.warn(fmt::format("{} takes were interrupted, or are under way; the next take finishes them", begun));
    }
    return exit_yes;
}

int show_refused(const ShowRefusedOptions& options, Output& out) {
    std::vector<RefusedPath> matching;
    for (RefusedPath& name : find_refused(options.folder)) {
        if (name.path.filename().string().starts_with(options.id)) {
            matching.push_back(std::move(name));
        }
    }
    if (matching.size() > 1 && !options.id.empty()) {
        throw RefusedError(
            fmt::format("{}: {} bodies' ids begin with '{}'", options.folder.string(), matching.size(), options.id));
    }
    const auto look = matching.size() == 1 ? look_at(matching.front()) : std::nullopt;
    if (!look) {
        throw NotThere(fmt::format("{}: no body's id begins with '{}'", options.folder.string(), options.id));
    }
    out.print(to_json(*look, With::body));
    return exit_yes;
}

}  // namespace runledger::tool
