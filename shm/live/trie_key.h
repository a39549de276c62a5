#ifndef COURTIER_SHM_LIVE_TRIE_KEY_H
#define COURTIER_SHM_LIVE_TRIE_KEY_H

/*
 * Keys of the live environment. Numbers are big-endian, so that the records of
 * one parent stand side by side and times in order.
 *
 * The edge to a child: kind (1), parent id (6), name. A name of more than
 * TRIE_KEY_NAME_MAX bytes is replaced by 0xFF and its keyed 128-bit hash, and
 * the value keeps it: LMDB's keys end at 511 bytes. 0xFF is in no UTF-8 string.
 *
 * A 64-bit hash of both as MDB_INTEGERKEY was measured about 100 to 400 ns faster per get a
 * probe and the same in writes and bytes, but then a parent's children can't be
 * listed, and two names may share a key.
 */

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "shm/live/live_internal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TRIE_KEY_NAME_MAX = 120,
    TRIE_KEY_PREFIX = 7 /* kind and one node id */
};

/* Parent of the root's own record; no node has this id. */
#define TRIE_KEY_NOWHERE ((UINT64_C(1) << 48) - 1)

struct trie_key {
    /* One more than a key needs: the successor of a key is itself and a NUL. */
    uint8_t bytes[TRIE_KEY_PREFIX + TRIE_KEY_NAME_MAX + 1];
    size_t size;
};

struct bytes trie_key_bytes(const struct trie_key *key);

/* Kind and one id: a message, or what all edges of a parent and all groups of
 * a node begin with. */
void trie_key_node(struct trie_key *key, enum live_kind kind, uint64_t id);
/* The edge from a parent to the child with this name. */
void trie_key_edge(struct trie_key *key, enum live_kind kind, uint64_t parent, struct bytes name,
                   const struct hash_key *hash_key);
bool trie_key_name_is_long(struct bytes name);
/* The name in an edge's key; meaningless for a long name. */
struct bytes trie_key_name(struct bytes key);
/* A shared group at a node. */
void trie_key_group(struct trie_key *key, uint64_t node, const struct hash128 *id);
/* Expiry index. */
void trie_key_expiry(struct trie_key *key, uint64_t at_ms, uint64_t node);

/* Makes the key the one right after it. */
void trie_key_step(struct trie_key *key);
/* Does `key` begin with the first `size` bytes of `prefix`? */
bool trie_key_begins(struct bytes key, const struct trie_key *prefix, size_t size);

#endif
