#include "tests/oracle/decimal.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace runledger::test {
namespace {

constexpr int cost_scale = 12;

Int128 times(Int128 a, Int128 b) {
    Int128 product = 0;
    if (__builtin_mul_overflow(a, b, &product)) {
        throw std::overflow_error("Decimal");
    }
    return product;
}

Int128 power_of_ten(int exponent) {
    Int128 power = 1;
    for (int i = 0; i < exponent; ++i) {
        power = times(power, 10);
    }
    return power;
}

// Half away from zero; the divisor is positive.
Int128 divide_rounded(Int128 dividend, Int128 divisor) {
    Int128 quotient = dividend / divisor;
    Int128 remainder = dividend % divisor;
    const int sign = dividend < 0 ? -1 : 1;
    remainder = remainder < 0 ? -remainder : remainder;
    // remainder >= divisor / 2, without doubling what may be large or halving what may be odd.
    if (remainder >= divisor - remainder) {
        quotient += sign;
    }
    return quotient;
}

}  // namespace

Decimal::Decimal(Int128 unscaled, int scale) : unscaled_(unscaled), scale_(scale) {
    if (scale < 0) {
        unscaled_ = times(unscaled_, power_of_ten(-scale));
        scale_ = 0;
    }
    while (scale_ > 0 && unscaled_ % 10 == 0) {
        unscaled_ /= 10;
        --scale_;
    }
}

std::optional<Decimal> Decimal::parse(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) {
        text.remove_prefix(1);
    }
    int exponent = 0;
    if (const std::size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
        std::string_view digits = text.substr(e + 1);
        if (digits.starts_with('+')) {
            digits.remove_prefix(1);
        }
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
        if (error != std::errc{} || end != digits.data() + digits.size()) {
            return std::nullopt;
        }
        text = text.substr(0, e);
    }
    Int128 unscaled = 0;
    int scale = 0;
    bool after_point = false;
    bool has_digit = false;
    for (const char c : text) {
        if (c == '.' && !after_point) {
            after_point = true;
        } else if (c >= '0' && c <= '9') {
            unscaled = times(unscaled, 10) + (c - '0');
            scale += after_point ? 1 : 0;
            has_digit = true;
        } else {
            return std::nullopt;
        }
    }
    if (!has_digit) {
        return std::nullopt;
    }
    return Decimal(negative ? -unscaled : unscaled, scale - exponent);
}

std::string Decimal::text() const {
    std::string digits;
    Int128 rest = unscaled_ < 0 ? -unscaled_ : unscaled_;
    do {
        digits += static_cast<char>('0' + static_cast<int>(rest % 10));
        rest /= 10;
    } while (rest > 0);
    while (static_cast<int>(digits.size()) <= scale_) {
        digits += '0';
    }
    if (scale_ > 0) {
        digits.insert(static_cast<std::size_t>(scale_), ".");
    }
    if (unscaled_ < 0) {
        digits += '-';
    }
    std::reverse(digits.begin(), digits.end());
    return digits;
}

Decimal cost_of(const CostTerms& terms) {
    if (terms.unit_us <= 0) {
        throw std::invalid_argument("cost_of: a unit of time is positive");
    }
    // unscaled × duration × 10^12 / (unit × 10^scale), in whole numbers up to the one division.
    Int128 dividend = times(terms.amount.unscaled(), terms.duration_us);
    Int128 divisor = terms.unit_us;
    if (terms.amount.scale() <= cost_scale) {
        dividend = times(dividend, power_of_ten(cost_scale - terms.amount.scale()));
    } else {
        divisor = times(divisor, power_of_ten(terms.amount.scale() - cost_scale));
    }
    return {divide_rounded(dividend, divisor), cost_scale};
}

Decimal milliseconds_of(std::int64_t microseconds) { return {microseconds, 3}; }

}  // namespace runledger::test
