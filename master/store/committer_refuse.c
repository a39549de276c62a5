#include "master/store/committer_refuse.h"

#include <errno.h>

/* -ENOENT: the body came with an entry that there was no room for. */
static enum mqtt_reason reason_of(const struct durable_change *change)
{
    if (change->error == -ENOSPC || change->error == -ENOENT)
        return REASON_QUOTA_EXCEEDED;
    return change->error == -EEXIST ? REASON_SUCCESS : REASON_UNSPECIFIED_ERROR;
}

static void refuse(struct committer_peer *peer, const struct durable_change *change)
{
    enum mqtt_reason reason = reason_of(change);
    if (durable_key_kind(&change->key) == DURABLE_QUEUE)
        committer_peer_refuse_enqueue(peer, &change->journal, reason);
    else
        committer_peer_refuse(peer, change->journal.serial, reason);
}

static void refuse_superseded(struct committer_peer *peers, const struct durable_change *change)
{
    for (const struct durable_superseded *s = change->superseded; s != NULL; s = s->next)
        committer_peer_refuse(&peers[s->worker], s->serial, reason_of(change));
}

bool committer_refuse_failed(struct committer_peer *peers, const struct durable_batch *batch)
{
    bool is_full = false;
    list_for_each(node, &batch->changes) {
        const struct durable_change *change = list_owner(node, struct durable_change, node);
        if (change->error == 0)
            continue;
        is_full = is_full || change->error == -ENOSPC;
        refuse(&peers[change->worker], change);
        if (change->error != -EEXIST)
            refuse_superseded(peers, change);
    }
    return is_full;
}
