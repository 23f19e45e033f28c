#include "tests/support/prometheus_text.hpp"

#include <fmt/format.h>

#include <sstream>

#include "tests/support/process.hpp"

namespace runledger::test {

std::map<std::string, double> samples_of(std::string_view text) {
    std::map<std::string, double> samples;
    std::istringstream lines{std::string{text}};
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with('#')) {
            const std::size_t gap = line.rfind(' ');
            samples[line.substr(0, gap)] = std::stod(line.substr(gap + 1));
        }
    }
    return samples;
}

std::set<std::string> family_names(std::string_view text) {
    constexpr std::string_view start = "# TYPE ";
    std::set<std::string> names;
    std::istringstream lines{std::string{text}};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(start)) {
            names.insert(line.substr(start.size(), line.find(' ', start.size()) - start.size()));
        }
    }
    return names;
}

std::set<std::string> documented_metrics() {
    constexpr std::string_view start = "| `runledger_";
    std::set<std::string> names;
    std::istringstream lines{read_text(std::string{RUNLEDGER_SOURCE_DIR} + "/docs/metrics.md")};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(start)) {
            const std::size_t from = line.find('`') + 1;
            names.insert(line.substr(from, line.find_first_of("`{", from) - from));  // Without its labels.
        }
    }
    return names;
}

std::string promtool_complaints(std::string_view text, const TempFolder& folder) {
    const auto file = folder.write_file("metrics.txt", text);
    const Finished finished = run_to_end(
        {.argv = {"/bin/sh", "-c", R"(exec promtool check metrics < "$0")", file.string()}, .cwd = folder.path()},
        folder);
    if (finished.status.clean() || !finished.output.empty()) {
        return finished.output;
    }
    return fmt::format("promtool ended with {} and said nothing", finished.status.code);
}

}  // namespace runledger::test
