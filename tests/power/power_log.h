#ifndef COURTIER_TESTS_POWER_POWER_LOG_H
#define COURTIER_TESTS_POWER_POWER_LOG_H

/*
 * What happened to the files of one folder, in order, and what the store promised
 * meanwhile. power_shim.h writes it, power_disk.h reads it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum power_kind {
    POWER_CREATE, /* file, name */
    POWER_WRITE,  /* file, offset, size, data, is_synced */
    POWER_RESIZE, /* file, size */
    POWER_GROW,   /* file, size: at least that */
    POWER_SYNC,   /* file */
    POWER_RENAME, /* name, to */
    POWER_LINK,   /* name, to */
    POWER_UNLINK, /* name */
    POWER_SYNC_FOLDER,
    POWER_SAID,      /* worker, number: is about to say this serial */
    POWER_CONFIRMED, /* worker, number: the store has confirmed this serial */
    POWER_RUN        /* number: the store has given this run number away */
};

enum { POWER_NAME_MAX = 48, POWER_FILES_MAX = 16, POWER_WORKERS = 2 };

struct power_event {
    enum power_kind kind;
    unsigned file;
    bool is_synced; /* O_DSYNC: on disk when it returned, itself but nothing else */
    uint64_t offset;
    size_t size;
    uint8_t *data; /* owned by the log */
    char name[POWER_NAME_MAX];
    char to[POWER_NAME_MAX];
    unsigned worker;
    uint64_t number;
};

struct power_log {
    struct power_event *events;
    size_t count;
    size_t room;
};

/* A new event at the end, all 0 but its kind; valid until the next one. */
struct power_event *power_log_add(struct power_log *log, enum power_kind kind);
void power_log_mark(struct power_log *log, enum power_kind kind, unsigned worker, uint64_t number);
void power_log_done(struct power_log *log);

/* malloc() and realloc() that end the test without memory. */
void *power_memory(void *old, size_t size);

#endif
