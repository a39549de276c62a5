#ifndef COURTIER_MASTER_STORE_COMMITTER_H
#define COURTIER_MASTER_STORE_COMMITTER_H

/*
 * The committer: a thread of the store process with a slot, rings and a bell of its
 * own, the only user of the durable environment. It takes what workers tell about
 * their sessions (record_journal.h), puts it on disk in groups, and confirms; so a
 * slow disk delays acknowledgements and nothing else.
 */

#include "master/store/durable/durable.h"
#include "shm/inherit.h"

struct committer;

/* Opens the environment under inherit->durable_path, and our ends of the rings. NULL
 * with *ret_error = -errno as durable_open(). */
struct committer *committer_open(const struct inherit *inherit, int *ret_error);
/* What is on disk, to be read before the thread starts. */
struct durable *committer_durable(struct committer *committer);
/* 0 or -errno. */
int committer_start(struct committer *committer);
/* Asks for a commit now, whatever commit_interval says; returns at once. */
void committer_save(struct committer *committer);
/* Puts all that is in the rings on disk, as far as the disk lets it, and ends the
 * thread, which it waits for. Harmless if it does not run. */
void committer_stop(struct committer *committer);
/* NULL is allowed; the thread is stopped. */
void committer_close(struct committer *committer);

#endif
