// How many instructions of ours an event costs in each of the pure functions that it goes through, counted by callgrind
// and pinned, so that a slip shows on any machine, however busy. The pins are of GCC 12's code: another compiler counts
// otherwise. What libraries do for us (libc, xxHash) is not counted: which of their variants runs depends on the
// processor.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include "tests/support/process.hpp"
#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

// Instructions an event, averaged over tests/data/payloads/wire. Changed on purpose only: a figure that has become
// better is pinned anew, too, so that it stays.
const std::map<std::string, double> pinned{
    {"validate", 10'544.0}, {"decode", 11'083.4}, {"encode", 236.9}, {"read_batch", 201.6}, {"fold", 1647.0},
};
constexpr double margin = 0.05;
constexpr std::chrono::seconds patience{60};  // It takes two.

// The instructions that one dump of callgrind's counts in the program's own file, whoever called them.
double own_instructions(const std::string& dump, const std::string& program) {
    std::istringstream lines(dump);
    double sum = 0;
    bool is_own = false;
    bool is_of_callee = false;  // What a call cost, all in all, stands in the line after it.
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("ob=")) {
            is_own = line.substr(3) == program;
        } else if (line.starts_with("calls=")) {
            is_of_callee = true;
        } else if (!line.empty() && line.front() >= '0' && line.front() <= '9') {
            if (const auto space = line.find(' '); is_own && !is_of_callee && space != std::string::npos) {
                double count = 0;
                std::from_chars(line.data() + space + 1, line.data() + line.size(), count);
                sum += count;
            }
            is_of_callee = false;
        }
    }
    return sum;
}

struct Measured {
    double events{};
    std::map<std::string, double> instructions;  // By operation, an event.
};

Measured measure() {
    const TempFolder folder;
    const std::string program = install_executable(folder, RUNLEDGER_MEASURED_PROGRAM).string();
    folder.make_folder("payloads");
    for (const auto& entry : fs::directory_iterator{fs::path{RUNLEDGER_SOURCE_DIR} / "tests/data/payloads/wire"}) {
        folder.write_file("payloads/" + entry.path().filename().string(), read_text(entry.path()));
    }
    const Finished finished =
        run_to_end({.argv = {"valgrind", "--tool=callgrind", "--collect-atstart=no", "--compress-strings=no",
                             "--compress-pos=no", "--callgrind-out-file=" + (folder / "callgrind.out").string(),
                             program, (folder / "payloads").string()}},
                   folder, patience);
    Measured measured;
    if (const auto at = finished.output.find("events "); at != std::string::npos) {
        measured.events = std::stod(finished.output.substr(at + 7));
    }
    if (!finished.status.clean() || measured.events == 0) {
        throw std::runtime_error("callgrind failed:\n" + finished.output);
    }
    constexpr std::string_view trigger = "desc: Trigger: Client Request: ";
    for (const auto& entry : fs::directory_iterator{folder.path()}) {
        if (!entry.path().filename().string().starts_with("callgrind.out")) {
            continue;
        }
        const std::string dump = read_text(entry.path());
        if (const auto at = dump.find(trigger); at != std::string::npos) {
            const auto begin = at + trigger.size();
            const std::string operation = dump.substr(begin, dump.find('\n', begin) - begin);
            measured.instructions[operation] = own_instructions(dump, program) / measured.events;
        }
    }
    return measured;
}

TEST(InstructionCost, OfAnEventIsAsPinned) {
    const Measured measured = measure();

    for (const auto& [operation, before] : pinned) {
        const auto found = measured.instructions.find(operation);
        ASSERT_NE(found, measured.instructions.end()) << operation << " was not measured";
        const double now = found->second;
        RecordProperty(operation, fmt::format("{:.1f}", now));
        EXPECT_LE(std::abs(now / before - 1), margin)
            << fmt::format("{} took {:.1f} instructions an event, now it takes {:.1f} ({:+.1f} %, {} % are let pass)",
                           operation, before, now, (now / before - 1) * 100, margin * 100);
    }
}

}  // namespace
}  // namespace runledger::test
