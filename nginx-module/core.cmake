# The edge's storage, link and tokens: plain C++ without nginx, so that unit tests and tools can link it.
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET GLOBAL libzmq)
find_package(OpenSSL REQUIRED GLOBAL)

add_library(runledger_edge_core STATIC
    ${CMAKE_CURRENT_LIST_DIR}/courier.cpp
    ${CMAKE_CURRENT_LIST_DIR}/courier_committer.cpp
    ${CMAKE_CURRENT_LIST_DIR}/courier_log.cpp
    ${CMAKE_CURRENT_LIST_DIR}/courier_shared.cpp
    ${CMAKE_CURRENT_LIST_DIR}/courier_thread.cpp
    ${CMAKE_CURRENT_LIST_DIR}/file_system.cpp
    ${CMAKE_CURRENT_LIST_DIR}/link.cpp
    ${CMAKE_CURRENT_LIST_DIR}/link_alone.cpp
    ${CMAKE_CURRENT_LIST_DIR}/link_delivery.cpp
    ${CMAKE_CURRENT_LIST_DIR}/link_keys.cpp
    ${CMAKE_CURRENT_LIST_DIR}/link_log.cpp
    ${CMAKE_CURRENT_LIST_DIR}/link_peer.cpp
    ${CMAKE_CURRENT_LIST_DIR}/link_window.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool_claim.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool_files.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool_folder.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool_kept.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool_reader.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool_segment.cpp
    ${CMAKE_CURRENT_LIST_DIR}/spool_segment_file.cpp
    ${CMAKE_CURRENT_LIST_DIR}/token.cpp
    ${CMAKE_CURRENT_LIST_DIR}/token_file.cpp
    ${CMAKE_CURRENT_LIST_DIR}/token_text.cpp)
add_library(runledger::edge_core ALIAS runledger_edge_core)
target_link_libraries(runledger_edge_core
    PUBLIC runledger::common Threads::Threads
    PRIVATE runledger::strict_warnings PkgConfig::ZMQ OpenSSL::Crypto)
# As the module itself: nothing is exported from it, and no symbol keeps it mapped after it was unloaded.
set_target_properties(runledger_edge_core PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_compile_options(runledger_edge_core PRIVATE -fno-gnu-unique)
