// `runledger refused …`: what an operator does with the folder of runledger_refused, in use or not.
//
// Each command is a function of what the command line says; it writes its result to `out` and throws RefusedError
// where it can't do what it was asked, Misused where the command line does not say what is meant. None needs the daemon
// or the database.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

// Which bodies of a folder are meant: those that all of these say.
struct RefusedChoice {
    std::vector<std::string> digests;  // Beginnings of digests of wrong tokens, or "none" for no token. Empty: any.
    std::string reason;                // "token" or "json". Empty: any.
    std::optional<WallTime> since;     // Received then or later.
    std::optional<WallTime> until;     // Received before then.
    bool all{false};                   // Said so, where nothing else is.

    [[nodiscard]] bool says_something() const { return all || !digests.empty() || !reason.empty() || since || until; }
};

struct ListRefusedOptions {
    std::filesystem::path folder;
    RefusedChoice choice;
    bool each{false};
};
// A line for each wrong token and each other reason; or for each body, as always in JSON.
int list_refused(const ListRefusedOptions& options, Output& out);

struct ShowRefusedOptions {
    std::filesystem::path folder;
    std::string id;  // A file's name, or the beginning of just one.
};
// One body, and all that is known of its request, as JSON. Throws NotThere if no id begins so.
int show_refused(const ShowRefusedOptions& options, Output& out);

struct TakeRefusedOptions {
    std::filesystem::path folder;
    std::filesystem::path spool;  // Of an nginx, running or not.
    RefusedChoice choice;
};
// Puts the chosen events into the spool, whose nginx sends them within a second or two, and removes them here. What
// holds no event stays. exit_no if any of the chosen stays.
int take_refused(const TakeRefusedOptions& options, Output& out);

struct DropRefusedOptions {
    std::filesystem::path folder;
    RefusedChoice choice;
};
// Removes the chosen bodies for good.
int drop_refused(const DropRefusedOptions& options, Output& out);

}  // namespace runledger::tool
