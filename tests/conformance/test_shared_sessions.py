"""Shared subscriptions: who of a group gets a message, and what becomes of it when that member
goes. The two homes of a test are those of the two members."""

import pytest

import packets
import wire
from flows import KEEP, cut_after_all, keep, numbers, publish_numbers, take
from packets import V31, V311, Prop, Reason, Type

QOS = pytest.mark.parametrize("qos", [0, 1, 2])
REFUSED = [Reason.UNSPECIFIED, 0x83, 0x97]


def group_of(broker, rest=""):
    return f"$share/g/{broker.topic(rest)}"


def join(broker, worker, qos=2, text=None, **how):
    """A new member of the group."""
    member = broker.connect(worker=worker, **how)
    member.subscribe(text or group_of(broker), qos=qos)
    return member


def join_to_stay(broker, worker, qos=2, text=None, **props):
    return join(broker, worker, qos, text, **keep(**props))


def come_back(broker, member, **how):
    return broker.connect(member.client_id, **{**KEEP, **how})


# -- ways for a session to end --

def by_disconnect(_broker, member):
    member.disconnect(0, {Prop.SESSION_EXPIRY: 0})


def by_clean_start(broker, member):
    cut_after_all(member)
    broker.connect(member.client_id)


def by_takeover(broker, member):
    broker.connect(member.client_id)


ENDING = pytest.mark.parametrize("end", [by_disconnect, by_clean_start, by_takeover])


# -- the filter --

@pytest.mark.parametrize("text", [
    "$share//t", "$share/g", "$share/g/", "$share/+/t", "$share/g#/t", "$share/#", "$share/g+/t"])
def mqtt5_4_8_2_1_group_and_filter_of_a_shared_subscription(broker, text):
    # covers: MQTT-4.8.2-2
    client = broker.connect()
    client.subscribe(text, codes=[Reason.FILTER_INVALID])
    client.subscribe("$share/g/t")
    client.publish("t", "x")
    client.expect_publish("t", "x")
    client.unsubscribe("$share/g/t")
    client.publish("t", "y")
    wire.expect_nothing(client, client)


def edge_080_dollar_topics_and_empty_levels(broker, homes):
    publisher = broker.connect()
    everything = join(broker, homes[0], text="$share/g/#")
    dollar = join(broker, homes[1], text=f"$share/g/${broker.topic()}/#")
    dollar.subscribe("$share/g/$SYS/#")
    empty = join(broker, homes[1], text=f"$share/g//{broker.topic()}")
    publisher.publish(f"${broker.topic()}/a", "x", 1)
    publisher.publish(f"/{broker.topic()}", "y", 1)
    dollar.expect_publish(f"${broker.topic()}/a", "x")
    empty.expect_publish(f"/{broker.topic()}", "y")
    assert wire.payloads(wire.fence(everything, publisher)) == [b"y"]


@pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
def edge_082_members_before_5(broker, homes, version):
    """Served as shared: an extension."""
    publisher = broker.connect(version=version)
    members = [join(broker, home, version=version) for home in homes]
    publish_numbers(publisher, broker.topic(), 0, 10)
    got = [wire.fence(member, publisher) for member in members]
    assert sorted(p.payload for part in got for p in part) == numbers(0, 10)


# -- who gets it --

def mqtt5_4_8_2_3_lower_qos_of_publication_and_members_grant(broker, homes):
    # covers: EDGE-073
    publisher = broker.connect()
    members = [join(broker, homes[qos % 2], qos) for qos in range(3)]
    for published in (2, 1, 0):
        publish_numbers(publisher, broker.topic(), 0, 12, published)
        got = [wire.fence(member, publisher) for member in members]
        assert sorted(p.payload for part in got for p in part) == sorted(numbers(0, 12))
        for granted, part in enumerate(got):
            assert part and all(p.qos == min(granted, published) for p in part)


@pytest.mark.parametrize("handling", [0, 1, 2])
def edge_077_no_retained_messages(broker, homes, handling):
    # covers: MQTT-3.3.1-9
    publisher = broker.connect(worker=homes[0])
    publisher.publish(broker.topic(), "stored", 1, retain=True)
    member = broker.connect(worker=homes[1])
    for _ in range(2):
        member.subscribe(group_of(broker), retain_handling=handling)
    wire.expect_nothing(member, publisher)
    publisher.publish(broker.topic(), "", 1, retain=True)


def edge_078_each_group_and_each_plain_subscription_for_itself(broker, homes):
    topic, publisher = broker.topic(), broker.connect()
    one = [join(broker, home, text=f"$share/one/{topic}") for home in homes]
    two = [join(broker, home, text=f"$share/two/{topic}") for home in homes]
    plain = join(broker, homes[1], text=topic)
    both = join(broker, homes[0], text=topic)
    both.subscribe(f"$share/three/{topic}", f"$share/four/{topic}")
    publish_numbers(publisher, topic, 0, 10)
    for clients, copies in ((one, 1), (two, 1), ([plain], 1), ([both], 3)):
        got = [p.payload for client in clients for p in wire.fence(client, publisher)]
        assert sorted(got) == sorted(numbers(0, 10) * copies)


def edge_079_one_place_in_the_group(broker, homes):
    topic, publisher = broker.topic(), broker.connect(worker=homes[0])
    member = join(broker, homes[1])
    member.subscribe(group_of(broker), qos=1, props={Prop.SUBSCRIPTION_ID: 9})
    publisher.publish(topic, "x", 2)
    (p,) = wire.fence(member, publisher)
    assert (p.qos, p.subscription_ids) == (1, [9])
    member.unsubscribe(topic, codes=[Reason.NO_SUBSCRIPTION])
    publisher.publish(topic, "y", 1)
    member.expect_publish(topic, "y")
    member.unsubscribe(group_of(broker))
    publisher.publish(topic, "z", 1)
    wire.expect_nothing(member, publisher)
    member.unsubscribe(group_of(broker), codes=[Reason.NO_SUBSCRIPTION])


@QOS
def edge_081_too_large_for_one_member(broker, homes, qos):
    """Goes to one that takes it, and the group goes on."""
    topic, publisher = broker.topic(), broker.connect()
    small = join(broker, homes[0], props={Prop.MAXIMUM_PACKET_SIZE: 200})
    large = join(broker, homes[1])
    for i in range(6):
        publisher.publish(topic, bytes([i]) * 1000, qos)
    publish_numbers(publisher, topic, 0, 6, qos)
    got_small, got_large = wire.fence(small, publisher), wire.fence(large, publisher)
    assert {p.payload[0] for p in got_large if len(p.payload) == 1000} == set(range(6))
    assert got_small and all(len(p.payload) < 1000 for p in got_small)
    assert len(got_small) + len(got_large) == 12


@QOS
def edge_081_too_large_for_all_members(broker, homes, qos):
    topic, publisher = broker.topic(), broker.connect()
    members = [join(broker, home, props={Prop.MAXIMUM_PACKET_SIZE: 200}) for home in homes]
    publisher.publish(topic, bytes(1000), qos)
    publisher.publish(topic, "fits", qos)
    got = [p.payload for member in members for p in wire.fence(member, publisher)]
    assert got == [b"fits"]


def edge_081_too_large_for_who_is_online(broker, homes):
    """Waits for a member that is offline."""
    topic, publisher = broker.topic(), broker.connect()
    asleep = join_to_stay(broker, homes[0])
    small = join(broker, homes[1], props={Prop.MAXIMUM_PACKET_SIZE: 200})
    asleep.disconnect()
    publisher.publish(topic, bytes(1000), 1)
    publisher.publish(topic, "fits", 1)
    small.expect_publish(topic, "fits")
    come_back(broker, asleep).expect_publish(topic, bytes(1000))


@pytest.mark.conf("max_queued_messages 5")
def edge_076_full_queues_are_passed_over(broker, homes):
    topic, publisher = broker.topic(), broker.connect()
    members = [join_to_stay(broker, home) for home in homes]
    for member in members:
        member.disconnect()
    publish_numbers(publisher, topic, 0, 10)
    got = [p.payload for member in members for p in come_back(broker, member).receive(5)]
    assert sorted(got) == numbers(0, 10)


@ENDING
@pytest.mark.conf("max_queued_messages 10")
def edge_076_full_queues_are_passed_over_by_what_a_session_leaves(broker, homes, end):
    """Also when the member with room is on the worker that the session was on."""
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0], RECEIVE_MAXIMUM=1)
    publish_numbers(publisher, topic, 0, 10)
    take(gone, 1)
    full = join_to_stay(broker, homes[1])
    full.subscribe(broker.topic("own"), qos=1)
    cut_after_all(full)
    publish_numbers(publisher, broker.topic("own"), 0, 10)
    roomy = join_to_stay(broker, homes[0])
    cut_after_all(roomy)
    end(broker, gone)
    assert sorted(p.payload for p in come_back(broker, roomy).receive(10)) == numbers(0, 10)


# -- what a member had when it goes --

@ENDING
def edge_074_unacknowledged_qos1_goes_to_another_member_when_the_session_ends(broker, homes, end):
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0])
    publish_numbers(publisher, topic, 0, 10)
    for p in take(gone, 10)[:3]:
        gone.acknowledge(p)
    other = join(broker, homes[1], qos=1)
    other.subscribe(group_of(broker), qos=1, props={Prop.SUBSCRIPTION_ID: 7})
    end(broker, gone)
    for payload in numbers(3, 10):
        p = other.expect_publish(topic, payload, qos=1, dup=False, retain=False)
        assert p.subscription_ids == [7]
    wire.expect_nothing(other, publisher)


@pytest.mark.clock
def edge_074_the_session_expires(broker, homes):
    # covers: EDGE-076
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0], SESSION_EXPIRY=1)
    publisher.publish(topic, "sent", 1)
    take(gone, 1)
    cut_after_all(gone)
    publisher.publish(topic, "queued", 1)
    other = join(broker, homes[1])
    publisher.publish(topic, "new", 1)
    other.expect_publish(topic, "new")
    other.expect_publish(topic, "sent", dup=False)
    other.expect_publish(topic, "queued")


@pytest.mark.parametrize("granted", [0, 1, 2])
def edge_074_at_the_qos_of_the_other_member(broker, homes, granted):
    """What counts is the QoS that it was published with."""
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0], qos=1)
    publisher.publish(topic, "x", 2)
    take(gone, 1)
    other = join(broker, homes[1], qos=granted)
    by_disconnect(broker, gone)
    other.expect_publish(topic, "x", qos=granted, dup=False)


def edge_074_unacknowledged_qos1_is_repeated_to_a_member_that_returns(broker, homes):
    topic, publisher = broker.topic(), broker.connect()
    member = join_to_stay(broker, homes[0])
    publisher.publish(topic, "x", 1)
    (p,) = take(member, 1)
    cut_after_all(member)
    other = join(broker, homes[1])
    publisher.publish(topic, "new", 1)
    other.expect_publish(topic, "new")
    member = come_back(broker, member)
    member.expect_publish(topic, "x", dup=True, packet_id=p.packet_id)
    wire.expect_nothing(other, publisher)


def edge_074_several_groups_and_a_plain_subscription(broker, homes):
    """Each copy goes to the group that it came through; that of the plain one to nobody."""
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0], text=topic)
    gone.subscribe(*[f"$share/{name}/{topic}" for name in "ab"], qos=1)
    publisher.publish(topic, "x", 1)
    take(gone, 3)
    others = [join(broker, homes[1], text=f"$share/{name}/{topic}") for name in "ab"]
    by_disconnect(broker, gone)
    for other in others:
        other.expect_publish(topic, "x")
        wire.expect_nothing(other, publisher)


def edge_074_nothing_is_lost_while_members_come_and_go(broker, homes):
    topic, publisher = broker.topic(), broker.connect()
    anchor = join(broker, homes[0], qos=1, props={Prop.RECEIVE_MAXIMUM: 100})
    acknowledged = []
    for i in range(15):
        member = join(broker, homes[i % 2], qos=1)
        for payload in numbers(i * 10, i * 10 + 10):
            publisher.send_publish(topic, payload, 1)
        for p in take(member, 3)[:i % 3]:
            member.acknowledge(p)
            acknowledged.append(p.payload)
        for _ in range(10):
            publisher.expect(Type.PUBACK)
        member.disconnect()
    while len(acknowledged) < 150:
        acknowledged.append(anchor.expect_publish(topic).payload)
    assert sorted(acknowledged) == sorted(numbers(0, 150))


def mqtt5_4_8_2_4_qos2_is_finished_with_its_member(broker, homes):
    # covers: EDGE-075
    topic, publisher = broker.topic(), broker.connect()
    member = join_to_stay(broker, homes[0])
    publish_numbers(publisher, topic, 0, 2, qos=2)
    first, second = take(member, 2)
    member.send(packets.ack(Type.PUBREC, first.packet_id))
    member.expect(Type.PUBREL, packet_id=first.packet_id)
    cut_after_all(member)
    other = join(broker, homes[1])
    member = come_back(broker, member)
    member.expect(Type.PUBREL, packet_id=first.packet_id)
    member.send(packets.ack(Type.PUBCOMP, first.packet_id))
    member.expect_publish(topic, "1", qos=2, dup=True, packet_id=second.packet_id)
    wire.expect_nothing(other, publisher)


@ENDING
def mqtt5_4_8_2_5_begun_qos2_ends_with_its_session(broker, homes, end):
    # covers: EDGE-075
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0])
    publish_numbers(publisher, topic, 0, 2, qos=2)
    publisher.publish(topic, "last", 1)
    first = take(gone, 3)[0]
    gone.send(packets.ack(Type.PUBREC, first.packet_id))
    gone.expect(Type.PUBREL, packet_id=first.packet_id)
    other = join(broker, homes[1])
    end(broker, gone)
    other.expect_publish(topic, "last", qos=1)  # the two would have come before
    wire.expect_nothing(other, publisher)


@pytest.mark.parametrize("reason", REFUSED)
@pytest.mark.parametrize("qos, kind", [(1, Type.PUBACK), (2, Type.PUBREC)])
def mqtt5_4_8_2_6_refused_by_a_member_and_gone_for_the_group(broker, homes, qos, kind, reason):
    topic, publisher = broker.topic(), broker.connect()
    member = join_to_stay(broker, homes[0])
    publisher.publish(topic, "x", qos)
    publisher.publish(topic, "last", 1)
    refused, _ = take(member, 2)
    member.send(packets.ack(kind, refused.packet_id, reason))
    other = join(broker, homes[1])
    wire.expect_nothing(member, member)
    cut_after_all(member)
    member = come_back(broker, member)
    take(member, 1)
    by_disconnect(broker, member)
    other.expect_publish(topic, "last", qos=1)
    wire.expect_nothing(other, publisher)


@ENDING
@pytest.mark.parametrize("qos", [1, 2])
def edge_076_queued_messages_go_to_other_members(broker, homes, qos, end):
    """More than one turn moves."""
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0], RECEIVE_MAXIMUM=1)
    publish_numbers(publisher, topic, 0, 150, qos)
    take(gone, 1)
    other = join(broker, homes[1])
    end(broker, gone)
    for payload in numbers(qos - 1, 150):  # QoS 2 that was begun is not moved
        other.expect_publish(topic, payload, qos=qos, dup=False)
    wire.expect_nothing(other, publisher)


def edge_076_never_sent_to_who_was_offline(broker, homes):
    """New messages go to who is online; the old ones stay, as long as the session."""
    topic, publisher = broker.topic(), broker.connect()
    asleep = join_to_stay(broker, homes[0])
    asleep.disconnect()
    publish_numbers(publisher, topic, 0, 5, qos=2)
    other = join(broker, homes[1])
    publish_numbers(publisher, topic, 5, 10, qos=2)
    assert wire.payloads(wire.fence(other, publisher)) == numbers(5, 10)
    awake = come_back(broker, asleep, props={Prop.RECEIVE_MAXIMUM: 2, Prop.SESSION_EXPIRY: 60})
    take(awake, 2)  # what was begun is not moved
    by_clean_start(broker, awake)
    for payload in numbers(2, 5):
        other.expect_publish(topic, payload, qos=2)
    wire.expect_nothing(other, publisher)


def edge_076_kept_for_a_member_that_is_offline(broker, homes):
    """When nobody is online."""
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0])
    publish_numbers(publisher, topic, 0, 5)
    take(gone, 5)
    other = join_to_stay(broker, homes[1])
    other.disconnect()
    by_disconnect(broker, gone)
    broker.process.settle()
    other = come_back(broker, other)
    for payload in numbers(0, 5):
        other.expect_publish(topic, payload, dup=False)


def edge_076_deleted_with_the_last_member(broker, homes):
    topic, publisher = broker.topic(), broker.connect()
    gone = join_to_stay(broker, homes[0], RECEIVE_MAXIMUM=1)
    publish_numbers(publisher, topic, 0, 5)
    take(gone, 1)
    by_clean_start(broker, gone)
    late = join(broker, homes[1])
    wire.expect_nothing(late, publisher)


def edge_076_unsubscribe_moves_what_was_not_sent(broker, homes):
    topic, publisher = broker.topic(), broker.connect()
    leaving = join(broker, homes[0], props={Prop.RECEIVE_MAXIMUM: 1})
    publish_numbers(publisher, topic, 0, 5)
    (open_one,) = take(leaving, 1)
    other = join(broker, homes[1])
    leaving.unsubscribe(group_of(broker))
    for payload in numbers(1, 5):
        other.expect_publish(topic, payload, dup=False)
    leaving.acknowledge(open_one)
    wire.expect_nothing(leaving, publisher)
    wire.expect_nothing(other, publisher)
