"""Broken CONNECTs: cut at every byte, and properties that can't be."""

import pytest

import packets
from packets import V5, V31, Prop, Reason, Type, Will, connect, packet

MALFORMED, ERROR = Reason.MALFORMED, Reason.PROTOCOL_ERROR
ONE_OF_EACH = {
    Prop.SESSION_EXPIRY: 1, Prop.RECEIVE_MAXIMUM: 1, Prop.MAXIMUM_PACKET_SIZE: 100,
    Prop.TOPIC_ALIAS_MAXIMUM: 1, Prop.REQUEST_RESPONSE_INFO: 1, Prop.REQUEST_PROBLEM_INFO: 1,
    Prop.AUTH_METHOD: "a", Prop.AUTH_DATA: b""}
ONE_OF_EACH_IN_WILL = {
    Prop.WILL_DELAY: 1, Prop.PAYLOAD_FORMAT: 1, Prop.MESSAGE_EXPIRY: 1, Prop.CONTENT_TYPE: "a",
    Prop.RESPONSE_TOPIC: "a", Prop.CORRELATION_DATA: b"a"}
VALUES = {
    **ONE_OF_EACH, **ONE_OF_EACH_IN_WILL, Prop.TOPIC_ALIAS: 1, Prop.SUBSCRIPTION_ID: 1,
    Prop.SERVER_KEEP_ALIVE: 1, Prop.ASSIGNED_CLIENT_ID: "a", Prop.REASON_STRING: "a",
    Prop.MAXIMUM_QOS: 1, Prop.RESPONSE_INFO: "a", Prop.SERVER_REFERENCE: "a",
    Prop.RETAIN_AVAILABLE: 1, Prop.WILDCARD_AVAILABLE: 1, Prop.SUBSCRIPTION_ID_AVAILABLE: 1,
    Prop.SHARED_AVAILABLE: 1}
RAW = {
    "unknown": b"\3\x7f\0\0", "id 0": b"\2\0\0", "id of two bytes": b"\3\x91\0\0",
    "id of two bytes above 127": b"\3\x80\1\0", "no value": b"\1\x21", "cut off": b"\2\x21\0",
    "text cut off": b"\4\x15\0\5a", "pair cut off": b"\6\x26\0\1a\0\1",
    "length over the end": b"\x7f", "length of five bytes": b"\xff\xff\xff\xff\1",
    "length longer than needed": b"\x80\0"}
WRONG = {
    "receive maximum 0": {Prop.RECEIVE_MAXIMUM: 0}, "packet size 0": {Prop.MAXIMUM_PACKET_SIZE: 0},
    "problem info 2": {Prop.REQUEST_PROBLEM_INFO: 2},
    "response info 255": {Prop.REQUEST_RESPONSE_INFO: 255}, "data alone": {Prop.AUTH_DATA: b"d"}}


def expect_refused(broker, version, data, *reasons):
    """Refused by 0x81 or 0x82 in 5.0; without a byte before (a refusal is no CONNACK there)."""
    client = broker.raw(version)
    client.send(data)
    client.expect_reject(*(reasons or (MALFORMED, ERROR)))
    client.cut()


def mqtt5_3_1_4_1_connect_cut_at_each_byte(broker, version):
    # covers: v3 MQTT-3.1.4-1, MQTT-3.1.3-1, v3 MQTT-3.2.2-6
    props = {Prop.SESSION_EXPIRY: 1, Prop.USER_PROPERTY: ("a", "b")}
    body = connect("client", version, props=props, username="u", password="p",
                   will=Will("t", b"w", props={Prop.WILL_DELAY: 1}))[2:]
    may_end = {len(body) - 3, len(body) - 6} if version == V31 else set()  # see EDGE-025
    level_ends = 7
    for size in set(range(len(body))) - may_end:
        client = broker.raw(version)
        client.send(packet(Type.CONNECT, 0, body[:size]))
        answer = client.read_to_end()
        if version == V5 and size >= level_ends:
            assert answer[:4] == bytes([0x20, len(answer) - 2, 0, MALFORMED]), f"cut at {size}"
        else:
            assert answer == b"", f"cut at {size}"
        client.cut()


@pytest.mark.parametrize("number", ONE_OF_EACH, ids=lambda number: number.name)
def mqtt5_3_1_4_1_property_twice(broker, number):
    pair = (number, ONE_OF_EACH[number])
    more = [(Prop.AUTH_METHOD, "a")] if number == Prop.AUTH_DATA else []
    expect_refused(broker, V5, connect("x", props=[pair, pair, *more]), ERROR)


@pytest.mark.parametrize("number", ONE_OF_EACH_IN_WILL, ids=lambda number: number.name)
def mqtt5_3_1_4_1_will_property_twice(broker, number):
    pair = (number, ONE_OF_EACH_IN_WILL[number])
    expect_refused(broker, V5, connect("x", will=Will("t", b"", props=[pair, pair])), ERROR)


@pytest.mark.parametrize("number", sorted(set(VALUES) - set(ONE_OF_EACH)),
                         ids=lambda number: number.name)
def mqtt5_3_1_4_1_property_of_another_packet(broker, number):
    expect_refused(broker, V5, connect("x", props={number: VALUES[number]}))


@pytest.mark.parametrize("number", sorted(set(VALUES) - set(ONE_OF_EACH_IN_WILL)),
                         ids=lambda number: number.name)
def mqtt5_3_1_4_1_will_property_of_another_packet(broker, number):
    will = Will("t", b"", props={number: VALUES[number]})
    expect_refused(broker, V5, connect("x", will=will))


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def mqtt5_3_1_4_1_broken_properties(broker, raw):
    expect_refused(broker, V5, connect("x", props=raw), MALFORMED)
    expect_refused(broker, V5, connect("x", will=Will("t", b"", props=raw)), MALFORMED)


@pytest.mark.parametrize("props", WRONG.values(), ids=WRONG)
def mqtt5_3_1_4_1_value_out_of_range(broker, props):
    expect_refused(broker, V5, connect("x", props=props), ERROR)


@pytest.mark.parametrize("props", [{Prop.PAYLOAD_FORMAT: 2}, {Prop.RESPONSE_TOPIC: "a/#"},
                                   {Prop.RESPONSE_TOPIC: "+"}], ids=str)
def mqtt5_3_1_4_1_will_value_out_of_range(broker, props):
    will = Will("t", b"", props=props)
    expect_refused(broker, V5, connect("x", will=will), ERROR, Reason.TOPIC_INVALID)


def mqtt5_3_1_4_1_all_properties_at_once_are_legal(broker):
    """The limits of each; so that the tests above refuse for the right reason."""
    props = {**ONE_OF_EACH, Prop.USER_PROPERTY: [("a", "b"), ("a", "b"), ("", "")]}
    del props[Prop.AUTH_METHOD], props[Prop.AUTH_DATA]
    largest = {Prop.SESSION_EXPIRY: 0xFFFFFFFF, Prop.RECEIVE_MAXIMUM: 0xFFFF,
               Prop.MAXIMUM_PACKET_SIZE: 0xFFFFFFFF, Prop.TOPIC_ALIAS_MAXIMUM: 0xFFFF}
    will = Will(broker.topic(), b"", props=ONE_OF_EACH_IN_WILL)
    for values in (props, {**props, **largest}, dict(reversed(props.items()))):
        broker.connect(props=values, will=will).ping()


@pytest.mark.parametrize("version", [V31, packets.V311], ids=["3.1", "3.1.1"])
def mqtt311_3_1_4_1_no_byte_before_the_close(broker, version):
    # covers: v3 MQTT-3.2.2-6
    whole = connect("x", version)
    for data in (packet(Type.CONNECT, 0), packet(Type.CONNECT, 0, whole[2:-1]),
                 packet(Type.CONNECT, 0, whole[2:] + b"\0"), connect(b"\xff", version),
                 connect("x", version, flags=0x03), connect("x", version, flags=0x06),
                 connect("x", version, will=Will("#"))):
        client = broker.raw(version)
        client.send(data)
        assert client.read_to_end() == b""
