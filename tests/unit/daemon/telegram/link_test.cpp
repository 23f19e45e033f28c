#include "daemon/telegram/link.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace runledger::telegram {
namespace {

using std::chrono::seconds;

struct Expiry {
    const char* name;
    const char* url;
    std::optional<long> at;  // Unix seconds.
};

class Expiries : public testing::TestWithParam<Expiry> {};

TEST_P(Expiries, AreReadFromTheQuery) {
    const auto expiry = find_link_expiry(GetParam().url);

    EXPECT_EQ(expiry, GetParam().at ? std::optional(LinkTime{seconds{*GetParam().at}}) : std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(
    All, Expiries,
    testing::Values(Expiry{"amazon", "https://h/a?X-Amz-Date=20250829T023538Z&X-Amz-Expires=3600&x=1", 1'756'438'538},
                    Expiry{"in_other_cases_and_order", "https://h/a?x-amz-expires=60&X-AMZ-DATE=20250829T023538Z",
                           1'756'434'998},
                    Expiry{"google", "https://h/a?X-Goog-Expires=3600&X-Goog-Date=20250829T023538Z", 1'756'438'538},
                    Expiry{"seconds", "https://h/a?Signature=s&Expires=1756438538", 1'756'438'538},
                    Expiry{"none", "https://h/a.png", std::nullopt},
                    Expiry{"empty_query", "https://h/a.png?", std::nullopt},
                    Expiry{"in_the_fragment", "https://h/a#?Expires=1756438538", std::nullopt},
                    Expiry{"no_date", "https://h/a?X-Amz-Expires=3600", std::nullopt},
                    Expiry{"no_such_day", "https://h/a?X-Amz-Date=20250230T023538Z&X-Amz-Expires=3600", std::nullopt},
                    Expiry{"a_word", "https://h/a?Expires=never", std::nullopt},
                    Expiry{"a_small_number", "https://h/a?Expires=3600", std::nullopt},
                    Expiry{"negative", "https://h/a?X-Amz-Date=20250829T023538Z&X-Amz-Expires=-1", std::nullopt}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace runledger::telegram
