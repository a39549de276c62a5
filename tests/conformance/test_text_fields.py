"""Text fields, variable byte integers and reserved flags, wherever they stand (1.5 and 2.1)."""

import contextlib

import pytest

import packets
import wire
from packets import V5, VERSIONS, Prop, Reason, Type, Will, connect, publish

NOT_UTF8 = {
    "surrogate": b"\xed\xa0\x80", "pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "last surrogate": b"a\xed\xbf\xbfb", "overlong 2": b"\xc0\xaf", "overlong 3": b"\xe0\x80\xaf",
    "overlong 4": b"\xf0\x80\x80\xaf", "overlong null": b"\xc0\x80", "f5": b"\xf5\x80\x80\x80",
    "above 10ffff": b"\xf4\x90\x80\x80", "cut off 2": b"a\xc3", "cut off 3": b"a\xe2\x82",
    "cut off 4": b"a\xf0\x9f\x98", "cut in the middle": b"\xe2\x82a", "continuation": b"\x80",
    "c3 28": b"\xc3\x28", "ff": b"\xff"}
WITH_NULL = {"null alone": b"\0", "null in front": b"\0a", "null in the middle": b"a\0b",
             "null at the end": b"a\0"}
LEGAL = {"bom": "\ufeff", "non-character": "\uffff", "four bytes": "\U0001f600",
         "last": "\U0010ffff", "next to surrogates": "\ud7ff\ue000"}


def unsubscribe(topic, version=V5, props=None):
    return packets.unsubscribe(1, [topic], props, version)


def subscribe(topic, version=V5, props=None):
    return packets.subscribe(1, [(topic, 0)], props, version)


def will(**props):
    return lambda v, t: connect("x", will=Will("t", b"", props={
        Prop[name.upper()]: t if value is None else value(t) for name, value in props.items()}))


# Field: versions that have it, and the packet that has this text in it.
IN_CONNECT = {
    "client id": (VERSIONS, lambda v, t: connect(t, v)),
    "user name": (VERSIONS, lambda v, t: connect("x", v, username=t)),
    "will topic": (VERSIONS, lambda v, t: connect("x", v, will=Will(t))),
    "authentication method": ([V5], lambda v, t: connect("x", props={Prop.AUTH_METHOD: t})),
    "will content type": ([V5], will(content_type=None)),
    "will response topic": ([V5], will(response_topic=None))}
AFTER_CONNECT = {
    "topic": (VERSIONS, lambda v, t: publish(t, "m", 1, 1, version=v)),
    "filter": (VERSIONS, lambda v, t: subscribe(t, v)),
    "unsubscribed filter": (VERSIONS, lambda v, t: unsubscribe(t, v)),
    "content type": ([V5], lambda v, t: publish("t", "m", props={Prop.CONTENT_TYPE: t})),
    "response topic": ([V5], lambda v, t: publish("t", "m", props={Prop.RESPONSE_TOPIC: t})),
    "reason string of DISCONNECT":
        ([V5], lambda v, t: packets.disconnect(0, {Prop.REASON_STRING: t})),
    "reason string of PUBACK":
        ([V5], lambda v, t: packets.ack(Type.PUBACK, 1, 0, {Prop.REASON_STRING: t}))}
PAIRS_IN_CONNECT = {
    "CONNECT": lambda pair: connect("x", props={Prop.USER_PROPERTY: pair}),
    "will": lambda pair: will(user_property=lambda _: pair)(V5, "")}
PAIRS_AFTER_CONNECT = {
    "PUBLISH": lambda pair: publish("t", "m", props={Prop.USER_PROPERTY: pair}),
    "SUBSCRIBE": lambda pair: subscribe("t", props={Prop.USER_PROPERTY: pair}),
    "UNSUBSCRIBE": lambda pair: unsubscribe("t", props={Prop.USER_PROPERTY: pair}),
    "PUBREC": lambda pair: packets.ack(Type.PUBREC, 1, 0, {Prop.USER_PROPERTY: pair}),
    "DISCONNECT": lambda pair: packets.disconnect(0, {Prop.USER_PROPERTY: pair})}


def fields(table):
    return pytest.mark.parametrize("version,build", [
        pytest.param(version, build, id=f"{name}-{version}")
        for name, (versions, build) in table.items() for version in versions])


@contextlib.contextmanager
def case(name):
    """An error in the block is about this case."""
    try:
        yield
    except (AssertionError, OSError, wire.Closed) as error:
        raise AssertionError(f"{name}: {error!r}") from error


def expect_malformed(broker, version, is_first, data):
    client = broker.raw(version) if is_first else broker.connect(version=version)
    client.send(data)
    client.expect_reject(Reason.MALFORMED)
    client.cut()


def expect_all_malformed(broker, version, build, texts, is_first):
    for name, text in texts.items():
        with case(name):
            expect_malformed(broker, version, is_first, build(version, text))


@fields(IN_CONNECT)
def mqtt5_1_5_4_1_connect_with_text_that_is_not_utf8(broker, version, build):
    # covers: v3 MQTT-1.5.3-1, MQTT-3.1.3-4, MQTT-3.1.3-11, MQTT-3.1.3-12
    # covers: v3 MQTT-3.1.3-4, v3 MQTT-3.1.3-10, v3 MQTT-3.1.3-11
    expect_all_malformed(broker, version, build, NOT_UTF8, True)


@fields(AFTER_CONNECT)
def mqtt5_1_5_4_1_packet_with_text_that_is_not_utf8(broker, version, build):
    # covers: v3 MQTT-1.5.3-1
    watcher = broker.connect()
    watcher.subscribe("#")
    expect_all_malformed(broker, version, build, NOT_UTF8, False)
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


@fields(IN_CONNECT)
def mqtt5_1_5_4_2_connect_with_null_in_text(broker, version, build):
    # covers: v3 MQTT-1.5.3-2
    expect_all_malformed(broker, version, build, WITH_NULL, True)


@fields(AFTER_CONNECT)
def mqtt5_1_5_4_2_packet_with_null_in_text(broker, version, build):
    # covers: v3 MQTT-1.5.3-2
    watcher = broker.connect()
    watcher.subscribe("#")
    expect_all_malformed(broker, version, build, WITH_NULL, False)
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


def mqtt5_1_5_4_3_bom_in_topics_is_kept(broker, version):
    # covers: v3 MQTT-1.5.3-3
    plain, bom = broker.topic("a"), "\ufeff" + broker.topic("a")
    inside = broker.topic("\ufeffa")
    client, other = broker.connect(version=version), broker.connect(version=version)
    client.subscribe(bom, inside)
    other.subscribe(plain)
    for topic in (bom, inside):
        client.publish(topic, "m", 1)
        assert topic.encode() in client.expect_publish(topic, "m").raw
    wire.expect_nothing(other, client)
    client.publish(plain, "m", 1)
    other.expect_publish(plain, "m")
    wire.expect_nothing(client, client)


def mqtt5_1_5_4_3_bom_in_client_ids_is_kept(broker, version):
    # covers: v3 MQTT-1.5.3-3
    client = broker.connect(version=version)
    other = broker.connect("\ufeff" + client.client_id, version)
    other.ping()
    client.ping()


@pytest.mark.parametrize("text", LEGAL.values(), ids=LEGAL)
def mqtt5_1_5_4_1_legal_text_passes_unaltered(broker, version, text):
    # covers: v3 MQTT-1.5.3-1, MQTT-1.5.4-3
    text = text.encode("utf-8", "surrogatepass")
    topic = (broker.topic() + "/").encode() + text
    client = broker.connect(broker.new_id().encode() + text, version, username=text,
                            will=Will(topic))
    client.subscribe(topic)
    props = {} if version != V5 else {
        Prop.CONTENT_TYPE: text.decode(), Prop.USER_PROPERTY: [(text.decode(), text.decode())]}
    client.publish(topic, "m", props=props)
    p = client.expect_publish(topic.decode(), "m")
    assert p.props == props


# -- string pairs --

@pytest.mark.parametrize("build", PAIRS_IN_CONNECT.values(), ids=PAIRS_IN_CONNECT)
def mqtt5_1_5_7_1_bad_pair_in_connect(broker, build):
    # covers: MQTT-1.5.4-1, MQTT-1.5.4-2
    for name, text in {**NOT_UTF8, **WITH_NULL}.items():
        for pair in ((text, "v"), ("n", text)):
            with case(f"{name} {pair}"):
                expect_malformed(broker, V5, True, build(pair))


@pytest.mark.parametrize("build", PAIRS_AFTER_CONNECT.values(), ids=PAIRS_AFTER_CONNECT)
def mqtt5_1_5_7_1_bad_pair_after_connect(broker, build):
    # covers: MQTT-1.5.4-1, MQTT-1.5.4-2
    watcher = broker.connect()
    watcher.subscribe("#")
    for name in ("surrogate", "cut off 3", "null alone", "null in the middle"):
        text = {**NOT_UTF8, **WITH_NULL}[name]
        for pair in ((text, "v"), ("n", text)):
            with case(f"{name} {pair}"):
                expect_malformed(broker, V5, False, build(pair))
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


# -- variable byte integers --

def mqtt5_1_5_5_1_lengths_of_broker_are_shortest(broker, version):
    """wire.py and packets.py accept no other; here are the sizes at which the length grows."""
    client = broker.connect(version=version)
    topic = broker.topic()
    client.subscribe(topic)
    fixed = len(publish(topic, version=version)) - 2
    for size in (127, 128, 16383, 16384):
        client.publish(topic, bytes(size - fixed))
        p = client.expect_publish(topic)
        assert len(p.raw) == size + len(packets.varint(size)) + 1


def mqtt5_1_5_5_1_property_lengths_of_broker_are_shortest(broker):
    client = broker.connect()
    topic = broker.topic()
    client.subscribe(topic)
    for size in (127, 128, 16383, 16384):
        props = {Prop.USER_PROPERTY: [("n", "v" * (size - 6))]}
        client.publish(topic, "m", props=props)
        p = client.expect_publish(topic, "m")
        assert p.props == props
        assert packets.props_block(props) in p.raw


@pytest.mark.parametrize("data", [
    packets.connect("x", props=b"\x80\0"), b"\x10\x8d\0" + packets.connect("x")[2:],
    packets.connect("x", will=Will("t", props=b"\x80\0"))], ids=["properties", "packet", "will"])
def mqtt5_1_5_5_1_longer_length_in_connect(broker, data):
    expect_malformed(broker, V5, True, data)


@pytest.mark.parametrize("data", [
    b"\xc0\x80\0", b"\xe0\x80\x80\0", publish("t", "m", props=b"\x80\0"),
    packets.subscribe(1, [("t", 0)], b"\x80\0"), packets.subscribe(1, [("t", 0)], b"\3\x0b\x81\0"),
    packets.disconnect(0, b"\x80\0"), b"\x30\x87\0" + publish("t", "abc")[2:]],
    ids=["PINGREQ", "DISCONNECT", "properties of PUBLISH", "properties of SUBSCRIBE",
         "subscription identifier", "properties of DISCONNECT", "PUBLISH"])
def mqtt5_1_5_5_1_longer_length_after_connect(broker, data):
    watcher = broker.connect()
    watcher.subscribe("t")
    expect_malformed(broker, V5, False, data)
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


# -- reserved flags --

@pytest.mark.parametrize("flags", [1, 2, 8, 15])
def mqtt5_2_1_3_1_flags_of_connect(broker, version, flags):
    data = connect("x", version)
    expect_malformed(broker, version, True, bytes([0x10 | flags]) + data[1:])


FIRST_BYTES = {
    0x41: packets.ack(Type.PUBACK, 1), 0x42: packets.ack(Type.PUBACK, 1),
    0x51: packets.ack(Type.PUBREC, 1), 0x60: packets.ack(Type.PUBREL, 1),
    0x63: packets.ack(Type.PUBREL, 1), 0x71: packets.ack(Type.PUBCOMP, 1),
    0x80: subscribe("t"), 0x8A: subscribe("t"), 0xA0: unsubscribe("t"), 0xA3: unsubscribe("t"),
    0xC1: packets.PINGREQ, 0xC8: packets.PINGREQ, 0xE1: packets.disconnect(),
    0xF1: packets.packet(Type.AUTH, 0)}


@pytest.mark.parametrize("first", FIRST_BYTES, ids=hex)
def mqtt5_2_1_3_1_flags_of_other_packets(broker, first):
    """Those of the broker's packets are checked by packets.py, whatever the test."""
    expect_malformed(broker, V5, False, bytes([first]) + FIRST_BYTES[first][1:])
