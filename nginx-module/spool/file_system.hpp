// Whether a file system is suitable for a spool, by its type. Asked when nginx reads its configuration.
//
// Plain C++, no nginx, and without a state.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace runledger::edge {

struct FileSystemFinding {
    // Refused: flock or fdatasync is not reliable there, or other hosts may write to it. Otherwise it is only warned
    // about.
    bool is_refused{};
    std::string sentence;
};

// What statfs(2) calls f_type of the file system that the path is on. Throws std::system_error.
using FileSystemType = std::function<std::uint32_t(const std::string& path)>;
[[nodiscard]] std::uint32_t file_system_type(const std::string& path);

// Nothing if the file system is suitable; an unknown one counts as local.
// Throws what `type_of` throws.
[[nodiscard]] std::optional<FileSystemFinding> find_file_system_fault(const std::string& path,
                                                                      const FileSystemType& type_of = file_system_type);

}  // namespace runledger::edge
