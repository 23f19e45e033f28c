# What an operator installs: components edge and daemon, which are Debian's two packages, too. The unit and the examples
# name files under /usr and /etc, so the prefix is /usr.
include(GNUInstallDirs)

set(config ${PROJECT_SOURCE_DIR}/config)
if(RUNLEDGER_EDGE)
    set(RUNLEDGER_NGINX_MODULES_DIR lib/nginx/modules CACHE STRING "Where nginx looks for modules, below the prefix")
    install(TARGETS ngx_http_runledger_module LIBRARY DESTINATION ${RUNLEDGER_NGINX_MODULES_DIR} COMPONENT edge)
    install(FILES ${config}/nginx/mod-http-runledger.conf
        DESTINATION ${CMAKE_INSTALL_DATADIR}/nginx/modules-available COMPONENT edge)
    install(FILES ${config}/nginx/runledger.conf
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libnginx-mod-http-runledger/examples COMPONENT edge)
    install(FILES ${config}/tmpfiles.d/runledger-edge.conf DESTINATION lib/tmpfiles.d COMPONENT edge)
endif()
if(RUNLEDGER_DAEMON)
    install(TARGETS runledgerd runledger RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT daemon)
    install(FILES ${config}/runledgerd.toml
        DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/runledger COMPONENT daemon)
    install(FILES ${config}/systemd/runledgerd.service DESTINATION lib/systemd/system COMPONENT daemon)
    install(FILES ${config}/owner.toml ${config}/systemd/credentials.conf
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/runledger/examples COMPONENT daemon)
    install(FILES ${config}/sysusers.d/runledger.conf DESTINATION lib/sysusers.d COMPONENT daemon)
    install(FILES ${config}/tmpfiles.d/runledger.conf DESTINATION lib/tmpfiles.d COMPONENT daemon)
    install(FILES ${config}/bash-completion/runledger
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT daemon)
    install(FILES ${config}/prometheus/runledger.rules.yml
        DESTINATION ${CMAKE_INSTALL_DATADIR}/runledger/prometheus COMPONENT daemon)
    install(DIRECTORY ${config}/grafana DESTINATION ${CMAKE_INSTALL_DATADIR}/runledger COMPONENT daemon)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/sql/examples/
        DESTINATION ${CMAKE_INSTALL_DATADIR}/runledger/queries COMPONENT daemon FILES_MATCHING PATTERN "*.sql")
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/runledger/docs COMPONENT daemon
        FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "*.schema.json"
        REGEX "/benchmarks/(page|method|bounds|knees|changes)\\.md$" EXCLUDE)
    install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/runledger COMPONENT daemon)
endif()
