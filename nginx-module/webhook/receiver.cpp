#include "nginx-module/webhook/receiver.hpp"

#include <time.h>

#include <chrono>
#include <optional>
#include <string>

#include "common/event.hpp"
#include "common/limits.hpp"
#include "common/wire.hpp"
#include "nginx-module/nginx/body.hpp"
#include "nginx-module/nginx/canary.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/request.hpp"
#include "nginx-module/status/table.hpp"
#include "nginx-module/webhook/answer.hpp"
#include "nginx-module/webhook/authenticate.hpp"
#include "nginx-module/webhook/held_request.hpp"
#include "nginx-module/webhook/second_try.hpp"
#include "nginx-module/worker/worker.hpp"

namespace runledger::edge {

namespace {

// The sender's second and third tries come as GET with the same body (docs/sender.md, "Delivery").
[[nodiscard]] bool is_method_allowed(const ngx_http_request_t& request) noexcept {
    return is_post(request) || (is_get(request) && has_body(request));
}

// Parameters, such as a charset, change nothing: JSON is UTF-8. The sender always gives the type; who leaves it out
// is let in, since a refused event is a lost one.
[[nodiscard]] bool is_type_json(const ngx_http_request_t& request) noexcept {
    const auto given = content_type(request);
    if (!given) {
        return true;
    }
    std::string_view type = given->substr(0, given->find(';'));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) {
        type.remove_suffix(1);
    }
    return is_same_ignoring_case(type, "application/json");
}

// nginx decodes no request's body, and neither do we.
[[nodiscard]] bool is_encoded(const ngx_http_request_t& request) noexcept {
    return has_header(request, "content-encoding", [](std::string_view value) noexcept {
        return !value.empty() && !is_same_ignoring_case(value, "identity");
    });
}

// Whether a request with another token would be read to its end.
[[nodiscard]] bool is_fit(const ngx_http_request_t& request) noexcept {
    return is_type_json(request) && !is_encoded(request) && is_body_whole(request);
}

// What the request's header alone gives away. In this order: a stranger learns nothing but that he is one.
[[nodiscard]] std::optional<Problem> find_header_problem(ngx_http_request_t& request, HeldRequest& held) {
    // First of all, whatever comes of it: from here on no log shows the token.
    const TokenRule* rule = location_conf(request).token_rule();
    const auto token_name = rule != nullptr ? authenticate(request, *rule) : std::nullopt;
    if (!is_method_allowed(request)) {
        return problem_of(RequestOutcome::refused_method);
    }
    if (rule != nullptr && !token_name) {
        return problem_of(RequestOutcome::refused_token);
    }
    held.set_token_name(token_name.value_or(std::string_view{}));
    if (!is_type_json(request)) {
        return problem_of(RequestOutcome::refused_type);
    }
    if (is_encoded(request)) {
        return problem_of_encoding();
    }
    if (content_length(request).value_or(0) > body_bytes_max) {
        return problem_of(RequestOutcome::refused_size);
    }
    if (!is_body_whole(request)) {
        return problem_of(RequestOutcome::body_unreadable);
    }
    if (Worker::current() == nullptr) {
        return problem_of(RequestOutcome::failed);
    }
    return std::nullopt;
}

// The event is received when all of it is here: before that there is nothing to store. Both clocks are read next to
// each other, and not from nginx's cache, which is as old as the event loop's turn.
[[nodiscard]] Stamp stamp_now() noexcept {
    timespec wall{};
    timespec boot{};
    clock_gettime(CLOCK_REALTIME, &wall);  // Can't fail for these clocks.
    clock_gettime(CLOCK_BOOTTIME, &boot);
    const auto to_microseconds = [](const timespec& time) {
        return std::chrono::floor<std::chrono::microseconds>(std::chrono::seconds{time.tv_sec} +
                                                             std::chrono::nanoseconds{time.tv_nsec});
    };
    return {WallTime{to_microseconds(wall)}, BootTime{to_microseconds(boot)}};
}

// Validates in the event loop what takes well under a millisecond; the courier does it for the rest.
[[nodiscard]] std::optional<Refusal> find_fault(HeldEvent& event) {
    if (event.body_fd != -1 || event.body_bytes > body_in_loop_bytes_max) {
        return std::nullopt;
    }
    auto result = validate_event(event.body);
    if (const auto* refusal = std::get_if<Refusal>(&result)) {
        return *refusal;
    }
    auto& summary = std::get<EventSummary>(result);
    event.run_id = std::move(summary.run_id);
    event.status_word = std::move(summary.status_word);
    event.flags |= summary.beyond_parser ? wire::beyond_parser : 0U;
    event.validated = true;
    return std::nullopt;
}

// Hands the event over and suspends the request, or says why not.
[[nodiscard]] std::optional<Problem> accept_body(ngx_http_request_t& request, HeldRequest& held) {
    const Stamp stamp = stamp_now();
    const std::size_t bytes = body_size(request);
    if (bytes == 0) {
        return problem_of(Refusal{EventFault::body_empty, 0});
    }
    if (bytes > body_bytes_max) {
        return problem_of(RequestOutcome::refused_size);
    }
    HeldEventPtr event = Worker::current()->make_event();
    event->stamp = stamp;
    event->flags = is_get(request) ? wire::redelivered : 0U;
    take_body(request, *event);
    if (const auto refusal = find_fault(*event)) {
        keep_refused_json(request, *event, held.token_name(), *refusal);
        return problem_of(*refusal);
    }
    return held.suspend(std::move(event), location_conf(request).timeout);
}

// nginx has the whole body. It holds a reference for us, which the finalisation gives back.
void on_body(ngx_http_request_t* request) noexcept {
    const ngx_int_t rc = guarded(
        log_of(*request), "take a body",
        [&]() -> ngx_int_t {
            HeldRequest& held = *HeldRequest::find(*request);
            if (auto ticket = held.take_ticket()) {
                keep_refused_token(*request, stamp_now(), std::move(*ticket));
                return held.refuse(problem_of(RequestOutcome::refused_token));
            }
            const auto problem = accept_body(*request, held);
            return problem ? held.refuse(*problem) : NGX_DONE;
        },
        NGX_HTTP_SERVICE_UNAVAILABLE);
    if (rc != NGX_DONE) {
        ngx_http_finalize_request(request, rc);
    }
}

[[nodiscard]] ngx_int_t receive(ngx_http_request_t& request) {
    HeldRequest& held = HeldRequest::make(request);
    if (const auto problem = find_header_problem(request, held)) {
        auto ticket =
            problem->outcome == RequestOutcome::refused_token ? admit_refused(request, is_fit(request)) : std::nullopt;
        if (!ticket) {
            return held.refuse(*problem);
        }
        held.refuse_token_after_body(std::move(*ticket));
    }
    const ngx_int_t rc = ngx_http_read_client_request_body(&request, nginx_callback(on_body));
    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}

}  // namespace

ngx_int_t on_webhook(ngx_http_request_t* request) noexcept {
    if (!canary::knows(*request)) {
        StatusTable& table = status_table(*current_main_conf().status_zone);
        table.note_incompatible_nginx();
        table.count(RequestOutcome::incompatible);
        return NGX_HTTP_SERVICE_UNAVAILABLE;  // nginx reads and answers the rest.
    }
    return guarded(
        log_of(*request), "receive a webhook", [&] { return receive(*request); }, NGX_HTTP_SERVICE_UNAVAILABLE);
}

}  // namespace runledger::edge
