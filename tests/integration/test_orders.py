"""The orders that make routing right across processes, under clients that race: every message
reaches a subscriber live or as retained, never neither; after SUBACK every later PUBLISH is
routed; what one client saw acknowledged, every client sees.

Publisher and subscriber are driven from one thread that never waits between their packets, so
the race is in the broker. ROUNDS sets how often (environment)."""

import os
import random

import pytest

import packets
import wire
from packets import V5, V311, Type

ROUNDS = int(os.environ.get("ROUNDS", "300"))


@pytest.fixture
def dice():
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when the test fails
    return random.Random(seed)


def numbered(topic, start, end, qos, retain=True, version=V5):
    return b"".join(packets.publish(topic, str(i), qos, i % 60000 + 1 if qos else None, retain,
                                    version=version) for i in range(start, end))


def finish(publisher, count, qos):
    for _ in range(count if qos else 0):
        publisher.expect(Type.PUBACK)
    publisher.ping()


def check_round(got, count):
    """What a subscriber got of `count` retained messages, published while it subscribed."""
    stored = [int(p.payload) for p in got if p.retain]
    live = [int(p.payload) for p in got if not p.retain]
    story = [(int(p.payload), "retained" if p.retain else "live") for p in got]
    assert len(stored) <= 1, story
    assert live == list(range(live[0], count)) if live else stored == [count - 1], story
    # The stored one may be left out only when a newer one came live before.
    if live and live[0] > 0 and stored:
        assert stored[0] >= live[0] - 1, story
    assert story[-1][0] == count - 1, f"an old one came last: {story}"


class Round:
    """A topic of its own, and how to subscribe to it."""

    def __init__(self, broker, number, wildcard):
        self.topic = broker.topic(f"{number}/x")
        self.filter = broker.topic(f"{number}/+") if wildcard else self.topic


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("wildcard", [False, True], ids=["exact", "wildcard"])
@pytest.mark.parametrize("in_force", [False, True], ids=["new", "in-force"])
def test_live_or_retained_never_neither(broker, homes, dice, qos, wildcard, in_force):
    """`in_force`: another client of the subscriber's worker has the filter already."""
    publisher = broker.connect(worker=homes[0])
    subscriber, other = broker.connect(worker=homes[1]), broker.connect(worker=homes[1])
    for number in range(ROUNDS):
        this = Round(broker, number, wildcard)
        count = dice.randrange(2, 12)
        cut = dice.randrange(count + 1)
        if in_force:
            other.subscribe(this.filter, qos=qos)
        publisher.send(numbered(this.topic, 0, cut, qos))
        subscriber.send(packets.subscribe(1, [(this.filter, qos)]))
        publisher.send(numbered(this.topic, cut, count, qos))
        finish(publisher, count, qos)
        subscriber.await_packet(Type.SUBACK)
        check_round(wire.fence(subscriber, publisher), count)
        if in_force:
            assert [int(p.payload) for p in wire.fence(other, publisher)] == list(range(count))
            other.unsubscribe(this.filter)
        subscriber.unsubscribe(this.filter)
        publisher.publish(this.topic, "", qos, retain=True)


def test_after_suback_every_publish_is_routed(broker, homes, dice):
    """Not retained; the publisher's worker has the topic in its cache as one that nobody wants."""
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    for number in range(ROUNDS):
        this = Round(broker, number % 5, dice.random() < 0.5)
        publisher.send(numbered(this.topic, 0, 3, 0, False))
        subscriber.subscribe(this.filter)
        publisher.send(numbered(this.topic, 3, 6, 0, False))
        got = [int(p.payload) for p in wire.fence(subscriber, publisher)]
        assert got == list(range(got[0], 6)) and got[0] <= 3
        subscriber.unsubscribe(this.filter)


def test_after_unsuback_nothing_new(broker, homes, dice):
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    for number in range(ROUNDS):
        this = Round(broker, number % 5, dice.random() < 0.5)
        subscriber.subscribe(this.filter)
        cut = dice.randrange(1, 8)
        publisher.send(numbered(this.topic, 0, cut, 0, False))
        subscriber.send(packets.unsubscribe(2, [this.filter]))
        publisher.send(numbered(this.topic, cut, 8, 0, False))
        subscriber.await_packet(Type.UNSUBACK)
        before = [int(p.payload) for p in list(subscriber.stash)]
        publisher.send(numbered(this.topic, 8, 10, 0, False))
        got = [int(p.payload) for p in wire.fence(subscriber, publisher)]
        assert got == before == list(range(len(before)))


@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_acknowledged_all_clients_see(broker, qos):
    """A retained message, as soon as its publisher has the acknowledgement, on each worker, by
    filters that are new and by filters that are in force there."""
    publishers = [broker.connect(worker=w) for w in range(broker.workers)]
    readers = [broker.connect(worker=w) for w in range(broker.workers)]
    topic = broker.topic("x")
    for i in range(ROUNDS // 3):
        publishers[i % broker.workers].publish(topic, str(i), qos, retain=True)
        reader = readers[i // broker.workers % broker.workers]
        reader.subscribe(topic if i % 3 else broker.topic("+"))
        seen = {int(p.payload) for p in wire.fence(reader, *publishers)}
        assert i in seen, f"acknowledged {i}, got {seen}"


def test_order_of_each_publisher(broker, dice):
    """Many publishers on all workers, many subscribers: each sees each publisher's order."""
    topic, count = broker.topic(), min(ROUNDS, 1000)
    publishers = [broker.connect(version=V311, worker=i % broker.workers) for i in range(6)]
    subscribers = [broker.connect(worker=i % broker.workers) for i in range(4)]
    for publisher in publishers:
        publisher.unfinished = 0
    for subscriber in subscribers:
        subscriber.drained, subscriber.expected = [], {}
        subscriber.subscribe(topic + "/+", qos=dice.choice([0, 1]))
    sent = [0] * len(publishers)
    while min(sent) < count:
        who = dice.randrange(len(publishers))
        burst = min(dice.randrange(1, 10), count - sent[who])
        publishers[who].send(numbered(f"{topic}/{who}", sent[who], sent[who] + burst,
                                      who % 2, False, V311))
        sent[who] += burst
        publishers[who].unfinished += burst * (who % 2)
        if dice.random() < 0.3:
            drain(publishers, subscribers)
    for publisher in publishers:
        take_acknowledgements(publisher)
    for subscriber in subscribers:
        for p in subscriber.drained + wire.fence(subscriber, *publishers, qos=1):
            who, number = int(p.topic.rpartition("/")[2]), int(p.payload)
            assert number == subscriber.expected.setdefault(who, 0), p
            subscriber.expected[who] += 1
        assert subscriber.expected == {who: count for who in range(len(publishers))}


def take_acknowledgements(publisher):
    """All that are still to come."""
    while publisher.unfinished:
        publisher.expect(Type.PUBACK)
        publisher.unfinished -= 1


def drain(publishers, subscribers):
    """Takes what is there, so that nobody's window or buffer runs full."""
    for publisher in publishers:
        take_acknowledgements(publisher)
    for subscriber in subscribers:
        subscriber.drained += wire.fence(subscriber, *publishers, qos=1)
