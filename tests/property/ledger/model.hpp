// The ledger as it must be: a small, pure model that shares nothing with the product but the digest of a body.
//
// It says after each command what every row holds (rows()), as text by the row's key. Money is in the oracle's
// decimals. What it does not know is the database's own clock: a time of it is `told`, later than every moment of an
// edge.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/oracle/decimal.hpp"
#include "tests/property/ledger/commands.hpp"
#include "tests/property/ledger/run_facts.hpp"

namespace runledger::test::whole_ledger {

// Of each row, by its key, all that it holds.
using Rows = std::map<std::string, std::string>;

// When a webhook came, in microseconds after epoch_us; or `told`, when a report of the provider's was stored.
using Instant = std::int64_t;
inline constexpr Instant told = INT64_MAX;

struct Settlement {
    std::string run{};
    std::string outcome{};
    std::string status{};
    std::optional<std::string> reason{};
    bool keeps_status{};
    std::optional<Instant> finished{};
    std::optional<std::int64_t> duration_us{};
    std::string clock{};
    std::string duration_note{};
    std::string gpu{};
    std::optional<Decimal> rate{};
    std::string unit{};
    std::optional<std::int64_t> tokens{};
    std::string source{};
    std::optional<Decimal> cost{};
    std::string note{};
    std::size_t output_count{};
    std::optional<std::string> payload{};
    std::size_t number{};  // In the order in which they were written.
    bool row_is_gone{};    // It is of a deleted row that had the id before.
};

struct Row {
    std::optional<std::string> run{};
    Rate rate{};
    Gpu gpu{};
    Chat chat{};
    Group group{};
    std::string status{"pending"};
    std::optional<std::string> reason{};
    std::optional<Instant> response{};
    std::optional<std::string> payload{};
    std::optional<std::int64_t> duration_us{};
    std::optional<Decimal> cost{};
    std::string note{};
    std::vector<Settlement> history{};
    bool is_forgotten{};
};

struct NotificationKey {
    std::int64_t row{};
    std::string run{};
    std::string kind{};
    std::string for_status{};
    std::string recipient{};  // Whom the row named when it was made.
    std::size_t change{};     // Of a correction: which change of the status.

    friend auto operator<=>(const NotificationKey&, const NotificationKey&) = default;
};
struct Notification {
    std::string state{};
    std::string chat{};
    std::string told{};  // The payload.
    bool is_withdrawn{};
    std::size_t number{};  // In the order of creation.
};

struct GroupState {
    std::size_t members{};
    bool is_told{};  // And not open again.
    int times_told{};
};

struct BatchPlan {
    int segment{};
    std::uint64_t number{};
    int boot{};
    std::vector<News> news{};
    bool is_other{};                   // Another batch under that name.
    std::set<std::string> scrubbed{};  // Its runs that were forgotten when it was set aside.
    bool is_emptied{};                 // One of its runs was forgotten since.
};

// Of what stands under its own digest; those of the edges are below.
inline constexpr int first_renamed = 1000;

struct Segment {
    std::map<std::uint64_t, std::size_t> open{};  // Events, by batch.
    bool is_known{};
    bool is_retired{};
    bool has_tombstone{};
    std::uint64_t batch_count{};
    std::int64_t batches{};
    std::int64_t applied{};
    std::int64_t duplicate{};
    std::int64_t quarantined{};
};

class Model {
public:
    void run(const Command& command);
    [[nodiscard]] Rows rows() const;

    // What the command is about, in the state as it is; nothing where it does not apply. For the product's side.
    [[nodiscard]] std::vector<BatchPlan> plan(const Apply& command) const;
    [[nodiscard]] std::optional<BatchPlan> plan(const Copy& command) const;
    [[nodiscard]] std::optional<BatchPlan> plan(const Conflict& command) const;
    // The batch that was set aside.
    [[nodiscard]] std::optional<BatchPlan> plan(const Replay& command) const;
    // How many of that name were set aside before it.
    [[nodiscard]] std::size_t place_of(const BatchPlan& aside) const;
    [[nodiscard]] int current_segment(int segment) const { return current_[static_cast<std::size_t>(segment)]; }
    [[nodiscard]] const Segment& segment(int number) const;
    [[nodiscard]] std::optional<std::int64_t> new_row(const Insert& command) const;
    [[nodiscard]] std::optional<std::int64_t> find_row(int row) const;
    [[nodiscard]] bool applies(const Change& command) const;
    [[nodiscard]] bool applies(const Resave& command) const;
    // The run that the row named before its person was forgotten; nothing where it does not apply.
    [[nodiscard]] std::optional<std::string> old_run(const SaveOld& command) const;
    [[nodiscard]] bool applies(const Hold& command) const;
    [[nodiscard]] bool applies(const Delete& command) const;
    [[nodiscard]] bool applies(const Edit& command) const;
    [[nodiscard]] bool applies(const Forget& command) const;
    // Rows of the chat, and those that it was told of.
    [[nodiscard]] std::vector<std::int64_t> rows_of(const ForgetChat& command) const;
    [[nodiscard]] const Row& row(std::int64_t id) const { return rows_.at(id); }
    [[nodiscard]] bool is_holding() const { return held_.has_value(); }
    // Of the times between the moments of `walls`; nothing: no rate is in force.
    [[nodiscard]] const std::array<std::optional<Decimal>, walls.size() + 1>& rates() const { return rates_; }
    [[nodiscard]] const std::set<std::string>& forgotten() const { return forgotten_; }
    // Runs that retention removes, if all are old enough.
    [[nodiscard]] std::vector<std::string> runs_to_remove() const;
    // Otherwise it is refused.
    [[nodiscard]] bool may_close(const Close& command) const;
    // Runs that Settle is about, forgotten ones under their pseudonyms.
    [[nodiscard]] std::vector<std::string> runs_of(const Settle& command) const;

    // Queues every run, as if there were news of each.
    void queue_all();

private:
    void run(const Apply& command);
    void run(const Copy& command);
    void run(const Conflict& command);
    void run(const Replay& command);
    void run(const Retire& command);
    void run(const Insert& command);
    void run(const Change& command);
    void run(const Resave& command);
    void run(const SaveOld& command);
    void run(const Hold& command);
    void run(const Release& command);
    void run(const Delete& command);
    void run(const Edit& command);
    void run(const RateChange& command);
    void run(const Reprice& command);
    void run(const Forget& command);
    void run(const ForgetChat& command);
    void run(const Settle& command);
    void run(const Report& command);
    void run(const Tell& command);
    void run(const Expire& command);
    void run(const DropDay& command);
    void run(const Close& command);

    // model_intake.cpp
    // One by one: each event is compared with what stood before it, so that a run can be queued for nothing.
    void take(const std::vector<BatchPlan>& turn, bool one_by_one = false);
    void queue_changed(const std::map<std::string, RunFacts>& before);
    [[nodiscard]] std::map<std::string, RunFacts> all_facts() const;
    void take_event(const News& news, Segment& segment);
    [[nodiscard]] bool is_settled(const std::string& run) const;
    [[nodiscard]] bool is_removed(const std::string& run) const;
    [[nodiscard]] std::string name_now(int run) const;

    // model_settle.cpp
    enum class Settled { done, locked };
    Settled settle(const std::string& run);
    Settled reopen_rows_of(const std::string& run);
    [[nodiscard]] std::optional<std::int64_t> row_of(const std::string& run) const;
    bool reopen(std::int64_t id);
    void report_edit(Row& row, const Settlement& s);
    void settle_first(std::int64_t id, const std::string& run);
    [[nodiscard]] Settlement settlement_of(const Row& row, const std::string& run, const Settlement* last) const;
    void price(Settlement& s, const Row& row, const Settlement* last, bool is_success) const;
    [[nodiscard]] std::optional<Decimal> rate_in_force(const std::string& gpu, Instant at) const;
    void notify_again(std::int64_t id, const Settlement& last, const Settlement& s);
    void correct(std::int64_t id, const Settlement& s);
    // Without a result, as one that was inserted; what it had before is another row's.
    void renew(Row& row);
    // What the application wrote into the row. If it names a forgotten run, it names the pseudonym, unless another row
    // does, and nobody.
    void scrub(Row& row);
    void forget(std::int64_t id);
    [[nodiscard]] std::set<std::string> runs_to_forget(std::int64_t id) const;

    // model_periods.cpp
    void write(Row& row, const Settlement& s);
    [[nodiscard]] std::map<std::string, Settlement> billed() const;
    // The settlement of this number was written.
    void post(const std::string& run, std::size_t number);
    void rename_in_months(const std::set<std::string>& runs);
    void add_months_to(Rows& rows) const;

    std::map<int, Segment> segments_{};
    std::array<int, segment_count> current_{1, 2};
    int last_segment_{segment_count};
    std::vector<BatchPlan> batches_{};
    // Of each member of a group: which, and whether it has ended.
    using Members = std::map<std::int64_t, std::pair<Group, bool>>;
    [[nodiscard]] Members members() const;
    void tell_groups(const Members& before);

    std::map<Group, GroupState> groups_{};
    std::set<Group> reopened_{};  // By the command under way.
    std::map<std::string, Run> runs_{};
    std::map<std::string, std::set<std::string>> reports_{};
    std::int64_t events_stored_{};
    std::int64_t events_applied_{};
    std::int64_t events_aside_{};
    std::vector<BatchPlan> batches_aside_{};
    std::map<std::string, int> renamed_{};  // The segments of batches that were replayed, by what they hold.
    std::map<std::int64_t, Row> rows_{};
    std::array<std::int64_t, row_count> rows_made_{};
    std::map<std::int64_t, std::vector<Settlement>> settlements_of_deleted_{};
    std::optional<std::int64_t> held_{};
    std::array<std::optional<Decimal>, walls.size() + 1> rates_{};
    std::set<std::string> queue_{};
    std::map<NotificationKey, Notification> notifications_{};
    std::size_t notifications_made_{};
    std::set<std::string> forgotten_{};
    std::size_t settlements_made_{};
    std::map<int, std::string> closed_{};                         // The sums of each closed month.
    std::map<std::pair<std::string, int>, Settlement> stated_{};  // By run and month, with all corrections.
    std::set<std::size_t> stood_on_{};                            // Settlements that retention keeps.
};

// The last settlement that was written to the row.
[[nodiscard]] const Settlement* last_written(const Row& row);

// How the ledger names it.
[[nodiscard]] const char* word_of(Gpu gpu);
[[nodiscard]] std::string chat_of(Chat chat);
[[nodiscard]] const char* word_of(Group group);
// metadata, as the application writes it.
[[nodiscard]] std::string metadata_of(const Row& row);

}  // namespace runledger::test::whole_ledger
