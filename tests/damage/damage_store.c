#include "tests/damage/damage_store.h"

#include "common/base/check.h"
#include "master/store/durable/durable_apply.h"
#include "master/store/durable/durable_batch.h"
#include "master/store/durable/durable_message.h"
#include "master/store/durable/durable_row.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    SHARED = 4,       /* sessions that get the same message */
    LARGE_EVERY = 11, /* messages: a run of pages */
    SIZE_LARGE = 9000,
    SIZE_SMALL = 1400,
    TEXT_SIZE = 64,
    EXTRA = 200 /* messages that come and go */
};

static const struct hash_key map_key = {"damage"};

/* -- what stands where -- */

static struct bytes text_of(char memory[TEXT_SIZE], const char *format, unsigned a, unsigned b)
{
    snprintf(memory, TEXT_SIZE, "%s/%u/%u", format, a, b);
    return bytes_of(memory);
}

uint64_t damage_store_message(unsigned session, unsigned seq)
{
    return UINT64_C(1) << 32 | ((session / SHARED) * 1000U + seq);
}

struct durable_key damage_store_subscription(unsigned session, unsigned index)
{
    char memory[TEXT_SIZE];
    return durable_key_named(DURABLE_SUBSCRIPTION, session,
                             text_of(memory, "filter", session, index));
}

struct durable_key damage_store_retained(unsigned index)
{
    char memory[TEXT_SIZE];
    return durable_key_name(DURABLE_RETAINED, text_of(memory, "retained", index, 0));
}

static size_t payload_size(uint64_t id)
{
    return id % LARGE_EVERY == 0 ? SIZE_LARGE : SIZE_SMALL + (size_t)(id % 97);
}

/* Each byte follows from the message and its place. */
static uint8_t payload_byte(uint64_t id, size_t i)
{
    return (uint8_t)((uint32_t)id * 31 + (uint32_t)i * 7 + (uint32_t)(i >> 8));
}

static struct bytes payload_of(uint64_t id, uint8_t memory[SIZE_LARGE])
{
    size_t size = payload_size(id);
    for (size_t i = 0; i < size; i++)
        memory[i] = payload_byte(id, i);
    return (struct bytes){memory, size};
}

static bool is_payload(uint64_t id, struct bytes payload)
{
    unsigned differences = 0;
    if (payload.size != payload_size(id))
        return false;
    for (size_t i = 0; i < payload.size; i++)
        differences |= payload.data[i] ^ payload_byte(id, i);
    return differences == 0;
}

/* -- make -- */

/* A store in the making: a commit after every few rows, as a broker's are. */
struct maker {
    struct durable durable;
    unsigned rows;
};

enum { ROWS_PER_COMMIT = 40 };

static void note_row(struct maker *maker, int r)
{
    check(r == 0 || r == -ENOENT);
    if (++maker->rows % ROWS_PER_COMMIT != 0)
        return;
    check(durable_clock_note(&maker->durable.clock, maker->durable.env) == 0);
    check(durable_env_commit(maker->durable.env) == 0);
    check(durable_env_begin(maker->durable.env) == 0);
}

static void put_row(struct maker *maker, struct durable_key key, struct record_journal journal)
{
    note_row(maker, durable_row_put(maker->durable.env, &maker->durable.clock, &key, &journal));
}

static void put_message(struct maker *maker, struct durable_key key, struct bytes topic,
                        uint64_t id)
{
    uint8_t memory[SIZE_LARGE];
    const struct record_message message = {
        .message_id = id, .topic = topic, .qos = 1, .payload = payload_of(id, memory)};
    note_row(maker, durable_message_put(maker->durable.env, &maker->durable.clock, &key, &message));
}

static void put_session(struct maker *maker, unsigned session)
{
    char memory[TEXT_SIZE];
    put_row(maker, durable_key_number(DURABLE_SESSION, session),
            (struct record_journal){.name = text_of(memory, "client", session, 0),
                                    .expiry_s = UINT32_MAX,
                                    .version = 5});
    for (unsigned i = 0; i < DAMAGE_SUBSCRIPTIONS; i++)
        put_row(
            maker, damage_store_subscription(session, i),
            (struct record_journal){.name = text_of(memory, "filter", session, i), .options = 1});
}

static void put_body(struct maker *maker, uint64_t id, unsigned deliveries)
{
    struct durable_key count_key = durable_key_count(id);
    put_message(maker, durable_key_body(id), bytes_of("topic"), id);
    note_row(maker, durable_row_put_number(maker->durable.env, &count_key, deliveries));
}

static void put_delivery(struct maker *maker, unsigned session, unsigned seq)
{
    uint64_t id = damage_store_message(session, seq);
    put_row(maker, durable_key_pair(DURABLE_QUEUE, session, seq),
            (struct record_journal){.message_id = id, .qos = 1});
    if (session % SHARED == 0)
        put_body(maker, id, SHARED);
}

static void delete_row(struct maker *maker, struct durable_key key)
{
    note_row(maker, durable_env_delete(maker->durable.env, &key));
}

/* Messages that come and go between the others, so that there are free pages. */
static void put_and_delete(struct maker *maker, unsigned i)
{
    uint64_t id = damage_store_message(0, 0) + 500 + i;
    put_message(maker, durable_key_body(id), bytes_of("gone"), id);
    if (i >= EXTRA / 2)
        delete_row(maker, durable_key_body(id - EXTRA / 2));
}

static void put_all(struct maker *maker)
{
    char memory[TEXT_SIZE];
    for (unsigned i = 0; i < EXTRA / 2; i++)
        put_and_delete(maker, i);
    for (unsigned session = 1; session <= DAMAGE_SESSIONS; session++) {
        put_session(maker, session);
        for (unsigned seq = 1; seq <= DAMAGE_DELIVERIES; seq++)
            put_delivery(maker, session, seq);
    }
    for (unsigned seq = 1; seq <= DAMAGE_DELIVERIES; seq++) /* there is no session 0 */
        put_body(maker, damage_store_message(1, seq), SHARED - 1);
    for (unsigned i = 0; i < DAMAGE_RETAINED; i++)
        put_message(maker, damage_store_retained(i), text_of(memory, "retained", i, 0), i + 1);
    for (unsigned i = EXTRA / 2; i < EXTRA; i++)
        put_and_delete(maker, i);
    for (unsigned i = EXTRA / 2; i < EXTRA; i++)
        delete_row(maker, durable_key_body(damage_store_message(0, 0) + 500 + i));
}

void damage_store_make(const char *folder)
{
    struct maker maker = {.rows = 0};
    uint32_t run;
    check(durable_open(&maker.durable, folder, DAMAGE_SIZE_MAX, &map_key, false) == 0);
    check(durable_take_run(&maker.durable, &run) == 0);
    check(durable_env_begin(maker.durable.env) == 0);
    put_all(&maker);
    check(durable_env_commit(maker.durable.env) == 0);
    durable_close(&maker.durable);
}

/* -- read -- */

static void wrong(struct damage_content *content, const char *what)
{
    if (content->wrong == NULL)
        content->wrong = what;
}

static void read_session(struct damage_content *c, const struct durable_key *key,
                         const struct record_journal *journal)
{
    char memory[TEXT_SIZE];
    uint64_t session = durable_key_first(key);
    if (session == 0 || session > DAMAGE_SESSIONS ||
        !bytes_equal(journal->name, text_of(memory, "client", (unsigned)session, 0)))
        wrong(c, "a session of another client");
    else
        c->sessions[session] = true;
}

static void read_subscription(struct damage_content *c, const struct durable_key *key,
                              const struct record_journal *journal)
{
    char memory[TEXT_SIZE];
    uint64_t session = durable_key_first(key);
    for (unsigned i = 0; session > 0 && session <= DAMAGE_SESSIONS && i < DAMAGE_SUBSCRIPTIONS; i++)
        if (bytes_equal(journal->name, text_of(memory, "filter", (unsigned)session, i))) {
            c->subscriptions[session][i] = true;
            return;
        }
    wrong(c, "a subscription of another session");
}

static void read_delivery(struct durable *durable, struct damage_content *c,
                          const struct durable_key *key, const struct record_journal *journal)
{
    uint64_t session = durable_key_first(key);
    uint64_t seq = durable_key_second(key);
    struct durable_key body_key = durable_key_body(journal->message_id);
    struct record_message message;
    struct bytes content;
    if (session == 0 || session > DAMAGE_SESSIONS || seq == 0 || seq > DAMAGE_DELIVERIES ||
        journal->message_id != damage_store_message((unsigned)session, (unsigned)seq)) {
        wrong(c, "a delivery of another session");
        return;
    }
    if (durable_env_get(durable->env, &body_key, &content) != 0 ||
        !durable_message_decode(&durable->clock, content, &message))
        return; /* it is dropped on its way */
    if (is_payload(journal->message_id, message.payload))
        c->deliveries[session][seq] = true;
    else
        wrong(c, "another payload");
}

static void read_retained(struct damage_content *c, const struct record_message *message)
{
    char memory[TEXT_SIZE];
    uint64_t id = message->message_id;
    if (id == 0 || id > DAMAGE_RETAINED || !is_payload(id, message->payload) ||
        !bytes_equal(message->topic, text_of(memory, "retained", (unsigned)id - 1, 0)))
        wrong(c, "another retained message");
    else
        c->retained[id - 1] = true;
}

static void read_one(struct durable *durable, struct damage_content *c,
                     const struct durable_key *key, struct bytes content)
{
    enum durable_kind kind = durable_key_kind(key);
    struct record_journal journal;
    struct record_message message;
    if (kind == DURABLE_RETAINED) {
        if (durable_message_decode(&durable->clock, content, &message))
            read_retained(c, &message);
    } else if (!durable_row_decode(&durable->clock, key, content, &journal)) {
        wrong(c, "a row that is none");
    } else if (kind == DURABLE_SESSION) {
        read_session(c, key, &journal);
    } else if (kind == DURABLE_SUBSCRIPTION) {
        read_subscription(c, key, &journal);
    } else {
        read_delivery(durable, c, key, &journal);
    }
}

void damage_store_read(struct durable *durable, struct damage_content *ret_content)
{
    static const enum durable_kind kinds[] = {DURABLE_SESSION, DURABLE_SUBSCRIPTION, DURABLE_QUEUE,
                                              DURABLE_RETAINED};
    *ret_content = (struct damage_content){.wrong = NULL};
    check(durable_env_begin_read(durable->env) == 0);
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct durable_key key = durable_key_of(kinds[i]);
        struct bytes content;
        int r;
        while ((r = durable_env_next(durable->env, &key, DURABLE_KIND_PREFIX, &content)) == 0 ||
               r == -EBADMSG)
            if (r == 0)
                read_one(durable, ret_content, &key, content);
        if (r != -ENOENT)
            wrong(ret_content, "an error of the database");
    }
    durable_env_abort(durable->env);
}

/* -- use -- */

int damage_store_use(struct durable *durable)
{
    uint64_t serials[] = {1};
    struct durable_batch batch;
    durable_batch_init(&batch, &map_key);
    for (unsigned session = 1; session <= DAMAGE_SESSIONS; session++) {
        struct record_journal end = {.kind = RECORD_SESSION_END, .session = session};
        struct record_journal fresh = {.kind = RECORD_SESSION,
                                       .session = session + 1000,
                                       .name = bytes_of("fresh"),
                                       .version = 4};
        (void)durable_batch_add(&batch, 0, session % 2 == 0 ? &end : &fresh);
    }
    int r = durable_apply(durable, &batch, serials, 1);
    durable_batch_done(&batch);
    return r;
}
