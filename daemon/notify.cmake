# The notify stage, included by daemon/CMakeLists.txt: from the outbox to Telegram.
find_package(CURL REQUIRED)
find_package(RapidJSON REQUIRED)

add_library(runledger_notify STATIC
    bot_answer.cpp
    bot_api.cpp
    notify.cpp
    notify_delivery.cpp
    notify_media.cpp
    notify_policy.cpp
    notify_progress.cpp
    notify_token.cpp
    outbox.cpp
    outbox_listener.cpp
    pace.cpp
    telegram.cpp
    telegram_body.cpp
    telegram_fetch.cpp
    telegram_link.cpp
    telegram_news.cpp
    telegram_text.cpp)
add_library(runledger::notify ALIAS runledger_notify)
target_precompile_headers(runledger_notify REUSE_FROM runledger_daemon_headers)
target_include_directories(runledger_notify SYSTEM PRIVATE ${RapidJSON_INCLUDE_DIRS})
target_link_libraries(runledger_notify
    PUBLIC runledger::base CURL::libcurl
    PRIVATE runledger::strict_warnings)
