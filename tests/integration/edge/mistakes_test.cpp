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

// zmq_curve(7)'s examples: the server's secret key, and the client's public one.
constexpr std::string_view secret_key = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
constexpr std::string_view public_key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

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
    const auto curve = [](std::string name, std::string text, std::string sentence) {
        return Mistake{std::move(name), Place::http, std::move(text), std::move(sentence)};
    };
    const auto keys = [&](std::string name, std::string_view secret, std::string_view server, std::string sentence) {
        return curve(
            std::move(name),
            fmt::format("runledger_curve secret_key=@TEST_FOLDER@/{} server_key=@TEST_FOLDER@/{};", secret, server),
            std::move(sentence));
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
        {"spool_keep_acked", Place::spool, "runledger_spool @SPOOL@ keep_acked=soon;",
         "runledger_spool: \"keep_acked=soon\" is not a time, such as keep_acked=2h"},
        {"spool_host", Place::spool, "runledger_spool @SPOOL@ host=;",
         "runledger_spool: \"host=\" is not a host's name, of 1 to 255 bytes"},
        {"spool_host_variable", Place::spool, "runledger_spool @SPOOL@ host=$hostname;",
         "runledger_spool: \"host=$hostname\" holds a variable, which is not expanded here"},
        {"spool_variable", Place::spool, "runledger_spool /var/spool/$hostname;",
         "runledger_spool: \"/var/spool/$hostname\" holds a variable, which is not expanded here"},
        {"spool_not_there", Place::spool, "runledger_spool @TEST_FOLDER@/nothing;",
         "runledger: runledger_spool \"@TEST_FOLDER@/nothing\": the folder can't be reached by the user that nginx "
         "runs as: No such file or directory"},
        {"spool_not_a_folder", Place::spool, "runledger_spool @TEST_FOLDER@/a_file;",
         "runledger: runledger_spool \"@TEST_FOLDER@/a_file\": it is not a folder"},
        {"spool_not_writable", Place::spool, "runledger_spool @TEST_FOLDER@/closed;",
         "runledger: runledger_spool \"@TEST_FOLDER@/closed\": the folder can't be written by the user that nginx runs "
         "as: Permission denied"},
        {"refused_without_folder", Place::http, "runledger_refused;",
         "invalid number of arguments in \"runledger_refused\" directive"},
        {"refused_empty", Place::http, "runledger_refused \"\";", "runledger_refused \"\" is not a folder"},
        {"refused_twice", Place::http, "runledger_refused @TEST_FOLDER@; runledger_refused /elsewhere;",
         "runledger_refused is given twice; all locations share one folder"},
        {"refused_in_location", Place::location, "runledger_refused /elsewhere;",
         "\"runledger_refused\" directive is not allowed here"},
        {"refused_size", Place::http, "runledger_refused @TEST_FOLDER@ max_size=12q;",
         "runledger_refused: \"max_size=12q\" is not a size, such as max_size=64m"},
        {"refused_too_small", Place::http, "runledger_refused @TEST_FOLDER@ max_size=1023k;",
         "runledger_refused: \"max_size=1023k\" is less than 1m"},
        {"refused_age", Place::http, "runledger_refused @TEST_FOLDER@ max_age=0;",
         "runledger_refused: \"max_age=0\" is not a time, such as max_age=7d"},
        {"refused_count", Place::http, "runledger_refused @TEST_FOLDER@ max_count=0;",
         "runledger_refused: \"max_count=0\" is not a number of bodies, from 1 to 1000000"},
        {"refused_parameter", Place::http, "runledger_refused @TEST_FOLDER@ size=1m;",
         "runledger_refused: \"size=1m\" is not a parameter; max_size=<size>, max_age=<time> and max_count=<number> "
         "are"},
        {"refused_parameter_twice", Place::http, "runledger_refused @TEST_FOLDER@ max_size=1m max_size=2m;",
         "runledger_refused: \"max_size=2m\" is given a second time"},
        {"refused_variable", Place::http, "runledger_refused /var/lib/$hostname;",
         "runledger_refused: \"/var/lib/$hostname\" holds a variable, which is not expanded here"},
        {"refused_not_there", Place::http, "runledger_refused @TEST_FOLDER@/nothing;",
         "runledger: runledger_refused \"@TEST_FOLDER@/nothing\": the folder can't be reached by the user that nginx "
         "runs as: No such file or directory"},
        {"refused_not_writable", Place::http, "runledger_refused @TEST_FOLDER@/closed;",
         "runledger: runledger_refused \"@TEST_FOLDER@/closed\": the folder can't be written by the user that nginx "
         "runs as: Permission denied"},
        {"refused_in_spool", Place::http, "runledger_refused @SPOOL@;",
         "runledger: runledger_refused \"@SPOOL@\": it is the folder of runledger_spool, too; refused bodies need a "
         "folder of their own"},
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
        endpoint("daemon_comma", "ipc:///a,ipc:///b", "it holds a comma; endpoints are separated by spaces"),
        endpoint("daemon_variable", "tcp://$hostname:9463", "it holds a variable, which is not expanded here"),
        {"curve_missing", Place::daemon, "runledger_daemon tcp://10.0.0.5:9463;",
         "runledger_daemon: \"tcp://10.0.0.5:9463\" leaves this host, and needs runledger_curve at http level: anyone "
         "on the way could read and forge events; use ipc:// or 127.0.0.1 on one host"},
        curve("curve_in_one_word", "runledger_curve secret_key=@TEST_FOLDER@/edge.secret;",
              "invalid number of arguments in \"runledger_curve\" directive"),
        curve("curve_key_twice",
              "runledger_curve secret_key=@TEST_FOLDER@/edge.secret secret_key=@TEST_FOLDER@/edge.secret;",
              "runledger_curve: secret_key is given twice"),
        curve("curve_unknown_word",
              "runledger_curve secret_key=@TEST_FOLDER@/edge.secret public_key=@TEST_FOLDER@/ledger.public;",
              "runledger_curve: \"public_key=@TEST_FOLDER@/ledger.public\" is neither secret_key=<file> nor "
              "server_key=<file>"),
        keys("curve_secret_not_there", "nothing", "ledger.public",
             "runledger_curve: \"@TEST_FOLDER@/nothing\": it can't be read: No such file or directory"),
        keys("curve_secret_others_read", "others_read.secret", "ledger.public",
             "runledger_curve: \"@TEST_FOLDER@/others_read.secret\": others may read this secret: chmod o= it, and "
             "make a new one if they could"),
        keys("curve_secret_two", "two.secret", "ledger.public",
             "runledger_curve: \"@TEST_FOLDER@/two.secret\": it holds more than the one secret key of this edge"),
        keys("curve_secret_without_key", "without_key.secret", "ledger.public",
             "runledger_curve: \"@TEST_FOLDER@/without_key.secret\": line 1 does not end in a key of 40 Z85 "
             "characters, as runledger keygen makes them"),
        keys("curve_server_empty", "edge.secret", "empty.public",
             "runledger_curve: \"@TEST_FOLDER@/empty.public\": the file holds no key"),
        keys("curve_server_is_the_edge", "edge.secret", "of_the_edge.public",
             "runledger_curve: \"@TEST_FOLDER@/of_the_edge.public\": it holds a key of this edge, not the daemon's "
             "public one"),
        {"token_without_file", Place::token, "runledger_token $arg_token;",
         "runledger_token: \"$arg_token\" needs file=<path> after it, or be off"},
        {"token_on", Place::token, "runledger_token on;",
         "runledger_token: \"on\" needs file=<path> after it, or be off"},
        {"token_not_a_variable", Place::token, "runledger_token arg_token file=@TEST_FOLDER@/good;",
         "runledger_token: \"arg_token\" is not a variable, such as $arg_token"},
        {"token_unknown_variable", Place::token, "runledger_token $arrg_token file=@TEST_FOLDER@/good;",
         "unknown \"arrg_token\" variable"},
        {"token_two_variables", Place::token, "runledger_token $arg_token$http_x_token file=@TEST_FOLDER@/good;",
         "runledger_token: \"$arg_token$http_x_token\" is not a variable, such as $arg_token"},
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
        file("token_file_quoted_token",
             "line 1 has a token in quotes, which would be a part of it; leave the quotes out"),
        {"timeout_word", Place::location, "runledger_timeout soon;",
         "runledger_timeout: \"soon\" is not a time, such as 15s"},
        {"timeout_zero", Place::location, "runledger_timeout 0;",
         "runledger_timeout: \"0\" is not a time, such as 15s"},
        {"timeout_too_short", Place::location, "runledger_timeout 1ms;",
         "runledger_timeout: \"1ms\" is less than 100ms: a disk may take longer to store an event"},
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
        {"webhook_then_proxy_pass", Place::location, "proxy_pass http://127.0.0.1:1;",
         "runledger_webhook in location \"/hook\" can't share its location with another content handler, such as "
         "proxy_pass"},
        {"webhook_then_stub_status", Place::location, "stub_status;",
         "runledger_webhook in location \"/hook\" can't share its location with another content handler, such as "
         "proxy_pass"},
        {"proxy_pass_then_webhook", Place::server,
         "location = /other { proxy_pass http://127.0.0.1:1; runledger_webhook; }",
         "runledger_webhook can't share its location with another content handler"},
        {"status_then_proxy_pass", Place::server,
         "location = /status { runledger_status; proxy_pass http://127.0.0.1:1; }",
         "runledger_status in location \"/status\" can't share its location with another content handler, such as "
         "proxy_pass"},
        {"proxy_pass_in_if", Place::location, "if ($arg_x) { proxy_pass http://127.0.0.1:1; }",
         "runledger_webhook in location \"/hook\" can't share an if or limit_except block with another content "
         "handler, "
         "such as proxy_pass"},
        {"proxy_pass_in_limit_except", Place::location,
         "limit_except POST { deny all; proxy_pass http://127.0.0.1:1; }",
         "runledger_webhook in location \"/hook\" can't share an if or limit_except block with another content "
         "handler, "
         "such as proxy_pass"},
        {"status_with_proxy_pass_in_if", Place::server,
         "location = /status { runledger_status; if ($arg_x) { proxy_pass http://127.0.0.1:1; } }",
         "runledger_status in location \"/status\" can't share an if or limit_except block with another content "
         "handler, "
         "such as proxy_pass"},
        {"status_with_token", Place::server,
         "location = /status { runledger_status; runledger_token $arg_token file=@TEST_FOLDER@/good; }",
         "runledger_token in location \"/status\" protects nothing: runledger_status asks for no token; use allow and "
         "deny, or auth_basic"},
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
        write("token_file_quoted_token", "studio \"the-first-secret-word\"\n");
        write("token_file_odd_token", "studio the-first-secret-w\xC3\xB6rd\n");
        write_key("edge.secret", "edge", secret_key, fs::perms{0600});
        write_key("others_read.secret", "edge", secret_key, fs::perms{0604});
        write("two.secret", fmt::format("one {}\ntwo {}\n", secret_key, public_key));
        write("without_key.secret", "edge none\n");
        write_key("ledger.public", "ledger", public_key, fs::perms{0644});
        write_key("of_the_edge.public", "ledger", secret_key, fs::perms{0644});
        write("empty.public", "# nobody\n");
        write("a_file", "");
        static_cast<void>(folder().make_folder("token_file_folder"));
        fs::permissions(folder().make_folder("closed"), fs::perms::owner_read | fs::perms::owner_exec);
        const fs::path fifo = folder() / "token_file_fifo";
        EXPECT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
        give_away(fifo);
    }

    void write_key(std::string_view name, std::string_view whose, std::string_view key, fs::perms mode) {
        fs::permissions(folder().write_secret(name, fmt::format("{} {}\n", whose, key)), mode);
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
    sentence = replaced(sentence, "@SPOOL@", server.spool().string());

    const Finished result = server.check_conf();

    EXPECT_FALSE(result.status.clean());
    const std::string line = ": [emerg] " + sentence;  // Before it the program's name.
    const std::size_t begin = result.output.find(line);
    ASSERT_NE(begin, std::string::npos) << result.output;
    const std::string rest = result.output.substr(begin + line.size());
    EXPECT_TRUE(rest.starts_with("\n") || rest.starts_with(" in " + (server.folder() / "nginx.conf").string() + ":"))
        << result.output;
    for (const std::string_view secret : {std::string_view{"secret-w"}, secret_key}) {
        EXPECT_EQ(result.output.find(secret), std::string::npos) << result.output;
    }
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
