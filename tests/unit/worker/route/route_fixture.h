#ifndef COURTIER_TESTS_UNIT_WORKER_ROUTE_ROUTE_FIXTURE_H
#define COURTIER_TESTS_UNIT_WORKER_ROUTE_ROUTE_FIXTURE_H

/*
 * A worker's router on a real region, with the ends of two other workers and of
 * the store in the same process, and connections and time that are fake. The
 * live store, where a test wants one, is a real one: its writer keeps a
 * transaction open, in which the router reads, as the store process does.
 */

#include "shm/record.h"
#include "tests/fake/fake_conn.h"
#include "tests/fake/fake_loop.h"
#include "worker/route/router.h"
#include "worker/session/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    FIXTURE_SELF = 0, /* slots */
    FIXTURE_PEER = 1,
    FIXTURE_OTHER = 2,
    FIXTURE_WORKERS = 3,
    FIXTURE_STORE = FIXTURE_WORKERS,
    FIXTURE_SLOTS = FIXTURE_WORKERS + 2,
    FIXTURE_EPOCH = 7,
    FIXTURE_START_MS = 1000000,
    FIXTURE_ACKS_MAX = 512,
    FIXTURE_PUBLISHERS_MAX = 256
};

struct fixture_ack {
    const struct conn *conn;
    struct publisher_ack ack;
};

struct fixture {
    struct region region;
    int bell_fds[FIXTURE_SLOTS];
    struct loop loop;
    struct conf_tunable tunable;
    struct conn_context conns;
    struct session_table sessions;
    struct router router;
    struct mesh ends[FIXTURE_STORE + 1]; /* the others', by slot */
    struct record_assembly assemblies[FIXTURE_STORE + 1];
    char folder[64]; /* of the live store; empty: none */
    struct fixture_ack acks[FIXTURE_ACKS_MAX];
    unsigned ack_count;
};

/* Setups for cmocka; *state is the fixture. */
int fixture_set_up(void **state);
int fixture_set_up_live(void **state);  /* with a live store */
int fixture_set_up_large(void **state); /* with a live store and rings of 2 MiB */
int fixture_tear_down(void **state);

/* A session with a large window; `conn`, if not NULL, is opened for it as 5.0. */
struct session *fixture_session(struct fixture *f, const char *client_id, struct fake_conn *conn);
/* Ends it, its subscriptions and its connection. */
void fixture_end(struct fixture *f, struct session *session);
/* The connection goes, the session stays. */
void fixture_detach(struct fixture *f, struct session *session, struct fake_conn *conn);
struct subscription *fixture_subscribe(struct fixture *f, struct session *session, const char *text,
                                       enum qos qos);
/* The session's publisher, made when it has none yet. */
struct publisher *fixture_publisher(struct fixture *f, struct session *session);

/* Live store: this worker has a plain subscriber of the filter. */
void fixture_want(struct fixture *f, const char *filter, unsigned worker);
/* ... members of the shared group `text`; returns the group's id. */
struct hash128 fixture_want_group(struct fixture *f, const char *text, unsigned worker,
                                  uint32_t online);
/* ... a retained message of QoS 1. */
void fixture_retain(struct fixture *f, const char *topic, const char *payload,
                    uint64_t expiry_at_ms);

/* What the router has for `slot`: publishes, and takes one record of any kind. */
bool fixture_next(struct fixture *f, unsigned slot, struct ring_record *ret_record);
/* Takes records of messages until one is whole; false when there is none. */
bool fixture_next_message(struct fixture *f, unsigned slot, struct record_message *ret_message);
/* `slot` has dealt with all that it took: gives back the room. */
void fixture_settle(struct fixture *f, unsigned slot);
/* `slot` takes all there is and settles it; the number of records. */
unsigned fixture_drain(struct fixture *f, unsigned slot);
/* Fills the ring to `slot` to the last byte, with records that mean nothing. */
void fixture_fill(struct fixture *f, unsigned slot);

uint64_t fixture_stat(const struct fixture *f, enum stat_id stat);
void assert_bytes(struct bytes b, const char *text);

#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
#define FIXTURE_TEST_LIVE(name) \
    cmocka_unit_test_setup_teardown(name, fixture_set_up_live, fixture_tear_down)
#define FIXTURE_TEST_LARGE(name) \
    cmocka_unit_test_setup_teardown(name, fixture_set_up_large, fixture_tear_down)

#endif
