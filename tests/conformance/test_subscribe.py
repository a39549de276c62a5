"""SUBSCRIBE and SUBACK: form, answers, what is granted, replacement, the stream during it."""

import itertools

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, options

SINCE_3_1_1 = pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
BAD_UTF8 = [b"\xc3\x28", b"a/\xff", b"\xed\xa0\x80"]
LASTING = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
# The answer to a filter that can't be; 3.1 has no code for it.
REFUSED = {V5: Reason.FILTER_INVALID, V311: 0x80, V31: 0}


def expect_violation(broker, version, packet, topic, *reasons):
    """This packet ends the connection, and leaves no subscription to the topic behind."""
    client = broker.connect(version=version, **LASTING)
    client.send(packet)
    client.expect_reject(*reasons)
    again = broker.connect(client.client_id, version, **LASTING)
    publisher = broker.connect()
    publisher.publish(topic, "x", 1)
    wire.expect_nothing(again, publisher)


# -- form --

@SINCE_3_1_1
@pytest.mark.parametrize("flags", [0, 1, 3, 10])
def mqtt5_3_8_1_1_flags_of_subscribe(broker, version, flags):
    # covers: v3 MQTT-3.8.1-1
    topic = broker.topic()
    packet = packets.subscribe(1, [(topic, 1)], version=version, flags=flags)
    expect_violation(broker, version, packet, topic, Reason.MALFORMED)


@pytest.mark.parametrize("text", BAD_UTF8, ids=bytes.hex)
def mqtt5_3_8_3_1_filter_not_utf8(broker, version, text):
    # covers: v3 MQTT-3.8.3-1
    topic = broker.topic()
    packet = packets.subscribe(1, [(topic, 1), (text, 1)], version=version)
    expect_violation(broker, version, packet, topic, Reason.MALFORMED)


def mqtt5_3_8_3_2_no_filter(broker, version):
    # covers: v3 MQTT-3.8.3-3
    packet = packets.subscribe(1, [], version=version)
    expect_violation(broker, version, packet, broker.topic(), Reason.PROTOCOL_ERROR)


def mqtt5_3_8_3_2_filter_without_options(broker, version):
    # covers: v3 MQTT-3.8.3-3
    topic = broker.topic()
    whole = packets.subscribe(1, [(topic + "/other", 1), (topic, 1)], version=version)
    packet = packets.packet(Type.SUBSCRIBE, 2, whole[2:-1])
    expect_violation(broker, version, packet, topic, Reason.MALFORMED)


@pytest.mark.parametrize("option,reason", [
    (0x40, Reason.MALFORMED), (0x80, Reason.MALFORMED), (0xC0, Reason.MALFORMED),
    (0x41, Reason.MALFORMED), (0x03, Reason.PROTOCOL_ERROR), (0x30, Reason.PROTOCOL_ERROR),
    (0x07, Reason.PROTOCOL_ERROR)])
def mqtt5_3_8_3_5_options(broker, option, reason):
    topic = broker.topic()
    packet = packets.subscribe(1, [(topic, 1), (topic, option)])
    expect_violation(broker, V5, packet, topic, reason)


@pytest.mark.parametrize("option", [0x03, 0x04, 0x08, 0x10, 0x40, 0x80, 0xFC, 0xFD])
def mqtt311_3_8_3_4_options_closes(broker, option):
    topic = broker.topic()
    packet = packets.subscribe(1, [(topic, 1), (topic, option)], version=V311)
    expect_violation(broker, V311, packet, topic)


def mqtt5_3_8_3_4_no_local_on_shared_subscription(broker):
    client = broker.connect()
    client.send(packets.subscribe(1, [("$share/g/" + broker.topic(), options(no_local=True))]))
    client.expect_reject(Reason.PROTOCOL_ERROR)


def mqtt311_3_8_3_2_wildcards_are_granted(broker):
    """The broker supports them, and 5.0 clients are not told otherwise."""
    client = broker.connect(version=V311)
    client.subscribe(broker.topic("#"), broker.topic("+"), broker.topic("+/#"), qos=1)
    props = broker.connect().connack.props
    assert props.get(Prop.WILDCARD_AVAILABLE, 1) == 1


# -- answers --

def mqtt5_3_8_4_1_each_subscribe_is_answered(broker, version):
    """All in one go, known filters among them."""
    # covers: MQTT-3.8.4-2, v3 MQTT-3.8.4-1, v3 MQTT-3.8.4-2
    client = broker.connect(version=version)
    topic = broker.topic()
    wanted = [(7, 0), (65535, 1), (1, 2), (300, 1), (8, 0)]
    client.send(*[packets.subscribe(number, [(topic, qos)], version=version)
                  for number, qos in wanted])
    answers = [client.expect(Type.SUBACK) for _ in wanted]
    assert [(p.packet_id, p.codes) for p in answers] == [(n, [qos]) for n, qos in wanted]
    client.ping()


def mqtt5_3_9_3_1_codes_in_the_order_of_filters(broker, version):
    # covers: MQTT-3.8.4-6, MQTT-3.8.4-7, MQTT-3.9.3-2
    # covers: v3 MQTT-3.8.4-5, v3 MQTT-3.9.3-1, v3 MQTT-3.9.3-2
    client = broker.connect(version=version)
    bad = REFUSED[version]
    rows = [("a", 2, 2), ("b/#/c", 1, bad), ("c", 0, 0), ("$share/+/d", 1, bad), ("e#", 2, bad),
            ("f/+", 1, 1), ("a", 0, 0)]
    filters = [(text if text[0] == "$" else broker.topic(text), qos) for text, qos, _ in rows]
    client.subscribe(*filters, codes=[code for _, _, code in rows])
    for count in range(1, 5):
        client.subscribe(*filters[:count], codes=[code for _, _, code in rows[:count]])


@pytest.mark.conf("max_subscriptions_per_session 4")
def mqtt5_3_8_4_7_refused_filter_delivers_nothing(broker, version):
    # covers: MQTT-3.8.4-5, MQTT-3.9.3-2, v3 MQTT-3.8.4-4, v3 MQTT-3.8.4-5, v3 MQTT-3.9.3-2
    client, publisher = broker.connect(version=version), broker.connect()
    wire.fence(client)  # has a subscription of its own
    topics = [broker.topic(str(i)) for i in range(5)]
    full = {V5: Reason.QUOTA, V311: 0x80, V31: 0}[version]
    client.subscribe(*topics, qos=1, codes=[1, 1, 1, full, full])
    for topic in topics:
        publisher.publish(topic, topic, 1)
    assert [p.topic for p in wire.fence(client, publisher)] == topics[:3]
    client.subscribe(topics[1], qos=0)  # to replace needs no room


def mqtt5_3_8_4_5_many_filters_in_one_packet(broker, version):
    # covers: v3 MQTT-3.8.4-4
    publisher, client = broker.connect(), broker.connect(version=version)
    filters = [broker.topic(f"{i}/x") for i in range(1000)]
    client.subscribe(*filters, broker.topic("bad/#/x"), broker.topic("last"), qos=1,
                     codes=[1] * 1000 + [REFUSED[version], 1])
    for topic in (filters[0], filters[500], filters[999], broker.topic("last")):
        publisher.publish(topic, topic)
        client.expect_publish(topic, topic)


def edge_064_same_filter_twice_in_one_packet(broker, version):
    # covers: MQTT-3.8.4-5, v3 MQTT-3.8.4-4
    publisher, client = broker.connect(), broker.connect(version=version)
    topic = broker.topic()
    for first, last in itertools.permutations((0, 1, 2), 2):
        client.subscribe((topic, first), (topic, last))
        publisher.publish(topic, "x", 2)
        client.expect_publish(topic, "x", qos=last)
        wire.expect_nothing(client, publisher)


@pytest.mark.parametrize("limit", [20, 30])
def mqtt5_3_9_2_1_suback_fits_the_client(broker, limit):
    """With refused filters, of which there would be much to say."""
    # covers: MQTT-3.9.2-2
    client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: limit})
    for count in (1, 2, limit - 6):
        client.send(packets.subscribe(count, [("a/#/b", 0)] * count))
        p = client.expect(Type.SUBACK, packet_id=count, codes=[Reason.FILTER_INVALID] * count)
        assert len(p.raw) <= limit


def mqtt5_3_9_2_1_suback_that_can_not_fit(broker):
    """A SUBACK that the client can't take is not sent; without one it can't go on."""
    client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: 40})
    client.send(packets.subscribe(1, [(broker.topic(str(i)), 0) for i in range(100)]))
    client.expect_reject(Reason.TOO_LARGE)


# -- delivery --

def mqtt5_3_8_4_8_qos_is_the_lower_one(broker, version):
    # covers: v3 MQTT-3.8.4-6
    publisher, client = broker.connect(version=version), broker.connect(version=version)
    for granted, published in itertools.product((0, 1, 2), repeat=2):
        topic = broker.topic(str(granted))
        client.subscribe(topic, qos=granted)
        publisher.publish(topic, f"{published}", published)
        client.expect_publish(topic, f"{published}", qos=min(granted, published), dup=False)
    wire.expect_nothing(client, publisher)


def edge_065_every_publish_after_the_suback_arrives(broker, version):
    """Each time a new filter, so that no worker has heard of it before the SUBSCRIBE."""
    publishers = [broker.connect() for _ in range(broker.workers)]
    client = broker.connect(version=version)
    for i in range(20):
        topic = broker.topic(str(i))
        client.send(packets.subscribe(i + 1, [(topic, 1)], version=version))
        for publisher in publishers:
            publisher.send_publish(topic, "between", 1)
        client.await_packet(Type.SUBACK)
        for publisher in publishers:
            publisher.send_publish(topic, "after", 1)
        for publisher in publishers:
            publisher.await_packet(Type.PUBACK)
            publisher.await_packet(Type.PUBACK)
        got = wire.fence(client, *publishers)
        assert wire.payloads(got).count(b"after") == len(publishers)
        assert wire.payloads(got).count(b"between") <= len(publishers)


def edge_065_publisher_learns_of_it_otherwise(broker):
    """After the SUBACK a third party may be told to publish: it has no tie to the subscriber."""
    client = broker.connect()
    for i in range(20):
        topic = broker.topic(str(i))
        client.subscribe(topic, qos=1)
        publisher = broker.connect()
        publisher.publish(topic, "x", 1)
        client.expect_publish(topic, "x")
        publisher.disconnect()


def mqtt5_3_8_4_3_subscription_is_replaced(broker):
    """QoS, options and identifier."""
    # covers: EDGE-057
    publisher, client = broker.connect(), broker.connect()
    topic = broker.topic()
    for payload, qos, number, how in [
            ("1", 2, 7, {}), ("2", 0, 8, {"retain_as_published": True}), ("3", 1, None, {}),
            ("4", 1, 9, {"retain_as_published": True}), ("5", 2, None, {})]:
        props = {} if number is None else {Prop.SUBSCRIPTION_ID: number}
        client.subscribe(topic, qos=qos, props=props, retain_handling=2, **how)
        publisher.publish(topic, payload, 2, retain=True)
        p = client.expect_publish(topic, payload, qos=qos, retain=bool(how))
        assert p.subscription_ids == ([] if number is None else [number])
    publisher.publish(topic, "", 2, retain=True)
    client.expect_publish(topic, "")
    client.subscribe(topic, qos=1, no_local=True)
    client.publish(topic, "own", 1)
    wire.expect_nothing(client, publisher, client)


def mqtt5_3_8_4_4_subscribe_again_in_a_stream(broker, version):
    """No number is lost, none comes twice, and the stored message comes each time again."""
    # covers: v3 MQTT-3.8.4-3
    publisher, client = broker.connect(version=version), broker.connect(version=version)
    top, rounds = broker.topic(), 6
    publisher.publish(top + "/stored", "s", 1, retain=True)
    client.subscribe(top + "/#", qos=0)
    client.expect_publish(top + "/stored", "s", qos=0, retain=True)
    live = []
    for i in range(rounds):
        for number in range(10):
            publisher.send_publish(top + "/live", str(i * 10 + number), 1)
        client.subscribe(top + "/#", qos=1)
        while (p := client.expect_publish()).payload != b"s":
            assert not p.retain
            live.append(p)
        assert p.retain and p.qos == 1
        for _ in range(10):
            publisher.await_packet(Type.PUBACK)
    live += wire.fence(client, publisher, qos=1)
    assert [int(p.payload) for p in live] == list(range(rounds * 10))
    assert all(p.qos == 1 for p in live[10:])
    publisher.publish(top + "/stored", "", 1, retain=True)
