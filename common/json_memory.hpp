// RapidJSON's allocator, with std::bad_alloc where memory is refused. RapidJSON's own returns a null pointer then, and
// its reader, documents and buffers write to it: one refused allocation would end the process.
//
// Whatever parses or writes JSON in a process that is to go on names this one. Any thread.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace runledger {

// The names are those of RapidJSON's concept Allocator.
class JsonMemory {
public:
    static constexpr bool kNeedFree = true;

    void* Malloc(std::size_t bytes) {
        return bytes == 0 ? nullptr : given(std::malloc(bytes));  // NOLINT(cppcoreguidelines-no-malloc)
    }
    void* Realloc(void* old, std::size_t /*old_bytes*/, std::size_t bytes) {
        if (bytes == 0) {
            Free(old);
            return nullptr;
        }
        return given(std::realloc(old, bytes));  // NOLINT(cppcoreguidelines-no-malloc)
    }
    static void Free(void* memory) { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)

private:
    static void* given(void* memory) { return memory == nullptr ? throw std::bad_alloc{} : memory; }
};

}  // namespace runledger
