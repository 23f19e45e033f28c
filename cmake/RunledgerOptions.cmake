# Warnings and sanitizers, as INTERFACE targets that each of our own targets links.

add_library(runledger_options INTERFACE)
add_library(runledger::options ALIAS runledger_options)

if(RUNLEDGER_WERROR)
    target_compile_options(runledger_options INTERFACE -Werror)
endif()
if(RUNLEDGER_SANITIZER STREQUAL "address")
    target_compile_options(runledger_options INTERFACE
        -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
        $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-fsanitize-ignorelist=${PROJECT_SOURCE_DIR}/tests/fuzz/sanitizer_ignorelist.txt>)
    target_link_options(runledger_options INTERFACE -fsanitize=address,undefined)
elseif(RUNLEDGER_SANITIZER STREQUAL "thread")
    # GCC's thread sanitizer warns that it does not see atomic_thread_fence; libzmq and spdlog's headers use it.
    target_compile_options(runledger_options INTERFACE -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan)
    target_link_options(runledger_options INTERFACE -fsanitize=thread)
    # What the sanitizer ignores is in each program: one that runs as another user may not be able to read a file.
    target_sources(runledger_options INTERFACE
        $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${PROJECT_SOURCE_DIR}/cmake/thread_sanitizer.cpp>)
elseif(NOT RUNLEDGER_SANITIZER STREQUAL "")
    message(FATAL_ERROR "RUNLEDGER_SANITIZER: '${RUNLEDGER_SANITIZER}' is neither address, thread nor empty")
endif()

# What the module links: nginx's own headers and macros are C, so no -Wold-style-cast there.
add_library(runledger_warnings INTERFACE)
add_library(runledger::warnings ALIAS runledger_warnings)
target_link_libraries(runledger_warnings INTERFACE runledger_options)
target_compile_options(runledger_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch-enum
    $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
    # The sanitized tree's compiler: RapidJSON's iterators compare as C++20 does not like, and GCC judges shadows.
    $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-ambiguous-reversed-operator -Wno-shadow>)

add_library(runledger_strict_warnings INTERFACE)
add_library(runledger::strict_warnings ALIAS runledger_strict_warnings)
target_link_libraries(runledger_strict_warnings INTERFACE runledger_warnings)
target_compile_options(runledger_strict_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast>)
