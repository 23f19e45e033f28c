// HTTP calls through libcurl's multi interface: requests in, responses out. The Bot API, ComfyDeploy's API and the
// fetcher of media are built on it.
//
// Invariant: a call always ends, within its timeout and its bound of bytes, and is made at most once: redirects are not
// followed, and libcurl's own silent second try, after a kept connection died, is refused for a POST. No text that
// comes out of here holds a URL, an address or a header, unless the options ask for it. One thread owns a client.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace runledger {

// multipart/form-data.
struct HttpForm {
    struct File {
        std::string field;
        std::string name;
        std::shared_ptr<const std::string> bytes;
    };
    std::vector<std::pair<std::string, std::string>> fields;
    std::vector<File> files;
};

// The client's own name for a call. The caller chooses it; no other call in flight may have it.
using HttpTicket = std::int64_t;

struct HttpRequest {
    struct Get {};
    struct PostJson {
        std::string body;
        bool is_called_get{false};  // The request line says GET, as in ComfyDeploy's second and third try.
    };

    HttpTicket ticket{};
    std::string url{};  // May hold a secret: it is never printed.
    std::variant<Get, PostJson, HttpForm> content{};
    std::size_t response_bytes_max{};
    bool is_cut{false};  // Of a larger response its beginning is read; else nothing, if it says its size.
    std::vector<std::string> headers{};  // Of this call, beside those of the options; only with PostJson.
};

enum class HttpEnd : std::uint8_t {
    complete,
    too_large,          // More than response_bytes_max; with is_cut, `body` is as long as that.
    forbidden_address,  // is_allowed_address refused every address of the name that was tried.
    bad_url,            // libcurl can't parse the URL. Nobody was called.
    not_begun,          // libcurl has no memory for the call. Nobody was called.
    failed,             // Refused, timed out or broken off.
    aborted,            // By abort_all().
};

// Which step ended a call that failed.
enum class HttpFault : std::uint8_t {
    none,
    name,        // The host's name has no address.
    connection,  // Nobody listens, or the way is closed.
    tls,         // No TLS, or a certificate that is not valid for this host.
    timeout,
    other,  // The connection broke off, or what came is no HTTP.
};

struct HttpResponse {
    HttpEnd end{};
    HttpFault fault{HttpFault::none};
    long status{0};      // As soon as there is one, also where the body is not complete; 0: none, or aborted.
    std::string body{};  // As much of it as came.
    std::optional<std::chrono::seconds> retry_after{};  // The header.
    bool may_have_arrived{false};  // The server may have the whole request, so it may have acted on it.
    std::string why{};             // Unless complete: one line for people.
    // Those of Options::kept_headers that came, by that name.
    std::map<std::string, std::string> headers{};
    // With Options::is_certificate_kept: until when the server's certificate is valid.
    std::optional<std::chrono::system_clock::time_point> certificate_expires_at{};
};

class HttpClient {
public:
    enum class Connections : std::uint8_t {
        shared,     // Calls may share one (HTTP/2).
        exclusive,  // One call at a time on each (HTTP/1.1): a reset fails one call, not all of them.
        fresh,      // As exclusive; each call resolves the name for itself, and its connection is used once.
    };

    struct Options {
        std::chrono::milliseconds timeout{};  // Of one call, connecting included.
        std::chrono::milliseconds connect_timeout_max{std::chrono::seconds{10}};
        Connections connections{Connections::shared};
        bool is_https_only{false};            // Else http, too.
        bool is_path_as_is{false};            // Else libcurl resolves "." and ".." in the path.
        std::vector<std::string> headers{};   // Of each call: "Accept: text/html". May hold a secret.
        std::uint16_t port{0};                // In place of the URL's; 0: the URL's.
        std::string ca_file{};                // Empty: the system's authorities.
        std::vector<std::string> resolved{};  // Names' addresses: "host:443:address[,address…]".
        // For a person who looks for a fault: names of headers of the answer that are kept; and a `why` that may name
        // host and address, and say what a certificate lacks.
        std::vector<std::string> kept_headers{};
        bool is_why_detailed{false};
        bool is_certificate_kept{false};
        std::string user_agent{"runledger/0.1"};
        // If there is one, it is asked about the very address that is about to be connected to, and neither a proxy nor
        // .netrc is used. An exception of it allows nothing.
        std::function<bool(const sockaddr&, socklen_t)> is_allowed_address{};
    };

    struct Ended {
        HttpTicket ticket{};
        HttpResponse response;
    };

    // Throws std::runtime_error where libcurl can't be set up.
    explicit HttpClient(Options options);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Begins a call. It always ends, in drive() or abort_all().
    void begin(HttpRequest request);

    // Moves all calls on, for up to `bound`, or until some have ended or `interrupt` is readable (-1: none); returns
    // those that have ended.
    [[nodiscard]] std::vector<Ended> drive(std::chrono::milliseconds bound, int interrupt = -1);

    // Ends all calls now.
    std::vector<Ended> abort_all();

    [[nodiscard]] std::size_t in_flight() const noexcept;
    [[nodiscard]] bool is_in_flight(HttpTicket ticket) const;

private:
    struct Call;
    struct State;

    void set_up(Call& call) const;
    void set_up_connection(Call& call) const;
    void collect(std::vector<Ended>& ended);

    Options options_;
    std::unique_ptr<State> state_;
};

}  // namespace runledger
