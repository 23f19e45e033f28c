#include "tests/unit/nginx-module/courier/courier_fixture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace runledger::edge::test {

using namespace std::chrono_literals;

CourierFixture::CourierFixture() : daemon_("ipc://" + (temp_ / "daemon.sock").string()) {
    settings_.spool.folder = temp_.make_folder("spool");
    files_ = std::make_shared<FaultFiles>(settings_.spool.folder);
    settings_.files = files_;
    settings_.spool.bytes_max = 4UL * 1024 * 1024;
    settings_.link.endpoints = {"ipc://" + (temp_ / "daemon.sock").string()};
    settings_.edge_name = "edge-1";
    settings_.link.delivery.window.resend_after = 300ms;
    settings_.spool.adopt_every = 20ms;
    settings_.commit_retry_min = 5ms;
    settings_.commit_retry_max = 20ms;
    settings_.spool.seal_idle_after = 50ms;
    settings_.link.delivery.refused_retry_every = 100ms;
}

CourierFixture::~CourierFixture() {
    if (courier_) {
        EXPECT_TRUE(courier_->stop(10s));
    }
}

void CourierFixture::start() {
    courier_ = std::make_unique<Courier>(settings_);
    courier_->start();
}

void CourierFixture::stop() {
    EXPECT_TRUE(courier_->stop(10s));
    serve();
    courier_.reset();
}

HeldEventPtr CourierFixture::make_event(std::uint64_t number, std::size_t body_bytes) {
    auto event = std::make_shared<HeldEvent>();
    event->stamp.received_at = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    event->body = body_of(number, body_bytes);
    event->body_bytes = event->body.size();
    event->validated = true;
    return event;
}

HeldEventPtr CourierFixture::make_event_in_file(const std::string& body) {
    auto event = std::make_shared<HeldEvent>();
    event->stamp.received_at = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    event->body_bytes = body.size();
    event->body_fd = ::open(temp_.path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    EXPECT_GE(event->body_fd, 0);
    EXPECT_EQ(::write(event->body_fd, body.data(), body.size()), static_cast<ssize_t>(body.size()));
    return event;
}

void CourierFixture::submit(const HeldEventPtr& event) { ASSERT_EQ(courier_->submit(event), SubmitResult::submitted); }

HeldEventPtr CourierFixture::submit(std::uint64_t number, std::size_t body_bytes) {
    auto event = make_event(number, body_bytes);
    submit(event);
    return event;
}

void CourierFixture::serve() {
    daemon_.serve();
    if (!courier_) {
        return;
    }
    // As the loop does it: drained before taking.
    std::uint64_t count = 0;
    (void)!::read(courier_->wake_fd(), &count, sizeof count);
    for (auto& event : courier_->take_results()) {
        EXPECT_EQ(event->state.load(), HoldState::taken);
        EXPECT_TRUE(answered_.emplace(event.get(), event).second) << "answered twice";
    }
    for (auto& line : courier_->take_log_lines()) {
        lines_.push_back(std::move(line));
    }
}

void CourierFixture::eventually(std::string_view sentence, const std::function<bool()>& predicate) {
    runledger::test::eventually(
        sentence,
        [&] {
            serve();
            return predicate();
        },
        runledger::test::default_patience, [&] { return all_log(); });
}

std::string CourierFixture::all_log() const {
    std::string text;
    for (const LogLine& line : lines_) {
        text += line.text + "\n";
    }
    return text;
}

std::size_t CourierFixture::file_count() const {
    const std::filesystem::directory_iterator folder(settings_.spool.folder);
    return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

}  // namespace runledger::edge::test
