# cmake -DSOURCE=DIR -DVERSION=0.1.0 -DGIT=PROGRAM -DWRITTEN=FILE -P describe_version.cmake: writes FILE, which defines
# runledger::build_version(), unless it says the same already. In a git checkout the description is `git describe`'s; in
# an archive that git has made, cmake/revision.txt has it; otherwise there is none.
set(revision "")
if(GIT AND EXISTS ${SOURCE}/.git)
    # Without optional locks: a build must not get in the way of what else uses the repository.
    execute_process(COMMAND ${GIT} --no-optional-locks -C ${SOURCE} describe --tags --always --dirty --abbrev=12
        OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(revision STREQUAL "")
    file(STRINGS ${SOURCE}/cmake/revision.txt revision REGEX "^[0-9A-Za-z._-]+$")
endif()
if(NOT revision STREQUAL "")
    set(VERSION "${VERSION} (${revision})")
endif()
set(text "// Generated at each build.\n#include \"common/version.hpp\"\n\n")
string(APPEND text "std::string_view runledger::build_version() noexcept { return \"${VERSION}\"; }\n")
set(old "")
if(EXISTS ${WRITTEN})
    file(READ ${WRITTEN} old)
endif()
if(NOT old STREQUAL text)
    file(WRITE ${WRITTEN} "${text}")
endif()
