#include "daemon/web/login.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <spdlog/spdlog.h>

#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace runledger::web {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;
using Digest = std::array<unsigned char, 32>;

// HMAC-SHA256.
Digest signed_by(std::string_view key, std::string_view text) {
    Digest digest{};
    unsigned length = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());  // OpenSSL's bytes.
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), digest.data(), &length) ==
        nullptr) {
        throw std::runtime_error("OpenSSL has no HMAC-SHA256");
    }
    return digest;
}

// In constant time, whatever their lengths: digests are compared.
bool is_same(std::string_view one, std::string_view other) {
    constexpr std::string_view any_key = "runledger page comparison";
    const Digest left = signed_by(any_key, one);
    const Digest right = signed_by(any_key, other);
    return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string hexadecimal(const Digest& digest) {
    std::string text;
    for (const unsigned char byte : digest) {
        fmt::format_to(std::back_inserter(text), "{:02x}", byte);
    }
    return text;
}

std::string session_of(std::string_view token, std::int64_t expires) {
    return fmt::format("{}.{}", expires, hexadecimal(signed_by(token, fmt::format("page session {}", expires))));
}

}  // namespace

Login::Login(Options options, std::atomic<std::uint64_t>& refused)
    : options_(std::move(options)), refused_(refused), token_(options_.token) {}

// Looked at every second, so that a rotated token counts without a restart. A file that can't be read, is open to
// others or holds too little is no change: somebody may be writing it.
Secret Login::token() {
    const std::lock_guard lock(mutex_);
    const auto now = steady_clock::now();
    if (now >= look_at_) {
        look_at_ = now + seconds{1};
        if (auto fresh = read_guarded_secret_file(options_.token_file);
            fresh && fresh->reveal().size() >= page_token_bytes_min) {
            token_ = std::move(*fresh);
        }
    }
    return token_;
}

bool Login::is_the_token(std::string_view offered) {
    const Secret known = token();
    const bool is_right = !known.is_empty() && is_same(offered, known.reveal());
    if (!is_right) {
        note_wrong();
    }
    return is_right;
}

// One line a minute, whoever knocks how often.
void Login::note_wrong() {
    ++refused_;
    const std::lock_guard lock(mutex_);
    ++unsaid_;
    if (const auto now = steady_clock::now(); now >= say_at_) {
        say_at_ = now + std::chrono::minutes{1};
        spdlog::warn("the page refused a wrong token times={}", std::exchange(unsaid_, 0));
    }
}

bool Login::lets_in(const Request& request) {
    constexpr std::string_view bearer = "Bearer ";
    if (const std::string_view header = request.header("authorization"); header.starts_with(bearer)) {
        return is_the_token(header.substr(bearer.size()));
    }
    const std::string cookie = request.cookie(cookie_name);
    std::int64_t expires = 0;
    const std::size_t dot = cookie.find('.');
    if (dot == std::string::npos ||
        std::from_chars(cookie.data(), cookie.data() + dot, expires).ptr != cookie.data() + dot) {
        return false;
    }
    const auto now = std::chrono::duration_cast<seconds>(options_.now().time_since_epoch()).count();
    return expires > now && is_same(cookie, session_of(token().reveal(), expires));
}

std::string Login::cookie(const Request& request) {
    const auto now = std::chrono::duration_cast<seconds>(options_.now().time_since_epoch()).count();
    const std::int64_t expires = now + options_.session.count();
    // A browser sends a Secure cookie only by https; the daemon itself speaks http, behind a proxy or on loopback.
    const bool is_https = request.header("x-forwarded-proto") == "https";
    return fmt::format("{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{}", cookie_name,
                       session_of(token().reveal(), expires), options_.session.count(), is_https ? "; Secure" : "");
}

std::string Login::no_cookie() { return fmt::format("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", cookie_name); }

}  // namespace runledger::web
