#include "tests/power/power_fact.h"

#include "common/base/check.h"
#include "tests/power/power_random.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Nobody picks these bytes to deceive us, and there are many. */
static uint64_t sum_of(struct bytes b)
{
    uint64_t sum = b.size;
    uint64_t word = 0;
    size_t at = 0;
    for (; at + sizeof word <= b.size; at += sizeof word) {
        memcpy(&word, b.data + at, sizeof word);
        sum = (sum ^ word) * 0x9E3779B97F4A7C15U;
        sum ^= sum >> 29;
    }
    word = 0;
    if (at < b.size)
        memcpy(&word, b.data + at, b.size - at);
    return power_random_mix(sum ^ word);
}

static int put_key(const struct record_journal *j, const struct record_message *m, char *line)
{
    const int name_size = (int)j->name.size;
    const char *name = (const char *)j->name.data;
    switch ((unsigned)j->kind) {
    case RECORD_SESSION:
        return snprintf(line, POWER_LINE_MAX, "session %" PRIx64 " ", j->session);
    case RECORD_SUBSCRIBE:
        return snprintf(line, POWER_LINE_MAX, "subscription %" PRIx64 " %.*s ", j->session,
                        name_size, name);
    case RECORD_RECEIVED:
        return snprintf(line, POWER_LINE_MAX, "received %" PRIx64 " %u ", j->session, j->packet_id);
    case RECORD_ENQUEUE:
        return snprintf(line, POWER_LINE_MAX, "delivery %" PRIx64 " %" PRIu64 " ", j->session,
                        j->seq);
    case RECORD_KEEP_RETAINED:
        return snprintf(line, POWER_LINE_MAX, "retained %.*s ", (int)m->topic.size,
                        (const char *)m->topic.data);
    case RECORD_KEEP_WILL:
        return snprintf(line, POWER_LINE_MAX, "will %" PRIx64 " ", j->message_id);
    default:
        unreachable();
    }
}

static int put_content(const struct record_journal *j, char *line, size_t room)
{
    switch ((unsigned)j->kind) {
    case RECORD_SESSION:
        return snprintf(line, room, "| name %.*s expiry %u end %" PRIu64 " version %u%s",
                        (int)j->name.size, (const char *)j->name.data, j->expiry_s, j->end_at_ms,
                        j->version, j->connected ? " connected" : "");
    case RECORD_SUBSCRIBE:
        return snprintf(line, room, "| options %u id %u", j->options, j->subscription_id);
    case RECORD_RECEIVED:
        return snprintf(line, room, "| message %" PRIx64, j->message_id);
    case RECORD_ENQUEUE:
        return snprintf(line, room, "| message %" PRIx64 " packet %u qos %u%s%s ids %" PRIx64,
                        j->message_id, j->packet_id, j->qos, j->retain ? " retain" : "",
                        j->released ? " released" : "", sum_of(j->ids));
    default:
        return snprintf(line, room, "|");
    }
}

void power_fact_line(const struct record_journal *journal, const struct record_message *message,
                     char line[POWER_LINE_MAX])
{
    int size = put_key(journal, message, line);
    size += put_content(journal, line + size, POWER_LINE_MAX - (size_t)size);
    if (message == NULL)
        return;
    size += snprintf(line + size, POWER_LINE_MAX - (size_t)size,
                     " body %" PRIx64 " qos %u%s expiry %" PRIu64 " delay %u %u topic %.*s",
                     message->message_id, message->qos, message->retain ? " retain" : "",
                     message->expiry_at_ms, message->will_delay_s, message->session_expiry_s,
                     (int)message->topic.size, (const char *)message->topic.data);
    snprintf(line + size, POWER_LINE_MAX - (size_t)size,
             " properties %" PRIx64 " payload %zu %" PRIx64, sum_of(message->properties),
             message->payload.size, sum_of(message->payload));
}

size_t power_fact_key_size(const char *line)
{
    return (size_t)(strchr(line, '|') - line);
}

uint64_t power_fact_sum(const char *line)
{
    return sum_of(bytes_of(line));
}

/* -- messages -- */

uint64_t power_fact_message_id(uint64_t count, unsigned worker, enum power_use use, unsigned slot)
{
    return count << 8 | worker << 6 | (unsigned)use << 4 | slot;
}

/* Most are small, some need overflow pages, few go through the ring in fragments. */
static size_t payload_size(struct power_random *random)
{
    unsigned lot = power_random_below(random, 100);
    if (lot < 85)
        return 1 + power_random_below(random, 300);
    if (lot < 98)
        return 1 + power_random_below(random, 8 * 1024);
    return 1 + power_random_below(random, 64 * 1024);
}

void power_fact_message(uint64_t message_id, struct power_message *ret_message)
{
    struct power_random random = {message_id};
    enum power_use use = (enum power_use)(message_id >> 4 & 3);
    unsigned worker = message_id >> 6 & 3;
    unsigned slot = message_id & 15;
    struct record_message *m = &ret_message->message;
    *m = (struct record_message){.purpose = RECORD_FOR_JOURNAL, .message_id = message_id};
    m->qos = (uint8_t)power_random_below(&random, 3);
    m->retain = power_random_below(&random, 2) == 0;
    if (power_random_below(&random, 4) == 0)
        m->expiry_at_ms = 100000000 + power_random_below(&random, 1000000);
    size_t size = use == POWER_CLEAR ? 0 : payload_size(&random);
    for (size_t i = 0; i < size; i++)
        ret_message->payload[i] = (uint8_t)power_random_next(&random);
    m->payload = (struct bytes){ret_message->payload, size};
    m->properties = (struct bytes){ret_message->payload, size < 20 ? size : 20};
    snprintf(ret_message->topic, sizeof ret_message->topic, "a/topic/of/worker%u/%u", worker, slot);
    m->topic = bytes_of(ret_message->topic);
    if (use != POWER_WILL)
        return;
    m->will_delay_s = power_random_below(&random, 1000);
    m->session_expiry_s = power_random_below(&random, 1000);
    snprintf(ret_message->client_id, sizeof ret_message->client_id, "will-%u-%u", worker, slot);
    m->client_id = bytes_of(ret_message->client_id);
}
