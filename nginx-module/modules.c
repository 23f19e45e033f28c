/*
 * What nginx looks up in the library after dlopen(): the modules it holds and their names. In C, since nginx reads
 * both as C arrays, and with default visibility; modules.map hides everything else.
 */
#include <ngx_config.h>
#include <ngx_core.h>

extern ngx_module_t ngx_http_runledger_module;

ngx_module_t *ngx_modules[] = {&ngx_http_runledger_module, NULL};

char *ngx_module_names[] = {"ngx_http_runledger_module", NULL};

char *ngx_module_order[] = {NULL};
