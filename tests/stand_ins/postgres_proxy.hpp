// Stands between the daemon and PostgreSQL and cuts, refuses or delays one statement of one stage.
//
// It speaks the frontend/backend protocol 3.0 as far as it has to: it knows where a statement begins and where its
// answer ends, whose session it is (application_name), and which statement it is. Everything else passes unchanged.
// One fault at a time, which strikes once. Its own thread; all public functions may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runledger::test {

// A statement, by where it occurs: the occurrence counts from 1 among those of this name in the sessions of this stage,
// over all their connections.
struct StatementPoint {
    std::string stage{};  // The last words of application_name: "apply", "settle slow".
    std::string name{};   // "connect", "BEGIN", "settle/take", "COMMIT after settle/done", "COPY", "end of COPY", …
    int occurrence{1};

    friend auto operator<=>(const StatementPoint&, const StatementPoint&) = default;
};

enum class StatementFault : std::uint8_t {
    cut_before,   // The connection ends, and the server never sees the statement.
    lost_answer,  // The server has executed it, and the connection ends instead of its answer.
    refused,      // The server answers with an error of `sqlstate`; the transaction is aborted.
    ended,        // An administrator ends the session (57P01).
    delayed,      // It reaches the server after `delay`.
};

class PostgresProxy {
public:
    struct Server {
        std::filesystem::path socket_folder;
        std::uint16_t port{};
    };
    struct Fault {
        StatementPoint at{};
        StatementFault fault{StatementFault::cut_before};
        std::string sqlstate{"40001"};
        std::chrono::milliseconds delay{1000};
    };
    // A short name for a statement's text; nothing: its first words are its name.
    using NameOf = std::function<std::optional<std::string>(std::string_view text)>;

    // Listens on return, in `folder`, which must outlive it.
    PostgresProxy(Server server, const std::filesystem::path& folder, NameOf name_of);
    ~PostgresProxy();  // Ends all connections.
    PostgresProxy(const PostgresProxy&) = delete;
    PostgresProxy& operator=(const PostgresProxy&) = delete;

    [[nodiscard]] std::string uri(std::string_view database) const;

    void set(Fault fault);
    [[nodiscard]] bool has_struck() const;
    // Every statement so far, in the order in which they came.
    [[nodiscard]] std::vector<StatementPoint> seen() const;

private:
    class Loop;
    std::filesystem::path folder_;
    std::unique_ptr<Loop> loop_;
};

}  // namespace runledger::test
