#ifndef COURTIER_MASTER_STORE_COMMITTER_COPY_H
#define COURTIER_MASTER_STORE_COMMITTER_COPY_H

/*
 * When the older copy of the database (rescue_copy.h) is made anew: at most every
 * persistence_copy_interval, and before a day is over only if commits have written many
 * times its size since; so it adds little to what a card has to bear. Between two
 * commits a slice of it is written.
 */

#include "master/store/durable/durable.h"
#include "master/store/rescue/rescue_copy.h"
#include "shm/stats.h"

#include <stdbool.h>
#include <stdint.h>

struct committer_copy {
    struct rescue_copy copy; /* in the making */
    struct stats stats;
    int folder_fd;        /* -1: there are no copies */
    uint64_t interval_ms; /* 0: no new ones are made */
    uint64_t made_ms;     /* when the last one was, of the boot clock; 0: there is none */
    uint64_t size;        /* of it */
    uint64_t written;     /* what durable_env_written() said then */
    uint64_t at_ms;       /* when the next turn is due; UINT64_MAX: never */
};

/* Looks for a copy in `folder`; the database is open. */
void committer_copy_open(struct committer_copy *ret_copy, const char *folder, uint32_t interval_s,
                         struct stats stats, const struct durable *durable);
/* One that is in the making is given up. */
void committer_copy_close(struct committer_copy *copy);
/* Between transactions; does what is due. */
void committer_copy_turn(struct committer_copy *copy, struct durable *durable);

#endif
