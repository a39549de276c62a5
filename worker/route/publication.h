#ifndef COURTIER_WORKER_ROUTE_PUBLICATION_H
#define COURTIER_WORKER_ROUTE_PUBLICATION_H

/*
 * A message on its way through this worker, parsed in place: nothing is copied
 * until somebody has to keep it. The first who must makes the shared copy, all
 * others take references of it.
 */

#include "common/base/bytes.h"
#include "worker/session/message.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

struct publication {
    struct bytes topic;
    struct bytes properties; /* those that pass through */
    struct bytes payload;
    uint64_t message_id;
    uint64_t expiry_at_ms;                   /* 0: never */
    const struct session *publisher_session; /* for No Local; NULL: not from here */
    struct message *message;                 /* NULL: no copy yet; a reference is held */
    uint32_t publisher;                      /* handle at `origin`; 0: nobody to hold */
    uint16_t origin;                         /* worker that the publisher is connected to */
    uint16_t source;                         /* arrival: process whose ring it came through */
    bool is_arrival;                         /* came from another process */
    uint8_t qos;
    uint8_t hops; /* times a shared message was passed on */
    bool retain;
    uint32_t paged;   /* entries that the journal got of `message`, and no delivery here has */
    bool is_refused;  /* a queue was too full for it, and its publisher is to know */
    bool is_repeat;   /* sessions that are kept may have it already */
    bool may_be_sent; /* no session has it, but a predecessor may have sent it */
};

/* The copy, made when first asked for; borrowed. NULL without memory. */
struct message *publication_message(struct publication *publication);
/* Lets go of the copy. */
void publication_done(struct publication *publication);
/* A publication of a kept message, which must outlive it. */
struct publication publication_of(struct message *message);

#endif
