// What every directive's reader needs: its words, and the ways to refuse a value or to warn of one.
//
// Used while nginx reads its configuration, in the master. A sentence names the directive and the value; nginx adds
// the file and the line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// Returns what a directive's reader returns when it has failed.
[[nodiscard]] char* refuse(ngx_conf_t& cf, const std::string& sentence);
void warn(ngx_conf_t& cf, const std::string& sentence);

[[nodiscard]] inline std::string quoted(std::string_view text) { return "\"" + std::string{text} + "\""; }

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
