/*
 * Every decoder. The first byte of the input picks the version, the second is
 * the type and flags of a packet, the rest is its body, which thus ends where
 * the memory ends. What decodes must lie inside the body, and say the same again
 * after it was encoded and decoded once more.
 */

#include "common/base/check.h"
#include "common/mqtt/codec_ack.h"
#include "common/mqtt/codec_connect.h"
#include "common/mqtt/codec_control.h"
#include "common/mqtt/codec_publish.h"
#include "common/mqtt/codec_subscribe.h"
#include "common/mqtt/frame.h"
#include "common/mqtt/topic.h"
#include "common/mqtt/utf8.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    enum mqtt_version version;
    uint8_t flags;
    struct bytes body;
};

enum { SIZE_SPARE = 64 }; /* headers of what is encoded again */

static void check_inside(const struct input *in, struct bytes b)
{
    if (b.size == 0)
        return;
    check(b.data >= in->body.data);
    check(b.size <= in->body.size);
    check(b.data + b.size <= in->body.data + in->body.size);
}

static void check_text(const struct input *in, struct bytes b)
{
    check_inside(in, b);
    check(utf8_is_valid(b));
}

/* Memory that all of the input fits into when it is encoded again. */
static struct bytes room_for(const struct input *in)
{
    size_t size = in->body.size + SIZE_SPARE;
    uint8_t *memory = malloc(size);

    if (memory == NULL)
        abort();
    return (struct bytes){memory, size};
}

static uint8_t *memory_of(struct bytes room)
{
    return (uint8_t *)(uintptr_t)room.data;
}

/* Takes the fixed header off a packet that was encoded into `room`. */
static struct input reopened(const struct input *in, struct bytes room, size_t size)
{
    struct frame_header h;
    struct bytes packet = {room.data, size};

    check(size > 0);
    check(frame_parse(packet, &h) == FRAME_HEADER);
    check(frame_is_shortest(&h));
    check(h.header_size + h.remaining_size == size);
    return (struct input){in->version, h.flags, bytes_from(packet, h.header_size)};
}

static void check_message(const struct input *in, const struct mqtt_message *m)
{
    check_text(in, m->topic);
    check(!topic_has_wildcard(m->topic));
    check_inside(in, m->payload);
    check_inside(in, m->properties);
    check(m->qos <= QOS_EXACTLY_ONCE);
    uint8_t *passed = malloc(m->properties.size + 1);
    size_t size = codec_publish_pass(m->properties, passed);
    check(m->properties_pass == (size == m->properties.size));
    free(passed);
}

static void fuzz_connect(const struct input *in)
{
    struct mqtt_connect c;
    enum mqtt_version version;

    if (codec_connect_decode(&c, in->flags, in->body, &version) != REASON_SUCCESS)
        return;
    check(c.version == version);
    check(version >= MQTT_V31 && version <= MQTT_V5);
    check_text(in, c.client_id);
    check_text(in, c.username);
    check_inside(in, c.password);
    check_text(in, c.auth_method);
    check_inside(in, c.auth_data);
    check(c.receive_max > 0);
    if (c.has_will) {
        check(c.will.topic.size > 0);
        check_message(in, &c.will);
    }
}

static void check_same_message(const struct mqtt_message *a, const struct mqtt_message *b)
{
    check(bytes_equal(a->topic, b->topic));
    check(bytes_equal(a->payload, b->payload));
    check(a->qos == b->qos);
    check(a->retain == b->retain);
    check(a->has_expiry == b->has_expiry);
    check(a->expiry_s == b->expiry_s);
}

static size_t encode_publish(const struct mqtt_publish *p, enum mqtt_version version,
                             struct bytes properties, struct bytes room)
{
    struct writer w = writer_of(memory_of(room), room.size);
    struct publish_out out = {.topic = p->message.topic,
                              .properties = properties,
                              .payload_size = p->message.payload.size,
                              .qos = p->message.qos,
                              .retain = p->message.retain,
                              .dup = p->dup,
                              .has_expiry = p->message.has_expiry,
                              .expiry_s = p->message.expiry_s,
                              .packet_id = p->packet_id,
                              .topic_alias = p->topic_alias};

    codec_publish_encode_head(&w, &out, version);
    check(room.size - writer_left(&w) == codec_publish_head_size(&out, version));
    writer_bytes(&w, p->message.payload);
    check(!w.bad);
    check(room.size - writer_left(&w) == codec_publish_size(&out, version));
    return room.size - writer_left(&w);
}

static void fuzz_publish(const struct input *in)
{
    struct mqtt_publish p;
    struct mqtt_publish again;

    if (codec_publish_decode(&p, in->version, in->flags, in->body) != REASON_SUCCESS)
        return;
    check_message(in, &p.message);
    struct bytes room = room_for(in);
    struct bytes passed = room_for(in);
    passed.size = codec_publish_pass(p.message.properties, memory_of(passed));
    size_t size = encode_publish(&p, in->version, passed, room);
    struct input second = reopened(in, room, size);
    check(codec_publish_decode(&again, second.version, second.flags, second.body) ==
          REASON_SUCCESS);
    check_same_message(&p.message, &again.message);
    check(p.dup == again.dup);
    check(p.packet_id == again.packet_id);
    check(p.topic_alias == again.topic_alias);
    free(memory_of(passed));
    free(memory_of(room));
}

static void fuzz_ack(const struct input *in, enum packet_type type)
{
    struct mqtt_ack a;
    struct mqtt_ack again;

    if (codec_ack_decode(&a, type, in->version, in->flags, in->body) != REASON_SUCCESS)
        return;
    check_text(in, a.reason_string);
    struct bytes room = room_for(in);
    size_t size = codec_ack_encode(&a, type, in->version, memory_of(room), room.size);
    struct input second = reopened(in, room, size);
    check(codec_ack_decode(&again, type, in->version, second.flags, second.body) == REASON_SUCCESS);
    check(a.packet_id == again.packet_id);
    check(a.reason == again.reason);
    check(bytes_equal(a.reason_string, again.reason_string));
    free(memory_of(room));
}

static void fuzz_subscribe(const struct input *in)
{
    struct mqtt_subscribe s;
    struct mqtt_filter f;
    unsigned count = 0;

    if (codec_subscribe_decode(&s, in->version, in->flags, in->body) != REASON_SUCCESS)
        return;
    struct reader r = reader_of(s.filters);
    while (codec_subscribe_next(&r, in->version, &f)) {
        check_text(in, f.filter);
        check(f.qos <= QOS_EXACTLY_ONCE);
        check(f.retain_handling <= RETAIN_SEND_NEVER);
        count++;
    }
    check(count > 0);
    check(count == s.filter_count);
    check(s.packet_id != 0);
    check(s.subscription_id <= SUBSCRIPTION_ID_MAX);
}

static void fuzz_unsubscribe(const struct input *in)
{
    struct mqtt_subscribe s;
    struct bytes filter;
    unsigned count = 0;

    if (codec_unsubscribe_decode(&s, in->version, in->flags, in->body) != REASON_SUCCESS)
        return;
    struct reader r = reader_of(s.filters);
    while (codec_unsubscribe_next(&r, &filter)) {
        check_text(in, filter);
        count++;
    }
    check(count > 0);
    check(count == s.filter_count);
}

static void fuzz_disconnect(const struct input *in)
{
    struct mqtt_disconnect d;
    struct mqtt_disconnect again;

    if (codec_disconnect_decode(&d, in->version, in->flags, in->body) != REASON_SUCCESS)
        return;
    check_text(in, d.reason_string);
    struct bytes room = room_for(in);
    size_t size = codec_disconnect_encode(&d, memory_of(room), room.size);
    struct input second = reopened(in, room, size);
    if (d.reason != REASON_DISCONNECT_WITH_WILL) { /* which only a client sends */
        check(codec_disconnect_decode(&again, MQTT_V5, 0, second.body) == REASON_SUCCESS);
        check(d.reason == again.reason);
        check(bytes_equal(d.reason_string, again.reason_string));
    }
    free(memory_of(room));
}

static void fuzz_auth(const struct input *in)
{
    struct mqtt_auth a;
    struct mqtt_auth again;

    if (codec_auth_decode(&a, in->flags, in->body) != REASON_SUCCESS)
        return;
    check_text(in, a.method);
    check_inside(in, a.data);
    struct bytes room = room_for(in);
    size_t size = codec_auth_encode(&a, memory_of(room), room.size);
    struct input second = reopened(in, room, size);
    if (a.method.size > 0) { /* an empty one is left out */
        check(codec_auth_decode(&again, second.flags, second.body) == REASON_SUCCESS);
        check(a.reason == again.reason);
        check(bytes_equal(a.method, again.method));
        check(bytes_equal(a.data, again.data));
        check(bytes_equal(a.reason_string, again.reason_string));
    }
    free(memory_of(room));
}

static void fuzz_packet(const struct input *in, enum packet_type type)
{
    switch (type) {
    case PACKET_CONNECT:
        fuzz_connect(in);
        return;
    case PACKET_PUBLISH:
        fuzz_publish(in);
        return;
    case PACKET_PUBACK:
    case PACKET_PUBREC:
    case PACKET_PUBREL:
    case PACKET_PUBCOMP:
        fuzz_ack(in, type);
        return;
    case PACKET_SUBSCRIBE:
        fuzz_subscribe(in);
        return;
    case PACKET_UNSUBSCRIBE:
        fuzz_unsubscribe(in);
        return;
    case PACKET_DISCONNECT:
        fuzz_disconnect(in);
        return;
    case PACKET_AUTH:
        fuzz_auth(in);
        return;
    case PACKET_PINGREQ:
        check((codec_pingreq_decode(in->flags, in->body) == REASON_SUCCESS) ==
              (in->flags == 0 && in->body.size == 0));
        return;
    case PACKET_RESERVED:
    case PACKET_CONNACK:
    case PACKET_SUBACK:
    case PACKET_UNSUBACK:
    case PACKET_PINGRESP:
        return;
    }
}

static void fuzz_frame(struct bytes stream)
{
    struct frame_header h;

    if (frame_parse(stream, &h) != FRAME_HEADER)
        return;
    check(h.header_size >= 2);
    check(h.header_size <= FRAME_HEADER_MAX);
    check(h.header_size <= stream.size);
    check(h.remaining_size <= PACKET_REMAINING_MAX);
    check(!frame_is_shortest(&h) ||
          frame_size(h.remaining_size) == h.header_size + (size_t)h.remaining_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct bytes stream = {data + 1, size - 1};
    struct input in = {.version = (enum mqtt_version)(MQTT_V31 + data[0] % 3),
                       .flags = data[1] & 0x0F,
                       .body = bytes_from(stream, 1)};

    fuzz_frame(stream);
    fuzz_packet(&in, (enum packet_type)(data[1] >> 4));
    return 0;
}
