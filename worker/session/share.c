#include "worker/session/share.h"

#include "common/base/check.h"

#include <stdlib.h>

struct share *share_new(const struct hash128 *id)
{
    struct share *share = malloc(sizeof(*share));
    if (share != NULL)
        *share = (struct share){.references = 1, .id = *id};
    return share;
}

struct share *share_get(struct share *share)
{
    if (share == NULL)
        return NULL;
    check(share->references > 0);
    share->references++;
    return share;
}

void share_put(struct share *share)
{
    if (share == NULL)
        return;
    check(share->references > 0);
    if (--share->references == 0)
        free(share);
}
