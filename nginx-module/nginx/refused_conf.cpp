// runledger_refused: where refused bodies are kept for a second try, and how many.
#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/folder_access.hpp"

namespace runledger::edge {

namespace {

constexpr std::uint64_t bytes_min = 1024UL * 1024;
constexpr std::uint64_t bodies_limit = 1'000'000;

// Each returns nothing where the parameter's value is good, else what is wrong with it.
using Fault = std::optional<std::string>;

[[nodiscard]] Fault read_max_size(RefusedSettings& refused, std::string_view value) {
    ngx_str_t text = borrow(value);
    const off_t size = ngx_parse_offset(&text);
    if (text.len == 0 || size == static_cast<off_t>(NGX_ERROR)) {
        return "is not a size, such as max_size=64m";
    }
    if (std::cmp_less(size, bytes_min)) {
        return "is less than 1m";
    }
    refused.bytes_max = static_cast<std::uint64_t>(size);
    return std::nullopt;
}

[[nodiscard]] Fault read_max_age(RefusedSettings& refused, std::string_view value) {
    ngx_str_t text = borrow(value);
    const ngx_int_t seconds = ngx_parse_time(&text, 1);
    if (text.len == 0 || seconds == NGX_ERROR || seconds == 0) {
        return "is not a time, such as max_age=7d";
    }
    refused.age_max = std::chrono::seconds{seconds};
    return std::nullopt;
}

[[nodiscard]] Fault read_max_count(RefusedSettings& refused, std::string_view value) {
    const ngx_str_t text = borrow(value);
    const ngx_int_t count = ngx_atoi(text.data, text.len);
    if (count == NGX_ERROR || count == 0 || std::cmp_greater(count, bodies_limit)) {
        return "is not a number of bodies, from 1 to 1000000";
    }
    refused.bodies_max = static_cast<std::uint64_t>(count);
    return std::nullopt;
}

struct Parameter {
    std::string_view key;  // With its "=".
    Fault (*read)(RefusedSettings& refused, std::string_view value);
};

constexpr std::array parameters{Parameter{"max_size=", read_max_size}, Parameter{"max_age=", read_max_age},
                                Parameter{"max_count=", read_max_count}};

}  // namespace

char* read_refused(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (!main.refused.folder.empty()) {
        return refuse(cf, "runledger_refused is given twice; all locations share one folder");
    }
    if (words[1].empty()) {
        return refuse(cf, R"(runledger_refused "" is not a folder)");
    }
    for (std::size_t i = 1; i < words.count(); ++i) {
        if (words[i].find('$') != std::string_view::npos) {
            return refuse(
                cf, "runledger_refused: " + in_quotes(words[i]) + " holds a variable, which is not expanded here");
        }
    }
    std::vector<std::string_view> seen;
    for (std::size_t i = 2; i < words.count(); ++i) {
        const auto* parameter =
            std::ranges::find_if(parameters, [&](const Parameter& known) { return words[i].starts_with(known.key); });
        if (parameter == parameters.end()) {
            return refuse(cf, "runledger_refused: " + in_quotes(words[i]) +
                                  " is not a parameter; max_size=<size>, max_age=<time> and max_count=<number> are");
        }
        if (std::ranges::find(seen, parameter->key) != seen.end()) {
            return refuse(cf, "runledger_refused: " + in_quotes(words[i]) + " is given a second time");
        }
        seen.push_back(parameter->key);
        if (const auto fault = parameter->read(main.refused, words[i].substr(parameter->key.size()))) {
            return refuse(cf, "runledger_refused: " + in_quotes(words[i]) + " " + *fault);
        }
    }
    main.refused.folder = full_path(cf, words[1], RelativeTo::prefix);
    return NGX_CONF_OK;
}

bool check_refused_folder(const MainConf& main, const ngx_log_t* log) {
    const auto say = [&](const std::string& sentence) {
        log_line(log, NGX_LOG_EMERG, "runledger_refused " + in_quotes(main.refused.folder) + ": " + sentence);
        return false;
    };
    if (const auto fault = find_folder_fault(main.refused.folder, worker_user(main))) {
        return say(*fault);
    }
    std::error_code code;
    if (std::filesystem::equivalent(main.refused.folder, main.courier.spool.folder, code) && !code) {
        return say("it is the folder of runledger_spool, too; refused bodies need a folder of their own");
    }
    return true;
}

}  // namespace runledger::edge
