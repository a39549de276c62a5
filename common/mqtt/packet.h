#ifndef COURTIER_COMMON_MQTT_PACKET_H
#define COURTIER_COMMON_MQTT_PACKET_H

/*
 * One struct per packet, in the form in which the rest of the broker sees it.
 * All `struct bytes` are borrowed from the input of the decoder or from the
 * caller of the encoder. Properties that only pass through (Payload Format
 * Indicator, Content Type, Response Topic, Correlation Data, User Property) are
 * validated once and then kept as the bytes that they came in, in their order
 * [MQTT-3.3.2-18].
 */

#include "common/base/bytes.h"
#include "common/mqtt/reason.h"
#include "common/mqtt/version.h"

#include <stdbool.h>
#include <stdint.h>

enum packet_type {
    PACKET_RESERVED = 0,
    PACKET_CONNECT = 1,
    PACKET_CONNACK = 2,
    PACKET_PUBLISH = 3,
    PACKET_PUBACK = 4,
    PACKET_PUBREC = 5,
    PACKET_PUBREL = 6,
    PACKET_PUBCOMP = 7,
    PACKET_SUBSCRIBE = 8,
    PACKET_SUBACK = 9,
    PACKET_UNSUBSCRIBE = 10,
    PACKET_UNSUBACK = 11,
    PACKET_PINGREQ = 12,
    PACKET_PINGRESP = 13,
    PACKET_DISCONNECT = 14,
    PACKET_AUTH = 15
};

enum { PACKET_REMAINING_MAX = 268435455, SUBSCRIPTION_ID_MAX = 268435455 };

/* Session Expiry Interval; no enumerator, since it does not fit in an int. */
#define SESSION_NEVER_EXPIRES UINT32_MAX

/* What a PUBLISH and a will have in common. */
struct mqtt_message {
    struct bytes topic; /* PUBLISH: empty when only an alias was given */
    struct bytes payload;
    struct bytes properties; /* the whole property block, without its length */
    bool properties_pass;    /* the block holds nothing but properties that pass through */
    enum qos qos;
    bool retain;
    bool has_expiry;
    uint32_t expiry_s; /* Message Expiry Interval */
};

struct mqtt_connect {
    enum mqtt_version version;
    bool is_bridge; /* bit 7 of the level, as bridges set it */
    bool clean_start;
    bool has_will;
    bool has_username;
    bool has_password;
    uint16_t keep_alive_s;
    struct bytes client_id;
    struct bytes username;
    struct bytes password;
    struct mqtt_message will;
    uint32_t will_delay_s;
    uint32_t session_expiry_s; /* 5.0; for older ones 0 or SESSION_NEVER_EXPIRES by clean session */
    uint16_t receive_max;      /* 65535 when absent */
    uint32_t packet_size_max;  /* 0 when absent: no limit */
    uint16_t topic_alias_max;  /* 0 when absent */
    bool wants_response_info;  /* Request Response Information */
    bool wants_problem_info;   /* Request Problem Information; true when absent */
    bool has_auth_method;
    struct bytes auth_method;
    bool has_auth_data;
    struct bytes auth_data;
};

/* Fields with value "absent" are left out of the packet. */
struct mqtt_connack {
    bool session_present;
    enum mqtt_reason reason; /* 5.0 code; the encoder maps it for older clients */
    bool has_session_expiry;
    uint32_t session_expiry_s;
    uint16_t receive_max; /* 0: absent */
    bool has_qos_max;
    uint8_t qos_max; /* 0 or 1 */
    bool retain_unavailable;
    uint32_t packet_size_max;        /* 0: absent */
    struct bytes assigned_client_id; /* empty: absent */
    uint16_t topic_alias_max;        /* 0: absent */
    struct bytes reason_string;      /* empty: absent */
    bool wildcard_unavailable;
    bool subscription_id_unavailable;
    bool shared_unavailable;
    bool has_server_keep_alive;
    uint16_t server_keep_alive_s;
    struct bytes response_info;    /* empty: absent */
    struct bytes server_reference; /* empty: absent */
};

struct mqtt_publish {
    struct mqtt_message message;
    bool dup;
    uint16_t packet_id;   /* 0 at QoS 0 */
    uint16_t topic_alias; /* 0: absent */
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_ack {
    uint16_t packet_id;
    enum mqtt_reason reason;
    struct bytes reason_string; /* empty: absent */
};

/* SUBSCRIBE and UNSUBSCRIBE: `filters` is validated as a whole and then walked
 * with codec_subscribe_next / codec_unsubscribe_next. */
struct mqtt_subscribe {
    uint16_t packet_id;
    uint32_t subscription_id; /* 0: absent */
    unsigned filter_count;    /* at least 1 */
    struct bytes filters;
};

/* SUBACK and UNSUBACK. */
struct mqtt_suback {
    uint16_t packet_id;
    struct bytes codes;         /* 5.0 reason codes, one per filter in order */
    struct bytes reason_string; /* empty: absent */
};

enum retain_handling { RETAIN_SEND_ALWAYS = 0, RETAIN_SEND_IF_NEW = 1, RETAIN_SEND_NEVER = 2 };

struct mqtt_filter {
    struct bytes filter; /* a valid string; not yet checked as a topic filter */
    enum qos qos;
    bool no_local;
    bool retain_as_published;
    enum retain_handling retain_handling;
};

struct mqtt_disconnect {
    enum mqtt_reason reason;
    bool has_session_expiry;
    uint32_t session_expiry_s;
    struct bytes reason_string;    /* empty: absent */
    struct bytes server_reference; /* empty: absent */
};

struct mqtt_auth {
    enum mqtt_reason reason;
    struct bytes method;
    struct bytes data;
    struct bytes reason_string;
};

#endif
