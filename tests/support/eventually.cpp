#include "tests/support/eventually.hpp"

#include <fmt/format.h>

#include <exception>
#include <thread>

namespace runledger::test {
namespace {

struct Poll {
    bool came_true{};
    std::string last_error;
    bool hopeless{};
};

Poll poll(const std::function<bool()>& predicate, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience * patience_factor;
    std::chrono::milliseconds pause{1};
    Poll result;
    while (true) {
        const bool last_look = std::chrono::steady_clock::now() >= deadline;
        try {
            if (predicate()) {
                return {.came_true = true, .last_error = {}, .hopeless = false};
            }
            result.last_error.clear();
        } catch (const Hopeless& e) {
            return {.came_true = false, .last_error = e.what(), .hopeless = true};
        } catch (const std::exception& e) {
            result.last_error = e.what();  // Not yet: what is asked may be restarting. Quoted if it stays so.
        }
        if (last_look) {
            return result;
        }
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, std::chrono::milliseconds{20});
    }
}

}  // namespace

void eventually(std::string_view sentence, const std::function<bool()>& predicate, std::chrono::milliseconds patience,
                const std::function<std::string()>& describe) {
    const Poll result = poll(predicate, patience);
    if (result.came_true) {
        return;
    }
    std::string text = result.hopeless
                           ? fmt::format("never: {}", sentence)
                           : fmt::format("not within {} ms: {}", (patience * patience_factor).count(), sentence);
    if (!result.last_error.empty()) {
        text += fmt::format("\nthe last look failed with: {}", result.last_error);
    }
    if (describe) {
        text += "\nseen instead: " + describe();
    }
    throw NeverHappened(text);
}

bool comes_true(const std::function<bool()>& predicate, std::chrono::milliseconds patience) {
    return poll(predicate, patience).came_true;
}

}  // namespace runledger::test
