// Each subcommand of the tool under each documented role: what it does, and what it says where it may not.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <set>

#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

constexpr int done = 0;
constexpr int refused = 1;
constexpr int answer_is_no = 3;

// docs/dba.md, "Roles", has the same table.
struct Row {
    std::vector<std::string> words;
    int owner, daemon, application, reader;  // Exit codes.
};

std::vector<Row> rows() {
    return {
        {{"migrate"}, done, refused, refused, refused},
        {{"audit"}, answer_is_no, refused, refused, refused},
        {{"explain", "r-1"}, done, refused, refused, refused},
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
        {{"replay", "--from", "2026-01-01", "--to", "2026-02-01", "--into", "trial"},
         refused,
         refused,
         refused,
         refused},
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
            "'{\"run_id\": \"r-1\", \"status\": \"running\"}')");
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
                EXPECT_THAT(ended.output, AnyOf(HasSubstr("permission denied"), HasSubstr("may not make the roles")))
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
    std::set<std::string> in_table{"spool", "keygen"};  // These need no database.
    for (const Row& row : rows()) {
        in_table.insert(row.words.front());
    }
    std::set<std::string> offered;
    const std::string help = tool({"--help"}).output;
    const std::size_t begin = help.find("Subcommands:\n");
    ASSERT_NE(begin, std::string::npos) << help;
    for (std::size_t at = help.find("\n  ", begin); at != std::string::npos; at = help.find("\n  ", at + 1)) {
        const std::string word = help.substr(at + 3, help.find_first_of(" \n", at + 3) - at - 3);
        if (!word.empty()) {
            offered.insert(word);
        }
    }

    EXPECT_EQ(offered, in_table);
}

struct Wrong {
    std::vector<std::string> words;
    int code;
    const char* says;
};

TEST_F(Subcommands, EndWithTheirDocumentedCodes) {
    const std::vector<Wrong> all{
        {{"migrate"}, done, "the schema is this build's"},
        {{"audit"}, answer_is_no, "DOES NOT ADD UP"},
        {{"explain", "no-such-run"}, answer_is_no, "no-such-run"},
        {{"forget", "--chat", "7"}, answer_is_no, ""},
        {{"outbox", "show", "999"}, 2, "do not exist"},
        {{"quarantine", "show", "999"}, refused, "999"},
        {{"migrate", "--adopt", "public.not_there"}, refused, "not_there"},
        {{"no-such-subcommand"}, refused, "A subcommand is required"},
        {{"reprice", "--gpu", "none", "--from", "2026-01-01", "--to", "2026-02-01"}, refused, "none"},
        {{"reprice", "--gpu", "A10G", "--from", "01.11.2026", "--to", "2026-02-01"}, refused, "01.11.2026"},
    };
    for (const Wrong& one : all) {
        const Finished ended = tool(one.words);

        EXPECT_EQ(ended.status, (ExitStatus{.code = one.code})) << text_of(one.words) << '\n' << ended.output;
        EXPECT_THAT(ended.output, HasSubstr(one.says));
    }
}

}  // namespace
}  // namespace runledger::test
