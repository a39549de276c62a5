/*
 * WHY(name, reason, text): rules that a peer can break, each with the reason code
 * that it is answered with and words for a Reason String and the log.
 */

/* Packets in general. */
WHY(PACKET_FLAGS, MALFORMED_PACKET, "wrong flags in the fixed header")
WHY(PACKET_LENGTH, MALFORMED_PACKET, "the remaining length is malformed")
WHY(CUT_OFF, MALFORMED_PACKET, "a field goes past the end of the packet")
WHY(SURPLUS, MALFORMED_PACKET, "there are bytes behind the last field")
WHY(STRING, MALFORMED_PACKET, "a string is not the UTF-8 that MQTT wants")
WHY(PACKET_ID_0, PROTOCOL_ERROR, "packet identifier 0")
WHY(REASON_CODE, PROTOCOL_ERROR, "a reason code that this packet can't have")
WHY(PACKET_TYPE, PROTOCOL_ERROR, "a packet that no client sends")
WHY(SECOND_CONNECT, PROTOCOL_ERROR, "a second CONNECT")
WHY(ACK_KIND, PROTOCOL_ERROR, "not the acknowledgement that this message waits for")

/* Properties. */
WHY(PROPERTIES, MALFORMED_PACKET, "the properties are malformed")
WHY(PROPERTY_UNKNOWN, MALFORMED_PACKET, "unknown property")
WHY(PROPERTY_PLACE, MALFORMED_PACKET, "a property that this packet can't have")
WHY(PROPERTY_TWICE, PROTOCOL_ERROR, "a property is there twice")
WHY(PROPERTY_RANGE, PROTOCOL_ERROR, "the value of a property is out of range")
WHY(RESPONSE_TOPIC, PROTOCOL_ERROR, "a wildcard in the response topic")

/* CONNECT. */
WHY(CONNECT_FLAGS, MALFORMED_PACKET, "the reserved connect flag is set")
WHY(WILL_QOS, MALFORMED_PACKET, "a will with QoS 3")
WHY(WILL_FLAGS, MALFORMED_PACKET, "QoS or retain flag of a will, but no will")
WHY(WILL_TOPIC, TOPIC_NAME_INVALID, "the topic of the will is empty or has a wildcard")
WHY(AUTH_DATA_ALONE, PROTOCOL_ERROR, "authentication data without a method")
WHY(AUTH_METHOD_UNKNOWN, BAD_AUTHENTICATION_METHOD, "no such authentication method here")

/* PUBLISH. */
WHY(QOS_3, MALFORMED_PACKET, "QoS 3")
WHY(DUP_AT_QOS_0, MALFORMED_PACKET, "DUP at QoS 0")
WHY(NO_TOPIC, PROTOCOL_ERROR, "neither a topic nor a topic alias")
WHY(TOPIC_WILDCARD, TOPIC_NAME_INVALID, "a wildcard in a topic name")
WHY(TOPIC_LIMIT, TOPIC_NAME_INVALID, "the topic is too long or has too many levels")
WHY(TOPIC_RESERVED, NOT_AUTHORIZED, "only the broker publishes to this topic")
WHY(ALIAS_0, TOPIC_ALIAS_INVALID, "topic alias 0")
WHY(ALIAS_LIMIT, TOPIC_ALIAS_INVALID, "the topic alias is above the limit")
WHY(ALIAS_UNKNOWN, PROTOCOL_ERROR, "this topic alias was never set")
WHY(CLIENT_SUBSCRIPTION_ID, PROTOCOL_ERROR, "a subscription identifier from a client")
WHY(DISK, QUOTA_EXCEEDED, "the disk has no room for this message, or fails")
WHY(QUEUE, QUOTA_EXCEEDED, "the queue of a session that it is for is full")
WHY(RETAIN_OFF, RETAIN_NOT_SUPPORTED, "retained messages are off here")

/* SUBSCRIBE and UNSUBSCRIBE. */
WHY(NO_FILTER, PROTOCOL_ERROR, "no topic filter")
WHY(OPTION_BITS, MALFORMED_PACKET, "reserved bits in the subscription options")
WHY(OPTION_RANGE, PROTOCOL_ERROR, "QoS 3 or retain handling 3 in the subscription options")
WHY(NO_LOCAL_SHARED, PROTOCOL_ERROR, "No Local on a shared subscription")
WHY(FILTER_MALFORMED, TOPIC_FILTER_INVALID, "the topic filter is malformed")
WHY(FILTER_LIMIT, QUOTA_EXCEEDED, "the topic filter is too long or has too many levels")
WHY(SUBSCRIPTION_LIMIT, QUOTA_EXCEEDED, "the session has all the subscriptions that it may have")

/* DISCONNECT, PINGREQ and AUTH. */
WHY(BODY, MALFORMED_PACKET, "this packet has no body")
WHY(EXPIRY_RAISED, PROTOCOL_ERROR, "the session expiry was 0 in CONNECT and stays 0")
WHY(AUTH_UNASKED, PROTOCOL_ERROR, "AUTH, but no authentication method in CONNECT")
WHY(AUTH_INCOMPLETE, PROTOCOL_ERROR, "AUTH without a method, or with a server's code")
