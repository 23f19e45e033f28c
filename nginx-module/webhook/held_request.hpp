// One request to a webhook location, from its header to its log line, and the time in between when it is suspended
// because its event is with the courier.
//
// Invariant: a suspended request is finalised exactly once, by whichever comes first: the courier's result, the
// deadline, or the client's leaving. Lives in the request's pool. Event-loop thread only.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/nginx/timer.hpp"
#include "nginx-module/refused/keeper.hpp"
#include "nginx-module/webhook/answer.hpp"
#include "nginx-module/worker/worker.hpp"

namespace runledger::edge {

class HeldRequest final : private Waiter {
public:
    // Throws std::bad_alloc.
    static HeldRequest& make(ngx_http_request_t& request);

    // Nothing for a request that never reached a webhook's content handler. Found also after an error_page has sent
    // the request to another location, when nginx has forgotten its modules' contexts.
    [[nodiscard]] static HeldRequest* find(const ngx_http_request_t& request) noexcept;

    explicit HeldRequest(ngx_http_request_t& request) noexcept;
    HeldRequest(const HeldRequest&) = delete;
    HeldRequest& operator=(const HeldRequest&) = delete;
    ~HeldRequest() = default;

    // Hands the event to the courier. The request is then finalised by us, later: the caller returns without doing
    // so. A problem means that nothing was taken. Throws std::bad_alloc, nothing taken either.
    [[nodiscard]] std::optional<Problem> suspend(HeldEventPtr event, ngx_msec_t timeout);

    // Logs and answers. Returns what ngx_http_finalize_request() is to be called with.
    [[nodiscard]] ngx_int_t refuse(const Problem& problem);

    // The token is refused, whatever becomes of the request: it is answered when its body has been read.
    void refuse_token_after_body(RefusedTicket ticket) noexcept {
        outcome_ = RequestOutcome::refused_token;
        ticket_ = std::move(ticket);
    }
    // Nothing, unless the last function was called.
    [[nodiscard]] std::optional<RefusedTicket> take_ticket() noexcept { return std::exchange(ticket_, std::nullopt); }

    [[nodiscard]] RequestOutcome outcome() const noexcept { return outcome_; }
    // Of the token that let the request in; empty where none was asked for, or known. The name belongs to the
    // configuration, which outlives its requests.
    void set_token_name(std::string_view name) noexcept { token_name_ = name; }
    [[nodiscard]] std::string_view token_name() const noexcept { return token_name_; }
    // As variables show them: without control characters, and no path.
    [[nodiscard]] std::string_view run_id() const noexcept { return run_id_; }
    [[nodiscard]] std::string_view status_word() const noexcept { return status_word_; }
    // From the body's coming to the event's being on stable storage; nothing unless it was answered 200.
    [[nodiscard]] std::optional<std::chrono::microseconds> commit_time() const noexcept { return commit_time_; }

private:
    void on_result(const HeldEventPtr& event) noexcept override;
    void on_deadline() noexcept;
    void on_request_end() noexcept;

    [[nodiscard]] ngx_int_t answer(HeldEvent& event);
    void note_run(const HeldEvent& event);
    // The client left while the request was suspended, and nginx runs the location's post_action in it now: it is
    // nginx's again, and not ours to answer or finalise.
    [[nodiscard]] bool has_been_ended() const noexcept;
    // The request waits for nothing any more.
    void let_go() noexcept;

    ngx_http_request_t& request_;
    const bool is_post_action_;  // The request came here as another location's post_action.
    HeldEventPtr event_;         // Set while the request is suspended.
    std::optional<RefusedTicket> ticket_;
    RequestOutcome outcome_{RequestOutcome::none};
    std::string_view token_name_;
    std::string_view run_id_;  // In the request's pool, as is the next.
    std::string_view status_word_;
    std::optional<std::chrono::microseconds> commit_time_;
    Timer deadline_;
};

}  // namespace runledger::edge
