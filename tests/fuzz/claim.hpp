// What a fuzzer holds to be true of every input. A false claim says its sentence and stops the program, which is how
// libFuzzer, and the replay of the corpus, learn that they found something. Any thread.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace runledger::fuzz {

inline void claim(bool is_true, std::string_view sentence) {
    if (!is_true) {
        static_cast<void>(
            std::fprintf(stderr, "not true of this input: %.*s\n", static_cast<int>(sentence.size()), sentence.data()));
        std::abort();
    }
}

}  // namespace runledger::fuzz
