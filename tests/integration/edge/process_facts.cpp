#include "tests/integration/edge/process_facts.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "tests/support/temp_folder.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

std::size_t count_entries(const fs::path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator{folder}, fs::directory_iterator{}));
}

// proc(5), /proc/pid/smaps_rollup: "Anonymous:      1234 kB". Counted page by page; the figures of /proc/pid/status are
// estimates, hundreds of KiB off.
std::size_t resident_anonymous_kib(const fs::path& process) {
    const std::string text = read_text(process / "smaps_rollup");
    constexpr std::string_view name = "\nAnonymous:";
    const std::size_t at = text.find(name);
    if (at == std::string::npos) {
        throw std::runtime_error(fmt::format("{} does not tell its memory", process.string()));
    }
    return std::stoul(text.substr(at + name.size()));
}

}  // namespace

ProcessFacts facts_of(pid_t pid) {
    const fs::path process = fmt::format("/proc/{}", pid);
    ProcessFacts facts;
    facts.threads = count_entries(process / "task");
    facts.descriptors = count_entries(process / "fd");
    facts.anonymous_kib = resident_anonymous_kib(process);
    // proc(5), /proc/pid/maps: range, permissions, offset, device, inode, path.
    std::istringstream maps{read_text(process / "maps")};
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words{line};
        std::string range;
        std::string permissions;
        std::string skipped;
        std::string path;
        words >> range >> permissions >> skipped >> skipped >> skipped >> path;
        if (permissions == "rw-s" && path == "/dev/zero") {
            ++facts.shared_zones;
        }
        if (permissions == "r-xp" && path.find("ngx_http_runledger_module") != std::string::npos) {
            facts.modules.push_back(path);
        }
    }
    return facts;
}

}  // namespace runledger::test
