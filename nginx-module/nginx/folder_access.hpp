// May the worker's user write in a folder? Asked by the master when it reads the configuration, as root or not.
//
// Plain C++, no nginx. Creates nothing: the kernel is asked under the user's own file-system identity, so that
// supplementary groups, access lists and read-only mounts count as they will for the worker.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace runledger::edge {

struct WorkerUser {
    std::string name;
    uid_t uid{};
    gid_t gid{};
};

// Nothing if `path` is a folder in which the user can make, list and remove files; else a sentence that says why
// not. Without a user, or without the right to change identity, this process's own identity is the one that counts:
// the workers keep it. For a process with one thread: it changes its identity for a moment.
[[nodiscard]] std::optional<std::string> find_folder_fault(const std::string& path,
                                                           const std::optional<WorkerUser>& user);

}  // namespace runledger::edge
