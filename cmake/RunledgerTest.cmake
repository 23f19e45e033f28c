# runledger_test(<name> LABEL unit|property|integration|fault [TIMEOUT seconds] [SERIAL] SOURCES … LIBRARIES …)
#
# One GoogleTest program, listed in ctest case by case (unit, property) or as a whole (integration, fault: their
# fixtures start servers once per program; and with a sanitizer, whose start takes longer than most cases do). A further
# label may be appended with set_property().
include(GoogleTest)
find_package(GTest REQUIRED)

# What ./test builds in the sanitized tree: what runs there, the labels unit, property and fuzz, and what is shipped, since
# its warnings are errors there. The edge's tests of the release tree run the module from it.
add_custom_target(runledger_sanitized)

function(runledger_test name)
    cmake_parse_arguments(PARSE_ARGV 1 TEST "SERIAL" "LABEL;TIMEOUT" "SOURCES;LIBRARIES")
    if(NOT TEST_TIMEOUT)
        set(TEST_TIMEOUT 60)
    endif()
    add_executable(${name} ${TEST_SOURCES})
    target_link_libraries(${name} PRIVATE runledger::strict_warnings ${TEST_LIBRARIES} GTest::gmock GTest::gtest_main)
    target_precompile_headers(${name} REUSE_FROM runledger_test_headers)
    target_compile_definitions(${name} PRIVATE
        RUNLEDGER_SOURCE_DIR="${PROJECT_SOURCE_DIR}" RUNLEDGER_BINARY_DIR="${PROJECT_BINARY_DIR}")
    set(is_small FALSE)
    if(TEST_LABEL STREQUAL "unit" OR TEST_LABEL STREQUAL "property")
        set(is_small TRUE)
        add_dependencies(runledger_sanitized ${name})
    endif()
    if(is_small AND NOT RUNLEDGER_SANITIZER)
        gtest_discover_tests(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT} DISCOVERY_TIMEOUT 60)
    else()
        if(is_small)
            set(TEST_TIMEOUT 300)  # For all of its cases.
        endif()
        add_test(NAME ${name} COMMAND ${name})
        set_tests_properties(${name} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT})
        if(TEST_SERIAL)
            set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
        endif()
    endif()
endfunction()
