/*
 * The walk of a topic name through the private trie: breadth first, level by
 * level, over a frontier of nodes. The frontier is bounded by the number of
 * filters that share the topic's levels, and by FRONTIER_MAX.
 */
#include "common/base/check.h"
#include "shm/generation.h"
#include "worker/route/filters.h"

#include <string.h>

enum { FRONTIER_MAX = 1024 };

struct walk {
    struct filters *filters;
    struct filter **found;
    unsigned found_count;
    unsigned found_max;
    unsigned frontier_count;
    unsigned next_count;
    struct filter *frontier[FRONTIER_MAX];
    struct filter *next[FRONTIER_MAX];
};

static void find(struct walk *w, struct filter *f)
{
    if (list_is_empty(&f->subscribers))
        return;
    if (w->found_count < w->found_max)
        w->found[w->found_count] = f;
    if (w->found_count <= w->found_max)
        w->found_count++;
}

static struct filter *probe(struct walk *w, const struct filter *parent, struct bytes level)
{
    uint8_t *key = w->filters->scratch;
    memcpy(key, &parent, sizeof(parent));
    if (level.size > 0)
        memcpy(key + sizeof(parent), level.data, level.size);
    return map_get(&w->filters->nodes, (struct bytes){key, sizeof(parent) + level.size});
}

static void go_to(struct walk *w, struct filter *child)
{
    if (child == NULL)
        return;
    if (w->next_count < FRONTIER_MAX)
        w->next[w->next_count++] = child;
    else
        w->found_count = w->found_max + 1; /* the caller reads: some are missing */
}

static void visit(struct walk *w, struct filter *f, struct bytes level, bool no_wildcard)
{
    static const struct bytes plus = {(const uint8_t *)"+", 1};
    static const struct bytes hash = {(const uint8_t *)"#", 1};
    if (f->has_hash && !no_wildcard)
        find(w, probe(w, f, hash));
    if (f->child_count > 0)
        go_to(w, probe(w, f, level));
    if (f->has_plus && !no_wildcard)
        go_to(w, probe(w, f, plus));
}

/* "a/#" matches "a" too [MQTT-4.7.1-2]. */
static void find_parents_of_hash(struct walk *w)
{
    static const struct bytes hash = {(const uint8_t *)"#", 1};
    for (unsigned i = 0; i < w->frontier_count; i++) {
        find(w, w->frontier[i]);
        if (w->frontier[i]->has_hash)
            find(w, probe(w, w->frontier[i], hash));
    }
}

unsigned filters_match(struct filters *filters, struct bytes topic, struct filter **ret_filters,
                       unsigned max)
{
    struct walk w;
    w.filters = filters;
    w.found = ret_filters;
    w.found_count = 0;
    w.found_max = max;
    w.frontier[0] = filters->root;
    w.frontier_count = 1;
    bool no_wildcard = topic_is_dollar(topic); /* [MQTT-4.7.2-1] */
    struct topic_levels levels = topic_levels(topic);
    for (struct bytes level; w.frontier_count > 0 && topic_next_level(&levels, &level);) {
        w.next_count = 0;
        for (unsigned i = 0; i < w.frontier_count; i++)
            visit(&w, w.frontier[i], level, no_wildcard);
        no_wildcard = false;
        memcpy(w.frontier, w.next, w.next_count * sizeof(w.next[0]));
        w.frontier_count = w.next_count;
    }
    find_parents_of_hash(&w);
    return w.found_count;
}
