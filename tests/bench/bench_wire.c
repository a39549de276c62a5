#include "tests/bench/bench_wire.h"

#include <stdlib.h>
#include <string.h>

enum {
    VARINT_MAX = 4,
    PROPERTY_RECEIVE_MAXIMUM = 0x21,
    PROPERTY_MAXIMUM_QOS = 0x24,
    PROPERTY_SESSION_EXPIRY = 0x11,
    SESSION_EXPIRY_S = 3600,
    FILL = 0x2e,
};

/* --- reading --- */

struct cursor {
    const uint8_t *next;
    const uint8_t *end;
    bool bad;
};

static struct cursor cursor_of(const struct bench_frame *f)
{
    return (struct cursor){.next = f->body, .end = f->body + f->body_size};
}

static const uint8_t *take(struct cursor *c, size_t size)
{
    if (c->bad || (size_t)(c->end - c->next) < size) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *at = c->next;
    c->next += size;
    return at;
}

static uint8_t take_u8(struct cursor *c)
{
    const uint8_t *at = take(c, 1);
    return at ? at[0] : 0;
}

static uint16_t take_u16(struct cursor *c)
{
    const uint8_t *at = take(c, 2);
    return at ? (uint16_t)(at[0] << 8 | at[1]) : 0;
}

static size_t take_varint(struct cursor *c)
{
    size_t value = 0;
    for (unsigned i = 0; i < VARINT_MAX; i++) {
        uint8_t byte = take_u8(c);
        value |= (size_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return value;
    }
    c->bad = true;
    return 0;
}

long bench_wire_cut(const uint8_t *data, size_t size, struct bench_frame *ret_frame,
                    size_t *ret_needed)
{
    size_t body_size = 0;
    size_t at = 1;
    *ret_needed = 0;
    for (unsigned shift = 0;; shift += 7, at++) {
        if (shift == 7 * VARINT_MAX)
            return -1;
        if (at >= size)
            return 0;
        body_size |= (size_t)(data[at] & 0x7f) << shift;
        if (!(data[at] & 0x80))
            break;
    }
    at++;
    *ret_needed = at + body_size;
    if (size < at + body_size)
        return 0;
    ret_frame->type = (enum bench_packet)(data[0] >> 4);
    ret_frame->flags = data[0] & 0x0f;
    ret_frame->body = data + at;
    ret_frame->body_size = body_size;
    return (long)(at + body_size);
}

/* Bytes of a CONNACK property's value after its id; 0 for unknown ids. */
static size_t skip_size(uint8_t id, struct cursor *c)
{
    switch (id) {
    case 0x25: /* retain available */
    case 0x28: /* wildcard subscription available */
    case 0x29: /* subscription identifiers available */
    case 0x2a: /* shared subscription available */
        return 1;
    case 0x13: /* server keep alive */
    case 0x22: /* topic alias maximum */
        return 2;
    case PROPERTY_SESSION_EXPIRY:
    case 0x27: /* maximum packet size */
        return 4;
    case 0x12: /* assigned client id */
    case 0x15: /* authentication method */
    case 0x16: /* authentication data */
    case 0x1a: /* response information */
    case 0x1c: /* server reference */
    case 0x1f: /* reason string */
        return take_u16(c);
    case 0x26: /* user property */
        take(c, take_u16(c));
        return take_u16(c);
    default:
        c->bad = true;
        return 0;
    }
}

bool bench_wire_get_connack(const struct bench_frame *f, int version, struct bench_connack *ret)
{
    struct cursor c = cursor_of(f);
    take_u8(&c);
    *ret = (struct bench_connack){
        .reason = take_u8(&c), .maximum_qos = 2, .receive_maximum = UINT16_MAX};
    if (version != BENCH_WIRE_V5 || c.bad)
        return !c.bad && c.next == c.end;
    size_t size = take_varint(&c);
    if (c.bad || size != (size_t)(c.end - c.next))
        return false;
    while (!c.bad && c.next < c.end) {
        uint8_t id = take_u8(&c);
        if (id == PROPERTY_RECEIVE_MAXIMUM)
            ret->receive_maximum = take_u16(&c);
        else if (id == PROPERTY_MAXIMUM_QOS)
            ret->maximum_qos = take_u8(&c);
        else
            take(&c, skip_size(id, &c));
    }
    return !c.bad && ret->receive_maximum > 0;
}

bool bench_wire_get_ack(const struct bench_frame *f, int version, struct bench_ack *ret)
{
    struct cursor c = cursor_of(f);
    *ret = (struct bench_ack){.packet_id = take_u16(&c)};
    if (f->type == BENCH_SUBACK) {
        if (version == BENCH_WIRE_V5)
            take(&c, take_varint(&c));
        ret->reason = take_u8(&c);
    } else if (version == BENCH_WIRE_V5 && c.next < c.end) {
        ret->reason = take_u8(&c);
    }
    return !c.bad && ret->packet_id != 0;
}

bool bench_wire_get_message(const struct bench_frame *f, int version, struct bench_message *ret)
{
    struct cursor c = cursor_of(f);
    take(&c, take_u16(&c));
    ret->qos = (uint8_t)(f->flags >> 1 & 3);
    ret->packet_id = ret->qos ? take_u16(&c) : 0;
    if (version == BENCH_WIRE_V5)
        take(&c, take_varint(&c));
    ret->payload = c.next;
    ret->payload_size = (size_t)(c.end - c.next);
    return !c.bad && ret->qos < 3 && (ret->qos == 0 || ret->packet_id != 0);
}

/* --- writing: the caller has made room, nothing can fail --- */

static uint8_t *put_u8(uint8_t *out, uint8_t value)
{
    *out = value;
    return out + 1;
}

static uint8_t *put_u16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return out + 2;
}

static uint8_t *put_u32(uint8_t *out, uint32_t value)
{
    return put_u16(put_u16(out, value >> 16), value & 0xffff);
}

static uint8_t *put_varint(uint8_t *out, size_t value)
{
    for (; value >= 0x80; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    return put_u8(out, (uint8_t)value);
}

static uint8_t *put_text(uint8_t *out, const char *text)
{
    size_t size = strlen(text);
    out = put_u16(out, size);
    memcpy(out, text, size);
    return out + size;
}

static size_t text_size(const char *text)
{
    return text ? 2 + strlen(text) : 0;
}

/* CONNECT's properties: only the session expiry, and only where it is not 0. */
static uint8_t *put_connect_properties(uint8_t *out, bool persistent)
{
    out = put_u8(out, persistent ? 5 : 0);
    if (!persistent)
        return out;
    return put_u32(put_u8(out, PROPERTY_SESSION_EXPIRY), SESSION_EXPIRY_S);
}

size_t bench_wire_put_connect(uint8_t *out, const struct bench_hello *hello)
{
    uint8_t *at = put_u8(out, BENCH_CONNECT << 4);
    size_t properties = hello->version != BENCH_WIRE_V5 ? 0 : hello->persistent ? 6 : 1;
    at = put_varint(at, 10 + properties + text_size(hello->client_id) + text_size(hello->username) +
                            text_size(hello->password));
    at = put_u8(put_text(at, "MQTT"), (uint8_t)hello->version);
    at = put_u8(at, (uint8_t)((hello->username ? 0x80 : 0) | (hello->password ? 0x40 : 0) |
                              (hello->persistent ? 0 : 0x02)));
    at = put_u16(at, hello->keepalive_s);
    if (hello->version == BENCH_WIRE_V5)
        at = put_connect_properties(at, hello->persistent);
    at = put_text(at, hello->client_id);
    if (hello->username)
        at = put_text(at, hello->username);
    if (hello->password)
        at = put_text(at, hello->password);
    return (size_t)(at - out);
}

size_t bench_wire_put_subscribe(uint8_t *out, int version, const char *filter, uint8_t qos)
{
    uint8_t *at = put_u8(out, BENCH_SUBSCRIBE << 4 | 2);
    at = put_varint(at, 2 + (version == BENCH_WIRE_V5 ? 1u : 0u) + text_size(filter) + 1);
    at = put_u16(at, 1);
    if (version == BENCH_WIRE_V5)
        at = put_u8(at, 0);
    at = put_u8(put_text(at, filter), qos);
    return (size_t)(at - out);
}

size_t bench_wire_put_ack(uint8_t *out, enum bench_packet type, uint16_t packet_id)
{
    out[0] = (uint8_t)(type << 4 | (type == BENCH_PUBREL ? 2 : 0));
    out[1] = 2;
    put_u16(out + 2, packet_id);
    return BENCH_WIRE_ACK_SIZE;
}

size_t bench_wire_put_pingreq(uint8_t *out)
{
    out[0] = BENCH_PINGREQ << 4;
    out[1] = 0;
    return 2;
}

size_t bench_wire_put_disconnect(uint8_t *out, int version)
{
    uint8_t *at = put_u8(out, BENCH_DISCONNECT << 4);
    if (version != BENCH_WIRE_V5) {
        at = put_u8(at, 0);
        return (size_t)(at - out);
    }
    at = put_u8(put_u8(at, 7), 0);
    at = put_u32(put_u8(put_u8(at, 5), PROPERTY_SESSION_EXPIRY), 0);
    return (size_t)(at - out);
}

size_t bench_wire_publish_size(const char *topic, size_t payload_size)
{
    return 1 + VARINT_MAX + text_size(topic) + 2 + 1 + payload_size;
}

bool bench_wire_init_template(struct bench_template *t, int version,
                              const struct bench_topic *topic, size_t payload_size)
{
    if (!t->bytes)
        t->bytes = malloc(bench_wire_publish_size(topic->name, payload_size));
    if (!t->bytes)
        return false;
    uint8_t *at =
        put_u8(t->bytes, (uint8_t)(BENCH_PUBLISH << 4 | topic->qos << 1 | (topic->retain ? 1 : 0)));
    at = put_varint(at, text_size(topic->name) + (topic->qos ? 2 : 0) +
                            (version == BENCH_WIRE_V5 ? 1 : 0) + payload_size);
    at = put_text(at, topic->name);
    t->id_at = topic->qos ? (size_t)(at - t->bytes) : 0;
    if (topic->qos)
        at = put_u16(at, 0);
    if (version == BENCH_WIRE_V5)
        at = put_u8(at, 0);
    t->payload_at = (size_t)(at - t->bytes);
    t->size = t->payload_at + payload_size;
    memset(at, FILL, payload_size);
    return true;
}

void bench_wire_done_template(struct bench_template *t)
{
    free(t->bytes);
    *t = (struct bench_template){0};
}

void bench_wire_put_stamp(uint8_t *payload, size_t payload_size, struct bench_stamp stamp)
{
    memcpy(payload, &stamp.publisher, 4);
    memcpy(payload + 4, &stamp.sequence, 4);
    memcpy(payload + 8, &stamp.intended_ns, 8);
    if (payload_size > BENCH_WIRE_STAMP_SIZE)
        payload[payload_size - 1] = (uint8_t)stamp.sequence;
}

bool bench_wire_get_stamp(const struct bench_message *m, size_t expected_size,
                          struct bench_stamp *ret)
{
    if (m->payload_size != expected_size)
        return false;
    memcpy(&ret->publisher, m->payload, 4);
    memcpy(&ret->sequence, m->payload + 4, 4);
    memcpy(&ret->intended_ns, m->payload + 8, 8);
    return m->payload_size == BENCH_WIRE_STAMP_SIZE ||
           m->payload[m->payload_size - 1] == (uint8_t)ret->sequence;
}
