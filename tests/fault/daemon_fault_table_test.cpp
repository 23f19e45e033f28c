// The daemon's fault table: each statement, commit, connection, allocation, thread start and answer that can fail is
// made to fail once, and the books and messages are as without it. docs/faults.md has the table that it prints.
//
// A clean run counts the points; then comes one run for each point, with the fault at it, several side by side.
//
//   RUNLEDGER_FAULT_TABLE=all     every point; ./test has the first commits of each stage and a sample of the others
//   RUNLEDGER_FAULT_ALLOCATIONS=… so many of each stage's allocations
//   RUNLEDGER_FAULT_ONLY=…        the points whose line contains this
//   RUNLEDGER_FAULT_PARALLEL=…    so many at a time
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "tests/fault/daemon_fault_scenario.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;

constexpr int occurrences_max = 2;  // The further ones of a statement are the same code in the same state.
constexpr int commits_max = 6;      // A commit's are of other rows. Those about progress are as the first two.
constexpr int tries_max = 3;        // A point that timing has moved away is looked for so often.

struct FaultCase {
    std::string kind{};   // A row of the table: "commit", "statement", …
    std::string stage{};  // Or who is asked: "Telegram".
    std::string point{};
    std::string fault{};  // A column.
    DaemonFault injected{};
    bool may_end{};        // The daemon ends and is started again.
    bool may_be_marked{};  // A message says that it may be a duplicate.

    [[nodiscard]] std::string line() const { return fmt::format("{} | {} | {} | {}", kind, stage, point, fault); }
};

struct Verdict {
    std::string outcome{};  // "as without it", and what is worth a word beside it.
    std::vector<std::string> faults{};
};

// ---- Which points there are ----------------------------------------------------------------------------------------

struct NamedFault {
    std::string_view name;
    StatementFault fault;
    std::string_view sqlstate;
};
constexpr NamedFault statement_faults[]{
    {"cut before", StatementFault::cut_before, ""}, {"answer lost", StatementFault::lost_answer, ""},
    {"refused", StatementFault::refused, ""},       {"session ended", StatementFault::ended, ""},
    {"delayed", StatementFault::delayed, ""},
};
// What a server says that has a bad day; each refused point gets the next.
constexpr std::string_view sqlstates[]{"40001", "40P01", "53100", "53200", "57014", "55P03", "XX000"};

std::vector<FaultCase> statement_cases(const ScenarioResult& clean) {
    std::vector<FaultCase> cases;
    std::set<StatementPoint> points;
    for (const StatementPoint& point : clean.statements) {
        const bool is_commit_of_rows = point.name.starts_with("COMMIT") && point.stage != "progress";
        if (point.occurrence <= (is_commit_of_rows ? commits_max : occurrences_max)) {
            points.insert(point);
        }
    }
    std::size_t refused = 0;
    for (const StatementPoint& point : points) {
        const bool is_commit = point.name.starts_with("COMMIT");
        const bool is_connect = point.name == "connect";
        for (const NamedFault& each : statement_faults) {
            const bool is_refusal = each.fault == StatementFault::refused || each.fault == StatementFault::ended;
            if (is_connect && each.fault == StatementFault::ended) {
                continue;  // There is no session yet.
            }
            const std::string_view sqlstate =
                is_connect ? std::string_view{"53300"} : sqlstates[refused % std::size(sqlstates)];
            refused += is_refusal ? 1 : 0;
            cases.push_back({.kind = is_commit    ? "commit"
                                     : is_connect ? "connection"
                                                  : "statement",
                             .stage = point.stage,
                             .point = fmt::format("{} #{}", point.name, point.occurrence),
                             .fault = std::string(each.name),
                             .injected = PostgresProxy::Fault{
                                 .at = point, .fault = each.fault, .sqlstate = std::string(sqlstate)}});
        }
    }
    return cases;
}

std::vector<FaultCase> allocation_cases(const ScenarioResult& clean, std::int64_t of_each_stage) {
    std::vector<FaultCase> cases;
    for (const auto& [stage, count] : clean.allocations) {
        // The last ones may not come in another run: it depends on how often a stage has looked in vain.
        const std::int64_t reached = count * 8 / 10;
        for (std::int64_t i = 0; i < std::min(of_each_stage, reached); ++i) {
            const std::int64_t number = 1 + i * reached / std::min(of_each_stage, reached);
            cases.push_back({.kind = "allocation",
                             .stage = stage.substr(3),
                             .point = fmt::format("#{}", number),
                             .fault = "no memory",
                             .injected = FailedAllocation{stage, number},
                             .may_end = true,
                             .may_be_marked = true});
        }
    }
    return cases;
}

std::vector<FaultCase> thread_cases(const ScenarioResult& clean) {
    std::vector<FaultCase> cases;
    for (int number = 1; number <= clean.threads; ++number) {
        cases.push_back({.kind = "thread",
                         .stage = "start",
                         .point = fmt::format("#{}", number),
                         .fault = "can't be started",
                         .injected = FailedThread{number},
                         .may_end = true});
    }
    return cases;
}

std::vector<FaultCase> answer_cases() {
    std::vector<FaultCase> cases;
    struct Call {
        std::string_view name;
        std::string_view chat;
        std::string_view method;
    };
    constexpr Call calls[]{{"the picture", "101", "sendPhoto"},
                           {"the failure", "102", "sendMessage"},
                           {"the album", "103", "sendMediaGroup"},
                           {"the provider's", "105", "sendPhoto"},
                           {"progress", "104", "sendMessage"},
                           {"progress's edit", "104", "editMessageText"},
                           {"progress's removal", "104", "deleteMessage"}};
    struct Answer {
        std::string_view name;
        BotAnswer answer;
        bool is_in_doubt;
    };
    const Answer answers[]{{"answer lost", BotAnswer::accept_then_drop(), true},
                           {"dropped", BotAnswer::drop(), true},
                           {"late", BotAnswer::slow(milliseconds{2500}), true},
                           {"500", BotAnswer::server_error(500), false},
                           {"429", BotAnswer::too_many_requests(1), false}};
    for (const Call& call : calls) {
        for (const Answer& answer : answers) {
            cases.push_back({.kind = "answer",
                             .stage = "Telegram",
                             .point = std::string(call.name),
                             .fault = std::string(answer.name),
                             .injected = FailedCall{{.answer = answer.answer,
                                                     .chat_id = std::string(call.chat),
                                                     .method = std::string(call.method)}},
                             .may_be_marked = answer.is_in_doubt});
        }
    }
    for (const int status : {0, 404, 429, 500}) {
        cases.push_back({.kind = "answer",
                         .stage = "provider",
                         .point = "the look-up",
                         .fault = status == 0 ? "connection refused" : std::to_string(status),
                         .injected = FailedLookup{status}});
    }
    constexpr int requests = 7;
    for (int request = 1; request <= requests; ++request) {
        cases.push_back({.kind = "answer",
                         .stage = "edge",
                         .point = fmt::format("acknowledgement #{}", request),
                         .fault = "answer lost",
                         .injected = LostAcknowledgement{request}});
    }
    return cases;
}

// ---- What became of them -------------------------------------------------------------------------------------------

std::vector<std::string> without(const std::vector<std::string>& from, const std::vector<std::string>& these) {
    std::vector<std::string> rest;
    std::set_difference(from.begin(), from.end(), these.begin(), these.end(), std::back_inserter(rest));
    return rest;
}

// Each message once, unless a further one says that it may be a duplicate. Returns how many say so.
int check_messages(const ScenarioResult& clean, const ScenarioResult& with_fault, std::vector<std::string>& faults) {
    struct Count {
        int wanted{};
        int unmarked{};
        int marked{};
    };
    std::map<std::string, Count> counts;
    for (const ToldMessage& message : clean.messages) {
        ++counts[message.text].wanted;
    }
    int marked = 0;
    for (const ToldMessage& message : with_fault.messages) {
        ++(message.is_marked ? counts[message.text].marked : counts[message.text].unmarked);
        marked += message.is_marked ? 1 : 0;
    }
    for (const auto& [text, count] : counts) {
        if (count.unmarked + count.marked < count.wanted) {
            faults.push_back("a message did not come: " + text);
        }
        if (count.unmarked > count.wanted) {
            faults.push_back("a message came twice, or is another: " + text);
        }
    }
    return marked;
}

Verdict judge(const FaultCase& fault, const ScenarioResult& clean, const ScenarioResult& result) {
    Verdict verdict;
    if (!result.trouble.empty()) {
        constexpr std::size_t shown_max = 6000;
        verdict.faults.push_back(result.trouble.size() <= shown_max
                                     ? result.trouble
                                     : result.trouble.substr(0, 500) + " … " +
                                           result.trouble.substr(result.trouble.size() - shown_max));
        verdict.outcome = "did not come to its end";
        return verdict;
    }
    for (const std::string& line : without(clean.books, result.books)) {
        verdict.faults.push_back("missing: " + line);
    }
    for (const std::string& line : without(result.books, clean.books)) {
        verdict.faults.push_back("not expected: " + line);
    }
    const int marked = check_messages(clean, result, verdict.faults);
    verdict.outcome = verdict.faults.empty() ? "as without it" : "DIFFERENT";
    if (marked > 0) {
        verdict.outcome += "; a message says that it may be a duplicate";
        if (!fault.may_be_marked && result.endings.empty()) {
            verdict.faults.push_back("nothing that could have reached Telegram was lost");
        }
    }
    if (result.refusals > 0) {
        verdict.outcome += "; a batch was refused and sent again";
    }
    if (result.progress_stays) {
        verdict.outcome += "; a message about progress stays";
        if (fault.kind != "answer" && fault.kind != "allocation" && result.endings.empty()) {
            verdict.faults.push_back("a message about progress stays in the chat");
        }
    }
    if (!result.endings.empty()) {
        const std::string& ending = result.endings.front();
        const bool has_refused = ending.starts_with("code 1 ");
        const bool has_hung = ending == ended_by_watchdog;
        verdict.outcome += has_refused ? "; the daemon did not start, said why, and was started again"
                           : has_hung  ? "; a stage hung, and the daemon was started again"
                                       : "; the daemon ended and was started again";
        // Libraries may end it where there is no memory; our own code goes on.
        const bool is_ours = fault.kind == "allocation" && result.culprit.starts_with("runledgerd");
        const bool has_crashed = ending.find("signal 11") != std::string::npos;
        // Without memory in the middle of COPY libpq and the server wait for each other.
        const bool may_hang = result.culprit.starts_with("libpq.so");
        if (!fault.may_end || is_ours || has_crashed || (has_hung && !may_hang)) {
            verdict.faults.push_back("the daemon ended: " + ending);
        }
    }
    return verdict;
}

class DaemonFaultTable : public testing::Test {
protected:
    static void SetUpTestSuite() {
        // Each free port and each connection takes a descriptor.
        rlimit files{};
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
            files.rlim_cur = files.rlim_max;
            (void)setrlimit(RLIMIT_NOFILE, &files);  // Where it can't be raised, fewer points fit.
        }
    }

    void SetUp() override {
        clean_ = run_scenario(ground_, "clean", NoFault{});
        ASSERT_EQ(clean_.trouble, "");
        const ScenarioResult again = run_scenario(ground_, "clean_again", NoFault{});
        ASSERT_EQ(again.trouble, "");
        ASSERT_EQ(without(clean_.books, again.books), without(again.books, clean_.books))
            << "the scenario is not the same every time";
        ASSERT_TRUE(clean_.endings.empty());
        ASSERT_FALSE(clean_.progress_stays);
        // What the others are compared with is right, and not only the same every time.
        constexpr std::size_t messages_wanted = 7;  // An ending each, and the album's sound by itself.
        ASSERT_EQ(clean_.messages.size(), messages_wanted);
        ASSERT_THAT(clean_.books, testing::Contains("balance: 12, and 12 in runs"));
        ASSERT_THAT(clean_.books, testing::Contains(testing::EndsWith("first copies 13, applied 12, quarantined 1")));
        ASSERT_EQ(rows_of("event "), 12);
        ASSERT_EQ(rows_of("settlement "), 6);
    }

    [[nodiscard]] long rows_of(std::string_view table) const {
        return std::count_if(clean_.books.begin(), clean_.books.end(),
                             [&](const std::string& line) { return line.starts_with(table); });
    }

    // Every case, on several threads; the outcomes in the order of the cases.
    void make_all(const std::vector<FaultCase>& cases) {
        struct Done {
            ScenarioResult result;
            Verdict verdict;
        };
        std::vector<Done> done(cases.size());
        std::atomic<std::size_t> next{0};
        const auto work = [&] {
            for (std::size_t i = next++; i < cases.size(); i = next++) {
                for (int attempt = 0; attempt < tries_max && !done[i].result.has_struck; ++attempt) {
                    done[i].result = run_scenario(ground_, fmt::format("point_{}_{}", i, attempt), cases[i].injected);
                    done[i].verdict = judge(cases[i], clean_, done[i].result);
                    if (!done[i].verdict.faults.empty()) {
                        break;
                    }
                }
                if (is_chosen()) {
                    const ScenarioResult& result = done[i].result;
                    fmt::print("{} | {} | {} ms | {} {}\n", cases[i].line(),
                               result.has_struck ? done[i].verdict.outcome : "not reached", result.took.count(),
                               result.culprit, result.endings.empty() ? "" : result.endings.front());
                    std::fflush(stdout);
                }
            }
        };
        {
            const unsigned parallel = from_environment("RUNLEDGER_FAULT_PARALLEL", 8U);
            std::vector<std::jthread> workers;
            for (unsigned i = 0; i < parallel; ++i) {
                workers.emplace_back(work);
            }
        }
        std::map<std::string, int> rows;
        std::size_t not_reached = 0;
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const bool has_struck = done[i].result.has_struck;
            not_reached += has_struck ? 0 : 1;
            ++rows[fmt::format("| {} | {} | {} | {} |", cases[i].kind, cases[i].stage, cases[i].fault,
                               has_struck ? done[i].verdict.outcome : "not reached")];
            if (!done[i].verdict.faults.empty()) {
                std::string text;
                for (const std::string& each : done[i].verdict.faults) {
                    text += "\n  " + each;
                }
                ADD_FAILURE() << cases[i].line() << ": " << done[i].verdict.outcome << " " << done[i].result.culprit
                              << text;
            }
        }
        fmt::print("| point | stage | fault | outcome | times |\n| --- | --- | --- | --- | --- |\n");
        for (const auto& [row, times] : rows) {
            fmt::print("{} {} |\n", row, times);
        }
        fmt::print("{} points, {} of them not reached\n", cases.size(), not_reached);
        EXPECT_LE(not_reached * 10, cases.size()) << "the table shows little";
    }

    // More than ./test has time for.
    [[nodiscard]] static bool is_chosen() {
        const char* table = std::getenv("RUNLEDGER_FAULT_TABLE");
        return (table != nullptr && std::string_view(table) == "all") || std::getenv("RUNLEDGER_FAULT_ONLY") != nullptr;
    }

    [[nodiscard]] static bool is_wanted(const FaultCase& fault) {
        const char* only = std::getenv("RUNLEDGER_FAULT_ONLY");
        return only == nullptr || fault.line().find(only) != std::string::npos;
    }

    FaultGround ground_;
    ScenarioResult clean_;
};

TEST_F(DaemonFaultTable, LeavesTheBooksAndMessagesAsWithoutAFault) {
    // Of the others than the first commits, every so manieth.
    constexpr char first_commits = '2';
    constexpr std::size_t one_of_statements = 48;
    constexpr std::size_t one_of_threads = 6;
    constexpr std::size_t one_of_answers = 5;
    std::vector<FaultCase> cases;
    const auto add = [&](std::vector<FaultCase> some, std::size_t one_of) {
        std::size_t number = 0;
        for (FaultCase& each : some) {
            const bool is_commit = each.kind == "commit" && each.point.back() <= first_commits &&
                                   (each.fault == "cut before" || each.fault == "answer lost");
            const bool is_in_sample = is_commit || number++ % one_of == 0;
            if (is_wanted(each) && (is_in_sample || is_chosen())) {
                cases.push_back(std::move(each));
            }
        }
    };
    add(statement_cases(clean_), one_of_statements);
    add(allocation_cases(clean_, from_environment<std::int64_t>("RUNLEDGER_FAULT_ALLOCATIONS", is_chosen() ? 60 : 3)),
        1);
    add(thread_cases(clean_), one_of_threads);
    add(answer_cases(), one_of_answers);

    make_all(cases);
}

}  // namespace
}  // namespace runledger::test
