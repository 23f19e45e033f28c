#include "daemon/tool/status/status.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "daemon/base/json.hpp"
#include "daemon/net/http_client.hpp"
#include "daemon/overview/json.hpp"
#include "daemon/overview/overview.hpp"
#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/status/text.hpp"

namespace runledger::tool {
namespace {

constexpr std::chrono::seconds daemon_timeout{3};

// Where a program on this host reaches what listens there.
std::string reachable(const std::string& listen) {
    const std::size_t colon = listen.rfind(':');
    const std::string host = colon == std::string::npos ? "" : listen.substr(0, colon);
    const std::string port = colon == std::string::npos ? listen : listen.substr(colon + 1);
    if (host.empty() || host == "0.0.0.0") {
        return "127.0.0.1:" + port;
    }
    return host == "[::]" ? "[::1]:" + port : listen;
}

struct DaemonSays {
    Health health;
    std::optional<WorkRates> rates;
};

std::string text_in(const JsonValue& object, const char* name) {
    const auto found = object.FindMember(name);
    return found != object.MemberEnd() && found->value.IsString()
               ? std::string(found->value.GetString(), found->value.GetStringLength())
               : "";
}

double number_in(const JsonValue& object, const char* name) {
    const auto found = object.FindMember(name);
    return found != object.MemberEnd() && found->value.IsNumber() ? found->value.GetDouble() : 0;
}

template <class Enum>
Enum named(std::string_view word, std::initializer_list<Enum> all, Enum otherwise) {
    for (const Enum one : all) {
        if (word_of(one) == word) {
            return one;
        }
    }
    return otherwise;
}

// Throws std::logic_error where the text is not /readyz's.
DaemonSays read_answer(const std::string& json) {
    JsonDocument document;
    document.Parse(json.data(), json.size());
    if (document.HasParseError() || !document.IsObject() || !document.HasMember("components")) {
        throw std::logic_error("no answer of /readyz");
    }
    DaemonSays says;
    says.health.verdict =
        named(text_in(document, "verdict"), {Verdict::flowing, Verdict::degraded, Verdict::stopped}, Verdict::stopped);
    says.health.sentence = text_in(document, "sentence");
    for (const auto& component : document["components"].GetArray()) {
        says.health.components.push_back(
            {.name = text_in(component, "name"),
             .condition =
                 named(text_in(component, "condition"),
                       {Condition::ok, Condition::off, Condition::degraded, Condition::failed}, Condition::failed),
             .says = text_in(component, "says"),
             .cure = text_in(component, "cure")});
    }
    if (const auto rates = document.FindMember("rates"); rates != document.MemberEnd() && rates->value.IsObject()) {
        WorkRates& read = says.rates.emplace();
        read.events = number_in(rates->value, "events_per_second");
        read.settlements = number_in(rates->value, "settlements_per_second");
        read.messages = number_in(rates->value, "messages_per_second");
        read.events_of_hour = static_cast<std::uint64_t>(number_in(rates->value, "events_of_hour"));
        for (const auto& events : rates->value["events_by_minute"].GetArray()) {
            read.events_by_minute.push_back(events.GetUint64());
        }
    }
    return says;
}

DaemonSays ask_daemon(const std::string& listen) {
    DaemonSays unreached;
    unreached.health.sentence = "The daemon was not reached";
    Component component{"daemon", Condition::failed, "", "start it, or look at its log: journalctl -u runledgerd"};
    if (listen.empty()) {
        component.condition = Condition::off;
        component.says = "[metrics] listen is empty, so it can't be asked";
        component.cure.clear();
        unreached.health = {Verdict::flowing, "The daemon can't be asked", {std::move(component)}, true};
        return unreached;
    }
    const std::string address = reachable(listen);
    HttpClient client({.timeout = daemon_timeout, .connect_timeout_max = daemon_timeout});
    client.begin({.ticket = 1,
                  .url = fmt::format("http://{}/readyz?format=json", address),
                  .content = HttpRequest::Get{},
                  .response_bytes_max = 256UL * 1024});
    std::string why = "no answer in time";
    while (client.in_flight() > 0) {
        for (const HttpClient::Ended& ended : client.drive(std::chrono::seconds{1})) {
            why = ended.response.why;
            if (ended.response.end == HttpEnd::complete) {
                try {
                    return read_answer(ended.response.body);
                } catch (const std::logic_error&) {
                    why = "what listens there is no runledgerd of this version";
                }
            }
        }
    }
    component.says = fmt::format("{}: {}", address, why);
    unreached.health.components.push_back(std::move(component));
    return unreached;
}

StatusFacts look(const Config& config, Overview& overview) {
    DaemonSays daemon = ask_daemon(config.metrics.listen);
    StatusFacts facts{.health = std::move(daemon.health),
                      .rates = std::move(daemon.rates),
                      .numbers = overview.numbers(),
                      .daemon = config.metrics.listen};
    facts.health = with_numbers(std::move(facts.health), facts.numbers);
    return facts;
}

}  // namespace

StatusCli::StatusCli(CLI::App& app)
    : command_(app.add_subcommand("status", "Show whether work is flowing, and the numbers of the daemon's page")) {
    command_->add_flag("--watch", watches_, "Show it again and again, until Ctrl-C");
    command_->add_option("--every", every_seconds_, "With --watch: seconds between two looks")
        ->check(CLI::Range(1, 3600));
    command_->add_flag("--json", as_json_, "As JSON: one line for each look");
}

int StatusCli::run(const Config& config, std::FILE* out) const {
    const std::chrono::seconds every{every_seconds_};
    Overview overview({.uri = config.page.uri, .edges = config.page.edges, .live_fresh = every / 2});
    const bool is_terminal = isatty(fileno(out)) != 0;
    while (true) {
        const StatusFacts facts = look(config, overview);
        const bool is_read = facts.numbers.live.error.empty();
        if (as_json_) {
            fmt::print(out, "{}\n", overview_json(facts.health, facts.rates, facts.numbers));
        } else {
            // The whole screen at once, so that it does not flicker: home, the text, the rest cleared.
            fmt::print(out, "{}{}{}", watches_ && is_terminal ? "\033[H\033[2J" : "", status_text(facts),
                       watches_ && !is_terminal ? "\n" : "");
        }
        std::fflush(out);
        if (!watches_) {
            return facts.health.verdict == Verdict::flowing && is_read ? exit_yes : exit_no;
        }
        std::this_thread::sleep_for(every);
    }
}

}  // namespace runledger::tool
