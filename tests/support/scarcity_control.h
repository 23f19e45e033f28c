/* What a test and the preloaded shim share: a file that both map. Every field is read and written atomically. */
#pragma once

#include <stdint.h>

struct scarcity_control {
    int32_t threads_max; /* Threads that a process may have beside its first; more get EAGAIN. Negative: any number. */
    int32_t threads_denied;
    int32_t names_hang; /* Look-ups of a name wait while this is not 0, and then fail. */
    int32_t names_waiting;
    int32_t names_unknown; /* Not 0: no name is known. */
};
