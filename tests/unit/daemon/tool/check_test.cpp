// What `runledger check` judges without a machine: bodies that are no events, clocks, URLs, nginx's configuration, and
// the report's lines.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <pwd.h>

#include <cstdio>
#include <cstdlib>

#include "common/event.hpp"
#include "common/limits.hpp"
#include "common/probe.hpp"
#include "daemon/ingest/intake.hpp"
#include "daemon/net/url.hpp"
#include "daemon/tool/check/account.hpp"
#include "daemon/tool/check/clock.hpp"
#include "daemon/tool/check/edge.hpp"
#include "daemon/tool/check/finding.hpp"
#include "daemon/tool/check/public_url.hpp"
#include "daemon/tool/check/sockets.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::tool {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

std::string text_of(const auto& print) {
    char* bytes = nullptr;
    std::size_t size = 0;
    std::FILE* out = open_memstream(&bytes, &size);
    print(out);
    std::fclose(out);
    std::string text(bytes, size);
    std::free(bytes);
    return text;
}

// libpq looks for certificates and services in $HOME. Root's folder is closed to the account, which libpq takes for an
// error with sslmode=verify-full, though the daemon itself can connect.
TEST(ActingAs, HasTheAccountsHomeAndGivesItsOwnBack) {
    if (!test::running_as_root()) {
        GTEST_SKIP() << "only root can act as another user";
    }
    const auto account = find_account("nobody");
    ASSERT_TRUE(account);
    const std::string own_home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    ASSERT_EQ(setenv("HOME", "/root", 1), 0);
    std::string home_inside;
    bool has_home_inside_without_any{};

    {
        const ActingAs nobody(*account);
        home_inside = std::getenv("HOME");
    }
    const std::string home_after = std::getenv("HOME");
    unsetenv("HOME");
    {
        const ActingAs nobody(*account);
        has_home_inside_without_any = std::getenv("HOME") != nullptr;
    }

    EXPECT_EQ(home_inside, getpwnam("nobody")->pw_dir);
    EXPECT_EQ(home_after, "/root");
    EXPECT_TRUE(has_home_inside_without_any);
    EXPECT_EQ(std::getenv("HOME"), nullptr);
    setenv("HOME", own_home.c_str(), 1);
}

TEST(ProbeBody, IsNoEventOfAnySize) {
    for (const std::size_t bytes : {std::size_t{200}, std::size_t{1024 * 1024}, body_bytes_max}) {
        const std::string body = make_probe_body(bytes);
        const auto result = validate_event(body);

        EXPECT_EQ(body.size(), bytes);
        EXPECT_TRUE(is_probe(body));
        ASSERT_TRUE(std::holds_alternative<Refusal>(result)) << bytes;
        EXPECT_EQ(std::get<Refusal>(result).fault, EventFault::run_id_too_long);
    }
}

TEST(ProbeBody, IsNoEventWhereverItIsCutAndTheFaultShowsIt) {
    const std::string body = make_probe_body(200);
    for (std::size_t bytes = 0; bytes < body.size(); ++bytes) {
        const auto result = validate_event(std::string_view(body).substr(0, bytes));

        ASSERT_TRUE(std::holds_alternative<Refusal>(result)) << bytes;
        EXPECT_NE(std::get<Refusal>(result).fault, EventFault::run_id_too_long) << bytes;
    }
}

struct Clocks {
    const char* name;
    milliseconds difference;
    milliseconds doubt;
    Grade grade;
};

void PrintTo(const Clocks& clocks, std::ostream* out) { *out << clocks.name; }

class ClockDifference : public testing::TestWithParam<Clocks> {};

TEST_P(ClockDifference, IsJudged) {
    Findings findings;

    judge_clock_difference(GetParam().difference, GetParam().doubt, findings);

    ASSERT_EQ(findings.all().size(), 1U);
    EXPECT_EQ(findings.all().front().grade, GetParam().grade) << findings.all().front().what;
}

INSTANTIATE_TEST_SUITE_P(EachWay, ClockDifference,
                         testing::Values(Clocks{"same", milliseconds{0}, milliseconds{1}, Grade::passed},
                                         Clocks{"a_second", milliseconds{-1000}, milliseconds{0}, Grade::passed},
                                         Clocks{"in_doubt", milliseconds{3000}, milliseconds{2500}, Grade::passed},
                                         Clocks{"two_seconds", milliseconds{2000}, milliseconds{1}, Grade::warning},
                                         Clocks{"behind", milliseconds{-2000}, milliseconds{1}, Grade::warning},
                                         Clocks{"an_hour", milliseconds{3'600'000}, milliseconds{1}, Grade::failed}),
                         [](const auto& clocks) { return clocks.param.name; });

TEST(Url, IsTakenApart) {
    const auto parts = parse_url("https://Hooks.example.com/api?studio=1&token=a%2Db");

    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->scheme, "https");
    EXPECT_EQ(parts->port, 443);
    EXPECT_EQ(find_argument(parts->query, "token"), "a%2Db");
    EXPECT_EQ(find_argument(parts->query, "tok"), std::nullopt);
    EXPECT_EQ(unescaped("a%2Db"), "a-b");
    EXPECT_EQ(escaped("a/b c"), "a%2Fb%20c");
    EXPECT_EQ(with_query("https://h/p?x=1#f", "y=2"), "https://h/p?y=2");
    EXPECT_EQ(with_query("https://h/p?x=1", ""), "https://h/p");
    EXPECT_EQ(parse_url("hooks.example.com"), std::nullopt);
    EXPECT_EQ(parse_url("http://[::1]:8080/")->host, "[::1]");
}

TEST(EdgeSearch, FindsTheSpoolInNginxsConfiguration) {
    const test::TempFolder folder;
    (void)folder.make_folder("conf.d");
    (void)folder.write_file("nginx.conf", "user root;\n# runledger_spool /not/this;\n");
    (void)folder.write_file("conf.d/runledger.conf",
                            "    runledger_spool \"/var/lib/a spool\" keep_acked=2h max_size=2g;  # For all.\n");

    const EdgeSearch search = find_edge(folder.path());

    ASSERT_TRUE(search.edge);
    EXPECT_EQ(search.edge->spool, "/var/lib/a spool");
    EXPECT_EQ(search.edge->spool_bytes_max, 2UL << 30U);
    ASSERT_TRUE(search.edge->workers);
    EXPECT_EQ(search.edge->workers->uid, 0U);
}

TEST(EdgeSearch, FindsNothingWhereThereIsNoNginx) {
    const test::TempFolder folder;

    const EdgeSearch search = find_edge(folder / "nothing");

    EXPECT_FALSE(search.edge);
    EXPECT_EQ(search.unreadable, "");
}

TEST(Account, MayWhatTheModeSaysOfItsClass) {
    const Account account{.uid = 1000, .gid = 1000, .groups = {1000, 33}, .name = "a"};
    const auto file = [](uid_t uid, gid_t gid, mode_t mode) {
        struct stat facts {};
        facts.st_uid = uid;
        facts.st_gid = gid;
        facts.st_mode = mode;
        return facts;
    };

    EXPECT_TRUE(account.may_read(file(1000, 0, 0400)));
    EXPECT_FALSE(account.may_read(file(1000, 0, 0044))) << "the owner's own bits count";
    EXPECT_TRUE(account.may_write(file(0, 33, 0020)));
    EXPECT_FALSE(account.may_write(file(0, 33, 0002)));
    EXPECT_TRUE(account.may_enter(file(0, 0, 0001)));
    EXPECT_TRUE(Account{}.may_write(file(1000, 1000, 0))) << "root";
}

bool can_listen(const std::string& endpoint) {
    IntakeQueue queue;
    IntakeCounters counters;
    try {
        const Intake intake({.bind = {endpoint}}, queue, counters);
        return true;
    } catch (const BindError&) {
        return false;
    }
}

// Whatever stands before the port, and for a chosen port as for any free one.
TEST(Sockets, FailWhereTheDaemonCouldNotListen) {
    const Account account = own_account();
    for (const std::string host :
         {"127.0.0.1", "*", "lo", "[::1]", "", "localhost", "[localhost]", "127.1", "0x7f000001", "::1", "[127.0.0.1]",
          "[*]", "[]", "203.0.113.7", "[2001:db8::7]", "no-such-interface", "127.0.0.1:1", "[::1%lo]"}) {
        for (const std::string& port : {std::string("*"), std::to_string(test::free_port())}) {
            const std::string endpoint = fmt::format("tcp://{}:{}", host, port);
            SCOPED_TRACE(endpoint);
            Findings findings;

            check_sockets({.bind = {endpoint}}, {.config_file = "none", .daemon = account, .edge = {}}, findings);

            EXPECT_EQ(findings.count(Grade::failed) == 0, can_listen(endpoint)) << findings.all().front().what;
        }
    }
}

TEST(Findings, ArePrintedWithWhatToDo) {
    Findings findings;
    findings.passed("database", "PostgreSQL 15");
    findings.fail("telegram", "Telegram refuses\nthe token", "put the right one into F");

    EXPECT_EQ(text_of([&](std::FILE* out) { print_text(findings, true, out); }),
              "✓ database  PostgreSQL 15\n"
              "✗ telegram  Telegram refuses the token\n"
              "            → put the right one into F\n"
              "NOT READY; passed: 1, failed: 1, warnings: 0, not checked: 0\n");
    EXPECT_THAT(text_of([&](std::FILE* out) { print_text(findings, false, out); }),
                HasSubstr("X  telegram  Telegram refuses the token\n"));
    EXPECT_EQ(text_of([&](std::FILE* out) { print_json(findings, "", out); }),
              R"({"ok":false,"passed":1,"failed":1,"warnings":0,"unknown":0,"findings":[)"
              R"({"check":"database","result":"passed","found":"PostgreSQL 15","to_do":""},)"
              R"({"check":"telegram","result":"failed","found":"Telegram refuses the token",)"
              R"("to_do":"put the right one into F"}]})"
              "\n");
}

}  // namespace
}  // namespace runledger::tool
