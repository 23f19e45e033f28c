// Memory that may not be there is copied, or is not: no signal comes of it.
//
// For a pointer out of a structure that may not be what its header says. Plain C++, no nginx.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>

namespace runledger::edge {

// False if not all of it can be read.
[[nodiscard]] bool copy_if_readable(void* copy, const void* from, std::size_t bytes) noexcept;

template <class T>
[[nodiscard]] std::optional<T> peek(const T* from) noexcept {
    static_assert(std::is_trivially_copyable_v<T>);
    T copy;
    return copy_if_readable(&copy, from, sizeof copy) ? std::optional<T>{copy} : std::nullopt;
}

}  // namespace runledger::edge
