// What the directives say, per http block and per location, and how they are read.
//
// Written while nginx reads its configuration, in the master; read-only afterwards. A value that is wrong is refused
// there, with a sentence that names the directive and the value; nothing here makes a thread or a socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nginx-module/courier/courier_settings.hpp"
#include "nginx-module/nginx/folder_access.hpp"
#include "nginx-module/nginx/ngx.hpp"
#include "nginx-module/refused/refused_settings.hpp"
#include "nginx-module/token/token.hpp"

namespace runledger::edge {

struct MainConf {
    CourierSettings courier;  // The spool's folder is empty without runledger_spool, the endpoints without _daemon.
    RefusedSettings refused;  // The folder is empty without runledger_refused.

    std::string first_webhook;             // "file:line" of the first runledger_webhook; empty without any.
    std::vector<std::string> token_names;  // Of all token files; a name that is in several is here as often.
    bool has_status{false};                // A location answers with runledger_status.

    ngx_cycle_t* cycle{};
    std::optional<ngx_uint_t> connection_index;  // Of $connection, for the canary; with a location of the module's.
    ngx_shm_zone_t* status_zone{};               // Made where a webhook or status location exists.
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

// The directives that need more than a line; each returns what nginx expects of a directive's handler.
char* read_spool(ngx_conf_t& cf, MainConf& main);
char* read_daemon(ngx_conf_t& cf, MainConf& main);
char* read_curve(ngx_conf_t& cf, MainConf& main);
char* read_token(ngx_conf_t& cf, LocationConf& location);
char* read_refused(ngx_conf_t& cf, MainConf& main);

// Who workers run as, once all of the configuration has been read; nothing where they keep the master's user.
[[nodiscard]] std::optional<WorkerUser> worker_user(const MainConf& main);

// What the configuration takes from nginx before any directive is read.
void note_cycle(const ngx_conf_t& cf, MainConf& main);

// When all of the configuration has been read and the worker's user is known: whether that user can write in the
// spool's folder, on what file system it is, and whether it is this host's. Logs why not.
[[nodiscard]] bool check_spool_folder(const MainConf& main, const ngx_log_t* log);

// The same for the folder of refused bodies, which any host may share and any file system may have.
[[nodiscard]] bool check_refused_folder(const MainConf& main, const ngx_log_t* log);

// Warns where the workers' reserved segments alone are more than max_size allows.
void warn_of_crowded_spool(const ngx_cycle_t& cycle, const MainConf& main);

[[nodiscard]] inline const LocationConf& location_conf(const ngx_http_request_t& request) noexcept {
    return *static_cast<LocationConf*>(ngx_http_get_module_loc_conf(&request, ngx_http_runledger_module));
}

[[nodiscard]] inline const MainConf& main_conf(const ngx_http_request_t& request) noexcept {
    return *static_cast<MainConf*>(ngx_http_get_module_main_conf(&request, ngx_http_runledger_module));
}

// In a worker that serves a location of the module's: the configuration, without the help of a request.
[[nodiscard]] const MainConf& current_main_conf() noexcept;

// What every directive's reader needs. A sentence names the directive and the value; nginx adds the file and the line.

// Returns what a directive's reader returns when it has failed.
[[nodiscard]] char* refuse(ngx_conf_t& cf, const std::string& sentence);
void warn(ngx_conf_t& cf, const std::string& sentence);

[[nodiscard]] inline std::string in_quotes(std::string_view text) { return "\"" + std::string{text} + "\""; }

// A directive's words, its name the first.
class Words {
public:
    explicit Words(const ngx_conf_t& cf) : words_{static_cast<ngx_str_t*>(cf.args->elts)}, count_{cf.args->nelts} {}

    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] std::string_view operator[](std::size_t i) const { return view(words_[i]); }
    [[nodiscard]] ngx_str_t& raw(std::size_t i) const { return words_[i]; }

private:
    ngx_str_t* words_;
    std::size_t count_;
};

// A path as nginx reads its own: relative to the prefix (or, for files that belong to the configuration, to its
// folder).
enum class RelativeTo : std::uint8_t { prefix, configuration };
[[nodiscard]] std::string full_path(ngx_conf_t& cf, std::string_view path, RelativeTo base);

}  // namespace runledger::edge
