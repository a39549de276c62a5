"""Shared subscriptions, with the members on one worker and on several."""

import collections

import pytest

import wire
from packets import V311, Prop, Reason


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


def test_groups_and_plain_subscriptions_are_independent(broker):
    """EDGE-078"""
    topic, publisher = broker.topic(), broker.connect()
    one = members_of(broker, 2, f"$share/one/{topic}")
    two = members_of(broker, 2, f"$share/two/{topic}")
    plain = broker.connect(worker=broker.workers - 1)
    plain.subscribe(topic)
    both = broker.connect()
    both.subscribe(topic, f"$share/three/{topic}")
    for i in range(10):
        publisher.publish(topic, str(i))
    counts = [sum(map(len, collect(group, publisher))) for group in (one, two, [plain], [both])]
    assert counts == [10, 10, 10, 20]


@pytest.mark.spec("MQTT-4.8.2-3")
def test_lower_qos_of_publication_and_members_grant(broker):
    """EDGE-073"""
    topic, publisher = broker.topic(), broker.connect()
    members = [broker.connect(worker=i % broker.workers) for i in range(3)]
    for qos, member in enumerate(members):
        member.subscribe(f"$share/g/{topic}", qos=qos)
    for i in range(12):
        publisher.publish(topic, str(i), 2)
    got = collect(members, publisher)
    assert sum(map(len, got)) == 12
    for granted, part in enumerate(got):
        assert all(p.qos == granted for p in part)


def test_member_that_subscribes_again_has_one_place(broker):
    """EDGE-079"""
    topic, publisher = broker.topic(), broker.connect()
    member = broker.connect(worker=broker.workers - 1)
    text = f"$share/g/{topic}"
    member.subscribe(text)
    member.subscribe(text, qos=1, props={Prop.SUBSCRIPTION_ID: 9})
    publisher.publish(topic, "x", 1)
    (p,) = wire.fence(member, publisher)
    assert (p.qos, p.subscription_ids) == (1, [9])
    member.unsubscribe(topic, codes=[Reason.NO_SUBSCRIPTION])
    publisher.publish(topic, "y", 1)
    member.expect_publish(topic, "y")
    member.unsubscribe(text)
    publisher.publish(topic, "z", 1)
    wire.expect_nothing(member, publisher)


@pytest.mark.spec("MQTT-3.3.1-9")
@pytest.mark.parametrize("handling", [0, 1, 2])
def test_no_retained_messages(broker, handling):
    """EDGE-077"""
    topic, publisher = broker.topic(), broker.connect()
    publisher.publish(topic, "stored", 1, retain=True)
    member = broker.connect(worker=broker.workers - 1)
    member.subscribe(f"$share/g/{topic}", retain_handling=handling)
    wire.expect_nothing(member, publisher)
    publisher.publish(topic, "", 1, retain=True)


def test_empty_level_after_the_group(broker):
    """EDGE-080"""
    member = broker.connect()
    topic = "/" + broker.topic()
    member.subscribe(f"$share/g/{topic}")
    member.publish(topic, "x")
    member.expect_publish(topic, "x")


def test_members_before_5(broker):
    """EDGE-082: an extension."""
    topic, publisher = broker.topic(), broker.connect()
    members = members_of(broker, 2, f"$share/g/{topic}", version=V311)
    for i in range(10):
        publisher.publish(topic, str(i))
    assert sum(map(len, collect(members, publisher))) == 10


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


def test_open_message_is_repeated_to_its_member(broker):
    """EDGE-074, EDGE-075"""
    topic, publisher = broker.topic(), broker.connect()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    client_id = broker.new_id(broker.workers - 1)
    member = broker.connect(client_id, **how)
    member.subscribe(f"$share/g/{topic}", qos=2)
    publisher.publish(topic, "x", 2)
    p = member.expect_publish(topic, acknowledge=False)
    member.cut()
    other = broker.connect()
    other.subscribe(f"$share/g/{topic}", qos=2)
    member = broker.connect(client_id, **how)
    member.expect_publish(topic, "x", dup=True, packet_id=p.packet_id)
    wire.expect_nothing(other, publisher)


def test_fair_shares(broker):
    """Members in turn; across workers at least about evenly."""
    topic, publisher = broker.topic(), broker.connect()
    members = members_of(broker, 4, f"$share/g/{topic}")
    for i in range(200):
        publisher.publish(topic, str(i))
    counts = [len(part) for part in collect(members, publisher)]
    assert sum(counts) == 200 and min(counts) >= 30, counts


def test_message_too_large_for_a_member(broker):
    """EDGE-081: never sent oversized, and the group goes on."""
    topic, publisher = broker.topic(), broker.connect()
    small = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: 200})
    small.subscribe(f"$share/g/{topic}", qos=1)
    publisher.publish(topic, bytes(1000), 1)
    publisher.publish(topic, "fits", 1)
    got = wire.fence(small, publisher)
    assert wire.payloads(got) == [b"fits"]


def test_one_topic_and_many_groups(broker):
    topic, publisher = broker.topic(), broker.connect()
    client = broker.connect(worker=broker.workers - 1)
    client.subscribe(*[f"$share/g{i}/{topic}" for i in range(20)])
    publisher.publish(topic, "x")
    got = wire.fence(client, publisher)
    assert collections.Counter(p.payload for p in got) == {b"x": 20}
