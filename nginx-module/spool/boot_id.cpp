#include "nginx-module/spool/boot_id.hpp"

#include <fstream>
#include <string>

#include "nginx-module/spool/folder.hpp"

namespace runledger::edge {

BootId read_boot_id(EdgeLog& log) {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    file >> text;
    if (const auto id = BootId::parse(text)) {
        return *id;
    }
    log.add(LogLine::Level::crit, "no boot id", "the kernel's boot id can't be read, a random one is used");
    return {.bytes = fresh_segment_id().bytes};
}

}  // namespace runledger::edge
