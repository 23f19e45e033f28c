#include "nginx-module/nginx/conf.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <vector>

#include "common/limits.hpp"
#include "nginx-module/link/endpoint.hpp"
#include "nginx-module/link/keys.hpp"
#include "nginx-module/nginx/folder_access.hpp"
#include "nginx-module/spool/claim.hpp"
#include "nginx-module/spool/file_system.hpp"
#include "nginx-module/spool/folder.hpp"
#include "nginx-module/token/token_file.hpp"

namespace runledger::edge {

char* refuse(ngx_conf_t& cf, const std::string& sentence) {
    ngx_conf_log_error(NGX_LOG_EMERG, &cf, 0, "%*s", sentence.size(), sentence.data());
    return static_cast<char*>(NGX_CONF_ERROR);
}

void warn(ngx_conf_t& cf, const std::string& sentence) {
    ngx_conf_log_error(NGX_LOG_WARN, &cf, 0, "%*s", sentence.size(), sentence.data());
}

void note_cycle(const ngx_conf_t& cf, MainConf& main) {
    main.cycle = cf.cycle;
    main.courier.edge_name = view(cf.cycle->hostname);
    main.refused.edge_name = main.courier.edge_name;
}

const MainConf& current_main_conf() noexcept {
    return *static_cast<const MainConf*>(
        ngx_http_cycle_get_module_main_conf(const_cast<ngx_cycle_t*>(ngx_cycle), ngx_http_runledger_module));
}

std::string full_path(ngx_conf_t& cf, std::string_view path, RelativeTo base) {
    std::string terminated{path};
    ngx_str_t name = borrow(terminated);
    if (ngx_conf_full_name(cf.cycle, &name, base == RelativeTo::configuration ? 1 : 0) != NGX_OK) {
        throw std::bad_alloc{};
    }
    return std::string{view(name)};
}

char* read_daemon(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (!main.courier.link.endpoints.empty()) {
        return refuse(cf, "runledger_daemon is given twice; it takes several endpoints");
    }
    for (std::size_t i = 1; i < words.count(); ++i) {
        const std::string endpoint{words[i]};
        if (const auto fault = find_endpoint_fault(endpoint)) {
            return refuse(cf, "runledger_daemon: " + in_quotes(endpoint) + " is not an endpoint: " + *fault);
        }
        if (std::ranges::find(main.courier.link.endpoints, endpoint) != main.courier.link.endpoints.end()) {
            return refuse(cf, "runledger_daemon: " + in_quotes(endpoint) + " is given twice");
        }
        main.courier.link.endpoints.push_back(endpoint);
    }
    return NGX_CONF_OK;
}

char* read_curve(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (main.courier.link.curve) {
        return refuse(cf, "runledger_curve is given twice");
    }
    CurveFiles files;
    for (std::size_t i = 1; i < words.count(); ++i) {
        const std::string_view word = words[i];
        const std::size_t equals = word.find('=');
        const std::string_view name = word.substr(0, equals);
        std::string* path = name == "secret_key"   ? &files.secret_key
                            : name == "server_key" ? &files.server_keys
                                                   : nullptr;
        if (path == nullptr || equals == std::string_view::npos || equals + 1 == word.size()) {
            return refuse(
                cf, "runledger_curve: " + in_quotes(word) + " is neither secret_key=<file> nor server_key=<file>");
        }
        if (!path->empty()) {
            return refuse(cf, "runledger_curve: " + std::string{name} + " is given twice");
        }
        *path = full_path(cf, word.substr(equals + 1), RelativeTo::configuration);
    }
    auto keys = read_curve_keys(files);
    if (const auto* fault = std::get_if<CurveFault>(&keys)) {
        return refuse(cf, "runledger_curve: " + fault->sentence);
    }
    main.courier.link.curve = std::make_shared<const CurveKeys>(std::get<CurveKeys>(std::move(keys)));
    return NGX_CONF_OK;
}

namespace {

// A worker writes one segment and has the next one made; while a reload lasts there are old and new workers.
constexpr std::size_t spool_bytes_min = 4 * segment_bytes;

// Each returns nothing where the parameter's value is good, else what is wrong with it.
using Fault = std::optional<std::string>;

[[nodiscard]] Fault read_max_size(SpoolSettings& spool, std::string_view value) {
    ngx_str_t text = borrow(value);
    const off_t size = ngx_parse_offset(&text);
    if (text.len == 0 || size == static_cast<off_t>(NGX_ERROR)) {
        return "is not a size, such as max_size=1g";
    }
    if (static_cast<std::size_t>(size) < spool_bytes_min) {
        return "is less than four segments, 64m";
    }
    spool.bytes_max = static_cast<std::size_t>(size);
    return std::nullopt;
}

[[nodiscard]] Fault read_keep_acked(SpoolSettings& spool, std::string_view value) {
    ngx_str_t text = borrow(value);
    const ngx_int_t seconds = ngx_parse_time(&text, 1);
    if (text.len == 0 || seconds == NGX_ERROR) {
        return "is not a time, such as keep_acked=2h";
    }
    spool.keep_acked = std::chrono::seconds{seconds};
    return std::nullopt;
}

[[nodiscard]] Fault read_host(SpoolSettings& spool, std::string_view value) {
    if (value.empty() || value.size() > 255) {
        return "is not a host's name, of 1 to 255 bytes";
    }
    spool.host = SpoolHost::from_name(value);
    return std::nullopt;
}

struct Parameter {
    std::string_view key;  // With its "=".
    Fault (*read)(SpoolSettings& spool, std::string_view value);
};

constexpr Parameter parameters[] = {
    {"max_size=", read_max_size}, {"keep_acked=", read_keep_acked}, {"host=", read_host}};

// Why the folder may not be this host's; nothing if nobody has claimed it yet. Writes nothing.
[[nodiscard]] Fault find_claim_fault(const MainConf& main) {
    PosixFiles files;
    try {
        const auto identity = read_spool_identity(files, main.courier.spool.folder);
        return identity ? find_spool_identity_fault(*identity, *main.courier.spool.host, main.courier.spool.folder)
                        : std::nullopt;
    } catch (const std::system_error& e) {
        return "its file \"identity\", which says whose it is, can't be read: " + std::string{e.what()};
    }
}

}  // namespace

char* read_spool(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (!main.courier.spool.folder.empty()) {
        return refuse(cf, "runledger_spool is given twice; all locations share one spool");
    }
    if (words[1].empty()) {
        return refuse(cf, R"(runledger_spool "" is not a folder)");
    }
    for (std::size_t i = 1; i < words.count(); ++i) {
        if (words[i].find('$') != std::string_view::npos) {
            return refuse(cf,
                          "runledger_spool: " + in_quotes(words[i]) + " holds a variable, which is not expanded here");
        }
    }
    main.courier.spool.folder = full_path(cf, words[1], RelativeTo::prefix);
    std::vector<std::string_view> seen;
    for (std::size_t i = 2; i < words.count(); ++i) {
        const auto* parameter =
            std::ranges::find_if(parameters, [&](const Parameter& known) { return words[i].starts_with(known.key); });
        if (parameter == std::ranges::end(parameters)) {
            return refuse(cf, "runledger_spool: " + in_quotes(words[i]) +
                                  " is not a parameter; max_size=<size>, keep_acked=<time> and host=<name> are");
        }
        if (std::ranges::find(seen, parameter->key) != seen.end()) {
            return refuse(cf, "runledger_spool: " + in_quotes(words[i]) + " is given a second time");
        }
        seen.push_back(parameter->key);
        if (const auto fault = parameter->read(main.courier.spool, words[i].substr(parameter->key.size()))) {
            return refuse(cf, "runledger_spool: " + in_quotes(words[i]) + " " + *fault);
        }
    }
    if (!main.courier.spool.host) {
        main.courier.spool.host = this_host();
    }
    return NGX_CONF_OK;
}

std::optional<WorkerUser> worker_user(const MainConf& main) {
    const auto& core = *reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(main.cycle->conf_ctx, ngx_core_module));
    if (core.username == nullptr || core.user == static_cast<ngx_uid_t>(NGX_CONF_UNSET_UINT)) {
        return std::nullopt;
    }
    return WorkerUser{core.username, core.user, core.group};
}

bool check_spool_folder(const MainConf& main, const ngx_log_t* log) {
    const auto say = [&](ngx_uint_t level, const std::string& sentence) {
        log_line(log, level, "runledger_spool " + in_quotes(main.courier.spool.folder) + ": " + sentence);
    };
    if (const auto fault = find_folder_fault(main.courier.spool.folder, worker_user(main))) {
        say(NGX_LOG_EMERG, *fault);
        return false;
    }
    if (const auto finding = find_file_system_fault(main.courier.spool.folder)) {
        say(finding->is_refused ? NGX_LOG_EMERG : NGX_LOG_WARN, finding->sentence);
        if (finding->is_refused) {
            return false;
        }
    }
    if (const auto fault = find_claim_fault(main)) {
        say(NGX_LOG_EMERG, *fault);
        return false;
    }
    return true;
}

void warn_of_crowded_spool(const ngx_cycle_t& cycle, const MainConf& main) {
    // docs/spool-format.md: each worker writes one segment and has the next one made.
    constexpr std::size_t segments_per_worker = 2;
    const auto& core = *reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(cycle.conf_ctx, ngx_core_module));
    const std::size_t workers = core.master != 0 ? static_cast<std::size_t>(core.worker_processes) : 1;
    const std::size_t each = segments_per_worker * usual_segment_bytes(main.courier.spool.bytes_max);
    if (workers * each <= main.courier.spool.bytes_max) {
        return;
    }
    log_line(cycle.log, NGX_LOG_WARN,
             "runledger_spool " + in_quotes(main.courier.spool.folder) + ": " + std::to_string(workers) +
                 " workers reserve up to " + std::to_string(workers * each) + " bytes, more than max_size, " +
                 std::to_string(main.courier.spool.bytes_max) +
                 ": a busy worker may find no room and answer 503; raise max_size or lower worker_processes");
}

namespace {

struct NamedSource {
    TokenSource source{};
    std::string_view name;
};

// $arg_token is the argument "token".
[[nodiscard]] NamedSource source_of(std::string_view variable) {
    constexpr NamedSource prefixes[] = {
        {TokenSource::argument, "arg_"}, {TokenSource::header, "http_"}, {TokenSource::cookie, "cookie_"}};
    for (const auto& [source, prefix] : prefixes) {
        if (variable.starts_with(prefix) && variable.size() > prefix.size()) {
            return {source, variable.substr(prefix.size())};
        }
    }
    return {TokenSource::other, {}};
}

}  // namespace

char* read_token(ngx_conf_t& cf, LocationConf& location) {
    const Words words{cf};
    if (location.token) {
        return refuse(cf, "runledger_token is given twice");
    }
    if (words.count() == 2) {
        if (words[1] != "off") {
            return refuse(cf, "runledger_token: " + in_quotes(words[1]) + " needs file=<path> after it, or be off");
        }
        location.token.emplace(std::nullopt);
        return NGX_CONF_OK;
    }
    // A second variable in the word would become part of the first one's name, and $arg_… takes any name.
    if (words[1].size() < 2 || words[1].front() != '$' || words[1].find('$', 1) != std::string_view::npos) {
        return refuse(cf, "runledger_token: " + in_quotes(words[1]) + " is not a variable, such as $arg_token");
    }
    constexpr std::string_view key = "file=";
    if (!words[2].starts_with(key) || words[2].size() == key.size()) {
        return refuse(cf, "runledger_token: " + in_quotes(words[2]) + " is not file=<path>");
    }
    ngx_str_t name = borrow(words[1].substr(1));
    const ngx_int_t index = ngx_http_get_variable_index(&cf, &name);
    if (index == NGX_ERROR) {
        return static_cast<char*>(NGX_CONF_ERROR);
    }
    const std::string path = full_path(cf, words[2].substr(key.size()), RelativeTo::configuration);
    auto read = read_token_file(path);
    if (const auto* fault = std::get_if<TokenFileFault>(&read)) {
        return refuse(cf, "runledger_token: " + in_quotes(path) + ": " + fault->sentence);
    }
    auto& file = std::get<TokenFile>(read);
    static_assert(token_bytes_weak == 16, "the sentence below says so");
    if (file.weak_line) {
        warn(cf, "runledger_token: " + in_quotes(path) + ": the token in line " + std::to_string(*file.weak_line) +
                     " has fewer than 16 characters and can be guessed");
    }
    auto& names =
        static_cast<MainConf*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_runledger_module))->token_names;
    names.insert(names.end(), file.tokens.names().begin(), file.tokens.names().end());
    const auto [source, source_name] = source_of(words[1].substr(1));
    location.token.emplace(TokenRule{index, source, std::string{source_name}, std::move(file.tokens)});
    return NGX_CONF_OK;
}

}  // namespace runledger::edge
