#include "nginx-module/worker/worker.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace runledger::edge {

namespace {

constexpr std::chrono::milliseconds stop_patience{5000};
constexpr std::chrono::milliseconds keeper_stop_patience{1000};  // What it has is no promise.
constexpr ngx_msec_t housekeeping_every = 1000;

// Requests answered before the event loop gets to look at its other events.
constexpr std::size_t results_per_turn_max = 256;

// Events that are kept to be used again: as many as a busy worker has under way, and with their bodies 1 MiB.
constexpr std::size_t spare_events_max = 256;

[[nodiscard]] ngx_uint_t to_nginx(LogLine::Level level) noexcept {
    switch (level) {
        case LogLine::Level::crit:
            return NGX_LOG_CRIT;
        case LogLine::Level::error:
            return NGX_LOG_ERR;
        case LogLine::Level::warn:
            return NGX_LOG_WARN;
        case LogLine::Level::notice:
            return NGX_LOG_NOTICE;
        case LogLine::Level::info:
            return NGX_LOG_INFO;
    }
    return NGX_LOG_ERR;
}

// nginx unmaps a module's library when the worker's configuration is freed, which is before the process ends. The
// courier's thread may still be running then, if stop() gave up on it. Only in workers, which never read another
// configuration: in the master the library must remain unloadable, or nginx could give its index away while the
// library still remembers it.
void keep_library_mapped() {
    Dl_info library{};
    if (dladdr(&ngx_http_runledger_module, &library) == 0 ||
        dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) == nullptr) {
        log_line(current_log(), NGX_LOG_WARN, "the module's library can't be kept mapped");
    }
}

}  // namespace

void Worker::start(ngx_cycle_t& cycle, const MainConf& main) noexcept {
    const bool has_started = guarded_run(current_log(), "start the courier", [&] {
        keep_library_mapped();
        try {
            // guarded_run() catches. NOLINTNEXTLINE(bugprone-unhandled-exception-at-new)
            current_ = new Worker(cycle, main);
        } catch (const std::runtime_error& e) {  // No descriptor or connection is free: it may be later.
            log_line(current_log(), NGX_LOG_CRIT,
                     "this worker can't accept webhooks, trying again every second: " + std::string{e.what()});
        }
    });
    if (!has_started || current_ == nullptr) {
        start_later(cycle, main);
    }
}

void Worker::start_later(ngx_cycle_t& cycle, const MainConf& main) noexcept {
    // One for each process, which has one cycle as long as it lives.
    static ngx_cycle_t* its_cycle;
    static const MainConf* its_main;
    its_cycle = &cycle;
    its_main = &main;
    static Timer timer{current_log(), WhileDraining::is_dropped, +[](void*) noexcept { start(*its_cycle, *its_main); },
                       nullptr};
    timer.set(housekeeping_every);
}

void Worker::end() noexcept {
    delete current_;
    current_ = nullptr;
}

Worker::Worker(ngx_cycle_t& cycle, const MainConf& main)
    : status_table_{&status_table(*main.status_zone)},
      courier_{main.courier},
      wake_{courier_.wake_fd(), log_of(cycle),
            +[](void* data) noexcept {
                guarded_run(current_log(), "take the courier's results",
                            [data] { static_cast<Worker*>(data)->on_wake(); });
            },
            this},
      housekeeping_{log_of(cycle), WhileDraining::is_dropped,  // It must not keep a draining worker alive.
                    +[](void* data) noexcept {
                        auto& worker = *static_cast<Worker*>(data);
                        guarded_run(current_log(), "keep house", [&] { worker.keep_house(); });
                        worker.housekeeping_.set(housekeeping_every);
                    },
                    this} {
    if (!main.refused.folder.empty()) {
        keeper_.emplace(main.refused);
    }
    spare_events_.reserve(spare_events_max);
    housekeeping_.set(housekeeping_every);
    // Nothing may throw any more: nginx knows the timer.
    guarded_run(log_of(cycle), "keep house", [this] { keep_house(); });
}

void Worker::keep_house() {
    if (is_draining()) {
        courier_.drain();
    }
    if (!has_courier_thread_) {
        start_courier();
    }
    if (keeper_ && !has_keeper_thread_) {
        start_keeper();
    }
    publish_status();
    write_log_lines();
}

// A task limit may leave no thread for it now. Requests are held meanwhile, as while a disk fails.
void Worker::start_courier() {
    try {
        courier_.start();
        has_courier_thread_ = true;
        if (is_courier_missed_) {
            log_line(current_log(), NGX_LOG_NOTICE, "the courier's thread runs");
        }
    } catch (const std::system_error& e) {
        if (!is_courier_missed_) {
            log_line(current_log(), NGX_LOG_CRIT,
                     "the courier's thread can't be started, trying again every second: " + std::string{e.what()} +
                         "; is there a task limit, as TasksMax= or ulimit -u?");
            is_courier_missed_ = true;
        }
    }
}

// Without it nothing is kept, which is counted.
void Worker::start_keeper() {
    try {
        keeper_->start();
        has_keeper_thread_ = true;
    } catch (const std::system_error& e) {
        if (!is_keeper_missed_) {
            log_line(current_log(), NGX_LOG_ERR,
                     "the keeper's thread can't be started, trying again every second; refused bodies are lost "
                     "meanwhile: " +
                         std::string{e.what()});
            is_keeper_missed_ = true;
        }
    }
}

Worker::~Worker() {
    housekeeping_.cancel();
    guarded_run(current_log(), "stop the courier", [this] {
        if (!courier_.stop(stop_patience)) {
            log_line(current_log(), NGX_LOG_CRIT,
                     "the courier did not stop in time: the disk hangs, events that are not stored were not answered");
        }
        if (keeper_ && !keeper_->stop(keeper_stop_patience)) {
            log_line(current_log(), NGX_LOG_ERR,
                     "the keeper did not stop in time: the disk of the refused bodies hangs, some were not kept");
        }
        write_log_lines();
        publish_status();
    });
    status_table_->leave();
}

// While a disk hangs, requests are held for seconds, each with its connection, of which a stock Debian's worker has
// 768. Half of them may always be held; more only while an eighth is free.
bool Worker::starves_other_sites() const noexcept { return has_few_connections_beside(waiters_); }

bool Worker::hold(const HeldEventPtr& event, Waiter& waiter) {
    if (starves_other_sites()) {
        return false;
    }
    // Not taken, or out of memory: the event is the caller's still, and nobody will post it back.
    event->waiter = &waiter;
    if (courier_.submit(event) != SubmitResult::submitted) {
        return false;
    }
    ++waiters_;
    return true;
}

void Worker::forget(HeldEvent& event) noexcept {
    if (std::exchange(event.waiter, nullptr) != nullptr && current_ != nullptr) {
        --current_->waiters_;
    }
}

HeldEventPtr Worker::make_event() {
    if (spare_events_.empty()) {
        return std::make_shared<HeldEvent>();
    }
    HeldEventPtr event = std::move(spare_events_.back());
    spare_events_.pop_back();
    return event;
}

void Worker::keep_spare(HeldEventPtr event) noexcept {
    if (event.use_count() == 1 && spare_events_.size() < spare_events_max) {
        event->renew();
        spare_events_.push_back(std::move(event));  // Within what was reserved.
    }
}

void Worker::on_wake() {
    // Drained before the results are taken: one that is posted in between makes it readable again. A failure
    // (EAGAIN, when this is the rest of an earlier turn) changes nothing.
    std::uint64_t count = 0;
    static_cast<void>(!::read(courier_.wake_fd(), &count, sizeof count));
    auto posted = courier_.take_results();
    results_.insert(results_.end(), std::make_move_iterator(posted.begin()), std::make_move_iterator(posted.end()));

    for (std::size_t told = 0; told < results_per_turn_max && !results_.empty(); ++told) {
        HeldEventPtr event = std::move(results_.front());
        results_.pop_front();
        if (Waiter* waiter = std::exchange(event->waiter, nullptr)) {  // Else its request has been answered, or left.
            --waiters_;
            waiter->on_result(event);
        }
        keep_spare(std::move(event));
    }
    if (!results_.empty()) {
        wake_.call_again();
    }
    write_log_lines();
}

void Worker::write_log_lines() {
    for (const LogLine& line : courier_.take_log_lines()) {
        log_line(current_log(), to_nginx(line.level), line.text);
    }
    if (keeper_) {
        for (const LogLine& line : keeper_->take_log_lines()) {
            log_line(current_log(), to_nginx(line.level), line.text);
        }
    }
}

void Worker::publish_status() {
    CourierFigures figures = courier_.figures();
    if (keeper_) {
        figures.refused = keeper_->figures();
    }
    status_table_->publish(figures);
}

}  // namespace runledger::edge
