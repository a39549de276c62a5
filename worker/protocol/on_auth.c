#include "worker/protocol/on_auth.h"

#include "common/mqtt/codec_control.h"

enum mqtt_reason on_auth_check_method(const struct mqtt_connect *connect)
{
    return connect->has_auth_method ? WHY_AUTH_METHOD_UNKNOWN : REASON_SUCCESS;
}

void on_auth(struct conn *conn, const struct frame_header *header, struct bytes body)
{
    struct mqtt_auth auth;
    enum mqtt_reason reason = codec_auth_decode(&auth, header->flags, body);
    bool is_malformed = reason_code(reason) == REASON_MALFORMED_PACKET;
    conn_close(conn, is_malformed ? reason : WHY_AUTH_UNASKED);
}
