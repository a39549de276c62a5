"""Sessions and their expiry, message expiry, DISCONNECT, topic aliases, packet sizes."""

import time

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will


def is_present(broker, client_id, **how):
    return broker.connect(client_id, clean=False, **how).connack.session_present


@pytest.mark.clock
@pytest.mark.spec("MQTT-3.1.2-23", "MQTT-3.1.2-11")
def test_session_expires(broker):
    """Two at once: one expires, one does not."""
    short, long = broker.new_id(), broker.new_id()
    for client_id, expiry in ((short, 1), (long, 60)):
        broker.connect(client_id, props={Prop.SESSION_EXPIRY: expiry}).disconnect()
    broker.process.settle()
    time.sleep(1.5)
    assert not is_present(broker, short)
    assert is_present(broker, long)


@pytest.mark.clock
def test_return_stops_the_expiry(broker):
    client_id = broker.new_id()
    broker.connect(client_id, props={Prop.SESSION_EXPIRY: 1}).disconnect()
    client = broker.connect(client_id, clean=False, props={Prop.SESSION_EXPIRY: 60})
    assert client.connack.session_present
    time.sleep(1.5)
    client.ping()
    client.disconnect()
    assert is_present(broker, client_id)


def test_return_with_expiry_0_ends_session(broker):
    """EDGE-039"""
    client_id = broker.new_id()
    broker.connect(client_id, props={Prop.SESSION_EXPIRY: 60}).disconnect()
    client = broker.connect(client_id, clean=False)
    assert client.connack.session_present
    client.disconnect()
    assert not is_present(broker, client_id)


@pytest.mark.parametrize("at_connect,at_disconnect,expected", [(60, 0, False), (60, 100, True),
                                                               (60, None, True)])
def test_disconnect_changes_expiry(broker, at_connect, at_disconnect, expected):
    """EDGE-040, EDGE-043"""
    client_id = broker.new_id()
    client = broker.connect(client_id, props={Prop.SESSION_EXPIRY: at_connect})
    props = {} if at_disconnect is None else {Prop.SESSION_EXPIRY: at_disconnect}
    client.disconnect(0, props)
    assert is_present(broker, client_id) is expected


@pytest.mark.spec("MQTT-3.14.2-2")
def test_disconnect_can_not_raise_expiry_from_0(broker):
    """EDGE-041: no valid DISCONNECT, so the will goes out."""
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(will=Will(broker.topic(), b"gone"))
    client.send(packets.disconnect(0, {Prop.SESSION_EXPIRY: 10}))
    client.expect_reject(Reason.PROTOCOL_ERROR)
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.conf("persistent_client_expiration 1h")
@pytest.mark.parametrize("wish,told", [(0, None), (100, None), (3600, None), (3601, 3600),
                                       (0xFFFFFFFF, 3600)])
def test_longest_expiry_is_told(broker, wish, told):
    """EDGE-042"""
    client = broker.connect(props={Prop.SESSION_EXPIRY: wish})
    assert client.connack.props.get(Prop.SESSION_EXPIRY) == told


@pytest.mark.clock
@pytest.mark.conf("persistent_client_expiration 1s")
def test_longest_expiry_holds_for_older_clients(broker):
    """EDGE-045"""
    client_id = broker.new_id()
    broker.connect(client_id, V311, clean=False).disconnect()
    assert is_present(broker, client_id, version=V311)
    for version in (V31, V311):
        broker.connect(client_id, version, clean=False).disconnect()
    time.sleep(1.6)
    assert not is_present(broker, client_id, version=V311)


def test_expiry_of_subscriptions_with_session(broker, homes):
    """A session that has ended receives nothing, not even after its return."""
    publisher, client_id = broker.connect(worker=homes[0]), broker.new_id(homes[1])
    client = broker.connect(client_id, props={Prop.SESSION_EXPIRY: 60})
    client.subscribe(broker.topic(), qos=1)
    client.disconnect(0, {Prop.SESSION_EXPIRY: 0})
    publisher.publish(broker.topic(), "x", 1)
    client = broker.connect(client_id, clean=False)
    wire.expect_nothing(client, publisher)


# -- message expiry --

@pytest.mark.spec("MQTT-3.3.2-6")
@pytest.mark.parametrize("qos", [0, 1])
def test_message_expiry_is_passed_on(broker, homes, qos):
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1])
    subscriber.subscribe(broker.topic(), qos=qos)
    publisher.publish(broker.topic(), "x", qos, props={Prop.MESSAGE_EXPIRY: 100})
    assert subscriber.expect_publish().props[Prop.MESSAGE_EXPIRY] in (99, 100)


@pytest.mark.clock
@pytest.mark.spec("MQTT-3.3.2-5", "MQTT-3.3.2-6")
@pytest.mark.parametrize("waits", ["offline", "behind a full window"])
@pytest.mark.parametrize("version", [V311, V5])
def test_message_expires_in_queue(broker, homes, waits, version):
    """EDGE-097"""
    publisher, client_id = broker.connect(worker=homes[0]), broker.new_id(homes[1])
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60, Prop.RECEIVE_MAXIMUM: 1}}
    topic = broker.topic()
    client = broker.connect(client_id, version, **how)
    client.subscribe(topic, qos=1)
    first = None
    if waits == "offline":
        client.disconnect()
    else:
        for _ in range(20 if version == V311 else 1):
            publisher.publish(topic, "first", 1)
            first = client.expect_publish(topic, "first", acknowledge=False)
    for payload, expiry in (("short", 1), ("long", 30), ("short", 1)):
        publisher.publish(topic, payload, 1, props={Prop.MESSAGE_EXPIRY: expiry})
    time.sleep(2.1)
    if first is None:
        client = broker.connect(client_id, version, **how)
    else:
        client.acknowledge(first)
    p = client.expect_publish(topic, "long")
    assert version != V5 or p.props[Prop.MESSAGE_EXPIRY] in (27, 28)
    wire.expect_nothing(client, publisher)


# -- topic aliases --

@pytest.mark.spec("MQTT-3.3.2-7", "MQTT-3.3.2-10", "MQTT-3.3.2-12")
def test_alias_from_client(broker, homes):
    """EDGE-087: set, used, used by QoS 1 and 2, set anew."""
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1])
    top = broker.topic()
    assert publisher.connack.props[Prop.TOPIC_ALIAS_MAXIMUM] == 10
    subscriber.subscribe(top + "/#", qos=2)
    for topic, alias, name in [("a", 1, "a"), ("", 1, "a"), ("b", 10, "b"), ("", 10, "b"),
                               ("c", 1, "c"), ("", 1, "c"), ("", 10, "b"), ("d", None, "d")]:
        for qos in (0, 1, 2):
            publisher.publish(f"{top}/{topic}" if topic else "", "x", qos,
                              props={} if alias is None else {Prop.TOPIC_ALIAS: alias})
            p = subscriber.expect_publish(f"{top}/{name}", "x", qos=qos)
            assert Prop.TOPIC_ALIAS not in p.props


@pytest.mark.spec("MQTT-3.3.2-8", "MQTT-3.3.2-9")
@pytest.mark.parametrize("alias,topic,reason", [
    (0, "a", Reason.ALIAS_INVALID), (11, "a", Reason.ALIAS_INVALID),
    (0xFFFF, "", Reason.ALIAS_INVALID), (5, "", Reason.PROTOCOL_ERROR)])
def test_wrong_alias(broker, alias, topic, reason):
    client = broker.connect()
    client.send_publish(topic, "x", props={Prop.TOPIC_ALIAS: alias})
    client.expect_reject(reason)


@pytest.mark.spec("MQTT-3.3.2-7")
def test_alias_ends_with_connection(broker):
    client_id = broker.new_id()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    client = broker.connect(client_id, **how)
    client.publish(broker.topic(), "x", 1, props={Prop.TOPIC_ALIAS: 1})
    client.cut()
    client = broker.connect(client_id, **how)
    client.send_publish("", "x", props={Prop.TOPIC_ALIAS: 1})
    client.expect_reject(Reason.PROTOCOL_ERROR)


@pytest.mark.spec("MQTT-3.1.2-26", "MQTT-3.3.2-9")
@pytest.mark.parametrize("most", [0, 1, 3, 100])
def test_alias_from_broker(broker, homes, most):
    """Never more than the client takes, and the topic is always known (see wire.py)."""
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1], props={Prop.TOPIC_ALIAS_MAXIMUM: most})
    top = broker.topic()
    subscriber.subscribe(top + "/#", qos=1)
    for _ in range(3):
        for i in range(12):
            publisher.publish(f"{top}/long/topic/{i}", "x", i % 2)
            p = subscriber.expect_publish(f"{top}/long/topic/{i}")
            assert p.props.get(Prop.TOPIC_ALIAS, 0) <= min(most, 10)


@pytest.mark.conf("max_topic_alias 0", "max_topic_alias_broker 0")
@pytest.mark.spec("MQTT-3.2.2-18")
def test_aliases_can_be_off(broker):
    client = broker.connect(props={Prop.TOPIC_ALIAS_MAXIMUM: 10})
    assert Prop.TOPIC_ALIAS_MAXIMUM not in client.connack.props
    client.subscribe(broker.topic("long"))
    client.publish(broker.topic("long"), "x")
    assert Prop.TOPIC_ALIAS not in client.expect_publish().props
    client.send_publish("a", "x", props={Prop.TOPIC_ALIAS: 1})
    client.expect_reject(Reason.ALIAS_INVALID)


# -- packet sizes --

def publish_of_size(topic, size, version=V5):
    """A QoS 0 PUBLISH whose packet has exactly this size."""
    rest = size - len(packets.publish(topic, "", version=version))
    while len(packet := packets.publish(topic, bytes(rest), version=version)) > size:
        rest -= 1
    assert len(packet) == size
    return packet


@pytest.mark.spec("MQTT-3.1.2-24", "MQTT-3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_packet_size_of_client(broker, homes, qos):
    """What does not fit is dropped for it as if it had been delivered."""
    publisher = broker.connect(worker=homes[0])
    small = broker.connect(worker=homes[1], props={Prop.MAXIMUM_PACKET_SIZE: 200})
    large = broker.connect(worker=homes[1])
    topic = broker.topic()
    small.subscribe(topic, qos=qos)
    large.subscribe(topic, qos=qos)
    fixed = len(packets.publish(topic, "", qos, 1 if qos else None)) + 1
    for size in (200, 201, 150):
        publisher.publish(topic, bytes(size - fixed), qos)
    assert [len(p.raw) for p in wire.fence(small, publisher)] == [200, 150]
    assert len(wire.fence(large, publisher)) == 3


@pytest.mark.spec("MQTT-3.1.2-24")
def test_packet_size_of_client_and_alias(broker):
    """An alias must not make a packet too large that would fit without it."""
    client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: 200, Prop.TOPIC_ALIAS_MAXIMUM: 10})
    topic = broker.topic("with/alias")
    client.subscribe(topic)
    sizes = list(range(190, 203))
    for size in sizes:
        client.send(publish_of_size(topic, size))
    got = wire.fence(client, client)
    assert len(got) == len([size for size in sizes if size <= 200])
    assert all(len(p.raw) <= 200 for p in got)


@pytest.mark.conf("max_packet_size 1000")
@pytest.mark.spec("MQTT-3.2.2-15")
def test_packet_size_of_broker(broker, version):
    client = broker.connect(version=version)
    if version == V5:
        assert client.connack.props[Prop.MAXIMUM_PACKET_SIZE] == 1000
    client.subscribe(broker.topic())
    client.send(publish_of_size(broker.topic(), 1000, version))
    client.expect_publish(broker.topic())
    client.send(publish_of_size(broker.topic(), 1001, version)[:20])
    client.expect_reject(Reason.TOO_LARGE)


@pytest.mark.conf("max_packet_size 1000")
def test_packet_size_of_broker_holds_for_connect(broker, version):
    client = broker.raw(version)
    client.send(packets.connect("x" * 990, version))
    client.expect_end()


@pytest.mark.parametrize("version", [V311, V5])
def test_huge_remaining_length_is_refused_on_the_header(broker, version):
    """EDGE-002"""
    client = broker.connect(version=version)
    client.send(b"\x30\xff\xff\xff\x7f")
    client.expect_reject(Reason.TOO_LARGE)


# -- reason strings --

def test_request_problem_information_0(broker):
    """No reason string but in CONNACK, DISCONNECT and PUBLISH [MQTT-3.1.2-29]."""
    client = broker.connect(props={Prop.REQUEST_PROBLEM_INFO: 0})
    client.send(packets.subscribe(1, [("a/#/b", 0)]), packets.ack(Type.PUBREL, 7))
    assert client.expect(Type.SUBACK).props == {}
    assert client.expect(Type.PUBCOMP).props == {}


@pytest.mark.fresh
@pytest.mark.crash
def test_stop_tells_why(broker):
    new, old = broker.connect(), broker.connect(version=V311)
    broker.process.process.terminate()
    new.expect_reject(Reason.SHUTTING_DOWN)
    old.expect_close()
