"""The order of messages and of acknowledgements."""

import pytest

import packets
import wire
from flows import KEEP, cut_after_all, finish_publishes, numbers, publish_numbers, take
from packets import Type

COUNT = 1000
QOS = [0, 1, 2]
BATCH = 20  # Receive Maximum, both ways


def publish_stream(publisher, topics, start, end, qos):
    """Numbered messages, a window at a time, on each topic in turn."""
    for first in range(start, end, BATCH):
        batch = range(first, min(first + BATCH, end))
        publisher.send(*[
            packets.publish(topics[i % len(topics)], b"%d" % i, qos, i % BATCH + 1 if qos else None,
                            version=publisher.version) for i in batch])
        finish_publishes(publisher, qos, [i % BATCH + 1 for i in batch])


def by_publisher(received):
    """Numbers in the order of their arrival, by the publisher's part of the topic."""
    streams = {}
    for p in received:
        streams.setdefault(p.topic.split("/")[1], []).append(int(p.payload))
    return streams


@pytest.mark.parametrize("qos", QOS)
def mqtt5_4_6_0_5_each_publishers_order_is_kept(broker, version, qos):
    """Several topics and wildcards, publishers and subscribers on all workers."""
    # covers: MQTT-4.6.0-6, v3 MQTT-4.6.0-5, v3 MQTT-4.6.0-6
    publishers = [broker.connect(version=version) for _ in range(3)]
    subscribers = [broker.connect(version=version) for _ in range(2)]
    subscribers[0].subscribe(broker.topic("#"), qos=qos)
    subscribers[1].subscribe(broker.topic("+/+/t"), qos=qos)
    received = [[], []]
    for start in range(0, COUNT, 200):
        for i, publisher in enumerate(publishers):
            topics = [broker.topic(f"{i}/{level}/t") for level in range(5)]
            publish_stream(publisher, topics, start, start + 200, qos)
        for subscriber, got in zip(subscribers, received):
            got += subscriber.receive(600)
    for got in received:
        assert by_publisher(got) == {str(i): list(range(COUNT)) for i in range(3)}
        assert all(p.qos == qos and not p.dup for p in got)


@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_4_6_0_5_order_of_the_offline_queue(broker, version, qos):
    # covers: v3 MQTT-4.6.0-6, MQTT-4.5.0-1, v3 MQTT-4.5.0-1
    publishers = [broker.connect(version=version) for _ in range(3)]
    client = broker.connect(broker.new_id(), version, **KEEP)
    client.subscribe(broker.topic("#"), qos=qos)
    cut_after_all(client)
    for start in range(0, 300, 100):
        for i, publisher in enumerate(publishers):
            publish_stream(publisher, [broker.topic(f"{i}/t")], start, start + 100, qos)
    client = broker.connect(client.client_id, version, **KEEP)
    got = client.receive(450)
    cut_after_all(client)  # in the middle
    client = broker.connect(client.client_id, version, **KEEP)
    got += client.receive(450)
    assert by_publisher(got) == {str(i): list(range(300)) for i in range(3)}
    assert all(p.qos == qos for p in got)
    wire.expect_nothing(client, *publishers)


@pytest.mark.parametrize("qos", QOS)
def mqtt5_4_6_0_6_order_over_live_and_offline(broker, homes, qos):
    """Messages to a client that comes and goes; at QoS 0 those that it gets."""
    publisher, topic = broker.connect(worker=homes[0]), broker.topic()
    beside = broker.connect(worker=homes[1])  # tells how far the client's worker is
    client = broker.connect(broker.new_id(homes[1]), **KEEP)
    for one in (beside, client):
        one.subscribe(topic, qos=qos)
    received = []
    for start in range(0, 200, 20):
        publish_numbers(publisher, topic, start, start + 5, qos)
        if qos == 0:
            received += wire.fence(client, publisher)
        else:
            received += client.receive(len(numbers(0, start + 5)) - len(received))
        cut_after_all(client)
        publish_numbers(publisher, topic, start + 5, start + 20, qos)
        wire.fence(beside, publisher, qos=qos)
        client = broker.connect(client.client_id, **KEEP)
    received += wire.fence(client, publisher, qos=qos)
    got = [int(p.payload) for p in received]
    assert got == [i for i in range(200) if qos or i % 20 < 5]


# -- repeats and acknowledgements --

@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_4_6_0_1_repeats_keep_the_order(broker, version, qos):
    # covers: v3 MQTT-4.6.0-1, v3 MQTT-4.6.0-6, MQTT-4.4.0-1, v3 MQTT-4.4.0-1
    publisher, topic = broker.connect(), broker.topic()
    client = broker.connect(broker.new_id(), version, **KEEP)
    client.subscribe(topic, qos=qos)
    publish_numbers(publisher, topic, 0, 40, qos)
    before = take(client, BATCH)
    for at in (10, 0, 5):  # so that ids are not in the order of messages
        client.acknowledge(before[at])
    before = [p for i, p in enumerate(before) if i not in (0, 5, 10)] + take(client, 3)
    for _ in range(2):
        cut_after_all(client)
        client = broker.connect(client.client_id, version, **KEEP)
        again = take(client, BATCH)
        assert [(p.payload, p.packet_id, p.dup) for p in again] == \
            [(p.payload, p.packet_id, True) for p in before]
    for p in again:
        client.acknowledge(p)
    assert wire.payloads(client.receive(17)) == numbers(23, 40)


def mqtt5_4_6_0_2_acknowledgements_follow_the_publishes(broker, homes, version):
    """Also when only some messages have to cross to another worker."""
    # covers: MQTT-4.6.0-3, v3 MQTT-4.6.0-2, v3 MQTT-4.6.0-3
    publisher = broker.connect(version=version, worker=homes[0])
    subscriber = broker.connect(worker=homes[1])
    subscriber.subscribe(broker.topic("far"), qos=0)
    ids = [17, 3, 65535, 1, 20, 9, 2, 300, 5, 4]
    for qos, kind in [(1, Type.PUBACK), (2, Type.PUBREC)]:
        for _ in range(20):
            publisher.send(*[
                packets.publish(broker.topic("far" if i % 3 == 0 else "nobody"), b"x", qos,
                                packet_id, version=version) for i, packet_id in enumerate(ids)])
            assert [publisher.expect(kind).packet_id for _ in ids] == ids
            if qos == 2:
                publisher.send(*[packets.ack(Type.PUBREL, packet_id) for packet_id in ids])
                assert [publisher.expect(Type.PUBCOMP).packet_id for _ in ids] == ids
            subscriber.receive(4)


def mqtt5_4_6_0_4_pubrels_follow_the_pubrecs(broker, version):
    """Also when they are sent again."""
    # covers: v3 MQTT-4.6.0-4
    publisher, topic = broker.connect(), broker.topic()
    client = broker.connect(broker.new_id(), version, **KEEP)
    client.subscribe(topic, qos=2)
    publish_numbers(publisher, topic, 0, 8, 2)
    got = take(client, 8)
    order = [got[i].packet_id for i in (4, 1, 7, 0, 2, 6, 3, 5)]
    client.send(*[packets.ack(Type.PUBREC, packet_id) for packet_id in order])
    assert [client.expect(Type.PUBREL).packet_id for _ in order] == order
    cut_after_all(client)
    client = broker.connect(client.client_id, version, **KEEP)
    assert [client.expect(Type.PUBREL).packet_id for _ in order] == order
    client.send(*[packets.ack(Type.PUBCOMP, packet_id) for packet_id in order])
    wire.expect_nothing(client, publisher)
