#include "nginx-module/conf.hpp"

#include <algorithm>

#include "common/limits.hpp"
#include "nginx-module/endpoint.hpp"
#include "nginx-module/folder_access.hpp"
#include "nginx-module/receiver.hpp"
#include "nginx-module/status.hpp"

namespace runledger::edge {

namespace {

constexpr ngx_msec_t timeout_default = 15'000;
constexpr ngx_msec_t sender_patience = 20'000;  // SENDER.md: the sender hangs up after 20 s.

// A worker writes one segment and has the next one made; while a reload lasts there are old and new workers.
constexpr std::size_t spool_bytes_min = 4 * segment_bytes;

// nginx adds the file and the line.
[[nodiscard]] char* refuse(ngx_conf_t& cf, const std::string& sentence) {
    ngx_conf_log_error(NGX_LOG_EMERG, &cf, 0, "%*s", sentence.size(), sentence.data());
    return static_cast<char*>(NGX_CONF_ERROR);
}

void warn(ngx_conf_t& cf, const std::string& sentence) {
    ngx_conf_log_error(NGX_LOG_WARN, &cf, 0, "%*s", sentence.size(), sentence.data());
}

[[nodiscard]] std::string quoted(std::string_view text) { return "\"" + std::string{text} + "\""; }

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
[[nodiscard]] std::string full_path(ngx_conf_t& cf, std::string_view path, RelativeTo base) {
    std::string terminated{path};
    ngx_str_t name = borrow(terminated);
    if (ngx_conf_full_name(cf.cycle, &name, base == RelativeTo::configuration ? 1 : 0) != NGX_OK) {
        throw std::bad_alloc{};
    }
    return std::string{view(name)};
}

char* read_spool(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (!main.spool_dir.empty()) {
        return refuse(cf, "runledger_spool is given twice; all locations share one spool");
    }
    if (words[1].empty()) {
        return refuse(cf, R"(runledger_spool "" is not a folder)");
    }
    main.spool_dir = full_path(cf, words[1], RelativeTo::prefix);
    if (words.count() == 3) {
        constexpr std::string_view key = "max_size=";
        if (!words[2].starts_with(key)) {
            return refuse(cf, "runledger_spool: " + quoted(words[2]) + " is not a parameter; max_size=<size> is");
        }
        ngx_str_t text = borrow(words[2].substr(key.size()));
        const off_t size = ngx_parse_offset(&text);
        if (text.len == 0 || size == static_cast<off_t>(NGX_ERROR)) {
            return refuse(cf, "runledger_spool: " + quoted(words[2]) + " is not a size, such as max_size=1g");
        }
        if (static_cast<std::size_t>(size) < spool_bytes_min) {
            return refuse(cf, "runledger_spool: " + quoted(words[2]) + " is less than four segments, 64m");
        }
        main.spool_bytes_max = static_cast<std::size_t>(size);
    }
    return NGX_CONF_OK;
}

char* read_daemon(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (!main.daemon_endpoints.empty()) {
        return refuse(cf, "runledger_daemon is given twice; it takes several endpoints");
    }
    for (std::size_t i = 1; i < words.count(); ++i) {
        const std::string endpoint{words[i]};
        if (const auto fault = find_endpoint_fault(endpoint)) {
            return refuse(cf, "runledger_daemon: " + quoted(endpoint) + " is not an endpoint: " + *fault);
        }
        if (std::ranges::find(main.daemon_endpoints, endpoint) != main.daemon_endpoints.end()) {
            return refuse(cf, "runledger_daemon: " + quoted(endpoint) + " is given twice");
        }
        main.daemon_endpoints.push_back(endpoint);
    }
    return NGX_CONF_OK;
}

// The location's content handler is ours from now on; one location can have only one.
[[nodiscard]] char* claim_location(ngx_conf_t& cf, ngx_http_handler_pt handler) {
    auto* core = static_cast<ngx_http_core_loc_conf_t*>(ngx_http_conf_get_module_loc_conf((&cf), ngx_http_core_module));
    if (core->handler != nullptr) {
        return refuse(cf, std::string{Words{cf}[0]} + " can't share its location with another content handler");
    }
    core->handler = handler;
    return NGX_CONF_OK;
}

[[nodiscard]] MainConf& main_conf(ngx_conf_t& cf) {
    return *static_cast<MainConf*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_runledger_module));
}

char* read_webhook(ngx_conf_t& cf, LocationConf& location) {
    location.is_webhook = true;
    MainConf& main = main_conf(cf);
    if (main.first_webhook.empty()) {
        main.first_webhook = std::string{view(cf.conf_file->file.name)} + ":" + std::to_string(cf.conf_file->line);
    }
    return claim_location(cf, on_webhook);
}

char* read_status(ngx_conf_t& cf, LocationConf& location) {
    location.is_status = true;
    main_conf(cf).has_status = true;
    return claim_location(cf, on_status);
}

char* read_token(ngx_conf_t& cf, LocationConf& location) {
    const Words words{cf};
    if (location.token) {
        return refuse(cf, "runledger_token is given twice");
    }
    if (words.count() == 2) {
        if (words[1] != "off") {
            return refuse(cf, "runledger_token: " + quoted(words[1]) + " needs file=<path> after it, or be off");
        }
        location.token.emplace(std::nullopt);
        return NGX_CONF_OK;
    }
    if (words[1].size() < 2 || words[1].front() != '$') {
        return refuse(cf, "runledger_token: " + quoted(words[1]) + " is not a variable, such as $arg_token");
    }
    constexpr std::string_view key = "file=";
    if (!words[2].starts_with(key) || words[2].size() == key.size()) {
        return refuse(cf, "runledger_token: " + quoted(words[2]) + " is not file=<path>");
    }
    ngx_str_t name = borrow(words[1].substr(1));
    const ngx_int_t index = ngx_http_get_variable_index(&cf, &name);
    if (index == NGX_ERROR) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    const std::string path = full_path(cf, words[2].substr(key.size()), RelativeTo::configuration);
    auto tokens = TokenSet::read_file(path);
    if (const auto* fault = std::get_if<TokenSet::Fault>(&tokens)) {
        return refuse(cf, "runledger_token: " + quoted(path) + ": " + fault->sentence);
    }
    auto& known = std::get<TokenSet>(tokens);
    if (const auto line = known.find_weak_line()) {
        warn(cf, "runledger_token: " + quoted(path) + ": the token in line " + std::to_string(*line) +
                     " has fewer than 16 characters and can be guessed");
    }
    location.token.emplace(TokenRule{index, std::string{words[1]}, std::move(known)});
    return NGX_CONF_OK;
}

char* read_timeout(ngx_conf_t& cf, LocationConf& location) {
    const Words words{cf};
    if (location.timeout != NGX_CONF_UNSET_MSEC) {
        return refuse(cf, "runledger_timeout is given twice");
    }
    const ngx_int_t milliseconds = ngx_parse_time(&words.raw(1), 0);
    if (milliseconds == NGX_ERROR || milliseconds == 0) {
        return refuse(cf, "runledger_timeout: " + quoted(words[1]) + " is not a time, such as 15s");
    }
    location.timeout = static_cast<ngx_msec_t>(milliseconds);
    if (location.timeout >= sender_patience) {
        warn(cf,
             "runledger_timeout: " + quoted(words[1]) + " is not less than the 20s after which the sender hangs up");
    }
    return NGX_CONF_OK;
}

// Makes nginx's directive setter of a function that can throw.
template <auto Read, class Conf>
char* directive(ngx_conf_t* cf, ngx_command_t* command, void* conf) noexcept {
    static_cast<void>(command);  // The directive's name is the first of its words.
    return guarded(
        cf->log, "read a directive", [&] { return Read(*cf, *static_cast<Conf*>(conf)); },
        static_cast<char*>(NGX_CONF_ERROR));
}

constexpr ngx_uint_t any_level = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

}  // namespace

ngx_command_t commands[] = {
    {ngx_string("runledger_spool"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE12, directive<read_spool, MainConf>,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_daemon"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE, directive<read_daemon, MainConf>,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_webhook"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, directive<read_webhook, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, directive<read_status, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_token"), any_level | NGX_CONF_TAKE12, directive<read_token, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("runledger_timeout"), any_level | NGX_CONF_TAKE1, directive<read_timeout, LocationConf>,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    ngx_null_command,
};

void* create_main_conf(ngx_conf_t* cf) noexcept {
    return guarded(
        cf->log, "make the http configuration",
        [cf]() -> void* {
            auto& main = make_in_pool<MainConf>(*cf->pool);
            main.cycle = cf->cycle;
            return &main;
        },
        nullptr);
}

void* create_location_conf(ngx_conf_t* cf) noexcept {
    return guarded(
        cf->log, "make a location's configuration", [cf]() -> void* { return &make_in_pool<LocationConf>(*cf->pool); },
        nullptr);
}

char* merge_location_conf(ngx_conf_t* cf, void* parent, void* child) noexcept {
    return guarded(
        cf->log, "merge a location's configuration",
        [&]() -> char* {
            const auto& outer = *static_cast<LocationConf*>(parent);
            auto& inner = *static_cast<LocationConf*>(child);
            ngx_conf_merge_msec_value(inner.timeout, outer.timeout, timeout_default);
            if (!inner.token) {
                inner.token = outer.token;
            }
            if (inner.is_webhook && !inner.token) {
                const auto& core = *static_cast<ngx_http_core_loc_conf_t*>(
                    ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
                warn(*cf, "runledger_webhook in location " + quoted(view(core.name)) +
                              " without runledger_token: anyone can post events; runledger_token off says so is meant");
            }
            return NGX_CONF_OK;
        },
        static_cast<char*>(NGX_CONF_ERROR));
}

bool check_main_conf(ngx_conf_t& cf, const MainConf& main) {
    if (main.first_webhook.empty()) {
        return true;
    }
    if (main.spool_dir.empty()) {
        static_cast<void>(refuse(cf, "runledger_webhook in " + main.first_webhook +
                                         " needs runledger_spool at http level: there is no place to store events"));
        return false;
    }
    if (main.daemon_endpoints.empty()) {
        static_cast<void>(refuse(cf, "runledger_webhook in " + main.first_webhook +
                                         " needs runledger_daemon at http level: there is nobody to send events to"));
        return false;
    }
    return true;
}

bool check_spool_folder(const MainConf& main, const ngx_log_t* log) {
    const auto& core = *reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(main.cycle->conf_ctx, ngx_core_module));
    std::optional<WorkerUser> user;
    if (core.username != nullptr && core.user != static_cast<ngx_uid_t>(NGX_CONF_UNSET_UINT)) {
        user = WorkerUser{core.username, core.user, core.group};
    }
    if (const auto fault = find_folder_fault(main.spool_dir, user)) {
        log_line(log, NGX_LOG_EMERG, "runledger_spool " + quoted(main.spool_dir) + ": " + *fault);
        return false;
    }
    return true;
}

}  // namespace runledger::edge
