// `runledger refused list | show | take | drop`, on the folder of a real nginx whose token was rotated wrongly.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <sstream>

#include "common/refused_format.hpp"
#include "common/wire.hpp"
#include "tests/integration/tool/tool_fixture.hpp"
#include "tests/support/disk_faults.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::string_view right = "rightrightrightright";
constexpr std::string_view wrong = "wrongwrongwrongwrong";
// printf %s wrongwrongwrongwrong | sha256sum
constexpr std::string_view digest_of_wrong = "4d0c2f97ae4b9c6d";

class RefusedTool : public ToolFixture {
protected:
    RefusedTool() {
        static_cast<void>(folder().write_secret("tokens", fmt::format("studio {}\n", right)));
        static_cast<void>(folder().make_folder("refused"));
    }

    void start(std::string_view parameters = "") {
        start_daemon();
        start_nginx({.token = "runledger_token $arg_token file=@TEST_FOLDER@/tokens;",
                     .http_extra = fmt::format("runledger_refused @TEST_FOLDER@/refused {};", parameters)});
        eventually("the spool is claimed", [this] { return fs::exists(nginx().spool() / "identity"); });
    }

    [[nodiscard]] Command command(std::vector<std::string> words, const std::map<std::string, std::string>& env) const {
        std::vector<std::string> argv{
            install_executable(folder(), fs::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger").string(), "refused"};
        argv.insert(argv.end(), words.begin(), words.end());
        return {.argv = argv, .env = env};
    }
    [[nodiscard]] Finished refused(std::vector<std::string> words,
                                   const std::map<std::string, std::string>& env = {}) const {
        return run_to_end(command(std::move(words), env), folder());
    }
    [[nodiscard]] std::string refused_says(std::vector<std::string> words) const {
        const Finished finished = refused(std::move(words));
        EXPECT_TRUE(finished.status.clean()) << finished.output;
        return finished.output;
    }
    [[nodiscard]] std::vector<std::string> take_words(std::vector<std::string> choice) {
        std::vector<std::string> words{"take", refused_folder(), "--spool", nginx().spool()};
        words.insert(words.end(), choice.begin(), choice.end());
        return words;
    }

    [[nodiscard]] std::string refused_folder() const { return folder() / "refused"; }
    long post_with(std::string_view token, std::string_view body, std::string method = "POST") {
        return http_call({.url = nginx().url(fmt::format("{}?token={}", endpoint, token)),
                          .method = std::move(method),
                          .body = std::string{body}})
            .status;
    }
    // Bodies that are refused for their token, each kept.
    std::vector<std::string> refuse(int count) {
        const std::size_t before = files_in(refused_folder(), refused_suffix).size();
        std::vector<std::string> bodies;
        for (int i = 0; i < count; ++i) {
            bodies.push_back(fresh_event());
            EXPECT_EQ(post_with(wrong, bodies.back()), 401);
        }
        eventually("all of them are kept",
                   [&] { return files_in(refused_folder(), refused_suffix).size() == before + bodies.size(); });
        return bodies;
    }
    // The receive time of each kept body, as the files say.
    [[nodiscard]] std::map<std::string, Stamp> kept_stamps() const {
        std::map<std::string, Stamp> stamps;
        for (const std::string& name : files_in(refused_folder(), refused_suffix)) {
            const auto decoded = decode_refused(read_text(fs::path(refused_folder()) / name));
            const auto& body = std::get<RefusedBody>(decoded);
            stamps[body.body] = body.stamp;
        }
        return stamps;
    }
    void expect_delivered_with(const std::map<std::string, Stamp>& stamps) {
        std::vector<std::string> bodies;
        for (const auto& [body, stamp] : stamps) {
            bodies.push_back(body);
        }
        expect_delivered(bodies);
        for (const DeliveredEvent& event : daemon().delivered()) {
            EXPECT_EQ(event.stamp, stamps.at(event.body));
        }
    }
    void expect_nothing_left() {
        EXPECT_TRUE(fs::is_empty(refused_folder()));
        eventually("the spool has no half-written file", [this] {
            for (const auto& entry : fs::directory_iterator(nginx().spool())) {
                if (entry.path().filename().string().starts_with('.')) {
                    return false;
                }
            }
            return true;
        });
    }
};

TEST_F(RefusedTool, TakesWhatAWronglyRotatedTokenHasRefused) {
    start();
    const auto bodies = refuse(30);
    const auto stamps = kept_stamps();
    EXPECT_THAT(refused_says({"list", refused_folder()}),
                AllOf(HasSubstr(fmt::format("token   {}       30       30", digest_of_wrong)), HasSubstr("30 bodies, "),
                      HasSubstr("30 hold an event and can be taken")));

    const std::string said = refused_says(take_words({"--digest", std::string{digest_of_wrong}}));

    EXPECT_THAT(said, HasSubstr("30 events put into"));
    expect_delivered_with(stamps);
    const auto delivered = daemon().delivered();
    EXPECT_TRUE(std::ranges::is_sorted(delivered, {}, [](const auto& event) { return event.stamp.received_at; }));
    EXPECT_EQ(delivered.front().body, bodies.front());
    expect_nothing_left();
    eventually("the segment is retired", [this] { return !daemon().retired().empty(); });
}

TEST_F(RefusedTool, TakesOnlyWhatIsChosen) {
    start();
    const auto by_digest = refuse(2);
    const std::string without_token = fresh_event();
    EXPECT_EQ(post(without_token).status, 401);
    eventually("it is kept", [&] { return files_in(refused_folder(), refused_suffix).size() == 3; });

    EXPECT_THAT(refused_says(take_words({"--digest", "0123"})), HasSubstr("0 events put into"));
    EXPECT_THAT(refused_says(take_words({"--until", "2020-01-01"})), HasSubstr("0 events put into"));
    EXPECT_THAT(refused_says(take_words({"--reason", "json"})), HasSubstr("0 events put into"));
    EXPECT_THAT(files_in(refused_folder(), refused_suffix), SizeIs(3));
    EXPECT_THAT(refused_says(take_words({"--digest", "none", "--since", "2020-01-01"})),
                HasSubstr("1 events put into"));
    expect_delivered({without_token});

    EXPECT_THAT(refused_says(take_words({"--digest", "4d0c"})), HasSubstr("2 events put into"));
    expect_delivered({without_token, by_digest[0], by_digest[1]});
}

TEST_F(RefusedTool, LeavesTheSendersRepeatedTriesOut) {
    start();
    const std::string event = fresh_event();
    for (const char* method : {"POST", "GET", "GET"}) {
        EXPECT_EQ(post_with(wrong, event, method), 401);
    }
    EXPECT_EQ(post_with(wrong, event), 401) << "the same news once more, as a late update has";
    const std::string second_try_only = fresh_event();
    EXPECT_EQ(post_with(wrong, second_try_only, "GET"), 401);
    eventually("they are kept", [&] { return files_in(refused_folder(), refused_suffix).size() == 5; });

    const std::string said = refused_says(take_words({"--all"}));

    EXPECT_THAT(said, AllOf(HasSubstr("3 events put into"), HasSubstr("2 repeated tries")));
    expect_delivered({event, event, second_try_only});
    EXPECT_EQ(daemon().delivered().front().flags, 0U);
    EXPECT_EQ(daemon().delivered().back().flags, wire::redelivered);
    expect_nothing_left();
}

TEST_F(RefusedTool, LeavesWhatHoldsNoEventWithTheReason) {
    start();
    const auto good = refuse(1);
    EXPECT_EQ(post_with(right, R"({"status": "running"})"), 400);
    eventually("it is kept", [&] { return files_in(refused_folder(), refused_suffix).size() == 2; });
    write_bytes(fs::path(refused_folder()) / "1700000000000000-0a1b2c3d-0011223344556677.refused", "runledger-ref");

    const Finished taken = refused(take_words({"--all"}));

    EXPECT_EQ(taken.status.code, 3);
    EXPECT_THAT(taken.output, AllOf(HasSubstr("1 events put into"), HasSubstr("1 damaged, 1 run_id_missing")));
    expect_delivered(good);
    EXPECT_THAT(files_in(refused_folder(), refused_suffix), SizeIs(2));
    EXPECT_THAT(refused_says({"list", refused_folder()}), AllOf(HasSubstr("json    studio"), HasSubstr("damaged -")));
    EXPECT_THAT(refused_says({"drop", refused_folder(), "--reason", "json"}), HasSubstr("1 bodies dropped"));
    EXPECT_THAT(refused_says({"drop", refused_folder(), "--all"}), HasSubstr("1 bodies dropped"));
    expect_nothing_left();
}

TEST_F(RefusedTool, ShowsOneBodyAndKeepsControlCharactersFromTheTerminal) {
    start();
    EXPECT_EQ(post_with(wrong, R"({"run_id": "\u001b]0;owned\u0007", "status": "running"})"), 401);
    eventually("it is kept", [&] { return files_in(refused_folder(), refused_suffix).size() == 1; });
    const std::string id = fs::path(files_in(refused_folder(), refused_suffix).front()).stem();

    const std::string line = refused_says({"list", refused_folder(), "--each"});
    const std::string shown = refused_says({"show", refused_folder(), id.substr(0, 18)});
    const std::string listed = refused_says({"list", refused_folder(), "--json"});

    EXPECT_THAT(line, AllOf(HasSubstr(id), HasSubstr(R"(run="\u001B]0;owned\u0007" status="running")")));
    rapidjson::Document document;
    document.Parse(shown.c_str());
    ASSERT_FALSE(document.HasParseError()) << shown;
    EXPECT_EQ(document["token"].GetString(), digest_of_wrong);
    EXPECT_STREQ(document["reason"].GetString(), "token");
    EXPECT_STREQ(document["address"].GetString(), "127.0.0.1");
    EXPECT_THAT(document["body"].GetString(), HasSubstr("run_id"));
    EXPECT_THAT(listed, Not(HasSubstr("\"body\"")));
    for (const std::string& text : {line, shown, listed}) {
        EXPECT_THAT(text, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr(std::string{wrong}))));
    }
    EXPECT_EQ(refused({"show", refused_folder(), "9"}).status.code, 3);
}

TEST_F(RefusedTool, RefusesWhatIsNotSaidClearly) {
    start();
    static_cast<void>(refuse(1));
    const auto expect_misused = [&](std::vector<std::string> words, const char* sentence) {
        const Finished ended = refused(std::move(words));
        EXPECT_EQ(ended.status.code, 2) << ended.output;
        EXPECT_THAT(ended.output, HasSubstr(sentence));
    };

    expect_misused(take_words({}), "say which bodies");
    expect_misused({"drop", refused_folder()}, "say which bodies");
    expect_misused(take_words({"--digest", ""}), "--digest: an empty value");
    expect_misused({"drop", refused_folder(), "--reason", "token", "--since", ""}, "--since: an empty value");
    for (const char* digest : {"4d", "wrongwrongwrongwrong"}) {
        expect_misused(take_words({"--digest", digest}), "is neither \"none\" nor the beginning");
    }
    expect_misused(take_words({"--since", "yesterday"}), "\"yesterday\" is not a time");
    expect_misused({"list", refused_folder(), "--since", "2026-12-01", "--until", "2026-11-01"},
                   "--since 2026-12-01 is not before --until 2026-11-01");
    expect_misused({"list", refused_folder(), "--since", "2999-01-01"}, "--since 2999-01-01 has not come yet");
    const Finished no_spool = refused({"take", refused_folder(), "--spool", refused_folder(), "--all"});
    EXPECT_EQ(no_spool.status.code, 1);
    EXPECT_THAT(no_spool.output, HasSubstr("has no file \"identity\""));
    EXPECT_THAT(files_in(refused_folder(), refused_suffix), SizeIs(1));
}

TEST_F(RefusedTool, TakesNoOtherFolderForOneInWhichNothingIsKept) {
    start();
    static_cast<void>(refuse(1));
    const std::string other = folder().path().string();  // The folder around it, as somebody may type.
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"list", other},
                                               {"show", other, "17"},
                                               {"drop", other, "--all"},
                                               {"take", other, "--spool", nginx().spool(), "--all"}}) {
        const Finished ended = refused(words);

        EXPECT_EQ(ended.status.code, 3) << words.front() << ": " << ended.output;
        EXPECT_THAT(ended.output, HasSubstr("is not the folder of runledger_refused"));
    }
}

TEST_F(RefusedTool, SpeaksJsonOfTheDocumentedShapeAndNothingElse) {
    start();
    static_cast<void>(refuse(2));
    EXPECT_EQ(post_with(right, R"({"status": "running"})"), 400);
    eventually("it is kept", [&] { return files_in(refused_folder(), refused_suffix).size() == 3; });
    const std::string id = fs::path(files_in(refused_folder(), refused_suffix).front()).stem();
    const std::string page = read_text(fs::path(RUNLEDGER_SOURCE_DIR) / "docs/tool.md");

    const std::vector<std::pair<std::vector<std::string>, int>> calls{
        {{"list", refused_folder()}, 0},
        {{"show", refused_folder(), id}, 0},
        {take_words({"--digest", std::string{digest_of_wrong}}), 0},
        {take_words({"--all"}), 3},
        {{"drop", refused_folder(), "--all"}, 0},
        {{"show", refused_folder(), id}, 3},
    };
    for (const auto& [words, code] : calls) {
        std::vector<std::string> with_json = words;
        with_json.emplace_back("--json");
        const Finished ended = refused(with_json);

        EXPECT_EQ(ended.status.code, code) << words.front() << '\n' << ended.output;
        // The last such row: the table before has the exit codes.
        const std::string row =
            page.substr(std::min(page.rfind(fmt::format("| `refused {}` |", words.front())), page.size()));
        std::istringstream lines(ended.output);
        for (std::string line; std::getline(lines, line);) {
            rapidjson::Document object;
            object.Parse(line.c_str());
            ASSERT_TRUE(!object.HasParseError() && object.IsObject()) << words.front() << ": " << line;
            for (const auto& member : object.GetObject()) {
                EXPECT_TRUE(object.HasMember("error") ||
                            row.substr(0, row.find('\n')).find(fmt::format("`{}`", member.name.GetString())) !=
                                std::string::npos)
                    << words.front() << ": " << member.name.GetString() << " is not in docs/tool.md";
            }
        }
    }
}

TEST_F(RefusedTool, TakesTooMuchForOneSegmentInSeveral) {
    start();
    std::vector<std::string> bodies;
    for (int i = 0; i < 20; ++i) {
        RefusedBody one;
        one.stamp.received_at = WallTime{std::chrono::microseconds{1'700'000'000'000'000 + i}};
        one.reason = RefusedFor::token;
        one.body = fresh_event_of_bytes(1'000'000);
        bodies.push_back(one.body);
        write_bytes(fs::path(refused_folder()) / refused_file_name({.received_at = one.stamp.received_at}),
                    encode_refused(one));
    }

    EXPECT_THAT(refused_says(take_words({"--all"})), HasSubstr("in 3 segments"));

    expect_delivered(bodies);
    expect_nothing_left();
}

// Where the tool is when it is killed, or when its disk fails.
struct Step {
    const char* name;
    disk_call_kind kind;
    bool in_spool;  // Else in the folder of refused bodies.
    int after;      // So many calls pass.
};

const Step steps[] = {
    {"MovingTheFirst", disk_rename, false, 0},
    {"MovingTheTenth", disk_rename, false, 9},
    {"SyncingTheFolder", disk_sync_folder, false, 0},
    {"SyncingTheTake", disk_sync_folder, false, 1},
    {"MakingTheSegment", disk_open_for_writing, false, 0},
    {"WritingTheSegment", disk_write, false, 0},
    {"SyncingTheSegment", disk_sync_folder, false, 2},
    {"NamingTheSegment", disk_rename, false, 20},
    {"SyncingItsName", disk_sync_folder, false, 3},
    {"MakingTheCopy", disk_open_for_writing, true, 0},
    {"WritingTheCopy", disk_write, true, 0},
    {"SyncingTheCopy", disk_sync_folder, true, 0},
    {"SyncingTheSpool", disk_sync_folder, true, 1},
    {"RemovingTheFirst", disk_unlink, false, 1},
    {"RemovingTheTenth", disk_unlink, false, 10},
    {"SyncingTheRemoval", disk_sync_folder, false, 4},
    {"RemovingTheSegment", disk_unlink, false, 21},
};

class RefusedToolStops : public RefusedTool {
protected:
    // One step after the other, each with bodies of its own, and then all that must have arrived.
    void at_each_step(const std::function<void(const Step&, DiskFaults&)>& stop) {
        start();
        std::map<std::string, Stamp> all;
        for (const Step& step : steps) {
            SCOPED_TRACE(step.name);
            DiskFaults disk(folder(), step.in_spool ? nginx().spool() : fs::path{refused_folder()});
            static_cast<void>(refuse(20));
            all.merge(kept_stamps());

            stop(step, disk);

            const Finished again = refused(take_words({"--all"}));
            EXPECT_TRUE(again.status.clean()) << again.output;
            expect_nothing_left();
        }
        expect_delivered_with(all);
    }
};

TEST_F(RefusedToolStops, AnywhereAndEachEventArrivesOnceAllTheSame) {
    at_each_step([this](const Step& step, DiskFaults& disk) {
        disk.set(step.kind, {.error = EIO, .after = step.after, .times = 1});
        const Finished failed = refused(take_words({"--all"}), disk.env());
        EXPECT_EQ(failed.status.code, 1) << failed.output;
        EXPECT_EQ(disk.failed(step.kind), 1);
    });
}

TEST_F(RefusedToolStops, ByAKillAndEachEventArrivesOnceAllTheSame) {
    at_each_step([this](const Step& step, DiskFaults& disk) {
        // The call that would fail takes so long that the kill comes before it.
        const std::chrono::milliseconds delay{step.after == 0 ? 30'000 : 20};
        disk.set(step.kind, {.error = EIO, .after = step.after, .delay = delay});
        ChildProcess tool(command(take_words({"--all"}), disk.env()));
        eventually("the tool is there", [&] { return disk.calls(step.kind) > step.after || !tool.running(); });
        tool.kill();
        disk.heal();
    });
}

TEST_F(RefusedTool, SendsASegmentThatIsGoneAlreadyUnderItsOldName) {
    start();
    static_cast<void>(refuse(5));
    const auto stamps = kept_stamps();
    DiskFaults disk(folder(), refused_folder());
    disk.set(disk_unlink, {.error = EIO, .after = 1});
    EXPECT_EQ(refused(take_words({"--all"}), disk.env()).status.code, 1);
    expect_delivered_with(stamps);
    eventually("it is retired", [this] { return daemon().retired().size() == 1; });

    EXPECT_TRUE(refused(take_words({"--all"})).status.clean());

    expect_nothing_left();
    eventually("the spool has only the worker's own", [this] { return files_in(nginx().spool(), ".seg").size() <= 2; });
    EXPECT_THAT(daemon().retired(), SizeIs(1));
    expect_delivered_with(stamps);
}

TEST_F(RefusedTool, LetsOneTakeAtATime) {
    start();
    static_cast<void>(refuse(20));
    const auto stamps = kept_stamps();
    DiskFaults disk(folder(), refused_folder());
    disk.hang(disk_rename);
    ChildProcess first(command(take_words({"--all"}), disk.env()));
    eventually("the first is at work", [&] { return disk.hanging(disk_rename) == 1; });

    const Finished second = refused(take_words({"--all"}));
    const Finished drop = refused({"drop", refused_folder(), "--all"});
    disk.heal();

    EXPECT_EQ(second.status.code, 1);
    EXPECT_THAT(second.output, HasSubstr("another runledger refused take or drop works on it"));
    EXPECT_EQ(drop.status.code, 1);
    EXPECT_EQ(first.wait(), (ExitStatus{.code = 0}));
    expect_delivered_with(stamps);
    expect_nothing_left();
}

TEST_F(RefusedTool, TakesWhileTheEdgeGoesOnRefusing) {
    start();
    std::map<std::string, Stamp> all;
    auto refusing = std::async(std::launch::async, [this] {
        std::vector<std::string> bodies;
        for (int i = 0; i < 200; ++i) {
            bodies.push_back(fmt::format(R"({{"run_id": "run-{}", "status": "running"}})", i));
            EXPECT_EQ(post_with(wrong, bodies.back()), 401);
        }
        return bodies;
    });
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(refused(take_words({"--all"})).status.clean());
    }
    const auto bodies = refusing.get();
    eventually("the rest is taken", [&] {
        EXPECT_TRUE(refused(take_words({"--all"})).status.clean());
        return daemon().delivered().size() == bodies.size();
    });

    expect_delivered(bodies);
    expect_nothing_left();
}

}  // namespace
}  // namespace runledger::test
