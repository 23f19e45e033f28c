# runledger_test(<name> LABEL unit|property|integration|fault [TIMEOUT seconds] [SERIAL] [OF_SUPPORT]
#     SOURCES … LIBRARIES …)
#
# One GoogleTest program, listed in ctest case by case (unit, property) or as a whole (integration, fault: their
# fixtures start servers once per program; and with a sanitizer, whose start takes longer than most cases do). A further
# label may be appended with set_property().
include(GoogleTest)
find_package(GTest REQUIRED)

# What ./test builds in the sanitized tree: the unit and property tests of what is shipped, the replay of the fuzzers'
# corpus, and the module, which the edge's tests of the release tree run. OF_SUPPORT: the test is of tests/support alone,
# and is not among them.
add_custom_target(runledger_sanitized)

function(runledger_test name)
    cmake_parse_arguments(PARSE_ARGV 1 TEST "SERIAL;OF_SUPPORT" "LABEL;TIMEOUT" "SOURCES;LIBRARIES")
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 60)
    endif()
    add_executable(${name} ${TEST_SOURCES})
    target_link_libraries(${name} PRIVATE runledger::strict_warnings ${TEST_LIBRARIES} GTest::gmock GTest::gtest_main)
    target_precompile_headers(${name} REUSE_FROM runledger_test_headers)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${name} PRIVATE
        RUNLEDGER_SOURCE_DIR="${PROJECT_SOURCE_DIR}" RUNLEDGER_BINARY_DIR="${PROJECT_BINARY_DIR}")
    set(is_small FALSE)
    if(TEST_LABEL STREQUAL "unit" OR TEST_LABEL STREQUAL "property")
        set(is_small TRUE)
        if(NOT TEST_OF_SUPPORT)
            add_dependencies(runledger_sanitized ${name})
        endif()
    endif()
    if(is_small AND NOT RUNLEDGER_SANITIZER)
        gtest_discover_tests(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT} DISCOVERY_TIMEOUT 60)
    else()
        if(is_small AND TEST_TIMEOUT LESS 300)
            set(TEST_TIMEOUT 300)  # For all of its cases.
        endif()
        if(TEST_OF_SUPPORT)
            set(TEST_LABEL support)  # ./test, which does not build it here, does not ask for it.
        endif()
        add_test(NAME ${name} COMMAND ${name})
        set_tests_properties(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT})
        if(TEST_SERIAL)
            set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
        endif()
    endif()
endfunction()
