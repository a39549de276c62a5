#include "worker/route/announce.h"

#include "common/base/check.h"
#include "worker/session/share.h"

#include <stdlib.h>
#include <string.h>

/* Lives from the change until the ring has it. `filter` and `group` are NULL when
 * the node was freed meanwhile. */
struct announcement {
    struct outbound_item item;
    struct filter *filter;
    struct group *group;
    bool is_group;
    union {
        struct record_filter filter_record;
        struct record_group group_record;
    } as;
    uint8_t text[];
};

static bool put(struct outbound_item *item, struct mesh *mesh, unsigned peer)
{
    struct announcement *a = list_owner(item, struct announcement, item);
    return a->is_group ? record_put_group(mesh, peer, &a->as.group_record)
                       : record_put_filter(mesh, peer, &a->as.filter_record);
}

static void done(struct outbound_item *item, void *owner)
{
    (void)owner;
    struct announcement *a = list_owner(item, struct announcement, item);
    if (a->filter != NULL)
        a->filter->unsent = NULL;
    if (a->group != NULL)
        a->group->unsent = NULL;
    free(a);
}

static struct announcement *new_announcement(struct announcer *announcer,
                                             const struct filter *filter)
{
    struct bytes text = filters_text(filter, announcer->text, sizeof(announcer->text));
    struct announcement *a = calloc(1, sizeof(*a) + text.size);
    if (a == NULL)
        fatal("no memory to announce a filter");
    memcpy(a->text, text.data, text.size);
    a->as.filter_record.filter = (struct bytes){a->text, text.size};
    a->item = (struct outbound_item){.put = put, .done = done};
    return a;
}

static void send(struct announcer *announcer, struct announcement *a)
{
    outbound_send(announcer->outbound, announcer->store, &a->item);
}

static void describe_filter(struct record_filter *record, const struct filter *filter)
{
    record->any = !list_is_empty(&filter->subscribers);
    record->persistent = filter->persistent_count > 0;
}

void announce_filter(void *announcer, struct filter *filter)
{
    struct announcer *an = announcer;
    struct announcement *a = filter->unsent;
    if (a != NULL) {
        describe_filter(&a->as.filter_record, filter);
        if (!a->as.filter_record.any) {
            /* The node may go now; a later one announces itself anew, behind. */
            a->filter = NULL;
            filter->unsent = NULL;
        }
        return;
    }
    a = new_announcement(an, filter);
    describe_filter(&a->as.filter_record, filter);
    a->as.filter_record.serial = filter->serial = ++an->serial;
    if (a->as.filter_record.any) {
        a->filter = filter;
        filter->unsent = a;
    }
    send(an, a);
}

static void describe_group(struct record_group *record, const struct group *group)
{
    record->online = group->online_count;
    record->offline = group->member_count - group->online_count;
}

void announce_group(void *announcer, struct group *group)
{
    struct announcer *an = announcer;
    struct announcement *a = group->unsent;
    if (a != NULL) {
        describe_group(&a->as.group_record, group);
        if (group->member_count == 0) {
            a->group = NULL;
            group->unsent = NULL;
        }
        return;
    }
    a = new_announcement(an, group->filter);
    struct bytes text = a->as.filter_record.filter;
    a->is_group = true;
    a->as.group_record = (struct record_group){.filter = text, .id = group->share->id};
    describe_group(&a->as.group_record, group);
    a->as.group_record.serial = group->serial = ++an->serial;
    if (group->member_count > 0) {
        a->group = group;
        group->unsent = a;
    }
    send(an, a);
}

/* The first record of a process's life. */
struct reset {
    struct outbound_item item;
    uint64_t serial;
};

static bool put_reset(struct outbound_item *item, struct mesh *mesh, unsigned peer)
{
    return record_put_reset(mesh, peer, list_owner(item, struct reset, item)->serial);
}

static void reset_done(struct outbound_item *item, void *owner)
{
    (void)owner;
    free(list_owner(item, struct reset, item));
}

void announcer_start(struct announcer *announcer, struct outbound *outbound,
                     struct filters *filters, unsigned store, uint64_t epoch)
{
    announcer->outbound = outbound;
    announcer->filters = filters;
    announcer->store = store;
    announcer->confirmed = epoch << 32;
    announcer->serial = announcer->confirmed + 1;
    struct reset *reset = malloc(sizeof(*reset));
    if (reset == NULL)
        fatal("no memory at start");
    *reset = (struct reset){
        .item = {.put = put_reset, .done = reset_done},
        .serial = announcer->serial,
    };
    outbound_send(outbound, store, &reset->item);
}

bool announcer_confirm(struct announcer *announcer, uint64_t serial)
{
    if (serial <= announcer->confirmed || serial > announcer->serial)
        return false;
    announcer->confirmed = serial;
    return true;
}
