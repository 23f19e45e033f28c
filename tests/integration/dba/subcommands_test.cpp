// Each subcommand of the tool under each documented role: what it does, and what it says where it may not.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include <set>
#include <sstream>

#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ContainsRegex;
using testing::HasSubstr;

constexpr int done = 0;
constexpr int refused = 1;
constexpr int misused = 2;
constexpr int answer_is_no = 3;

// docs/dba.md, "Roles", has the same table.
struct Row {
    std::vector<std::string> words;
    int owner, daemon, application, reader;  // Exit codes.
};

std::vector<Row> rows() {
    return {
        {{"migrate"}, done, refused, refused, refused},
        {{"import", "/dev/null"}, done, refused, refused, refused},
        {{"audit"}, answer_is_no, refused, refused, refused},
        {{"explain", "r-1"}, done, refused, refused, refused},
        {{"events"}, answer_is_no, refused, refused, refused},
        {{"simulate", "--clean"}, done, refused, refused, refused},
        {{"quarantine", "list"}, done, refused, refused, refused},
        {{"quarantine", "show", "1"}, done, refused, refused, refused},
        {{"quarantine", "replay", "1"}, answer_is_no, refused, refused, refused},
        {{"outbox", "list"}, done, done, refused, refused},
        {{"outbox", "show", "1"}, done, done, refused, refused},
        {{"outbox", "retry", "1"}, done, done, refused, refused},
        {{"outbox", "drop", "1"}, done, done, refused, refused},
        {{"outbox", "send-logged", "2"}, done, done, refused, refused},
        {{"reprice", "--gpu", "A10G", "--from", "2026-01-01", "--to", "2026-02-01"}, done, done, refused, refused},
        {{"reprice", "--gpu", "A10G", "--from", "2026-01-01", "--to", "2026-02-01", "--apply"},
         done,
         done,
         refused,
         refused},
        {{"close", "2001-01", "--dry-run"}, done, refused, refused, done},
        {{"close", "2001-01"}, done, refused, refused, refused},
        {{"statement", "2001-01"}, done, refused, refused, done},
        {{"replay", "--from", "2026-01-01", "--to", "2026-02-01", "--into", "trial"},
         refused,
         refused,
         refused,
         refused},
        {{"export", "focus", "--month", "2025-08"}, done, refused, refused, done},
        {{"status"}, done, answer_is_no, answer_is_no, done},
        {{"forget", "--chat", "42", "--dry-run"}, done, refused, refused, refused},
        {{"forget", "--chat", "42"}, done, refused, refused, refused},
    };
}

std::string text_of(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        text += (text.empty() ? "" : " ") + word;
    }
    return text;
}

class Subcommands : public Dba {
protected:
    // A quarantined row that is in no batch, so that the books do not close, and that no replay can store.
    void SetUp() override {
        migrate();
        for (const std::string_view role : {"owner", "daemon", "application", "reader"}) {
            run(
                fmt::format("DROP ROLE IF EXISTS tool_{0}; CREATE ROLE tool_{0} LOGIN; "
                            "GRANT runledger_{0} TO tool_{0}",
                            role));
        }
        run("INSERT INTO runledger.generations (metadata) VALUES ('{\"run_id\": \"r-1\", \"telegramChatId\": 42}');"
            "INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, "
            "received_at, run_id, content) VALUES ('event', 'a reason', gen_random_uuid(), 1, 0, 'edge', now(), 'r-1', "
            "'{\"run_id\": \"r-1\", \"status\": \"running\"}');"
            // The first month that is closed has a run.
            "INSERT INTO runledger.settlements (generation_id, run_id, outcome, why, status, finished_at, cost_note, "
            "output_count, before) VALUES (0, 'long-ago', 'settled', 'the run ended', 'completed', '2001-01-15Z', "
            "'rate_missing', 0, '{}')");
    }
    // The subcommands that the help lists.
    std::set<std::string> offered() const {
        std::set<std::string> words;
        const std::string help = tool({"--help"}).output;
        const std::size_t end = help.find("\nExit codes:");
        EXPECT_NE(end, std::string::npos) << help;
        for (std::size_t at = help.find("\n  "); at < end; at = help.find("\n  ", at + 1)) {
            const std::string word = help.substr(at + 3, help.find_first_of(" \n", at + 3) - at - 3);
            if (!word.empty() && word.front() != '-') {
                words.insert(word);
            }
        }
        return words;
    }
    // What stands in a file of the repository from `begin` to `end`.
    static std::string part_of(std::string_view file, std::string_view begin, std::string_view end) {
        const std::string text = read_text(std::filesystem::path{RUNLEDGER_SOURCE_DIR} / file);
        const std::size_t at = text.find(begin);
        EXPECT_NE(at, std::string::npos) << file;
        return at == std::string::npos ? "" : text.substr(at, text.find(end, at) - at);
    }
    // A row to be shown, sent again and dropped, and one that was only logged, whatever became of the last.
    void renew_notifications() const {
        run("DELETE FROM runledger.notifications;"
            "INSERT INTO runledger.notifications (id, generation_id, run_id, kind, for_status, chat_id, payload, state,"
            " attempts, last_error, logged_at) OVERRIDING SYSTEM VALUE VALUES "
            "(1, 1, 'r-1', 'ending', 'completed', 42, '{}', 'dead', 3, 'an error', NULL), "
            "(2, 1, 'r-1', 'follow_up', '', 42, '{}', 'logged', 1, 'logged', now())");
    }
};

TEST_F(Subcommands, DoWhatTheirRoleMayAndSayWhatItMayNot) {
    for (const Row& row : rows()) {
        for (const auto& [role, code] : {std::pair{"reader", row.reader}, std::pair{"application", row.application},
                                         std::pair{"daemon", row.daemon}, std::pair{"owner", row.owner}}) {
            renew_notifications();
            const Finished ended = tool(row.words, fmt::format("tool_{}", role));

            EXPECT_EQ(ended.status, (ExitStatus{.code = code})) << role << ": " << text_of(row.words) << '\n'
                                                                << ended.output;
            if (code == refused) {
                EXPECT_THAT(ended.output, AnyOf(HasSubstr("permission denied"), HasSubstr("may not make the roles"),
                                                HasSubstr("row-level security policy")))
                    << role << ": " << text_of(row.words);
                EXPECT_THAT(ended.output, AnyOf(AllOf(HasSubstr("dba.md, \"Roles\""), HasSubstr("owner.toml"),
                                                      HasSubstr("runledger_owner")),
                                                HasSubstr("let a superuser run this")))
                    << role << ": " << text_of(row.words);
            }
        }
    }
}

TEST_F(Subcommands, AreAllInTheTable) {
    // These need no database, or say that they lack it.
    std::set<std::string> in_table{"spool", "refused", "keygen", "check"};
    for (const Row& row : rows()) {
        in_table.insert(row.words.front());
    }

    EXPECT_EQ(offered(), in_table);
}

TEST_F(Subcommands, AreAllNamedWithTheUserWhoRunsThem) {
    const std::string set_up = part_of("docs/operations.md", "   | commands | run as |", "\n\n");
    const std::string owners_head = part_of("config/owner.toml", "#", "[postgres]");

    for (const std::string& word : offered()) {
        EXPECT_THAT(set_up, HasSubstr("`" + word + "`")) << "docs/operations.md, \"Set up\", \"The tool\"";
    }
    for (const Row& row : rows()) {
        if (row.daemon == refused && row.reader == refused) {
            EXPECT_THAT(owners_head, ContainsRegex("[( ]" + row.words.front() + "[,)]")) << "config/owner.toml";
        }
    }
}

struct Wrong {
    std::vector<std::string> words;
    int code;
    const char* says;
};

TEST_F(Subcommands, EndWithTheirDocumentedCodes) {
    renew_notifications();
    const std::vector<Wrong> all{
        {{"migrate"}, done, "the schema is this build's"},
        {{"audit"}, answer_is_no, "DOES NOT ADD UP"},
        {{"explain", "no-such-run"}, answer_is_no, "no-such-run"},
        {{"forget", "--chat", "7"}, answer_is_no, ""},
        {{"outbox", "show", "999"}, answer_is_no, "do not exist"},
        {{"quarantine", "show", "999"}, answer_is_no, "999"},
        {{"outbox", "retry"}, misused, "--all"},
        {{"events", "--to", "tomorrow"}, misused, "tomorrow"},
        {{"events", "--from", "2026-12-01", "--to", "2026-11-01"}, misused, "is not before --to"},
        {{"replay", "--from", "2026-11-01", "--to", "2026-11-01", "--into", "trial"}, misused, "is not before --to"},
        {{"audit", "--since", "2999-01-01"}, misused, "--since 2999-01-01 has not come yet"},
        {{"events", "--from", "2999-01-01"}, misused, "--from 2999-01-01 has not come yet"},
        {{"replay", "--from", "2999-01-01", "--to", "2999-02-01", "--into", "trial"}, misused, "has not come yet"},
        {{"simulate"}, misused, "--clean"},
        {{"simulate", "host/path"}, misused, "https://"},
        {{"migrate", "--adopt", "public.not_there"}, refused, "not_there"},
        {{"no-such-subcommand"}, misused, "\"no-such-subcommand\" is no command"},
        {{"check", "--max-size", "5gb"}, misused, "--max-size requires --spool"},
        {{"outbox", "show", "1", "1"}, done, "an error"},
        {{"outbox", "drop", "01"}, misused, "\"01\" is not a whole number"},
        {{"outbox", "drop", "--state", "pending", "--older-than", ""}, misused, "--older-than: an empty value"},
        {{"quarantine", "show", "99999999999999999999"}, misused, "not a whole number within range"},
        {{"reprice", "--gpu", "none", "--from", "2026-01-01", "--to", "2026-02-01"}, answer_is_no, "none"},
        {{"close", "2999-01"}, answer_is_no, "2999-01"},
        {{"close", "January"}, misused, "January"},
        {{"statement", "2001-01"}, answer_is_no, "not closed"},
        {{"statement", "2001-01", "--as-of", "tomorrow"}, misused, "tomorrow"},
        {{"reprice", "--gpu", "A10G", "--from", "01.11.2026", "--to", "2026-02-01"}, misused, "01.11.2026"},
        {{"export", "focus", "--month", "2026-13"}, misused, "2026-13"},
        {{"export", "focus", "--month", "2026-01", "--output", "/dev/null"}, misused, "not a regular file"},
    };
    for (const Wrong& one : all) {
        const Finished ended = tool(one.words);

        EXPECT_EQ(ended.status, (ExitStatus{.code = one.code})) << text_of(one.words) << '\n' << ended.output;
        EXPECT_THAT(ended.output, HasSubstr(one.says));
    }
}

// The rows of a table of docs/tool.md, cell by cell, by the heading of its section.
std::vector<std::vector<std::string>> documented(std::string_view heading) {
    const std::string page = read_text(std::filesystem::path(RUNLEDGER_SOURCE_DIR) / "docs/tool.md");
    std::istringstream lines(page.substr(std::min(page.find(heading), page.size())));
    std::vector<std::vector<std::string>> rows;
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("| ")) {
            if (!rows.empty()) {
                break;
            }
            continue;
        }
        std::istringstream cells(line.substr(2));
        rows.emplace_back();
        for (std::string cell; std::getline(cells, cell, '|');) {
            const std::size_t first = std::min(cell.find_first_not_of(' '), cell.size());
            rows.back().push_back(cell.substr(first, cell.find_last_not_of(' ') + 1 - first));
        }
    }
    return rows;
}

TEST_F(Subcommands, SayInTheHelpWhatTheirCodesMean) {
    const std::string help = tool({"--help"}).output;
    const auto rows = documented("## Exit codes");

    ASSERT_EQ(rows.size(), 6U) << "a heading, a line, and four codes";
    for (std::size_t i = 2; i < rows.size(); ++i) {
        EXPECT_THAT(help, HasSubstr(fmt::format("  {}  {}\n", rows[i][0], rows[i][1])));
    }
}

// What stands in `backticks` in a cell.
std::set<std::string> quoted_in(const std::string& cell) {
    std::set<std::string> words;
    for (std::size_t at = cell.find('`'); at != std::string::npos;) {
        const std::size_t end = cell.find('`', at + 1);
        words.insert(cell.substr(at + 1, end - at - 1));
        at = cell.find('`', end + 1);
    }
    return words;
}

// The members that docs/tool.md has for the command; its longest name counts: "outbox list" before "outbox".
std::set<std::string> documented_members(const std::string& command) {
    std::set<std::string> members;
    std::size_t longest = 0;
    for (const auto& row : documented("| command | one object for each")) {
        for (const std::string& name : quoted_in(row[0])) {
            if (command.starts_with(name) && name.size() > longest) {
                longest = name.size();
                members = quoted_in(row[2]);
            }
        }
    }
    return members;
}

TEST_F(Subcommands, SpeakJsonOfTheDocumentedShapeAndNothingElse) {
    const std::set<std::string> of_failures{"error", "exit_code", "sqlstate", "hint"};
    for (const Row& row : rows()) {
        for (const auto& [role, code] : {std::pair{"owner", row.owner}, std::pair{"reader", row.reader}}) {
            renew_notifications();
            std::vector<std::string> words = row.words;
            words.emplace_back("--json");
            const Finished ended = tool(words, fmt::format("tool_{}", role));

            EXPECT_EQ(ended.status.code, code) << text_of(words) << '\n' << ended.output;
            const std::set<std::string> members = documented_members(text_of(row.words));
            EXPECT_FALSE(members.empty()) << text_of(words) << " is not in docs/tool.md";
            std::istringstream lines(ended.output);
            bool has_failed = false;
            for (std::string line; std::getline(lines, line);) {
                rapidjson::Document object;
                object.Parse(line.c_str());
                ASSERT_TRUE(!object.HasParseError() && object.IsObject()) << text_of(words) << ": " << line;
                has_failed = has_failed || object.HasMember("error");
                for (const auto& member : object.GetObject()) {
                    const std::string name = member.name.GetString();
                    EXPECT_TRUE(members.contains(name) || name == "warning" ||
                                (object.HasMember("error") && of_failures.contains(name)))
                        << text_of(words) << ": " << name << " is not in docs/tool.md";
                }
                if (object.HasMember("error")) {
                    EXPECT_EQ(object["exit_code"].GetInt(), code) << line;
                }
            }
            EXPECT_TRUE(has_failed || code != refused) << text_of(words) << ": no error as JSON\n" << ended.output;
        }
    }
    EXPECT_THAT(tool({"no-such-subcommand", "--json"}).output, testing::StartsWith("{\"error\":"));
}

TEST_F(Subcommands, SayThatTheirResultCouldNotBeWritten) {
    const Finished ended =
        run_to_end({.argv = {"/bin/sh", "-c", "\"$0\" --config \"$1\" outbox list >/dev/full",
                             (folder() / "bin/runledger").string(), (folder() / "runledgerd.toml").string()}},
                   folder());

    EXPECT_EQ(ended.status.code, refused) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("standard output can't be written"));
}

// script(1) gives a program a terminal.
TEST_F(Subcommands, ShowHowFarTheyAreOnATerminalAlone) {
    const std::string quiet = tool({"quarantine", "replay", "1"}).output;
    const Finished ended =
        run_to_end({.argv = {"script", "--quiet", "--return", "--command",
                             fmt::format("{} --config {} quarantine replay 1", (folder() / "bin/runledger").string(),
                                         (folder() / "runledgerd.toml").string()),
                             "/dev/null"},
                    .env = {{"TERM", "xterm"}}},
                   folder());

    EXPECT_THAT(quiet, testing::Not(HasSubstr("\x1b[K")));
    EXPECT_THAT(ended.output, HasSubstr("replaying rows of quarantine 0 of 1 ["));
    EXPECT_THAT(ended.output, HasSubstr("\r\x1b[K       1  refused"));
}

}  // namespace
}  // namespace runledger::test
