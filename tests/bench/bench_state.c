/*
 * Makes what a broker with much state leaves on disk, for starts to be measured with
 * (tests/bench/start): sessions "s0", "s1" ..., offline, each with a subscription to a
 * topic of its own at QoS 1, "t/0", "t/1" ..., and messages in their queues, the same
 * number each.
 *
 *   bench_state FOLDER [sessions] [messages] [bytes]     default 100000 1000000 64
 */

#include "common/base/check.h"
#include "common/mqtt/version.h"
#include "master/store/durable/durable_apply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH_MAX = 16384, PAYLOAD_MAX = 1 << 16 };

static const uint64_t SIZE_MAX_OF_FILE = UINT64_C(16) << 30;

struct state {
    struct durable durable;
    struct durable_batch batch;
    struct hash_key key;
    uint64_t message_id;
    char names[BATCH_MAX + 2][24]; /* of sessions and subscriptions in the batch */
    uint8_t payload[PAYLOAD_MAX];
    size_t payload_size;
};

static void must(int r, const char *what)
{
    if (r == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(-r));
    exit(1);
}

static void commit(struct state *s)
{
    must(durable_apply(&s->durable, &s->batch, NULL, 0), "durable_apply");
    durable_batch_clear(&s->batch);
}

static void add_named(struct state *s, struct record_journal *record, const char *prefix,
                      uint64_t i)
{
    char *name = s->names[s->batch.count];
    (void)snprintf(name, sizeof s->names[0], "%s%" PRIu64, prefix, i);
    record->name = bytes_of(name);
    check(durable_batch_add(&s->batch, 0, record));
}

static void add_session(struct state *s, uint64_t i)
{
    struct record_journal session = {
        .kind = RECORD_SESSION, .session = i + 1, .expiry_s = UINT32_MAX, .version = MQTT_V5};
    struct record_journal subscription = {
        .kind = RECORD_SUBSCRIBE, .session = i + 1, .options = QOS_AT_LEAST_ONCE};
    add_named(s, &session, "s", i);
    add_named(s, &subscription, "t/", i);
    if (s->batch.count >= BATCH_MAX)
        commit(s);
}

static void add_message(struct state *s, uint64_t session, uint64_t seq)
{
    char topic[32];
    (void)snprintf(topic, sizeof topic, "t/%" PRIu64, session);
    struct record_message message = {
        .purpose = RECORD_FOR_JOURNAL,
        .message_id = ++s->message_id,
        .qos = 1,
        .topic = bytes_of(topic),
        .payload = {s->payload, s->payload_size},
    };
    struct record_journal enqueue = {
        .kind = RECORD_ENQUEUE,
        .session = session + 1,
        .seq = seq,
        .message_id = message.message_id,
        .bytes = message.topic.size + message.payload.size,
        .qos = 1,
    };
    struct durable_body *body = durable_batch_body(&s->batch, message.message_id);
    durable_batch_set_body(body, &message, NULL);
    durable_batch_own_body(body);
    check(durable_batch_add(&s->batch, 0, &enqueue));
    durable_batch_put_body(&s->batch, body);
    if (s->batch.count >= BATCH_MAX)
        commit(s);
}

static uint64_t number(int argc, char **argv, int index, uint64_t otherwise)
{
    return argc > index ? strtoull(argv[index], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    static struct state s;
    uint64_t sessions = number(argc, argv, 2, 100000);
    uint64_t messages = number(argc, argv, 3, 1000000);
    s.payload_size = (size_t)number(argc, argv, 4, 64);
    if (argc < 2 || sessions == 0 || s.payload_size > PAYLOAD_MAX) {
        fprintf(stderr, "usage: %s FOLDER [sessions] [messages] [bytes]\n", argv[0]);
        return 2;
    }
    (void)mkdir(argv[1], 0700);
    must(durable_open(&s.durable, argv[1], SIZE_MAX_OF_FILE, &s.key, false), "durable_open");
    durable_batch_init(&s.batch, &s.key);
    for (uint64_t i = 0; i < sessions; i++)
        add_session(&s, i);
    for (uint64_t i = 0; i < messages; i++)
        add_message(&s, i % sessions, i / sessions + 1);
    commit(&s);
    durable_batch_done(&s.batch);
    durable_close(&s.durable);
    return 0;
}
