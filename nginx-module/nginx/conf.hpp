// What the directives say, per http block and per location, and how they are read.
//
// Written while nginx reads its configuration, in the master; read-only afterwards. A value that is wrong is refused
// there, with a sentence that names the directive and the value; nothing here makes a thread or a socket.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/spool_identity.hpp"
#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/token/token.hpp"

namespace runledger::edge {

struct CurveKeys;  // nginx-module/link/keys.hpp

struct MainConf {
    std::string spool_dir;  // Empty without runledger_spool.
    std::size_t spool_bytes_max{1024UL * 1024 * 1024};
    std::chrono::seconds spool_keep_acked{0};
    std::optional<SpoolHost> spool_host;  // Whom the folder must belong to. Set where there is a folder.
    std::vector<std::string> daemon_endpoints;
    std::shared_ptr<const CurveKeys> curve;  // Nothing without runledger_curve.

    std::string first_webhook;             // "file:line" of the first runledger_webhook; empty without any.
    std::vector<std::string> token_names;  // Of all token files; a name that is in several is here as often.
    bool has_status{false};                // A location answers with runledger_status.

    ngx_cycle_t* cycle{};
    ngx_shm_zone_t* status_zone{};  // Made where a webhook or status location exists.
};

// Where a rule's variable takes the token from: what is to be masked, whether it is the right token or not.
enum class TokenSource : std::uint8_t { argument, header, cookie, other };

// Where the token is looked for, and which are let in.
struct TokenRule {
    ngx_int_t variable_index{};
    TokenSource source{};
    std::string source_name;  // Of the argument, header ("x_token") or cookie; empty for any other variable.
    TokenSet tokens;
};

struct LocationConf {
    bool is_webhook{false};
    bool is_status{false};
    ngx_msec_t timeout{NGX_CONF_UNSET_MSEC};
    std::optional<std::optional<TokenRule>> token;  // Not set; set to `off`; set to a rule.

    [[nodiscard]] const TokenRule* token_rule() const { return token && *token ? &**token : nullptr; }
};

// The directives that have a file of their own; each returns what nginx expects of a directive's handler.
char* read_spool(ngx_conf_t& cf, MainConf& main);          // conf_spool.cpp
char* read_daemon(ngx_conf_t& cf, MainConf& main);         // conf_daemon.cpp
char* read_curve(ngx_conf_t& cf, MainConf& main);          // conf_curve.cpp
char* read_token(ngx_conf_t& cf, LocationConf& location);  // conf_token.cpp

// When all of the configuration has been read and the worker's user is known: whether that user can write in the
// spool's folder, on what file system it is, and whether it is this host's. Logs why not. In conf_spool.cpp.
[[nodiscard]] bool check_spool_folder(const MainConf& main, const ngx_log_t* log);

// Warns where the workers' reserved segments alone are more than max_size allows. In conf_spool.cpp.
void warn_of_crowded_spool(const ngx_cycle_t& cycle, const MainConf& main);

[[nodiscard]] inline const LocationConf& location_conf(const ngx_http_request_t& request) noexcept {
    return *static_cast<LocationConf*>(ngx_http_get_module_loc_conf(&request, ngx_http_runledger_module));
}

[[nodiscard]] inline const MainConf& main_conf(const ngx_http_request_t& request) noexcept {
    return *static_cast<MainConf*>(ngx_http_get_module_main_conf(&request, ngx_http_runledger_module));
}

}  // namespace runledger::edge
