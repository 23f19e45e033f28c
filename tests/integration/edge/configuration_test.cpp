// What `nginx -t` says of the directives, and how the module behaves where it is not used.
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/integration/edge/edge_fixture.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

struct Mistake {
    std::string_view name;
    NginxConf conf;
    std::string_view sentence;
};

class Configuration : public EdgeFixture {
protected:
    [[nodiscard]] Finished check(const std::string& conf) {
        server_.emplace(folder(), conf, NginxOptions{.name = "checked"});
        return server_->check_conf();
    }
    [[nodiscard]] NginxServer& server() { return *server_; }

    // An http block and nothing of ours but what is given.
    [[nodiscard]] static std::string bare_conf(std::string_view http, std::string_view location) {
        std::string conf = standard_conf();
        const auto replace = [&conf](std::string_view from, std::string_view to) {
            const std::size_t at = conf.find(from);
            ASSERT_NE(at, std::string::npos) << from;
            conf.replace(at, from.size(), to);
        };
        replace("runledger_spool @SPOOL@;", http);
        replace("runledger_daemon ipc://@TEST_FOLDER@/d.sock;", "");
        replace("runledger_webhook;", location);
        replace("runledger_token off;", "");
        replace("runledger_status; }", "return 204; }");
        return conf;
    }

private:
    std::optional<NginxServer> server_;
};

TEST_F(Configuration, RefusesAWrongValueWithASentenceThatNamesIt) {
    static_cast<void>(folder().write_secret("no_tokens", "# nobody\n\n"));
    static_cast<void>(folder().write_secret("three_words", "# names\nstudio one-secret-word another-secret-word\n"));
    static_cast<void>(folder().write_file("a_file", ""));
    const auto location = [](std::string_view text) { return NginxConf{.location_extra = std::string{text}}; };
    const auto token = [](std::string_view text) { return NginxConf{.token = std::string{text}}; };
    const std::vector<Mistake> mistakes{
        {"size", {.spool_options = "max_size=12q"}, "runledger_spool: \"max_size=12q\" is not a size"},
        {"small", {.spool_options = "max_size=1m"}, "runledger_spool: \"max_size=1m\" is less than"},
        {"parameter", {.spool_options = "size=1g"}, "runledger_spool: \"size=1g\" is not a parameter"},
        {"max_size twice", {.spool_options = "max_size=1g max_size=2g"}, "\"max_size=2g\" is given a second time"},
        {"keep_acked", {.spool_options = "keep_acked=soon"}, "runledger_spool: \"keep_acked=soon\" is not a time"},
        {"no keep_acked", {.spool_options = "keep_acked="}, "runledger_spool: \"keep_acked=\" is not a time"},
        {"no host", {.spool_options = "host="}, "runledger_spool: \"host=\" is not a host's name"},
        {"scheme", {.daemon_endpoints = "udp://127.0.0.1:1"}, "runledger_daemon: \"udp://127.0.0.1:1\" is not"},
        {"port", {.daemon_endpoints = "tcp://127.0.0.1:70000"}, "runledger_daemon: \"tcp://127.0.0.1:70000\" is not"},
        {"host", {.daemon_endpoints = "tcp://*:7000"}, "runledger_daemon: \"tcp://*:7000\" is not"},
        {"path", {.daemon_endpoints = "ipc://d.sock"}, "runledger_daemon: \"ipc://d.sock\" is not"},
        {"endpoint twice", {.daemon_endpoints = "ipc:///a ipc:///a"}, "\"ipc:///a\" is given twice"},
        {"time", location("runledger_timeout soon;"), "runledger_timeout: \"soon\" is not a time"},
        {"no time", location("runledger_timeout 0;"), "runledger_timeout: \"0\" is not a time"},
        {"variable", token("runledger_token token file=x;"), "runledger_token: \"token\" is not a variable"},
        {"on", token("runledger_token on;"), "runledger_token: \"on\""},
        {"no file=", token("runledger_token $arg_token /x;"), "runledger_token: \"/x\" is not file=<path>"},
        {"no such file", token("runledger_token $arg_token file=@TEST_FOLDER@/nothing;"), "can't be opened"},
        {"no tokens", token("runledger_token $arg_token file=@TEST_FOLDER@/no_tokens;"), "holds no token"},
        {"three words", token("runledger_token $arg_token file=@TEST_FOLDER@/three_words;"), "line 2 has more than"},
        {"two handlers", location("runledger_status;"), "runledger_status can't share its location"},
    };
    for (const Mistake& mistake : mistakes) {
        SCOPED_TRACE(mistake.name);

        const Finished result = check(standard_conf(mistake.conf));

        EXPECT_FALSE(result.status.clean());
        EXPECT_NE(result.output.find("[emerg]"), std::string::npos) << result.output;
        EXPECT_NE(result.output.find(mistake.sentence), std::string::npos) << result.output;
        EXPECT_EQ(result.output.find("secret-word"), std::string::npos) << result.output;
    }
}

TEST_F(Configuration, RefusesAWebhookThatHasNoSpoolOrNoDaemon) {
    const Finished without_spool = check(bare_conf("", "runledger_webhook;"));
    EXPECT_FALSE(without_spool.status.clean());
    EXPECT_NE(without_spool.output.find("needs runledger_spool at http level"), std::string::npos)
        << without_spool.output;

    const Finished without_daemon = check(bare_conf("runledger_spool @SPOOL@;", "runledger_webhook;"));
    EXPECT_FALSE(without_daemon.status.clean());
    EXPECT_NE(without_daemon.output.find("needs runledger_daemon at http level"), std::string::npos)
        << without_daemon.output;
}

TEST_F(Configuration, AcceptsAGoodOneAndMakesNothing) {
    const Finished result = check(standard_conf());

    EXPECT_TRUE(result.status.clean()) << result.output;
    EXPECT_TRUE(fs::is_empty(server().spool()));
    EXPECT_EQ(result.output.find("[warn] runledger"), std::string::npos) << result.output;
}

TEST_F(Configuration, AcceptsTheExampleThatOperatorsCopy) {
    std::string example = read_text(fs::path{RUNLEDGER_SOURCE_DIR} / "config/nginx/runledger.conf");
    ASSERT_FALSE(example.empty());
    const auto replace = [&example](std::string_view from, std::string_view to) {
        const std::size_t at = example.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        example.replace(at, from.size(), to);
    };
    replace("runledger_spool  /var/lib/runledger/spool", "runledger_spool @SPOOL@");
    replace("runledger_refused /var/lib/runledger/refused", "runledger_refused @TEST_FOLDER@/refused");
    replace("file=/etc/nginx/runledger.tokens", "file=@TEST_FOLDER@/tokens");
    replace("/var/log/nginx/runledger.log", "@FOLDER@/runledger.log");
    replace("/var/log/nginx/error.log", "@FOLDER@/error.log");
    replace("listen 443 ssl;", "listen 127.0.0.1:@PORT@;");
    replace("listen [::]:443 ssl;", "");
    replace("listen 127.0.0.1:9145;", "listen unix:@FOLDER@/status.sock;");
    for (const std::string_view directive : {"ssl_certificate ", "ssl_certificate_key "}) {
        const std::size_t at = example.find(directive);
        ASSERT_NE(at, std::string::npos) << directive;
        example.erase(at, example.find(';', at) + 1 - at);
    }
    static_cast<void>(folder().write_secret("tokens", "studio a-token-of-decent-length\n"));
    static_cast<void>(folder().make_folder("refused"));

    std::string conf = "load_module @MODULE@; pid @FOLDER@/nginx.pid; events {} http { access_log off;";
    for (const std::string_view use : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
        conf += std::string{use} + "_temp_path @FOLDER@/" + std::string{use} + ";";
    }
    const Finished result = check(conf + "\n" + example + "}\n");

    EXPECT_TRUE(result.status.clean()) << result.output;
    EXPECT_EQ(result.output.find("[warn] runledger"), std::string::npos) << result.output;
}

TEST_F(Configuration, WarnsOfAWebhookThatAnyoneCanPostTo) {
    const Finished result = check(standard_conf({.token = ""}));

    EXPECT_TRUE(result.status.clean()) << result.output;
    EXPECT_NE(result.output.find("without runledger_token: anyone can post events"), std::string::npos)
        << result.output;
}

TEST_F(Configuration, WarnsOfATokenThatCanBeGuessed) {
    const fs::path tokens = folder().write_secret("tokens", "studio 0123456789abcdef\nweak 0123456789abcde\n");
    const Finished result = check(standard_conf({.token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;"}));

    EXPECT_TRUE(result.status.clean()) << result.output;
    EXPECT_NE(result.output.find("[warn] runledger_token: \"" + tokens.string() +
                                 "\": the token in line 2 has fewer than 16 characters and can be guessed"),
              std::string::npos)
        << result.output;
    EXPECT_EQ(result.output.find("0123456789"), std::string::npos) << result.output;
}

TEST_F(Configuration, WarnsOfATimeoutThatOutlastsTheSender) {
    const Finished result = check(standard_conf({.location_extra = "runledger_timeout 20s;"}));

    EXPECT_TRUE(result.status.clean()) << result.output;
    EXPECT_NE(result.output.find("runledger_timeout: \"20s\" is not less than"), std::string::npos) << result.output;
}

TEST_F(Configuration, RefusesASpoolThatIsNoFolderOrCannotBeWritten) {
    const std::string conf = standard_conf();
    static_cast<void>(check(conf));
    const fs::path spool = server().spool();

    fs::permissions(spool, fs::perms::owner_read | fs::perms::owner_exec);
    Finished result = server().check_conf();
    EXPECT_FALSE(result.status.clean());
    EXPECT_NE(result.output.find(spool.string() + "\": the folder can't be written"), std::string::npos)
        << result.output;

    fs::permissions(spool, fs::perms::owner_all);
    EXPECT_TRUE(server().check_conf().status.clean());

    fs::remove(spool);
    result = server().check_conf();
    EXPECT_FALSE(result.status.clean());
    EXPECT_NE(result.output.find("No such file or directory"), std::string::npos) << result.output;

    static_cast<void>(folder().write_file("checked/spool", ""));
    result = server().check_conf();
    EXPECT_FALSE(result.status.clean());
    EXPECT_NE(result.output.find("it is not a folder"), std::string::npos) << result.output;
    fs::remove(spool);
}

TEST_F(Configuration, KeepsTheRunningServerWhenAReloadIsRefused) {
    start_daemon();
    start_nginx();
    const auto events = post_until_answered(1);
    const auto workers = nginx().worker_pids();
    fs::permissions(nginx().spool(), fs::perms::none);
    allow_alarm("[emerg]");

    nginx().signal_master(SIGHUP);
    wait_for_error_log("[emerg]");
    fs::permissions(nginx().spool(), fs::perms::owner_all);

    EXPECT_EQ(nginx().worker_pids(), workers);
    EXPECT_EQ(post(fresh_event()).status, 200);
}

// As an operator starts nginx: the master is root, and the question is what the worker's user may do.
TEST_F(Configuration, AsksForTheWorkersUserWhenRootReadsIt) {
    if (!running_as_root()) {
        GTEST_SKIP() << "only root can start workers as another user";
    }
    if (patience_factor != 1) {
        GTEST_SKIP() << "the sanitizer's library is preloaded only where the fixture starts nginx";
    }
    const Unprivileged worker = unprivileged_user();
    const fs::path spool = folder().make_folder("roots_spool");
    std::string conf = standard_conf({.main_extra = "user " + std::string{::getpwuid(worker.uid)->pw_name} + " " +
                                                    std::string{::getgrgid(worker.gid)->gr_name} + ";"});
    conf.replace(conf.find("@SPOOL@"), std::string_view{"@SPOOL@"}.size(), spool.string());
    static_cast<void>(check(conf));
    const auto check_as_root = [&](uid_t owner, gid_t group, mode_t mode) {
        EXPECT_EQ(::chown(spool.c_str(), owner, group), 0);
        EXPECT_EQ(::chmod(spool.c_str(), mode), 0);
        const std::string at = server().folder().string();
        return run_to_end(
            {.argv = {nginx_program().string(), "-t", "-p", at, "-c", at + "/nginx.conf", "-e", at + "/root.log"},
             .drop_privileges = false},
            folder());
    };

    const Finished closed = check_as_root(0, 0, 0755);
    EXPECT_FALSE(closed.status.clean());
    EXPECT_NE(closed.output.find("can't be written by the worker's user"), std::string::npos) << closed.output;
    EXPECT_FALSE(check_as_root(0, worker.gid, 0750).status.clean());

    EXPECT_TRUE(check_as_root(worker.uid, worker.gid, 0700).status.clean());
    EXPECT_TRUE(check_as_root(0, worker.gid, 0770).status.clean());
    EXPECT_TRUE(fs::is_empty(spool));
}

TEST_F(Configuration, CostsNothingWhereTheModuleIsLoadedButUnused) {
    static_cast<void>(check(bare_conf("", "return 204;")));

    server().start();
    EXPECT_EQ(http_get(server().url()).status, 204);
    const auto threads = [](pid_t pid) {
        const fs::directory_iterator tasks{"/proc/" + std::to_string(pid) + "/task"};
        return std::distance(fs::begin(tasks), fs::end(tasks));
    };
    EXPECT_EQ(threads(server().worker_pids().front()), 1);
    EXPECT_TRUE(fs::is_empty(server().spool()));
    server().reload();
    server().quit();
    server().check_logs();
}

}  // namespace
}  // namespace runledger::test
