#ifndef COURTIER_MASTER_STORE_RESCUE_RESCUE_SPANS_H
#define COURTIER_MASTER_STORE_RESCUE_RESCUE_SPANS_H

/* Spans of keys in which rows may be missing; what is told in order of keys is kept in
 * bounded memory, if need be as less and wider spans. */

#include "master/store/durable/durable_key.h"
#include "master/store/rescue/rescue_walk.h"

#include <stdbool.h>

enum { RESCUE_SPANS_MAX = 256 };

struct rescue_bounds {
    struct durable_key from; /* size 0: from the first key on */
    struct durable_key to;   /* size 0: to the last one */
};

struct rescue_spans {
    unsigned count;
    struct rescue_bounds spans[RESCUE_SPANS_MAX];
};

void rescue_spans_add(struct rescue_spans *spans, const struct rescue_span *span);
/* Just this key. */
void rescue_spans_add_key(struct rescue_spans *spans, struct bytes key);
bool rescue_spans_has(const struct rescue_spans *spans, struct bytes key);

#endif
