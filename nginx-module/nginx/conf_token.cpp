// runledger_token: where a request's token is looked for, and the file of those that are let in.
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/conf_words.hpp"
#include "nginx-module/token/token_file.hpp"

namespace runledger::edge {

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
    auto read = read_token_file(path);
    if (const auto* fault = std::get_if<TokenFileFault>(&read)) {
        return refuse(cf, "runledger_token: " + quoted(path) + ": " + fault->sentence);
    }
    auto& file = std::get<TokenFile>(read);
    static_assert(token_bytes_weak == 16, "the sentence below says so");
    if (file.weak_line) {
        warn(cf, "runledger_token: " + quoted(path) + ": the token in line " + std::to_string(*file.weak_line) +
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
