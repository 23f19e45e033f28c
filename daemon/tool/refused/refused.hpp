// The words of `runledger refused …`, for CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "daemon/tool/output/output.hpp"
#include "daemon/tool/refused/commands.hpp"

namespace runledger::tool {

// Must outlive the app's parsing, which writes into it.
class RefusedCli {
public:
    explicit RefusedCli(CLI::App& app);
    RefusedCli(const RefusedCli&) = delete;
    RefusedCli& operator=(const RefusedCli&) = delete;

    [[nodiscard]] bool parsed() const { return command_->parsed(); }
    // Does what was parsed; returns what main() is to return.
    int run(Output& out);

private:
    // The words of a choice, as they were typed.
    struct ChoiceWords {
        RefusedChoice choice;
        std::string since;
        std::string until;
    };
    static void add_choice(CLI::App& command, ChoiceWords& words);
    [[nodiscard]] static RefusedChoice read(const ChoiceWords& words);

    ListRefusedOptions list_;
    ShowRefusedOptions show_;
    TakeRefusedOptions take_;
    DropRefusedOptions drop_;
    ChoiceWords list_words_;
    ChoiceWords take_words_;
    ChoiceWords drop_words_;
    CLI::App* command_;
    CLI::App* list_command_;
    CLI::App* show_command_;
    CLI::App* take_command_;
    CLI::App* drop_command_;
};

}  // namespace runledger::tool
