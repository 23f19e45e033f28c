/* Writes down who makes threads, sockets and ZeroMQ contexts: preloaded into a real nginx, each such call adds a line
 * with its name to the file that RUNLEDGER_CALL_LOG names, and then goes on to the library whose it is.
 *
 * The file is opened once, when the library is loaded, so that a worker without rights to it still writes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int call_log = -1;

/* nginx closes no descriptor that it does not know, and a child of fork() shares this one. */
__attribute__((constructor)) static void open_log(void) {
    const char* path = getenv("RUNLEDGER_CALL_LOG");
    if (path == NULL) {
        return;
    }
    call_log = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (call_log < 0) {
        /* A test that counts calls which nobody writes down would prove nothing. */
        perror("call_log_shim: RUNLEDGER_CALL_LOG can't be opened");
        abort();
    }
}

static void note(const char* line) {
    if (call_log >= 0 && write(call_log, line, strlen(line)) < 0) {
        abort(); /* As above. */
    }
}

/* As in disk_fault_shim.c: POSIX lets a function's pointer be copied from what dlsym() gives. */
static void find_next(void* function, const char* name) {
    void* found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        /* ZeroMQ comes with the module, by dlopen(), which RTLD_NEXT does not search. */
        void* library = dlopen("libzmq.so.5", RTLD_NOW | RTLD_NOLOAD);
        found = library == NULL ? NULL : dlsym(library, name);
    }
    if (found == NULL) {
        abort();
    }
    memcpy(function, &found, sizeof found);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
    int (*next)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    find_next(&next, "pthread_create");
    note("pthread_create\n");
    return next(thread, attributes, body, argument);
}

int socket(int domain, int type, int protocol) {
    int (*next)(int, int, int);
    find_next(&next, "socket");
    note("socket\n");
    return next(domain, type, protocol);
}

int eventfd(unsigned int count, int flags) {
    int (*next)(unsigned int, int);
    find_next(&next, "eventfd");
    note("eventfd\n");
    return next(count, flags);
}

void* zmq_ctx_new(void);
void* zmq_ctx_new(void) {
    void* (*next)(void);
    find_next(&next, "zmq_ctx_new");
    note("zmq_ctx_new\n");
    return next();
}
