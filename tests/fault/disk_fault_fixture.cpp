#include "tests/fault/disk_fault_fixture.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <variant>

#include "common/wire.hpp"
#include "nginx-module/spool/files.hpp"
#include "nginx-module/spool/reader.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {

void DiskFaultFixture::TearDown() {
    disk_.heal();  // Or nginx would wait for it, as long as it may.
    EdgeFixture::TearDown();
    EXPECT_EQ(disk_.written_after_error(), 0) << "a segment was written again after it had failed";
}

void DiskFaultFixture::start_edge(const NginxConf& conf) {
    start_nginx(conf, {.spool = spool_, .env = disk_.env()});
    eventually("the courier has its segment and the next one",
               [this] { return disk_.calls(disk_sync_folder) >= 1 && status_value("workers") > 0; });
}

std::vector<std::future<SentEvent>> DiskFaultFixture::send_at_once(int count) {
    std::vector<std::future<SentEvent>> sending;
    for (int i = 0; i < count; ++i) {
        sending.push_back(std::async(std::launch::async, [this, body = fresh_event()] {
            const auto start = std::chrono::steady_clock::now();
            HttpAnswer answer = post(body);
            const auto waited = std::chrono::steady_clock::now() - start;
            return SentEvent{body, std::move(answer), std::chrono::duration_cast<std::chrono::milliseconds>(waited)};
        }));
    }
    return sending;
}

std::vector<SentEvent> DiskFaultFixture::results_of(std::vector<std::future<SentEvent>> sending) {
    std::vector<SentEvent> results;
    std::ranges::transform(sending, std::back_inserter(results), [](auto& each) { return each.get(); });
    return results;
}

std::vector<std::string> DiskFaultFixture::expect_answered(const std::vector<SentEvent>& events) {
    std::vector<std::string> bodies;
    for (const SentEvent& event : events) {
        EXPECT_EQ(event.answer.status, 200) << event.answer.error << event.answer.body;
        bodies.push_back(event.body);
    }
    return bodies;
}

long DiskFaultFixture::status_value(std::string_view name) {
    const HttpAnswer status = http_get(nginx().url("/runledger_status"));
    const std::string line = "\nrunledger_edge_" + std::string{name} + " ";
    const std::size_t at = status.body.find(line);
    return at == std::string::npos ? -1 : std::stol(status.body.substr(at + line.size()));
}

void DiskFaultFixture::wait_until_held(long requests) {
    eventually(
        "the requests are held", [&] { return status_value("held_events") == requests; }, default_patience,
        [&] { return "held: " + std::to_string(status_value("held_events")) + "\n" + nginx().error_log(); });
}

std::vector<std::string> DiskFaultFixture::post_until_it_recovers() {
    std::string event;
    eventually(
        "the edge accepts again",
        [&] {
            event = fresh_event();
            return post(event).status == 200;
        },
        std::chrono::seconds{20}, [this] { return nginx().error_log(); });
    return {event};
}

void DiskFaultFixture::expect_all_delivered(const std::vector<std::string>& answered) {
    eventually(
        "all that was answered is delivered",
        [&] { return missing_from(daemon().delivered_bodies(), answered).empty(); }, default_patience,
        [&] {
            return std::to_string(missing_from(daemon().delivered_bodies(), answered).size()) + " of " +
                   std::to_string(answered.size()) + " are missing\n" + nginx().error_log();
        });
}

std::vector<std::string> DiskFaultFixture::stored_bodies() const {
    std::vector<std::string> bodies;
    edge::PosixFiles files;
    for (const auto& entry : std::filesystem::directory_iterator{spool_}) {
        const auto read = edge::open_segment(files, entry.path().string());
        const auto* segment = std::get_if<SegmentContent>(&read);
        if (segment == nullptr) {
            continue;  // Not a segment, or unlinked since it was listed.
        }
        for (const RecordPlace& place : segment->batches()) {
            const auto decoded = wire::decode_batch(segment->frame(place));
            const auto* batch = std::get_if<wire::Batch>(&decoded);
            if (batch == nullptr) {
                ADD_FAILURE() << entry.path() << " holds a batch that can't be decoded";
                continue;
            }
            for (const wire::Event& event : batch->events) {
                bodies.emplace_back(event.body);
            }
        }
    }
    return bodies;
}

std::uint64_t DiskFaultFixture::allocated_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator{spool_}) {
        struct stat status {};
        if (::lstat(entry.path().c_str(), &status) == 0) {  // Else it was unlinked since it was listed.
            bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
        }
    }
    return bytes;
}

std::vector<std::string> missing_from(std::vector<std::string> present, std::vector<std::string> wanted) {
    std::ranges::sort(present);
    std::ranges::sort(wanted);
    std::vector<std::string> missing;
    std::ranges::set_difference(wanted, present, std::back_inserter(missing));
    return missing;
}

}  // namespace runledger::test
