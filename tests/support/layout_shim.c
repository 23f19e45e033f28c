/* nginx whose structures seem to be others than the module's: preloaded into a real nginx, this changes a table that
 * nginx exports, before nginx starts. RUNLEDGER_LAYOUT_SHIM names a request header; where nginx keeps it is then said
 * to be eight bytes further on. For nginx itself that is a header which it uses for nothing the tests ask for. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ngx_http_header_t, as all versions of nginx have it. */
struct known_header {
    size_t name_bytes;
    char* name;
    uintptr_t offset;
    void* handler;
};

__attribute__((constructor)) static void shift(void) {
    const char* wanted = getenv("RUNLEDGER_LAYOUT_SHIM");
    struct known_header* header = dlsym(RTLD_DEFAULT, "ngx_http_headers_in");
    if (wanted == NULL || header == NULL) {
        return; /* Not nginx: a shell of the test's. */
    }
    for (; header->name_bytes != 0; ++header) {
        if (header->name_bytes == strlen(wanted) && memcmp(header->name, wanted, header->name_bytes) == 0) {
            header->offset += sizeof(void*);
            return;
        }
    }
    abort(); /* A test that shifts nothing would prove nothing. */
}
