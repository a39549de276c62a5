"""The PUBLISH packet: fixed header, topic name, packet id, the answer by QoS."""

import pytest

import packets
import wire
from flows import KEEP, cut_after_all
from packets import V5, Reason, Type

QOS = [0, 1, 2]
BAD_UTF8 = b"\xc3\x28"


def watch(broker):
    """A subscriber to all topics of the test, to see what must not be forwarded."""
    watcher = broker.connect()
    watcher.subscribe(broker.topic("#"), qos=2)
    return watcher


def expect_refused(broker, client, watcher, *codes):
    client.expect_reject(*codes)
    wire.expect_nothing(watcher, broker.connect())


# -- packet id --

def mqtt5_2_2_1_2_qos0_has_no_packet_id(broker, version):
    # covers: v3 MQTT-2.3.1-5, MQTT-4.3.1-1, v3 MQTT-4.3.1-1, MQTT-3.3.2-1, v3 MQTT-3.3.2-1
    publisher, subscriber = broker.connect(), broker.connect(version=version)
    topic = broker.topic()
    subscriber.subscribe(topic, qos=2)
    for payload in (b"", b"\0\1payload", bytes(300)):
        publisher.publish(topic, payload, 0)
        p = subscriber.expect_publish(topic, payload, qos=0, dup=False)
        assert p.raw == packets.publish(topic, payload, version=version)


def packets_of_id(packet_id, topic, version):
    return {
        "publish 1": packets.publish(topic, b"x", 1, packet_id, version=version),
        "publish 2": packets.publish(topic, b"x", 2, packet_id, version=version),
        "subscribe": packets.subscribe(packet_id, [(topic, 0)], version=version),
        "unsubscribe": packets.unsubscribe(packet_id, [topic], version=version),
    }


@pytest.mark.parametrize("kind", ["publish 1", "publish 2", "subscribe", "unsubscribe"])
def mqtt5_2_2_1_3_packet_id_0_closes(broker, version, kind):
    # covers: v3 MQTT-2.3.1-1
    watcher, client = watch(broker), broker.connect(version=version)
    client.send(packets_of_id(0, broker.topic(), version)[kind])
    expect_refused(broker, client, watcher, Reason.PROTOCOL_ERROR, Reason.MALFORMED)


def mqtt5_2_2_1_3_other_packets_with_the_id_of_an_open_flow(broker, version):
    watcher, client = watch(broker), broker.connect(version=version)
    topic = broker.topic()
    client.send_publish(topic, "first", 2, packet_id=9)
    client.expect(Type.PUBREC, packet_id=9, reason=0)
    client.send(packets.subscribe(9, [("other", 1)], version=version))
    p = client.expect(Type.SUBACK, packet_id=9)
    assert p.codes == [1] or version == V5 and p.codes == [0x91]
    client.send(packets.unsubscribe(9, ["other"], version=version))
    client.expect(Type.UNSUBACK, packet_id=9)
    client.send_publish(topic, "repeat", 2, packet_id=9, dup=True)
    client.expect(Type.PUBREC, packet_id=9, reason=0)
    client.send(packets.ack(Type.PUBREL, 9))
    client.expect(Type.PUBCOMP, packet_id=9, reason=0)
    assert wire.payloads(wire.fence(watcher, client)) == [b"first"]


def mqtt311_2_3_1_3_id_is_free_after_each_acknowledgement(broker, version):
    # covers: v3 MQTT-2.3.1-2
    watcher, client = watch(broker), broker.connect(version=version)
    topic = broker.topic()
    for i in range(2):
        client.send(packets.subscribe(5, [("other", 1)], version=version))
        client.expect(Type.SUBACK, packet_id=5, codes=[1])
        client.publish(topic, f"{i} at 1", 1, packet_id=5)
        client.publish(topic, f"{i} at 2", 2, packet_id=5)
        client.send(packets.unsubscribe(5, ["other"], version=version))
        client.expect(Type.UNSUBACK, packet_id=5)
    assert wire.payloads(watcher.receive(4)) == [b"0 at 1", b"0 at 2", b"1 at 1", b"1 at 2"]
    wire.expect_nothing(watcher, client)


@pytest.mark.parametrize("packet_id", [1, 7, 256, 32768, 65535])
def mqtt5_2_2_1_5_acknowledgements_repeat_the_id(broker, version, packet_id):
    # covers: v3 MQTT-2.3.1-6, MQTT-4.3.2-4, MQTT-4.3.3-8, MQTT-4.3.3-4, MQTT-4.3.3-11
    publisher, subscriber = broker.connect(version=version), broker.connect(version=version)
    subscriber.subscribe(broker.topic(), qos=2)
    for qos in (1, 2):
        publisher.publish(broker.topic(), "x", qos, packet_id=packet_id)  # compares the ids
        subscriber.expect_publish(broker.topic(), "x", qos=qos)  # and that of PUBREL


def mqtt5_2_2_1_6_suback_and_unsuback_repeat_the_id(broker, version):
    # covers: v3 MQTT-2.3.1-7
    client = broker.connect(version=version)
    for packet_id in (1, 256, 65535):
        client.send(packets.subscribe(packet_id, [("a", 0)], version=version))
        client.expect(Type.SUBACK, packet_id=packet_id)
        client.send(packets.unsubscribe(packet_id, ["a"], version=version))
        client.expect(Type.UNSUBACK, packet_id=packet_id)


# -- property length --

def mqtt5_2_2_2_1_no_properties_are_one_zero_byte(broker):
    client, topic = broker.connect(), broker.topic()
    client.send(packets.subscribe(1, [(topic, 0)]))
    assert client.expect(Type.SUBACK).raw.hex(" ") == "90 04 00 01 00 00"
    client.publish(topic, "payload")
    assert client.expect_publish().raw == packets.publish(topic, "payload")
    client.send(packets.unsubscribe(2, [topic]))
    assert client.expect(Type.UNSUBACK).raw.hex(" ") == "b0 04 00 02 00 00"


WITHOUT_PROPERTY_LENGTH = {
    "publish 0": packets.packet(Type.PUBLISH, 0, packets.text16("a")),
    "publish 1": packets.packet(Type.PUBLISH, 2, packets.text16("a") + b"\0\1"),
    "subscribe": packets.packet(Type.SUBSCRIBE, 2, b"\0\1"),
    "unsubscribe": packets.packet(Type.UNSUBSCRIBE, 2, b"\0\1"),
}


@pytest.mark.parametrize("kind", WITHOUT_PROPERTY_LENGTH)
def mqtt5_2_2_2_1_packet_ends_before_its_property_length(broker, kind):
    client = broker.connect()
    client.send(WITHOUT_PROPERTY_LENGTH[kind])
    client.expect_reject(Reason.MALFORMED)


def mqtt5_2_2_2_1_connect_ends_before_its_property_length(broker):
    client = broker.raw()
    client.send(packets.packet(Type.CONNECT, 0, packets.text16("MQTT") + b"\5\2\0\0"))
    client.expect_reject(Reason.MALFORMED)


# -- first byte --

@pytest.mark.parametrize("retain", [0, 1])
def mqtt5_3_3_1_2_dup_at_qos0_closes(broker, version, retain):
    # covers: v3 MQTT-3.3.1-2
    watcher, client = watch(broker), broker.connect(version=version)
    client.send_publish(broker.topic(), "x", dup=True, retain=retain)
    expect_refused(broker, client, watcher, Reason.MALFORMED)


@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_3_3_1_3_dup_is_not_passed_on(broker, version, qos):
    # covers: v3 MQTT-3.3.1-3, EDGE-093
    publisher, live = broker.connect(version=version), broker.connect(version=version)
    late_id, topic = broker.new_id(), broker.topic()
    late = broker.connect(late_id, version, **KEEP)
    for client in (live, late):
        client.subscribe(topic, qos=qos)
    cut_after_all(late)
    publisher.publish(topic, "never seen before", qos, dup=True)
    live.expect_publish(topic, "never seen before", qos=qos, dup=False)
    late = broker.connect(late_id, version, **KEEP)
    late.expect_publish(topic, "never seen before", qos=qos, dup=False)
    wire.expect_nothing(live, publisher)


@pytest.mark.parametrize("first", [0x36, 0x37, 0x3E, 0x3F])
def mqtt5_3_3_1_4_qos3_closes(broker, version, first):
    # covers: v3 MQTT-3.3.1-4
    watcher, client = watch(broker), broker.connect(version=version)
    client.send(bytes([first]), packets.publish(broker.topic(), "x", 2, 1, version=version)[1:])
    expect_refused(broker, client, watcher, Reason.MALFORMED)


# -- topic name --

@pytest.mark.parametrize("qos", QOS)
def mqtt5_3_3_2_1_topic_is_not_utf8(broker, version, qos):
    # covers: v3 MQTT-3.3.2-1
    watcher, client = watch(broker), broker.connect(version=version)
    client.send_publish(broker.topic().encode() + b"/" + BAD_UTF8, "x", qos)
    expect_refused(broker, client, watcher, Reason.MALFORMED)


@pytest.mark.parametrize("surplus", [1, 2, 65000])
def mqtt5_3_3_2_1_topic_is_longer_than_the_packet(broker, version, surplus):
    # covers: v3 MQTT-3.3.2-1
    client, topic = broker.connect(version=version), broker.topic().encode()
    length = (len(topic) + surplus).to_bytes(2, "big")
    client.send(packets.packet(Type.PUBLISH, 0, length + topic))
    client.expect_reject(Reason.MALFORMED)


@pytest.mark.parametrize("qos", QOS)
@pytest.mark.parametrize("end", ["a/#", "a/+/b", "a+", "+", "#", "a#"])
def mqtt5_3_3_2_2_wildcard_in_a_topic_closes(broker, version, end, qos):
    # covers: v3 MQTT-3.3.2-2
    watcher, client = watch(broker), broker.connect(version=version)
    client.send_publish(broker.topic(end), "x", qos)
    expect_refused(broker, client, watcher, Reason.TOPIC_INVALID, Reason.MALFORMED,
                   Reason.PROTOCOL_ERROR)


def matches(text, topic):
    """Whether a filter matches a topic, by the book and slowly."""
    levels, names = text.split("/"), topic.split("/")
    if levels[-1] == "#":
        levels.pop()
        names = names[:len(levels)] if len(names) >= len(levels) else names
    return len(levels) == len(names) and all(a in ("+", b) for a, b in zip(levels, names))


FILTERS = ["#", "a", "a/", "/a", "a/#", "a/b", "a/+", "+/b", "+/+", "a/+/c", "+/+/+", "a/b/#",
           "A/#"]
TOPICS = ["a", "a/", "/a", "a/b", "a/b/", "a/b/c", "a/bb", "aa", "A/b", "b", "b/b", "a//c", "x/y/z"]


@pytest.mark.parametrize("qos", QOS)
def mqtt5_3_3_2_3_deliveries_match_the_filter(broker, version, qos):
    # covers: v3 MQTT-3.3.2-3
    publisher, top = broker.connect(), broker.topic()
    subscribers = [broker.connect(version=version) for _ in FILTERS]
    for text, subscriber in zip(FILTERS, subscribers):
        subscriber.subscribe(f"{top}/{text}", qos=qos)
    for topic in TOPICS:
        publisher.publish(f"{top}/{topic}", topic, qos)
    for text, subscriber in zip(FILTERS, subscribers):
        got = [p.topic[len(top) + 1:] for p in wire.fence(subscriber, publisher)]
        assert got == [topic for topic in TOPICS if matches(text, topic)], f"filter {text}"


# -- answer --

def mqtt5_3_3_4_1_answer_follows_the_qos(broker, version):
    # covers: v3 MQTT-3.3.4-1
    client = broker.connect(version=version)
    client.send_publish(broker.topic(), "x", 0)
    client.send(packets.PINGREQ)
    client.expect(Type.PINGRESP)
    client.send_publish(broker.topic(), "x", 1, packet_id=3)
    client.expect(Type.PUBACK, packet_id=3)
    client.send_publish(broker.topic(), "x", 2, packet_id=4)
    client.expect(Type.PUBREC, packet_id=4)
    client.send(packets.ack(Type.PUBREL, 4))
    client.expect(Type.PUBCOMP, packet_id=4)


@pytest.mark.parametrize("qos", QOS)
def edge_096_publish_without_authority_goes_nowhere(broker, version, qos):
    """The broker's own topics are what nobody may publish to, with or without access rules."""
    # covers: v3 MQTT-3.3.5-2
    watcher, client = broker.connect(), broker.connect(version=version)
    watcher.subscribe("$SYS/broker/x", retain_handling=2)
    reason = client.publish("$SYS/broker/x", "x", qos, retain=True)
    if version == V5 and qos > 0:
        assert reason == Reason.NOT_AUTHORIZED
    wire.expect_nothing(watcher, client)
    late = broker.connect()
    late.subscribe("$SYS/broker/x")
    wire.expect_nothing(late, client)


def edge_096_refusal_ends_the_flow_as_usual(broker, version):
    """Versions before 5.0 hear nothing of it: QoS 2 goes its whole way, again and again."""
    client = broker.connect(version=version)
    for dup in (False, True, False):
        client.publish("$SYS/broker/x", "x", 2, packet_id=1, dup=dup)
