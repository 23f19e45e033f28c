// The canary: are nginx's structures those of the headers that the module was built with?
//
// nginx compares its version and some of its build options with the module's, but a distribution can change a structure
// and keep the version (docs/nginx.md, "The canary"). So each process of nginx's asks what nginx itself knows of its
// structures, before the module reads or writes one of them. Whatever differs is said at emerg, and from then on
// nothing is touched: webhooks are answered 503, and other sites notice nothing. Event-loop thread only.
#pragma once

#include <optional>
#include <string>

#include "nginx-module/nginx/layout.hpp"
#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {
struct MainConf;
}

namespace runledger::edge::canary {

// Before the module touches anything of a configuration: nginx's first call while it reads one.
void look_at_configuration(ngx_conf_t& cf) noexcept;

// Directives can't be read, and must be refused. A configuration that has none of them goes on without the module.
[[nodiscard]] const std::optional<std::string>& configuration_fault() noexcept;

// When nginx knows its variables: what it says of requests. A fault is logged, and has webhooks answered 503.
void look_at_requests(ngx_conf_t& cf) noexcept;

// Where a location of the module's exists, and all of the configuration has been read. A sentence if what is to be
// written to is not as expected: the configuration must be refused.
[[nodiscard]] std::optional<std::string> find_phase_fault(const ngx_conf_t& cf);
[[nodiscard]] std::optional<std::string> find_zone_fault(const ngx_shm_zone_t& zone, std::size_t bytes);
// There will be requests to look at. Throws std::bad_alloc.
void watch_requests(ngx_conf_t& cf, MainConf& main);

// When a worker starts, before it makes a connection or a timer of its own. False: it must make none.
[[nodiscard]] bool has_known_events(const ngx_cycle_t& cycle) noexcept;

// May the request be touched? Each worker's first request is looked at, and in the rewrite phase its first with a
// length, which shows more; then this costs a comparison. Where the answer is no, nothing may be done with the request
// but to call nginx's functions.
[[nodiscard]] bool knows(ngx_http_request_t& request, RequestMoment moment = RequestMoment::any) noexcept;

// The fault for which webhooks are answered 503, in this process; nothing: none was found so far.
[[nodiscard]] const std::optional<std::string>& fault() noexcept;

}  // namespace runledger::edge::canary
