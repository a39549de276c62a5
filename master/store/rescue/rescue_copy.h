#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_COPY_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_COPY_H

/*
 * The older copy: a plain file of rows, in order of their keys, each as it stands in
 * the database, with its checksum. It is written in slices between commits, so its rows
 * are of different moments: one by one right, and put together by rescue_mend.h.
 *
 *   row       mark, size of the key (one byte each), size of the value (4), key, value
 *
 * The last row tells when it was finished. The file gets its name only then.
 */

#include "common/base/bytes.h"
#include "master/store/durable/durable_clock.h"
#include "master/store/durable/durable_env.h"

#include <stdbool.h>
#include <stdint.h>

#define RESCUE_COPY_NAME "copy"

/* A copy in the making, or none. */
struct rescue_copy {
    int folder_fd; /* borrowed */
    int fd;        /* -1: none */
    uint64_t size; /* bytes written */
    struct durable_key at;
};

/* What the file says of itself. */
struct rescue_copy_age {
    uint64_t made_ms; /* disk time, see durable_clock.h */
    uint64_t size;
};

/* Begins a new one, beside the old. 0 or -errno. */
int rescue_copy_begin(struct rescue_copy *ret_copy, int folder_fd);
/* Writes the next rows, of about `size` bytes, and waits for the disk to have them. 0;
 * 1: it is finished, in the place of the old one; -errno: it was given up. */
int rescue_copy_step(struct rescue_copy *copy, struct durable_env *env,
                     const struct durable_clock *clock, size_t size);
/* Gives it up; harmless if there is none. */
void rescue_copy_abort(struct rescue_copy *copy);

/* Shows all rows but the last to `on_row`, whose checksums are not looked at; behind
 * damage it goes on where there is a sound one. 0 or -errno, or what on_row returned. */
typedef int (*rescue_copy_fn)(void *context, struct bytes key, struct bytes value);
int rescue_copy_read(int fd, rescue_copy_fn on_row, void *context);
/* False if there is none, or it can't tell. */
bool rescue_copy_read_age(int folder_fd, struct rescue_copy_age *ret_age);

#endif
