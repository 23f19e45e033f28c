// What every option of the tool refuses, whichever command has it: an empty value, which would choose all where one was
// meant (`--older-than "$AGE"` with AGE unset), and a number that is not written as one: CLI11 takes 010 for 8 and 0x10
// for 16, cuts what is too large to the largest, and has -1 wrap where no sign is possible. An id that is another row's
// is worse than none.
//
// One thread.
#pragma once

#include <CLI/CLI.hpp>

namespace runledger::tool {

// Adds it to the options of the app and of all its subcommands; call it when all of them are there.
void be_strict(CLI::App& app);

}  // namespace runledger::tool
