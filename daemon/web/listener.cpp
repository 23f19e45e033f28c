#include "daemon/web/listener.hpp"

#include <civetweb.h>
#include <fmt/format.h>
#include <netdb.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace runledger::web {
namespace {

constexpr std::size_t body_bytes_max = 4096;       // A login's form.
constexpr std::size_t parameter_bytes_max = 1024;  // Decoded.
constexpr auto workers = "4";
constexpr auto request_milliseconds_max = "5000";  // A client that sends nothing holds a worker for no longer.

std::string_view reason_of_status(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 303:
            return "See Other";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 413:
            return "Content Too Large";
        case 429:
            return "Too Many Requests";
        case 503:
            return "Service Unavailable";
        default:
            return "Internal Server Error";
    }
}

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

Request request_of(const mg_request_info& info) {
    Request request{.method = text_or_empty(info.request_method),
                    .path = text_or_empty(info.local_uri),
                    .query = text_or_empty(info.query_string),
                    .body = "",
                    .headers = {}};
    for (int i = 0; i < info.num_headers; ++i) {
        std::string name = info.http_headers[i].name;
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        request.headers.emplace(std::move(name), text_or_empty(info.http_headers[i].value));
    }
    return request;
}

// False: it is too large, or ended before its length.
bool read_body(mg_connection& connection, long long length, std::string& body) {
    if (length < 0 || length > static_cast<long long>(body_bytes_max)) {
        return false;
    }
    body.resize(static_cast<std::size_t>(length));
    std::size_t read = 0;
    while (read < body.size()) {
        const int got = mg_read(&connection, body.data() + read, body.size() - read);
        if (got <= 0) {
            return false;
        }
        read += static_cast<std::size_t>(got);
    }
    return true;
}

void write_answer(mg_connection& connection, const Answer& answer, bool with_body) {
    std::string head = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n"
        "X-Content-Type-Options: nosniff\r\n",
        answer.status, reason_of_status(answer.status), answer.type, answer.body.size());
    for (const auto& [name, value] : answer.headers) {
        head += fmt::format("{}: {}\r\n", name, value);
    }
    head += "\r\n";
    // A client that is gone reads nothing of it: nobody is left to tell.
    (void)mg_write(&connection, head.data(), head.size());
    if (with_body) {
        (void)mg_write(&connection, answer.body.data(), answer.body.size());
    }
}

// Why nothing can listen here, which the library does not say. `otherwise`: what it says.
std::string reason_of(const std::string& listen, const std::string& otherwise) {
    const std::size_t colon = listen.rfind(':');
    std::string host = colon == std::string::npos ? "" : listen.substr(0, colon);
    const std::string port = colon == std::string::npos ? listen : listen.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found) != 0) {
        return "it is not ADDRESS:PORT";
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, &freeaddrinfo);
    const int probe = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    const int yes = 1;
    (void)setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // As the library does; else bind() says why.
    const bool is_free = bind(probe, address->ai_addr, address->ai_addrlen) == 0;
    const int error = errno;
    std::string why = is_free ? otherwise : std::generic_category().message(error);
    if (!is_free && error == EADDRINUSE) {
        why += "; stop what listens there, or name another address";
    }
    ::close(probe);
    return why;
}

// A parameter of an encoded form or query; empty: there is none, or it is too long.
std::string decoded(std::string_view encoded, const std::string& name) {
    std::array<char, parameter_bytes_max + 1> value{};
    const int length = mg_get_var(encoded.data(), encoded.size(), name.c_str(), value.data(), value.size());
    return length <= 0 ? "" : std::string(value.data(), static_cast<std::size_t>(length));
}

}  // namespace

std::string Request::parameter(std::string_view name) const {
    return decoded(method == "POST" ? body : query, std::string(name));
}

std::string_view Request::header(std::string_view name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

std::string Request::cookie(std::string_view name) const {
    std::string_view rest = header("cookie");
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(';'), rest.size());
        std::string_view pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
        if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
            return std::string(pair.substr(name.size() + 1));
        }
    }
    return "";
}

class Listener::Impl {
public:
    Impl(const std::string& listen, std::vector<Route> routes) : routes_(std::move(routes)) {
        // Counted by the library, and not undone: another part of the process may use it.
        (void)mg_init_library(MG_FEATURES_DEFAULT);
        const std::array<const char*, 13> options{"listening_ports",
                                                  listen.c_str(),
                                                  "num_threads",
                                                  workers,
                                                  "request_timeout_ms",
                                                  request_milliseconds_max,
                                                  "enable_keep_alive",
                                                  "no",
                                                  "linger_timeout_ms",
                                                  "1000",
                                                  "max_request_size",
                                                  "16384",
                                                  nullptr};
        mg_callbacks callbacks{};
        callbacks.log_message = [](const mg_connection*, const char*) { return 1; };  // Not to standard error.
        std::array<char, 256> why{};
        mg_error_data error{};
        error.text = why.data();
        error.text_buffer_size = why.size();
        mg_init_data data{};
        data.callbacks = &callbacks;
        data.configuration_options = const_cast<const char**>(options.data());  // It copies them.
        context_ = mg_start2(&data, &error);
        if (context_ == nullptr) {
            throw std::runtime_error(reason_of(listen, why.data()));
        }
        mg_set_request_handler(context_, "**", &Impl::on_request, this);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() { mg_stop(context_); }

private:
    static int on_request(mg_connection* connection, void* self) noexcept {
        try {
            return static_cast<Impl*>(self)->answer(*connection);
        } catch (const std::exception& failure) {
            spdlog::error("a request to [metrics] listen could not be answered error={:?}",
                          std::string_view(failure.what()));
        } catch (...) {
            // Nothing else is thrown; the library, which is C, must see none.
        }
        return 500;
    }

    int answer(mg_connection& connection) {
        const mg_request_info* info = mg_get_request_info(&connection);
        Request request = request_of(*info);
        const bool is_head = request.method == "HEAD";
        const Answer made = answer_to(connection, info->content_length, request);
        write_answer(connection, made, !is_head);
        return made.status;
    }

    Answer answer_to(mg_connection& connection, long long content_length, Request& request) {
        const auto named =
            std::ranges::find_if(routes_, [&](const Route& known) { return known.path == request.path; });
        if (named == routes_.end()) {
            return {.status = 404, .body = "There is nothing here.\n"};
        }
        if (request.method == "HEAD") {
            request.method = "GET";
        }
        const auto route = std::ranges::find_if(routes_, [&](const Route& known) {
            return known.path == request.path && request.method == (known.takes_post ? "POST" : "GET");
        });
        if (route == routes_.end()) {
            return not_allowed(request.path);
        }
        if (route->takes_post && !read_body(connection, content_length, request.body)) {
            return {.status = 413, .body = "The form is too large, or was cut off.\n"};
        }
        try {
            return route->answer(request);
        } catch (const std::exception& failure) {
            // Not sent to the client: it may quote what the client may not see.
            spdlog::error("a page could not be made path={:?} error={:?}", request.path,
                          std::string_view(failure.what()));
            return {.status = 500, .body = "That went wrong; the daemon's log says why.\n"};
        }
    }

    [[nodiscard]] Answer not_allowed(const std::string& path) const {
        std::string allowed;
        for (const Route& route : routes_) {
            if (route.path == path) {
                allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.takes_post ? "POST" : "GET, HEAD");
            }
        }
        return {.status = 405,
                .body = "This path does not take that method.\n",
                .headers = {{"Allow", std::move(allowed)}}};
    }

    std::vector<Route> routes_;
    mg_context* context_{nullptr};
};

Listener::Listener(const std::string& listen, std::vector<Route> routes)
    : impl_(std::make_unique<Impl>(listen, std::move(routes))) {}

Listener::~Listener() = default;

}  // namespace runledger::web
