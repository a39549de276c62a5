"""Several subscriptions of one client that match: a copy for each, which is the default, or one
copy for all (allow_duplicate_messages false)."""

import itertools

import pytest

import packets
import wire
from packets import Prop, Type

ONE_COPY = pytest.mark.conf("allow_duplicate_messages false")


def numbered(number):
    return {Prop.SUBSCRIPTION_ID: number} if number else {}


def subscribe_all(client, top, rows):
    """Rows of filter, QoS and identifier or None."""
    for text, qos, number in rows:
        client.subscribe(f"{top}/{text}", qos=qos, props=numbered(number))


def seen(received):
    return sorted((p.qos, sorted(p.subscription_ids)) for p in received)


# -- a copy for each --

def edge_054_a_copy_for_each_filter(broker, version):
    """No copy is above its filter's QoS, nor above the publisher's."""
    # covers: MQTT-3.3.4-2, v3 MQTT-3.3.5-1
    publisher, client = broker.connect(), broker.connect(version=version)
    for order in itertools.permutations([("a/#", 0), ("a/+", 1), ("a/b", 2)]):
        top = broker.topic("".join(str(qos) for _, qos in order))
        for text, qos in order:
            client.subscribe(f"{top}/{text}", qos=qos)
        for published in (0, 1, 2):
            publisher.publish(f"{top}/a/b", str(published), published)
            got = wire.fence(client, publisher)
            assert sorted(p.qos for p in got) == sorted(min(qos, published) for _, qos in order)
            assert {p.payload for p in got} == {str(published).encode()}


def edge_055_each_copy_has_its_identifier(broker):
    # covers: MQTT-3.3.4-3, MQTT-3.3.4-5
    publisher, client, top = broker.connect(), broker.connect(), broker.topic()
    subscribe_all(client, top, [("#", 0, 1), ("+", 1, 2), ("b", 2, None), ("b/#", 1, 5)])
    client.subscribe("+/b", qos=2, props=numbered(5))
    publisher.publish(top + "/b", "x", 2)
    assert seen(wire.fence(client, publisher)) == [(0, [1]), (1, [2]), (1, [5]), (2, []), (2, [5])]


# -- one copy --

@ONE_COPY
def edge_054_one_copy_at_the_highest_qos(broker, version):
    # covers: MQTT-3.3.4-2, v3 MQTT-3.3.5-1
    publisher, client = broker.connect(), broker.connect(version=version)
    for order in itertools.permutations([("a/#", 0), ("a/+", 1), ("a/b", 2)]):
        top = broker.topic("".join(str(qos) for _, qos in order))
        for count, (text, qos) in enumerate(order, 1):
            client.subscribe(f"{top}/{text}", qos=qos)
            granted = max(qos for _, qos in order[:count])
            for published in (0, 1, 2):
                publisher.publish(f"{top}/a/b", str(published), published)
                client.expect_publish(f"{top}/a/b", str(published), qos=min(granted, published))
                wire.expect_nothing(client, publisher)


@ONE_COPY
@pytest.mark.parametrize("qos", [0, 1, 2])
def edge_055_one_copy_has_all_identifiers(broker, qos):
    # covers: MQTT-3.3.4-3, MQTT-3.3.4-4
    publisher, client, top = broker.connect(), broker.connect(), broker.topic()
    subscribe_all(client, top, [("#", 0, 1), ("+", 1, 2), ("b", 2, None), ("b/#", 1, 5)])
    client.subscribe("+/b", qos=2, props=numbered(5))
    publisher.publish(top + "/b", "x", qos)
    assert seen(wire.fence(client, publisher)) == [(qos, [1, 2, 5, 5])]
    client.unsubscribe(top + "/#", "+/b", top + "/b")
    publisher.publish(top + "/b", "x", qos)
    assert seen(wire.fence(client, publisher)) == [(min(qos, 1), [2, 5])]
    client.unsubscribe(top + "/+")
    publisher.publish(top + "/b", "x", qos)
    assert seen(wire.fence(client, publisher)) == [(min(qos, 1), [5])]


@ONE_COPY
def edge_055_identifiers_of_a_copy_that_waits(broker):
    """Offline, behind a full window, and sent again after a return."""
    # covers: MQTT-3.3.4-4
    publisher, top = broker.connect(), broker.topic()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60, Prop.RECEIVE_MAXIMUM: 1}}
    client = broker.connect(**how)
    subscribe_all(client, top, [("#", 1, 268435455), ("+", 0, 2), ("b", 2, 3)])
    client.cut()
    publisher.publish(top + "/b", "x", 2)
    publisher.publish(top + "/b", "y", 2)
    for is_again in (False, True):
        client = broker.connect(client.client_id, **how)
        p = client.expect_publish(top + "/b", "x", acknowledge=False, qos=2, dup=is_again)
        assert sorted(p.subscription_ids) == [2, 3, 268435455]
        if not is_again:
            client.cut()
    client.acknowledge(p)
    p = client.expect_publish(top + "/b", "y", qos=2)
    assert sorted(p.subscription_ids) == [2, 3, 268435455]
    wire.expect_nothing(client, publisher)


@ONE_COPY
def edge_055_one_copy_of_very_many(broker):
    # covers: MQTT-3.3.4-4
    publisher, client = broker.connect(), broker.connect()
    topic = broker.topic("a/b/c/d/e/f/g")
    levels = topic.split("/")
    for mask in range(1 << len(levels)):
        text = "/".join("+" if mask >> i & 1 else level for i, level in enumerate(levels))
        client.send(packets.subscribe(1 + mask, [(text, 1)], numbered(mask + 1)))
    for _ in range(1 << len(levels)):
        client.expect(Type.SUBACK)
    publisher.publish(topic, "x", 1)
    p = client.expect_publish(topic, "x", qos=1)
    assert sorted(p.subscription_ids) == list(range(1, (1 << len(levels)) + 1))
    wire.expect_nothing(client, publisher)


@ONE_COPY
def edge_059_no_local_of_one_of_several(broker):
    """The copy has QoS and identifier of those filters only that No Local does not exclude."""
    # covers: MQTT-3.8.3-3
    client, other, top = broker.connect(), broker.connect(), broker.topic()
    client.subscribe(f"{top}/b", qos=2, no_local=True, props=numbered(1))
    client.subscribe(f"{top}/+", qos=1, props=numbered(2))
    client.subscribe(f"{top}/#", qos=0, no_local=True, props=numbered(3))
    client.publish(f"{top}/b", "own", 2)
    assert seen(wire.fence(client, client)) == [(1, [2])]
    other.publish(f"{top}/b", "other's", 2)
    assert seen(wire.fence(client, other)) == [(2, [1, 2, 3])]
    client.unsubscribe(f"{top}/+")
    client.publish(f"{top}/b", "own", 2)
    wire.expect_nothing(client, client)


@ONE_COPY
def edge_062_retain_as_published_of_one_of_several(broker):
    publisher, client, topic = broker.connect(), broker.connect(), broker.topic()
    client.subscribe(topic, qos=1, retain_as_published=True)
    client.subscribe(topic + "/#", qos=1)
    for retain in (True, False):
        publisher.publish(topic, "x", 1, retain=retain)
        client.expect_publish(topic, "x", retain=retain)
    client.subscribe(topic, qos=1, retain_handling=2)
    publisher.publish(topic, "", 1, retain=True)
    client.expect_publish(topic, "", retain=False)
    wire.expect_nothing(client, publisher)


@ONE_COPY
def edge_056_each_subscribe_gets_what_is_stored(broker):
    """Merged is what is published; stored messages belong to a SUBSCRIBE."""
    client, topic = broker.connect(), broker.topic()
    client.publish(topic, "stored", 1, retain=True)
    subscribe_all(client, topic, [("#", 1, 1), ("+/#", 1, 2)])
    client.subscribe(topic, qos=1, props=numbered(3))
    got = wire.fence(client, client)
    assert seen(got) == [(1, [1]), (1, [3])]
    client.publish(topic, "", 1, retain=True)
    assert seen(wire.fence(client, client)) == [(1, [1, 3])]


# -- many clients --

def expect_of_many(broker, version, copies):
    """`copies`: how many a client gets that has so many plain subscriptions. A shared one adds
    its own."""
    publisher, topic = broker.connect(), broker.topic()
    clients = [broker.connect(version=version) for _ in range(16)]
    for i, client in enumerate(clients):
        client.subscribe(*[topic, topic + "/#", "+/#"][:i % 4 or 1], qos=1)
        if i % 4 == 0:
            client.subscribe(f"$share/g{i}/{topic}", qos=1)
    publisher.publish(topic, "x", 1)
    for i, client in enumerate(clients):
        got = [p for p in wire.fence(client, publisher) if p.topic == topic]
        assert len(got) == (copies(i % 4) if i % 4 else copies(1) + 1)
        assert all(p.qos == 1 and p.payload == b"x" for p in got)


def edge_054_many_clients_with_a_copy_for_each(broker, version):
    expect_of_many(broker, version, lambda filters: filters)


@ONE_COPY
def edge_054_many_clients_with_one_copy(broker, version):
    expect_of_many(broker, version, lambda filters: 1)
