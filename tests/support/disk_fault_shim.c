/* A disk that fails on command: preloaded into a real nginx, it stands between the module and the kernel for files
 * below one folder, and does to them what the control file says.
 *
 * RUNLEDGER_FAULT_FOLDER names the folder (an absolute path without links), RUNLEDGER_FAULT_CONTROL the control file;
 * without both every call passes. Only what nginx-module/spool/files.cpp calls is here, with the names that a 64-bit off_t gives it.
 * With a sanitizer, its library comes before this one: its interceptors then call ours. Any thread, any process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/disk_fault_control.h"

static struct disk_fault_control* control;
static char folder[PATH_MAX];
static size_t folder_length;

/* By system call, since open() is ours: the control file is none of the disk's. */
__attribute__((constructor)) static void map_control(void) {
    const char* path = getenv("RUNLEDGER_FAULT_CONTROL");
    const char* below = getenv("RUNLEDGER_FAULT_FOLDER");
    if (path == NULL || below == NULL || strlen(below) >= sizeof folder) {
        return;
    }
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void* mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        /* A test that believes in faults that never come would prove nothing. */
        perror("disk_fault_shim: the control file can't be mapped");
        abort();
    }
    (void)syscall(SYS_close, fd);
    folder_length = strlen(strcpy(folder, below));
    control = mapped;
}

/* The next library's function of that name. dlsym() gives an object pointer, which ISO C does not turn into a
 * function's: POSIX says that copying its bytes does. */
static void find_next(void* function, const char* name) {
    void* found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort(); /* No C library without it. */
    }
    memcpy(function, &found, sizeof found);
}

static int get(const int32_t* field) { return __atomic_load_n(field, __ATOMIC_ACQUIRE); }

static void add(int32_t* field, int32_t count) { (void)__atomic_add_fetch(field, count, __ATOMIC_ACQ_REL); }

/* Counts down to 0; whether there was something to take. */
static int take_one(int32_t* field) {
    int32_t left = get(field);
    while (left > 0) {
        if (__atomic_compare_exchange_n(field, &left, left - 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            return 1;
        }
    }
    return 0;
}

static int is_below(const char* path) {
    return control != NULL && path != NULL && strncmp(path, folder, folder_length) == 0 &&
           (path[folder_length] == '/' || path[folder_length] == '\0');
}

/* The descriptor's path if the file is below the folder, unlinked since or not; else NULL. Keeps errno. */
static const char* path_below(int fd, char* path) {
    if (control == NULL) {
        return NULL;
    }
    const int saved = errno;
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = saved;
    if (length <= 0) {
        return NULL;
    }
    path[length] = '\0';
    return is_below(path) ? path : NULL;
}

static void nap(long milliseconds) {
    const struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    (void)nanosleep(&time, NULL); /* Cut short by a signal: then the call is a little less late. */
}

/* Waits as the rule says; returns the errno that the call is to fail with, or 0 where it goes on. */
static int meet(enum disk_call_kind kind) {
    struct disk_fault_rule* rule = &control->rules[kind];
    const int saved = errno;
    int error = 0;
    add(&rule->calls, 1);
    if (get(&rule->hang) != 0) {
        add(&rule->hanging, 1);
        while (get(&rule->hang) != 0) {
            nap(2);
        }
        add(&rule->hanging, -1);
    }
    if (get(&rule->armed) != 0) {
        if (get(&rule->delay_ms) > 0) {
            nap(get(&rule->delay_ms));
        }
        if (get(&rule->error) != 0 && !take_one(&rule->after) && (get(&rule->times) < 0 || take_one(&rule->times))) {
            add(&rule->failed, 1);
            error = get(&rule->error);
        }
    }
    errno = saved;
    return error;
}

static int fail(int error) {
    errno = error;
    return -1;
}

/* Files are known by their names, since inode numbers are given out again and a segment's name never is. FNV-1a. */
static uint64_t hash_of(const char* path) {
    static const char deleted[] = " (deleted)";
    size_t length = strlen(path);
    if (length >= sizeof deleted && strcmp(path + length - (sizeof deleted - 1), deleted) == 0) {
        length -= sizeof deleted - 1;
    }
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < length; ++i) {
        hash = (hash ^ (unsigned char)path[i]) * 1099511628211U;
    }
    return hash;
}

static void remember_failed(const char* path) {
    const int32_t at = __atomic_fetch_add(&control->failed_files, 1, __ATOMIC_ACQ_REL);
    if (at >= disk_failed_files_max) {
        abort(); /* A test of such a length needs a larger table. */
    }
    __atomic_store_n(&control->failed_file_hashes[at], hash_of(path), __ATOMIC_RELEASE);
}

static int has_failed(const char* path) {
    const uint64_t hash = hash_of(path);
    const int32_t count = get(&control->failed_files);
    for (int32_t i = 0; i < count; ++i) {
        if (__atomic_load_n(&control->failed_file_hashes[i], __ATOMIC_ACQUIRE) == hash) {
            return 1;
        }
    }
    return 0;
}

/* What every write meets: fails (-1), or goes on with as many bytes as it may write. */
static int meet_write(int fd, size_t* bytes) {
    char buffer[PATH_MAX];
    const char* path = path_below(fd, buffer);
    if (path == NULL) {
        return 0;
    }
    if (has_failed(path)) {
        add(&control->written_after_error, 1);
    }
    const int error = meet(disk_write);
    if (error != 0) {
        remember_failed(path);
        return fail(error);
    }
    const struct disk_fault_rule* rule = &control->rules[disk_write];
    const int32_t bytes_max = get(&rule->armed) != 0 ? get(&rule->bytes_max) : 0;
    if (bytes_max > 0 && *bytes > (size_t)bytes_max) {
        *bytes = (size_t)bytes_max;
    }
    return 0;
}

static int meet_sync(int fd, enum disk_call_kind kind) {
    char buffer[PATH_MAX];
    const char* path = path_below(fd, buffer);
    if (path == NULL) {
        return 0;
    }
    const int error = meet(kind);
    if (error == 0) {
        return 0;
    }
    if (kind == disk_sync) {
        remember_failed(path);
    }
    return fail(error);
}

/* What every other call on a descriptor meets: the errno to fail with, or 0. */
static int meet_fd(int fd, enum disk_call_kind kind) {
    char buffer[PATH_MAX];
    return path_below(fd, buffer) == NULL ? 0 : meet(kind);
}

ssize_t write(int fd, const void* bytes, size_t count) {
    static ssize_t (*next)(int, const void*, size_t);
    if (next == NULL) {
        find_next(&next, "write");
    }
    return meet_write(fd, &count) < 0 ? -1 : next(fd, bytes, count);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
    static ssize_t (*next)(int, const void*, size_t, off_t);
    if (next == NULL) {
        find_next(&next, "pwrite");
    }
    return meet_write(fd, &count) < 0 ? -1 : next(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }

ssize_t pread(int fd, void* bytes, size_t count, off_t offset) {
    static ssize_t (*next)(int, void*, size_t, off_t);
    if (next == NULL) {
        find_next(&next, "pread");
    }
    const int error = meet_fd(fd, disk_read);
    return error != 0 ? fail(error) : next(fd, bytes, count, offset);
}

ssize_t pread64(int fd, void* bytes, size_t count, off64_t offset) { return pread(fd, bytes, count, offset); }

int fdatasync(int fd) {
    static int (*next)(int);
    if (next == NULL) {
        find_next(&next, "fdatasync");
    }
    return meet_sync(fd, disk_sync) < 0 ? -1 : next(fd);
}

int fsync(int fd) {
    static int (*next)(int);
    if (next == NULL) {
        find_next(&next, "fsync");
    }
    return meet_sync(fd, disk_sync_folder) < 0 ? -1 : next(fd);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    static int (*next)(int, off_t, off_t);
    if (next == NULL) {
        find_next(&next, "posix_fallocate");
    }
    const int error = meet_fd(fd, disk_reserve);
    return error != 0 ? error : next(fd, offset, length);
}

int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

int ftruncate(int fd, off_t length) {
    static int (*next)(int, off_t);
    if (next == NULL) {
        find_next(&next, "ftruncate");
    }
    const int error = meet_fd(fd, disk_truncate);
    return error != 0 ? fail(error) : next(fd, length);
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int rename(const char* from, const char* to) {
    static int (*next)(const char*, const char*);
    if (next == NULL) {
        find_next(&next, "rename");
    }
    const int error = is_below(from) ? meet(disk_rename) : 0;
    return error != 0 ? fail(error) : next(from, to);
}

int unlink(const char* path) {
    static int (*next)(const char*);
    if (next == NULL) {
        find_next(&next, "unlink");
    }
    const int error = is_below(path) ? meet(disk_unlink) : 0;
    return error != 0 ? fail(error) : next(path);
}

static int open_at(int at, const char* path, int flags, mode_t mode) {
    static int (*next)(int, const char*, int, ...);
    if (next == NULL) {
        find_next(&next, "openat");
    }
    const int error = is_below(path) && (flags & O_ACCMODE) != O_RDONLY ? meet(disk_open_for_writing) : 0;
    return error != 0 ? fail(error) : next(at, path, flags, mode);
}

/* The mode is there only where a file may be made: open(2). */
static mode_t mode_of(int flags, va_list rest) {
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

int open(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_at(at, path, flags, mode);
}

int openat64(int at, const char* path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return open_at(at, path, flags, mode);
}
