"""Refusals: their codes, what follows them, and what is not done for a refused client."""

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will

# What CONNACK may say in 5.0; before, 0 to 5 (packets.py sees to that).
CONNACK_CODES = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95,
                 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F}
BAD_METHOD = {Prop.AUTH_METHOD: "none of ours"}
NONE = None  # closed without CONNACK
# A CONNECT that can be refused, and the code by which each version is told.
REFUSALS = {
    "client id": ({"client_id": "", "clean": False}, {V31: 2, V311: 2}),
    "reserved will topic": ({"will": Will("$SYS/x")}, {V31: 5, V311: 5, V5: Reason.NOT_AUTHORIZED}),
    "will topic": ({"will": Will("a/#")}, {V31: NONE, V311: NONE, V5: Reason.TOPIC_INVALID}),
    "level": ({"level": 6}, {V31: 1, V311: 1}),
    "method": ({"props": BAD_METHOD}, {V5: Reason.BAD_AUTH_METHOD}),
    "malformed": ({"flags": 1}, {V31: NONE, V311: NONE, V5: Reason.MALFORMED}),
    "not utf-8": ({"client_id": b"\xff"}, {V31: NONE, V311: NONE, V5: Reason.MALFORMED}),
    "value": ({"props": {Prop.RECEIVE_MAXIMUM: 0}}, {V5: Reason.PROTOCOL_ERROR}),
    "data alone": ({"props": {Prop.AUTH_DATA: b"x"}}, {V5: Reason.PROTOCOL_ERROR})}
EACH_REFUSAL = pytest.mark.parametrize("version,how,code", [
    pytest.param(version, how, code, id=f"{name}-{version}")
    for name, (how, codes) in REFUSALS.items() for version, code in codes.items()])


def refused_connect(version, how):
    return packets.connect(**{"client_id": "x", "clean": False, **how}, version=version)


def expect_refusal(client, code):
    """Whatever comes is the whole answer: a CONNACK with this code, or nothing."""
    answer = client.read_to_end()
    if code is NONE:
        assert answer == b""
        return None
    size = answer[1] + 2  # all are shorter than 128
    p = packets.parse(answer[0], answer[2:size], client.version)
    assert p.type == Type.CONNACK and p.reason == code, p
    assert answer[2] == 0, "session present in a refusal"
    assert len(answer) == size, f"bytes behind a refusal: {answer[size:].hex()}"
    assert client.version != V5 or p.reason in CONNACK_CODES
    return p


@EACH_REFUSAL
def mqtt5_3_2_2_7_refusal_and_then_the_end(broker, version, how, code):
    """With a code of the list, without Session Present, and nothing behind."""
    # covers: MQTT-3.2.2-1, MQTT-3.2.2-8, v3 MQTT-3.2.2-5, v3 MQTT-3.2.2-6, MQTT-3.1.4-2
    client = broker.raw(version)
    client.send(refused_connect(version, how))
    expect_refusal(client, code)


@EACH_REFUSAL
def mqtt5_3_2_2_6_refusal_and_a_stored_session(broker, version, how, code):
    """No Session Present, and the session is as it was before."""
    # covers: v3 MQTT-3.2.2-4, MQTT-3.2.2-1
    props = {Prop.SESSION_EXPIRY: 60}
    stored = broker.connect(version=version, clean=False, props=props)
    stored.disconnect()
    client = broker.raw(version)
    client.send(refused_connect(version, {"client_id": stored.client_id, **how}))
    expect_refusal(client, code)
    again = broker.connect(stored.client_id, V311 if version == V31 else version, clean=False,
                           props=props)
    assert again.connack.session_present


@EACH_REFUSAL
def mqtt5_3_1_4_6_packets_behind_a_refused_connect(broker, version, how, code):
    """In the same segment, and not acted upon."""
    # covers: v3 MQTT-3.1.4-5
    watcher = broker.connect()
    watcher.subscribe(broker.topic("#"), qos=1)
    topic = broker.topic("a")
    client = broker.raw(version)
    client.send(refused_connect(version, how),
                packets.publish(topic, "m", version=version),
                packets.publish(topic, "m", 1, 1, retain=True, version=version),
                packets.subscribe(2, [(topic, 1)], version=version), packets.PINGREQ)
    expect_refusal(client, code)
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)
    later = broker.connect()
    later.subscribe(topic)
    wire.expect_nothing(later, later)


@pytest.mark.bare
@pytest.mark.conf("allow_anonymous false")
@pytest.mark.parametrize("behind", [b"", packets.PINGREQ], ids=["alone", "and more"])
def mqtt5_3_1_4_2_anonymous_is_refused(broker, version, behind):
    # covers: MQTT-3.2.2-7, v3 MQTT-3.2.2-5, MQTT-3.1.4-6, v3 MQTT-3.1.4-5
    client = broker.raw(version)
    client.send(packets.connect("x", version), behind)
    expect_refusal(client, Reason.NOT_AUTHORIZED if version == V5 else 5)


def mqtt5_3_1_4_5_accepted_connect_is_answered(broker, version):
    # covers: v3 MQTT-3.1.4-4, MQTT-3.2.2-1
    client = broker.connect(version=version)
    assert client.connack.raw[0] == 0x20
    assert client.connack.raw[2:4] == b"\0\0"


# -- the client's packet size --

@pytest.mark.parametrize("how", [{"props": BAD_METHOD}, {"will": Will("$SYS/x")}],
                         ids=["method", "will topic"])
def mqtt5_3_2_2_19_reason_string_gives_way(broker, how):
    """Sent as far as the client's Maximum Packet Size allows, and left out below that."""
    # covers: MQTT-3.2.2-20, MQTT-3.1.2-24
    def refusal(size):
        limit = {} if size is None else {Prop.MAXIMUM_PACKET_SIZE: size}
        client = broker.raw()
        client.send(packets.connect("x", **{**how, "props": {**how.get("props", {}), **limit}}))
        p = client.expect(Type.CONNACK)
        client.expect_close()
        return p

    whole = refusal(None)
    assert Prop.REASON_STRING in whole.props, "without it this test shows nothing"
    assert refusal(len(whole.raw)).props == whole.props
    for size in (len(whole.raw) - 1, 6, 5):
        p = refusal(size)
        assert (p.reason, p.props, len(p.raw)) == (whole.reason, {}, 5)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def mqtt5_3_2_2_19_no_room_for_any_connack(broker, size):
    # covers: EDGE-028, MQTT-3.1.2-24
    client = broker.raw()
    client.send(packets.connect("x", props={**BAD_METHOD, Prop.MAXIMUM_PACKET_SIZE: size}))
    client.expect_close()
