# runledger_test(<name> LABEL unit|property|integration|fault [TIMEOUT seconds] [OF_SUPPORT]
#     SOURCES … LIBRARIES …)
#
# One GoogleTest program and one entry of ctest: a failure prints the program's whole output, which names the case. A
# further label may be appended with set_property().
# Where this tree's tests run what another, sanitized tree holds (RUNLEDGER_SANITIZED_IN), a unit or property test has a
# second entry, <name>_sanitized: that tree's build of the same program.
find_package(GTest REQUIRED)

# What ./test builds in the sanitized tree: the unit and property tests of what is shipped, the fuzzers, and the module,
# which the edge's tests of the release tree run. OF_SUPPORT: the test is of tests/support alone, and is not among them.
add_custom_target(runledger_sanitized)

function(runledger_test name)
    cmake_parse_arguments(PARSE_ARGV 1 TEST "OF_SUPPORT" "LABEL;TIMEOUT" "SOURCES;LIBRARIES")
    add_executable(${name} ${TEST_SOURCES})
    target_link_libraries(${name} PRIVATE runledger::strict_warnings ${TEST_LIBRARIES} GTest::gmock GTest::gtest_main)
    target_precompile_headers(${name} REUSE_FROM runledger_test_headers)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${name} PRIVATE
        RUNLEDGER_SOURCE_DIR="${PROJECT_SOURCE_DIR}" RUNLEDGER_BINARY_DIR="${PROJECT_BINARY_DIR}")

    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 120)
    endif()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT})

    if(TEST_LABEL MATCHES "^(unit|property)$" AND NOT TEST_OF_SUPPORT)
        add_dependencies(runledger_sanitized ${name})
        if(RUNLEDGER_SANITIZED_IN)
            file(RELATIVE_PATH folder ${PROJECT_BINARY_DIR} ${CMAKE_CURRENT_BINARY_DIR})
            math(EXPR patience "4 * ${TEST_TIMEOUT}")
            add_test(NAME ${name}_sanitized COMMAND ${RUNLEDGER_SANITIZED_IN}/${folder}/${name})
            set_tests_properties(${name}_sanitized PROPERTIES LABELS "${TEST_LABEL};sanitized" TIMEOUT ${patience})
        endif()
    endif()
endfunction()

# runledger_test_elsewhere(<name> TIMEOUT seconds FILTER <GoogleTest's filter>)
#
# A part of an integration test once more, in a cluster with odd defaults, a hostile public, row-level security and a
# pooler in front (tests/support/cluster_kind.hpp), as a further entry of ctest: <name>_elsewhere.
function(runledger_test_elsewhere name)
    cmake_parse_arguments(PARSE_ARGV 1 TEST "" "TIMEOUT;FILTER" "")
    add_test(NAME ${name}_elsewhere COMMAND ${name} --gtest_filter=${TEST_FILTER})
    set_tests_properties(${name}_elsewhere PROPERTIES LABELS integration TIMEOUT ${TEST_TIMEOUT}
        ENVIRONMENT "RUNLEDGER_TEST_CLUSTER=odd,hostile,row_security,pgbouncer")
endfunction()
