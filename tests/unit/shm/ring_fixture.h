#ifndef COURTIER_TESTS_UNIT_SHM_RING_FIXTURE_H
#define COURTIER_TESTS_UNIT_SHM_RING_FIXTURE_H

/* A small ring with both of its sides. */

#include "shm/ring.h"

#include "tests/unit/shm/shm_fixture.h"

#include <string.h>

enum { RING_FIXTURE_SIZE = 512 }; /* records of at most 64 bytes: 72 with their header */

struct ring_fixture {
    struct layout_ring *shared;
    struct ring out;
    struct ring in;
};

static inline int ring_fixture_open_at(void **state, uint32_t position)
{
    struct ring_fixture *p = malloc(sizeof *p);

    if (p == NULL)
        return -1;
    p->shared = aligned_alloc(LAYOUT_LINE, sizeof *p->shared + RING_FIXTURE_SIZE);
    if (p->shared == NULL)
        return -1;
    memset(p->shared, 0, sizeof *p->shared + RING_FIXTURE_SIZE);
    p->shared->head = position;
    p->shared->tail = position;
    p->shared->working = position;
    p->shared->settled = position;
    ring_open_producer(&p->out, p->shared, RING_FIXTURE_SIZE);
    ring_open_consumer(&p->in, p->shared, RING_FIXTURE_SIZE);
    *state = p;
    return 0;
}

static inline int ring_fixture_open(void **state)
{
    return ring_fixture_open_at(state, 0);
}

static inline int ring_fixture_open_before_wrap(void **state)
{
    return ring_fixture_open_at(state, UINT32_MAX - 199);
}

static inline int ring_fixture_close(void **state)
{
    struct ring_fixture *p = *state;

    free(p->shared);
    free(p);
    return 0;
}

/* A record of `size` times the byte `fill`; not published. */
static inline bool ring_fixture_put(struct ring_fixture *p, uint32_t size, uint8_t fill)
{
    uint8_t *room = ring_reserve(&p->out, size);

    if (room == NULL)
        return false;
    memset(room, fill, size);
    ring_commit(&p->out, size, 7);
    return true;
}

static inline void ring_fixture_put_published(struct ring_fixture *p, uint32_t size, uint8_t fill)
{
    assert_true(ring_fixture_put(p, size, fill));
    assert_true(ring_publish(&p->out));
}

static inline void ring_fixture_expect(struct ring_fixture *p, uint32_t size, uint8_t fill)
{
    struct ring_record record;

    assert_true(ring_next(&p->in, &record));
    assert_false(record.quarantined);
    assert_int_equal(record.kind, 7);
    assert_int_equal(record.size, size);
    assert_int_equal((uintptr_t)record.data % RING_RECORD_ALIGN, 0);
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(record.data[i], fill);
}

static inline void ring_fixture_expect_quarantined(struct ring_fixture *p)
{
    struct ring_record record;

    assert_true(ring_next(&p->in, &record));
    assert_true(record.quarantined);
    assert_null(record.data);
    assert_int_equal(record.size, 0);
}

static inline void ring_fixture_expect_nothing(struct ring_fixture *p)
{
    struct ring_record record;

    assert_false(ring_next(&p->in, &record));
}

static inline void ring_fixture_restart_consumer(struct ring_fixture *p)
{
    ring_open_consumer(&p->in, p->shared, RING_FIXTURE_SIZE);
}

static inline void ring_fixture_restart_producer(struct ring_fixture *p)
{
    ring_open_producer(&p->out, p->shared, RING_FIXTURE_SIZE);
}

#endif
