// One day in a daemon's life, shortened to two seconds, with one fault in it: the real runledgerd, a database of its
// own behind a PostgresProxy, and stand-ins for the edge, Telegram and ComfyDeploy's API.
//
// The same every time: what it leaves is compared with what it leaves without a fault. A scenario is used by one
// thread; several may run side by side on one FaultGround.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tests/stand_ins/bot_api.hpp"
#include "tests/stand_ins/postgres_proxy.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {

// What all scenarios share: a cluster with a migrated template, and a folder.
class FaultGround {
public:
    FaultGround();

    // A database like the template. Any thread.
    [[nodiscard]] std::string make_database(std::string_view name) const;
    void drop_database(std::string_view name) const;

    [[nodiscard]] const PostgresServer& postgres() const noexcept { return postgres_; }
    [[nodiscard]] const TempFolder& folder() const noexcept { return folder_; }
    // "settle/take" for the text of sql/queries/settle/take.sql.
    [[nodiscard]] std::optional<std::string> name_of(std::string_view statement) const;

private:
    TempFolder folder_;
    PostgresServer postgres_;
    std::map<std::string, std::string, std::less<>> names_;
};

struct NoFault {};
struct FailedAllocation {
    std::string stage{};  // As the thread is called: "rl-apply".
    std::int64_t number{};
};
struct FailedThread {
    int number{};
};
struct FailedCall {
    BotRule rule{};
};
// The provider's first answer for the silent run.
struct FailedLookup {
    int status{};  // 0: the connection is refused.
};
// The daemon's answer to this request of the edge does not arrive; counted from 1.
struct LostAcknowledgement {
    int request{};
};
using DaemonFault = std::variant<NoFault, PostgresProxy::Fault, FailedAllocation, FailedThread, FailedCall,
                                 FailedLookup, LostAcknowledgement>;

// A message that Telegram took.
struct ToldMessage {
    std::string text{};  // Chat, method and fields in one line, without the mark.
    bool is_marked{};    // Says that it may be a duplicate.
};

// The ending of a daemon that did not get on any more: one of its stages hangs.
constexpr std::string_view ended_by_watchdog = "ended by the watchdog";

struct ScenarioResult {
    std::vector<std::string> books{};     // A line for each row, without what only says when.
    std::vector<ToldMessage> messages{};  // Without those about progress.
    std::string trouble{};                // Why it did not come to its end; empty: it did.
    bool has_struck{};                    // The point was reached.
    std::string culprit{};                // See MemoryFaults.
    std::vector<std::string> endings{};   // Of the daemon before it was stopped; it was started again each time.
    int refusals{};                       // Of batches; the edge sent them again.
    bool progress_stays{};                // A message about progress is still in the chat.
    std::vector<StatementPoint> statements{};
    std::map<std::string, std::int64_t> allocations{};
    int threads{};
    std::chrono::milliseconds took{};
};

// `name` is a word that no other scenario on this ground has. Never throws: see `trouble`.
[[nodiscard]] ScenarioResult run_scenario(const FaultGround& ground, const std::string& name, const DaemonFault& fault);

}  // namespace runledger::test
