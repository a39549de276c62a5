#include "common/mqtt/codec_control.h"

#include "common/base/check.h"
#include "common/mqtt/codec_tail.h"
#include "common/mqtt/frame.h"

enum mqtt_reason codec_disconnect_decode(struct mqtt_disconnect *ret, enum mqtt_version version,
                                         uint8_t flags, struct bytes body)
{
    struct mqtt_disconnect d = {.reason = REASON_NORMAL_DISCONNECTION};
    struct property_set set;
    struct reader r = reader_of(body);

    if (flags != 0)
        return WHY_PACKET_FLAGS; /* [MQTT-3.14.1-1] */
    if (version != MQTT_V5 && body.size > 0)
        return WHY_BODY;
    enum mqtt_reason reason = codec_tail_decode(&r, REASON_IN_CLIENT_DISCONNECT,
                                                PROPERTY_IN_CLIENT_DISCONNECT, &d.reason, &set);
    if (reason != REASON_SUCCESS)
        return reason;
    d.has_session_expiry = property_has(&set, PROPERTY_SESSION_EXPIRY_INTERVAL);
    d.session_expiry_s = property_number(&set, PROPERTY_SESSION_EXPIRY_INTERVAL, 0);
    d.reason_string = property_text(&set, PROPERTY_REASON_STRING);
    *ret = d;
    return REASON_SUCCESS;
}

size_t codec_disconnect_encode(const struct mqtt_disconnect *p, uint8_t *memory, size_t size)
{
    struct tail_packet packet = {.type = PACKET_DISCONNECT, .reason_string = p->reason_string};

    /* Codes come here from all over; one that can't be told must not end the
     * worker [MQTT-3.14.2-1]. A session expiry is never sent [MQTT-3.14.2-2]. */
    bool fits = reason_fits((uint8_t)p->reason, REASON_IN_DISCONNECT);
    packet.reason = fits ? p->reason : REASON_UNSPECIFIED_ERROR;
    property_add_text(&packet.properties, PROPERTY_SERVER_REFERENCE, p->server_reference);
    return codec_tail_encode(&packet, memory, size);
}

enum mqtt_reason codec_pingreq_decode(uint8_t flags, struct bytes body)
{
    if (flags != 0)
        return WHY_PACKET_FLAGS;
    return body.size == 0 ? REASON_SUCCESS : WHY_BODY;
}

size_t codec_pingresp_encode(uint8_t *memory, size_t size)
{
    struct writer w = writer_of(memory, size);

    frame_encode(&w, PACKET_PINGRESP, 0, 0);
    return w.bad ? 0 : CODEC_PINGRESP_SIZE;
}

enum mqtt_reason codec_auth_decode(struct mqtt_auth *ret, uint8_t flags, struct bytes body)
{
    struct mqtt_auth a = {.reason = REASON_SUCCESS};
    struct property_set set;
    struct reader r = reader_of(body);

    if (flags != 0)
        return WHY_PACKET_FLAGS; /* [MQTT-3.15.1-1] */
    enum mqtt_reason reason =
        codec_tail_decode(&r, REASON_IN_AUTH, PROPERTY_IN_AUTH, &a.reason, &set);
    if (reason != REASON_SUCCESS)
        return reason;
    /* Success is the server's to say [MQTT-4.12.0-3]; each AUTH names the method
     * [MQTT-4.12.0-5]. */
    if (a.reason == REASON_SUCCESS || !property_has(&set, PROPERTY_AUTHENTICATION_METHOD))
        return WHY_AUTH_INCOMPLETE;
    a.method = property_text(&set, PROPERTY_AUTHENTICATION_METHOD);
    a.data = property_text(&set, PROPERTY_AUTHENTICATION_DATA);
    a.reason_string = property_text(&set, PROPERTY_REASON_STRING);
    *ret = a;
    return REASON_SUCCESS;
}

size_t codec_auth_encode(const struct mqtt_auth *p, uint8_t *memory, size_t size)
{
    struct tail_packet packet = {
        .type = PACKET_AUTH, .reason = p->reason, .reason_string = p->reason_string};

    check(reason_fits((uint8_t)p->reason, REASON_IN_AUTH));
    property_add_text(&packet.properties, PROPERTY_AUTHENTICATION_METHOD, p->method);
    property_add_text(&packet.properties, PROPERTY_AUTHENTICATION_DATA, p->data);
    return codec_tail_encode(&packet, memory, size);
}
