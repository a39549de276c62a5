#include "shm/live/trie_group.h"

#include "shm/live/live_internal.h"
#include "shm/live/trie_key.h"

#include <errno.h>
#include <string.h>

static int parse(struct bytes value, struct trie_members *ret_members)
{
    struct trie_members members = {.count = 0};
    if (value.size == 0 || value.size > sizeof members.each)
        return -EBADMSG;
    if (value.size % sizeof members.each[0] != 0)
        return -EBADMSG;
    memcpy(members.each, value.data, value.size);
    members.count = (unsigned)(value.size / sizeof members.each[0]);
    *ret_members = members;
    return 0;
}

int trie_group_get(struct live *live, uint64_t node, const struct hash128 *id,
                   struct trie_members *ret_members)
{
    struct trie_key key;
    trie_key_group(&key, node, id);
    struct bytes value;
    int r = live_get(live, trie_key_bytes(&key), &value);
    if (r != 0)
        return r;
    return parse(value, ret_members);
}

int trie_group_next(struct live *live, uint64_t node, bool begin, struct hash128 *id,
                    struct trie_members *ret_members)
{
    struct trie_key key;
    if (begin) {
        trie_key_node(&key, LIVE_GROUP, node);
    } else {
        trie_key_group(&key, node, id);
        trie_key_step(&key);
    }
    struct bytes found;
    struct bytes value;
    int r = live_seek(live, trie_key_bytes(&key), &found, &value);
    if (r != 0)
        return r;
    if (!trie_key_begins(found, &key, TRIE_KEY_PREFIX))
        return -ENOENT;
    if (found.size != TRIE_KEY_PREFIX + sizeof id->bytes)
        return -EBADMSG;
    r = parse(value, ret_members);
    if (r != 0)
        return r;
    memcpy(id->bytes, found.data + TRIE_KEY_PREFIX, sizeof id->bytes);
    return 0;
}

unsigned trie_group_index(const struct trie_members *members, unsigned worker)
{
    unsigned index = 0;
    while (index < members->count && members->each[index].worker < worker) {
        index++;
    }
    return index;
}

int trie_group_put(struct live *live, uint64_t node, const struct hash128 *id,
                   const struct trie_members *members)
{
    struct trie_key key;
    trie_key_group(&key, node, id);
    if (members->count == 0)
        return live_delete(live, trie_key_bytes(&key));
    struct bytes value = {(const uint8_t *)members->each, members->count * sizeof members->each[0]};
    return live_put(live, trie_key_bytes(&key), value);
}
