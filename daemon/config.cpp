#include "daemon/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <string_view>
#include <system_error>

#include "common/curve.hpp"
#include "daemon/base/secret.hpp"
#include "daemon/database/connect_fault.hpp"
#include "daemon/net/url.hpp"
#include "daemon/webhooks/signature.hpp"

namespace runledger {
namespace {

struct Source {
    std::string file;
    toml::table root;
    Secrets secrets{Secrets::read};
    std::vector<std::string> known_keys{};  // "[section] key", of all that was asked for.
};

// Reads one table's keys; what it is not asked for is unknown, and refused.
class Section {
public:
    Section(Source& source, std::string_view name)
        : source_(source), file_(source.file), name_(name), table_(source.root[name].as_table()) {
        if (source.root.contains(name) && table_ == nullptr) {
            throw ConfigError(fmt::format("{}: {} is not a table; write [{}]", file_, name_, name_));
        }
    }

    template <class Value>
    void read(std::string_view key, Value& into, std::string_view kind) {
        know(key);
        if (const toml::node* node = find(key)) {
            const auto value = node->value<Value>();
            if (!value) {
                fail(key, fmt::format("is not {}", kind));
            }
            into = *value;
        }
    }
    void read(std::string_view key, std::string& into) { read(key, into, "a string"); }

    void read(std::string_view key, unsigned& into, std::int64_t least, std::int64_t most) {
        std::int64_t value = into;
        read(key, value, "a whole number");
        if (value < least || value > most) {
            fail(key, fmt::format("is {}, not within {} to {}", value, least, most));
        }
        into = static_cast<unsigned>(value);
    }

    template <class Duration>
    void read_duration(std::string_view key, Duration& into, std::int64_t most) {
        std::int64_t count = into.count();
        read(key, count, "a whole number");
        if (count < 0 || count > most) {
            fail(key, fmt::format("is {}, not within 0 to {}", count, most));
        }
        into = Duration{count};
    }

    void read(std::string_view key, std::vector<std::string>& into) {
        know(key);
        const toml::node* node = find(key);
        if (node == nullptr) {
            return;
        }
        const toml::array* array = node->as_array();
        if (array == nullptr || array->empty()) {
            fail(key, "is not a list of strings, at least one");
        }
        into.clear();
        for (const toml::node& element : *array) {
            const auto value = element.value<std::string>();
            if (!value) {
                fail(key, "is not a list of strings, at least one");
            }
            into.push_back(*value);
        }
    }

    template <class Enum>
    void read_word(std::string_view key, Enum& into, std::initializer_list<std::pair<std::string_view, Enum>> words) {
        std::string word;
        read(key, word);
        if (word.empty()) {
            return;
        }
        std::string allowed;
        for (const auto& [name, value] : words) {
            if (word == name) {
                into = value;
                return;
            }
            allowed += fmt::format("{}\"{}\"", allowed.empty() ? "" : ", ", name);
        }
        fail(key, fmt::format("is \"{}\", not one of {}", word, allowed));
    }

    // After all reads: a misspelt key must not pass for its default.
    void refuse_unknown_keys() const {
        if (table_ == nullptr) {
            return;
        }
        for (const auto& [key, node] : *table_) {
            if (std::find(known_.begin(), known_.end(), key.str()) == known_.end()) {
                throw ConfigError(fmt::format("{}: [{}] {} (line {}): no such key", file_, name_, key.str(),
                                              node.source().begin.line));
            }
        }
    }

    [[noreturn]] void fail(std::string_view key, std::string_view fault) const {
        const toml::node* node = find(key);
        const std::string line = node != nullptr ? fmt::format(" (line {})", node->source().begin.line) : "";
        throw ConfigError(fmt::format("{}: [{}] {}{} {}", file_, name_, key, line, fault));
    }

    // Read elsewhere.
    void know(std::string_view key) {
        known_.push_back(key);
        source_.known_keys.push_back(fmt::format("[{}] {}", name_, key));
    }

    [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
    [[nodiscard]] bool reads_secrets() const { return source_.secrets == Secrets::read; }

private:
    [[nodiscard]] const toml::node* find(std::string_view key) const {
        return table_ == nullptr ? nullptr : table_->get(key);
    }

    Source& source_;
    std::string file_;
    std::string name_;
    const toml::table* table_;
    std::vector<std::string_view> known_;
};

// The path, with the folder of this service's credentials in the place of $CREDENTIALS_DIRECTORY at its beginning
// (systemd.exec(5), LoadCredential=).
std::string in_credentials(const Section& section, std::string_view key, const std::string& path) {
    constexpr std::string_view variable = "$CREDENTIALS_DIRECTORY";
    if (!path.starts_with(variable)) {
        return path;
    }
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe): nobody sets it.
    if (folder == nullptr) {
        section.fail(key, fmt::format("names \"{}\", and this process has no credentials: LoadCredential= in the "
                                      "service's unit makes them; a command that you run yourself needs a "
                                      "configuration of its own",
                                      path));
    }
    return folder + path.substr(variable.size());
}

// Why a file holds no secret for this process, and what to do about it.
std::string why_not_read(const std::string& path) {
    struct stat file {};
    const bool is_found = ::stat(path.c_str(), &file) == 0;
    if (is_found && S_ISDIR(file.st_mode)) {
        return "is a folder";
    }
    if (is_found && ::access(path.c_str(), R_OK) == 0) {
        return "the file is empty";
    }
    const int why = errno;
    std::string sentence = std::generic_category().message(why);
    if (why == EACCES) {
        // NOLINTBEGIN(concurrency-mt-unsafe): nobody else asks for a name.
        const passwd* user = ::getpwuid(::geteuid());
        const group* users_group = ::getgrgid(::getegid());
        // NOLINTEND(concurrency-mt-unsafe)
        sentence += fmt::format(" for the user {}", user == nullptr ? std::to_string(::geteuid()) : user->pw_name);
        sentence += is_found
                        ? fmt::format(": chown root:{0} {1} && chmod 0640 {1}",
                                      users_group == nullptr ? std::to_string(::getegid()) : users_group->gr_name, path)
                        : ": it may not enter the file's folder";
    }
    return sentence;
}

Secret read_secret(const Section& section, std::string_view key, const std::string& path) {
    if (auto secret = read_secret_file(path)) {
        return std::move(*secret);
    }
    section.fail(key, fmt::format("names \"{}\": {}", path, why_not_read(path)));
}

// One text of [telegram.text], or of a language's table in it.
void read_text(const std::string& place, std::string_view key, const toml::node& value, telegram::Wording& wording) {
    const auto text = value.value<std::string>();
    if (!text) {
        throw ConfigError(fmt::format("{} is not a string", place));
    }
    try {
        wording.set(key, *text);
    } catch (const telegram::TemplateError& error) {
        throw ConfigError(fmt::format("{} {}", place, error.what()));
    } catch (const std::out_of_range&) {
        throw ConfigError(
            fmt::format("{}: no such text; there are {}", place, fmt::join(telegram::Wording::keys(), ", ")));
    }
}

// [telegram.text]: any of the texts in other words; [telegram.text.fr]: in another language, where a text that is
// missing is as in [telegram.text].
void read_wordings(const std::string& file, const toml::table& root, telegram::Wordings& wordings) {
    const auto node = root["telegram"]["text"];
    if (!node) {
        return;
    }
    const toml::table* table = node.as_table();
    if (table == nullptr) {
        throw ConfigError(fmt::format("{}: [telegram] text is not a table; write [telegram.text]", file));
    }
    for (const auto& [key, value] : *table) {
        if (!value.is_table()) {
            read_text(fmt::format("{}: [telegram.text] {} (line {})", file, key.str(), value.source().begin.line),
                      key.str(), value, wordings.plain);
        }
    }
    for (const auto& [key, value] : *table) {
        if (!value.is_table()) {
            continue;
        }
        const auto tag = telegram::find_language(key.str());
        if (!tag) {
            throw ConfigError(
                fmt::format("{}: [telegram.text.{}] (line {}) names no language by a tag such as fr or pt-BR", file,
                            key.str(), value.source().begin.line));
        }
        telegram::Wording wording = wordings.plain;
        for (const auto& [name, text] : *value.as_table()) {
            read_text(fmt::format("{}: [telegram.text.{}] {} (line {})", file, key.str(), name.str(),
                                  text.source().begin.line),
                      name.str(), text, wording);
        }
        wordings.by_language.insert_or_assign(*tag, std::move(wording));
    }
}

// [telegram] buttons: rows of buttons. The record's own take their place.
telegram::Rows<telegram::ButtonTemplate> read_buttons(Section& section, const toml::table& root) {
    static constexpr std::string_view shape =
        "is not a list of rows, each a list of {text = \"…\", url = \"…\"} or {text = \"…\", callback_data = \"…\"}";
    section.know("buttons");
    telegram::Rows<telegram::ButtonTemplate> rows;
    const auto node = root["telegram"]["buttons"];
    if (!node) {
        return rows;
    }
    const toml::array* list = node.as_array();
    if (list == nullptr) {
        section.fail("buttons", shape);
    }
    for (const toml::node& row : *list) {
        if (!row.is_array()) {
            section.fail("buttons", shape);
        }
        rows.emplace_back();
        for (const toml::node& each : *row.as_array()) {
            const toml::table* button = each.as_table();
            if (button == nullptr) {
                section.fail("buttons", shape);
            }
            for (const auto& [key, value] : *button) {
                if ((key.str() != "text" && key.str() != "url" && key.str() != "callback_data") || !value.is_string()) {
                    section.fail("buttons", fmt::format("has a button with {}, which is no text, url or callback_data "
                                                        "that is a string",
                                                        key.str()));
                }
            }
            try {
                rows.back().push_back(
                    telegram::make_button({.text = (*button)["text"].value<std::string>(),
                                           .url = (*button)["url"].value<std::string>(),
                                           .callback_data = (*button)["callback_data"].value<std::string>()}));
            } catch (const telegram::TemplateError& error) {
                section.fail("buttons", fmt::format("has a button that {}", error.what()));
            }
        }
    }
    return rows;
}

// As read_secret, of a file that nobody but its owner and group may read.
Secret read_guarded_secret(const Section& section, std::string_view key, const std::string& path) {
    if (is_open_to_others(path)) {
        section.fail(key, fmt::format("names \"{}\": others may read this secret: chmod o= it, and make a new one if "
                                      "they could",
                                      path));
    }
    return read_secret(section, key, path);
}

// Likewise, of characters that a header can carry.
Secret read_guarded_word(const Section& section, std::string_view key, const std::string& path) {
    Secret secret = read_guarded_secret(section, key, path);
    const std::string_view text = secret.reveal();
    if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; })) {
        section.fail(key, fmt::format("names \"{}\", which holds more than one word of visible characters", path));
    }
    return secret;
}

void check_host_name(const Section& section, std::string_view key, const std::string& host) {
    const bool is_name = !host.empty() &&
                         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string::npos &&
                         host.front() != '.' && host.back() != '.';
    if (!is_name) {
        section.fail(key, fmt::format("contains \"{}\", which is not a host's name in lower case", host));
    }
}

ReconcileSettings read_comfydeploy(Section& section) {
    constexpr std::int64_t silence_seconds_max = 30LL * 24 * 3600;
    ReconcileSettings config;
    section.read("api_url", config.api_url);
    section.read("api_key_file", config.api_key_file);
    section.read_duration("queued_silence_seconds", config.silence.queued, silence_seconds_max);
    section.read_duration("started_silence_seconds", config.silence.started, silence_seconds_max);
    section.read_duration("running_silence_seconds", config.silence.running, silence_seconds_max);
    section.read_duration("uploading_silence_seconds", config.silence.uploading, silence_seconds_max);
    section.read_duration("other_silence_seconds", config.silence.other, silence_seconds_max);
    section.read_duration("unheard_silence_seconds", config.silence.unheard, silence_seconds_max);
    section.read_duration("give_up_seconds", config.give_up, 366LL * 24 * 3600);
    section.read("concurrency", config.concurrency, 1, 32);
    section.read_duration("timeout_ms", config.timeout, 600'000);
    section.read_duration("retry_delay_min_ms", config.retry_delay_min, 3'600'000);
    section.read_duration("retry_delay_max_ms", config.retry_delay_max, 86'400'000);
    section.refuse_unknown_keys();
    if (!config.api_url.starts_with("https://") && !config.api_url.starts_with("http://")) {
        section.fail("api_url",
                     fmt::format("is \"{}\", which begins with neither https:// nor http://", config.api_url));
    }
    if (config.timeout.count() == 0) {
        section.fail("timeout_ms", "is 0: a look-up needs some time");
    }
    if (config.retry_delay_min.count() == 0 || config.retry_delay_max < config.retry_delay_min) {
        section.fail("retry_delay_min_ms", "is 0, or more than retry_delay_max_ms");
    }
    if (!config.api_key_file.empty() && section.reads_secrets()) {
        config.api_key_file = in_credentials(section, "api_key_file", config.api_key_file);
        config.api_key = read_guarded_word(section, "api_key_file", config.api_key_file);
    }
    return config;
}

void check_webhooks_url(const Section& section, const WebhookSettings& config) {
    const auto parts = parse_url(config.url);
    if (!parts || parts->host.empty() || (parts->scheme != "https" && parts->scheme != "http")) {
        section.fail("url", "is no URL with https:// and a host");
    }
    if (parts->scheme == "http" && !config.url_is_inner) {
        section.fail("url",
                     "begins with http://: anybody on the way could read it; use https://, or set url_is_inner = true "
                     "for a receiver at an inner address");
    }
}

WebhookSettings read_webhooks(Section& section) {
    constexpr std::int64_t hour_ms = 3'600'000;
    WebhookSettings config;
    section.read("url", config.url);
    section.read("url_is_inner", config.url_is_inner, "true or false");
    section.read("secrets_file", config.secrets_file);
    section.read("host_suffixes", config.host_suffixes);
    section.read("metadata_keys", config.metadata_keys);
    section.read("events", config.events);
    section.read_duration("progress_interval_ms", config.progress_interval, hour_ms);
    section.read_duration("timeout_ms", config.timeout, 600'000);
    section.read_duration("retry_delay_min_ms", config.retry_delay_min, hour_ms);
    section.read_duration("retry_delay_max_ms", config.retry_delay_max, 24 * hour_ms);
    section.read_duration("give_up_days", config.give_up, 366);
    section.read_duration("retry_after_max_seconds", config.retry_after_max, 24LL * 3600);
    section.read("concurrency", config.concurrency, 1, 64);
    section.read("breaker_failures", config.breaker_failures, 1, 1000);
    section.read_duration("breaker_delay_max_ms", config.breaker_delay_max, hour_ms);
    section.refuse_unknown_keys();
    if (!config.url.empty()) {
        check_webhooks_url(section, config);
    }
    for (const std::string& host : config.host_suffixes) {
        check_host_name(section, "host_suffixes", host);
    }
    for (const std::string& event : config.events) {
        if (event != "settled" && event != "progress" && event != "group") {
            section.fail("events",
                         fmt::format("contains \"{}\", not one of \"settled\", \"progress\", \"group\"", event));
        }
    }
    if (config.timeout.count() == 0 || config.give_up.count() == 0) {
        section.fail(config.timeout.count() == 0 ? "timeout_ms" : "give_up_days", "is 0: a webhook needs some time");
    }
    if (config.retry_delay_min.count() == 0 || config.retry_delay_max < config.retry_delay_min) {
        section.fail("retry_delay_min_ms", "is 0, or more than retry_delay_max_ms");
    }
    if (config.is_on() && config.secrets_file.empty()) {
        section.fail("secrets_file", "is missing: webhooks are signed");
    }
    if (!config.secrets_file.empty() && section.reads_secrets()) {
        config.secrets_file = in_credentials(section, "secrets_file", config.secrets_file);
        const Secret content = read_guarded_secret(section, "secrets_file", config.secrets_file);
        auto keys = webhooks::parse_secrets(content.reveal());
        if (const auto* fault = std::get_if<webhooks::SecretFault>(&keys)) {
            section.fail("secrets_file", fmt::format("names \"{}\": {}", config.secrets_file, fault->what));
        }
        config.secrets = std::get<std::vector<Secret>>(std::move(keys));
    }
    return config;
}

PageSettings read_page(Section& section, const Config& config) {
    PageSettings page;
    section.read("token_file", page.token_file);
    section.read("uri", page.uri);
    section.read("edges", page.edges);
    section.refuse_unknown_keys();
    if (!page.uri.empty()) {
        try {
            check_readable(page.uri);
        } catch (const UnreadableUri& error) {
            section.fail("uri", error.what());
        }
    } else {
        page.uri = config.postgres.uri;
    }
    for (const std::string& edge : page.edges) {
        if (!edge.starts_with("http://") && !edge.starts_with("https://")) {
            section.fail("edges", fmt::format("contains \"{}\", which begins with neither https:// nor http://", edge));
        }
    }
    if (!page.token_file.empty() && section.reads_secrets()) {
        page.token_file = in_credentials(section, "token_file", page.token_file);
        page.token = read_guarded_secret(section, "token_file", page.token_file);
        constexpr std::size_t token_bytes_min = 16;
        if (page.token.reveal().size() < token_bytes_min) {
            section.fail("token_file", fmt::format("names \"{}\", whose token has fewer than {} characters",
                                                   page.token_file, token_bytes_min));
        }
    }
    if (!page.token_file.empty() && config.metrics.listen.empty()) {
        section.fail("token_file", "is given, but [metrics] listen is empty: the page is served there");
    }
    return page;
}

std::optional<CurveServer> read_curve(Section& intake) {
    constexpr std::string_view secret = "curve_secret_key_file";
    constexpr std::string_view authorized = "curve_authorized_keys_file";
    std::string secret_file;
    std::string authorized_file;
    intake.read(secret, secret_file);
    intake.read(authorized, authorized_file);
    if (secret_file.empty() && authorized_file.empty()) {
        return std::nullopt;
    }
    if (secret_file.empty() || authorized_file.empty()) {
        intake.fail(secret_file.empty() ? secret : authorized, "is missing: CURVE needs both files of keys");
    }
    CurveServer curve;
    if (!intake.reads_secrets()) {
        curve.authorized_keys_file = authorized_file;
        return curve;
    }
    secret_file = in_credentials(intake, secret, secret_file);
    authorized_file = in_credentials(intake, authorized, authorized_file);
    try {
        curve.secret_key = read_curve_secret(secret_file);
    } catch (const KeyFileError& error) {
        intake.fail(secret, fmt::format("names {}", error.what()));
    }
    try {
        (void)AuthorizedKeys(
            authorized_file);  // Read again by the intake; here, so that a fault is one of configuration.
    } catch (const KeyFileError& error) {
        intake.fail(authorized, fmt::format("names {}", error.what()));
    }
    curve.authorized_keys_file = authorized_file;
    curve.secret_key_file = secret_file;
    return curve;
}

}  // namespace

namespace {

// Throws ConfigError.
Config read_config(Source& source) {
    const std::string& file = source.file;
    const toml::table& root = source.root;
    for (const auto& [key, node] : root) {
        static constexpr std::array<std::string_view, 11> sections{
            "intake",      "postgres", "settle",  "retention", "application", "telegram",
            "comfydeploy", "webhooks", "metrics", "page",      "log"};
        if (std::find(sections.begin(), sections.end(), key.str()) == sections.end()) {
            throw ConfigError(
                fmt::format("{}: [{}] (line {}): no such section", file, key.str(), node.source().begin.line));
        }
    }
    Config config;

    Section intake(source, "intake");
    intake.read("bind", config.intake.bind);
    for (const std::string& endpoint : config.intake.bind) {
        if (!endpoint.starts_with("ipc://") && !endpoint.starts_with("tcp://")) {
            intake.fail("bind", fmt::format("contains \"{}\", which begins with neither ipc:// nor tcp://", endpoint));
        }
    }
    config.intake.curve = read_curve(intake);
    for (const std::string& endpoint : config.intake.bind) {
        if (!config.intake.curve && leaves_the_host(endpoint)) {
            intake.fail("bind",
                        fmt::format("contains \"{}\", which can be reached from other hosts: anyone there could send "
                                    "events; set curve_secret_key_file and curve_authorized_keys_file, or use "
                                    "ipc:// or 127.0.0.1",
                                    endpoint));
        }
    }
    intake.refuse_unknown_keys();

    Section postgres(source, "postgres");
    postgres.read("uri", config.postgres.uri);
    postgres.read("direct_uri", config.postgres.direct_uri);
    postgres.read("appliers", config.postgres.appliers, 1, 64);
    postgres.read("password_file", config.postgres.password_file);
    postgres.refuse_unknown_keys();
    if (config.postgres.uri.empty()) {
        postgres.fail("uri", "is missing; it has no default");
    }
    for (const auto& [key, uri] :
         {std::pair{"uri", &config.postgres.uri}, std::pair{"direct_uri", &config.postgres.direct_uri}}) {
        try {
            check_readable(*uri);
        } catch (const UnreadableUri& error) {
            postgres.fail(key, error.what());
        }
    }
    if (config.postgres.direct_uri.empty()) {
        config.postgres.direct_uri = config.postgres.uri;
    }
    if (std::string& password_file = config.postgres.password_file; !password_file.empty()) {
        password_file = in_credentials(postgres, "password_file", password_file);
        config.postgres.password = read_guarded_secret(postgres, "password_file", password_file);
        if (config.postgres.password.reveal().find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos) {
            postgres.fail("password_file", fmt::format("names \"{}\", which has more than one line", password_file));
        }
        for (std::string* uri : {&config.postgres.uri, &config.postgres.direct_uri}) {
            *uri = with_password(*uri, config.postgres.password);
        }
    }

    Section settle(source, "settle");
    settle.read_duration("outputs_grace_ms", config.settle.outputs_grace, 3'600'000);
    settle.read_duration("duration_max_seconds", config.settle.duration_max, 366LL * 24 * 3600);
    settle.refuse_unknown_keys();

    Section retention(source, "retention");
    static constexpr std::int64_t days_max = 36'500;
    retention.read("webhook_events_days", config.retention.webhook_events_days, 0, days_max);
    retention.read("runs_days", config.retention.runs_days, 0, days_max);
    retention.read("notifications_days", config.retention.notifications_days, 0, days_max);
    retention.read("settlements_days", config.retention.settlements_days, 0, days_max);
    retention.read("quarantine_days", config.retention.quarantine_days, 0, days_max);
    retention.read("tombstones_days", config.retention.tombstones_days, 0, days_max);
    retention.read("news_days", config.retention.news_days, 0, days_max);
    retention.refuse_unknown_keys();

    Section application(source, "application");
    application.read_duration("progress_interval_ms", config.application.progress_interval, 3'600'000);
    application.refuse_unknown_keys();

    Section telegram(source, "telegram");
    telegram.read("token_file", config.telegram.token_file);
    telegram.read("api_url", config.telegram.api_url);
    telegram.read("attempts_max", config.telegram.attempts_max, 1, 100);
    telegram.read_duration("retry_delay_min_ms", config.telegram.retry_delay_min, 3'600'000);
    telegram.read_duration("retry_delay_max_ms", config.telegram.retry_delay_max, 86'400'000);
    telegram.read_duration("timeout_ms", config.telegram.timeout, 600'000);
    telegram.read_duration("lease_margin_ms", config.telegram.lease_margin, 3'600'000);
    telegram.read_duration("not_after_seconds", config.telegram.not_after, 366LL * 24 * 3600);
    telegram.read("messages_per_second", config.telegram.messages_per_second, 1, 10'000);
    telegram.read("chat_messages_per_second", config.telegram.chat_messages_per_second, 1, 10'000);
    telegram.read("group_messages_per_minute", config.telegram.group_messages_per_minute, 1, 600'000);
    telegram.read("progress", config.telegram.progress, "true or false");
    telegram.read_duration("progress_interval_ms", config.telegram.progress_interval, 3'600'000);
    telegram.read_duration("fetch_timeout_ms", config.telegram.fetch_timeout, 60'000);
    telegram.read("fetch_bytes_max", config.telegram.fetch_bytes_max, 1, 50'000'000);
    telegram.read("fetch_hosts", config.telegram.fetch_hosts);
    for (const std::string& host : config.telegram.fetch_hosts) {
        check_host_name(telegram, "fetch_hosts", host);
    }
    constexpr std::chrono::milliseconds longest_wait_for_the_pace{5000};
    if (!config.telegram.fetch_hosts.empty() &&
        config.telegram.lease_margin < config.telegram.fetch_timeout + longest_wait_for_the_pace) {
        telegram.fail("lease_margin_ms", "is less than fetch_timeout_ms and 5000: a lease would end before its call");
    }
    read_wordings(file, root, config.telegram.text);
    telegram.know("text");
    std::string language;
    telegram.read("language", language);
    if (!language.empty()) {
        const auto tag = telegram::find_language(language);
        if (!tag || !config.telegram.text.by_language.contains(*tag)) {
            telegram.fail("language", fmt::format("is \"{0}\", but there is no [telegram.text.{0}]", language));
        }
        config.telegram.text.language = *tag;
    }
    telegram.read("silent_success", config.telegram.options.silent_success, "true or false");
    telegram.read("silent_failure", config.telegram.options.silent_failure, "true or false");
    telegram.read("protect_content", config.telegram.options.protect_content, "true or false");
    telegram.read_word("send_as", config.telegram.options.sends_documents, {{"media", false}, {"document", true}});
    config.telegram.options.buttons = read_buttons(telegram, root);
    telegram.read("daemons", config.telegram.daemons, 1, 64);
    config.telegram.mode = telegram.has("token_file") ? TelegramMode::send : TelegramMode::log;
    telegram.read_word("mode", config.telegram.mode, {{"send", TelegramMode::send}, {"log", TelegramMode::log}});
    telegram.read_word("links", config.telegram.links,
                       {{"hand_over", LinkUse::hand_over}, {"upload", LinkUse::upload}});
    telegram.refuse_unknown_keys();
    if (!config.telegram.api_url.starts_with("https://") && !config.telegram.api_url.starts_with("http://")) {
        telegram.fail("api_url", fmt::format("is \"{}\", which begins with neither https:// nor http://",
                                             config.telegram.api_url));
    }
    while (config.telegram.api_url.ends_with('/')) {
        config.telegram.api_url.pop_back();
    }
    if (!config.telegram.token_file.empty() && telegram.reads_secrets()) {
        config.telegram.token_file = in_credentials(telegram, "token_file", config.telegram.token_file);
        config.telegram.token = read_guarded_word(telegram, "token_file", config.telegram.token_file);
    } else if (config.telegram.token_file.empty() && config.telegram.mode == TelegramMode::send) {
        telegram.fail("mode", "is \"send\", but token_file is missing");
    }

    Section comfydeploy(source, "comfydeploy");
    config.comfydeploy = read_comfydeploy(comfydeploy);

    Section webhooks(source, "webhooks");
    config.webhooks = read_webhooks(webhooks);

    Section metrics(source, "metrics");
    metrics.read("listen", config.metrics.listen);
    metrics.refuse_unknown_keys();

    Section page(source, "page");
    config.page = read_page(page, config);

    Section log(source, "log");
    static constexpr std::array<std::string_view, 5> levels{"trace", "debug", "info", "warn", "error"};
    log.read("level", config.log.level);
    if (std::find(levels.begin(), levels.end(), config.log.level) == levels.end()) {
        log.fail("level", fmt::format("is \"{}\", not one of trace, debug, info, warn, error", config.log.level));
    }
    log.read_word("format", config.log.format, {{"text", LogFormat::text}, {"json", LogFormat::json}});
    log.refuse_unknown_keys();

    return config;
}

}  // namespace

// Of a table or key that stands in the file twice: where the first one is; else empty.
static std::string place_of_the_first(const toml::parse_error& error, const std::string& path) {
    const std::string_view said = error.description();
    const std::size_t end = said.rfind('\'');
    const std::size_t begin = end == std::string_view::npos || end == 0 ? end : said.rfind('\'', end - 1);
    if (said.find("redefine") == std::string_view::npos || begin == std::string_view::npos || begin == end) {
        return "";
    }
    const std::string name(said.substr(begin + 1, end - begin - 1));
    std::ifstream file(path);
    std::string line;
    std::size_t first = 0;
    bool is_table = false;
    for (std::size_t number = 1; number < error.source().begin.line && std::getline(file, line); ++number) {
        line.erase(0, line.find_first_not_of(" \t"));
        const bool is_header = line.starts_with('[');
        if (is_header && line.starts_with(fmt::format("[{}]", name))) {
            first = number;
            is_table = true;
        } else if (is_header && !is_table) {
            first = 0;  // A key of another table.
        } else if (first == 0 && line.starts_with(name) &&
                   line.find_first_not_of(" \t", name.size()) == line.find('=', name.size())) {
            first = number;
        }
    }
    return first == 0 ? "" : fmt::format(": the first is in line {}{}", first, is_table ? "; write into that one" : "");
}

Config load_config(const std::filesystem::path& path, Secrets secrets) {
    Source source{.file = path.string(), .root = {}, .secrets = secrets};
    if (::access(path.c_str(), R_OK) != 0) {
        throw ConfigError(fmt::format("{}: the configuration can't be read: {}; --config FILE names another",
                                      source.file, std::generic_category().message(errno)));
    }
    if (std::error_code ignored; std::filesystem::is_directory(path, ignored)) {
        throw ConfigError(fmt::format("{}: the configuration can't be read: it is a folder", source.file));
    }
    try {
        source.root = toml::parse_file(source.file);
    } catch (const toml::parse_error& error) {
        throw ConfigError(fmt::format("{}: line {}: {}{}", source.file, error.source().begin.line, error.description(),
                                      place_of_the_first(error, source.file)));
    }
    return read_config(source);
}

std::vector<std::string> known_keys() {
    Source source{.file = {}, .root = toml::table{{"postgres", toml::table{{"uri", "dbname=x"}}}}};
    (void)read_config(source);
    return source.known_keys;
}

}  // namespace runledger
