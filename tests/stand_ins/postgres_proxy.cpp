#include "tests/stand_ins/postgres_proxy.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace runledger::test {
namespace {

using std::chrono::steady_clock;

constexpr std::uint16_t port = 5432;  // Of a socket in a folder of its own: it takes nobody's place.
constexpr std::size_t length_bytes = 4;
constexpr std::size_t typed_header_bytes = 1 + length_bytes;
// The codes in the place of a protocol's version, of the requests that come before a session.
constexpr std::uint32_t cancel_request = 80877102;
constexpr std::uint32_t ssl_request = 80877103;
constexpr std::uint32_t gssenc_request = 80877104;

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) {
        number = number << 8U | static_cast<unsigned char>(bytes.at(at + i));
    }
    return number;
}

std::string typed_message(char type, const std::string& content) {
    std::string message(1, type);
    const auto length = static_cast<std::uint32_t>(length_bytes + content.size());
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        message.push_back(static_cast<char>(length >> shift & 0xFFU));
    }
    return message + content;
}

std::string query_message(const std::string& text) { return typed_message('Q', text + '\0'); }

std::string_view zero_ended(std::string_view bytes, std::size_t at) {
    return bytes.substr(at, bytes.find('\0', at) - at);
}

sockaddr_un address_of(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.string().size() >= sizeof address.sun_path) {
        throw std::runtime_error("PostgresProxy: the path of a socket is too long: " + path.string());
    }
    path.string().copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    return address;
}

std::filesystem::path socket_path(const std::filesystem::path& folder, std::uint16_t of_port) {
    return folder / fmt::format(".s.PGSQL.{}", of_port);
}

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

// False where the peer is gone.
bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

// False where the peer is gone.
bool receive_some(int fd, std::string& into) {
    std::array<char, 65536> buffer{};
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
        return false;
    }
    into.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
}

// The first words of a statement that nobody has named.
std::string first_words(std::string_view text) {
    constexpr std::size_t shown_max = 40;
    return std::string(text.substr(0, std::min(text.find_first_of("\n;("), shown_max)));
}

}  // namespace

class PostgresProxy::Loop {
public:
    Loop(Server server, const std::filesystem::path& listens_at, NameOf name_of)
        : server_(std::move(server)), name_of_(std::move(name_of)), stop_(::eventfd(0, EFD_CLOEXEC)) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(listens_at);
        constexpr int backlog = 64;
        if (stop_ < 0 || listener_ < 0 ||
            ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, backlog) != 0) {
            fail("PostgresProxy");
        }
        ::chmod(listens_at.c_str(), 0777);  // The daemon may run as another user.
        thread_ = std::thread([this] { run(); });
    }
    ~Loop() {
        (void)::eventfd_write(stop_, 1);  // Fails only at 2^64 - 2.
        thread_.join();
        ::close(listener_);
        ::close(stop_);
    }
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void set(Fault fault) {
        const std::lock_guard lock(mutex_);
        fault_ = std::move(fault);
    }
    [[nodiscard]] bool has_struck() const {
        const std::lock_guard lock(mutex_);
        return has_struck_;
    }
    [[nodiscard]] std::vector<StatementPoint> seen() const {
        const std::lock_guard lock(mutex_);
        return seen_;
    }

private:
    struct Connection {
        int client{-1};
        int server{-1};
        std::string from_client{};  // Not yet a whole message.
        std::string from_server{};  // The same; whole ones are passed on at once.
        std::string unit{};         // The messages of the statement that is being read.
        std::string unit_text{};    // Its text, or what stands for it.
        bool is_parse_only{true};   // Of the unit: nothing is executed.
        bool has_started{false};
        bool ends_after_answer{false};
        bool is_held{false};  // The unit is whole, and waits for `held_until`.
        std::string stage{};
        std::map<std::string, std::string> prepared{};
        std::string last_named{};  // In this transaction.
        steady_clock::time_point held_until{};
        bool is_over{false};
    };

    void run() {
        while (true) {
            std::vector<pollfd> waited{{.fd = stop_, .events = POLLIN, .revents = 0},
                                       {.fd = listener_, .events = POLLIN, .revents = 0}};
            std::vector<Connection*> of;
            auto bound = std::chrono::milliseconds{1000};
            const auto now = steady_clock::now();
            for (Connection& connection : connections_) {
                const bool is_held = now < connection.held_until;
                if (is_held) {
                    bound = std::min(bound, std::chrono::ceil<std::chrono::milliseconds>(connection.held_until - now));
                }
                // A descriptor below zero is passed by.
                waited.push_back({.fd = is_held ? -1 : connection.client, .events = POLLIN, .revents = 0});
                waited.push_back({.fd = connection.server, .events = POLLIN, .revents = 0});
                of.push_back(&connection);
            }
            (void)::poll(waited.data(), waited.size(), static_cast<int>(bound.count()));  // EINTR: looked at again.
            if (waited[0].revents != 0) {
                break;
            }
            for (std::size_t i = 0; i < of.size(); ++i) {
                serve(*of[i], waited[2 + 2 * i].revents != 0, waited[3 + 2 * i].revents != 0);
            }
            if (waited[1].revents != 0) {
                connections_.emplace_back().client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            }
            forget_ended();
        }
        for (Connection& connection : connections_) {
            connection.is_over = true;
        }
        forget_ended();
    }

    void forget_ended() {
        std::erase_if(connections_, [](const Connection& connection) {
            if (!connection.is_over) {
                return false;
            }
            for (const int fd : {connection.client, connection.server}) {
                if (fd >= 0) {
                    ::close(fd);
                }
            }
            return true;
        });
    }

    void serve(Connection& connection, bool from_client, bool from_server) {
        if (from_server) {
            connection.is_over |= !receive_some(connection.server, connection.from_server) || !take_answers(connection);
        }
        if (from_client && !connection.is_over) {
            connection.is_over |= !receive_some(connection.client, connection.from_client);
        }
        if (steady_clock::now() >= connection.held_until) {
            take_requests(connection);
        }
    }

    // False: the connection is over.
    static bool take_answers(Connection& connection) {
        std::string& bytes = connection.from_server;
        while (bytes.size() >= typed_header_bytes) {
            const std::size_t length = 1 + number_at(bytes, 1);
            if (bytes.size() < length) {
                break;
            }
            const std::string message = bytes.substr(0, length);
            bytes.erase(0, length);
            if (!connection.ends_after_answer) {
                if (!send_all(connection.client, message)) {
                    return false;
                }
            } else if (message.front() == 'Z' || message.front() == 'G') {
                // ReadyForQuery: the statement has been executed. CopyInResponse: COPY waits for its rows.
                return false;
            }
        }
        return true;
    }

    void take_requests(Connection& connection) {
        if (std::exchange(connection.is_held, false)) {
            forward(connection);
        }
        std::string& bytes = connection.from_client;
        while (!connection.is_over && steady_clock::now() >= connection.held_until) {
            const std::size_t header = connection.has_started ? typed_header_bytes : length_bytes;
            if (bytes.size() < header) {
                return;
            }
            const std::size_t length = number_at(bytes, header - length_bytes) + (header - length_bytes);
            if (bytes.size() < length) {
                return;
            }
            const std::string message = bytes.substr(0, length);
            bytes.erase(0, length);
            if (connection.has_started) {
                take_message(connection, message);
            } else {
                take_startup(connection, message);
            }
        }
    }

    void take_startup(Connection& connection, const std::string& message) {
        const std::uint32_t code = number_at(message, length_bytes);
        if (code == ssl_request || code == gssenc_request) {
            connection.is_over |= !send_all(connection.client, "N");
            return;
        }
        if (code != cancel_request) {
            for (std::size_t at = 2 * length_bytes; at < message.size() && message[at] != '\0';) {
                const std::string_view key = zero_ended(message, at);
                at += key.size() + 1;
                const std::string_view value = zero_ended(message, at);
                at += value.size() + 1;
                if (key == "application_name") {  // "runledgerd apply"
                    connection.stage = std::string(value.substr(value.find(' ') + 1));
                }
            }
        }
        connection.unit = message;
        connection.unit_text = "connect";
        connection.is_parse_only = false;
        if (code == cancel_request) {
            connect_and_forward(connection);
        } else {
            finish_unit(connection, "connect");
        }
        connection.has_started = true;
    }

    // Collects a statement's messages: a simple query is one, an extended one ends with Sync, COPY's rows with their
    // end.
    void take_message(Connection& connection, const std::string& message) {
        connection.unit += message;
        const std::string_view content = std::string_view(message).substr(typed_header_bytes);
        switch (message.front()) {
            case 'Q':
                finish_unit(connection, name_of(connection, zero_ended(content, 0)));
                break;
            case 'P': {
                const std::string_view name = zero_ended(content, 0);
                connection.unit_text = zero_ended(content, name.size() + 1);
                connection.prepared.insert_or_assign(std::string(name), connection.unit_text);
                break;
            }
            case 'B': {
                const std::string_view portal = zero_ended(content, 0);
                const auto found = connection.prepared.find(std::string(zero_ended(content, portal.size() + 1)));
                connection.unit_text = found == connection.prepared.end() ? "?" : found->second;
                connection.is_parse_only = false;
                break;
            }
            case 'S': {
                const bool is_parse_only = connection.is_parse_only;
                std::string name = name_of(connection, connection.unit_text);
                finish_unit(connection, is_parse_only ? "parse of " + std::move(name) : std::move(name));
                break;
            }
            case 'c':
            case 'f':
                finish_unit(connection, "end of COPY");
                break;
            case 'X':
                connection.is_over = true;
                break;
            default:  // Describe, Execute, CopyData and the like: parts of what is being read.
                break;
        }
    }

    std::string name_of(Connection& connection, std::string_view text) {
        if (text == "COMMIT") {
            return fmt::format("COMMIT after {}", std::exchange(connection.last_named, ""));
        }
        if (text.starts_with("BEGIN")) {
            connection.last_named.clear();  // Of one that was rolled back.
        }
        if (auto named = name_of_(text)) {
            connection.last_named = *named;
            return *named;
        }
        return first_words(text);
    }

    void finish_unit(Connection& connection, std::string name) {
        std::optional<Fault> fault;
        {
            const std::lock_guard lock(mutex_);
            const int occurrence = ++occurrences_[{connection.stage, name}];
            seen_.push_back({connection.stage, std::move(name), occurrence});
            if (fault_ && !has_struck_ && fault_->at == seen_.back()) {
                has_struck_ = true;
                fault = fault_;
            }
        }
        if (!fault) {
            forward(connection);
            return;
        }
        switch (fault->fault) {
            case StatementFault::cut_before:
                connection.is_over = true;
                break;
            case StatementFault::lost_answer:
                connection.ends_after_answer = true;
                forward(connection);
                break;
            case StatementFault::refused:
                refuse(connection, fault->sqlstate);
                break;
            case StatementFault::ended:
                refuse(connection, "57P01");
                break;
            case StatementFault::delayed:
                connection.held_until = steady_clock::now() + fault->delay;  // take_requests() forwards it then.
                connection.is_held = true;
                break;
        }
    }

    // The server itself raises the error, so that its transaction is aborted as the client believes.
    void refuse(Connection& connection, const std::string& sqlstate) {
        if (connection.unit_text == "connect") {
            const std::string fields =
                fmt::format("SFATAL{0}VFATAL{0}C{1}{0}Mrefused by the test{0}{0}", '\0', sqlstate);
            (void)send_all(connection.client, typed_message('E', fields));  // Gone: over anyway.
            connection.is_over = true;
            return;
        }
        connection.unit =
            sqlstate == "57P01"
                ? query_message("SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())")
                : query_message(fmt::format("DO $$ BEGIN RAISE EXCEPTION 'refused by the test' USING ERRCODE = '{}'; "
                                            "END $$",
                                            sqlstate));
        forward(connection);
    }

    void forward(Connection& connection) {
        if (connection.server < 0) {
            connect_and_forward(connection);
            return;
        }
        connection.is_over |= !send_all(connection.server, std::exchange(connection.unit, ""));
        connection.unit_text.clear();
        connection.is_parse_only = true;
    }

    void connect_and_forward(Connection& connection) {
        connection.server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(socket_path(server_.socket_folder, server_.port));
        if (connection.server < 0 ||
            ::connect(connection.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            connection.is_over = true;
            return;
        }
        forward(connection);
    }

    Server server_;
    NameOf name_of_;
    int stop_;
    int listener_{-1};
    std::list<Connection> connections_;

    mutable std::mutex mutex_;  // Of what follows.
    std::optional<Fault> fault_;
    bool has_struck_{false};
    std::map<std::pair<std::string, std::string>, int> occurrences_;
    std::vector<StatementPoint> seen_;

    std::thread thread_;
};

PostgresProxy::PostgresProxy(Server server, const std::filesystem::path& folder, NameOf name_of)
    : folder_(folder),
      loop_(std::make_unique<Loop>(std::move(server), socket_path(folder, port), std::move(name_of))) {}

PostgresProxy::~PostgresProxy() = default;

std::string PostgresProxy::uri(std::string_view database) const {
    return fmt::format("postgresql://postgres@/{}?host={}&port={}", database, folder_.string(), port);
}

void PostgresProxy::set(Fault fault) { loop_->set(std::move(fault)); }

bool PostgresProxy::has_struck() const { return loop_->has_struck(); }

std::vector<StatementPoint> PostgresProxy::seen() const { return loop_->seen(); }

}  // namespace runledger::test
