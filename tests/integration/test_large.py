"""Large messages: whole, in order and unaltered, also in fragments between workers."""

import random
import threading

import pytest

import packets
import wire
from packets import V311, Prop, Type

MIB = 1 << 20


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


def publish_aside(publisher, topic, payload, qos):
    """While the main thread reads."""
    thread = threading.Thread(target=publisher.publish, args=(topic, payload, qos), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [100000, MIB, 2 * MIB + 1])
def test_megabytes(broker, homes, qos, size):
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    subscriber.subscribe(broker.topic(), qos=qos)
    payload = content(size)
    thread = publish_aside(publisher, broker.topic(), payload, qos)
    assert subscriber.expect_publish(broker.topic(), qos=qos).payload == payload
    thread.join()


@pytest.mark.parametrize("qos", [0, 1])
def test_large_message_and_small_ones_keep_order(broker, homes, qos):
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    topic = broker.topic()
    subscriber.subscribe(topic, qos=qos)
    sizes = [10, 3 * MIB, 0, 50000, MIB, 1]
    data = [packets.publish(topic, bytes([i]) * size, qos, i + 1 if qos else None)
            for i, size in enumerate(sizes)]
    thread = threading.Thread(target=publisher.send, args=data, daemon=True)
    thread.start()
    for i, size in enumerate(sizes):
        assert subscriber.expect_publish(topic).payload == bytes([i]) * size
    thread.join()


def test_large_to_many(broker, homes):
    """One body for all; to each version, and to the publisher itself."""
    publisher = broker.connect(worker=homes[0])
    topic, payload = broker.topic(), content(MIB)
    others = [broker.connect(version=v, worker=homes[1]) for v in packets.VERSIONS]
    for client in [publisher, *others]:
        client.subscribe(topic, qos=1)
    publisher.publish(topic, payload, 1)
    for client in [publisher, *others]:
        assert client.expect_publish(topic).payload == payload


def test_large_retained(broker, homes):
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    topic, payload = broker.topic(), content(3 * MIB)
    publisher.publish(topic, payload, 1, retain=True)
    subscriber.subscribe(topic, qos=1)
    assert subscriber.expect_publish(topic, retain=True).payload == payload
    publisher.publish(topic, "", 1, retain=True)


def test_large_offline(broker, homes):
    publisher, client_id = broker.connect(worker=homes[0]), broker.new_id(homes[1])
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    client = broker.connect(client_id, **how)
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    payloads = [content(MIB, seed) for seed in range(5)]
    for payload in payloads:
        publisher.publish(broker.topic(), payload, 1)
    client = broker.connect(client_id, **how)
    assert wire.payloads(client.receive(5)) == payloads


def test_large_properties(broker, homes):
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    subscriber.subscribe(broker.topic(), qos=1)
    users = [(f"key {i}", "v" * 1000) for i in range(500)]
    publisher.publish(broker.topic(), "x", 1, props={Prop.USER_PROPERTY: users})
    assert subscriber.expect_publish(payload="x").props[Prop.USER_PROPERTY] == users


def test_publisher_dies_in_a_large_message(broker, homes):
    """Half a message is no message."""
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    subscriber.subscribe(broker.topic())
    data = packets.publish(broker.topic(), content(3 * MIB))
    publisher.send(data[:2 * MIB])
    publisher.cut()
    other = broker.connect(worker=homes[0])
    other.publish(broker.topic(), "after")
    subscriber.expect_publish(broker.topic(), "after")


@pytest.mark.conf("max_packet_size 0")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_twenty_mebibytes(broker, homes, qos):
    """Much more than a ring, or max_output_buffer, holds: an idle client gets it all the same."""
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(version=V311, worker=homes[1])
    subscriber.subscribe(broker.topic(), qos=qos)
    payload = content(20 * MIB)
    thread = publish_aside(publisher, broker.topic(), payload, qos)
    assert subscriber.expect_publish(broker.topic(), qos=qos).payload == payload
    thread.join()


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.conf("max_packet_size 0", "ring_size 1M")
def test_two_hundred_mebibytes(broker, homes):
    publisher = broker.connect(worker=homes[0], version=V311)
    subscriber = broker.connect(worker=homes[1], version=V311)
    publisher.timeout = subscriber.timeout = 60
    subscriber.subscribe(broker.topic(), qos=1)
    block = content(MIB)
    publisher.send(packets.publish(broker.topic(), block * 200, 1, 1, version=V311))
    got = subscriber.expect_publish(broker.topic()).payload
    assert len(got) == 200 * MIB and all(got[i * MIB:(i + 1) * MIB] == block for i in range(200))
    publisher.expect(Type.PUBACK)
