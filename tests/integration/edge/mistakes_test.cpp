// Wrong configurations, each with the sentence that `nginx -t` refuses it with; docs/nginx-t.md shows operators the
// same table, and a test holds the two against each other.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "tests/integration/edge/edge_fixture.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

// Where the mistake stands. `spool`, `daemon` and `token` take the place of the directive that is right.
enum class Place { spool, daemon, token, location, server, http };

struct Mistake {
    std::string name;
    Place place;
    std::string text;
    std::string sentence;  // All that is said but nginx's own "in <file>:<line>".

    friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }
};

std::vector<Mistake> mistakes() {
    const auto file = [](std::string name, std::string sentence) {
        return Mistake{name, Place::token, fmt::format("runledger_token $arg_token file=@TEST_FOLDER@/{};", name),
                       fmt::format("runledger_token: \"@TEST_FOLDER@/{}\": {}", name, sentence)};
    };
    const auto endpoint = [](std::string name, std::string text, std::string why) {
        return Mistake{std::move(name), Place::daemon, fmt::format("runledger_daemon {};", text),
                       fmt::format("runledger_daemon: \"{}\" is not an endpoint: {}", text, why)};
    };
    return {
        {"spool_missing", Place::spool, "",
         "runledger_webhook in @FOLDER@/nginx.conf:13 needs runledger_spool at http level: there is no place to store "
         "events"},
        {"spool_without_folder", Place::spool, "runledger_spool;",
         "invalid number of arguments in \"runledger_spool\" directive"},
        {"spool_empty", Place::spool, "runledger_spool \"\";", "runledger_spool \"\" is not a folder"},
        {"spool_twice", Place::http, "runledger_spool /elsewhere;",
         "runledger_spool is given twice; all locations share one spool"},
        {"spool_in_server", Place::server, "runledger_spool /elsewhere;",
         "\"runledger_spool\" directive is not allowed here"},
        {"spool_size", Place::spool, "runledger_spool @SPOOL@ max_size=12q;",
         "runledger_spool: \"max_size=12q\" is not a size, such as max_size=1g"},
        {"spool_too_small", Place::spool, "runledger_spool @SPOOL@ max_size=63m;",
         "runledger_spool: \"max_size=63m\" is less than four segments, 64m"},
        {"spool_parameter", Place::spool, "runledger_spool @SPOOL@ size=1g;",
         "runledger_spool: \"size=1g\" is not a parameter; max_size=<size>, keep_acked=<time> and host=<name> are"},
        {"spool_parameter_twice", Place::spool, "runledger_spool @SPOOL@ max_size=1g max_size=2g;",
         "runledger_spool: \"max_size=2g\" is given a second time"},
        {"spool_not_there", Place::spool, "runledger_spool @TEST_FOLDER@/nothing;",
         "runledger: runledger_spool \"@TEST_FOLDER@/nothing\": the folder can't be reached by the user that nginx "
         "runs as: No such file or directory"},
        {"spool_not_a_folder", Place::spool, "runledger_spool @TEST_FOLDER@/a_file;",
         "runledger: runledger_spool \"@TEST_FOLDER@/a_file\": it is not a folder"},
        {"spool_not_writable", Place::spool, "runledger_spool @TEST_FOLDER@/closed;",
         "runledger: runledger_spool \"@TEST_FOLDER@/closed\": the folder can't be written by the user that nginx runs "
         "as: Permission denied"},
        {"daemon_missing", Place::daemon, "",
         "runledger_webhook in @FOLDER@/nginx.conf:13 needs runledger_daemon at http level: there is nobody to send "
         "events to"},
        {"daemon_twice", Place::http, "runledger_daemon ipc:///run/other.sock;",
         "runledger_daemon is given twice; it takes several endpoints"},
        {"daemon_in_location", Place::location, "runledger_daemon ipc:///run/other.sock;",
         "\"runledger_daemon\" directive is not allowed here"},
        {"daemon_endpoint_twice", Place::daemon, "runledger_daemon ipc:///a ipc:///a;",
         "runledger_daemon: \"ipc:///a\" is given twice"},
        endpoint("daemon_scheme", "udp://127.0.0.1:1", "an endpoint begins with ipc:// or tcp://"),
        endpoint("daemon_port", "tcp://127.0.0.1:70000", "the port is not between 1 and 65535"),
        endpoint("daemon_without_port", "tcp://127.0.0.1", "tcp:// needs a host and a port"),
        endpoint("daemon_any_host", "tcp://*:7000", "the host is not one that can be connected to"),
        endpoint("daemon_ipv6", "tcp://::1:7000", "an IPv6 address stands in brackets"),
        {"token_without_file", Place::token, "runledger_token $arg_token;",
         "runledger_token: \"$arg_token\" needs file=<path> after it, or be off"},
        {"token_on", Place::token, "runledger_token on;",
         "runledger_token: \"on\" needs file=<path> after it, or be off"},
        {"token_not_a_variable", Place::token, "runledger_token arg_token file=@TEST_FOLDER@/good;",
         "runledger_token: \"arg_token\" is not a variable, such as $arg_token"},
        {"token_unknown_variable", Place::token, "runledger_token $arrg_token file=@TEST_FOLDER@/good;",
         "unknown \"arrg_token\" variable"},
        {"token_without_key", Place::token, "runledger_token $arg_token @TEST_FOLDER@/good;",
         "runledger_token: \"@TEST_FOLDER@/good\" is not file=<path>"},
        {"token_twice", Place::location, "runledger_token off;", "runledger_token is given twice"},
        file("token_file_not_there", "the file can't be opened: No such file or directory"),
        file("token_file_empty", "the file holds no token"),
        file("token_file_of_comments", "the file holds no token"),
        file("token_file_others_read", "others can read the file, its mode is 0644; chmod 0600 or 0640 it"),
        file("token_file_others_write", "others can write to the file, its mode is 0602; chmod 0600 or 0640 it"),
        file("token_file_folder", "it is not a regular file"),
        file("token_file_fifo", "it is not a regular file"),
        file("token_file_too_large", "the file is larger than 64 KiB"),
        file("token_file_repeats_a_name", "line 3 repeats the name of line 2"),
        file("token_file_repeats_a_token", "line 2 repeats the token of line 1"),
        file("token_file_nameless", "line 1 has one word; it takes a name and a token"),
        file("token_file_three_words", "line 1 has more than a name and a token"),
        file("token_file_odd_name", "line 1 begins with a name that is not 1 to 64 letters, digits, '_', '.' or '-'"),
        file("token_file_odd_token", "line 1 has a token with a character outside visible ASCII"),
        {"timeout_word", Place::location, "runledger_timeout soon;",
         "runledger_timeout: \"soon\" is not a time, such as 15s"},
        {"timeout_zero", Place::location, "runledger_timeout 0;",
         "runledger_timeout: \"0\" is not a time, such as 15s"},
        {"timeout_twice", Place::location, "runledger_timeout 5s; runledger_timeout 6s;",
         "runledger_timeout is given twice"},
        {"webhook_in_server", Place::server, "runledger_webhook;",
         "\"runledger_webhook\" directive is not allowed here"},
        {"webhook_with_a_value", Place::location, "runledger_webhook on;",
         "invalid number of arguments in \"runledger_webhook\" directive"},
        {"webhook_twice", Place::location, "runledger_webhook;",
         "runledger_webhook can't share its location with another content handler"},
        {"webhook_and_status", Place::location, "runledger_status;",
         "runledger_status can't share its location with another content handler"},
        {"status_in_http", Place::http, "runledger_status;", "\"runledger_status\" directive is not allowed here"},
    };
}

class Mistakes : public EdgeFixture, public ::testing::WithParamInterface<Mistake> {
protected:
    Mistakes() {
        const auto write = [this](std::string_view name, std::string_view text) {
            static_cast<void>(folder().write_secret(name, text));
            return folder() / name;
        };
        write("good", "studio the-first-secret-word\n");
        write("token_file_empty", "");
        write("token_file_of_comments", "# nobody\n\n");
        fs::permissions(write("token_file_others_read", "studio the-first-secret-word\n"), fs::perms{0644});
        fs::permissions(write("token_file_others_write", "studio the-first-secret-word\n"), fs::perms{0602});
        write("token_file_too_large", std::string(65 * 1024, '#'));
        write("token_file_repeats_a_name", "# names\nstudio the-first-secret-word\nstudio another-secret-word\n");
        write("token_file_repeats_a_token", "studio the-first-secret-word\nnext the-first-secret-word\n");
        write("token_file_nameless", "the-first-secret-word\n");
        write("token_file_three_words", "studio the-first-secret-word another-secret-word\n");
        write("token_file_odd_name", "secret:word the-first-secret-word\n");
        write("token_file_odd_token", "studio the-first-secret-w\xC3\xB6rd\n");
        write("a_file", "");
        static_cast<void>(folder().make_folder("token_file_folder"));
        fs::permissions(folder().make_folder("closed"), fs::perms::owner_read | fs::perms::owner_exec);
        const fs::path fifo = folder() / "token_file_fifo";
        EXPECT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
        give_away(fifo);
    }

    // As an operator would write it, with one mistake.
    [[nodiscard]] static std::string conf_with(const Mistake& mistake) {
        const auto at = [&](Place place, std::string_view otherwise = {}) {
            return mistake.place == place ? std::string_view{mistake.text} : otherwise;
        };
        return fmt::format(R"(load_module @MODULE@;
pid @FOLDER@/nginx.pid;
events {{}}
http {{
    access_log off; client_body_temp_path @FOLDER@/b; proxy_temp_path @FOLDER@/p; fastcgi_temp_path @FOLDER@/f;
    uwsgi_temp_path @FOLDER@/u; scgi_temp_path @FOLDER@/s;
    {}
    {}
    {}
    server {{
        listen 127.0.0.1:@PORT@; {}
        location = /hook {{
            runledger_webhook;
            {}
            {}
        }}
    }}
}}
)",
                           at(Place::spool, "runledger_spool @SPOOL@;"),
                           at(Place::daemon, "runledger_daemon ipc:///run/daemon.sock;"), at(Place::http),
                           at(Place::server), at(Place::token, "runledger_token off;"), at(Place::location));
    }
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
    return text;
}

TEST_P(Mistakes, AreRefusedWithASentence) {
    NginxServer server{folder(), conf_with(GetParam()), NginxOptions{.name = "checked"}};
    std::string sentence = replaced(GetParam().sentence, "@TEST_FOLDER@", folder().path().string());
    sentence = replaced(sentence, "@FOLDER@", server.folder().string());

    const Finished result = server.check_conf();

    EXPECT_FALSE(result.status.clean());
    const std::size_t begin = result.output.find("nginx: [emerg] " + sentence);
    ASSERT_NE(begin, std::string::npos) << result.output;
    const std::string rest = result.output.substr(begin + std::string_view{"nginx: [emerg] "}.size() + sentence.size());
    EXPECT_TRUE(rest.starts_with("\n") || rest.starts_with(" in " + (server.folder() / "nginx.conf").string() + ":"))
        << result.output;
    EXPECT_EQ(result.output.find("secret"), std::string::npos) << result.output;
    EXPECT_TRUE(fs::is_empty(server.spool()));
}

INSTANTIATE_TEST_SUITE_P(All, Mistakes, ::testing::ValuesIn(mistakes()),
                         [](const auto& mistake) { return mistake.param.name; });

// An operator's folders in the place of the test's.
std::string row_of(const Mistake& mistake) {
    const auto for_operators = [](std::string text) {
        text = replaced(std::move(text), "@FOLDER@/nginx.conf:13", "/etc/nginx/nginx.conf:13");
        text = replaced(std::move(text), "@TEST_FOLDER@", "/etc/nginx");
        return replaced(std::move(text), "@SPOOL@", "/var/lib/runledger/spool");
    };
    const std::string text =
        mistake.text.empty() ? "(the directive is left out)" : "`" + for_operators(mistake.text) + "`";
    static const std::map<Place, std::string_view> places{{Place::spool, "http"},     {Place::daemon, "http"},
                                                          {Place::token, "location"}, {Place::location, "location"},
                                                          {Place::server, "server"},  {Place::http, "http"}};
    return fmt::format("| {} | {} | `{}` | `{}` |", text, places.at(mistake.place), for_operators(mistake.sentence),
                       mistake.name);
}

TEST(MistakesDocument, HasARowForEachMistakeAndNoOther) {
    const std::string document = read_text(fs::path{RUNLEDGER_SOURCE_DIR} / "docs/nginx-t.md");
    std::string rows;
    for (const Mistake& mistake : mistakes()) {
        rows += row_of(mistake) + "\n";
    }

    const std::string_view head = "| --- | --- | --- | --- |\n";
    const std::size_t begin = document.find(head);
    ASSERT_NE(begin, std::string::npos);
    const std::size_t end = document.find("\n\n", begin);
    EXPECT_EQ(document.substr(begin + head.size(), end + 1 - begin - head.size()), rows);
}

}  // namespace
}  // namespace runledger::test
