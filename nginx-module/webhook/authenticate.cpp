#include "nginx-module/webhook/authenticate.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "nginx-module/nginx/request.hpp"
#include "nginx-module/nginx/request_mask.hpp"
#include "nginx-module/token/token_mask.hpp"

namespace runledger::edge {

namespace {

// What is known of a request's tokens; in its pool, which its subrequests share.
class RequestTokens {
public:
    explicit RequestTokens(ngx_pool_t& pool)
        : rules_{PoolAllocator<Seen>{pool}}, presented_{PoolAllocator<Presented>{pool}} {}

    [[nodiscard]] static RequestTokens* find(const ngx_http_request_t& request) noexcept {
        return find_in_request<RequestTokens>(request, [](const RequestTokens&) { return true; });
    }

    [[nodiscard]] static RequestTokens& of(ngx_http_request_t& request) {
        auto* tokens = find(request);
        return tokens != nullptr ? *tokens : make_in_request<RequestTokens>(request, pool_of(request));
    }

    [[nodiscard]] std::optional<std::string_view> check(ngx_http_request_t& request, const TokenRule& rule) {
        const ngx_str_t value = variable_text(request, rule.variable_index);
        const std::string_view presented = view(value);
        std::optional<std::string_view> name;
        if (!presented.empty() && !(is_masked(presented) && is_masked_already(rule))) {
            name = look_up(rule, presented);
        }
        if (!name) {
            name = find_earlier(rule);
        }
        mask_token(request, rule, {value, name.has_value()});
        remember(rule, true);
        return name;
    }

    // The last one is the value without its escapes, if it has any.
    [[nodiscard]] std::optional<TokenDigest> find_presented(const TokenRule& rule) const noexcept {
        const auto last =
            std::ranges::find(presented_.rbegin(), presented_.rend(), rule.variable_index, &Presented::variable_index);
        return last != presented_.rend() ? std::optional{last->digest} : std::nullopt;
    }

    void remember(const TokenRule& rule, bool is_checked) {
        const auto known = std::ranges::find(rules_, &rule, &Seen::rule);
        if (known == rules_.end()) {
            rules_.push_back({&rule, is_checked});
        } else {
            known->is_checked |= is_checked;
        }
    }

    void check_the_unchecked(ngx_http_request_t& request) {
        // By position: check() marks the rule in this very list.
        for (std::size_t i = 0; i < rules_.size(); ++i) {
            if (!rules_[i].is_checked) {
                static_cast<void>(check(request, *rules_[i].rule));
            }
        }
    }

private:
    struct Seen {
        const TokenRule* rule;
        bool is_checked;
    };

    // What a variable has said, by its index.
    struct Presented {
        ngx_int_t variable_index;
        TokenDigest digest;
    };

    // The URL may hold the token escaped where it need not be, or not: HTTP clients differ. Both are tried.
    [[nodiscard]] std::optional<std::string_view> look_up(const TokenRule& rule, std::string_view presented) {
        auto name = look_up_exactly(rule, presented);
        if (!name && presented.find('%') != std::string_view::npos) {
            name = look_up_exactly(rule, unescape(presented));
        }
        return name;
    }

    [[nodiscard]] std::optional<std::string_view> look_up_exactly(const TokenRule& rule, std::string_view presented) {
        presented_.push_back({rule.variable_index, digest_token(presented)});
        return rule.tokens.find(presented_.back().digest);
    }

    [[nodiscard]] std::optional<std::string_view> find_earlier(const TokenRule& rule) const noexcept {
        for (const Presented& earlier : presented_) {
            if (earlier.variable_index == rule.variable_index) {
                if (const auto name = rule.tokens.find(earlier.digest)) {
                    return name;
                }
            }
        }
        return std::nullopt;
    }

    // The asterisks may be ours.
    [[nodiscard]] bool is_masked_already(const TokenRule& rule) const noexcept {
        return std::ranges::find(presented_, rule.variable_index, &Presented::variable_index) != presented_.end();
    }

    std::vector<Seen, PoolAllocator<Seen>> rules_;
    std::vector<Presented, PoolAllocator<Presented>> presented_;
};

}  // namespace

std::optional<std::string_view> authenticate(ngx_http_request_t& request, const TokenRule& rule) {
    return RequestTokens::of(request).check(request, rule);
}

std::optional<TokenDigest> find_presented(const ngx_http_request_t& request, const TokenRule& rule) noexcept {
    const auto* tokens = RequestTokens::find(request);
    return tokens != nullptr ? tokens->find_presented(rule) : std::nullopt;
}

ngx_int_t remember_token_rule(ngx_http_request_t* request) noexcept {
    const LocationConf& location = location_conf(*request);
    if (const TokenRule* rule = location.token_rule(); rule != nullptr && location.is_webhook) {
        // A failure costs the mask of a request that never reaches the check, and is in the log.
        guarded_run(log_of(*request), "remember a token's rule",
                    [&] { RequestTokens::of(*request).remember(*rule, false); });
    }
    return NGX_DECLINED;
}

ngx_int_t mask_unchecked_token(ngx_http_request_t* request) noexcept {
    const LocationConf& location = location_conf(*request);
    guarded_run(log_of(*request), "mask a token", [&] {
        auto* tokens = RequestTokens::find(*request);
        if (const TokenRule* rule = location.token_rule(); rule != nullptr && location.is_webhook) {
            tokens = &RequestTokens::of(*request);  // Refused before the rewrite phase, for its size.
            tokens->remember(*rule, false);
        }
        if (tokens != nullptr) {
            tokens->check_the_unchecked(*request);
        }
    });
    return NGX_OK;
}

}  // namespace runledger::edge
