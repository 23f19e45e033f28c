// Each key of the configuration to its own field: a table in which every key stands.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "daemon/config.hpp"
#include "daemon/reload.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger {
namespace {

struct Key {
    std::string name;     // "[section] key"
    std::string value;    // TOML; not the default, and not another key's.
    std::string arrives;  // As `field` says it.
    std::function<std::string(const Config&)> field;
};

template <class Part, class Value>
std::function<std::string(const Config&)> field(Part Config::*part, Value Part::*member) {
    return [part, member](const Config& config) {
        const Value& value = config.*part.*member;
        if constexpr (requires { value.count(); }) {
            return std::to_string(value.count());
        } else {
            return fmt::format("{}", value);
        }
    };
}

class ConfigKeys : public testing::Test {
protected:
    // What the others need to be read at all.
    [[nodiscard]] std::map<std::string, std::string> base() const {
        return {{"[postgres] uri", "\"dbname=base\""},
                {"[telegram] text", "{fr = {completed = \"bien\"}}"},
                {"[telegram] token_file", quoted(folder_.write_secret("token", "1:base"))},
                {"[comfydeploy] api_key_file", quoted(folder_.write_secret("key", "base"))},
                {"[webhooks] secrets_file",
                 quoted(folder_.write_secret("webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))},
                {"[intake] curve_secret_key_file", quoted(folder_.write_secret("secret", std::string(40, 'b')))},
                {"[intake] curve_authorized_keys_file", quoted(folder_.write_file("keys", std::string(40, 'b')))}};
    }
    [[nodiscard]] Config load(const std::map<std::string, std::string>& keys) const {
        std::map<std::string, std::string> sections;
        for (const auto& [name, value] : keys) {
            const std::size_t end = name.find(']') + 1;
            sections[name.substr(0, end)] += fmt::format("{} = {}\n", name.substr(end + 1), value);
        }
        std::string text;
        for (const auto& [section, lines] : sections) {
            text += section + "\n" + lines;
        }
        return load_config(folder_.write_file("c.toml", text));
    }
    static std::string quoted(const std::filesystem::path& path) { return '"' + path.string() + '"'; }

    [[nodiscard]] std::vector<Key> keys() const {
        using C = Config;
        using T = TelegramSettings;
        using R = ReconcileSettings;
        using S = ReconcileSettings::Silence;
        using W = WebhookSettings;
        const auto silence = [](std::chrono::seconds S::*member) {
            return
                [member](const Config& config) { return std::to_string((config.comfydeploy.silence.*member).count()); };
        };
        const auto number = [](std::string name, int value, std::function<std::string(const Config&)> of) {
            return Key{std::move(name), std::to_string(value), std::to_string(value), std::move(of)};
        };
        const auto text = [](std::string name, const std::string& value, std::function<std::string(const Config&)> of) {
            return Key{std::move(name), '"' + value + '"', value, std::move(of)};
        };
        const auto other_secret = folder_.write_secret("other_secret", std::string(40, 'o'));
        const auto other_keys = folder_.write_file("other_keys", std::string(40, 'o'));
        return {
            {"[intake] bind", "[\"ipc:///tmp/a\", \"tcp://127.0.0.1:1\"]", "ipc:///tmp/a tcp://127.0.0.1:1",
             [](const Config& c) { return fmt::format("{}", fmt::join(c.intake.bind, " ")); }},
            {"[intake] curve_secret_key_file", quoted(other_secret), std::string(40, 'o'),
             [](const Config& c) { return std::string(c.intake.curve->secret_key.reveal()); }},
            {"[intake] curve_authorized_keys_file", quoted(other_keys), other_keys.string(),
             [](const Config& c) { return c.intake.curve->authorized_keys_file; }},
            text("[postgres] uri", "dbname=one", field(&C::postgres, &PostgresSettings::uri)),
            text("[postgres] direct_uri", "dbname=two", field(&C::postgres, &PostgresSettings::direct_uri)),
            {"[postgres] password_file", quoted(folder_.write_secret("password", "sesame")), "sesame",
             [](const Config& c) { return std::string(c.postgres.password.reveal()); }},
            number("[postgres] appliers", 11, field(&C::postgres, &PostgresSettings::appliers)),
            number("[settle] outputs_grace_ms", 101, field(&C::settle, &SettleSettings::outputs_grace)),
            number("[settle] duration_max_seconds", 102, field(&C::settle, &SettleSettings::duration_max)),
            number("[retention] webhook_events_days", 201,
                   field(&C::retention, &RetentionSettings::webhook_events_days)),
            number("[retention] runs_days", 202, field(&C::retention, &RetentionSettings::runs_days)),
            number("[retention] notifications_days", 203, field(&C::retention, &RetentionSettings::notifications_days)),
            number("[retention] settlements_days", 204, field(&C::retention, &RetentionSettings::settlements_days)),
            number("[retention] quarantine_days", 205, field(&C::retention, &RetentionSettings::quarantine_days)),
            number("[retention] tombstones_days", 206, field(&C::retention, &RetentionSettings::tombstones_days)),
            number("[retention] news_days", 207, field(&C::retention, &RetentionSettings::news_days)),
            number("[application] progress_interval_ms", 208,
                   field(&C::application, &ApplicationSettings::progress_interval)),
            {"[telegram] token_file", quoted(folder_.write_secret("other_token", "2:other")), "2:other",
             [](const Config& c) { return std::string(c.telegram.token.reveal()); }},
            text("[telegram] api_url", "https://bot.example.com", field(&C::telegram, &T::api_url)),
            {"[telegram] mode", "\"log\"", "log",
             [](const Config& c) { return c.telegram.mode == TelegramMode::log ? "log" : "send"; }},
            {"[telegram] links", "\"upload\"", "upload",
             [](const Config& c) { return c.telegram.links == LinkUse::upload ? "upload" : "hand_over"; }},
            number("[telegram] attempts_max", 13, field(&C::telegram, &T::attempts_max)),
            number("[telegram] retry_delay_min_ms", 301, field(&C::telegram, &T::retry_delay_min)),
            number("[telegram] retry_delay_max_ms", 302, field(&C::telegram, &T::retry_delay_max)),
            number("[telegram] timeout_ms", 303, field(&C::telegram, &T::timeout)),
            number("[telegram] lease_margin_ms", 304, field(&C::telegram, &T::lease_margin)),
            number("[telegram] not_after_seconds", 305, field(&C::telegram, &T::not_after)),
            number("[telegram] messages_per_second", 306, field(&C::telegram, &T::messages_per_second)),
            number("[telegram] chat_messages_per_second", 307, field(&C::telegram, &T::chat_messages_per_second)),
            number("[telegram] group_messages_per_minute", 308, field(&C::telegram, &T::group_messages_per_minute)),
            {"[telegram] progress", "true", "true", field(&C::telegram, &T::progress)},
            number("[telegram] progress_interval_ms", 309, field(&C::telegram, &T::progress_interval)),
            {"[telegram] fetch_hosts", "[\"a.example.com\"]", "a.example.com",
             [](const Config& c) { return fmt::format("{}", fmt::join(c.telegram.fetch_hosts, " ")); }},
            number("[telegram] fetch_timeout_ms", 310, field(&C::telegram, &T::fetch_timeout)),
            number("[telegram] fetch_bytes_max", 311, field(&C::telegram, &T::fetch_bytes_max)),
            number("[telegram] daemons", 12, field(&C::telegram, &T::daemons)),
            {"[telegram] buttons", "[[{text = \"Again\", callback_data = \"again\"}]]", "Again",
             [](const C& c) {
                 return c.telegram.options.buttons.empty() ? "" : c.telegram.options.buttons[0][0].text.fill({});
             }},
            {"[telegram] send_as", "\"document\"", "true",
             [](const C& c) { return fmt::format("{}", c.telegram.options.sends_documents); }},
            {"[telegram] silent_success", "true", "true",
             [](const C& c) { return fmt::format("{}", c.telegram.options.silent_success); }},
            {"[telegram] silent_failure", "true", "true",
             [](const C& c) { return fmt::format("{}", c.telegram.options.silent_failure); }},
            {"[telegram] protect_content", "true", "true",
             [](const C& c) { return fmt::format("{}", c.telegram.options.protect_content); }},
            {"[telegram] text", "{completed = \"well\"}", "well",
             [](const Config& c) { return c.telegram.text.plain.completed.fill({}); }},
            text("[telegram] language", "fr", [](const C& c) { return c.telegram.text.language; }),
            text("[comfydeploy] api_url", "https://comfy.example.com", field(&C::comfydeploy, &R::api_url)),
            {"[comfydeploy] api_key_file", quoted(folder_.write_secret("other_key", "other")), "other",
             [](const Config& c) { return std::string(c.comfydeploy.api_key.reveal()); }},
            number("[comfydeploy] queued_silence_seconds", 401, silence(&S::queued)),
            number("[comfydeploy] started_silence_seconds", 402, silence(&S::started)),
            number("[comfydeploy] running_silence_seconds", 403, silence(&S::running)),
            number("[comfydeploy] uploading_silence_seconds", 404, silence(&S::uploading)),
            number("[comfydeploy] other_silence_seconds", 405, silence(&S::other)),
            number("[comfydeploy] unheard_silence_seconds", 406, silence(&S::unheard)),
            number("[comfydeploy] give_up_seconds", 407, field(&C::comfydeploy, &R::give_up)),
            number("[comfydeploy] concurrency", 14, field(&C::comfydeploy, &R::concurrency)),
            number("[comfydeploy] timeout_ms", 408, field(&C::comfydeploy, &R::timeout)),
            number("[comfydeploy] retry_delay_min_ms", 409, field(&C::comfydeploy, &R::retry_delay_min)),
            number("[comfydeploy] retry_delay_max_ms", 3'600'001, field(&C::comfydeploy, &R::retry_delay_max)),
            text("[webhooks] url", "https://hook.example.com/a", field(&C::webhooks, &W::url)),
            {"[webhooks] url_is_inner", "true", "true", field(&C::webhooks, &W::url_is_inner)},
            {"[webhooks] secrets_file",
             quoted(folder_.write_secret("other_webhooks", "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0")),
             "secret-secret-secret-secret",
             [](const Config& c) { return std::string(c.webhooks.secrets.front().reveal()); }},
            {"[webhooks] host_suffixes", "[\"hooks.example.com\"]", "hooks.example.com",
             [](const Config& c) { return fmt::format("{}", fmt::join(c.webhooks.host_suffixes, " ")); }},
            {"[webhooks] metadata_keys", "[\"userId\", \"tool\"]", "userId tool",
             [](const Config& c) { return fmt::format("{}", fmt::join(c.webhooks.metadata_keys, " ")); }},
            {"[webhooks] events", "[\"progress\", \"settled\"]", "progress settled",
             [](const Config& c) { return fmt::format("{}", fmt::join(c.webhooks.events, " ")); }},
            number("[webhooks] progress_interval_ms", 506, field(&C::webhooks, &W::progress_interval)),
            number("[webhooks] timeout_ms", 501, field(&C::webhooks, &W::timeout)),
            number("[webhooks] retry_delay_min_ms", 502, field(&C::webhooks, &W::retry_delay_min)),
            number("[webhooks] retry_delay_max_ms", 1503, field(&C::webhooks, &W::retry_delay_max)),
            number("[webhooks] give_up_days", 15, field(&C::webhooks, &W::give_up)),
            number("[webhooks] retry_after_max_seconds", 504, field(&C::webhooks, &W::retry_after_max)),
            number("[webhooks] concurrency", 16, field(&C::webhooks, &W::concurrency)),
            number("[webhooks] breaker_failures", 17, field(&C::webhooks, &W::breaker_failures)),
            number("[webhooks] breaker_delay_max_ms", 505, field(&C::webhooks, &W::breaker_delay_max)),
            text("[metrics] listen", "127.0.0.1:1", field(&C::metrics, &Config::Metrics::listen)),
            {"[page] token_file", quoted(folder_.write_secret("page_token", "a-token-for-the-page")),
             "a-token-for-the-page", [](const Config& c) { return std::string(c.page.token.reveal()); }},
            text("[page] uri", "dbname=three", field(&C::page, &PageSettings::uri)),
            {"[page] edges", "[\"http://e/1\", \"https://e/2\"]", "http://e/1 https://e/2",
             [](const Config& c) { return fmt::format("{}", fmt::join(c.page.edges, " ")); }},
            text("[log] level", "debug", field(&C::log, &LogSettings::level)),
            {"[log] format", "\"json\"", "json",
             [](const Config& c) { return c.log.format == LogFormat::json ? "json" : "text"; }},
        };
    }

    test::TempFolder folder_;
};

TEST_F(ConfigKeys, AreAllInTheTableAndInTheDocumentation) {
    std::set<std::string> in_table;
    for (const Key& key : keys()) {
        in_table.insert(key.name);
    }
    const auto known = known_keys();
    EXPECT_EQ(in_table, std::set<std::string>(known.begin(), known.end()));

    const std::string documentation = test::read_text(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/settings.md");
    for (const std::string& name : known) {
        // A row names one key, or several of its section after the first.
        const std::string section = name.substr(0, name.find(']') + 1);
        const std::string key = name.substr(section.size() + 1);
        const bool is_there = documentation.find("| `" + name + "`") != std::string::npos ||
                              documentation.find(", `" + key + "`") != std::string::npos ||
                              (key == "text" && documentation.find("| `[telegram.text]`") != std::string::npos);
        EXPECT_TRUE(is_there) << name << " is not in docs/settings.md";
    }
}

// The first `count` values of a cell of docs/settings.md, as `field` says them: `["settled"]`, "500, 300000", "none",
// and "604800, a week", which is one value.
std::vector<std::string> defaults_of(std::string cell, std::size_t count) {
    std::vector<std::string> values;
    if (count == 1 && cell.starts_with('`')) {
        cell = cell.substr(1, cell.find('`', 1) - 1);
        std::erase_if(cell, [](char c) { return c == '[' || c == ']' || c == '"' || c == ','; });
        return {cell};
    }
    for (std::size_t at = 0; values.size() < count && at <= cell.size();) {
        const std::size_t end = std::min(cell.find(", ", at), cell.size());
        const std::string value = cell.substr(at, end - at);
        values.push_back(value == "none" ? "" : value);
        at = end + 2;
    }
    return values;
}

TEST_F(ConfigKeys, HaveTheDefaultsOfTheDocumentation) {
    // What `field` says of them where the cell has a sentence; nothing: it is not compared.
    const std::map<std::string, std::optional<std::string>> in_words{
        {"[postgres] uri", std::nullopt},  // It has none.
        {"[postgres] direct_uri", "dbname=base"},
        {"[page] uri", "dbname=base"},
        {"[telegram] mode", "log"},       // Without a token file.
        {"[telegram] send_as", "false"},  // It is a flag here.
        {"[telegram] language", ""},
        // These have no field that could be read; they are looked at below.
        {"[intake] curve_secret_key_file", std::nullopt},
        {"[intake] curve_authorized_keys_file", std::nullopt},
        {"[webhooks] secrets_file", std::nullopt},
    };
    const Config config = load({{"[postgres] uri", "\"dbname=base\""}});
    std::map<std::string, Key> left;
    for (Key& key : keys()) {
        left.emplace(key.name, key);
    }

    std::istringstream lines(test::read_text(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/settings.md"));
    for (std::string line; std::getline(lines, line);) {
        const std::size_t section_end = line.find("] ");
        if (!line.starts_with("| `[") || section_end == std::string::npos || section_end > line.find(" | ")) {
            continue;
        }
        const std::string section = line.substr(3, section_end - 2);
        std::vector<std::string> names;
        const std::string first_cell = line.substr(0, line.find(" | "));
        const std::regex name("(?:\\] |, `)([a-z_]+)`");
        for (std::sregex_iterator found(first_cell.begin(), first_cell.end(), name), end; found != end; ++found) {
            names.push_back(section + " " + (*found)[1].str());
        }
        line.resize(line.rfind(" |"));
        const auto defaults = defaults_of(line.substr(line.rfind(" | ") + 3), names.size());
        ASSERT_EQ(defaults.size(), names.size()) << line;
        for (std::size_t i = 0; i < names.size(); ++i) {
            const auto key = left.find(names[i]);
            ASSERT_TRUE(key != left.end()) << names[i] << " is no key, or has two rows";
            const auto words = in_words.find(names[i]);
            if (words == in_words.end() || words->second) {
                EXPECT_EQ(key->second.field(config), words == in_words.end() ? defaults[i] : *words->second)
                    << names[i];
            }
            left.erase(key);
        }
    }
    left.erase("[telegram] text");  // Its row has another form.
    EXPECT_TRUE(left.empty()) << left.begin()->first << " has no row";
    EXPECT_FALSE(config.intake.curve);
    EXPECT_TRUE(config.webhooks.secrets.empty());
}

TEST_F(ConfigKeys, ArriveEachInItsOwnField) {
    const auto all = keys();
    const Config before = load(base());
    for (const Key& set : all) {
        auto text = base();
        text[set.name] = set.value;

        const Config after = load(text);

        EXPECT_EQ(set.field(after), set.arrives) << set.name;
        EXPECT_NE(set.field(before), set.arrives) << set.name << ": the table's value is the default";
        for (const Key& other : all) {
            // Without one of their own, direct_uri and the page's are the uri. The password is in all.
            const bool follows =
                (set.name == "[postgres] uri" || set.name == "[postgres] password_file") && other.name.ends_with("uri");
            if (other.name != set.name && !follows) {
                EXPECT_EQ(other.field(after), other.field(before)) << set.name << " changes " << other.name;
            }
        }
    }
}

TEST_F(ConfigKeys, AreEachPutToUseByAReloadOrNamedAsWaitingForARestart) {
    const Config before = load(base());
    for (const Key& set : keys()) {
        auto text = base();
        text[set.name] = set.value;

        const ConfigChange change = change_between(before, load(text));

        const std::string section = set.name.substr(0, set.name.find(']') + 1);
        const bool is_put_to_use = change.sections == std::vector<std::string>{section};
        const bool waits = std::ranges::find(change.keys_for_restart, set.name) != change.keys_for_restart.end();
        EXPECT_TRUE(is_put_to_use != waits) << set.name;

        // docs/settings.md marks those that wait.
        const std::string documentation = test::read_text(std::string(RUNLEDGER_SOURCE_DIR) + "/docs/settings.md");
        const std::string row =
            documentation.substr(std::min(documentation.find("| `" + set.name + "`"), documentation.size()));
        EXPECT_EQ(row.substr(0, row.find('\n')).find("needs a restart") != std::string::npos, waits) << set.name;
    }
}

}  // namespace
}  // namespace runledger
