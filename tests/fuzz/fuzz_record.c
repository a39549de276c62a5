/*
 * Records of the mesh, as a broken process might write them. The input is a
 * sequence of records: kind, size (2 bytes, little-endian), then the bytes, of
 * which the last record may have fewer. All go to the getters of their kind, the
 * parts of messages to one assembly.
 */

#include "common/base/check.h"
#include "shm/record.h"
#include "shm/record_journal.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_MAX = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads every byte, so that a sanitizer sees those that are not there. */
static void touch(struct bytes b)
{
    volatile uint8_t sum = 0;

    for (size_t i = 0; i < b.size; i++)
        sum = (uint8_t)(sum + b.data[i]);
}

static void touch_name(struct bytes name)
{
    check(name.size > 0 && name.size <= UINT16_MAX);
    touch(name);
}

static void check_message(const struct record_message *message)
{
    check(message->purpose >= RECORD_FOR_DELIVERY && message->purpose <= RECORD_FOR_JOURNAL);
    check(message->qos <= 2);
    check(message->origin < MESH_PEERS_MAX);
    check(message->groups.size % sizeof(struct hash128) == 0);
    check(message->groups.size / sizeof(struct hash128) <= RECORD_GROUPS_MAX);
    check(message->purpose != RECORD_FOR_WILL || message->client_id.size > 0);
    touch_name(message->topic);
    touch(message->properties);
    touch(message->client_id);
    touch(message->groups);
    touch(message->payload);
}

static void get_message(struct record_assembly *assembly, const struct ring_record *record)
{
    struct record_message message;

    if (record_get_message(assembly, record, MEMORY_MAX, &message) == RECORD_WHOLE)
        check_message(&message);
    check(assembly->size <= MEMORY_MAX && assembly->filled <= assembly->size);
    check((assembly->memory == NULL) == (assembly->size == 0));
}

static void check_journal(const struct record_journal *journal)
{
    check(record_is_journal((uint16_t)journal->kind));
    check(journal->qos <= 2 && journal->name.size <= UINT16_MAX);
    check(journal->state <= RECORD_JOURNAL_FAILING);
    check(journal->ids.size % sizeof(uint32_t) == 0);
    touch(journal->name);
    touch(journal->ids);
}

/* The getters must not take records of other kinds, so each gets all. */
static void get_small(const struct ring_record *record)
{
    struct record_filter filter;
    struct record_group group;
    struct record_journal journal;
    enum mqtt_reason reason;
    struct bytes name;
    uint64_t serial;
    uint32_t publisher;
    unsigned taken = 0;

    taken += record_get_hold(record, &publisher);
    taken += record_get_reset(record, &serial);
    taken += record_get_confirm(record, &serial);
    if (record_get_filter(record, &filter)) {
        touch_name(filter.filter);
        taken++;
    }
    if (record_get_group(record, &group)) {
        touch_name(group.filter);
        taken++;
    }
    if (record_get_will_clear(record, &name)) {
        touch_name(name);
        taken++;
    }
    if (record_get_refuse(record, &serial, &reason)) {
        check(reason >= 0x80);
        taken++;
    }
    if (record_get_journal(record, &journal)) {
        check_journal(&journal);
        taken++;
    }
    check(taken <= 1);
}

/* In memory of its exact size and alignment, so that an overrun shows. */
static void get(struct record_assembly *assembly, uint8_t kind, struct bytes content)
{
    uint8_t *memory = malloc(content.size);
    struct ring_record record = {.data = memory, .size = (uint32_t)content.size, .kind = kind};

    check(memory != NULL || content.size == 0);
    if (content.size > 0)
        memcpy(memory, content.data, content.size);
    get_message(assembly, &record);
    get_small(&record);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader reader = reader_of((struct bytes){data, size});
    struct record_assembly assembly = {0};

    while (reader_left(&reader) > 0) {
        uint8_t kind = reader_u8(&reader);
        size_t content_size = reader_u8(&reader);

        content_size |= (size_t)reader_u8(&reader) << 8;
        if (content_size > reader_left(&reader))
            content_size = reader_left(&reader);
        get(&assembly, kind, reader_bytes(&reader, content_size));
    }
    record_assembly_done(&assembly);
    return 0;
}
