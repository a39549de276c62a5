"""Properties where they may be, and where not; each property with each packet of a client."""

import pytest

import packets
import violations
from packets import V5, Prop, Reason, Type, connect, packet, props_block, publish
from violations import EITHER, ERROR, MALFORMED, NEW, Row

SAMPLES = {
    Prop.PAYLOAD_FORMAT: 1, Prop.MESSAGE_EXPIRY: 60, Prop.CONTENT_TYPE: "text",
    Prop.RESPONSE_TOPIC: "answer", Prop.CORRELATION_DATA: b"\0", Prop.SUBSCRIPTION_ID: 5,
    Prop.SESSION_EXPIRY: 1, Prop.ASSIGNED_CLIENT_ID: "id", Prop.SERVER_KEEP_ALIVE: 60,
    Prop.AUTH_METHOD: "m", Prop.AUTH_DATA: b"d", Prop.REQUEST_PROBLEM_INFO: 1, Prop.WILL_DELAY: 1,
    Prop.REQUEST_RESPONSE_INFO: 0, Prop.RESPONSE_INFO: "r", Prop.SERVER_REFERENCE: "s",
    Prop.REASON_STRING: "why", Prop.RECEIVE_MAXIMUM: 10, Prop.TOPIC_ALIAS_MAXIMUM: 5,
    Prop.TOPIC_ALIAS: 1, Prop.MAXIMUM_QOS: 1, Prop.RETAIN_AVAILABLE: 1,
    Prop.USER_PROPERTY: ("name", "value"), Prop.MAXIMUM_PACKET_SIZE: 1000,
    Prop.WILDCARD_AVAILABLE: 1, Prop.SUBSCRIPTION_ID_AVAILABLE: 1, Prop.SHARED_AVAILABLE: 1}

MESSAGE = {Prop.PAYLOAD_FORMAT, Prop.MESSAGE_EXPIRY, Prop.CONTENT_TYPE, Prop.RESPONSE_TOPIC,
           Prop.CORRELATION_DATA}
ACK = {Prop.REASON_STRING}
# What may stand once in a packet of a client, besides User Property.
LEGAL = {
    "CONNECT": {
        Prop.SESSION_EXPIRY, Prop.AUTH_METHOD, Prop.AUTH_DATA, Prop.REQUEST_PROBLEM_INFO,
        Prop.REQUEST_RESPONSE_INFO, Prop.RECEIVE_MAXIMUM, Prop.TOPIC_ALIAS_MAXIMUM,
        Prop.MAXIMUM_PACKET_SIZE},
    "will": MESSAGE | {Prop.WILL_DELAY},
    "PUBLISH": MESSAGE | {Prop.TOPIC_ALIAS},
    "PUBACK": ACK, "PUBREC": ACK, "PUBREL": ACK, "PUBCOMP": ACK,
    "SUBSCRIBE": {Prop.SUBSCRIPTION_ID}, "UNSUBSCRIBE": set(),
    "DISCONNECT": {Prop.SESSION_EXPIRY, Prop.REASON_STRING},
    "AUTH": {Prop.AUTH_METHOD, Prop.AUTH_DATA, Prop.REASON_STRING}}

BUILD = {
    "CONNECT": lambda props: connect("x", props=props),
    "will": lambda props: connect("x", will=packets.Will("t", b"w", props=props)),
    "PUBLISH": lambda props: publish("t", "x", props=props),
    **{kind.name: lambda props, k=kind: packets.ack(k, 1, 0, props) for kind in violations.ACKS},
    "SUBSCRIBE": lambda props: packets.subscribe(1, [("t", 0)], props),
    "UNSUBSCRIBE": lambda props: packets.unsubscribe(1, ["t"], props),
    "DISCONNECT": lambda props: packets.disconnect(4, props),
    "AUTH": lambda props: packet(Type.AUTH, 0, b"\x18" + props_block(props))}


def once(kind, prop, codes):
    return Row(f"{prop.name} in {kind}", BUILD[kind]({prop: SAMPLES[prop]}), NEW, codes)


def expect_all(broker, kind, rows):
    check = violations.expect_refused if kind in ("CONNECT", "will") else violations.expect_ends
    check(broker, rows, V5)


@pytest.mark.parametrize("kind", [kind for kind in LEGAL if LEGAL[kind]])
def edge_013_property_twice(broker, kind):
    twice = [Row(f"{prop.name} twice in {kind}", BUILD[kind]([(prop, SAMPLES[prop])] * 2), NEW,
                 ERROR) for prop in LEGAL[kind]]
    expect_all(broker, kind, twice)


@pytest.mark.parametrize("kind", BUILD)
def edge_014_property_in_the_wrong_packet(broker, kind):
    """A Subscription Identifier in a client's PUBLISH is an error of its own. Without an agreed
    method an AUTH is wrong as it is."""
    rows = []
    for prop in SAMPLES:
        if prop in LEGAL[kind] or prop == Prop.USER_PROPERTY:
            continue
        is_special = kind == "AUTH" or (kind, prop) == ("PUBLISH", Prop.SUBSCRIPTION_ID)
        rows.append(once(kind, prop, EITHER if is_special else MALFORMED))
    expect_all(broker, kind, rows)


UNKNOWN = [0x00, 0x04, 0x0A, 0x10, 0x14, 0x1B, 0x20, 0x2B, 0x7F]


@pytest.mark.parametrize("kind", BUILD)
def edge_014_unknown_property(broker, kind):
    raw = [bytes([5, number]) + bytes(4) for number in UNKNOWN]
    raw += [b"\2\xa3\0", b"\6\xa3\x80\x80\x80\1\0"]  # ids of more than one byte
    rows = [Row(f"{kind} with {props.hex()}", BUILD[kind](props), NEW, MALFORMED) for props in raw]
    expect_all(broker, kind, rows)


RANGES = {
    "CONNECT": [(Prop.REQUEST_PROBLEM_INFO, 2), (Prop.REQUEST_PROBLEM_INFO, 255),
                (Prop.REQUEST_RESPONSE_INFO, 2), (Prop.RECEIVE_MAXIMUM, 0),
                (Prop.MAXIMUM_PACKET_SIZE, 0)],
    "will": [(Prop.PAYLOAD_FORMAT, 2), (Prop.PAYLOAD_FORMAT, 255)],
    "PUBLISH": [(Prop.PAYLOAD_FORMAT, 2), (Prop.PAYLOAD_FORMAT, 255)],
    "SUBSCRIBE": [(Prop.SUBSCRIPTION_ID, 0)]}


@pytest.mark.parametrize("kind", RANGES)
def edge_015_value_out_of_range(broker, kind):
    rows = [Row(f"{prop.name} {value}", BUILD[kind]({prop: value}), NEW, ERROR)
            for prop, value in RANGES[kind]]
    expect_all(broker, kind, rows)


def edge_017_data_without_method(broker):
    for data in (b"", b"data"):
        client = broker.raw()
        client.send(connect("x", props={Prop.AUTH_DATA: data}))
        client.expect_reject(Reason.PROTOCOL_ERROR)


# -- what is allowed --

def edge_013_user_properties_repeat(broker):
    """In each packet of a client, also the same pair."""
    many = [(Prop.USER_PROPERTY, ("name", "value"))] * 3 + [(Prop.USER_PROPERTY, ("", ""))]
    client = broker.connect(props=many, will=packets.Will("t", b"", props=many))
    client.subscribe(broker.topic(), qos=2, props=many)
    for qos in (0, 1, 2):
        packet_id = client.send_publish(broker.topic(), "x", qos, props=many)
        if qos == 1:
            client.await_packet(Type.PUBACK)
        if qos == 2:
            client.await_packet(Type.PUBREC)
            client.send(packets.ack(Type.PUBREL, packet_id, 0, many))
            client.await_packet(Type.PUBCOMP)
        p = client.expect_publish(payload="x", acknowledge=False)
        assert p.props[Prop.USER_PROPERTY] == [("name", "value")] * 3 + [("", "")]
        if qos == 1:
            client.send(packets.ack(Type.PUBACK, p.packet_id, 0, many))
        if qos == 2:
            client.send(packets.ack(Type.PUBREC, p.packet_id, 0, many))
            client.expect(Type.PUBREL, packet_id=p.packet_id)
            client.send(packets.ack(Type.PUBCOMP, p.packet_id, 0, many))
    client.send(packets.unsubscribe(9, [broker.topic()], many))
    client.expect(Type.UNSUBACK, packet_id=9)
    client.send(packets.disconnect(0, many))
    client.expect_close()


def edge_013_subscription_ids_repeat_from_the_broker(broker):
    client = broker.connect()
    for number, text in enumerate(["#", "+", ""], 1):
        client.subscribe(broker.topic(text) if text else broker.topic("x"),
                         props={Prop.SUBSCRIPTION_ID: number})
    broker.connect().publish(broker.topic("x"), "x", 1)
    seen, copies = [], 0
    while len(seen) < 3:
        seen += client.expect_publish(broker.topic("x")).props[Prop.SUBSCRIPTION_ID]
        copies += 1
    assert sorted(seen) == [1, 2, 3] and copies <= 3


def short_forms(kind, packet_id):
    """With remaining length 2, 3 and 4."""
    return [packets.ack(kind, packet_id), packets.ack(kind, packet_id, 0),
            packets.ack(kind, packet_id, 0, {})]


@pytest.mark.parametrize("form", [0, 1, 2], ids=["id", "code", "properties"])
def edge_016_short_acknowledgements(broker, form):
    """Each settles its message: a window of one would hold the next one up."""
    subscriber = broker.connect(props={Prop.RECEIVE_MAXIMUM: 1})
    publisher = broker.connect()
    subscriber.subscribe(broker.topic(), qos=2)
    for number in range(3):
        for qos in (1, 2):
            publisher.publish(broker.topic(), f"{number} {qos}", qos)
    for number in range(3):
        p = subscriber.expect_publish(payload=f"{number} 1", acknowledge=False)
        subscriber.send(short_forms(Type.PUBACK, p.packet_id)[form])
        p = subscriber.expect_publish(payload=f"{number} 2", acknowledge=False)
        subscriber.send(short_forms(Type.PUBREC, p.packet_id)[form])
        subscriber.expect(Type.PUBREL, packet_id=p.packet_id, reason=0)
        subscriber.send(short_forms(Type.PUBCOMP, p.packet_id)[form])
    subscriber.ping()


@pytest.mark.parametrize("form", [0, 1, 2], ids=["id", "code", "properties"])
def edge_016_short_pubrel(broker, form):
    client = broker.connect()
    packet_id = client.send_publish(broker.topic(), "x", 2)
    client.expect(Type.PUBREC, packet_id=packet_id)
    client.send(short_forms(Type.PUBREL, packet_id)[form])
    client.expect(Type.PUBCOMP, packet_id=packet_id, reason=0)


@pytest.mark.parametrize("data", [b"\xe0\0", b"\xe0\1\0", b"\xe0\2\0\0", b"\xe0\1\4"],
                         ids=bytes.hex)
def edge_016_short_disconnect(broker, data):
    watcher, client = broker.connect(), broker.connect(will=packets.Will(broker.topic(), b"will"))
    watcher.subscribe(broker.topic())
    client.send(data)
    client.expect_close()
    broker.connect().publish(broker.topic(), "marker", 1)
    seen = watcher.expect_publish().payload
    assert seen == (b"will" if data[-1] == 4 else b"marker")
