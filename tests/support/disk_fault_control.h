/* What a test and the preloaded shim share: a file that both map, with a rule for each kind of call.
 *
 * The test arms and disarms rules while nginx runs (DiskFaults); the shim, in any number of processes and threads,
 * obeys and counts. Every field is read and written atomically; `armed` is written last and read first. C and C++. */
#pragma once

#include <stdint.h>

enum disk_call_kind {
    disk_open_for_writing, /* open() that may write, creating or not */
    disk_read,             /* pread() */
    disk_write,            /* pwrite(), write() */
    disk_sync,             /* fdatasync() */
    disk_sync_folder,      /* fsync() */
    disk_reserve,          /* posix_fallocate() */
    disk_truncate,         /* ftruncate() */
    disk_rename,           /* rename() */
    disk_unlink,           /* unlink() */
    disk_call_kinds
};

struct disk_fault_rule {
    int32_t armed;
    int32_t error;     /* The errno that calls fail with; 0: they go through, late or short. */
    int32_t after;     /* So many calls pass first; counted down. */
    int32_t times;     /* So many calls fail; counted down; negative: all. */
    int32_t delay_ms;  /* Before each call, whatever becomes of it. */
    int32_t bytes_max; /* Of one write; 0: as asked. */
    int32_t hang;      /* Calls wait while this is not 0. Independent of `armed`. */

    int32_t calls; /* Counted by the shim: all, those that failed on our account, those that wait now. */
    int32_t failed;
    int32_t hanging;
};

enum { disk_failed_files_max = 4096 };

struct disk_fault_control {
    struct disk_fault_rule rules[disk_call_kinds];
    /* Writes to a file after a write or a sync of it has failed, which the spool promises never to do. */
    int32_t written_after_error;
    int32_t failed_files;
    uint64_t failed_file_hashes[disk_failed_files_max];
};
