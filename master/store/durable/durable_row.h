#ifndef COURTIER_MASTER_STORE_DURABLE_DURABLE_ROW_H
#define COURTIER_MASTER_STORE_DURABLE_DURABLE_ROW_H

/*
 * The rows of sessions, as the journal records that they stand for. What the key
 * says (session, seq, packet id of RECEIVED) is not in the content.
 */

#include "master/store/durable/durable_clock.h"
#include "master/store/durable/durable_env.h"
#include "shm/record_journal.h"

#include <stdbool.h>

/* Puts the row of a SESSION, SUBSCRIBE, RECEIVED or ENQUEUE. 0 or -errno, as
 * durable_env_put(). */
int durable_row_put(struct durable_env *env, const struct durable_clock *clock,
                    const struct durable_key *key, const struct record_journal *journal);
/* The record of a row of these kinds, borrowed from `content`; its serial is 0. False
 * for one that does not hold together. */
bool durable_row_decode(const struct durable_clock *clock, const struct durable_key *key,
                        struct bytes content, struct record_journal *ret_journal);

/* A number as a row's content. */
int durable_row_put_number(struct durable_env *env, const struct durable_key *key, uint64_t number);
/* *ret_number is 0 without the row, and for a damaged one. 0 or -errno. */
int durable_row_get_number(struct durable_env *env, const struct durable_key *key,
                           uint64_t *ret_number);

#endif
