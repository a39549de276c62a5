#include "master/store/store_will.h"

#include "common/base/check.h"
#include "shm/live/will_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLAG_RETAIN = 4, /* above two bits of QoS */
    FIXED_SIZE = 8 + 8 + 4 + 4 + 1 + 2 + 2 + 4
};

size_t store_will_size(const struct record_message *will)
{
    return FIXED_SIZE + will->topic.size + will->client_id.size + will->properties.size +
           will->payload.size;
}

void store_will_encode(const struct record_message *will, uint8_t *memory)
{
    struct writer w = writer_of(memory, store_will_size(will));
    writer_u64(&w, will->message_id);
    writer_u64(&w, will->expiry_at_ms);
    writer_u32(&w, will->will_delay_s);
    writer_u32(&w, will->session_expiry_s);
    writer_u8(&w, (uint8_t)(will->qos | (will->retain ? FLAG_RETAIN : 0)));
    writer_bytes16(&w, will->topic);
    writer_bytes16(&w, will->client_id);
    writer_u32(&w, (uint32_t)will->properties.size);
    writer_bytes(&w, will->properties);
    writer_bytes(&w, will->payload);
    check(!w.bad && writer_left(&w) == 0);
}

bool store_will_decode(struct bytes blob, struct record_message *ret_will)
{
    struct reader r = reader_of(blob);
    *ret_will = (struct record_message){.purpose = RECORD_FOR_WILL};
    ret_will->message_id = reader_u64(&r);
    ret_will->expiry_at_ms = reader_u64(&r);
    ret_will->will_delay_s = reader_u32(&r);
    ret_will->session_expiry_s = reader_u32(&r);
    uint8_t flags = reader_u8(&r);
    ret_will->qos = flags & 3;
    ret_will->retain = (flags & FLAG_RETAIN) != 0;
    ret_will->topic = reader_bytes16(&r);
    ret_will->client_id = reader_bytes16(&r);
    ret_will->properties = reader_bytes(&r, reader_u32(&r));
    ret_will->payload = reader_bytes(&r, reader_left(&r));
    return !r.bad;
}

void store_will_start(struct store_will *handing)
{
    store_will_done(handing);
    handing->active = true;
}

void store_will_done(struct store_will *handing)
{
    free(handing->copy);
    *handing = (struct store_will){0};
}

/* The key after `key`, in the store's order. */
static void advance(struct hash128 *key)
{
    for (size_t i = sizeof key->bytes; i-- > 0;)
        if (++key->bytes[i] != 0)
            return;
}

/* Copies the next will out of the store. 0, -ENOENT at the end, or -errno. */
static int take_next(struct store_will *handing, struct live *live, unsigned worker)
{
    struct bytes blob;
    int r = will_store_next(live, worker, &handing->next, &blob);
    if (r < 0)
        return r;
    uint8_t *copy = malloc(blob.size);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, blob.data, blob.size);
    handing->copy = copy;
    handing->copy_size = blob.size;
    handing->sender = (struct record_sender){0};
    return 0;
}

/* True when the copy is wholly sent and gone. */
static bool send_copy(struct store_will *handing, struct mesh *mesh, unsigned worker)
{
    struct record_message will;
    bool valid = store_will_decode((struct bytes){handing->copy, handing->copy_size}, &will);
    check(valid);
    if (!record_put_message(mesh, worker, &will, &handing->sender))
        return false;
    free(handing->copy);
    handing->copy = NULL;
    return true;
}

static int send_all(struct store_will *handing, struct live *live, struct mesh *mesh,
                    unsigned worker)
{
    for (;;) {
        if (handing->copy == NULL) {
            int r = take_next(handing, live, worker);
            if (r < 0)
                return r;
            advance(&handing->next);
        }
        if (!send_copy(handing, mesh, worker))
            return -EAGAIN;
    }
}

int store_will_continue(struct store_will *handing, struct live *live, struct mesh *mesh,
                        unsigned worker)
{
    int r = live_begin(live);
    if (r < 0)
        return r;
    r = send_all(handing, live, mesh, worker);
    live_abort(live);
    if (r != -ENOENT)
        return r;
    store_will_done(handing);
    return 0;
}
