#include "nginx-module/webhook/logged_request.hpp"

#include <optional>

#include "nginx-module/nginx/canary.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/request.hpp"
#include "nginx-module/status/metrics.hpp"
#include "nginx-module/status/request_outcome.hpp"
#include "nginx-module/status/table.hpp"
#include "nginx-module/webhook/held_request.hpp"

namespace runledger::edge {

namespace {

// Codes of nginx's own that are never sent: the client has left, or nginx has closed the connection.
constexpr ngx_uint_t status_client_closed = NGX_HTTP_CLIENT_CLOSED_REQUEST;

// For a request that nginx ended between our content handler and its whole body.
[[nodiscard]] RequestOutcome outcome_without_body(const ngx_http_request_t& request, ngx_uint_t status) noexcept {
    switch (status) {
        case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
            return RequestOutcome::refused_size;  // Chunked, over client_max_body_size.
        case NGX_HTTP_BAD_REQUEST:
            // nginx's code for broken chunks, and also for a client that left with its body half sent.
            return has_failed_connection(request) ? RequestOutcome::client_gone : RequestOutcome::refused_by_nginx;
        case NGX_HTTP_REQUEST_TIME_OUT:
        case status_client_closed:
            return RequestOutcome::client_gone;
        default:
            // nginx answers 500 where its "100 Continue" meets a connection that the client has reset.
            return has_failed_connection(request) ? RequestOutcome::client_gone : RequestOutcome::failed;
    }
}

// Left in the pool of a request that has come to a webhook location. If nginx then refuses it, and an error_page sends
// it to another location, this is all that tells where it wanted to go.
class Visit {
public:
    explicit Visit(const ngx_http_request_t& request) noexcept : request_{request} {}

    // A subrequest shares its parent's pool: whose visit it was must be told.
    [[nodiscard]] static bool was_made_by(const ngx_http_request_t& request) noexcept {
        return find_in_request<Visit>(request, [&](const Visit& visit) { return &visit.request_ == &request; }) !=
               nullptr;
    }

private:
    const ngx_http_request_t& request_;
};

[[nodiscard]] bool has_come_to_webhook(const ngx_http_request_t& request) noexcept {
    return location_conf(request).is_webhook || (is_internal(request) && Visit::was_made_by(request));
}

// An index of nginx_causes, for a request whose outcome is refused_by_nginx.
[[nodiscard]] std::size_t nginx_cause(const ngx_http_request_t& request) noexcept {
    if (was_refused_by_limit_req(request)) {
        return cause_limit_req;
    }
    if (was_refused_by_limit_conn(request)) {
        return cause_limit_conn;
    }
    return cause_of_status(static_cast<unsigned>(answer_status(request)));
}

// Nothing for a request that has nothing to do with a webhook location, or is still on its way.
[[nodiscard]] std::optional<RequestOutcome> find_outcome(const ngx_http_request_t& request) noexcept {
    const ngx_uint_t status = answer_status(request);
    if (const HeldRequest* held = HeldRequest::find(request)) {
        if (held->outcome() != RequestOutcome::none) {
            return held->outcome();
        }
        return status == 0 ? std::nullopt : std::optional{outcome_without_body(request, status)};
    }
    if (!has_come_to_webhook(request) || status == 0) {
        return std::nullopt;
    }
    return status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE ? RequestOutcome::refused_size
                                                       : RequestOutcome::refused_by_nginx;
}

// The texts live as long as the request, or for ever.
using TextOf = std::string_view (*)(const ngx_http_request_t& request) noexcept;

template <TextOf Text>
ngx_int_t get_variable(ngx_http_request_t* request, ngx_http_variable_value_t* value, uintptr_t) noexcept {
    set_value(*value, canary::knows(*request) ? Text(*request) : std::string_view{});
    return NGX_OK;
}

std::string_view run_id_of(const ngx_http_request_t& request) noexcept {
    const HeldRequest* held = HeldRequest::find(request);
    return held != nullptr ? held->run_id() : std::string_view{};
}

std::string_view run_status_of(const ngx_http_request_t& request) noexcept {
    const HeldRequest* held = HeldRequest::find(request);
    return held != nullptr ? held->status_word() : std::string_view{};
}

std::string_view commit_time_of(const ngx_http_request_t& request) noexcept {
    const HeldRequest* held = HeldRequest::find(request);
    if (held == nullptr || !held->commit_time()) {
        return {};
    }
    std::string_view text;
    guarded_run(log_of(request), "write a commit time",
                [&] { text = copy_to_pool(pool_of(request), to_seconds_text(*held->commit_time())); });
    return text;
}

std::string_view outcome_word_of(const ngx_http_request_t& request) noexcept {
    const auto outcome = find_outcome(request);
    return outcome ? to_word(*outcome) : std::string_view{};
}

}  // namespace

void add_variables(ngx_conf_t& cf) {
    add_variable(cf, "runledger_run_id", get_variable<run_id_of>);
    add_variable(cf, "runledger_run_status", get_variable<run_status_of>);
    add_variable(cf, "runledger_outcome", get_variable<outcome_word_of>);
    add_variable(cf, "runledger_commit_time", get_variable<commit_time_of>);
}

ngx_int_t note_visit(ngx_http_request_t* request) noexcept {
    return guarded(
        log_of(*request), "note a visit",
        [&]() -> ngx_int_t {
            if (location_conf(*request).is_webhook && !Visit::was_made_by(*request)) {
                static_cast<void>(make_in_request<Visit>(*request, *request));
            }
            return NGX_DECLINED;
        },
        NGX_DECLINED);
}

ngx_int_t count_outcome(ngx_http_request_t* request) noexcept {
    if (const auto outcome = find_outcome(*request)) {
        StatusTable& table = status_table(*main_conf(*request).status_zone);
        table.count(*outcome);
        if (*outcome == RequestOutcome::refused_by_nginx) {
            table.count_refusal_by_nginx(nginx_cause(*request));
        }
        const HeldRequest* held = HeldRequest::find(*request);
        if (held != nullptr && !held->token_name().empty()) {
            const bool is_accepted = *outcome == RequestOutcome::accepted || *outcome == RequestOutcome::redelivered;
            table.count_token(held->token_name(), ngx_time(), is_accepted);
        }
        if (held != nullptr && held->commit_time()) {
            table.count_commit(*held->commit_time());
        }
    }
    return NGX_OK;
}

}  // namespace runledger::edge
