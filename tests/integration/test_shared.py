"""Shared subscriptions: how messages spread over the members, on one worker and on several."""

import collections

import pytest

import packets
import wire
from packets import Prop


def members_of(broker, count, text, **how):
    """Members spread over the workers."""
    members = [broker.connect(worker=i % broker.workers, **how) for i in range(count)]
    for member in members:
        member.subscribe(text, qos=2)
    return members


def collect(members, publisher):
    return [wire.fence(member, publisher) for member in members]


@pytest.mark.spec("MQTT-4.8.2-1", "MQTT-4.8.2-4")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member(broker, qos):
    topic = broker.topic()
    members = members_of(broker, 4, f"$share/g/{topic}/#")
    publisher = broker.connect()
    for i in range(40):
        publisher.publish(f"{topic}/{i}", str(i), qos)
    got = collect(members, publisher)
    assert sorted(int(p.payload) for part in got for p in part) == list(range(40))
    assert all(part for part in got), "some members got nothing at all"
    assert all(p.qos == qos for part in got for p in part)


def test_member_that_leaves_gets_nothing_more(broker):
    """Neither by UNSUBSCRIBE nor by its end does a message go astray."""
    topic, publisher = broker.topic(), broker.connect()
    text = f"$share/g/{topic}"
    members = members_of(broker, 5, text)
    members[1].unsubscribe(text)
    members[2].disconnect()
    rest = [members[0], members[3], members[4]]
    wire.expect_nothing(members[1], publisher)
    broker.process.settle()
    for i in range(30):
        publisher.publish(topic, str(i), 1)
    got = collect(rest, publisher)
    assert sorted(int(p.payload) for part in got for p in part) == list(range(30))
    wire.expect_nothing(members[1], publisher)


def test_online_members_come_first(broker):
    topic, publisher = broker.topic(), broker.connect()
    text = f"$share/g/{topic}"
    asleep_id = broker.new_id()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    asleep = broker.connect(asleep_id, **how)
    asleep.subscribe(text, qos=1)
    awake = broker.connect(worker=broker.workers - 1)
    awake.subscribe(text, qos=1)
    asleep.disconnect()
    broker.process.settle()
    for i in range(10):
        publisher.publish(topic, str(i), 1)
    assert len(wire.fence(awake, publisher)) == 10
    awake.disconnect()
    broker.process.settle()
    publisher.publish(topic, "queued", 1)
    broker.connect(asleep_id, **how).expect_publish(topic, "queued")


def test_member_with_full_window_is_passed_over(broker):
    topic, publisher = broker.topic(), broker.connect()
    narrow = broker.connect(props={Prop.RECEIVE_MAXIMUM: 1})
    wide = broker.connect()
    for member in (narrow, wide):
        member.subscribe(f"$share/g/{topic}", qos=1)
    for i in range(20):
        publisher.publish(topic, str(i), 1)
    open_one = narrow.expect_publish(topic, acknowledge=False)
    assert len(wire.fence(wide, publisher)) == 19
    narrow.acknowledge(open_one)


def test_fair_shares(broker):
    """Members in turn; across workers at least about evenly."""
    topic, publisher = broker.topic(), broker.connect()
    members = members_of(broker, 4, f"$share/g/{topic}")
    for i in range(200):
        publisher.publish(topic, str(i))
    counts = [len(part) for part in collect(members, publisher)]
    assert sum(counts) == 200 and min(counts) >= 30, counts


def test_one_topic_and_many_groups(broker):
    topic, publisher = broker.topic(), broker.connect()
    client = broker.connect(worker=broker.workers - 1)
    client.subscribe(*[f"$share/g{i}/{topic}" for i in range(20)])
    publisher.publish(topic, "x")
    got = wire.fence(client, publisher)
    assert collections.Counter(p.payload for p in got) == {b"x": 20}


def test_full_rings_while_members_come_and_go(broker):
    """Large messages: nothing is lost, and nothing gets stuck."""
    topic, text = broker.topic(), f"$share/g/{broker.topic()}"
    publishers = [broker.connect(worker=i % broker.workers) for i in range(3)]
    anchor = broker.connect(worker=0)
    anchor.subscribe(text, qos=1)
    acknowledged = set()
    for i in range(12):
        member = broker.connect(worker=i % broker.workers)
        member.subscribe(text, qos=1)
        for j in range(10):
            for publisher in publishers:
                number = b"%d %d %d" % (publishers.index(publisher), i, j)
                publisher.send_publish(topic, number.ljust(60000), 1)
        p = member.expect_publish(topic)
        acknowledged.add(p.payload.strip())
        member.expect_publish(topic, acknowledge=False)
        for publisher in publishers:
            for _ in range(10):
                publisher.await_packet(packets.Type.PUBACK)
        member.cut()
    while len(acknowledged) < 12 * 10 * len(publishers):
        acknowledged.add(anchor.expect_publish(topic).payload.strip())
