#include "daemon/telegram/options.hpp"

#include <gtest/gtest.h>

#include "daemon/telegram/compose.hpp"
#include "daemon/telegram/notice.hpp"

namespace runledger::telegram {
namespace {

SettlementNotice notice_of(const std::string& hints, const std::string& status = "completed") {
    return read_notice({.kind = NoticeKind::ending,
                        .run_id = "run-1",
                        .payload = R"({"status": ")" + status + R"(", "generation_id": 7, "hints": )" + hints + "}"})
        .value();
}

struct Odd {
    const char* name;
    const char* hints;
    const char* left_out;
};

void PrintTo(const Odd& odd, std::ostream* out) { *out << odd.name; }

class OddHints : public testing::TestWithParam<Odd> {};

TEST_P(OddHints, AreLeftOutAndNamed) { EXPECT_EQ(notice_of(GetParam().hints).left_out, GetParam().left_out); }

INSTANTIATE_TEST_SUITE_P(
    Options, OddHints,
    testing::Values(Odd{"none", "null", ""}, Odd{"empty", "{}", ""}, Odd{"others", R"({"mine": [1]})", ""},
                    Odd{"nulls", R"({"disable_notification": null, "protect_content": null})", ""},
                    Odd{"a_reason", R"("metadata.deliveryHints.telegram is no object")",
                        "metadata.deliveryHints.telegram is no object"},
                    Odd{"silence_as_number", R"({"disable_notification": 1})",
                        "metadata.deliveryHints.telegram.disable_notification is neither true nor false"},
                    Odd{"protection_as_text", R"({"protect_content": "yes"})",
                        "metadata.deliveryHints.telegram.protect_content is neither true nor false"}),
    [](const auto& row) { return row.param.name; });

struct Silence {
    const char* name;
    const char* status;
    const char* hints;
    OptionDefaults defaults;
    bool is_silent;
    bool is_protected;
};

void PrintTo(const Silence& silence, std::ostream* out) { *out << silence.name; }

class Silences : public testing::TestWithParam<Silence> {};

TEST_P(Silences, AreTheRecordsOrElseTheConfigurations) {
    const Silence& given = GetParam();

    const auto parts = compose(notice_of(given.hints, given.status), Wording{}, {}, given.defaults);

    ASSERT_EQ(parts.size(), 1U);
    EXPECT_EQ(parts[0].is_silent, given.is_silent);
    EXPECT_EQ(parts[0].is_protected, given.is_protected);
}

INSTANTIATE_TEST_SUITE_P(
    Options, Silences,
    testing::Values(Silence{"default", "completed", "null", {}, false, false},
                    Silence{"success", "completed", "null", {.silent_success = true}, true, false},
                    Silence{"failure_is_loud", "failed", "null", {.silent_success = true}, false, false},
                    Silence{"failure", "failed", "null", {.silent_failure = true}, true, false},
                    Silence{"cancelled_as_failure", "cancelled", "null", {.silent_failure = true}, true, false},
                    Silence{"success_is_loud", "completed", "null", {.silent_failure = true}, false, false},
                    Silence{"record_silences", "failed", R"({"disable_notification": true})", {}, true, false},
                    Silence{"record_is_loud",
                            "completed",
                            R"({"disable_notification": false})",
                            {.silent_success = true},
                            false,
                            false},
                    Silence{"protected_by_all", "failed", "null", {.protect_content = true}, false, true},
                    Silence{"protected_by_the_record", "completed", R"({"protect_content": true})", {}, false, true},
                    Silence{"open_by_the_record",
                            "completed",
                            R"({"protect_content": false})",
                            {.protect_content = true},
                            false,
                            false}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace runledger::telegram
