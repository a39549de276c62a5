#include "worker/session/paging.h"

#include "common/base/check.h"

#include <stdlib.h>

struct paging *paging_begin(struct session *session, uint64_t after)
{
    check(session->number != 0 && session->paging == NULL);
    struct paging *p = malloc(sizeof(*p));
    if (p == NULL)
        return NULL;
    *p = (struct paging){.session = session, .after = after};
    list_init(&p->node);
    if (map_put(&session->table->paged, p) != 0) {
        free(p);
        return NULL;
    }
    session->paging = p;
    return p;
}

void paging_end(struct session *session)
{
    struct paging *p = session->paging;
    const uint64_t number = session->number;
    if (p == NULL)
        return;
    paging_subtract(p, p->count, p->bytes);
    list_remove(&p->node);
    (void)map_remove(&session->table->paged,
                     (struct bytes){(const uint8_t *)&number, sizeof(number)});
    session->paging = NULL;
    free(p);
}

struct paging *paging_find(const struct session_table *table, uint64_t number)
{
    return map_get(&table->paged, (struct bytes){(const uint8_t *)&number, sizeof(number)});
}

void paging_add(struct paging *paging, uint32_t count, uint64_t bytes)
{
    const struct stats stats = paging->session->table->stats;
    paging->count += count;
    paging->bytes += bytes;
    stats_add(stats, STAT_stored_messages, count);
    stats_add(stats, STAT_stored_bytes, bytes);
}

void paging_subtract(struct paging *paging, uint32_t count, uint64_t bytes)
{
    const struct stats stats = paging->session->table->stats;
    if (count > paging->count)
        count = paging->count;
    if (bytes > paging->bytes)
        bytes = paging->bytes;
    paging->count -= count;
    paging->bytes -= bytes;
    stats_subtract(stats, STAT_stored_messages, count);
    stats_subtract(stats, STAT_stored_bytes, bytes);
}
