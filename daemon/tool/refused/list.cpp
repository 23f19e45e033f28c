// `runledger refused list` and `show`: reading only.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "common/event.hpp"
#include "common/wire.hpp"
#include "daemon/base/json.hpp"
#include "daemon/tool/refused/commands.hpp"
#include "daemon/tool/refused/folder.hpp"
#include "daemon/tool/spool/commands.hpp"
#include "daemon/tool/spool/text.hpp"

namespace runledger::tool {
namespace {

// Refuses to write what is no UTF-8, instead of writing it as it is.
using Writer = rapidjson::Writer<JsonText, rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory,
                                 rapidjson::kWriteValidateEncodingFlag>;

// False if the text is no UTF-8: then the member is not written.
bool put(Writer& writer, std::string_view key, std::string_view text) {
    JsonText alone;
    Writer trial(alone);
    if (!trial.String(text.data(), static_cast<rapidjson::SizeType>(text.size()))) {
        return false;
    }
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.RawValue(alone.GetString(), alone.GetSize(), rapidjson::kStringType);
    return true;
}

[[nodiscard]] std::string to_hex(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(byte));
    }
    return text;
}

// Header and body, as they are kept; control characters escaped, and what is no UTF-8 in hexadecimal.
void put_text(Writer& writer, std::string_view key, std::string_view text) {
    if (!text.empty() && !put(writer, key, text)) {
        put(writer, std::string(key) + "_hex", to_hex(text));
    }
}

enum class With : std::uint8_t { header, body };

[[nodiscard]] std::string to_json(const RefusedLook& look, With with) {
    JsonText text;
    Writer writer(text);
    writer.StartObject();
    put(writer, "id", look.name.id());
    put(writer, "received_at", to_text(look.name.name.received_at));
    put_text(writer, "fault", look.fault());
    if (const RefusedBody* refused = look.body()) {
        put(writer, "reason", to_word(refused->reason));
        put_text(writer, "token", refused->token_digest);
        put_text(writer, "token_name", refused->token_name);
        put_text(writer, "location", refused->location);
        put_text(writer, "address", refused->address);
        put_text(writer, "edge", refused->edge_name);
        put_text(writer, "content_type", refused->content_type);
        put_text(writer, "user_agent", refused->user_agent);
        put(writer, "boot_id", refused->boot.hex());
        writer.Key("received_at_us");
        writer.Int64(refused->stamp.received_at.time_since_epoch().count());
        writer.Key("boottime_us");
        writer.Int64(refused->stamp.boottime.since_boot.count());
        writer.Key("redelivered");
        writer.Bool((refused->flags & wire::redelivered) != 0);
        writer.Key("body_bytes");
        writer.Uint64(refused->body.size());
        const auto event = validate_event(refused->body);
        if (const auto* summary = std::get_if<EventSummary>(&event)) {
            put_text(writer, "run_id", summary->run_id);
            put_text(writer, "status", summary->status_word);
        }
        if (with == With::body) {
            put_text(writer, "body", refused->body);
        }
    }
    writer.EndObject();
    return {text.GetString(), text.GetSize()};
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

int list_refused(const ListRefusedOptions& options, std::FILE* out) {
    std::map<std::pair<std::string, std::string>, Group> groups;
    std::size_t bodies = 0;
    std::size_t events = 0;
    std::uint64_t bytes = 0;
    for (const RefusedPath& name : find_refused(options.folder)) {
        const auto look = look_at(name);
        if (!look || !is_chosen(options.choice, *look)) {
            continue;
        }
        if (options.json) {
            fmt::print(out, "{}\n", to_json(*look, With::header));
        } else if (options.each) {
            fmt::print(out, "{}\n", to_line(*look));
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
    if (options.json) {
        return exit_yes;
    }
    if (!options.each) {
        fmt::print(out, "{:<7} {:<16} {:>8} {:>8}  {:<27} {:<27} {:>9}\n", "REASON", "TOKEN", "BODIES", "EVENTS",
                   "FIRST RECEIVED", "LAST RECEIVED", "ADDRESSES");
        for (const auto& [key, group] : groups) {
            fmt::print(out, "{:<7} {:<16} {:>8} {:>8}  {:<27} {:<27} {:>9}\n", key.first, key.second, group.bodies,
                       group.events, to_text(group.first), to_text(group.last), group.addresses.size());
        }
    }
    fmt::print(out, "{} bodies, {} bytes; {} hold an event and can be taken\n", bodies, bytes, events);
    if (const std::size_t begun = find_begun_takes(options.folder).size(); begun > 0) {
        fmt::print(out, "{} takes were interrupted, or are under way; the next take finishes them\n", begun);
    }
    return exit_yes;
}

int show_refused(const ShowRefusedOptions& options, std::FILE* out) {
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
        throw RefusedError(fmt::format("{}: no body's id begins with '{}'", options.folder.string(), options.id));
    }
    fmt::print(out, "{}\n", to_json(*look, With::body));
    return exit_yes;
}

}  // namespace runledger::tool
