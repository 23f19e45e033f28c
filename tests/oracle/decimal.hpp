// Exact decimal numbers, for an oracle of money that shares no arithmetic with PostgreSQL or the daemon.
//
// Invariant: a value is unscaled / 10^scale exactly; whatever does not fit 128 bits throws std::overflow_error and is
// never rounded in silence. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runledger::test {

__extension__ using Int128 = __int128;

class Decimal {
public:
    constexpr Decimal() = default;
    // unscaled / 10^scale; scale >= 0.
    Decimal(Int128 unscaled, int scale);

    // "0.000337", "-12", "4e-05"; nothing for anything else, NaN and blanks included.
    [[nodiscard]] static std::optional<Decimal> parse(std::string_view text);

    [[nodiscard]] Int128 unscaled() const noexcept { return unscaled_; }
    [[nodiscard]] int scale() const noexcept { return scale_; }
    [[nodiscard]] bool is_negative() const noexcept { return unscaled_ < 0; }
    [[nodiscard]] std::string text() const;  // Without trailing zeros: "0.001685".

    // By value: 1.50 equals 1.5.
    friend bool operator==(const Decimal&, const Decimal&) = default;

private:
    Int128 unscaled_{};  // No trailing zeros while scale > 0.
    int scale_{};
};

// amount × duration / unit, rounded to 12 places, half away from zero. The unit is positive, the amount not negative.
struct CostTerms {
    Decimal amount{};
    std::int64_t duration_us{};
    std::int64_t unit_us{};
};
[[nodiscard]] Decimal cost_of(const CostTerms& terms);

// Microseconds as milliseconds with three decimals, exactly.
[[nodiscard]] Decimal milliseconds_of(std::int64_t microseconds);

}  // namespace runledger::test
