#include "master/store/rescue/rescue_spans.h"

#include <string.h>

/* A bound of another's making may be longer than our keys: cut, it comes before. */
static struct durable_key key_of(struct bytes bytes)
{
    struct durable_key key = {.size = 0};
    size_t size = bytes.size < DURABLE_KEY_MAX ? bytes.size : DURABLE_KEY_MAX;
    if (size > 0)
        memcpy(key.bytes, bytes.data, size);
    key.size = (uint8_t)size;
    return key;
}

static void add(struct rescue_spans *spans, struct rescue_bounds bounds)
{
    if (spans->count < RESCUE_SPANS_MAX) {
        spans->spans[spans->count++] = bounds;
        return;
    }
    struct rescue_bounds *last = &spans->spans[RESCUE_SPANS_MAX - 1];
    if (bytes_compare(durable_key_bytes(&bounds.from), durable_key_bytes(&last->from)) < 0)
        last->from = bounds.from;
    if (bounds.to.size == 0 ||
        (last->to.size > 0 &&
         bytes_compare(durable_key_bytes(&last->to), durable_key_bytes(&bounds.to)) < 0))
        last->to = bounds.to;
}

void rescue_spans_add(struct rescue_spans *spans, const struct rescue_span *span)
{
    add(spans, (struct rescue_bounds){key_of(span->from), key_of(span->to)});
}

void rescue_spans_add_key(struct rescue_spans *spans, struct bytes key)
{
    struct rescue_bounds bounds = {key_of(key), key_of(key)};
    if (bounds.to.size == DURABLE_KEY_MAX)
        bounds.to.bytes[DURABLE_KEY_MAX - 1]++; /* at worst the span is empty */
    else
        bounds.to.size++; /* by a zero: the next key that there may be */
    add(spans, bounds);
}

bool rescue_spans_has(const struct rescue_spans *spans, struct bytes key)
{
    for (unsigned i = 0; i < spans->count; i++) {
        const struct rescue_bounds *b = &spans->spans[i];
        if (bytes_compare(key, durable_key_bytes(&b->from)) >= 0 &&
            (b->to.size == 0 || bytes_compare(key, durable_key_bytes(&b->to)) < 0))
            return true;
    }
    return false;
}
