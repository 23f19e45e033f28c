# runledger::version says what was built: the project's version, and git's description of the source. The description is
# taken at each build, so a build tree that is configured once does not keep the first one.
find_package(Git QUIET)
set(runledger_version_cpp ${PROJECT_BINARY_DIR}/generated/version.cpp)
add_custom_target(runledger_describe_version
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DVERSION=${PROJECT_VERSION} -DGIT=${GIT_EXECUTABLE}
        -DWRITTEN=${runledger_version_cpp} -P ${CMAKE_CURRENT_LIST_DIR}/describe_version.cmake
    BYPRODUCTS ${runledger_version_cpp}
    VERBATIM)
add_library(runledger_version STATIC ${runledger_version_cpp})
add_library(runledger::version ALIAS runledger_version)
add_dependencies(runledger_version runledger_describe_version)
target_link_libraries(runledger_version PUBLIC runledger::common)
