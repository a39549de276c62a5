#ifndef COURTIER_MASTER_STORE_STORE_OP_H
#define COURTIER_MASTER_STORE_STORE_OP_H

/*
 * A worker's record, taken apart: what is to be done to the live data. Kept in
 * this form until it is committed, because a batch that fails is done again one
 * by one. Text is borrowed from the ring, or from the worker's assembly.
 */

#include "common/base/bytes.h"
#include "common/mqtt/reason.h"
#include "shm/record.h"
#include "shm/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_op_kind {
    STORE_OP_RESET,
    STORE_OP_FILTER,
    STORE_OP_GROUP,
    STORE_OP_RETAIN,
    STORE_OP_WILL,
    STORE_OP_WILL_CLEAR
};

struct store_op {
    enum store_op_kind kind;
    unsigned worker;
    uint64_t serial; /* RESET, FILTER, GROUP: to be confirmed; else 0 */
    bool changed;    /* after it was applied: routes through its filter are stale */
    union {
        struct record_filter filter;
        struct record_group group;
        struct record_message message; /* RETAIN, WILL */
        struct bytes client_id;        /* WILL_CLEAR */
    } as;
};

enum store_op_progress {
    STORE_OP_BROKEN, /* does not hold together: a bug of ours, or worse */
    STORE_OP_NONE,   /* nothing to do yet: part of a message */
    STORE_OP_TAKEN,
    STORE_OP_LAST /* taken; no other record of this worker before it is done */
};

/* Takes one record of `worker` apart; `assembly` is the worker's own, and puts
 * messages of up to `memory_max` bytes together. */
enum store_op_progress store_op_decode(struct record_assembly *assembly, size_t memory_max,
                                       unsigned worker, const struct ring_record *record,
                                       struct store_op *ret_op);

#endif
