/* What a test and the preloaded shim share: a file that both map. The shim counts the allocations of each stage's
 * thread and the threads that are started, and lets one of them fail. Every field is read and written atomically. C and
 * C++. */
#pragma once

#include <stdint.h>

enum { memory_stages_max = 16, memory_name_bytes = 16, memory_culprit_bytes = 64 };

struct memory_stage {
    char name[memory_name_bytes]; /* As pthread_setname_np() was told: "rl-apply". */
    int64_t allocations;          /* Since the thread has its name, over all threads of this name. */
};

struct memory_fault_control {
    /* The test's: */
    char fail_stage[memory_name_bytes]; /* Set before fail_allocation. */
    int64_t fail_allocation;            /* The allocation that fails, counted from 1; 0: none. */
    int32_t fail_thread;                /* The pthread_create() that fails with EAGAIN, counted from 1; 0: none. */

    /* The shim's: */
    int32_t failed;
    int32_t threads;                    /* Calls of pthread_create(). */
    int32_t stages;                     /* Of the table, so many are in use. */
    char culprit[memory_culprit_bytes]; /* The program or library that asked for the memory, or the thread, that failed.
                                         */
    struct memory_stage stage[memory_stages_max];
};
