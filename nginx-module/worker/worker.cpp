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

[[nodiscard]] ngx_log_t* current_log() noexcept { return const_cast<ngx_cycle_t*>(ngx_cycle)->log; }

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
    static struct {
        ngx_connection_t owner;
        ngx_event_t event;
        ngx_cycle_t* cycle;
        const MainConf* main;
    } timer;
    timer.cycle = &cycle;
    timer.main = &main;
    timer.owner.fd = -1;
    timer.event.data = &timer.owner;
    timer.event.log = cycle.log;
    timer.event.cancelable = 1;
    timer.event.handler = nginx_callback(+[](ngx_event_t*) noexcept { start(*timer.cycle, *timer.main); });
    ngx_add_timer(&timer.event, housekeeping_every);
}

void Worker::end() noexcept {
    delete current_;
    current_ = nullptr;
}

Worker::Worker(ngx_cycle_t& cycle, const MainConf& main)
    : status_table_{&status_table(*main.status_zone)}, courier_{main.courier} {
    if (!main.refused.folder.empty()) {
        keeper_.emplace(main.refused);
    }
    spare_events_.reserve(spare_events_max);
    watch_courier(cycle);
    timer_owner_.fd = -1;
    timer_owner_.data = this;
    housekeeping_.data = &timer_owner_;
    housekeeping_.log = cycle.log;
    housekeeping_.cancelable = 1;  // It must not keep a draining worker alive.
    housekeeping_.handler = nginx_callback(+[](ngx_event_t* event) noexcept {
        auto& worker = *static_cast<Worker*>(static_cast<ngx_connection_t*>(event->data)->data);
        guarded_run(current_log(), "keep house", [&] { worker.keep_house(); });
        ngx_add_timer(event, housekeeping_every);
    });
    ngx_add_timer(&housekeeping_, housekeeping_every);
    // Nothing may throw any more: nginx knows the timer and the connection.
    guarded_run(cycle.log, "keep house", [this] { keep_house(); });
}

void Worker::keep_house() {
    if (ngx_exiting != 0) {
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
    if (housekeeping_.timer_set != 0) {
        ngx_del_timer(&housekeeping_);
    }
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
    if (wake_connection_ != nullptr) {
        ngx_event_t* read = wake_connection_->read;
        if (read->posted != 0) {
            ngx_delete_posted_event(read);
        }
        ngx_del_event(read, NGX_READ_EVENT, 0);  // Not NGX_CLOSE_EVENT: the courier closes the descriptor, later.
        ngx_free_connection(wake_connection_);
        wake_connection_->fd = static_cast<ngx_socket_t>(-1);
    }
}

// While a disk hangs, requests are held for seconds, each with its connection, of which a stock Debian's worker has
// 768. Half of them may always be held; more only while an eighth is free.
bool Worker::starves_other_sites() const noexcept {
    const ngx_uint_t connections = ngx_cycle->connection_n;
    return waiters_ >= connections / 2 && ngx_cycle->free_connection_n < connections / 8;
}

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

void Worker::watch_courier(ngx_cycle_t& cycle) {
    ngx_connection_t* connection = ngx_get_connection(courier_.wake_fd(), cycle.log);
    if (connection == nullptr) {
        throw std::runtime_error("no connection is free for the courier's eventfd");
    }
    connection->data = this;
    connection->log = cycle.log;
    ngx_event_t* read = connection->read;
    read->log = cycle.log;
    connection->write->log = cycle.log;
    read->channel = 1;  // As nginx's own channel to the master: worker_shutdown_timeout must not close it.
    read->handler = nginx_callback(+[](ngx_event_t* event) noexcept {
        auto& worker = *static_cast<Worker*>(static_cast<ngx_connection_t*>(event->data)->data);
        guarded_run(current_log(), "take the courier's results", [&] { worker.on_wake(); });
    });
    if (ngx_add_event(read, NGX_READ_EVENT, 0) != NGX_OK) {  // Level-triggered: nothing is lost by a partial read.
        ngx_free_connection(connection);
        connection->fd = static_cast<ngx_socket_t>(-1);
        throw std::runtime_error("the courier's eventfd can't be watched");
    }
    wake_connection_ = connection;
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
        ngx_post_event(wake_connection_->read, &ngx_posted_next_events);
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
