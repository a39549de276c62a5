#include "shm/live/will_store.h"

#include "common/base/check.h"
#include "shm/live/live_internal.h"

#include <errno.h>
#include <string.h>

enum { WORKER_OFFSET = 1, CLIENT_OFFSET = 3, KEY_SIZE = CLIENT_OFFSET + sizeof(struct hash128) };

static void make_key(uint8_t key[KEY_SIZE], unsigned worker, const struct hash128 *client)
{
    check(worker <= UINT16_MAX);
    key[0] = LIVE_WILL;
    key[WORKER_OFFSET] = (uint8_t)(worker >> 8);
    key[WORKER_OFFSET + 1] = (uint8_t)worker;
    memcpy(key + CLIENT_OFFSET, client->bytes, sizeof client->bytes);
}

int will_store_set(struct live *live, unsigned worker, const struct hash128 *client,
                   struct bytes blob)
{
    uint8_t key[KEY_SIZE];
    make_key(key, worker, client);
    int r = live_room(live, KEY_SIZE + blob.size);
    if (r != 0)
        return r;
    return live_put(live, (struct bytes){key, sizeof key}, blob);
}

int will_store_clear(struct live *live, unsigned worker, const struct hash128 *client)
{
    uint8_t key[KEY_SIZE];
    make_key(key, worker, client);
    int r = live_delete(live, (struct bytes){key, sizeof key});
    return r == -ENOENT ? 0 : r;
}

int will_store_next(struct live *live, unsigned worker, struct hash128 *client,
                    struct bytes *ret_blob)
{
    uint8_t from[KEY_SIZE];
    make_key(from, worker, client);
    struct bytes key;
    struct bytes blob;
    int r = live_seek(live, (struct bytes){from, sizeof from}, &key, &blob);
    if (r != 0)
        return r;
    if (key.size != KEY_SIZE || memcmp(key.data, from, CLIENT_OFFSET) != 0)
        return -ENOENT;
    memcpy(client->bytes, key.data + CLIENT_OFFSET, sizeof client->bytes);
    *ret_blob = blob;
    return 0;
}
