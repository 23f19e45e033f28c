// The folder that couriers share when others have their hands in it: odd files, a folder that goes or is exchanged, and
// two who make a segment at the same moment.

#include "nginx-module/spool/folder.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

namespace runledger::edge::test {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class SpoolFolderTest : public SpoolFixture {
protected:
    // A whole segment with one event, that nobody owns.
    [[nodiscard]] fs::path make_segment(const fs::path& at, const SegmentId& id, std::uint64_t number) {
        const auto header = encode_segment_header({.id = id, .reserved_bytes = 4096, .created_at = wall_now_});
        std::vector<std::byte> bytes(header.begin(), header.end());
        append_record(bytes, 0, make_frame({.segment = id, .number = 0}, {number}));
        std::ofstream(at).write(reinterpret_cast<const char*>(bytes.data()),
                                static_cast<std::streamsize>(bytes.size()));
        return at;
    }
};

TEST_F(SpoolFolderTest, LeavesOddFilesAloneAndHangsOnNone) {
    const SegmentId id = segment_id(0x66);
    const SegmentId other_id = segment_id(0x67);
    const fs::path elsewhere = make_segment(temp_ / "elsewhere", id, 7);
    const std::string usual = segment_file_name(id);
    std::string upper_case = usual;
    upper_case[0] = 'F';
    struct Row {
        const char* name;
        std::string file;
        std::function<void(const fs::path&)> make;
        const char* log;  // Empty: not a word.
    };
    const auto text = [](const fs::path& at) { std::ofstream(at) << "do not delete"; };
    const Row rows[] = {
        {"notes", "notes.txt", text, ""},
        {"a suffix too many", usual + ".bak", text, ""},
        {"upper case", upper_case, text, ""},
        {"too short", usual.substr(1), text, ""},
        {"only the suffix", ".seg", text, ""},
        {"a folder", usual, [](const fs::path& at) { fs::create_directory(at); }, "segment not adopted"},
        {"a link to a segment", usual, [&](const fs::path& at) { fs::create_symlink(elsewhere, at); }, "not adopted"},
        {"a link to nothing", usual, [](const fs::path& at) { fs::create_symlink("nothing", at); }, "not adopted"},
        {"a link to itself", usual, [](const fs::path& at) { fs::create_symlink(at, at); }, "not adopted"},
        {"a pipe", usual, [](const fs::path& at) { ASSERT_EQ(::mkfifo(at.c_str(), 0600), 0); }, "not a regular file"},
        {"a socket", usual,
         [](const fs::path& at) {
             sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
             ASSERT_LT(at.string().size(), sizeof address.sun_path);
             at.string().copy(address.sun_path, at.string().size());
             const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
             // The one cast that sockets can't be had without.
             ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
         },
         "not adopted"},
        {"a segment under another's name", segment_file_name(other_id),
         [&](const fs::path& at) { fs::copy_file(elsewhere, at); }, "foreign_id"},
        {"a second name of a segment", segment_file_name(other_id),
         [&](const fs::path& at) { fs::create_hard_link(elsewhere, at); }, "foreign_id"},
        {"a later version", usual,
         [&](const fs::path& at) {
             auto header = encode_segment_header({.id = id});
             header[8] = std::byte{9};
             std::ofstream(at).write(reinterpret_cast<const char*>(header.data()), header.size());
         },
         "unknown_version"},
        {"longer than any of ours", usual,
         [](const fs::path& at) {
             std::ofstream{at};
             fs::resize_file(at, 5UL * segment_bytes);
         },
         "too_large"},
    };
    std::uint64_t number = 100;
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        const fs::path path = fs::path{folder_} / row.file;
        row.make(path);
        now_ += CourierLog::repeat_after;
        start();

        EXPECT_TRUE(append(++number));
        for (int i = 0; i < 3; ++i) {
            pass(config_.adopt_every);
            deliver_all();
        }

        EXPECT_TRUE(fs::exists(fs::symlink_status(path)));
        const std::string log = all_log();
        EXPECT_THAT(log, HasSubstr(row.log));
        if (*row.log == '\0') {
            EXPECT_EQ(log, "");
        }
        EXPECT_EQ(spool_->segments_adopted(), 0U);
        pass(config_.seal_idle_after);
        deliver_all();
        stop();
        fs::remove(path);
        EXPECT_TRUE(fs::is_empty(folder_));
    }
    EXPECT_EQ(ledger_.events(), answered_) << "what the links led to was not sent";
    EXPECT_TRUE(fs::exists(elsewhere));
}

TEST_F(SpoolFolderTest, OddFilesTakeNoRoomAndDoNotHideASegmentBehindThem) {
    fs::create_directory(fs::path{folder_} / segment_file_name(segment_id(0x01)));
    static_cast<void>(make_segment(fs::path{folder_} / segment_file_name(segment_id(0x02)), segment_id(0x02), 7));

    start();
    pass(0ms);
    pass(0ms);
    deliver_all();

    EXPECT_EQ(ledger_.events(), std::multiset<std::uint64_t>{7});
}

TEST_F(SpoolFolderTest, AnEmptySegmentIsUnlinkedWithoutAWord) {
    std::ofstream{fs::path{folder_} / segment_file_name(segment_id(0x66))};

    start();
    pass(0ms);

    EXPECT_THAT(files_in_folder(), ::testing::Not(Contains(segment_file_name(segment_id(0x66)))));
    EXPECT_EQ(all_log(), "");
}

// Whatever is done to the folder under a running courier: what is answered afterwards is where the next one finds it.
struct Upset {
    const char* name;
    std::function<void(const fs::path& folder)> happens;
};

class SpoolFolderUpset : public SpoolFolderTest, public ::testing::WithParamInterface<Upset> {};

TEST_P(SpoolFolderUpset, CostsNoEventThatIsAnsweredAfterwards) {
    start();
    ASSERT_TRUE(append(1));
    pass(0ms);
    GetParam().happens(folder_);

    EXPECT_FALSE(append(2)) << "the segment that was being written is not where anybody would find it";
    EXPECT_TRUE(append(2));
    EXPECT_TRUE(append(3));
    EXPECT_THAT(all_log(), ::testing::Not(HasSubstr("not removed")));

    // Without an ack: only what is in the folder counts now.
    kill();
    start();
    tend_until_quiet();
    EXPECT_TRUE(ledger_.events().contains(2));
    EXPECT_TRUE(ledger_.events().contains(3));
    EXPECT_EQ(ledger_.conflicts(), 0U);
}

TEST_P(SpoolFolderUpset, CostsNoEventThatIsStillOwned) {
    start();
    ASSERT_TRUE(append(1));
    pass(0ms);
    GetParam().happens(folder_);
    (void)append(2);  // Seals the one that is not in its place any more.

    tend_until_quiet();

    EXPECT_TRUE(ledger_.events().contains(1)) << "its file is still open";
    EXPECT_THAT(all_log(), ::testing::Not(HasSubstr("segment not removed")));
    EXPECT_THAT(spool_->segments(), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Folder, SpoolFolderUpset,
                         ::testing::Values(Upset{"IsRemovedAndMadeAgain",
                                                 [](const fs::path& folder) {
                                                     fs::remove_all(folder);
                                                     fs::create_directory(folder);
                                                 }},
                                           Upset{"IsMovedAwayAndMadeAgain",
                                                 [](const fs::path& folder) {
                                                     fs::rename(folder, folder.string() + ".old");
                                                     fs::create_directory(folder);
                                                 }},
                                           Upset{"IsExchangedForACopy",
                                                 [](const fs::path& folder) {
                                                     fs::copy(folder, folder.string() + ".copy");
                                                     fs::rename(folder, folder.string() + ".old");
                                                     fs::rename(folder.string() + ".copy", folder);
                                                 }},
                                           Upset{"IsEmptied",
                                                 [](const fs::path& folder) {
                                                     for (const auto& entry : fs::directory_iterator(folder)) {
                                                         fs::remove(entry.path());
                                                     }
                                                 }}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST_F(SpoolFolderTest, ThatIsGoneHoldsEventsBackUntilItIsThereAgain) {
    start();
    ASSERT_TRUE(append(1));
    fs::rename(folder_, folder_ + ".away");
    EXPECT_FALSE(append(2));
    EXPECT_FALSE(append(2));
    pass(config_.adopt_every);
    EXPECT_THAT(all_log(), HasSubstr("spool unreadable"));

    fs::rename(folder_ + ".away", folder_);

    EXPECT_TRUE(append(2));
    tend_until_quiet();
    EXPECT_TRUE(ledger_.events().contains(1));
    EXPECT_TRUE(ledger_.events().contains(2));
}

TEST_F(SpoolFolderTest, ItsBoundHoldsThoughTwoCouriersMakeASegmentAtTheSameMoment) {
    // Room for exactly one segment.
    const std::string filler = folder_ + "/" + segment_file_name(segment_id(0x55)) + std::string(damaged_suffix);
    {
        const Fd fd(::open(filler.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        ASSERT_EQ(::posix_fallocate(fd.get(), 0, static_cast<off_t>(config_.bytes_max - 256UL * 1024)), 0);
    }
    FaultFiles other_files(folder_);
    CourierLog other_log;
    Spool other(
        config_, other_files, [this] { return wall_now_; }, other_log);
    bool other_stored = false;
    bool is_first = true;
    files_.on_change([&](Op op) {
        if (op == Op::reserve && std::exchange(is_first, false)) {  // It has looked, and found room.
            auto encoder = make_encoder();
            add_event(encoder, 2);
            (void)other.append(encoder, {}, now_);
            other_stored = true;
        }
    });
    start();

    EXPECT_FALSE(append(1));

    EXPECT_TRUE(other_stored);
    EXPECT_LE(allocated_bytes(), config_.bytes_max);
    other.close();
}

}  // namespace
}  // namespace runledger::edge::test
