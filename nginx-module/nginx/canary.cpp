#include "nginx-module/nginx/canary.hpp"

#include <dlfcn.h>

#include <charconv>
#include <cstddef>
#include <memory>
#include <string_view>

#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/event_loop.hpp"
#include "nginx-module/nginx/layout.hpp"
#include "nginx-module/nginx/peek.hpp"

namespace runledger::edge::canary {

namespace {

// Of this process, and of those that it forks: the module and nginx are the same in all of them.
struct Verdicts {
    std::optional<std::string> configuration_fault;
    std::optional<std::string> fault;
    bool is_proven{false};            // By a request.
    bool is_proven_with_body{false};  // By one with a length, before its body was touched.
};
Verdicts verdicts;

[[nodiscard]] std::uint64_t address_of(const void* pointer) noexcept {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

void report(const std::string& sentence) {
    verdicts.fault = sentence;
    log_line(current_log(), NGX_LOG_EMERG,
             "nginx's structures are not those that the module was built with: " + sentence +
                 "; every webhook is answered 503 until nginx is restarted with a module that was built for it");
}

// What a directive of nginx's own says of the place of a member: nginx sets it there.
struct DirectivePlace {
    const ngx_module_t& module;
    ngx_uint_t conf;
    std::string_view directive;
    std::string_view structure;
    std::string_view member;
    std::size_t offset;
};

void add_directive(LayoutFacts& facts, const DirectivePlace& place) {
    for (const ngx_command_t* command = place.module.commands; command != nullptr && command->name.len > 0; ++command) {
        if (view(command->name) == place.directive && command->conf == place.conf) {
            facts.push_back({LayoutFact::Kind::offset, place.structure, place.member, place.offset, command->offset});
            return;
        }
    }
}

void add_directives(LayoutFacts& facts) {
    const DirectivePlace places[] = {
        {ngx_core_module, 0, "master_process", "ngx_core_conf_t", "master", offsetof(ngx_core_conf_t, master)},
        {ngx_core_module, 0, "debug_points", "ngx_core_conf_t", "debug_points",
         offsetof(ngx_core_conf_t, debug_points)},
        {ngx_core_module, 0, "working_directory", "ngx_core_conf_t", "working_directory",
         offsetof(ngx_core_conf_t, working_directory)},
        {ngx_http_core_module, NGX_HTTP_MAIN_CONF_OFFSET, "server_names_hash_max_size", "ngx_http_core_main_conf_t",
         "server_names_hash_max_size", offsetof(ngx_http_core_main_conf_t, server_names_hash_max_size)},
        {ngx_http_core_module, NGX_HTTP_MAIN_CONF_OFFSET, "variables_hash_bucket_size", "ngx_http_core_main_conf_t",
         "variables_hash_bucket_size", offsetof(ngx_http_core_main_conf_t, variables_hash_bucket_size)},
        {ngx_http_core_module, NGX_HTTP_LOC_CONF_OFFSET, "default_type", "ngx_http_core_loc_conf_t", "default_type",
         offsetof(ngx_http_core_loc_conf_t, default_type)},
        {ngx_http_core_module, NGX_HTTP_LOC_CONF_OFFSET, "client_max_body_size", "ngx_http_core_loc_conf_t",
         "client_max_body_size", offsetof(ngx_http_core_loc_conf_t, client_max_body_size)},
        {ngx_http_core_module, NGX_HTTP_LOC_CONF_OFFSET, "recursive_error_pages", "ngx_http_core_loc_conf_t",
         "recursive_error_pages", offsetof(ngx_http_core_loc_conf_t, recursive_error_pages)},
        {ngx_http_core_module, NGX_HTTP_LOC_CONF_OFFSET, "client_body_temp_path", "ngx_http_core_loc_conf_t",
         "client_body_temp_path", offsetof(ngx_http_core_loc_conf_t, client_body_temp_path)},
        {ngx_http_core_module, NGX_HTTP_LOC_CONF_OFFSET, "types_hash_max_size", "ngx_http_core_loc_conf_t",
         "types_hash_max_size", offsetof(ngx_http_core_loc_conf_t, types_hash_max_size)},
    };
    for (const DirectivePlace& place : places) {
        add_directive(facts, place);
    }
}

// What nginx's table of known headers says of the place of each.
template <class Header>
[[nodiscard]] std::optional<std::size_t> find_header_offset(const Header* table, std::string_view wanted) {
    constexpr std::size_t headers_max = 128;
    char name[64];
    for (std::size_t i = 0; i < headers_max; ++i) {
        const auto header = peek(table + i);
        if (!header || header->name.len == 0) {
            break;
        }
        if (header->name.len == wanted.size() && wanted.size() <= sizeof name &&
            copy_if_readable(name, header->name.data, wanted.size()) &&
            std::string_view{name, wanted.size()} == wanted) {
            return header->offset;
        }
    }
    return std::nullopt;
}

struct HeaderPlace {
    std::string_view header;
    std::string_view member;
    std::size_t offset;
};

template <class Header>
void add_headers(LayoutFacts& facts, const Header* table, std::string_view structure,
                 std::span<const HeaderPlace> places) {
    for (const HeaderPlace& place : places) {
        if (const auto offset = find_header_offset(table, place.header)) {
            facts.push_back({LayoutFact::Kind::offset, structure, place.member, place.offset, *offset});
        }
    }
}

void add_headers(LayoutFacts& facts) {
    constexpr HeaderPlace in[] = {
        {"Host", "host", offsetof(ngx_http_headers_in_t, host)},
        {"Content-Length", "content_length", offsetof(ngx_http_headers_in_t, content_length)},
        {"Content-Type", "content_type", offsetof(ngx_http_headers_in_t, content_type)},
        {"Transfer-Encoding", "transfer_encoding", offsetof(ngx_http_headers_in_t, transfer_encoding)},
        {"Expect", "expect", offsetof(ngx_http_headers_in_t, expect)},
        {"Authorization", "authorization", offsetof(ngx_http_headers_in_t, authorization)},
        {"Keep-Alive", "keep_alive", offsetof(ngx_http_headers_in_t, keep_alive)},
    };
    constexpr HeaderPlace out[] = {
        {"Server", "server", offsetof(ngx_http_headers_out_t, server)},
        {"Content-Length", "content_length", offsetof(ngx_http_headers_out_t, content_length)},
        {"ETag", "etag", offsetof(ngx_http_headers_out_t, etag)},
    };
    add_headers(facts, ngx_http_headers_in, "ngx_http_headers_in_t", in);
    add_headers(facts, ngx_http_headers_out, "ngx_http_headers_out_t", out);
}

// nginx's own variables that a configuration may set say where in a request they lie.
void add_variable(LayoutFacts& facts, ngx_conf_t& cf, std::string_view name, std::size_t offset) {
    ngx_str_t text = borrow(name);
    // One that exists is given back as it is.
    const ngx_http_variable_t* variable =
        ngx_http_add_variable(&cf, &text, NGX_HTTP_VAR_CHANGEABLE | NGX_HTTP_VAR_WEAK);
    if (variable == nullptr) {
        throw std::bad_alloc{};
    }
    facts.push_back({LayoutFact::Kind::offset, "ngx_http_request_t", name, offset, variable->data});
}

[[nodiscard]] LayoutFact value(std::string_view structure, std::string_view member, std::uint64_t ours,
                               std::uint64_t nginxs) {
    return {LayoutFact::Kind::value, structure, member, ours, nginxs};
}

[[nodiscard]] std::optional<std::string> find_configuration_fault(const ngx_conf_t& cf) {
    // In main context still: nginx calls this when it has read "http {".
    LayoutFacts facts{value("ngx_conf_t", "module_type", cf.module_type, NGX_CORE_MODULE),
                      value("ngx_conf_t", "cmd_type", cf.cmd_type, NGX_MAIN_CONF)};
    const auto cycle = peek(cf.cycle);
    facts.push_back(value("ngx_conf_t", "cycle", cycle ? 1 : 0, 1));
    if (cycle) {
        facts.push_back(value("ngx_cycle_t", "pool", address_of(cycle->pool), address_of(cf.pool)));
        facts.push_back(value("ngx_cycle_t", "log", address_of(cycle->log), address_of(cf.log)));
    }
    if (auto difference = find_difference(facts)) {
        return difference;
    }

    // From here on nginx's functions can be called with what lies in these two.
    std::string name{"x"};
    ngx_str_t path = borrow(name);
    if (ngx_conf_full_name(cf.cycle, &path, 0) != NGX_OK) {
        throw std::bad_alloc{};
    }
    facts.push_back(value("ngx_cycle_t", "prefix", cycle->prefix.len, path.len - name.size()));
    const ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(cf.pool, 0);
    const auto pool = peek(cf.pool);
    facts.push_back(value("ngx_pool_t", "cleanup", pool ? address_of(pool->cleanup) : 0, address_of(cleanup)));
    add_directives(facts);
    return find_difference(facts);
}

// Digits, as nginx writes them into a variable.
[[nodiscard]] std::optional<std::uint64_t> to_number(const ngx_http_variable_value_t* said) noexcept {
    if (said == nullptr || said->not_found != 0 || said->valid == 0) {
        return std::nullopt;
    }
    // NOLINTNEXTLINE: nginx's characters are unsigned, ours are not; the bytes are the same.
    const char* begin = reinterpret_cast<const char*>(said->data);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(begin, begin + said->len, number);
    return error == std::errc{} && end == begin + said->len ? std::optional{number} : std::nullopt;
}

[[nodiscard]] NginxsAnswers ask_nginx(ngx_http_request_t& request) {
    NginxsAnswers answers;
    if (const auto index = current_main_conf().connection_index) {
        const ngx_http_variable_value_t* number = ngx_http_get_indexed_variable(&request, *index);
        answers.connection_number = to_number(number);
        answers.variable = number;
        answers.variable_index = *index;
    }
    // Not by NGX_STAT_STUB, which tells how the headers were configured, and not nginx.
    answers.counts_requests = ::dlsym(RTLD_DEFAULT, "ngx_stat_writing") != nullptr;
    std::string name{"request_length"};
    ngx_str_t text = borrow(name);
    ngx_http_variable_value_t* length = ngx_http_get_variable(&request, &text, ngx_hash_key(text.data, text.len));
    answers.request_length = to_number(length);
    if (length != nullptr) {
        // It still grows: whoever asks later, such as the access log, must not get this moment's.
        length->valid = 0;
        length->not_found = 0;
    }
    return answers;
}

// Nothing where the request, or what must be there behind it, can't be read.
[[nodiscard]] std::unique_ptr<RequestCopies> copy_request(const ngx_http_request_t& request) {
    auto copies = std::make_unique<RequestCopies>();
    if (!copy_if_readable(&copies->request, &request, sizeof request) ||
        !copy_if_readable(&copies->main, copies->request.main, sizeof request) ||
        !copy_if_readable(&copies->connection, copies->request.connection, sizeof copies->connection)) {
        return nullptr;
    }
    const ngx_http_request_t& main = copies->main;
    // What can't be read stays zero, and is then not what it must be.
    static_cast<void>(
        copy_if_readable(&copies->http_connection, main.http_connection, sizeof copies->http_connection) &&
        copy_if_readable(&copies->conf_ctx, copies->http_connection.conf_ctx, sizeof copies->conf_ctx));
#if (NGX_HTTP_V2)
    if (main.stream != nullptr) {
        if (const auto stream = peek(main.stream)) {
            copies->stream_request = stream->request;
        }
    }
#endif
    return copies;
}

[[nodiscard]] bool look_at(ngx_http_request_t& request, RequestMoment moment) {
    const auto copies = copy_request(request);
    if (copies == nullptr) {
        report("ngx_http_request_t leads to memory that can't be read");
        return false;
    }
    if (auto difference = find_difference(request_facts(*copies, &request, ask_nginx(request), moment))) {
        report(*difference);
        return false;
    }
    // A subrequest, and a request whose first line nginx has not understood, don't show everything.
    const bool is_main = copies->request.main == &request && copies->request.unparsed_uri.len > 0;
    verdicts.is_proven |= is_main;
    verdicts.is_proven_with_body |=
        is_main && moment == RequestMoment::body_untouched && shows_body_bits(copies->request);
    return true;
}

}  // namespace

void look_at_configuration(ngx_conf_t& cf) noexcept {
    guarded_run(current_log(), "compare the configuration's structures",
                [&] { verdicts.configuration_fault = find_configuration_fault(cf); });
}

const std::optional<std::string>& configuration_fault() noexcept { return verdicts.configuration_fault; }

void look_at_requests(ngx_conf_t& cf) noexcept {
    guarded_run(current_log(), "compare a request's structures", [&] {
        verdicts.fault.reset();
        LayoutFacts facts;
        add_headers(facts);
        add_variable(facts, cf, "args", offsetof(ngx_http_request_t, args));
        add_variable(facts, cf, "limit_rate", offsetof(ngx_http_request_t, limit_rate));
        if (auto difference = find_difference(facts)) {
            report(*difference);
        }
    });
}

std::optional<std::string> find_phase_fault(const ngx_conf_t& cf) {
    LayoutFacts facts;
    const auto copy =
        peek(static_cast<ngx_http_core_main_conf_t*>(ngx_http_conf_get_module_main_conf((&cf), ngx_http_core_module)));
    for (const ngx_uint_t phase : {NGX_HTTP_POST_READ_PHASE, NGX_HTTP_LOG_PHASE}) {
        const ngx_array_t handlers = copy ? copy->phases[phase].handlers : ngx_array_t{};
        facts.push_back(value("ngx_http_core_main_conf_t", "phases", handlers.size, sizeof(ngx_http_handler_pt)));
        facts.push_back(value("ngx_http_core_main_conf_t", "phases", address_of(handlers.pool), address_of(cf.pool)));
    }
    return find_difference(facts);
}

void watch_requests(ngx_conf_t& cf, MainConf& main) {
    ngx_str_t name = ngx_string("connection");
    const ngx_int_t index = ngx_http_get_variable_index(&cf, &name);
    if (index == NGX_ERROR) {
        throw std::bad_alloc{};
    }
    main.connection_index = static_cast<ngx_uint_t>(index);
}

std::optional<std::string> find_zone_fault(const ngx_shm_zone_t& zone, std::size_t bytes) {
    return find_difference(
        LayoutFacts{value("ngx_shm_zone_t", "shm", zone.shm.size, bytes),
                    value("ngx_shm_zone_t", "tag", address_of(zone.tag), address_of(&ngx_http_runledger_module))});
}

bool has_known_events(const ngx_cycle_t& cycle) noexcept {
    return guarded(
        current_log(), "compare the events' structures",
        [&] {
            if (cycle.connection_n < 2) {
                return true;  // Nothing to compare with.
            }
            const auto second = peek(cycle.connections + 1);
            auto difference = second ? find_difference(event_facts(*second, cycle.read_events, cycle.write_events))
                                     : std::optional<std::string>{"ngx_connection_t can't be read"};
            if (difference) {
                report(*difference);
            }
            return !difference;
        },
        false);
}

bool knows(ngx_http_request_t& request, RequestMoment moment) noexcept {
    if (verdicts.is_proven_with_body) {
        return true;
    }
    if (verdicts.fault) {
        return false;
    }
    if (verdicts.is_proven && !(moment == RequestMoment::body_untouched && shows_body_bits(request))) {
        return true;
    }
    return guarded(
        current_log(), "compare a request", [&] { return look_at(request, moment); }, false);
}

const std::optional<std::string>& fault() noexcept { return verdicts.fault; }

}  // namespace runledger::edge::canary
