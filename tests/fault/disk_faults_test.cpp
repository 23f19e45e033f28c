// The disk under a real nginx fails in every way that a disk can, with requests waiting: what was answered is stored
// and delivered, 503 comes at the deadline and not before it, and nobody is needed for the recovery. docs/faults.md has
// the table that these tests print.
#include <fmt/format.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <ostream>

#include "tests/fault/disk_fault_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int waiting_requests = 8;

struct Fault {
    const char* name;
    void (*begins)(DiskFaults&);
    const char* refused_as{"not_stored_in_time"};  // At the deadline.
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }  // For GoogleTest, hence the name.

std::string name_of(const testing::TestParamInfo<Fault>& row) { return row.param.name; }

void every_write_is_refused(DiskFaults& disk, int error) {
    for (const auto kind : {disk_open_for_writing, disk_write, disk_sync, disk_sync_folder, disk_reserve, disk_truncate,
                            disk_rename, disk_unlink}) {
        disk.set(kind, {.error = error});
    }
}

// No commit can succeed while they last.
const Fault lasting_faults[] = {
    {"EioOnWrite", [](DiskFaults& disk) { disk.set(disk_write, {.error = EIO}); }},
    {"EioOnFdatasync", [](DiskFaults& disk) { disk.set(disk_sync, {.error = EIO}); }},
    {"EioAfterAWrittenPart",
     [](DiskFaults& disk) { disk.set(disk_write, {.error = EIO, .after = 1, .bytes_max = 100}); }},
    {"DiskFull",
     [](DiskFaults& disk) {
         disk.set(disk_write, {.error = ENOSPC});
         disk.set(disk_reserve, {.error = ENOSPC});
     },
     "spool_full"},
    {"ReadOnly", [](DiskFaults& disk) { every_write_is_refused(disk, EROFS); }},
    {"EverythingFails",
     [](DiskFaults& disk) {
         every_write_is_refused(disk, EIO);
         disk.set(disk_read, {.error = EIO});
     }},
    {"HangingFdatasync", [](DiskFaults& disk) { disk.hang(disk_sync); }},
    {"HangingWrite", [](DiskFaults& disk) { disk.hang(disk_write); }},
};

class LastingFault : public DiskFaultFixture, public testing::WithParamInterface<Fault> {
protected:
    void fault_begins() { GetParam().begins(disk()); }

    void wait_until_the_disk_was_tried() {
        eventually("the courier has met the fault", [this] {
            return disk().failed() > 0 || disk().hanging(disk_sync) > 0 || disk().hanging(disk_write) > 0;
        });
    }
};

INSTANTIATE_TEST_SUITE_P(Disk, LastingFault, testing::ValuesIn(lasting_faults), name_of);

TEST_P(LastingFault, IsWaitedOutByHeldRequestsWhileTheEventLoopServesOthers) {
    start_daemon();
    start_edge({.location_extra = "runledger_timeout 60s;"});
    auto answered = post_until_answered(3);

    fault_begins();
    auto sending = send_at_once(waiting_requests);
    wait_until_held(waiting_requests);
    wait_until_the_disk_was_tried();
    EXPECT_EQ(http_get(nginx().url("/runledger_status")).status, 200);
    EXPECT_EQ(post("not an event").status, 400);
    EXPECT_EQ(nginx().access_log().find(" 503 "), std::string::npos) << "refused before the deadline";
    disk().heal();

    for (std::string& body : expect_answered(results_of(std::move(sending)))) {
        answered.push_back(std::move(body));
    }
    expect_delivered(answered);
}

TEST_P(LastingFault, IsRefusedAtTheDeadlineAndRecoversByItself) {
    start_edge({.location_extra = "runledger_timeout 1s;"});
    auto answered = post_until_answered(3);

    fault_begins();
    const auto refused = results_of(send_at_once(waiting_requests));
    wait_until_the_disk_was_tried();
    disk().heal();
    const auto healed_at = std::chrono::steady_clock::now();
    for (std::string& body : post_until_it_recovers()) {
        answered.push_back(std::move(body));
    }
    const auto recovery = std::chrono::steady_clock::now() - healed_at;
    const auto stored = stored_bodies();
    start_daemon();

    for (const SentEvent& event : refused) {
        EXPECT_EQ(event.answer.status, 503) << event.answer.error;
        EXPECT_NE(event.answer.body.find(GetParam().refused_as), std::string::npos) << event.answer.body;
        EXPECT_GE(event.waited, milliseconds{900}) << "nginx's clock is coarse, but not that much";
    }
    EXPECT_EQ(missing_from(stored, answered), std::vector<std::string>{});
    expect_all_delivered(answered);
    const auto delivered = daemon().delivered_bodies();
    EXPECT_EQ(missing_from(stored, delivered), std::vector<std::string>{}) << "delivered, but never stored";
    fmt::print("| {} | {} of {} | {} | {} | {} ms |\n", GetParam().name, answered.size(),
               answered.size() + refused.size(), stored.size(), delivered.size(),
               std::chrono::duration_cast<milliseconds>(recovery).count());
}

// Commits succeed while they last, perhaps at the second try: nobody outside sees them.
const Fault passing_faults[] = {
    {"EioOnOneWrite", [](DiskFaults& disk) { disk.set(disk_write, {.error = EIO, .times = 1}); }},
    {"EioOnOneFdatasync", [](DiskFaults& disk) { disk.set(disk_sync, {.error = EIO, .times = 1}); }},
    {"EioOnThreeFdatasyncs", [](DiskFaults& disk) { disk.set(disk_sync, {.error = EIO, .times = 3}); }},
    {"EioOnTheSecondFdatasync", [](DiskFaults& disk) { disk.set(disk_sync, {.error = EIO, .after = 1, .times = 1}); }},
    {"NoRoomOnce",
     [](DiskFaults& disk) {
         disk.set(disk_write, {.error = ENOSPC, .times = 1});
         disk.set(disk_reserve, {.error = ENOSPC, .times = 1});
     }},
    {"CantBeCutBack",
     [](DiskFaults& disk) {
         disk.set(disk_sync, {.error = EIO, .times = 1});
         disk.set(disk_truncate, {.error = EIO});
     }},
    {"ShortWrites", [](DiskFaults& disk) { disk.set(disk_write, {.bytes_max = 7}); }},
    {"SlowFdatasync", [](DiskFaults& disk) { disk.set(disk_sync, {.delay = milliseconds{300}}); }},
    {"SlowEverything",
     [](DiskFaults& disk) {
         for (int kind = 0; kind < disk_call_kinds; ++kind) {
             disk.set(static_cast<disk_call_kind>(kind), {.delay = milliseconds{30}});
         }
     }},
};

class PassingFault : public DiskFaultFixture, public testing::WithParamInterface<Fault> {};

INSTANTIATE_TEST_SUITE_P(Disk, PassingFault, testing::ValuesIn(passing_faults), name_of);

TEST_P(PassingFault, IsSeenByNobodyOutside) {
    start_edge();
    auto answered = post_until_answered(3);
    const int syncs_before = disk().calls(disk_sync);

    GetParam().begins(disk());
    for (int round = 0; round < 3; ++round) {
        for (std::string& body : expect_answered(results_of(send_at_once(waiting_requests)))) {
            answered.push_back(std::move(body));
        }
    }
    const int syncs = disk().calls(disk_sync) - syncs_before;
    const auto stored = stored_bodies();
    start_daemon();

    EXPECT_EQ(missing_from(stored, answered), std::vector<std::string>{});
    expect_delivered(answered);
    fmt::print("| {} | {} of {} | {} | {} | {} syncs |\n", GetParam().name, answered.size(), answered.size(),
               stored.size(), daemon().delivered_bodies().size(), syncs);
}

class DiskFault : public DiskFaultFixture {
protected:
    ~DiskFault() override {
        if (mounted_) {
            umount2(spool().c_str(), MNT_DETACH);  // The namespace ends with the machine, not with the test.
        }
    }

    // Whoever opens a file by its path finds a file system that can only be read; what is open stays as it is. False
    // where the machine does not let us mount.
    [[nodiscard]] bool spool_becomes_read_only() {
        const char* path = spool().c_str();
        mounted_ = mount(path, path, nullptr, MS_BIND, nullptr) == 0;
        return mounted_ && mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
    }
    void spool_becomes_writable() {
        ASSERT_EQ(umount2(spool().c_str(), MNT_DETACH), 0) << std::strerror(errno);
        mounted_ = false;
    }

    [[nodiscard]] std::size_t segment_files() const {
        const std::filesystem::directory_iterator files{spool()};
        return static_cast<std::size_t>(std::distance(begin(files), end(files)));
    }

private:
    bool mounted_{false};
};

TEST_F(DiskFault, ReadOnlyMountHoldsRequestsUntilItCanBeWrittenAgain) {
    start_edge({.location_extra = "runledger_timeout 60s;"});
    auto answered = post_until_answered(3);
    if (!spool_becomes_read_only()) {
        GTEST_SKIP() << "nothing can be mounted here: " << std::strerror(errno);
    }
    kill_workers();  // The next one finds only the path.
    auto sending = send_at_once(waiting_requests);
    wait_until_held(waiting_requests);
    wait_for_error_log("Read-only file system");

    start_daemon();
    expect_delivered(answered);  // What is stored is sent from a disk that can only be read.
    spool_becomes_writable();

    for (std::string& body : expect_answered(results_of(std::move(sending)))) {
        answered.push_back(std::move(body));
    }
    expect_delivered(answered);
}

TEST_F(DiskFault, EioOnUnlinkKeepsTheSegmentUntilItCanBeRemoved) {
    disk().set(disk_unlink, {.error = EIO});
    start_daemon();
    start_edge({.spool_options = "max_size=64m"});  // Segments of 4 MiB.
    std::vector<std::string> answered;
    for (int i = 0; i < 3; ++i) {
        answered.push_back(fresh_event_of_bytes(3'000'000));
        ASSERT_EQ(post(answered.back()).status, 200);
    }
    expect_delivered(answered);
    eventually("the courier has tried to unlink a segment", [this] { return disk().failed(disk_unlink) > 0; });
    wait_for_error_log("segment not removed");
    const std::size_t files_before = segment_files();

    disk().heal();

    eventually("the segments are removed", [&] { return segment_files() < files_before; });
    expect_delivered(answered);
}

// The thread that reads is the one that commits: it reads for a moment, and looks for events in between.
class SlowReads : public DiskFaultFixture {
protected:
    void expect_answered_meanwhile() {
        for (int i = 0; i < 5; ++i) {
            const auto began = steady_clock::now();
            for (std::string& body : post_until_answered(1)) {
                answered_.push_back(std::move(body));
            }
            EXPECT_LT(steady_clock::now() - began, seconds{6});
        }
        EXPECT_LT(daemon().delivered_bodies().size(), answered_.size()) << "it was still reading";
    }

    static constexpr milliseconds slow{300};

    std::vector<std::string> answered_;
};

TEST_F(SlowReads, OfADeadWorkersSegmentHoldUpNoRequest) {
    start_edge();
    answered_ = post_until_answered(3);
    disk().set(disk_read, {.delay = slow});  // A segment of 16 MiB takes 20 seconds.
    kill_workers();
    eventually("another worker serves", [&] { return status_value("workers") > 0; });
    const int calls = disk().calls(disk_read);
    eventually("it reads what the dead one has left", [&] { return disk().calls(disk_read) > calls + 2; });
    start_daemon();

    expect_answered_meanwhile();

    disk().heal();
    expect_delivered(answered_);
}

TEST_F(SlowReads, OfWhatIsSentAgainHoldUpNoRequest) {
    start_edge();
    answered_ = post_until_answered(60);
    disk().set(disk_read, {.delay = slow});
    const int calls = disk().calls(disk_read);
    start_daemon();
    eventually("it reads what it sends", [&] { return disk().calls(disk_read) > calls; });

    expect_answered_meanwhile();

    disk().heal();
    expect_delivered(answered_);
}

TEST_F(DiskFault, EioOnReadingBackDelaysDeliveryAndLosesNothing) {
    start_edge();
    auto answered = post_until_answered(3);
    disk().set(disk_read, {.error = EIO});
    start_daemon();
    wait_for_error_log("stored batch unreadable");
    for (std::string& body : post_until_answered(2)) {  // What is sent from memory need not be read.
        answered.push_back(std::move(body));
    }
    EXPECT_LT(daemon().delivered_bodies().size(), answered.size());

    disk().heal();
    daemon().stop();
    start_daemon();  // Or within a minute, by itself.

    expect_delivered(answered);
}

}  // namespace
}  // namespace runledger::test
