"""UNSUBSCRIBE and UNSUBACK: form, answers, what stops and what is brought to its end."""

import pytest

import packets
import wire
from packets import V5, V311, Prop, Reason, Type

SINCE_3_1_1 = pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
LASTING = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
NONE = Reason.NO_SUBSCRIPTION


def expect_violation(broker, version, packet, topic, *reasons):
    """This packet ends the connection, and the subscription to the topic is still there."""
    client = broker.connect(version=version, **LASTING)
    client.subscribe(topic, qos=1)
    client.send(packet)
    client.expect_reject(*reasons)
    again = broker.connect(client.client_id, version, **LASTING)
    publisher = broker.connect()
    publisher.publish(topic, "x", 1)
    again.expect_publish(topic, "x")


# -- form --

@SINCE_3_1_1
@pytest.mark.parametrize("flags", [0, 1, 3, 10])
def mqtt5_3_10_1_1_flags_of_unsubscribe(broker, version, flags):
    # covers: v3 MQTT-3.10.1-1
    topic = broker.topic()
    packet = packets.unsubscribe(1, [topic], version=version, flags=flags)
    expect_violation(broker, version, packet, topic, Reason.MALFORMED)


@pytest.mark.parametrize("text", [b"\xc3\x28", b"a/\xff", b"\xed\xa0\x80"], ids=bytes.hex)
def mqtt5_3_10_3_1_filter_not_utf8(broker, version, text):
    # covers: v3 MQTT-3.10.3-1
    topic = broker.topic()
    packet = packets.unsubscribe(1, [topic, text], version=version)
    expect_violation(broker, version, packet, topic, Reason.MALFORMED)


@pytest.mark.parametrize("tail", [b"\x00\x06abcde", b"\xff\xffa", b"\x00"], ids=bytes.hex)
def mqtt311_3_10_3_1_filter_longer_than_the_packet(broker, version, tail):
    # covers: MQTT-3.10.3-1
    topic = broker.topic()
    body = packets.unsubscribe(1, [topic], version=version)[2:] + tail
    packet = packets.packet(Type.UNSUBSCRIBE, 2, body)
    expect_violation(broker, version, packet, topic, Reason.MALFORMED)


def mqtt5_3_10_3_2_no_filter(broker, version):
    # covers: v3 MQTT-3.10.3-2
    packet = packets.unsubscribe(1, [], version=version)
    expect_violation(broker, version, packet, broker.topic(), Reason.PROTOCOL_ERROR)


# -- answers --

def mqtt5_3_10_4_1_filters_are_compared_as_text(broker, version):
    # covers: MQTT-3.10.4-5, v3 MQTT-3.10.4-1, v3 MQTT-3.10.4-5
    publisher, client, top = broker.connect(), broker.connect(version=version), broker.topic()
    client.subscribe(top + "/+", top + "/a/#")
    others = [top + "/b", top + "/#", "+/+", top + "/a", top + "/a/+", top, top + "/+/",
              top + "/A/#"]
    client.unsubscribe(*others, codes=[NONE] * len(others))
    for topic in ("/b", "/a/b"):
        publisher.publish(top + topic, "x")
        client.expect_publish(top + topic)
    client.unsubscribe(top + "/+")
    publisher.publish(top + "/b", "x")
    publisher.publish(top + "/a/b", "y")
    assert wire.payloads(wire.fence(client, publisher)) == [b"y"]


def mqtt5_3_10_4_4_each_unsubscribe_is_answered(broker, version):
    """All in one go; known and unknown filters, and none of them twice."""
    # covers: MQTT-3.10.4-5, v3 MQTT-3.10.4-4, v3 MQTT-3.10.4-5
    client, top = broker.connect(version=version), broker.topic()
    client.subscribe(top)
    wanted = [(7, top, 0), (65535, top, NONE), (1, top + "/x", NONE), (300, "#", NONE)]
    client.send(*[packets.unsubscribe(number, [text], version=version)
                  for number, text, _ in wanted])
    for number, _, code in wanted:
        p = client.expect(Type.UNSUBACK, packet_id=number)
        if version == V5:
            assert p.codes == [code]
        else:
            assert p.raw == bytes([0xB0, 2, number >> 8, number & 0xFF])
    client.ping()


def mqtt5_3_11_3_1_codes_in_the_order_of_filters(broker, version):
    # covers: MQTT-3.10.4-6, MQTT-3.11.3-2, v3 MQTT-3.10.4-6
    publisher, client, top = broker.connect(), broker.connect(version=version), broker.topic()
    client.subscribe(top + "/a", top + "/b", top + "/+", "$share/g/" + top)
    rows = [(top + "/a", 0), (top + "/none", NONE), (top + "/+", 0), (top + "/a", NONE),
            ("x/#/y", Reason.FILTER_INVALID), ("$share/h/" + top, NONE), ("$share/g/" + top, 0)]
    client.unsubscribe(*[text for text, _ in rows], codes=[code for _, code in rows])
    for topic in ("/a", "/b", "/c", ""):
        publisher.publish(top + topic, topic)
    assert wire.payloads(wire.fence(client, publisher)) == [b"/b"]


def mqtt5_3_10_4_6_many_filters_in_one_packet(broker, version):
    # covers: v3 MQTT-3.10.4-6
    publisher, client = broker.connect(), broker.connect(version=version)
    filters = [broker.topic(f"{i}/x") for i in range(1000)]
    client.subscribe(*filters)
    client.unsubscribe(*filters[:-1])
    for i in (0, 7, 998, 999):
        publisher.publish(filters[i], str(i))
    assert wire.payloads(wire.fence(client, publisher)) == [b"999"]


@pytest.mark.parametrize("limit", [20, 30])
def mqtt5_3_11_2_1_unsuback_fits_the_client(broker, limit):
    # covers: MQTT-3.11.2-2
    client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: limit})
    for count in (1, 2, limit - 6):
        client.send(packets.unsubscribe(count, ["a/#/b"] * count))
        p = client.expect(Type.UNSUBACK, packet_id=count, codes=[Reason.FILTER_INVALID] * count)
        assert len(p.raw) <= limit


def mqtt5_3_11_2_1_unsuback_that_can_not_fit(broker):
    """An UNSUBACK that the client can't take is not sent; without one it can't go on."""
    client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: 40})
    client.send(packets.unsubscribe(1, [broker.topic(str(i)) for i in range(100)]))
    client.expect_reject(Reason.TOO_LARGE)


# -- delivery --

@pytest.mark.parametrize("qos", [0, 1, 2])
def mqtt5_3_10_4_2_nothing_after_the_unsuback(broker, version, qos):
    """Each time a worker learns anew of the filter, and that it is gone."""
    # covers: v3 MQTT-3.10.4-2
    publishers = [broker.connect() for _ in range(broker.workers)]
    client, topic = broker.connect(version=version), broker.topic()
    for i in range(5):
        client.subscribe(topic, qos=qos)
        for publisher in publishers:
            publisher.publish(topic, str(i), qos)
            client.expect_publish(topic, str(i), qos=qos)
        client.unsubscribe(topic)
        for publisher in publishers:
            publisher.publish(topic, "nobody's", qos)
        wire.expect_nothing(client, *publishers)


def mqtt5_3_10_4_2_nothing_is_queued(broker, version):
    """For one that is away; the filter that overlaps goes on."""
    # covers: v3 MQTT-3.10.4-2
    publisher, client = broker.connect(), broker.connect(version=version, **LASTING)
    top = broker.topic()
    client.subscribe(top + "/a", top + "/+", qos=1)
    client.unsubscribe(top + "/+")
    publisher.publish(top + "/a", "online", 1)
    client.expect_publish(top + "/a", "online")
    client.disconnect()
    for topic in ("/a", "/b"):
        publisher.publish(top + topic, topic, 1)
    client = broker.connect(client.client_id, version, **LASTING)
    assert wire.payloads(wire.fence(client, publisher, qos=1)) == [b"/a"]


def mqtt5_3_10_4_3_open_qos_2_goes_on(broker, version):
    # covers: v3 MQTT-3.10.4-3
    publisher, client = broker.connect(), broker.connect(version=version)
    topic = broker.topic()
    client.subscribe(topic, qos=2)
    for payload in ("waits for PUBREC", "waits for PUBCOMP"):
        publisher.publish(topic, payload, 2)
    first = client.expect_publish(topic, "waits for PUBREC", acknowledge=False)
    second = client.expect_publish(topic, "waits for PUBCOMP", acknowledge=False)
    client.send(packets.ack(Type.PUBREC, second.packet_id))
    client.expect(Type.PUBREL, packet_id=second.packet_id)
    client.unsubscribe(topic)
    publisher.publish(topic, "new", 2)
    client.acknowledge(first)
    client.send(packets.ack(Type.PUBCOMP, second.packet_id))
    wire.expect_nothing(client, publisher)


@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_3_10_4_3_open_delivery_is_sent_again(broker, version, qos):
    # covers: v3 MQTT-3.10.4-3
    publisher, client = broker.connect(), broker.connect(version=version, **LASTING)
    topic = broker.topic()
    client.subscribe(topic, qos=qos)
    publisher.publish(topic, "begun", qos)
    p = client.expect_publish(topic, "begun", acknowledge=False)
    client.unsubscribe(topic)
    client.cut()
    publisher.publish(topic, "new", qos)
    client = broker.connect(client.client_id, version, **LASTING)
    client.expect_publish(topic, "begun", dup=True, qos=qos, packet_id=p.packet_id)
    wire.expect_nothing(client, publisher)


def edge_066_open_and_queued_deliveries(broker):
    """With a window of one: what is open completes, what is queued may come, nothing new does."""
    # covers: MQTT-3.10.4-2, MQTT-3.10.4-3
    publisher = broker.connect()
    client = broker.connect(props={Prop.RECEIVE_MAXIMUM: 1})
    topic = broker.topic()
    client.subscribe(topic, qos=2)
    for payload in ("open", "queued", "queued", "queued"):
        publisher.publish(topic, payload, 2)
    p = client.expect_publish(topic, "open", acknowledge=False)
    client.unsubscribe(topic)
    publisher.publish(topic, "new", 2)
    client.acknowledge(p)
    got = wire.payloads(wire.fence(client, publisher, qos=2))
    assert got == [b"queued"] * len(got)
    assert len(got) <= 3
