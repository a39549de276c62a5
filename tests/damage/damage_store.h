#ifndef COURTIER_TESTS_DAMAGE_DAMAGE_STORE_H
#define COURTIER_TESTS_DAMAGE_DAMAGE_STORE_H

/*
 * A store of which everything is known: what stands in it follows from numbers, so that
 * whatever comes out of a damaged one can be told right from wrong.
 */

#include "master/store/durable/durable.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    DAMAGE_SESSIONS = 31,
    DAMAGE_DELIVERIES = 24, /* of each session */
    DAMAGE_SUBSCRIPTIONS = 3,
    DAMAGE_RETAINED = 120,
    DAMAGE_SIZE_MAX = 64 << 20
};

/* What is left, and whether it is what was put there. */
struct damage_content {
    bool sessions[DAMAGE_SESSIONS + 1];
    bool subscriptions[DAMAGE_SESSIONS + 1][DAMAGE_SUBSCRIPTIONS];
    bool deliveries[DAMAGE_SESSIONS + 1][DAMAGE_DELIVERIES + 1];
    bool retained[DAMAGE_RETAINED];
    const char *wrong; /* the first thing that was never put; NULL */
};

/* Fills a new store in the folder, in many commits and with deletions. */
void damage_store_make(const char *folder);
/* Looks through an open one. */
void damage_store_read(struct durable *durable, struct damage_content *ret_content);
/* Changes it in many places. 0 or -errno. */
int damage_store_use(struct durable *durable);

/* The message of a delivery; several sessions share some. */
uint64_t damage_store_message(unsigned session, unsigned seq);
struct durable_key damage_store_subscription(unsigned session, unsigned index);
struct durable_key damage_store_retained(unsigned index);

#endif
