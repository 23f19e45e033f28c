// Waiting for what another process or thread will bring about, without a sleep of guessed length.
//
// A bounded poll: returns as soon as the predicate holds, throws with its sentence when the time is over.
// Any thread; the predicate runs on the caller's.
#pragma once

#include <chrono>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace runledger::test {

// The sentence did not come true in time. GoogleTest reports it as the test's failure.
struct NeverHappened : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Thrown by a predicate: it can't come true any more, so the rest of the patience is spared.
struct Hopeless : std::runtime_error {
    using std::runtime_error::runtime_error;
};

#if defined(RUNLEDGER_SANITIZED)
inline constexpr bool is_built_sanitized = true;
#else
inline constexpr bool is_built_sanitized = false;
#endif

// Whether the tests, or the module that they load into nginx, are sanitized.
inline const bool is_sanitized = is_built_sanitized || std::getenv("RUNLEDGER_SANITIZED_TREE") != nullptr;

// Sanitized programs run several times slower; every patience is multiplied by this.
inline const int patience_factor = is_sanitized ? 4 : 1;

inline constexpr std::chrono::milliseconds default_patience{10'000};

// Polls every few milliseconds. An exception of the predicate counts as "not yet" and is quoted at the end, so that
// a server that is just restarting may be asked; only Hopeless ends the wait.
// `describe`, where given, is asked once, at the failure: what was seen instead.
void eventually(std::string_view sentence, const std::function<bool()>& predicate,
                std::chrono::milliseconds patience = default_patience,
                const std::function<std::string()>& describe = {});

// As eventually(), but says false instead of throwing.
[[nodiscard]] bool comes_true(const std::function<bool()>& predicate, std::chrono::milliseconds patience);

}  // namespace runledger::test
