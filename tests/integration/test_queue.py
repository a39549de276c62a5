"""The queue of a session: what goes into it, and its limits."""

import pytest

import packets
import wire
from flows import KEEP, numbers, publish_numbers
from packets import V31, Prop, Type


def test_qos0_is_not_queued_offline(broker, version):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, version, **KEEP)
    client.subscribe(broker.topic(), qos=2)
    client.disconnect()
    publisher.publish(broker.topic(), "qos 0", 0)
    publisher.publish(broker.topic(), "qos 1", 1)
    client = broker.connect(client_id, version, **KEEP)
    client.expect_publish(payload="qos 1")
    wire.expect_nothing(client, publisher)


@pytest.mark.conf("queue_qos0_messages true")
def test_qos0_is_queued_by_option(broker, version):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, version, **KEEP)
    client.subscribe(broker.topic(), qos=2)
    client.disconnect()
    for qos in (0, 1, 0):
        publisher.publish(broker.topic(), str(qos), qos)
    publisher.ping()
    client = broker.connect(client_id, version, **KEEP)
    assert wire.payloads(client.receive(3)) == [b"0", b"1", b"0"]


@pytest.mark.conf("max_queued_messages 5", "max_inflight_messages 2")
@pytest.mark.spec("MQTT-4.9.0-1")
def test_queue_limit_online(broker, homes):
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1])
    assert subscriber.connack.props[Prop.RECEIVE_MAXIMUM] == 2
    subscriber.subscribe(broker.topic(), qos=1)
    publish_numbers(publisher, broker.topic(), 0, 12)
    first = [subscriber.expect_publish(acknowledge=False) for _ in range(2)]
    wire.expect_nothing(subscriber, publisher)
    for p in first:
        subscriber.acknowledge(p)
    got = wire.payloads(first + subscriber.receive(5))
    assert got == numbers(0, 7)
    wire.expect_nothing(subscriber, publisher)


@pytest.mark.conf("max_queued_messages 5", "max_inflight_messages 2")
@pytest.mark.parametrize("count", [4, 5, 6])
def test_queue_limit_offline(broker, count):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, **KEEP)
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    publish_numbers(publisher, broker.topic(), 0, count)
    client = broker.connect(client_id, **KEEP)
    assert wire.payloads(client.receive(min(count, 5))) == numbers(0, min(count, 5))
    wire.expect_nothing(client, publisher)


@pytest.mark.conf("max_queued_bytes 10000")
def test_queue_limit_in_bytes(broker):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, **KEEP)
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    for i in range(15):
        publisher.publish(broker.topic(), b"%04d" % i + bytes(1000), 1)
    client = broker.connect(client_id, **KEEP)
    got = wire.fence(client, publisher)
    assert [int(p.payload[:4]) for p in got] == list(range(len(got)))
    assert 8 <= len(got) <= 9


@pytest.mark.conf("max_queued_messages 0", "max_inflight_messages 0")
def test_no_queue_limit(broker):
    publisher, client_id = broker.connect(version=V31), broker.new_id()
    client = broker.connect(client_id, **KEEP)
    assert Prop.RECEIVE_MAXIMUM not in client.connack.props
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    publisher.send(*[packets.publish(broker.topic(), str(i), 1, i + 1, version=V31)
                     for i in range(3000)])
    for _ in range(3000):
        publisher.expect(Type.PUBACK)
    client = broker.connect(client_id, **KEEP)
    got = [client.expect_publish(acknowledge=False) for _ in range(3000)]
    assert wire.payloads(got) == numbers(0, 3000)


@pytest.mark.conf("upgrade_outgoing_qos true")
def test_upgrade_outgoing_qos(broker):
    client = broker.connect()
    client.subscribe(broker.topic(), qos=2)
    client.publish(broker.topic(), "x", 0)
    client.expect_publish(qos=2)
