#include "shm/live/serial_store.h"

#include "common/base/check.h"
#include "shm/live/live_internal.h"

#include <errno.h>
#include <string.h>

enum { KEY_SIZE = 3 };

static struct bytes make_key(uint8_t key[KEY_SIZE], unsigned worker)
{
    check(worker <= UINT16_MAX);
    key[0] = LIVE_SERIAL;
    key[1] = (uint8_t)(worker >> 8);
    key[2] = (uint8_t)worker;
    return (struct bytes){key, KEY_SIZE};
}

int serial_store_set(struct live *live, unsigned worker, uint64_t serial)
{
    uint8_t key[KEY_SIZE];
    return live_put(live, make_key(key, worker),
                    (struct bytes){(const uint8_t *)&serial, sizeof serial});
}

int serial_store_get(struct live *live, unsigned worker, uint64_t *ret_serial)
{
    uint8_t key[KEY_SIZE];
    struct bytes value;
    int r = live_get(live, make_key(key, worker), &value);
    if (r == -ENOENT) {
        *ret_serial = 0;
        return 0;
    }
    if (r < 0)
        return r;
    if (value.size != sizeof *ret_serial)
        return -EPROTO;
    memcpy(ret_serial, value.data, sizeof *ret_serial);
    return 0;
}
