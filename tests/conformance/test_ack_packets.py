"""PUBACK, PUBREC, PUBREL, PUBCOMP as packets: flags, reason codes, forms, size."""

import pytest

import packets
from flows import take
from packets import V5, V31, V311, Prop, Reason, Type

ACKS = [Type.PUBACK, Type.PUBREC, Type.PUBREL, Type.PUBCOMP]
NO_SUCH_ID = 1234
ALLOWED = {
    Type.PUBACK: packets.PUBACK_CODES, Type.PUBREC: packets.PUBACK_CODES,
    Type.PUBREL: {0, Reason.ID_NOT_FOUND}, Type.PUBCOMP: {0, Reason.ID_NOT_FOUND}}


def by_name(kind):
    return kind.name


def expect_flow(broker, client):
    """The client can still publish and receive at QoS 2."""
    client.subscribe(broker.topic("flow"), qos=2)
    client.publish(broker.topic("flow"), "x", 2)
    client.expect_publish(broker.topic("flow"), "x", qos=2)


def open_delivery(broker, client, qos):
    """A message that the client has not acknowledged."""
    publisher, topic = broker.connect(), broker.topic("open")
    client.subscribe(topic, qos=qos)
    publisher.publish(topic, "x", qos)
    p, = take(client, 1)
    return p.packet_id


# -- flags --

@pytest.mark.parametrize("flags", [0, 1, 3, 10])
@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
def mqtt5_3_6_1_1_flags_of_pubrel(broker, version, flags):
    # covers: v3 MQTT-3.6.1-1
    client = broker.connect(version=version)
    client.send_publish(broker.topic(), "x", 2, packet_id=1)
    client.expect(Type.PUBREC, packet_id=1)
    client.send(packets.ack(Type.PUBREL, 1, flags=flags))
    client.expect_reject(Reason.MALFORMED)


def mqtt5_3_6_1_1_flags_of_the_brokers_pubrel(broker, version):
    # covers: v3 MQTT-3.6.1-1, MQTT-3.6.2-1
    client = broker.connect(version=version)
    packet_id = open_delivery(broker, client, 2)
    client.send(packets.ack(Type.PUBREC, packet_id))
    assert client.expect(Type.PUBREL).raw == b"\x62\2" + packet_id.to_bytes(2, "big")
    client.send(packets.ack(Type.PUBCOMP, packet_id))
    client.ping()


@pytest.mark.parametrize("flags", [2, 10])
def mqtt311_3_6_1_1_pubrel_of_3_1_may_have_dup(broker, flags):
    """3.1 resends it as a message, at QoS 1, with DUP."""
    client = broker.connect(version=V31)
    client.send_publish(broker.topic(), "x", 2, packet_id=1)
    client.expect(Type.PUBREC, packet_id=1)
    client.send(packets.ack(Type.PUBREL, 1, flags=flags))
    client.expect(Type.PUBCOMP, packet_id=1)


# -- reason codes --

def unanswered(broker, client, kind):
    """An id for which this acknowledgement is due."""
    if kind == Type.PUBREL:
        client.send_publish(broker.topic("mine"), "x", 2, packet_id=1)
        client.expect(Type.PUBREC, packet_id=1)
        return 1
    packet_id = open_delivery(broker, client, 1 if kind == Type.PUBACK else 2)
    if kind == Type.PUBCOMP:
        client.send(packets.ack(Type.PUBREC, packet_id))
        client.expect(Type.PUBREL, packet_id=packet_id)
    return packet_id


BAD_CODES = [(kind, code) for kind in ACKS for code in (0x01, 0x92, 0x80, 0x02, 0x8F, 0xFF)
             if code not in ALLOWED[kind]]


@pytest.mark.parametrize("kind,code", BAD_CODES, ids=[f"{k.name}-{c:02x}" for k, c in BAD_CODES])
def mqtt5_3_4_2_1_code_that_the_packet_does_not_have(broker, kind, code):
    # covers: MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1
    client = broker.connect()
    client.send(packets.ack(kind, unanswered(broker, client, kind), code))
    client.expect_reject(Reason.MALFORMED, Reason.PROTOCOL_ERROR)


GOOD_CODES = [(kind, code) for kind in ACKS for code in sorted(ALLOWED[kind])]


@pytest.mark.parametrize("kind,code", GOOD_CODES, ids=[f"{k.name}-{c:02x}" for k, c in GOOD_CODES])
def mqtt5_3_4_2_1_each_code_that_the_packet_has(broker, kind, code):
    # covers: MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1
    client = broker.connect()
    packet_id = unanswered(broker, client, kind)
    client.send(packets.ack(kind, packet_id, code))
    if kind == Type.PUBREC and code < 0x80:
        client.expect(Type.PUBREL, packet_id=packet_id, reason=0)
        client.send(packets.ack(Type.PUBCOMP, packet_id))
    elif kind == Type.PUBREL:
        client.expect(Type.PUBCOMP, packet_id=packet_id, reason=0)
    expect_flow(broker, client)


FORMS = [{}, {"reason": 0}, {"reason": 0, "props": {}},
         {"reason": 0, "props": {Prop.REASON_STRING: "r" * 200,
                                 Prop.USER_PROPERTY: [("a", "b"), ("a", "c")]}}]


@pytest.mark.parametrize("kind", ACKS, ids=by_name)
@pytest.mark.parametrize("form", FORMS, ids=["short", "code", "no properties", "properties"])
def mqtt5_3_4_2_1_forms_of_acknowledgements(broker, kind, form):
    # covers: MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1
    client = broker.connect()
    packet_id = unanswered(broker, client, kind)
    client.send(packets.ack(kind, packet_id, **form))
    if kind == Type.PUBREC:
        client.expect(Type.PUBREL, packet_id=packet_id, reason=0)
        client.send(packets.ack(Type.PUBCOMP, packet_id, **form))
    elif kind == Type.PUBREL:
        client.expect(Type.PUBCOMP, packet_id=packet_id, reason=0)
    expect_flow(broker, client)


@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_3_4_2_1_codes_of_the_broker(broker, qos):
    """Codes that no PUBACK or PUBREC has are refused by the harness."""
    # covers: MQTT-3.5.2-1
    client = broker.connect()
    assert client.publish(broker.topic(), "x", qos) in (0, Reason.NO_SUBSCRIBERS)
    client.subscribe(broker.topic())
    assert client.publish(broker.topic(), "x", qos) == 0
    client.expect_publish(broker.topic(), "x", qos=0)
    assert client.publish("$SYS/broker/x", "x", qos) == Reason.NOT_AUTHORIZED
    expect_flow(broker, client)


# -- unknown ids --

def mqtt5_3_7_2_1_pubrel_for_an_unknown_id(broker, version):
    # covers: EDGE-091
    client = broker.connect(version=version)
    reason = Reason.ID_NOT_FOUND if version == V5 else 0
    for _ in range(2):
        client.send(packets.ack(Type.PUBREL, NO_SUCH_ID))
        p = client.expect(Type.PUBCOMP, packet_id=NO_SUCH_ID, reason=reason)
        assert version == V5 or len(p.raw) == 4
    expect_flow(broker, client)


def mqtt5_3_6_2_1_pubrec_for_an_unknown_id(broker, version):
    # covers: EDGE-091
    client = broker.connect(version=version)
    client.send(packets.ack(Type.PUBREC, NO_SUCH_ID))
    p = client.expect(Type.PUBREL, packet_id=NO_SUCH_ID,
                      reason=Reason.ID_NOT_FOUND if version == V5 else 0)
    assert version == V5 or len(p.raw) == 4
    client.send(packets.ack(Type.PUBCOMP, NO_SUCH_ID))
    expect_flow(broker, client)


@pytest.mark.parametrize("kind", [Type.PUBACK, Type.PUBCOMP], ids=by_name)
def edge_091_last_packet_for_an_unknown_id_is_ignored(broker, version, kind):
    client = broker.connect(version=version)
    packet_id = open_delivery(broker, client, 2)
    client.send(packets.ack(kind, packet_id + 16), packets.ack(kind, NO_SUCH_ID))
    client.ping()
    client.send(packets.ack(Type.PUBREC, packet_id))  # which is still open
    client.expect(Type.PUBREL, packet_id=packet_id, reason=0)
    client.send(packets.ack(Type.PUBCOMP, packet_id))
    expect_flow(broker, client)


def edge_091_refusing_pubrec_for_an_unknown_id_has_no_answer(broker):
    client = broker.connect()
    client.send(packets.ack(Type.PUBREC, NO_SUCH_ID, 0x80))
    client.ping()


# -- size --

LONG_TOPIC = "$SYS/" + "long/" * 30
ASKING = {  # packets that are answered with an error
    Type.PUBACK: packets.publish(LONG_TOPIC, "x", 1, NO_SUCH_ID),
    Type.PUBREC: packets.publish(LONG_TOPIC, "x", 2, NO_SUCH_ID),
    Type.PUBREL: packets.ack(Type.PUBREC, NO_SUCH_ID, 0, {Prop.REASON_STRING: "why " * 100}),
    Type.PUBCOMP: packets.ack(Type.PUBREL, NO_SUCH_ID, 0, {Prop.USER_PROPERTY: ("why", "x" * 99)}),
}


@pytest.mark.parametrize("kind", ACKS, ids=by_name)
def mqtt5_3_4_2_2_acknowledgements_fit_the_client(broker, kind):
    """From the size of the CONNACK, below which there is no connection, to one that is enough."""
    # covers: MQTT-3.4.2-3, MQTT-3.5.2-2, MQTT-3.5.2-3, MQTT-3.6.2-2, MQTT-3.6.2-3
    # covers: MQTT-3.7.2-2, MQTT-3.7.2-3
    client = broker.connect()
    client.send(ASKING[kind])
    whole = client.expect(kind, packet_id=NO_SUCH_ID)
    assert whole.reason >= 0x80
    smallest = len(client.connack.raw)
    for limit in sorted({smallest, *range(smallest, len(whole.raw) + 2)}):
        client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: limit})
        client.send(ASKING[kind])
        p = client.expect(kind, packet_id=NO_SUCH_ID, reason=whole.reason)
        assert len(p.raw) <= limit
        assert p.raw == whole.raw or len(whole.raw) > limit
        client.ping()
