#ifndef COURTIER_TESTS_UNIT_SHM_RECORD_FIXTURE_H
#define COURTIER_TESTS_UNIT_SHM_RECORD_FIXTURE_H

/* Two workers for tests of records: 0 sends, 1 takes. */

#include "shm/record.h"

#include "tests/unit/shm/shm_fixture.h"

struct record_fixture {
    struct fixture fixture;
    struct mesh from;
    struct mesh to;
};

static inline int record_fixture_open(void **state)
{
    struct record_fixture *w = malloc(sizeof *w);

    if (w == NULL)
        return -1;
    fixture_open(&w->fixture);
    mesh_open(&w->from, &w->fixture.region, 0, w->fixture.bell_fds);
    mesh_open(&w->to, &w->fixture.region, 1, w->fixture.bell_fds);
    *state = w;
    return 0;
}

static inline int record_fixture_close(void **state)
{
    struct record_fixture *w = *state;

    fixture_close(&w->fixture);
    free(w);
    return 0;
}

static inline struct ring_record record_fixture_take(struct record_fixture *w)
{
    struct ring_record record;

    mesh_publish(&w->from);
    assert_true(ring_next(&w->to.in[0], &record));
    return record;
}

static inline void record_fixture_assert_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.size, b.size);
    if (a.size > 0)
        assert_memory_equal(a.data, b.data, a.size);
}

/* The least message that there is. */
static inline struct record_message record_fixture_small(void)
{
    return (struct record_message){
        .purpose = RECORD_FOR_DELIVERY, .message_id = 1, .plain = true, .topic = bytes_of("t")};
}

#endif
