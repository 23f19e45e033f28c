#include "daemon/config.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/temp_folder.hpp"

namespace runledger {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ConfigFile : public testing::Test {
protected:
    [[nodiscard]] Config load(std::string_view text) const { return load_config(folder_.write_file("c.toml", text)); }

    [[nodiscard]] std::string fault_of(std::string_view text) const {
        try {
            (void)load(text);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "accepted";
    }

    [[nodiscard]] std::string token_file(std::string_view content) const {
        return folder_.write_secret("token", content).string();
    }

    test::TempFolder folder_;
};

TEST_F(ConfigFile, NeedsNothingButTheDatabase) {
    const Config config = load("[postgres]\nuri = \"dbname=x\"\n");

    EXPECT_EQ(config.postgres.uri, "dbname=x");
    EXPECT_EQ(config.postgres.direct_uri, "dbname=x");
    EXPECT_EQ(config.intake.bind, std::vector<std::string>{"ipc:///run/runledger/daemon.sock"});
    EXPECT_EQ(config.telegram.mode, TelegramMode::log);
    EXPECT_EQ(config.settle.outputs_grace, std::chrono::seconds{3});
}

TEST_F(ConfigFile, SaysWhyASecretHoldsNothing) {
    const auto fault = [&](const std::string& file) {
        return fault_of("[postgres]\nuri = \"dbname=x\"\n[telegram]\ntoken_file = \"" + file + "\"\n");
    };

    EXPECT_THAT(fault(token_file(" \n")), HasSubstr("token\": the file is empty"));
    const auto folder = folder_.make_folder("closed");
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    EXPECT_THAT(fault(folder.string()), HasSubstr("closed\": is a folder"));
    EXPECT_THAT(fault("/nonexistent"), HasSubstr("names \"/nonexistent\": No such file or directory"));
}

TEST_F(ConfigFile, SaysWhereTheFirstOneIsOfWhatStandsInItTwice) {
    EXPECT_THAT(fault_of("[postgres]\nuri = \"dbname=x\"\n\n[page]\n# [page]\n[log]\nlevel = \"info\"\n[page]\n"),
                AllOf(HasSubstr("line 8: "), HasSubstr("'page': the first is in line 4; write into that one")));
    EXPECT_THAT(fault_of("[log]\nlevel = \"info\"\n[postgres]\nuri = \"dbname=x\"\nlevel = 1\nuri = \"dbname=y\"\n"),
                AllOf(HasSubstr("line 6: "), HasSubstr("'uri': the first is in line 4")));
}

TEST_F(ConfigFile, KeepsEverythingForGoodUnlessItIsToldHowLong) {
    EXPECT_EQ(load("[postgres]\nuri = \"dbname=x\"\n").retention.webhook_events_days, 0U);
    EXPECT_EQ(load("[postgres]\nuri = \"dbname=x\"\n[retention]\nruns_days = 400\n").retention.runs_days, 400U);
    EXPECT_THAT(fault_of("[postgres]\nuri = \"dbname=x\"\n[retention]\nruns_days = -1\n"),
                HasSubstr("not within 0 to 36500"));
    EXPECT_THAT(fault_of("[postgres]\nuri = \"dbname=x\"\n[retention]\ngenerations_days = 1\n"),
                HasSubstr("no such key"));
}

TEST_F(ConfigFile, HasNoPageWithoutATokenOfSomeLength) {
    const std::string base = "[postgres]\nuri = \"dbname=x\"\n[page]\n";
    const auto with = [&](std::string_view token) { return base + "token_file = \"" + token_file(token) + "\"\n"; };

    EXPECT_TRUE(load("[postgres]\nuri = \"dbname=x\"\n").page.token_file.empty());
    EXPECT_EQ(load(base).page.uri, "dbname=x");
    EXPECT_EQ(load(with(" 0123456789abcdef\n")).page.token.reveal(), "0123456789abcdef");
    EXPECT_THAT(fault_of(with("0123456789abcde")), HasSubstr("fewer than 16 characters"));
    EXPECT_THAT(fault_of(base + "token_file = \"" + folder_.write_file("open", "0123456789abcdef").string() + "\"\n"),
                HasSubstr("[page] token_file"));
    EXPECT_THAT(fault_of(with("0123456789abcdef") + "[metrics]\nlisten = \"\"\n"), HasSubstr("is served there"));
    EXPECT_THAT(fault_of(base + "edges = [\"edge-1:9145\"]\n"), HasSubstr("neither https:// nor http://"));
    EXPECT_THAT(fault_of(base + "uri = \"host=a b\"\n"), HasSubstr("[page] uri"));
    EXPECT_THAT(fault_of(base + "tokens = \"a\"\n"), HasSubstr("no such key"));
}

TEST_F(ConfigFile, SendsOnceThereIsAToken) {
    const std::string text =
        "[postgres]\nuri = \"dbname=x\"\n[telegram]\ntoken_file = \"" + token_file("  100:secret\n") + "\"\n";

    EXPECT_EQ(load(text).telegram.mode, TelegramMode::send);
    EXPECT_EQ(load(text).telegram.token.reveal(), "100:secret");
    EXPECT_EQ(load(text + "mode = \"log\"\n").telegram.mode, TelegramMode::log);
}

TEST_F(ConfigFile, LooksUpSilentRunsOnceThereIsAKeyThatOthersCantRead) {
    const std::string file = folder_.write_secret("key", " cd_0123456789 \n").string();
    const std::string text = "[postgres]\nuri = \"dbname=x\"\n[comfydeploy]\napi_key_file = \"" + file +
                             "\"\nrunning_silence_seconds = 60\n";

    EXPECT_TRUE(load("[postgres]\nuri = \"dbname=x\"\n").comfydeploy.api_key.is_empty());
    EXPECT_EQ(load(text).comfydeploy.api_key.reveal(), "cd_0123456789");
    EXPECT_EQ(load(text).comfydeploy.silence.running, std::chrono::seconds{60});
    EXPECT_EQ(load(text).comfydeploy.silence.queued, std::chrono::minutes{15});

    std::filesystem::permissions(file, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
    EXPECT_THAT(fault_of(text), AllOf(HasSubstr("others may read this secret"), Not(HasSubstr("0123456789"))));
    folder_.write_secret("key", "cd_0123456789\nX-Other: header\n");
    EXPECT_THAT(fault_of(text), AllOf(HasSubstr("more than one word"), Not(HasSubstr("0123456789"))));
}

struct Fault {
    const char* name;
    const char* text;
    const char* says;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class ConfigFaults : public ConfigFile, public testing::WithParamInterface<Fault> {};

TEST_P(ConfigFaults, AreNamed) { EXPECT_THAT(fault_of(GetParam().text), HasSubstr(GetParam().says)); }

INSTANTIATE_TEST_SUITE_P(
    ConfigFile, ConfigFaults,
    testing::Values(
        Fault{"no_uri", "[log]\nlevel = \"info\"\n", "[postgres] uri is missing"},
        Fault{"no_toml", "[postgres\n", "line 1"},
        Fault{"unknown_section", "[postgres]\nuri = \"dbname=x\"\n[postgre]\n", "[postgre] (line 3): no such section"},
        Fault{"unknown_key", "[postgres]\nuri = \"dbname=x\"\nappliances = 2\n",
              "[postgres] appliances (line 3): no such key"},
        Fault{"section_is_a_value", "postgres = 7\n", "postgres is not a table"},
        Fault{"uri_is_a_number", "[postgres]\nuri = 7\n", "[postgres] uri (line 2) is not a string"},
        Fault{"no_appliers", "[postgres]\nuri = \"dbname=x\"\nappliers = 0\n", "is 0, not within 1 to 64"},
        Fault{"appliers_as_text", "[postgres]\nuri = \"dbname=x\"\nappliers = \"2\"\n", "is not a whole number"},
        Fault{"bind_is_no_list", "[postgres]\nuri = \"dbname=x\"\n[intake]\nbind = \"ipc:///x\"\n",
              "is not a list of strings"},
        Fault{"bind_is_empty", "[postgres]\nuri = \"dbname=x\"\n[intake]\nbind = []\n", "is not a list of strings"},
        Fault{"bind_over_udp", "[postgres]\nuri = \"dbname=x\"\n[intake]\nbind = [\"udp://x\"]\n", "\"udp://x\""},
        Fault{"bind_to_all_without_curve", "[postgres]\nuri = \"dbname=x\"\n[intake]\nbind = [\"tcp://*:9463\"]\n",
              "\"tcp://*:9463\", which can be reached from other hosts"},
        Fault{"one_curve_file", "[postgres]\nuri = \"dbname=x\"\n[intake]\ncurve_secret_key_file = \"/nonexistent\"\n",
              "[intake] curve_authorized_keys_file is missing"},
        Fault{"curve_file_that_is_not_there",
              "[postgres]\nuri = \"dbname=x\"\n[intake]\ncurve_secret_key_file = \"/nonexistent\"\n"
              "curve_authorized_keys_file = \"/nonexistent\"\n",
              "curve_secret_key_file (line 4) names \"/nonexistent\": it can't be read"},
        Fault{"negative_grace", "[postgres]\nuri = \"dbname=x\"\n[settle]\noutputs_grace_ms = -1\n", "not within 0 to"},
        Fault{"unknown_use_of_links", "[postgres]\nuri = \"dbname=x\"\n[telegram]\nlinks = \"all\"\n",
              "not one of \"hand_over\", \"upload\""},
        Fault{"unknown_mode", "[postgres]\nuri = \"dbname=x\"\n[telegram]\nmode = \"loud\"\n",
              "not one of \"send\", \"log\""},
        Fault{"send_without_token", "[postgres]\nuri = \"dbname=x\"\n[telegram]\nmode = \"send\"\n",
              "token_file is missing"},
        Fault{"missing_token", "[postgres]\nuri = \"dbname=x\"\n[telegram]\ntoken_file = \"/nonexistent\"\n",
              "No such file or directory"},
        Fault{"api_without_scheme", "[postgres]\nuri = \"dbname=x\"\n[telegram]\napi_url = \"api.telegram.org\"\n",
              "neither https:// nor http://"},
        Fault{"unknown_text", "[postgres]\nuri = \"dbname=x\"\n[telegram.text]\nfinished = \"x\"\n",
              "[telegram.text] finished (line 4): no such text; there are completed,"},
        Fault{"text_is_a_number", "[postgres]\nuri = \"dbname=x\"\n[telegram.text]\ncompleted = 7\n",
              "is not a string"},
        Fault{"unknown_placeholder", "[postgres]\nuri = \"dbname=x\"\n[telegram.text]\ncompleted = \"in {time}\"\n",
              "[telegram.text] completed (line 4) has no placeholder {time}; known are {duration}"},
        Fault{"fetch_host_with_scheme", "[postgres]\nuri = \"dbname=x\"\n[telegram]\nfetch_hosts = [\"https://h\"]\n",
              "contains \"https://h\", which is not a host's name"},
        Fault{"lease_shorter_than_its_fetch",
              "[postgres]\nuri = \"dbname=x\"\n[telegram]\nfetch_hosts = [\"h\"]\nlease_margin_ms = 9000\n",
              "lease_margin_ms (line 5) is less than"},
        Fault{"text_in_no_language", "[postgres]\nuri = \"dbname=x\"\n[telegram.text.french]\ncompleted = \"x\"\n",
              "[telegram.text.french] (line 3) names no language by a tag"},
        Fault{"unknown_text_of_a_language", "[postgres]\nuri = \"dbname=x\"\n[telegram.text.fr]\nfinished = \"x\"\n",
              "[telegram.text.fr] finished (line 4): no such text; there are completed,"},
        Fault{"language_without_texts", "[postgres]\nuri = \"dbname=x\"\n[telegram]\nlanguage = \"fr\"\n",
              "[telegram] language (line 4) is \"fr\", but there is no [telegram.text.fr]"},
        Fault{"buttons_in_no_rows", "[postgres]\nuri = \"dbname=x\"\n[telegram]\nbuttons = [{text = \"a\"}]\n",
              "[telegram] buttons (line 4) is not a list of rows"},
        Fault{"button_of_two_kinds",
              "[postgres]\nuri = \"dbname=x\"\n[telegram]\n"
              "buttons = [[{text = \"a\", url = \"https://h\", callback_data = \"b\"}]]\n",
              "has a button that has not one of url and callback_data"},
        Fault{"button_with_another_key",
              "[postgres]\nuri = \"dbname=x\"\n[telegram]\nbuttons = [[{text = \"a\", data = \"b\"}]]\n",
              "has a button with data, which is no text, url or callback_data"},
        Fault{"button_with_another_placeholder",
              "[postgres]\nuri = \"dbname=x\"\n[telegram]\nbuttons = [[{text = \"{x}\", callback_data = \"b\"}]]\n",
              "has a button that has a text that has no placeholder {x}"},
        Fault{"no_daemons", "[postgres]\nuri = \"dbname=x\"\n[telegram]\ndaemons = 0\n", "is 0, not within 1 to 64"},
        Fault{"unknown_level", "[postgres]\nuri = \"dbname=x\"\n[log]\nlevel = \"noise\"\n",
              "not one of trace, debug"}),
    [](const auto& fault) { return std::string(fault.param.name); });

TEST_F(ConfigFile, TakesCurveKeysThatNobodyElseCanRead) {
    const std::string key(40, 'k');
    const auto secret = folder_.write_file("secret", "ledger " + key + "\n");
    const auto authorized = folder_.write_file("authorized", "edge " + std::string(40, 'e') + "\n");
    const std::string text =
        "[postgres]\nuri = \"dbname=x\"\n[intake]\nbind = [\"tcp://*:9463\"]\ncurve_secret_key_file = \"" +
        secret.string() + "\"\ncurve_authorized_keys_file = \"" + authorized.string() + "\"\n";

    std::filesystem::permissions(secret, std::filesystem::perms{0640});
    EXPECT_EQ(load(text).intake.curve->secret_key.reveal(), key);

    std::filesystem::permissions(secret, std::filesystem::perms{0644});
    EXPECT_THAT(fault_of(text), HasSubstr("others may read this secret"));
    EXPECT_THAT(fault_of(text), testing::Not(HasSubstr(key)));
}

TEST_F(ConfigFile, TakesATokenThatNobodyElseCanRead) {
    const std::string file = token_file("100:secret\n");
    const std::string text = "[postgres]\nuri = \"dbname=x\"\n[telegram]\ntoken_file = \"" + file + "\"\n";

    std::filesystem::permissions(file, std::filesystem::perms{0640});
    EXPECT_EQ(load(text).telegram.token.reveal(), "100:secret");

    for (const unsigned mode : {0644U, 0604U, 0602U, 0601U}) {
        std::filesystem::permissions(file, std::filesystem::perms{mode});
        EXPECT_THAT(fault_of(text),
                    HasSubstr("token_file (line 4) names \"" + file + "\": others may read this secret"));
    }
}

// As the operator's tool reads it, whose user may not read the daemon's secrets.
TEST_F(ConfigFile, LeavesSecretsAloneThatTheProgramHasNoUseFor) {
    const auto text =
        "[intake]\nbind = [\"tcp://*:9463\"]\ncurve_secret_key_file = \"/nonexistent\"\n"
        "curve_authorized_keys_file = \"$CREDENTIALS_DIRECTORY/authorized\"\n[postgres]\nuri = \"dbname=x\"\n"
        "[telegram]\ntoken_file = \"/nonexistent\"\n[comfydeploy]\napi_key_file = \"/nonexistent\"\n"
        "[page]\ntoken_file = \"/nonexistent\"\n";

    const Config config = load_config(folder_.write_file("c.toml", text), Secrets::leave);

    EXPECT_EQ(config.telegram.mode, TelegramMode::send);
    EXPECT_TRUE(config.telegram.token.is_empty());
    EXPECT_TRUE(config.comfydeploy.api_key.is_empty());
    EXPECT_TRUE(config.page.token.is_empty());
    EXPECT_THAT(fault_of(text), HasSubstr("[intake] curve_"));
}

TEST_F(ConfigFile, PutsThePasswordIntoBothConnectionStrings) {
    const std::string file = folder_.write_secret("password", " it's \\ secret \n").string();
    const std::string text = "[postgres]\npassword_file = \"" + file + "\"\n";

    const Config one = load(text + "uri = \"postgresql://me@db-1,db-2/app?target_session_attrs=read-write\"\n");
    EXPECT_THAT(one.postgres.uri, HasSubstr(R"(host='db-1,db-2')"));
    EXPECT_THAT(one.postgres.uri, HasSubstr(R"(target_session_attrs='read-write')"));
    EXPECT_THAT(one.postgres.uri, testing::EndsWith(R"( password='it\'s \\ secret')"));
    EXPECT_EQ(one.postgres.direct_uri, one.postgres.uri);

    const Config own = load(text + "uri = \"user=me\"\ndirect_uri = \"user=me password=own\"\n");
    EXPECT_EQ(own.postgres.uri, R"(user='me' password='it\'s \\ secret')");
    EXPECT_EQ(own.postgres.direct_uri, "user=me password=own");

    std::filesystem::permissions(file, std::filesystem::perms{0644});
    EXPECT_THAT(fault_of(text + "uri = \"user=me\"\n"), HasSubstr("others may read this secret"));
    folder_.write_secret("password", "one\ntwo\n");
    EXPECT_THAT(fault_of(text + "uri = \"user=me\"\n"), HasSubstr("more than one line"));
}

TEST_F(ConfigFile, HasWebhooksOfHttpsAndWithSecretsAlone) {
    const std::string base = "[postgres]\nuri = \"dbname=x\"\n[webhooks]\n";
    const std::string secrets = "secrets_file = \"" +
                                folder_.write_secret("hooks", "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0\n").string() +
                                "\"\n";
    const auto url = [](std::string_view text) { return fmt::format("url = \"{}\"\n", text); };

    EXPECT_FALSE(load(base).webhooks.is_on());
    EXPECT_TRUE(load(base + secrets + url("https://app.example.com/x?y=1")).webhooks.is_on());
    EXPECT_TRUE(load(base + secrets + url("http://127.0.0.1:3000/x") + "url_is_inner = true\n").webhooks.is_on());
    EXPECT_THAT(fault_of(base + secrets + url("http://app.example.com/x")), HasSubstr("begins with http://"));
    EXPECT_THAT(fault_of(base + secrets + url("app.example.com")), HasSubstr("[webhooks] url (line 5) is no URL"));
    EXPECT_THAT(fault_of(base + secrets + url("ftp://app.example.com/x")), HasSubstr("is no URL"));
    EXPECT_THAT(fault_of(base + url("https://app.example.com")), HasSubstr("secrets_file is missing"));
    EXPECT_THAT(fault_of(base + secrets + "host_suffixes = [\"Example.com\"]\n"), HasSubstr("not a host's name"));
    EXPECT_THAT(fault_of(base + secrets + "retry_delay_min_ms = 5000\nretry_delay_max_ms = 10\n"),
                HasSubstr("more than retry_delay_max_ms"));
    EXPECT_EQ(load(base + "events = [\"group\", \"progress\"]\n").webhooks.events.size(), 2U);
    EXPECT_THAT(fault_of(base + "events = [\"groups\"]\n"),
                HasSubstr(R"(contains "groups", not one of "settled", "progress", "group")"));
    folder_.write_secret("hooks", "sesame\n");
    const std::string fault = fault_of(base + secrets + url("https://app.example.com/path-secret"));
    EXPECT_THAT(fault, HasSubstr("line 1 does not begin with whsec_"));
    EXPECT_THAT(fault, AllOf(Not(HasSubstr("sesame")), Not(HasSubstr("path-secret"))));
}

TEST_F(ConfigFile, FindsCredentialsOfTheService) {
    const auto named = [](std::string_view section, std::string_view key, std::string_view name) {
        return fmt::format("[{}]\n{} = \"$CREDENTIALS_DIRECTORY/{}\"\n", section, key, name);
    };
    const std::string text = "[postgres]\nuri = \"dbname=x\"\npassword_file = \"$CREDENTIALS_DIRECTORY/password\"\n" +
                             named("telegram", "token_file", "token") + named("comfydeploy", "api_key_file", "key") +
                             named("page", "token_file", "page-token") +
                             named("intake", "curve_secret_key_file", "secret") +
                             "curve_authorized_keys_file = \"$CREDENTIALS_DIRECTORY/authorized\"\n";
    EXPECT_THAT(fault_of(text), AllOf(HasSubstr("$CREDENTIALS_DIRECTORY"), HasSubstr("LoadCredential=")));
    folder_.write_secret("token", "1:token\n");
    folder_.write_secret("key", "cd_key\n");
    folder_.write_secret("password", "sesame\n");
    folder_.write_secret("page-token", "a token of the page\n");
    folder_.write_secret("secret", std::string(40, 's'));
    folder_.write_secret("authorized", std::string(40, 'a'));
    ::setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1);

    const Config config = load(text);

    ::unsetenv("CREDENTIALS_DIRECTORY");
    EXPECT_EQ(config.telegram.token.reveal(), "1:token");
    EXPECT_EQ(config.telegram.token_file, (folder_.path() / "token").string()) << "it is watched while it is refused";
    EXPECT_EQ(config.comfydeploy.api_key.reveal(), "cd_key");
    EXPECT_THAT(config.postgres.uri, HasSubstr("password='sesame'"));
    EXPECT_EQ(config.page.token.reveal(), "a token of the page");
    EXPECT_EQ(config.page.token_file, (folder_.path() / "page-token").string()) << "it is watched";
    EXPECT_EQ(config.intake.curve->secret_key.reveal(), std::string(40, 's'));
    EXPECT_EQ(config.intake.curve->authorized_keys_file, folder_.path() / "authorized");
}

TEST_F(ConfigFile, IsNamedIfItIsNotThere) {
    for (const auto& path : {folder_.path() / "nowhere.toml", folder_.path()}) {
        try {
            (void)load_config(path);
            ADD_FAILURE() << "accepted";
        } catch (const ConfigError& error) {
            EXPECT_THAT(error.what(), AllOf(HasSubstr(path.string()), HasSubstr("can't be read")));
        }
    }
}

TEST_F(ConfigFile, NeverRepeatsAToken) {
    EXPECT_THAT(fault_of("[postgres]\nuri = \"dbname=x\"\n[telegram]\nmode = \"loud\"\ntoken_file = \"" +
                         token_file("100:secret") + "\"\n"),
                testing::Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace runledger
