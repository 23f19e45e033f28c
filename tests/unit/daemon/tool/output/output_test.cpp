#include "daemon/tool/output/output.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "daemon/base/obeyed_characters.hpp"
#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

// Both streams, in memory: neither is a terminal.
class Written {
public:
    ~Written() {
        std::fclose(results);
        std::fclose(remarks);
        std::free(results_text_);  // NOLINT: open_memstream's.
        std::free(remarks_text_);  // NOLINT
    }
    std::string results_text() {
        std::fflush(results);
        return {results_text_, results_size_};
    }
    std::string remarks_text() {
        std::fflush(remarks);
        return {remarks_text_, remarks_size_};
    }

private:
    char* results_text_{nullptr};
    std::size_t results_size_{0};
    char* remarks_text_{nullptr};
    std::size_t remarks_size_{0};

public:
    std::FILE* results{::open_memstream(&results_text_, &results_size_)};
    std::FILE* remarks{::open_memstream(&remarks_text_, &remarks_size_)};
};

TEST(Output, KeepsResultsAndRemarksApart) {
    Written written;
    Output out(written.results, written.remarks);

    out.print("{} rows\n", 3);
    out.warn("a file was left out");
    out.fail({.sentence = "permission denied", .exit_code = exit_failed, .sqlstate = "42501", .hint = "Ask a DBA."});

    EXPECT_EQ(written.results_text(), "3 rows\n");
    EXPECT_EQ(written.remarks_text(), "runledger: a file was left out\nrunledger: permission denied\nAsk a DBA.\n");
}

TEST(Output, SpeaksJsonOnBoth) {
    Written written;
    Output out(written.results, written.remarks);
    out.as_json = true;

    out.print(JsonObject().add("rows", 3));
    out.warn("a file was left out");
    out.fail({.sentence = "no", .exit_code = exit_no});

    EXPECT_EQ(written.results_text(), "{\"rows\":3}\n");
    EXPECT_EQ(written.remarks_text(),
              "{\"warning\":\"a file was left out\"}\n"
              "{\"error\":\"no\",\"exit_code\":3,\"sqlstate\":null,\"hint\":null}\n");
}

TEST(Output, DrawsNoBarWhereNobodyLooks) {
    Written written;
    Output out(written.results, written.remarks);

    out.show_progress("replaying", 1, 2);
    out.print("done\n");

    EXPECT_EQ(written.results_text(), "done\n");
    EXPECT_EQ(written.remarks_text(), "");
}

TEST(Output, MakesOneLineOfASendersText) {
    EXPECT_EQ(one_line("a\nb\x1b[31m\x7f"), "a b [31m ");
    EXPECT_EQ(one_line("abcdef", 3), "abc");
    EXPECT_EQ(one_line("C1 \xC2\x9B"
                       "31m, bidi \xE2\x80\xAE, line \xE2\x80\xA8, no UTF-8 \x9B\xC2"),
              "C1  31m, bidi  , line  , no UTF-8   ");
    EXPECT_EQ(one_line("näher → 猫 🐈", 9), "näher   ") << "cut within a character";
    EXPECT_EQ(without_controls("näher\t→\n猫 🐈"), "näher\t→\n猫 🐈");
}

// Whoever wrote what is printed: no command has to think of it.
TEST(Output, LetsNoTextThatIsPrintedReachTheTerminal) {
    const std::string hostile = "run\x1b[2J\nforged line \xC2\x9B\x31m \xE2\x80\xAE";
    Written written;
    Output out(written.results, written.remarks);

    out.print("{:<4} {} {}\n", hostile, hostile.c_str(), std::string_view(hostile));
    out.print("{}", Lines{"a: " + hostile + "\n"});
    out.warn(hostile);
    out.fail({.sentence = hostile, .exit_code = exit_failed, .hint = hostile});

    EXPECT_EQ(written.results_text(),
              "run [2J forged line  1m   run [2J forged line  1m   run [2J forged line  1m  \n"
              "a: run [2J\nforged line  1m  \n");
    EXPECT_EQ(written.remarks_text(),
              "runledger: run [2J\nforged line  1m  \nrunledger: run [2J\nforged line  1m  \n"
              "run [2J\nforged line  1m  \n");
}

TEST(Output, EscapesInJsonWhatATerminalObeysAndKeepsTheValue) {
    Written written;
    Output out(written.results, written.remarks);
    out.as_json = true;

    out.print(JsonObject().add("run", "a\x1b\xC2\x9B\x7F\xE2\x80\xAE猫"));

    EXPECT_EQ(written.results_text(), "{\"run\":\"a\\u001B\\u009b\\u007f\\u202e猫\"}\n");
}

TEST(WithoutContext, KeepsWhatIsForTheOperator) {
    EXPECT_EQ(without_context("ERROR:  the month ends later\nDETAIL:  d\nHINT:  Close it then.\n"
                              "CONTEXT:  PL/pgSQL function f(text) line 24 at RAISE\nSQL statement \"SELECT 1\"\n"),
              "ERROR:  the month ends later\nDETAIL:  d\nHINT:  Close it then.");
    EXPECT_EQ(without_context("ERROR:  no\nQUERY:  SELECT\nCONTEXT:  PL/pgSQL"), "ERROR:  no");
    EXPECT_EQ(without_context("no CONTEXT:  here"), "no CONTEXT:  here");
}

}  // namespace
}  // namespace runledger::tool
