// Does a request carry one of a location's tokens? Asked once; from then on the token is masked in the request.
//
// The verdict outlives the token's bytes: what was presented is kept with the request as a digest, so that an
// error_page or a subrequest that leads to another webhook location can ask again. Event-loop thread only.
#pragma once

#include <optional>
#include <string_view>

#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/ngx.hpp"

namespace runledger::edge {

// The name of the token that the request carries, if it is one of the rule's. Masks what was presented, right or
// wrong (request_mask.hpp). The name lives as long as the rule. Throws std::bad_alloc, and std::runtime_error if
// OpenSSL can't digest.
[[nodiscard]] std::optional<std::string_view> authenticate(ngx_http_request_t& request, const TokenRule& rule);

// The digest of what the request presented to a rule of this variable; nothing if that was nothing. To be asked after
// authenticate().
[[nodiscard]] std::optional<TokenDigest> find_presented(const ngx_http_request_t& request,
                                                        const TokenRule& rule) noexcept;

// The rewrite phase's handler: remembers that the request came by a location that asks for a token, since an
// error_page may have led it elsewhere by the time it is logged. Changes nothing that other phases see.
ngx_int_t remember_token_rule(ngx_http_request_t* request) noexcept;

// The log phase's handler, which runs before nginx's own: masks the token of a request that was refused before
// anybody checked it, by limit_req, deny, auth_request and the like.
ngx_int_t mask_unchecked_token(ngx_http_request_t* request) noexcept;

}  // namespace runledger::edge
