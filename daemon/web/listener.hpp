// The daemon's one HTTP listener, through civetweb: routes, methods, bounds, and the headers that every answer has.
//
// A handler is called on one of the listener's own threads, several at a time. It returns an answer and never sees a
// socket. One that throws is answered with 500, without its words.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace runledger::web {

struct Request {
    std::string method{};  // GET or POST; a HEAD comes as GET.
    std::string path{};
    std::string query{};                                        // Not decoded, without its question mark.
    std::string body{};                                         // Of a POST.
    std::map<std::string, std::string, std::less<>> headers{};  // Names in lower case; of several, the first.

    // The parameter of the query, or of the form that the body is, decoded; empty: there is none, or it is too long.
    [[nodiscard]] std::string parameter(std::string_view name) const;
    [[nodiscard]] std::string_view header(std::string_view name) const;
    // The cookie's value; empty: there is none.
    [[nodiscard]] std::string cookie(std::string_view name) const;
};

struct Answer {
    int status{200};
    std::string type{"text/plain; charset=utf-8"};
    std::string body{};
    std::vector<std::pair<std::string, std::string>> headers{};
};

struct Route {
    std::string path;
    std::function<Answer(const Request&)> answer;
    bool takes_post{false};  // POST alone; else GET and HEAD.
};

class Listener {
public:
    // Listens at once. `listen`: ADDRESS:PORT. Throws std::runtime_error with the reason if it can't.
    Listener(const std::string& listen, std::vector<Route> routes);
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    // Ends the listening and waits for the requests that are being answered.
    ~Listener();

    // What listens, and answers: for the count of the daemon's threads.
    static constexpr std::size_t threads = 5;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace runledger::web
