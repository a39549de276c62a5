"""Clients that come, do a bit of everything and go at any moment, by hundreds: no process dies, no
counter stays behind, and who stays is served. ROUNDS sets how many (environment)."""

import os
import random
import time

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Type, Will

ROUNDS = int(os.environ.get("ROUNDS", "300"))


def script(dice, version, topic):
    """Packets of one short life after CONNECT."""
    packet_id = dice.randrange(1, 100)
    filters = [topic, topic + "/#", "$share/g/" + topic, topic + "/+"]
    yield packets.subscribe(packet_id, [(f, dice.randrange(3)) for f in
                                        dice.sample(filters, dice.randrange(1, 4))],
                            version=version)
    for _ in range(dice.randrange(6)):
        qos = dice.randrange(3)
        size = dice.choice([0, 10, 9000, 70000])
        yield packets.publish(f"{topic}/{dice.randrange(3)}" if dice.random() < 0.7 else topic,
                              bytes(size), qos, packet_id + 1 if qos else None,
                              dice.random() < 0.2, version=version)
        packet_id += 1
    if dice.random() < 0.5:
        yield packets.unsubscribe(packet_id + 1, dice.sample(filters, 2), version=version)
    if dice.random() < 0.3:
        yield packets.PINGREQ


def life(broker, dice, topic, ids):
    version = dice.choice([V31, V311, V5])
    client = broker.raw(version)
    will = Will(topic + "/0", b"will", dice.randrange(3)) if dice.random() < 0.5 else None
    props = {Prop.SESSION_EXPIRY: dice.choice([0, 1]), Prop.RECEIVE_MAXIMUM: dice.choice([1, 50])}
    hello = packets.connect(dice.choice(ids), version, dice.random() < 0.7, props=props, will=will)
    data = hello + b"".join(script(dice, version, topic))
    if dice.random() < 0.4:
        data += packets.disconnect()
    if dice.random() < 0.3:
        data = data[:dice.randrange(1, len(data))]
    if len(data) > len(hello) and dice.random() < 0.3:
        # As most clients do; so the broker's loop has found nothing to read before the end.
        client.send(hello)
        client.expect(Type.CONNACK)
        data = data[len(hello):]
    client.send(data)
    return client


def read_some(dice, client):
    """Reads, and acknowledges, a few packets of those that are there."""
    try:
        for _ in range(dice.randrange(8)):
            p = client.recv(timeout=0.02)
            if p.type == Type.PUBLISH and p.qos and dice.random() < 0.8:
                client.send(packets.ack(Type.PUBACK if p.qos == 1 else Type.PUBREC, p.packet_id))
            elif p.type == Type.PUBREL:
                client.send(packets.ack(Type.PUBCOMP, p.packet_id))
    except (wire.Closed, OSError):
        pass


@pytest.mark.fresh
@pytest.mark.conf("sys_interval 1", "max_queued_messages 20")
def test_churn(broker):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    topic, alive = broker.topic(), []
    ids = [broker.new_id(i % broker.workers) for i in range(20)]
    steady = [broker.connect(worker=w) for w in range(broker.workers)]
    for client in steady:
        client.subscribe(topic + "/steady", qos=1)
    for number in range(ROUNDS):
        alive.append(life(broker, dice, topic, ids))
        if dice.random() < 0.3:
            read_some(dice, dice.choice(alive))
        while len(alive) > 10 or (alive and dice.random() < 0.3):
            alive.pop(dice.randrange(len(alive))).cut()
        if number % 20 == 0:
            steady[0].publish(topic + "/steady", str(number), 1)
            for client in steady:
                client.expect_publish(topic + "/steady", str(number))
    for client in alive:
        client.cut()
    assert broker.process.trouble(broker.log_start) == []
    await_baseline(broker, ids, len(steady))


def await_baseline(broker, ids, steady):
    """O3: all of it is gone; sessions that were kept are taken up, and ended, first."""
    for client_id in ids:
        broker.connect(client_id).disconnect()
    wanted = {"clients/connected": steady + 1, "clients/total": steady + 1, "messages/stored": 0,
              "store/messages/bytes": 0, "subscriptions/count": steady + 1,
              "shared_subscriptions/count": 0}
    reader = broker.connect(version=V311)
    reader.subscribe("$SYS/broker/#")
    values, deadline = {}, time.monotonic() + 8
    while any(values.get(name) != value for name, value in wanted.items()):
        assert time.monotonic() < deadline, {name: values.get(name) for name in wanted}
        p = reader.expect_publish()
        name = p.topic[len("$SYS/broker/"):]
        if name in wanted:
            values[name] = int(p.payload)
