// Debian 12's fmt 9 lets every file that logs compile fmt's formatter anew, two seconds each, though libfmt has it
// compiled. fmt 10 declares it as here. For precompiled headers: without it a file compiles slower, and to the same.
// GCC only: clang mangles the function's name in another way than GCC did in Debian's libfmt.
#pragma once

#include <fmt/format.h>

#if FMT_VERSION < 100000 && !defined(__clang__)
extern template void fmt::detail::vformat_to<char>(fmt::detail::buffer<char>&, fmt::basic_string_view<char>,
                                                   fmt::basic_format_args<fmt::buffer_context<char>>,
                                                   fmt::detail::locale_ref);
#endif
