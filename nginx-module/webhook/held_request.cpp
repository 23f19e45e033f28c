#include "nginx-module/webhook/held_request.hpp"

#include "common/wire.hpp"
#include "nginx-module/nginx/request.hpp"
#include "nginx-module/webhook/second_try.hpp"

namespace runledger::edge {

namespace {

// The event is durable and its result already on its way to the loop; the deadline looks again after this long.
constexpr ngx_msec_t deadline_grace = 100;

// An error for each request that we fail would bury the log when a disk fills up: one a second, with a count.
class FailureLog {
public:
    void report(const ngx_http_request_t& request, std::string_view text) {
        if (ngx_time() == last_) {
            ++unreported_;
            return;
        }
        std::string line{text};
        if (unreported_ > 0) {
            line += ", and " + std::to_string(unreported_) + " more requests failed since the last such line";
        }
        log_line(request, NGX_LOG_ERR, line);
        last_ = ngx_time();
        unreported_ = 0;
    }

private:
    time_t last_{0};
    std::uint64_t unreported_{0};
};
FailureLog failures;

// What the variables show of a text that the sender chose: it may become a header or the name of a file, so it has no
// control character, C1 included, and is no path. One character takes the place of each byte that is not shown.
[[nodiscard]] std::string_view shown_in_pool(ngx_pool_t& pool, std::string_view text) {
    std::string shown{text};
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const auto byte = static_cast<unsigned char>(shown[i]);
        const auto next = i + 1 < shown.size() ? static_cast<unsigned char>(shown[i + 1]) : 0U;
        if (byte < 0x20 || byte == 0x7F || byte == '/' || byte == '\\') {
            shown[i] = '_';
        } else if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {  // U+0080 to U+009F.
            shown[i] = shown[i + 1] = '_';
        }
    }
    if (shown == "." || shown == "..") {
        shown.assign(shown.size(), '_');
    }
    return copy_to_pool(pool, shown);
}

// Every field of an event can be followed at debug, from here to the ledger.
void log_event(const ngx_http_request_t& request, const HeldEvent& event) {
    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, log_of(request), 0,
                   "runledger: stored event run_id=%*s flags=%uD stored_in=%L us", event.run_id.size(),
                   event.run_id.data(), event.flags, static_cast<std::int64_t>(event.commit_time.count()));
}

}  // namespace

HeldRequest& HeldRequest::make(ngx_http_request_t& request) {
    auto& held = make_in_request<HeldRequest>(request, request);
    set_context(request, &held);
    call_at_end(
        request, +[](void* data) noexcept { static_cast<HeldRequest*>(data)->on_request_end(); }, &held);
    return held;
}

HeldRequest* HeldRequest::find(const ngx_http_request_t& request) noexcept {
    auto* held = static_cast<HeldRequest*>(find_context(request));
    if (held == nullptr && may_lack_context(request)) {
        // A subrequest shares its parent's pool: each has its own.
        held = find_in_request<HeldRequest>(request,
                                            [&](const HeldRequest& other) { return &other.request_ == &request; });
    }
    return held;
}

HeldRequest::HeldRequest(ngx_http_request_t& request) noexcept
    : request_{request},
      is_post_action_{edge::is_post_action(request)},
      deadline_{log_of(request), WhileDraining::is_waited_for,
                +[](void* data) noexcept { static_cast<HeldRequest*>(data)->on_deadline(); }, this} {}

std::optional<Problem> HeldRequest::suspend(HeldEventPtr event, ngx_msec_t timeout) {
    if (event->validated) {
        note_run(*event);
    }
    if (!Worker::current()->hold(event, *this)) {
        return problem_of(RequestOutcome::over_bound);
    }
    event_ = std::move(event);
    // A worker that drains waits for it, and so answers every request that it holds.
    deadline_.set(timeout);
    // A client that left together with its last byte gives no event any more: its event is stored all the same, and
    // the deadline bounds the wait. Behind a mirrored copy or a post_action there is a client who waits for no answer.
    if (!is_subrequest(request_) && !is_post_action_) {
        watch_client(request_);
    }
    return std::nullopt;
}

ngx_int_t HeldRequest::refuse(const Problem& problem) {
    outcome_ = problem.outcome;
    std::string line = "refused with " + std::to_string(problem.http_status) + ": " + problem.detail;
    if (problem.http_status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        failures.report(request_, line + " (" + std::string{problem.word} + ")");
    } else {
        log_line(request_, NGX_LOG_INFO, line);
    }
    return send_problem(request_, problem);
}

void HeldRequest::on_result(const HeldEventPtr& event) noexcept {
    let_go();
    if (has_been_ended()) {
        outcome_ = RequestOutcome::client_gone;
        return;
    }
    finalize(request_,
             guarded(
                 log_of(request_), "answer a webhook", [&] { return answer(*event); }, NGX_HTTP_SERVICE_UNAVAILABLE));
}

ngx_int_t HeldRequest::answer(HeldEvent& event) {
    switch (event.result) {
        case CommitResult::committed:
            if (run_id_.empty()) {  // The courier has validated it.
                note_run(event);
            }
            outcome_ = (event.flags & wire::redelivered) != 0 ? RequestOutcome::redelivered : RequestOutcome::accepted;
            commit_time_ = event.commit_time;
            log_event(request_, event);
            return send_accepted(request_);
        case CommitResult::refused:
            keep_refused_json(request_, event, token_name_, event.refusal);
            return refuse(problem_of(event.refusal));
        case CommitResult::failed:
            return refuse(problem_of(RequestOutcome::body_unreadable));
    }
    throw std::logic_error("the courier gave an event no known outcome");
}

void HeldRequest::note_run(const HeldEvent& event) {
    run_id_ = shown_in_pool(pool_of(request_), event.run_id);
    status_word_ = shown_in_pool(pool_of(request_), event.status_word);
}

void HeldRequest::on_deadline() noexcept {
    HoldState expected = HoldState::waiting;
    if (!event_->state.compare_exchange_strong(expected, HoldState::abandoned)) {
        deadline_.set(deadline_grace);
        return;
    }
    const RequestOutcome outcome =
        event_->trouble.load() == CommitTrouble::no_room ? RequestOutcome::spool_full : RequestOutcome::timeout;
    Worker::forget(*event_);
    let_go();
    if (has_been_ended()) {
        outcome_ = RequestOutcome::client_gone;
        return;
    }
    finalize(request_, guarded(
                           log_of(request_), "give up a webhook", [&] { return refuse(problem_of(outcome)); },
                           NGX_HTTP_SERVICE_UNAVAILABLE));
}

// nginx ends the request. While it is suspended that means: its client has left.
void HeldRequest::on_request_end() noexcept {
    if (event_ == nullptr) {
        return;
    }
    HoldState expected = HoldState::waiting;
    // Where the courier was first, the event is stored, which is right: its sender will only send it again.
    event_->state.compare_exchange_strong(expected, HoldState::abandoned);
    Worker::forget(*event_);
    outcome_ = RequestOutcome::client_gone;
    let_go();
}

bool HeldRequest::has_been_ended() const noexcept { return edge::is_post_action(request_) != is_post_action_; }

void HeldRequest::let_go() noexcept {
    event_.reset();
    deadline_.cancel();
}

}  // namespace runledger::edge
