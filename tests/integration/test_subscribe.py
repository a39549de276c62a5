"""SUBSCRIBE and UNSUBSCRIBE: options, wildcards, overlaps, identifiers, replacement."""

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, options


def pair(broker, homes, **how):
    return broker.connect(worker=homes[0]), broker.connect(worker=homes[1], **how)


MATCHES = [  # filter, topics that match, topics that do not
    ("a/+/b", ["a/x/b", "a//b"], ["a/b", "a/x/y/b", "a/x/b/c"]),
    ("a/#", ["a", "a/", "a/b", "a/b/c"], ["b/a", "ab"]),
    ("a/+", ["a/b", "a/"], ["a", "a/b/c"]),
    ("+/+", ["/", "/b", "a/b"], ["a", "a/b/c"]),
    ("+", ["a", "é"], ["/", "a/"]),
    ("+/+/+", ["//", "a/b/c"], ["/", "a//b/c"]),
    ("/+", ["/", "/a"], ["a", "a/b"]),
    ("a/$b", ["a/$b"], ["a/b"]),
    ("+/a/#", ["x/a", "/a/b"], ["a", "x/b/a"]),
    ("a", ["a"], ["A", "a/", "/a", "a ", "aa"]),
    ("a b/é", ["a b/é"], ["a/é"]),
]


@pytest.mark.spec("MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.3-4")
@pytest.mark.parametrize("text,hits,misses", MATCHES, ids=[row[0] for row in MATCHES])
def test_wildcards(broker, homes, text, hits, misses):
    """EDGE-067, EDGE-068. All below a level of the test's own."""
    publisher, subscriber = pair(broker, homes)
    top = broker.topic()
    subscriber.subscribe(f"{top}/{text}")
    for topic in hits + misses:
        publisher.publish(f"{top}/{topic}", topic)
    assert [p.topic for p in wire.fence(subscriber, publisher)] == [f"{top}/{t}" for t in hits]


@pytest.mark.spec("MQTT-4.7.2-1")
@pytest.mark.parametrize("text", ["#", "+/x", "+/#", "$share/g/#"])
def test_leading_wildcard_does_not_match_dollar(broker, homes, text):
    """EDGE-069, EDGE-080"""
    publisher, subscriber = pair(broker, homes)
    subscriber.subscribe(text, retain_handling=2)
    publisher.publish("$other/x", "x")
    got = wire.fence(subscriber, publisher)
    assert [p for p in got if p.topic.startswith("$")] == []


@pytest.mark.parametrize("text", ["$other/#", "$other/+", "$share/g/$other/#"])
def test_dollar_filters_match_dollar(broker, homes, text):
    """EDGE-069, EDGE-080"""
    publisher, subscriber = pair(broker, homes)
    subscriber.subscribe(text)
    publisher.publish("$other/y", broker.topic())
    subscriber.expect_publish("$other/y", broker.topic())


def test_plain_hash_matches_all(broker, homes):
    publisher, subscriber = pair(broker, homes)
    subscriber.subscribe("#", retain_handling=2)
    publisher.publish(broker.topic("a/b"), "x")
    assert broker.topic("a/b") in [p.topic for p in wire.fence(subscriber, publisher)]


@pytest.mark.spec("MQTT-3.3.4-2", "MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5")
def test_overlapping_filters(broker, homes):
    """EDGE-054, EDGE-055: one copy for each, at its own QoS and with its own identifier."""
    publisher, subscriber = pair(broker, homes)
    top = broker.topic()
    subscriber.subscribe(f"{top}/#", qos=0, props={Prop.SUBSCRIPTION_ID: 1})
    subscriber.subscribe(f"{top}/+", qos=1, props={Prop.SUBSCRIPTION_ID: 5})
    subscriber.subscribe(f"{top}/b", qos=2)
    subscriber.subscribe("+/b", qos=1, props={Prop.SUBSCRIPTION_ID: 5})
    publisher.publish(f"{top}/b", "x", 2)
    got = wire.fence(subscriber, publisher)
    assert sorted((p.subscription_ids, p.qos) for p in got) == \
        [([], 2), ([1], 0), ([5], 1), ([5], 1)]


@pytest.mark.spec("MQTT-3.8.4-3")
def test_subscription_is_replaced(broker, homes):
    """EDGE-057: QoS, options and identifier."""
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    subscriber.subscribe(topic, qos=2, props={Prop.SUBSCRIPTION_ID: 7})
    publisher.publish(topic, "1", 2)
    assert subscriber.expect_publish(topic, "1", qos=2).subscription_ids == [7]
    subscriber.subscribe(topic, qos=0, props={Prop.SUBSCRIPTION_ID: 8})
    publisher.publish(topic, "2", 2)
    assert subscriber.expect_publish(topic, "2", qos=0).subscription_ids == [8]
    subscriber.subscribe(topic, qos=1)
    publisher.publish(topic, "3", 2)
    assert subscriber.expect_publish(topic, "3", qos=1).subscription_ids == []
    wire.expect_nothing(subscriber, publisher)


@pytest.mark.spec("MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.8.4-2")
def test_same_filter_twice_in_one_packet(broker, homes, version):
    """EDGE-064: two codes, the last one counts, one copy."""
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(version=version, worker=homes[1])
    topic = broker.topic()
    subscriber.subscribe((topic, 2), (topic, 0), (topic, 1))
    publisher.publish(topic, "x", 2)
    subscriber.expect_publish(topic, "x", qos=1)
    wire.expect_nothing(subscriber, publisher)


@pytest.mark.spec("MQTT-3.8.4-4", "MQTT-3.8.4-7")
@pytest.mark.parametrize("text", ["a/b#", "a/#/b", "a+", "+a/b", "a/+b", "#/a", "", "$share/g",
                                  "$share//a", "$share/+/a", "$share/g#/a",
                                  "$share/g/"])
def test_impossible_filters_are_refused(broker, version, text):
    client = broker.connect(version=version)
    good = broker.topic()
    bad = {V5: Reason.FILTER_INVALID, V311: 0x80, V31: 0}[version]
    client.subscribe(good, text, codes=[0, bad])
    client.publish(good, "x")
    client.expect_publish(good, "x")


@pytest.mark.spec("MQTT-3.8.3-3")
def test_no_local(broker, homes):
    """EDGE-059: own messages come through the other filter only."""
    other, client = pair(broker, homes)
    topic = broker.topic()
    client.subscribe(topic, no_local=True)
    other.subscribe(topic)
    client.publish(topic, "own")
    wire.expect_nothing(client, client)
    other.publish(topic, "other's")
    client.expect_publish(topic, "other's")
    client.subscribe(topic + "/#", props={Prop.SUBSCRIPTION_ID: 3})
    client.publish(topic, "own again")
    assert client.expect_publish(topic, "own again").subscription_ids == [3]
    wire.expect_nothing(client, client)


@pytest.mark.spec("MQTT-3.8.3-4")
def test_no_local_on_shared_subscription(broker):
    client = broker.connect()
    client.send(packets.subscribe(1, [("$share/g/" + broker.topic(), options(no_local=True))]))
    client.expect_reject(Reason.PROTOCOL_ERROR)


@pytest.mark.spec("MQTT-3.3.1-12", "MQTT-3.3.1-13", "MQTT-3.3.1-8")
@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("retain", [False, True])
def test_retain_as_published(broker, homes, as_published, retain):
    """EDGE-062"""
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    publisher.publish(topic, "stored", 1, retain=True)
    subscriber.subscribe(topic, retain_as_published=as_published)
    subscriber.expect_publish(topic, "stored", retain=True)
    publisher.publish(topic, "live", retain=retain)
    subscriber.expect_publish(topic, "live", retain=retain and as_published)
    publisher.publish(topic, "", 1, retain=True)


@pytest.mark.spec("MQTT-3.8.4-1")
@pytest.mark.parametrize("number", [1, 127, 128, 16384, 268435455])
def test_subscription_identifiers(broker, homes, number):
    """EDGE-058"""
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    subscriber.subscribe(topic, props={Prop.SUBSCRIPTION_ID: number})
    publisher.publish(topic, "x")
    assert subscriber.expect_publish(topic).subscription_ids == [number]


def test_subscription_survives_return(broker, homes):
    """EDGE-057: with its options and identifier."""
    publisher = broker.connect(worker=homes[0])
    client_id, topic = broker.new_id(homes[1]), broker.topic()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    client = broker.connect(client_id, **how)
    client.subscribe(topic, qos=1, retain_as_published=True, no_local=True,
                     props={Prop.SUBSCRIPTION_ID: 77})
    client.cut()
    publisher.publish(topic, "offline", 1, retain=True)
    client = broker.connect(client_id, **how)
    assert client.expect_publish(topic, "offline", retain=True).subscription_ids == [77]
    client.publish(topic, "own", 1)
    wire.expect_nothing(client, client)
    publisher.publish(topic, "", 1, retain=True)


# -- UNSUBSCRIBE --

@pytest.mark.spec("MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.10.4-4", "MQTT-3.11.3-1")
def test_unsubscribe(broker, homes, version):
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(version=version, worker=homes[1])
    top = broker.topic()
    client.subscribe(top + "/a", top + "/+")
    client.unsubscribe(top + "/+", top + "/none", top + "/+",
                       codes=[0, Reason.NO_SUBSCRIPTION, Reason.NO_SUBSCRIPTION])
    publisher.publish(top + "/a", "a")
    publisher.publish(top + "/b", "b")
    assert wire.payloads(wire.fence(client, publisher)) == [b"a"]


@pytest.mark.spec("MQTT-3.10.4-1")
def test_unsubscribe_compares_text_only(broker):
    client = broker.connect()
    top = broker.topic()
    client.subscribe(top + "/#")
    client.unsubscribe(top + "/a", top + "/+", codes=[0x11, 0x11])
    client.publish(top + "/a", "x")
    client.expect_publish(top + "/a")


@pytest.mark.spec("MQTT-3.10.4-3")
def test_unsubscribe_lets_open_deliveries_finish(broker, homes):
    """EDGE-066"""
    publisher, client = pair(broker, homes)
    topic = broker.topic()
    client.subscribe(topic, qos=2)
    publisher.publish(topic, "x", 2)
    p = client.expect_publish(topic, acknowledge=False)
    client.unsubscribe(topic)
    client.acknowledge(p)
    publisher.publish(topic, "y", 2)
    wire.expect_nothing(client, publisher)


def test_unsubscribe_impossible_filter(broker):
    broker.connect().unsubscribe("a/#/b", codes=[Reason.FILTER_INVALID])


def test_subscribe_again_after_unsubscribe(broker, homes):
    publisher, client = pair(broker, homes)
    topic = broker.topic()
    for i in range(20):
        client.subscribe(topic)
        publisher.publish(topic, str(i))
        client.expect_publish(topic, str(i))
        client.unsubscribe(topic)
        publisher.publish(topic, "nobody's")
        wire.expect_nothing(client, publisher)


@pytest.mark.spec("MQTT-3.8.4-5")
def test_many_filters_in_one_packet(broker, homes, version):
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(version=version, worker=homes[1])
    filters = [broker.topic(f"{i}/x") for i in range(1000)]
    client.subscribe(*filters, qos=1)
    for i in (0, 500, 999):
        publisher.publish(filters[i], str(i))
        client.expect_publish(filters[i], str(i))
    client.unsubscribe(*filters)
    publisher.publish(filters[7], "x")
    wire.expect_nothing(client, publisher)


@pytest.mark.spec("MQTT-3.1.2-24", "MQTT-3.1.2-25")
@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
def test_acknowledgement_over_clients_packet_size(broker, kind):
    """A SUBACK that the client can't take is not sent; without one it can't go on."""
    client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: 40})
    filters = [broker.topic(str(i)) for i in range(100)]
    if kind == "subscribe":
        client.send(packets.subscribe(1, [(f, 0) for f in filters]))
    else:
        client.send(packets.unsubscribe(1, filters))
    client.expect_reject(Reason.TOO_LARGE)


@pytest.mark.parametrize("version", [V31])
@pytest.mark.parametrize("flags", [2, 10])
def test_dup_bit_of_requests_in_3_1(broker, version, flags):
    """EDGE-012: in 3.1 these bits are DUP and QoS."""
    client = broker.connect(version=version)
    client.send(packets.subscribe(1, [(broker.topic(), 0)], version=version, flags=flags))
    client.expect(Type.SUBACK, packet_id=1)
    client.send(packets.ack(Type.PUBREL, 9, flags=flags))
    client.expect(Type.PUBCOMP, packet_id=9)
    client.send(packets.unsubscribe(2, [broker.topic()], version=version, flags=flags))
    client.expect(Type.UNSUBACK, packet_id=2)


def test_many_subscribers_each_get_one_copy(broker, homes):
    publisher = broker.connect(worker=homes[0])
    topic = broker.topic()
    subscribers = [broker.connect(worker=i % broker.workers) for i in range(20)]
    for i, subscriber in enumerate(subscribers):
        subscriber.subscribe(topic if i % 2 else topic + "/#", qos=1)
    publisher.publish(topic, "x", 1)
    for subscriber in subscribers:
        subscriber.expect_publish(topic, "x", qos=1)
        wire.expect_nothing(subscriber, publisher)
