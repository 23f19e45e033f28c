# The reconcile stage, included by daemon/CMakeLists.txt: what the provider says of silent runs.
find_package(CURL REQUIRED)
find_package(RapidJSON REQUIRED)

add_library(runledger_reconcile STATIC
    comfy_api.cpp
    lookups.cpp
    provider_report.cpp
    reconcile.cpp)
add_library(runledger::reconcile ALIAS runledger_reconcile)
target_precompile_headers(runledger_reconcile REUSE_FROM runledger_daemon_headers)
target_include_directories(runledger_reconcile SYSTEM PRIVATE ${RapidJSON_INCLUDE_DIRS})
target_link_libraries(runledger_reconcile
    PUBLIC runledger::ledger CURL::libcurl
    PRIVATE runledger::strict_warnings)
