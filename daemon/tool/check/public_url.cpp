#include "daemon/tool/check/public_url.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/event.hpp"
#include "common/limits.hpp"
#include "common/probe.hpp"
#include "daemon/base/secret.hpp"
#include "daemon/net/url.hpp"
#include "daemon/tool/check/probe.hpp"
#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view subject_url = "url";
constexpr std::string_view subject_connection = "connection";
constexpr std::string_view subject_addresses = "addresses";
constexpr std::string_view subject_path = "path";
constexpr std::string_view subject_token = "token";
constexpr std::string_view subject_post = "POST";
constexpr std::string_view subject_get = "GET";
constexpr std::string_view subject_size = "size";
constexpr std::string_view subject_time = "time";

constexpr std::string_view placeholder = "{token}";
constexpr std::string_view argument = "token";
constexpr std::string_view mask = "********";
constexpr std::string_view wrong_token = "runledger-check-wrong-token";
constexpr std::size_t small_bytes = 200;  // As an event without outputs: docs/sender.md, "Body".
constexpr std::size_t large_bytes = 1024UL * 1024;

constexpr std::string_view token_refused = "token_refused";
constexpr std::string_view whole_body = "run_id_too_long";  // See make_probe_body().
constexpr std::string_view body_empty = "body_empty";
constexpr std::string_view method_not_allowed = "method_not_allowed";

struct Token {
    std::string name;  // Of the file; empty: it has none.
    Secret secret;
};

// nginx's token file ("name token" on each line) or a file with one token.
Token read_token(const std::filesystem::path& path, const std::string& wanted) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string first;
        std::string second;
        words >> first >> second;
        if (first.empty() || first.starts_with('#')) {
            continue;
        }
        const std::string name = second.empty() ? "" : first;
        if (wanted.empty() || name == wanted) {
            return {.name = name, .secret = Secret(second.empty() ? first : second)};
        }
    }
    throw std::runtime_error(fmt::format(
        "{}: {}", path.string(),
        file.eof() ? wanted.empty() ? "no token is in it" : fmt::format("no token of the name {} is in it", wanted)
                   : "it can't be read"));
}

// The URL without a token, and how it looks with one.
class Target {
public:
    explicit Target(std::string url) : url_(std::move(url)) {
        const auto parts = parse_url(replaced("x"));
        if (!parts || (parts->scheme != "https" && parts->scheme != "http")) {
            throw Misused("--public-url is no URL, such as https://hooks.example.com/api/webhook/comfydeploy");
        }
        parts_ = *parts;
        if (url_.find(placeholder) != std::string::npos) {
            return;
        }
        if (const auto value = find_argument(parts_.query, argument)) {
            pasted_ = Secret(unescaped(*value));
            std::string rest;
            std::istringstream arguments(parts_.query);
            for (std::string each; std::getline(arguments, each, '&');) {
                if (each.substr(0, each.find('=')) != argument) {
                    rest += (rest.empty() ? "" : "&") + each;
                }
            }
            parts_.query = rest;
        }
        url_ = with_query(url_, parts_.query).value_or(url_);
    }

    [[nodiscard]] const UrlParts& parts() const noexcept { return parts_; }
    // The token that stood in the URL; empty: none.
    [[nodiscard]] const Secret& pasted() const noexcept { return pasted_; }

    // Without a token: nothing stands in its place.
    [[nodiscard]] std::string with(std::optional<std::string_view> token) const {
        if (url_.find(placeholder) != std::string::npos) {
            return replaced(escaped(token.value_or(wrong_token)));  // Without it the path would be another one.
        }
        if (!token) {
            return url_;
        }
        const std::string query = parts_.query + (parts_.query.empty() ? "" : "&");
        return with_query(url_, fmt::format("{}{}={}", query, argument, escaped(*token))).value_or(url_);
    }

private:
    [[nodiscard]] std::string replaced(const std::string& text) const {
        std::string url = url_;
        for (std::size_t at = url.find(placeholder); at != std::string::npos; at = url.find(placeholder, at)) {
            url.replace(at, placeholder.size(), text);
        }
        return url;
    }

    std::string url_;
    UrlParts parts_;
    Secret pasted_;
};

// Whether the kernel knows a way there. Nothing is sent.
bool has_route(const addrinfo& address) {
    const int probe = socket(address.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return false;
    }
    sockaddr_storage place{};
    std::memcpy(&place, address.ai_addr, address.ai_addrlen);
    constexpr in_port_t any_port = 9;
    if (address.ai_family == AF_INET6) {
        reinterpret_cast<sockaddr_in6&>(place).sin6_port = htons(any_port);  // The C interface of sockets.
    } else {
        reinterpret_cast<sockaddr_in&>(place).sin_port = htons(any_port);
    }
    const bool is_there = connect(probe, reinterpret_cast<const sockaddr*>(&place), address.ai_addrlen) == 0;
    ::close(probe);
    return is_there;
}

// What the module says of a body that has arrived as it was sent.
std::string detail_of(std::string_view body) {
    const auto result = validate_event(body);
    const auto& refusal = std::get<Refusal>(result);
    return std::string(describe(refusal.fault)) +
           (refusal.offset > 0 ? fmt::format(", at byte {}", refusal.offset) : "");
}

class PublicUrl {
public:
    PublicUrl(const PublicUrlOptions& options, Findings& findings)
        : options_(options), findings_(findings), target_(options.url) {
        if (!options.token_file.empty()) {
            token_ = read_token(options.token_file, options.token_name);
        } else if (!target_.pasted().is_empty()) {
            token_ = Token{.name = "", .secret = target_.pasted()};
        }
    }

    [[nodiscard]] std::string run() {
        check_words();
        if (check_connection() && check_path()) {
            check_addresses();
            check_methods();
            check_sizes();
            check_time();
        }
        if (findings_.count(Grade::failed) > 0 || !token_) {
            return "";
        }
        const std::string url = target_.with(token_->secret.reveal());
        return options_.masks_token ? without_token(url) : url;
    }

private:
    enum class Which : std::uint8_t { none, wrong, right };

    ProbeAnswer ask(ProbeMethod method, Which which, std::size_t bytes, const std::string& resolved = "") {
        std::optional<std::string_view> token;
        if (which == Which::wrong) {
            token = wrong_token;
        } else if (which == Which::right && token_) {
            token = token_->secret.reveal();
        }
        ProbeAnswer answer = probe(method, target_.with(token), make_probe_body(bytes),
                                   {.ca_file = options_.ca_file, .resolved = resolved});
        slowest_ = bytes == small_bytes ? std::max(slowest_, answer.took) : slowest_;
        return answer;
    }

    // A server's words, without the token that it may repeat.
    [[nodiscard]] std::string without_token(std::string text) const {
        if (token_) {
            for (const std::string& secret : {std::string(token_->secret.reveal()), escaped(token_->secret.reveal())}) {
                for (std::size_t at = text.find(secret); !secret.empty() && at != std::string::npos;
                     at = text.find(secret, at)) {
                    text.replace(at, secret.size(), mask);
                    at += mask.size();
                }
            }
        }
        return text;
    }

    void check_words();
    [[nodiscard]] bool check_connection();
    void report_certificate(const std::string& place);
    void report_authority(const std::string& place);
    [[nodiscard]] std::string mend_of_tls() const;
    [[nodiscard]] bool check_path();
    void report_redirect();
    void report_stranger();
    void check_addresses();
    void check_address(const std::string& address, bool is_v6);
    void check_methods();
    void check_method(ProbeMethod method);
    void report_method(ProbeMethod method, const ProbeAnswer& answer);
    void check_sizes();
    void check_time();

    const PublicUrlOptions& options_;
    Findings& findings_;
    Target target_;
    std::optional<Token> token_;
    bool is_open_{false};      // The location takes events without a token.
    ProbeAnswer first_;        // To a POST without a token.
    milliseconds slowest_{0};  // Of the small probes.
};

// What stands in the URL and should not.
void PublicUrl::check_words() {
    const std::string& query = target_.parts().query;
    if (target_.parts().scheme == "http") {
        findings_.warn(subject_url, "http: token and links go through the network in the clear",
                       "serve the webhook by https");
    }
    if (options_.token_file.empty() && !target_.pasted().is_empty()) {
        findings_.warn(subject_url, "the token is in the command line, which other users of this machine can see",
                       "leave it out of the URL, and name its file with --token-file");
    }
    if (find_argument(query, "webhook_intermediate_status")) {
        findings_.warn(subject_url, "webhook_intermediate_status in the URL has no effect",
                       "write it into the body of each request for a run, beside webhook");
    }
    if (find_argument(query, "target_events")) {
        findings_.warn(
            subject_url,
            "target_events in the URL: ComfyDeploy then sends events whose links are unsigned, or fewer events",
            "leave target_events out: the ending has all outputs");
    }
}

void PublicUrl::report_certificate(const std::string& place) {
    constexpr std::chrono::days warned{14};
    const auto expires_at = first_.response.certificate_expires_at;
    if (target_.parts().scheme != "https" || !expires_at) {
        findings_.passed(subject_connection, fmt::format("{} answers", place));
        return;
    }
    const auto left = std::chrono::floor<std::chrono::days>(*expires_at - std::chrono::system_clock::now());
    if (left < warned) {
        findings_.warn(subject_connection, fmt::format("{}: the certificate expires in {} days", place, left.count()),
                       "renew it, and reload nginx: does certbot.timer run?");
    } else {
        findings_.passed(subject_connection,
                         fmt::format("{} answers, its certificate is valid for {} days", place, left.count()));
    }
}

// With --ca-file: whether a client without that file would trust the certificate, too.
void PublicUrl::report_authority(const std::string& place) {
    if (options_.ca_file.empty() || target_.parts().scheme != "https") {
        return;
    }
    const ProbeAnswer answer = probe(ProbeMethod::post, target_.with(std::nullopt), make_probe_body(small_bytes), {});
    if (answer.response.fault == HttpFault::tls) {
        findings_.warn(subject_connection,
                       fmt::format("{}: only --ca-file makes the certificate trusted, this machine's authorities do "
                                   "not: {}; ComfyDeploy does not have that file: it refuses such a certificate, and "
                                   "every event is lost",
                                   place, without_token(answer.response.why)),
                       "give nginx a certificate of a public authority, such as Let's Encrypt; or, if you run "
                       "ComfyDeploy yourself, add the authority to those that it trusts");
    }
}

bool PublicUrl::check_connection() {
    first_ = ask(ProbeMethod::post, Which::none, small_bytes);
    const UrlParts& parts = target_.parts();
    const std::string place = fmt::format("{}:{}", parts.host, parts.port);
    if (first_.response.status != 0) {
        report_certificate(place);
        report_authority(place);
        return true;
    }
    const std::string why = without_token(first_.response.why);
    switch (first_.response.fault) {
        case HttpFault::name:
            findings_.fail(subject_connection, fmt::format("the name {} has no address: {}", parts.host, why),
                           "correct the host, or add it to DNS");
            break;
        case HttpFault::connection:
            findings_.fail(
                subject_connection, fmt::format("nobody listens at {}: {}", place, why),
                "correct the port; does nginx run and listen there, for IPv6, too, and does a firewall let it pass?");
            break;
        case HttpFault::tls:
            findings_.fail(subject_connection, fmt::format("TLS fails at {}: {}", place, why), mend_of_tls());
            break;
        case HttpFault::timeout:
            findings_.fail(subject_connection,
                           fmt::format("{} does not answer within the sender's 20 s: {}", place, why),
                           "does a firewall drop packets? does nginx hold the request (docs/operations.md, \"Disk\")?");
            break;
        case HttpFault::none:
        case HttpFault::other:
            findings_.fail(subject_connection, fmt::format("{} broke off the connection: {}", place, why),
                           "is this the port of a web server? https needs listen … ssl in nginx");
            break;
    }
    return false;
}

std::string PublicUrl::mend_of_tls() const {
    std::string mend =
        "give nginx a certificate for this name with its whole chain (fullchain.pem), and renew it in time";
    if (options_.ca_file.empty()) {
        mend += "; if a private authority signed it, or it signed itself, name its certificate with --ca-file";
    }
    return mend;
}

// Who answers at this path.
bool PublicUrl::check_path() {
    const long status = first_.response.status;
    if (status >= 300 && status < 400) {
        report_redirect();
        return false;
    }
    if (!first_.is_ours()) {
        report_stranger();
        return false;
    }
    if (first_.problem == token_refused) {
        findings_.passed(subject_path, "runledger answers, and refuses who has no token");
        return true;
    }
    if (first_.problem == whole_body || first_.problem == body_empty) {
        is_open_ = true;
        findings_.passed(subject_path, "runledger answers");
        findings_.warn(subject_token, "the webhook takes events without a token: anybody can invent runs",
                       "set runledger_token in the location, and add the token to the registered URL");
        return true;
    }
    if (first_.problem == method_not_allowed) {
        findings_.fail(subject_path, "a POST arrives with another method or without its body",
                       "a proxy in between changes it: have it pass method and body on as they are");
        return false;
    }
    if (first_.problem == "content_type_not_json") {
        findings_.fail(subject_path, "the Content-Type does not arrive", "have the proxy in between pass it on");
        return false;
    }
    findings_.fail(subject_path, fmt::format("runledger answers {}", first_.words()),
                   "docs/operations.md, \"Refusals\", and nginx's error log");
    return false;
}

void PublicUrl::report_redirect() {
    const auto& headers = first_.response.headers;
    const auto location = headers.find("location");
    const std::string where = location == headers.end() ? "" : without_token(location->second);
    const long status = first_.response.status;
    const char* effect = status == 307 || status == 308 ? "each event takes one request more"
                         : status == 303                ? "every event is lost"
                                                        : "every event arrives late, as a second try";
    findings_.fail("redirect", fmt::format("HTTP {} to {}: {}", status, where, effect),
                   where.empty()
                       ? "answer the webhook without a redirect"
                       : fmt::format("register the URL to which it leads, or answer without a redirect: {}", where));
}

void PublicUrl::report_stranger() {
    const long status = first_.response.status;
    const std::string words = without_token(first_.words());
    if (status >= 200 && status < 300) {
        findings_.fail(subject_path,
                       fmt::format("{}, and not from runledger: events would count as delivered and be lost", words),
                       "the path or server_name leads to another server: correct it");
    } else if (status == 404 || status == 405 || status == 400 || status == 410) {
        findings_.fail(subject_path,
                       fmt::format("{}, and not from runledger: another server or location answers", words),
                       "correct the path; is runledger_webhook in this location, and server_name this host's?");
    } else if (status == 401 || status == 403 || status == 429) {
        findings_.fail(subject_path, fmt::format("{}: something before runledger refuses the sender", words),
                       "let the webhook pass: deny, auth_basic, auth_request, limit_req, a firewall for bots");
    } else if (status == 502 || status == 503 || status == 504) {
        findings_.fail(subject_path, fmt::format("{}: a proxy does not reach the nginx with runledger", words),
                       "start nginx, or correct the proxy's upstream");
    } else {
        findings_.fail(subject_path, fmt::format("{}, and not from runledger", words),
                       "docs/http.md lists what runledger answers; an error_page may hide its answers");
    }
}

// A connection to each address that the name has: a sender takes any of them.
void PublicUrl::check_addresses() {
    const UrlParts& parts = target_.parts();
    if (parts.host.starts_with('[')) {
        return;
    }
    for (const std::string& address : options_.addresses) {
        check_address(address, address.find(':') != std::string::npos);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(parts.host.c_str(), nullptr, &hints, &found) != 0) {
        return;  // libcurl has resolved it in its own way: a proxy's.
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
    constexpr std::size_t addresses_max = 16;
    std::set<std::string> tried(options_.addresses.begin(), options_.addresses.end());
    for (const addrinfo* each = found; each != nullptr && tried.size() < addresses_max; each = each->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0 &&
            text.data() != parts.host && tried.insert(text.data()).second) {
            if (has_route(*each)) {
                check_address(text.data(), each->ai_family == AF_INET6);
            } else {
                findings_.unknown(subject_addresses, fmt::format("{}: this machine has no way to it", text.data()),
                                  "try it from a machine that has, such as one with IPv6");
            }
        }
    }
}

void PublicUrl::check_address(const std::string& address, bool is_v6) {
    const UrlParts& parts = target_.parts();
    const std::string resolved =
        fmt::format("{}:{}:{}{}{}", parts.host, parts.port, is_v6 ? "[" : "", address, is_v6 ? "]" : "");
    const ProbeAnswer answer = ask(ProbeMethod::post, Which::none, small_bytes, resolved);
    if (answer.problem == first_.problem) {
        findings_.passed(subject_addresses, fmt::format("{}: runledger answers", address));
    } else {
        findings_.fail(subject_addresses, fmt::format("{}: {}", address, without_token(answer.words())),
                       is_v6 ? "add listen [::]:443 ssl to nginx, or remove the AAAA record"
                             : "start nginx there, or remove the address from DNS");
    }
}

void PublicUrl::check_methods() {
    if (!is_open_) {
        const ProbeAnswer wrong = ask(ProbeMethod::post, Which::wrong, small_bytes);
        if (wrong.problem != token_refused) {
            findings_.fail(subject_token, fmt::format("a wrong token is answered {}", without_token(wrong.words())),
                           "docs/settings.md, \"The token file\": compare the location's runledger_token");
        }
        if (!token_) {
            findings_.unknown(subject_token, "not tried: no token is given",
                              "name nginx's token file with --token-file");
        }
    }
    check_method(ProbeMethod::post);
    check_method(ProbeMethod::get);
}

void PublicUrl::check_method(ProbeMethod method) {
    const bool has_right = token_ || is_open_;
    if (method == ProbeMethod::get && !is_open_) {
        for (const Which which : {Which::none, Which::wrong}) {
            const ProbeAnswer answer = ask(method, which, small_bytes);
            if (answer.problem != token_refused) {
                report_method(method, answer);
                return;
            }
        }
    }
    if (!has_right) {
        findings_.unknown(method == ProbeMethod::get ? subject_get : subject_post,
                          "reaches runledger; whether its body does shows only with the right token",
                          "name nginx's token file with --token-file");
        return;
    }
    report_method(method, ask(method, Which::right, small_bytes));
}

void PublicUrl::report_method(ProbeMethod method, const ProbeAnswer& answer) {
    const bool is_get = method == ProbeMethod::get;
    const std::string_view subject = is_get ? subject_get : subject_post;
    const std::string words = without_token(answer.words());
    if (answer.problem == whole_body && answer.detail == detail_of(make_probe_body(small_bytes))) {
        findings_.passed(
            subject, fmt::format("{} arrives with its whole body{}", subject, is_open_ ? "" : "; the token is right"));
    } else if (answer.problem == body_empty || (is_get && answer.problem == method_not_allowed)) {
        findings_.fail(subject, fmt::format("the body of a {} is dropped on the way", subject),
                       is_get ? "a proxy in between drops it: the sender's second and third tries are GET with a body, "
                                "and would all be lost; have it pass bodies on, or go around it"
                              : "have the proxy in between pass bodies on");
    } else if (answer.is_ours() && answer.response.status == 400) {
        findings_.fail(subject, fmt::format("the body of a {} arrives cut or changed: {}", subject, answer.detail),
                       "have the proxy in between pass bodies on as they are");
    } else if (answer.problem == token_refused) {
        if (!findings_.has_failed(subject_token)) {
            findings_.fail(
                subject_token,
                fmt::format("runledger refuses the token{}{}", token_ && !token_->name.empty() ? " " : "",
                            token_ ? token_->name : ""),
                "add it to the location's token file and reload nginx; does runledger_token read $arg_token?");
        }
    } else if (is_get && !answer.is_ours()) {
        findings_.fail(
            subject, fmt::format("a GET with a body is answered {}, and not by runledger", words),
            "a proxy in between refuses it: the sender's second and third tries are GET with a body; have it "
            "pass them on, or go around it");
    } else {
        findings_.fail(subject, fmt::format("a {} is answered {}", subject, words), "docs/operations.md, \"Refusals\"");
    }
}

void PublicUrl::check_sizes() {
    if ((!token_ && !is_open_) || findings_.has_failed(subject_token) || findings_.has_failed(subject_post)) {
        return;
    }
    struct Size {
        ProbeMethod method;
        std::size_t bytes;
        std::string_view words;
    };
    const std::array sizes{Size{ProbeMethod::post, large_bytes, "POST of 1 MiB"},
                           Size{ProbeMethod::get, large_bytes, "GET of 1 MiB"},
                           Size{ProbeMethod::post, body_bytes_max, "POST of 8 MiB"}};
    bool is_sound = true;
    for (const Size& size : sizes) {
        if (size.method == ProbeMethod::get && findings_.has_failed(subject_get)) {
            continue;
        }
        const ProbeAnswer answer = ask(size.method, Which::right, size.bytes);
        if (answer.problem == whole_body && answer.detail == detail_of(make_probe_body(size.bytes))) {
            continue;
        }
        is_sound = false;
        const std::string words = without_token(answer.words());
        const std::string what = answer.is_ours() && answer.response.status == 400
                                     ? fmt::format("a {} arrives cut: {}", size.words, answer.detail)
                                     : fmt::format("a {} is answered {}", size.words, words);
        const char* to_do = "set client_max_body_size 8m in the location, and raise the limit of each proxy in between";
        if (size.bytes == body_bytes_max) {
            findings_.warn(subject_size, what, to_do);  // Only texts are ever so large.
        } else {
            findings_.fail(subject_size, what, to_do);
        }
        break;  // A larger one fails for the same reason.
    }
    if (is_sound) {
        findings_.passed(subject_size, "bodies of 8 MiB arrive, the most that runledger accepts");
    }
}

void PublicUrl::check_time() {
    constexpr milliseconds warned{1000};
    const std::string what = fmt::format("the slowest answer took {:.2f} s, connecting included",
                                         std::chrono::duration<double>(slowest_).count());
    if (slowest_ >= warned) {
        findings_.warn(subject_time,
                       what + "; the sender waits 20 s, and opens a connection for each of a burst's events",
                       "look for slow DNS, TLS or proxies between here and nginx");
    } else {
        findings_.passed(subject_time, what + "; the sender waits 20 s");
    }
}

}  // namespace

std::string make_probe_body(std::size_t bytes) {
    // It is JSON, so that a firewall that reads bodies lets it pass as it would an event.
    constexpr std::string_view begin = probe_body_begin;
    constexpr std::string_view end = "\"}";
    static_assert(small_bytes > begin.size() + end.size() + run_id_bytes_max);
    std::string body(begin);
    body.append(bytes - begin.size() - end.size(), 'x');
    body += end;
    assert(std::holds_alternative<Refusal>(validate_event(body)));
    return body;
}

std::string check_public_url(const PublicUrlOptions& options, Findings& findings) {
    return PublicUrl(options, findings).run();
}

std::string registration_of(std::string_view url) {
    return fmt::format(
        "\nWrite into the body of each request for a run that goes to ComfyDeploy:\n\n"
        "    \"webhook\": \"{}\",\n"
        "    \"webhook_intermediate_status\": true\n\n"
        "webhook_intermediate_status is a field of that request, not a part of the URL, and false unless it is there.\n"
        "Without it no progress comes, and a service may send the ending alone: `running` then never arrives, and\n"
        "without `running` there is no duration and no cost.\n",
        url);
}

}  // namespace runledger::tool
