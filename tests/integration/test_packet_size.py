"""Packet sizes of either side, reason strings, the stop."""

import pytest

import packets
import wire
from packets import V5, V311, Prop, Reason, Type


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
