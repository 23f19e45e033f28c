// What a process holds, as /proc tells: for tests that nothing of it grows.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

namespace runledger::test {

struct ProcessFacts {
    std::size_t threads{};
    std::size_t descriptors{};
    std::size_t shared_zones{};        // Anonymous shared mappings: nginx's zones.
    std::size_t anonymous_kib{};       // Resident, private: the heap and the stacks.
    std::vector<std::string> modules;  // Mapped files of ours, once for each mapping of their code.
};

// Throws where the process is gone.
[[nodiscard]] ProcessFacts facts_of(pid_t pid);

}  // namespace runledger::test
