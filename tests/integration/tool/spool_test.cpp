// `runledger spool list | show | export | import | resend`, on the folders of real nginxes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <sys/stat.h>

#include <algorithm>
#include <sstream>

#include "common/spool_format.hpp"
#include "tests/integration/tool/tool_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/frames.hpp"

namespace runledger::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAreArray;

constexpr std::string_view identity_of_edge =
    "runledger-spool 1\nfolder 9f0c6a51d8e24b7f8f4a1d2e3c4b5a69\n"
    "host 0123456789abcdef0123456789abcdef\nhostname edge\n";

std::vector<rapidjson::Document> parse_lines(const std::string& text) {
    std::vector<rapidjson::Document> documents;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        rapidjson::Document document;
        document.Parse(line.c_str());
        EXPECT_FALSE(document.HasParseError()) << line;
        documents.push_back(std::move(document));
    }
    return documents;
}

std::vector<std::string> bodies_of(const std::string& json_lines) {
    std::vector<std::string> bodies;
    for (const rapidjson::Document& event : parse_lines(json_lines)) {
        bodies.emplace_back(event["body"].GetString(), event["body"].GetStringLength());
    }
    return bodies;
}

class SpoolTool : public ToolFixture {
protected:
    [[nodiscard]] std::string spool_folder() { return nginx().spool().string(); }

    // Another nginx on this test's daemon, whose spool is left behind with these events in it.
    std::filesystem::path make_dead_host(const std::vector<std::string>& bodies) {
        NginxServer host(folder(), standard_conf({.daemon_endpoints = "ipc://@TEST_FOLDER@/nobody.sock"}),
                         {.name = "dead"});
        host.start();
        for (const std::string& body : bodies) {
            EXPECT_EQ(http_post(host.url(), body).status, 200);
        }
        host.kill_all();
        return host.spool();
    }
    // A folder from which an nginx sends, with nothing in it.
    [[nodiscard]] std::filesystem::path make_used_spool(std::string_view name) {
        const auto path = folder().make_folder(name);
        write_bytes(path / "identity", identity_of_edge);
        return path;
    }
    [[nodiscard]] std::vector<std::string> fresh_events(int count) {
        std::vector<std::string> bodies;
        for (int i = 0; i < count; ++i) {
            bodies.push_back(fresh_event());
        }
        return bodies;
    }
};

TEST_F(SpoolTool, ListsALiveSpoolAndDisturbsNothing) {
    start_nginx();
    std::vector<std::string> bodies = post_until_answered(3);

    const auto segments = parse_lines(spool_says({"list", spool_folder(), "--json"}));
    for (int i = 0; i < 10; ++i) {
        const auto more = post_until_answered(1);
        bodies.insert(bodies.end(), more.begin(), more.end());
        static_cast<void>(spool_says({"list", spool_folder()}));
    }
    start_daemon();

    std::uint64_t events = 0;
    for (const auto& segment : segments) {
        EXPECT_STREQ(segment["state"].GetString(), "owned");
        events += segment["events"].GetUint64();
    }
    EXPECT_EQ(events, 3U);
    expect_delivered(bodies);
}

TEST_F(SpoolTool, ListsForEyes) {
    const auto folder = make_spool("s", {1, 2});

    const std::string text = spool_says({"list", folder.string()});

    EXPECT_THAT(text, AllOf(HasSubstr("c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3  orphan          2023-11-14T22:13:20.000000Z "
                                      "      2        2"),
                            HasSubstr("1 segments, "), HasSubstr("2 batches with 2 events are not retired yet")));
}

TEST_F(SpoolTool, ShowsTheEventsOfASegmentNamedByItsBeginning) {
    const auto folder = make_spool("s", {1, 2});

    EXPECT_EQ(
        spool_says({"show", folder.string(), "c3c3"}),
        "0:0 2023-11-14T22:13:20.123456Z run=\"run-1\" status=\"running\" bytes=" + std::to_string(body_of(1).size()) +
            "\n1:0 2023-11-14T22:13:20.123456Z run=\"run-2\" status=\"running\" bytes=" +
            std::to_string(body_of(2).size()) + "\n");
    EXPECT_THAT(bodies_of(spool_says({"show", folder.string(), "c3c3", "--batch", "1", "--bodies"})),
                ElementsAreArray({body_of(2)}));
}

TEST_F(SpoolTool, KeepsASendersControlCharactersFromTheTerminal) {
    start_nginx();
    EXPECT_EQ(post(R"({"run_id": "\u001b]0;owned\u0007", "status": "running"})").status, 200);

    const auto segments = parse_lines(spool_says({"list", spool_folder(), "--json"}));
    std::string shown;
    for (const auto& segment : segments) {
        shown += spool_says({"show", spool_folder(), segment["segment"].GetString()});
    }

    EXPECT_THAT(shown, AllOf(HasSubstr(R"(run="\u001B]0;owned\u0007")"), Not(HasSubstr("\x1b"))));
}

TEST_F(SpoolTool, ExportsEveryEventByteForByte) {
    start_nginx();
    std::vector<std::string> bodies = post_until_answered(3);
    bodies.push_back(fresh_event_of_bytes(200'000));
    bodies.push_back(R"({"run_id": "ü \u0000", "status": "success", "n": NaN})");
    for (std::size_t i = 3; i < 5; ++i) {
        ASSERT_EQ(post(bodies[i]).status, 200);
    }

    EXPECT_THAT(bodies_of(spool_says({"export", spool_folder()})), UnorderedElementsAreArray(bodies));
}

TEST_F(SpoolTool, ImportsADeadHostsSegmentsIntoARunningNginx) {
    const auto bodies = fresh_events(4);
    const auto dead = make_dead_host(bodies);
    start_nginx();
    start_daemon();

    const std::string said = spool_says({"import", spool_folder(), dead.string(), "--source-is-gone"});

    EXPECT_THAT(said, HasSubstr("segments imported"));
    expect_delivered(bodies);
    eventually("the imported segments are retired", [&] { return !daemon().retired().empty(); });
    EXPECT_THAT(spool_says({"import", spool_folder(), dead.string()}), Not(HasSubstr("0 segments imported")))
        << "a segment that was retired may be imported again: the ledger knows its batches";
}

TEST_F(SpoolTool, NeverRetiresACopyWhoseOriginalMayGrow) {
    NginxServer original(folder(), standard_conf({.daemon_endpoints = "ipc://@TEST_FOLDER@/late.sock"}),
                         {.name = "original"});
    original.start();
    std::vector<std::string> bodies = fresh_events(3);
    for (const std::string& body : bodies) {
        ASSERT_EQ(http_post(original.url(), body).status, 200);
    }
    const auto copies = folder().make_folder("copies");
    static_cast<void>(spool_says({"export", original.spool().string(), "--to", copies.string()}));
    start_nginx();
    start_daemon();

    static_cast<void>(spool_says({"import", spool_folder(), copies.string()}));

    expect_delivered(bodies);
    eventually("the copy is gone", [&] {
        return parse_lines(spool_says({"list", spool_folder(), "--json"})).empty() ||
               std::ranges::all_of(parse_lines(spool_says({"list", spool_folder(), "--json"})),
                                   [](const auto& segment) { return segment["events"].GetUint64() == 0; });
    });
    EXPECT_THAT(daemon().retired(), IsEmpty());
    original.quit();
    original.check_logs();
}

TEST_F(SpoolTool, ResendsAKeptSegment) {
    const auto folder = make_spool("s", {1, 2, 3});
    const std::string name = segment_file_name(segment_id(0xC3));
    std::filesystem::rename(folder / name, folder / (name + ".kept"));
    start_daemon();
    NginxServer server(this->folder(), standard_conf({.spool_options = "keep_acked=1h"}),
                       {.name = "keeper", .spool = folder});
    server.start();

    EXPECT_THAT(spool_says({"resend", folder.string(), "--all"}), HasSubstr("will be sent again"));

    eventually("the kept events are delivered", [&] { return daemon().delivered_bodies().size() == 3; });
    server.quit();
    server.check_logs();
}

TEST_F(SpoolTool, NeverReplacesWhatHasTheNameAlready) {
    // A FIFO's name where the segment's should be: the copy must not replace it, and must clear its own file away.
    const auto from = make_spool("from", {1});
    const auto to = make_used_spool("to");
    const std::string name = segment_file_name(segment_id(0xC3));
    ASSERT_EQ(::mkfifo((to / name).c_str(), 0666), 0);

    const Finished ended = spool({"import", to.string(), from.string()});

    EXPECT_EQ(ended.status.code, 3) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("1 batches are NOT imported"));
    EXPECT_THAT(files_in(to, ".seg"), SizeIs(1));
}

TEST_F(SpoolTool, SaysWhichBatchesACopyLacksThatItsSourceHasGotSince) {
    const std::string to = make_used_spool("to").string();
    const std::string from = make_spool("from", {1, 2}).string();
    static_cast<void>(spool_says({"import", to, from}));
    static_cast<void>(make_spool("from", {1, 2, 3}));

    const Finished again = spool({"import", to, from, "--source-is-gone"});

    EXPECT_EQ(again.status.code, 3) << again.output;
    EXPECT_THAT(again.output, AllOf(HasSubstr("1 batches are NOT imported"), Not(HasSubstr("already"))));
    const std::string name = segment_file_name(segment_id(0xC3));
    std::filesystem::rename(to + "/" + name, to + "/" + name + ".kept");  // The ledger has the first two.
    EXPECT_THAT(spool_says({"import", to, from, "--source-is-gone"}), HasSubstr("3 batches imported"));
    EXPECT_THAT(spool_says({"import", to, from, "--source-is-gone"}), HasSubstr("is in the spool already"));
}

TEST_F(SpoolTool, BringsAnEarlierExportUpToDate) {
    const std::string from = make_spool("from", {1, 2}).string();
    const std::string copies = folder().make_folder("copies").string();
    static_cast<void>(spool_says({"export", from, "--to", copies}));
    static_cast<void>(make_spool("from", {1, 2, 3}));

    EXPECT_THAT(spool_says({"export", from, "--to", copies}), HasSubstr("3 batches"));

    EXPECT_THAT(bodies_of(spool_says({"export", copies})), SizeIs(3));
}

TEST_F(SpoolTool, SaysByItsExitCodeThatADamagedPartIsLeftOut) {
    const auto from = make_spool("from", {1, 2, 3});
    const auto path = from / segment_file_name(segment_id(0xC3));
    std::string bytes = read_text(path);
    bytes[bytes.size() / 2] ^= 1;  // In the second batch.
    write_bytes(path, bytes);
    const std::string to = make_used_spool("to").string();
    const std::string copies = folder().make_folder("copies").string();

    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"export", from}, {"export", from, "--to", copies}, {"import", to, from}, {"show", from, "c3"}}) {
        const Finished ended = spool(words);

        EXPECT_EQ(ended.status.code, 3) << words.front() << ": " << ended.output;
        EXPECT_THAT(ended.output, HasSubstr("damaged"));
    }
}

TEST_F(SpoolTool, ClaimsAFolderThatWasAnotherHosts) {
    start_daemon();
    const auto folder = make_spool("s", {1, 2});
    const auto identity = folder / "identity";
    write_bytes(identity,
                "runledger-spool 1\nfolder 9f0c6a51d8e24b7f8f4a1d2e3c4b5a69\n"
                "host 0123456789abcdef0123456789abcdef\nhostname old-edge\n");
    NginxServer server(this->folder(), standard_conf(), {.name = "claimer", .spool = folder});
    ASSERT_THAT(server.check_conf().output, HasSubstr("old-edge"));

    EXPECT_THAT(spool_says({"claim", folder.string()}), HasSubstr("it belonged to old-edge"));

    EXPECT_TRUE(server.check_conf().status.clean()) << server.check_conf().output;
    server.start();
    eventually("its events are delivered", [&] { return daemon().delivered_bodies().size() == 2; });
    EXPECT_THAT(spool({"claim", folder.string()}).output, HasSubstr("an nginx has it open; stop it first"));
    server.quit();
    server.check_logs({"belongs to the host"});
}

TEST_F(SpoolTool, SpeaksJsonInEachCommand) {
    const std::string source = make_spool("source", {1, 2}).string();
    const std::string target = make_used_spool("target").string();
    const std::string exported = folder().make_folder("exported").string();
    struct Row {
        std::vector<std::string> words;
        std::string has;
        int code{0};
    };
    const std::vector<Row> all{
        {{"list", source}, R"("state":"orphan")"},
        {{"show", source, "c3"}, R"("bytes":)"},
        {{"show", source, "c3", "--bodies"}, R"("body":)"},
        {{"export", source}, R"("body":)"},
        {{"export", source, "--to", exported}, R"("batches":2)"},
        {{"import", target, source}, R"("imported":true)"},
        {{"import", target, source}, R"("imported":false)"},
        {{"claim", target}, R"("host_before":)"},
        {{"retire", source}, R"("safe_to_delete":false)", 3},
        {{"show", source, "77"}, R"("exit_code":3)", 3},
    };
    for (Row row : all) {
        row.words.emplace_back("--json");
        const Finished ended = spool(row.words);

        EXPECT_EQ(ended.status.code, row.code) << ended.output;
        EXPECT_FALSE(parse_lines(ended.output).empty()) << row.words.front();
        EXPECT_THAT(ended.output, HasSubstr(row.has));
    }
}

struct Complaint {
    std::string name;
    std::vector<std::string> words;  // @S@: a spool with one segment; @E@: an empty folder; @P@: the folder of both.
    std::string sentence;
    int code{1};
};

class SpoolToolComplaints : public ToolFixture, public ::testing::WithParamInterface<Complaint> {};

TEST_P(SpoolToolComplaints, NameWhatIsWrong) {
    const auto spool_folder = make_spool("s", {1, 2});
    const std::string other = segment_id(0xC3).hex().substr(0, 31) + "4.seg";
    std::filesystem::copy_file(spool_folder / segment_file_name(segment_id(0xC3)), spool_folder / other);
    give_away(spool_folder / other);
    ASSERT_EQ(::mkfifo((spool_folder / (segment_id(0xAA).hex() + ".seg")).c_str(), 0666), 0);
    write_bytes(spool_folder / (segment_id(0xBB).hex() + ".seg"), std::string("RLSPOOL\n\x07\0\0\0", 12));
    write_bytes(spool_folder / "identity", identity_of_edge);
    const auto empty = folder().make_folder("empty");
    std::vector<std::string> words = GetParam().words;
    for (std::string& word : words) {
        if (word == "@S@") {
            word = spool_folder.string();
        } else if (word == "@E@") {
            word = empty.string();
        } else if (word == "@P@") {
            word = folder().path().string();
        }
    }

    const Finished finished = spool(words);

    EXPECT_EQ(finished.status.code, GetParam().code) << finished.output;
    EXPECT_THAT(finished.output, HasSubstr(GetParam().sentence));
}

INSTANTIATE_TEST_SUITE_P(
    , SpoolToolComplaints,
    ::testing::Values(
        Complaint{"NoFolder", {"list", "/nowhere"}, "Directory does not exist: /nowhere", 2},
        Complaint{"NoSuchSegment", {"show", "@S@", "77"}, "no segment's id begins with '77'", 3},
        Complaint{"AmbiguousSegment", {"show", "@S@", "c3"}, "2 segments' ids begin with 'c3'"},
        Complaint{
            "NoSuchBatch", {"show", "@S@", "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3.", "--batch", "9"}, "has no batch 9", 3},
        Complaint{"Copied", {"show", "@S@", "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c4"}, "foreign_id"},
        Complaint{"Fifo", {"show", "@S@", "aa"}, "is not a regular file"},
        Complaint{"LaterVersion", {"show", "@S@", "bb"}, "unknown_version"},
        Complaint{"ListOfAFolderBesideIt", {"list", "@P@"}, "is not the folder of runledger_spool", 3},
        Complaint{"ShowOfAFolderBesideIt", {"show", "@P@", "c3"}, "is not the folder of runledger_spool", 3},
        Complaint{"ExportOfAFolderBesideIt", {"export", "@P@"}, "is not the folder of runledger_spool", 3},
        Complaint{"ResendOfAFolderBesideIt", {"resend", "@P@", "--all"}, "is not the folder of runledger_spool", 3},
        Complaint{"ClaimOfAFolderBesideIt", {"claim", "@P@"}, "is not the folder of runledger_spool", 3},
        Complaint{"RetireOfAFolderBesideIt", {"retire", "@P@"}, "is not the folder of runledger_spool", 3},
        Complaint{"RetireOfAnEmptyFolder", {"retire", "@E@"}, "no nginx has ever used it", 3},
        Complaint{"ImportOfAFolderBesideIt", {"import", "@S@", "@P@"}, "has neither a segment", 3},
        Complaint{"ImportIntoAFolderThatNobodySends", {"import", "@E@", "@S@"}, "has no file \"identity\"", 3},
        Complaint{"ImportOfNothing", {"import", "@E@", "/nowhere"}, "/nowhere", 2},
        Complaint{"ImportOfAnotherFile", {"import", "@S@", "/etc/hostname"}, "neither a folder nor a segment's file"},
        Complaint{"ImportIntoItself", {"import", "@S@", "@S@"}, "is in the spool already; resend sends it again"},
        Complaint{"ResendOfNothing", {"resend", "@S@"}, "name the segments, or --all", 2},
        Complaint{"ResendOfWhatIsSentAnyway",
                  {"resend", "@S@", "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3."},
                  "there is nothing to resend"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace runledger::test
