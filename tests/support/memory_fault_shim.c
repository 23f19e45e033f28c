/* Memory and threads that run out on command: preloaded into a real runledgerd, it counts the allocations of each
 * stage's thread and lets one of them fail; the same for the threads that are started.
 *
 * RUNLEDGER_MEMORY_CONTROL names the control file; without it every call passes. A thread counts from the moment at
 * which it has a stage's name ("rl-…"). Any thread; what fails, fails once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/memory_fault_control.h"

/* glibc's own, since dlsym() may allocate before it has found them. */
extern void* __libc_malloc(size_t bytes);
extern void* __libc_calloc(size_t count, size_t bytes);
extern void* __libc_realloc(void* old, size_t bytes);
extern void* __libc_memalign(size_t alignment, size_t bytes);

static struct memory_fault_control* control;
static __thread struct memory_stage* stage __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void map_control(void) {
    const char* path = getenv("RUNLEDGER_MEMORY_CONTROL");
    if (path == NULL) {
        return;
    }
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    void* mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        /* A test that believes in faults that never come would prove nothing. */
        perror("memory_fault_shim: the control file can't be mapped");
        abort();
    }
    (void)close(fd); /* The mapping stays. */
    void* frames[4];
    (void)backtrace(frames, 4); /* The first call loads a library, which must not happen inside malloc(). */
    control = mapped;
}

/* The first caller that only passes the request on is not meant: this library, and what implements `new`. */
static void note_culprit(void) {
    void* frames[12];
    const int count = backtrace(frames, 12);
    Dl_info self;
    if (dladdr((void*)(uintptr_t)&map_control, &self) == 0) {
        return;
    }
    for (int i = 0; i < count; ++i) {
        Dl_info info;
        if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL || info.dli_fbase == self.dli_fbase) {
            continue;
        }
        const char* slash = strrchr(info.dli_fname, '/');
        const char* name = slash == NULL ? info.dli_fname : slash + 1;
        if (strncmp(name, "libstdc++", 9) == 0 || strncmp(name, "libc.so", 7) == 0) {
            continue;
        }
        strncpy(control->culprit, name, sizeof control->culprit - 1);
        return;
    }
}

/* Whether this allocation is the one. */
static int fails(void) {
    if (stage == NULL) {
        return 0;
    }
    const int64_t number = __atomic_add_fetch(&stage->allocations, 1, __ATOMIC_ACQ_REL);
    if (number != __atomic_load_n(&control->fail_allocation, __ATOMIC_ACQUIRE) ||
        strcmp(stage->name, control->fail_stage) != 0) {
        return 0;
    }
    struct memory_stage* const counted = stage;
    stage = NULL; /* What the next line allocates is not counted. */
    note_culprit();
    stage = counted;
    (void)__atomic_add_fetch(&control->failed, 1, __ATOMIC_ACQ_REL);
    errno = ENOMEM;
    return 1;
}

void* malloc(size_t bytes) { return fails() ? NULL : __libc_malloc(bytes); }

void* calloc(size_t count, size_t bytes) { return fails() ? NULL : __libc_calloc(count, bytes); }

void* realloc(void* old, size_t bytes) { return fails() ? NULL : __libc_realloc(old, bytes); }

void* aligned_alloc(size_t alignment, size_t bytes) { return fails() ? NULL : __libc_memalign(alignment, bytes); }

int posix_memalign(void** into, size_t alignment, size_t bytes) {
    void* const made = fails() ? NULL : __libc_memalign(alignment, bytes);
    if (made == NULL) {
        return ENOMEM;
    }
    *into = made;
    return 0;
}

static void* next_function(const char* name) {
    void* const found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort(); /* No such function: no glibc. */
    }
    return found;
}

int pthread_setname_np(pthread_t thread, const char* name) {
    static int (*next)(pthread_t, const char*);
    if (next == NULL) {
        void* const found = next_function("pthread_setname_np");
        memcpy(&next, &found, sizeof next);
    }
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    if (control != NULL && pthread_equal(thread, pthread_self()) && strncmp(name, "rl-", 3) == 0) {
        (void)pthread_mutex_lock(&mutex); /* Of the default kind: does not fail. */
        int32_t at = 0;
        while (at < control->stages && strcmp(control->stage[at].name, name) != 0) {
            ++at;
        }
        if (at < memory_stages_max) {
            if (at == control->stages) {
                strncpy(control->stage[at].name, name, memory_name_bytes - 1);
                __atomic_store_n(&control->stages, at + 1, __ATOMIC_RELEASE);
            }
            stage = &control->stage[at];
        }
        (void)pthread_mutex_unlock(&mutex);
    }
    return next(thread, name);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
    static int (*next)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    if (next == NULL) {
        void* const found = next_function("pthread_create");
        memcpy(&next, &found, sizeof next);
    }
    if (control != NULL && __atomic_add_fetch(&control->threads, 1, __ATOMIC_ACQ_REL) ==
                               __atomic_load_n(&control->fail_thread, __ATOMIC_ACQUIRE)) {
        struct memory_stage* const counted = stage;
        stage = NULL;
        note_culprit();
        stage = counted;
        (void)__atomic_add_fetch(&control->failed, 1, __ATOMIC_ACQ_REL);
        return EAGAIN;
    }
    return next(thread, attributes, body, argument);
}
