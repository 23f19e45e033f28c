#include "nginx-module/nginx/conf_words.hpp"

#include <new>

namespace runledger::edge {

char* refuse(ngx_conf_t& cf, const std::string& sentence) {
    ngx_conf_log_error(NGX_LOG_EMERG, &cf, 0, "%*s", sentence.size(), sentence.data());
    return static_cast<char*>(NGX_CONF_ERROR);
}

void warn(ngx_conf_t& cf, const std::string& sentence) {
    ngx_conf_log_error(NGX_LOG_WARN, &cf, 0, "%*s", sentence.size(), sentence.data());
}

std::string full_path(ngx_conf_t& cf, std::string_view path, RelativeTo base) {
    std::string terminated{path};
    ngx_str_t name = borrow(terminated);
    if (ngx_conf_full_name(cf.cycle, &name, base == RelativeTo::configuration ? 1 : 0) != NGX_OK) {
        throw std::bad_alloc{};
    }
    return std::string{view(name)};
}

}  // namespace runledger::edge
