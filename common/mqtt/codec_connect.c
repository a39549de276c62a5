#include "common/mqtt/codec_connect.h"

#include "common/base/check.h"
#include "common/mqtt/frame.h"
#include "common/mqtt/property.h"
#include "common/mqtt/topic.h"
#include "common/mqtt/utf8.h"

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN_START = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS_SHIFT = 3,
    FLAG_WILL_QOS_MASK = 0x03,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USERNAME = 0x80
};

enum {
    LEVEL_BRIDGE = 0x80,
    RECEIVE_MAX_ABSENT = UINT16_MAX,
    CONNACK_HEAD_SIZE = 2 /* session present and reason code */
};

/* Name and level decide together: MQIsdp goes with 3, MQTT with 4 and 5. */
static bool is_served(struct bytes name, uint8_t level)
{
    if (level == MQTT_V31)
        return bytes_equal(name, bytes_of("MQIsdp"));
    return (level == MQTT_V311 || level == MQTT_V5) && bytes_equal(name, bytes_of("MQTT"));
}

static enum mqtt_reason read_protocol(struct reader *r, struct mqtt_connect *c,
                                      enum mqtt_version *ret_version)
{
    struct bytes name = reader_bytes16(r);
    uint8_t level = reader_u8(r);

    if (r->bad)
        return WHY_CUT_OFF;
    if (!bytes_equal(name, bytes_of("MQTT")) && !bytes_equal(name, bytes_of("MQIsdp")))
        return REASON_UNSUPPORTED_PROTOCOL_VERSION; /* [MQTT-3.1.2-1] */
    *ret_version = MQTT_V311;
    c->is_bridge = level == (LEVEL_BRIDGE | MQTT_V31) || level == (LEVEL_BRIDGE | MQTT_V311);
    if (c->is_bridge)
        level &= (uint8_t)~LEVEL_BRIDGE;
    if (!is_served(name, level))
        return REASON_UNSUPPORTED_PROTOCOL_VERSION; /* [MQTT-3.1.2-2] */
    c->version = (enum mqtt_version)level;
    *ret_version = c->version;
    return REASON_SUCCESS;
}

static enum mqtt_reason read_flags(struct mqtt_connect *c, uint8_t flags)
{
    unsigned will_qos = flags >> FLAG_WILL_QOS_SHIFT & FLAG_WILL_QOS_MASK;

    c->clean_start = (flags & FLAG_CLEAN_START) != 0;
    c->has_will = (flags & FLAG_WILL) != 0;
    c->has_username = (flags & FLAG_USERNAME) != 0;
    c->has_password = (flags & FLAG_PASSWORD) != 0;
    c->will.qos = (enum qos)will_qos;
    c->will.retain = (flags & FLAG_WILL_RETAIN) != 0;
    if ((flags & FLAG_RESERVED) != 0)
        return WHY_CONNECT_FLAGS; /* [MQTT-3.1.2-3] */
    if (will_qos > QOS_EXACTLY_ONCE)
        return WHY_WILL_QOS; /* [MQTT-3.1.2-12] */
    if (!c->has_will && (will_qos != 0 || c->will.retain))
        return WHY_WILL_FLAGS; /* [MQTT-3.1.2-11] [MQTT-3.1.2-13] */
    if (c->version != MQTT_V5 && c->has_password && !c->has_username)
        return REASON_MALFORMED_PACKET; /* 3.1.1 [MQTT-3.1.2-22] */
    return REASON_SUCCESS;
}

static enum mqtt_reason read_properties(struct reader *r, struct mqtt_connect *c)
{
    struct property_set set;
    enum mqtt_reason reason = property_decode(r, PROPERTY_IN_CONNECT, &set);

    if (reason != REASON_SUCCESS)
        return reason;
    c->session_expiry_s = property_number(&set, PROPERTY_SESSION_EXPIRY_INTERVAL, 0);
    c->receive_max = (uint16_t)property_number(&set, PROPERTY_RECEIVE_MAXIMUM, RECEIVE_MAX_ABSENT);
    c->packet_size_max = property_number(&set, PROPERTY_MAXIMUM_PACKET_SIZE, 0);
    c->topic_alias_max = (uint16_t)property_number(&set, PROPERTY_TOPIC_ALIAS_MAXIMUM, 0);
    c->wants_response_info = property_number(&set, PROPERTY_REQUEST_RESPONSE_INFORMATION, 0) != 0;
    c->wants_problem_info = property_number(&set, PROPERTY_REQUEST_PROBLEM_INFORMATION, 1) != 0;
    c->has_auth_method = property_has(&set, PROPERTY_AUTHENTICATION_METHOD);
    c->auth_method = property_text(&set, PROPERTY_AUTHENTICATION_METHOD);
    c->has_auth_data = property_has(&set, PROPERTY_AUTHENTICATION_DATA);
    c->auth_data = property_text(&set, PROPERTY_AUTHENTICATION_DATA);
    if (c->has_auth_data && !c->has_auth_method)
        return WHY_AUTH_DATA_ALONE; /* section 3.1.2.11.10 */
    return REASON_SUCCESS;
}

/* What the properties say in 5.0. */
static void set_defaults(struct mqtt_connect *c)
{
    c->session_expiry_s = c->clean_start ? 0 : SESSION_NEVER_EXPIRES;
    c->receive_max = RECEIVE_MAX_ABSENT;
    c->wants_problem_info = true;
}

/* Protocol name to properties: the variable header. */
static enum mqtt_reason read_head(struct reader *r, struct mqtt_connect *c, uint8_t fixed_flags,
                                  enum mqtt_version *ret_version)
{
    enum mqtt_reason reason = read_protocol(r, c, ret_version);

    if (reason != REASON_SUCCESS)
        return reason;
    if (fixed_flags != 0)
        return WHY_PACKET_FLAGS; /* [MQTT-2.1.3-1] */
    uint8_t flags = reader_u8(r);
    c->keep_alive_s = reader_u16(r);
    if (r->bad)
        return WHY_CUT_OFF;
    reason = read_flags(c, flags);
    if (reason != REASON_SUCCESS)
        return reason;
    if (c->version == MQTT_V5)
        return read_properties(r, c);
    set_defaults(c);
    return REASON_SUCCESS;
}

static enum mqtt_reason read_will(struct reader *r, struct mqtt_connect *c)
{
    c->will.properties_pass = true;
    if (c->version == MQTT_V5) {
        struct property_set set;
        enum mqtt_reason reason = property_decode_message(r, PROPERTY_IN_WILL, &c->will, &set);
        if (reason != REASON_SUCCESS)
            return reason;
        c->will_delay_s = property_number(&set, PROPERTY_WILL_DELAY_INTERVAL, 0);
    }
    c->will.topic = reader_bytes16(r);
    c->will.payload = reader_bytes16(r);
    if (r->bad)
        return WHY_CUT_OFF; /* [MQTT-3.1.2-9] */
    if (!utf8_is_valid(c->will.topic))
        return WHY_STRING; /* [MQTT-3.1.3-11] */
    if (c->will.topic.size == 0 || topic_has_wildcard(c->will.topic))
        return WHY_WILL_TOPIC; /* [MQTT-4.7.0-1] [MQTT-4.7.3-1] */
    return REASON_SUCCESS;
}

static enum mqtt_reason read_login(struct reader *r, struct mqtt_connect *c)
{
    /* In 3.1 the remaining length wins over the flags: a field behind the end is
     * absent. */
    bool may_lack = c->version == MQTT_V31;

    if (may_lack && reader_left(r) == 0)
        c->has_username = false;
    if (c->has_username)
        c->username = reader_bytes16(r); /* [MQTT-3.1.2-17] */
    if (may_lack && reader_left(r) == 0)
        c->has_password = false;
    if (c->has_password)
        c->password = reader_bytes16(r); /* [MQTT-3.1.2-19] */
    if (r->bad)
        return WHY_CUT_OFF;
    if (!utf8_is_valid(c->username))
        return WHY_STRING; /* [MQTT-3.1.3-12] */
    return REASON_SUCCESS;
}

enum mqtt_reason codec_connect_decode(struct mqtt_connect *ret, uint8_t flags, struct bytes body,
                                      enum mqtt_version *ret_version)
{
    struct mqtt_connect c = {.has_will = false};
    struct reader r = reader_of(body);

    *ret_version = (enum mqtt_version)0;
    enum mqtt_reason reason = read_head(&r, &c, flags, ret_version);
    if (reason != REASON_SUCCESS)
        return reason;
    c.client_id = reader_bytes16(&r); /* [MQTT-3.1.3-3] */
    if (r.bad)
        return WHY_CUT_OFF;
    if (!utf8_is_valid(c.client_id))
        return WHY_STRING; /* [MQTT-3.1.3-4] */
    if (c.has_will)
        reason = read_will(&r, &c);
    if (reason == REASON_SUCCESS)
        reason = read_login(&r, &c);
    if (reason != REASON_SUCCESS)
        return reason;
    if (reader_left(&r) > 0)
        return WHY_SURPLUS; /* [MQTT-3.1.2-16] [MQTT-3.1.2-18] */
    *ret = c;
    return REASON_SUCCESS;
}

static void add_if(struct property_block *block, bool is_present, enum property_id id,
                   uint32_t number)
{
    if (is_present)
        property_add_number(block, id, number);
}

static void collect_properties(const struct mqtt_connack *p, struct property_block *block)
{
    add_if(block, p->has_session_expiry, PROPERTY_SESSION_EXPIRY_INTERVAL, p->session_expiry_s);
    property_add_text(block, PROPERTY_ASSIGNED_CLIENT_IDENTIFIER, p->assigned_client_id);
    add_if(block, p->has_server_keep_alive, PROPERTY_SERVER_KEEP_ALIVE, p->server_keep_alive_s);
    property_add_text(block, PROPERTY_RESPONSE_INFORMATION, p->response_info);
    property_add_text(block, PROPERTY_SERVER_REFERENCE, p->server_reference);
    add_if(block, p->receive_max != 0, PROPERTY_RECEIVE_MAXIMUM, p->receive_max);
    add_if(block, p->topic_alias_max != 0, PROPERTY_TOPIC_ALIAS_MAXIMUM, p->topic_alias_max);
    add_if(block, p->has_qos_max, PROPERTY_MAXIMUM_QOS, p->qos_max);
    add_if(block, p->retain_unavailable, PROPERTY_RETAIN_AVAILABLE, 0);
    add_if(block, p->packet_size_max != 0, PROPERTY_MAXIMUM_PACKET_SIZE, p->packet_size_max);
    add_if(block, p->wildcard_unavailable, PROPERTY_WILDCARD_SUBSCRIPTION_AVAILABLE, 0);
    add_if(block, p->subscription_id_unavailable, PROPERTY_SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0);
    add_if(block, p->shared_unavailable, PROPERTY_SHARED_SUBSCRIPTION_AVAILABLE, 0);
}

/* `block` is NULL towards older clients. */
static size_t write_connack(bool session_present, uint8_t code, const struct property_block *block,
                            uint8_t *memory, size_t size)
{
    size_t body = CONNACK_HEAD_SIZE + (block != NULL ? property_block_size(block) : 0);
    size_t packet = frame_size((uint32_t)body);

    if (packet > size)
        return 0;
    struct writer w = writer_of(memory, packet);
    frame_encode(&w, PACKET_CONNACK, 0, (uint32_t)body);
    writer_u8(&w, session_present); /* [MQTT-3.2.2-1] */
    writer_u8(&w, code);
    if (block != NULL)
        property_block_encode(&w, block);
    check(!w.bad);
    check(writer_left(&w) == 0);
    return packet;
}

static size_t encode_old(const struct mqtt_connack *p, enum mqtt_version version,
                         bool session_present, uint8_t *memory, size_t size)
{
    uint8_t code = reason_connack3(p->reason);

    if (p->reason != REASON_SUCCESS && code == 0)
        return 0;                        /* 3.1.1 [MQTT-3.2.2-6] */
    bool has_flag = version != MQTT_V31; /* the bit is reserved there */
    return write_connack(session_present && has_flag, code, NULL, memory, size);
}

size_t codec_connack_encode(const struct mqtt_connack *p, enum mqtt_version version,
                            uint8_t *memory, size_t size)
{
    bool session_present = p->session_present && p->reason == REASON_SUCCESS; /* [MQTT-3.2.2-6] */

    if (version != MQTT_V5)
        return encode_old(p, version, session_present, memory, size);
    /* Codes come here from all over; one that can't be told must not end the
     * worker [MQTT-3.2.2-8]. */
    bool fits = reason_fits((uint8_t)p->reason, REASON_IN_CONNACK);
    uint8_t code = (uint8_t)(fits ? p->reason : REASON_UNSPECIFIED_ERROR);
    struct property_block block = {.count = 0};
    collect_properties(p, &block);
    struct property_block full = block;
    property_add_text(&full, PROPERTY_REASON_STRING, p->reason_string);
    size_t written = write_connack(session_present, code, &full, memory, size);
    if (written == 0) /* [MQTT-3.2.2-19] */
        written = write_connack(session_present, code, &block, memory, size);
    return written;
}
