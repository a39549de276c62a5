#include "master/store/durable/durable_sum.h"

#include "common/base/hash.h"

#include <errno.h>
#include <string.h>

/* Against accidents and not against people, so it need not be secret; a constant
 * can't be lost with a row. */
static const struct hash_key sum_key = {"courtier row sum"};

static uint64_t sum_of(struct bytes key, struct bytes content)
{
    return hash_short(&sum_key, content) ^ (hash_short(&sum_key, key) * 0x9E3779B97F4A7C15U);
}

void durable_sum_seal(struct bytes key, uint8_t *memory, size_t size)
{
    uint64_t sum = sum_of(key, (struct bytes){memory, size});
    memcpy(memory + size, &sum, DURABLE_SUM_SIZE);
}

int durable_sum_open(struct bytes key, struct bytes value, struct bytes *ret_content)
{
    uint64_t sum;
    if (value.size < DURABLE_SUM_SIZE)
        return -EBADMSG;
    struct bytes content = {value.data, value.size - DURABLE_SUM_SIZE};
    memcpy(&sum, content.data + content.size, DURABLE_SUM_SIZE);
    if (sum != sum_of(key, content))
        return -EBADMSG;
    *ret_content = content;
    return 0;
}
