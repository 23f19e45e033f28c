// Promise 3 for the whole ledger: after any commands, in any order, every row, sum, view and notification is as a small
// pure model says.
//
// rapidcheck draws the commands and shrinks them; a failure prints its seed, the commands that are left and the first
// row that differs. RUNLEDGER_LEDGER_CASES says how many sequences; RC_PARAMS is rapidcheck's own. Without either, the
// sequences are always the same.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/property/ledger/product.hpp"
#include "tests/support/environment.hpp"

namespace runledger::test::whole_ledger {
namespace {

constexpr int commands_max = 45;

// ./test tries the same sequences each time, so that a failure is caused by a change; they take less than 40 s. A
// campaign has a random seed, which rapidcheck prints.
constexpr int usual_cases = 35;
constexpr int usual_seed = 20240229;

// rapidcheck reads its parameters once, when the first property is tried. RC_PARAMS goes first.
const bool parameters_are_set = [] {
    const int cases = from_environment("RUNLEDGER_LEDGER_CASES", 0);
    const std::string parameters = cases == 0 ? fmt::format("max_success={} seed={}", usual_cases, usual_seed)
                                              : fmt::format("max_success={}", cases);
    return setenv("RC_PARAMS", parameters.c_str(), 0) == 0;
}();

using Commands = std::vector<Command>;

Product& product() {
    static Product product("whole_ledger");
    return product;
}
Product& other_product() {
    static Product product("whole_ledger_permuted");
    return product;
}

// The first row that differs; empty where none does.
std::string first_difference(const Rows& must_be, const Rows& is) {
    for (const auto& [key, text] : must_be) {
        const auto found = is.find(key);
        if (found == is.end() || found->second != text) {
            return fmt::format("\n  {}\n    must be: {}\n    is:      {}", key, text,
                               found == is.end() ? "absent" : found->second);
        }
    }
    for (const auto& [key, text] : is) {
        if (!must_be.contains(key)) {
            return fmt::format("\n  {}\n    must be: absent\n    is:      {}", key, text);
        }
    }
    return "";
}

class Pair {
public:
    explicit Pair(Product& product) : product_(product) { product_.empty(); }

    // Empty where the two agree.
    [[nodiscard]] std::string run(const Command& command, bool is_looked_at = true) {
        try {
            product_.run(command, model_);
        } catch (const std::exception& error) {
            return fmt::format("\n  refused: {}", error.what());
        }
        model_.run(command);
        return !is_looked_at ? "" : first_difference(model_.rows(), product_.rows(model_.forgotten()));
    }
    // Looks at the rows after each, or only after the last one.
    enum class Look { after_each, at_the_end };
    [[nodiscard]] std::string run(const Commands& commands, Look look = Look::after_each) {
        for (std::size_t i = 0; i < commands.size(); ++i) {
            const bool is_looked_at = look == Look::after_each || i + 1 == commands.size();
            if (const std::string difference = run(commands[i], is_looked_at); !difference.empty()) {
                return fmt::format("after command {}, {}:{}", i, text_of(commands[i]), difference);
            }
        }
        return "";
    }
    // Works off what waits; then settles all again, which changes nothing.
    [[nodiscard]] std::string end() {
        const Settle all{.runs = (1 << run_count) - 1, .together = true};
        if (std::string difference = run(Commands{Release{}, all}); !difference.empty()) {
            return "at the end " + difference;
        }
        // A rate that came since is taken by the first time.
        for (const bool together : {true, false}) {
            queue_all();
            if (std::string difference = run(Settle{.runs = all.runs, .together = together}); !difference.empty()) {
                return "settled again:" + difference;
            }
        }
        const Rows before = product_.rows(model_.forgotten());
        queue_all();
        if (std::string difference = run(all); !difference.empty()) {
            return "settled again:" + difference;
        }
        if (std::string difference = first_difference(before, product_.rows(model_.forgotten())); !difference.empty()) {
            return "settling again changed something:" + difference;
        }
        return "";
    }
    [[nodiscard]] Rows rows() { return product_.rows(model_.forgotten()); }

private:
    void queue_all() {
        product_.queue_all();
        model_.queue_all();
    }

    Product& product_;
    Model model_;
};

std::string run_all(Product& product, const Commands& commands) {
    Pair pair(product);
    std::string difference = pair.run(commands);
    return difference.empty() ? pair.end() : difference;
}

rc::Gen<Commands> some_commands(rc::Gen<Command> command) {
    return rc::gen::resize(commands_max, rc::gen::container<Commands>(std::move(command)));
}

RC_GTEST_PROP(WholeLedger, SaysWhatTheModelSaysAfterEachCommand, ()) {
    auto commands = *rc::gen::resize(3, rc::gen::container<Commands>(some_rate_change()));
    for (const Command& command : *some_commands(some_command())) {
        commands.push_back(command);
    }
    const std::string difference = run_all(product(), commands);
    if (!difference.empty()) {
        RC_FAIL(difference);
    }
}

// Settled runs, and the months that they ended in closed.
Commands closed_months() {
    Commands commands{RateChange{0, 6, 1}};
    for (int run = 0; run < run_count; ++run) {
        commands.push_back(Insert{.row = run,
                                  .run = run,
                                  .rate = run == 0 ? static_cast<int>(Rate::of_a_second) : 0,
                                  .gpu = run == 0 ? 0 : static_cast<int>(Gpu::priced)});
        commands.push_back(Apply{
            .events = {{.run = run, .status = 0}, {.run = run, .status = 1, .wall = run + 1, .boottime = run + 1}}});
    }
    commands.push_back(Settle{.runs = (1 << run_count) - 1});
    for (int month = 0; month < static_cast<int>(months.size()); ++month) {
        commands.push_back(Close{month});
    }
    return commands;
}

RC_GTEST_PROP(WholeLedger, ChangesNoClosedMonthAndItsCorrectionsAddUp, ()) {
    Commands commands = closed_months();
    for (const Command& command : *rc::gen::resize(25, rc::gen::container<Commands>(some_command_after_a_closing()))) {
        commands.push_back(command);
    }
    const std::string difference = run_all(product(), commands);
    if (!difference.empty()) {
        RC_FAIL(difference);
    }
}

// But for the audit and what people are told, which depend on when things were settled, and the books of segments,
// which do on how events were batched.
Rows that_commute(Rows rows) {
    std::erase_if(rows, [](const auto& row) {
        return row.first.starts_with("settlements ") || row.first.starts_with("notification ") ||
               row.first.starts_with("group ") || row.first.starts_with("books ");
    });
    return rows;
}

RC_GTEST_PROP(WholeLedger, HasTheSameRowsInWhateverOrderEventsRowsAndSettlementsCome, ()) {
    const auto rates = *rc::gen::resize(3, rc::gen::container<Commands>(some_rate_change()));
    auto commands = *some_commands(some_commutable_command());
    const auto seed = *rc::gen::arbitrary<std::uint32_t>();
    const auto run = [&rates](Pair& pair, const Commands& rest) {
        std::string difference = pair.run(rates, Pair::Look::at_the_end);
        if (difference.empty()) {
            difference = pair.run(rest, Pair::Look::at_the_end);
        }
        return difference.empty() ? pair.end() : difference;
    };
    Pair pair(product());
    std::string difference = run(pair, commands);
    if (!difference.empty()) {
        RC_FAIL(difference);
    }
    // A row is inserted once: the first time counts.
    std::set<int> inserted;
    std::erase_if(commands, [&inserted](const Command& command) {
        const auto* insert = std::get_if<Insert>(&command);
        return insert != nullptr && !inserted.insert(insert->row).second;
    });
    std::mt19937 random(seed);
    std::shuffle(commands.begin(), commands.end(), random);
    Pair permuted(other_product());
    difference = run(permuted, commands);
    if (difference.empty()) {
        difference = first_difference(that_commute(pair.rows()), that_commute(permuted.rows()));
    }
    if (!difference.empty()) {
        std::string text;
        for (const Command& command : commands) {
            text += "\n    " + text_of(command);
        }
        RC_FAIL("permuted as" + text + "\n" + difference);
    }
}

constexpr int success = 1;
constexpr int failed = 2;
constexpr int failed_with_words = 3;
constexpr int gpu_priced = static_cast<int>(Gpu::priced);
constexpr int rate_of_a_second = static_cast<int>(Rate::of_a_second);

Apply event(const News& news) { return {.events = {news}}; }
Settle settle_all() { return {.runs = (1 << run_count) - 1}; }

// The commands that showed a fault which is mended. The few sequences of ./test do not draw them.
struct MendedFault {
    const char* name;
    Commands commands;
};
void PrintTo(const MendedFault& fault, std::ostream* out) { *out << fault.name; }

std::vector<MendedFault> mended_faults() {
    const News running{.run = 0, .status = 0};
    const News ending{.run = 0, .status = success, .wall = 3, .boottime = 3};
    const News earlier_ending{.run = 0, .status = success, .wall = 1, .boottime = 2};
    const News failure{.run = 0, .status = failed_with_words, .wall = 3, .boottime = 3};
    const Insert priced{.row = 0, .run = 0, .rate = rate_of_a_second};
    const auto to_run = [](int run) { return Change{.row = 0, .what = Change::run, .value = run}; };
    const auto ending_at = [](int moment, int status) {
        return News{.run = 0, .status = status, .wall = moment, .boottime = moment};
    };
    return {
        {"rate_stays_when_ending_moves",
         {RateChange{0, 2, 1}, RateChange{3, 6, 2}, Insert{.row = 0, .run = 0, .gpu = gpu_priced}, event(running),
          event(ending), settle_all(), event(earlier_ending), settle_all()}},
        {"price_of_a_removed_run_is_withdrawn",
         {priced, event(running), event(ending), settle_all(), Expire{Expire::runs},
          Change{.row = 0, .what = Change::run, .value = run_count}, Insert{.row = 1, .run = 0}, settle_all()}},
        {"errors_of_other_boots_are_not_forgotten",
         {priced, event(failure), event({.run = 0, .status = success, .wall = 0, .boottime = 3, .boot = 1}),
          settle_all(), Forget{0}, event({.run = 0, .status = success, .wall = 5, .boottime = 0, .boot = 1}),
          settle_all()}},
        {"balance_counts_what_is_left", {event(running), DropDay{}}},
        {"reason_of_a_forgotten_run_stays_away",
         {priced, event({.run = 0, .status = failed}), settle_all(), Forget{0}, settle_all()}},
        {"report_brings_no_run_back",
         {priced, event(running), event(ending), settle_all(), Expire{Expire::runs},
          Report{.run = 0, .status = success}}},
        {"report_brings_no_person_back", {priced, event(running), Forget{0}, Report{.run = 0, .status = success}}},
        {"forgetting_a_row_spares_runs_that_others_name",
         {priced, event(running), event(ending), settle_all(),
          Change{.row = 0, .what = Change::run, .value = run_count},
          Insert{.row = 1, .run = 0, .rate = rate_of_a_second}, settle_all(), Forget{0}}},
        {"second_row_of_a_forgotten_run_is_forgotten", {priced, Forget{0}, Insert{.row = 1, .run = 0}, Forget{1}}},
        {"row_that_a_forgotten_run_had_settled_is_withdrawn",
         {priced, event(running), event(ending), settle_all(),
          Change{.row = 0, .what = Change::run, .value = run_count},
          Insert{.row = 1, .run = 0, .rate = rate_of_a_second}, Forget{1}, settle_all()}},
        {"batch_of_a_retired_segments_name_is_not_taken_for_its_copy",
         {priced, event(running), event(ending), Conflict{1}, Retire{0}, Replay{1}, settle_all()}},
        {"run_stays_while_a_turn_looks_at_it",
         {priced, event(running), event(ending), settle_all(), Expire{.what = Expire::runs, .beside_a_turn = true}}},
        {"batch_is_replayed_once", {event(running), Conflict{0}, Conflict{0}, Replay{1}, Replay{1}, Replay{0}}},
        {"batch_of_a_forgotten_run_is_replayed_under_its_pseudonym",
         {priced, event(running), Conflict{0}, Forget{0}, Conflict{0}, Replay{1}, Replay{2}, settle_all()}},
        {"row_that_is_pending_again_is_tried_again",
         {priced, event(running), event(ending), settle_all(), Edit{.row = 0, .what = Edit::status}, to_run(1),
          settle_all()}},
        {"row_is_given_to_another_run_in_two_steps",
         {priced, event(running), event(ending), settle_all(), to_run(run_count), settle_all(), to_run(1),
          settle_all()}},
        {"deleted_row_stays_billed_if_its_id_is_used_again",
         {priced, event(running), event(ending), settle_all(), Resave{.row = 0, .run = 1}, settle_all(), Close{1},
          event({.run = 1, .status = success, .wall = 4, .boottime = 4}), settle_all()}},
        {"row_is_saved_by_a_deletion_and_an_insertion",
         {priced, event(running), event(ending), settle_all(), Resave{.row = 0, .run = 0}, settle_all(), to_run(1),
          settle_all()}},
        {"forgotten_row_is_saved_again_as_it_was",
         {priced, event(running), event(ending), settle_all(), Forget{0}, SaveOld{.row = 0}, settle_all(),
          event(earlier_ending), settle_all(), SaveOld{.row = 0, .is_inserted = true}, settle_all()}},
        {"row_is_given_to_a_forgotten_run",
         {priced, event(running), Forget{0}, Insert{.row = 1, .run = 1, .group = 1}, settle_all(),
          Change{.row = 1, .what = Change::run, .value = 0}, settle_all()}},
        {"status_changes_more_than_once",
         {Insert{.row = 0, .run = 0, .chat = 1}, event(ending_at(5, success)), settle_all(), Tell{},
          event(ending_at(4, failed)), settle_all(), Tell{}, event(ending_at(3, success)), settle_all(), Tell{},
          event(ending_at(2, failed)), settle_all()}},
        {"row_comes_back_to_a_run_that_ended_in_another_way",
         {Insert{.row = 0, .run = 0, .chat = 1}, event(ending_at(5, success)), settle_all(), Tell{}, to_run(1),
          settle_all(), event(ending_at(4, failed)), to_run(0), settle_all()}},
        {"cost_that_the_application_gave_is_kept",
         {Insert{.row = 0, .run = 0, .status = 3}, event(running), event(ending), settle_all(), event(earlier_ending),
          settle_all()}},
    };
}

class MendedFaultOfTheLedger : public testing::TestWithParam<MendedFault> {};

TEST_P(MendedFaultOfTheLedger, StaysMended) { EXPECT_EQ(run_all(product(), GetParam().commands), ""); }

INSTANTIATE_TEST_SUITE_P(WholeLedger, MendedFaultOfTheLedger, testing::ValuesIn(mended_faults()),
                         [](const auto& mended) { return mended.param.name; });

}  // namespace
}  // namespace runledger::test::whole_ledger
