/* Too few threads, and names that DNS does not answer: preloaded into a real nginx, it refuses threads over the number
 * that the control file says, and lets look-ups of names hang or fail.
 *
 * RUNLEDGER_SCARCITY_CONTROL names the control file; without it every call passes. The name "localhost" has the two
 * addresses that it has on a stock Debian, ::1 first, whatever this machine's hosts file says. Any thread, any
 * process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/scarcity_control.h"

static struct scarcity_control* control;
static int32_t threads_alive;

__attribute__((constructor)) static void map_control(void) {
    const char* path = getenv("RUNLEDGER_SCARCITY_CONTROL");
    if (path == NULL) {
        return;
    }
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    void* mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        /* A test that believes in faults that never come would prove nothing. */
        perror("scarcity_shim: the control file can't be mapped");
        abort();
    }
    (void)close(fd);
    control = mapped;
}

/* As in disk_fault_shim.c: POSIX lets a function's pointer be copied from what dlsym() gives. */
static void find_next(void* function, const char* name) {
    void* found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort(); /* No C library without it. */
    }
    memcpy(function, &found, sizeof found);
}

static int get(const int32_t* field) { return __atomic_load_n(field, __ATOMIC_ACQUIRE); }

static int add(int32_t* field, int32_t count) { return __atomic_add_fetch(field, count, __ATOMIC_ACQ_REL); }

struct body {
    void* (*function)(void*);
    void* argument;
};

static void* run(void* argument) {
    const struct body body = *(struct body*)argument;
    free(argument);
    void* result = body.function(body.argument);
    (void)add(&threads_alive, -1);
    return result;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*function)(void*), void* argument) {
    int (*next)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    find_next(&next, "pthread_create");
    if (control == NULL) {
        return next(thread, attributes, function, argument);
    }
    const int threads_max = get(&control->threads_max);
    if (add(&threads_alive, 1) > threads_max && threads_max >= 0) {
        (void)add(&threads_alive, -1);
        (void)add(&control->threads_denied, 1);
        return EAGAIN;
    }
    struct body* body = malloc(sizeof *body);
    if (body == NULL) {
        abort();
    }
    *body = (struct body){.function = function, .argument = argument};
    const int error = next(thread, attributes, run, body);
    if (error != 0) {
        free(body);
        (void)add(&threads_alive, -1);
    }
    return error;
}

static int is_name(const char* node) {
    return node != NULL && strchr(node, ':') == NULL && node[strspn(node, "0123456789.")] != '\0';
}

int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** result) {
    int (*next)(const char*, const char*, const struct addrinfo*, struct addrinfo**);
    find_next(&next, "getaddrinfo");
    if (control == NULL || !is_name(node)) {
        return next(node, service, hints, result);
    }
    if (get(&control->names_hang) != 0) {
        const struct timespec moment = {.tv_sec = 0, .tv_nsec = 5000000};
        (void)add(&control->names_waiting, 1);
        while (get(&control->names_hang) != 0) {
            (void)nanosleep(&moment, NULL);
        }
        (void)add(&control->names_waiting, -1);
        return EAI_AGAIN;
    }
    if (get(&control->names_unknown) != 0) {
        return EAI_NONAME;
    }
    if (strcmp(node, "localhost") != 0) {
        return next(node, service, hints, result);
    }
    struct addrinfo* second = NULL;
    int error = next("::1", service, hints, result);
    if (error != 0) { /* Asked for IPv4 alone. */
        return next("127.0.0.1", service, hints, result);
    }
    if (next("127.0.0.1", service, hints, &second) == 0) {
        struct addrinfo* last = *result;
        while (last->ai_next != NULL) {
            last = last->ai_next;
        }
        last->ai_next = second; /* freeaddrinfo() frees one after the other. */
    }
    return 0;
}
