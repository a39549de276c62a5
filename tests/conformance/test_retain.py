"""Retained messages: set, replaced, cleared, found; the RETAIN bit of deliveries."""

import pytest

import wire
from flows import clear
from packets import V31, V311

QOS = [0, 1, 2]
OLDER = pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])


def pair(broker, homes, version):
    return (broker.connect(version=version, worker=homes[0]),
            broker.connect(version=version, worker=homes[1]))


def store(publisher, topic, payload, qos=1, **how):
    """Retains; what comes after it finds it stored."""
    publisher.publish(topic, payload, qos, retain=True, **how)
    publisher.ping()


def stored(broker, version, *topics, worker=None):
    """What a new subscriber gets, as payload and QoS; always with RETAIN."""
    client = broker.connect(version=version, worker=worker)
    client.subscribe(*topics, qos=2)
    got = wire.fence(client, client)
    assert all(p.retain and not p.dup for p in got)
    return [(p.payload, p.qos) for p in got]


@pytest.mark.parametrize("qos", QOS)
def mqtt5_3_3_1_5_last_one_is_stored_with_its_qos(broker, homes, version, qos):
    # covers: v3 MQTT-3.3.1-5, v3 MQTT-3.3.1-8
    publisher, topic = broker.connect(version=version, worker=homes[0]), broker.topic()
    for payload in ("A", "B"):
        store(publisher, topic, payload, qos)
        assert stored(broker, version, topic, worker=homes[1]) == [(payload.encode(), qos)]
    clear(publisher, topic)


@pytest.mark.parametrize("last", QOS)
@pytest.mark.parametrize("first", QOS)
def mqtt311_3_3_1_7_any_qos_replaces_any_qos(broker, version, first, last):
    # covers: MQTT-3.3.1-5
    publisher, topic = broker.connect(version=version), broker.topic()
    store(publisher, topic, "A", first)
    store(publisher, topic, "B", last)
    assert stored(broker, version, topic) == [(b"B", last)]
    clear(publisher, topic)


@pytest.mark.parametrize("qos", QOS)
def mqtt5_3_3_1_6_empty_one_is_delivered_and_clears(broker, homes, version, qos):
    # covers: v3 MQTT-3.3.1-10
    publisher, live = pair(broker, homes, version)
    topic, other = broker.topic("one"), broker.topic("other")
    store(publisher, topic, "A", qos)
    store(publisher, other, "stays", qos)
    live.subscribe(topic, qos=2)
    live.expect_publish(topic, "A", qos=qos, retain=True)
    store(publisher, topic, "", qos)
    live.expect_publish(topic, "", qos=qos, retain=False)
    assert stored(broker, version, topic, other, worker=homes[1]) == [(b"stays", qos)]
    clear(publisher, other)


@pytest.mark.parametrize("qos", QOS)
def mqtt5_3_3_1_7_empty_one_is_never_stored(broker, homes, version, qos):
    # covers: v3 MQTT-3.3.1-11
    publisher, live = pair(broker, homes, version)
    live.subscribe(broker.topic(), qos=2)
    store(publisher, broker.topic(), "", qos)
    live.expect_publish(broker.topic(), "", qos=qos, retain=False)
    assert stored(broker, version, broker.topic(), worker=homes[1]) == []


@pytest.mark.parametrize("qos", QOS)
def mqtt5_3_3_1_8_retain_0_leaves_the_store_alone(broker, homes, version, qos):
    # covers: v3 MQTT-3.3.1-12
    publisher, topic = broker.connect(version=version, worker=homes[0]), broker.topic()
    store(publisher, topic, "A", 1)
    for payload in ("B", ""):
        publisher.publish(topic, payload, qos)
        publisher.ping()
        assert stored(broker, version, topic, worker=homes[1]) == [(b"A", 1)]
    clear(publisher, topic)


# -- at a SUBSCRIBE --

TOPICS = ["a", "a/b", "a/b/c", "/b", "d//e"]
FOUND = [
    ("a/#", ["a", "a/b", "a/b/c"]), ("+/b", ["/b", "a/b"]), ("+", ["a"]), ("a/+/c", ["a/b/c"]),
    ("#", ["/b", "a", "a/b", "a/b/c", "d//e"]), ("d/+/e", ["d//e"]), ("a/b", ["a/b"]),
    ("none/#", []), ("+/+", ["/b", "a/b"])]


@pytest.mark.parametrize("text,found", FOUND, ids=[row[0] for row in FOUND])
def mqtt311_3_3_1_6_all_that_match_are_found(broker, homes, version, text, found):
    # covers: MQTT-3.3.2-3, v3 MQTT-3.3.2-3, v3 MQTT-3.3.1-8
    publisher, subscriber = pair(broker, homes, version)
    top = broker.topic()
    for topic in TOPICS:
        store(publisher, f"{top}/{topic}", topic)
    subscriber.subscribe(f"{top}/{text}", qos=1)
    got = wire.fence(subscriber, subscriber)
    assert sorted(p.topic[len(top) + 1:] for p in got) == found
    assert all(p.retain and p.payload.decode() == p.topic[len(top) + 1:] for p in got)
    clear(publisher, *[f"{top}/{topic}" for topic in TOPICS])


# Received at the first SUBSCRIBE, at a repeated one, and at one after UNSUBSCRIBE.
@pytest.mark.parametrize("handling,counts", [(0, [2, 2, 2]), (1, [2, 0, 2]), (2, [0, 0, 0])])
def mqtt5_3_3_1_10_retain_handling(broker, homes, handling, counts):
    # covers: MQTT-3.3.1-9, MQTT-3.3.1-11
    publisher, subscriber = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    topics = [broker.topic("a"), broker.topic("b")]
    for topic in topics:
        store(publisher, topic, "x")
    got = []
    for i in range(3):
        if i == 2:
            subscriber.unsubscribe(broker.topic("+"))
        subscriber.subscribe(broker.topic("+"), retain_handling=handling)
        got.append(len(wire.fence(subscriber, subscriber)))
    assert got == counts
    clear(publisher, *topics)


@OLDER
def mqtt311_3_3_1_6_each_subscribe_finds_them_again(broker, homes, version):
    publisher, client = pair(broker, homes, version)
    store(publisher, broker.topic(), "x")
    for _ in range(3):
        client.subscribe(broker.topic())
        client.expect_publish(broker.topic(), "x", retain=True)
    wire.expect_nothing(client, publisher)
    clear(publisher, broker.topic())


@pytest.mark.parametrize("granted", QOS)
@pytest.mark.parametrize("published", QOS)
def mqtt311_3_3_1_5_lower_qos_of_message_and_grant(broker, homes, granted, published):
    publisher, subscriber = pair(broker, homes, V311)
    store(publisher, broker.topic(), "x", published)
    subscriber.subscribe(broker.topic(), qos=granted)
    subscriber.expect_publish(broker.topic(), "x", qos=min(granted, published), retain=True)
    clear(publisher, broker.topic())


# -- the bit of live deliveries --

@pytest.mark.parametrize("qos", QOS)
@pytest.mark.parametrize("retain", [False, True])
def mqtt5_3_3_1_12_live_delivery_has_retain_0(broker, homes, version, qos, retain):
    # covers: v3 MQTT-3.3.1-9
    publisher, live = pair(broker, homes, version)
    live.subscribe(broker.topic("+"), qos=qos)
    for payload in ("first", "second"):
        publisher.publish(broker.topic("x"), payload, qos, retain=retain)
        live.expect_publish(payload=payload, qos=qos, retain=False)
    clear(publisher, broker.topic("x"))


@pytest.mark.parametrize("qos", QOS)
def mqtt5_3_3_1_13_retain_as_published(broker, homes, qos):
    publisher, live = broker.connect(worker=homes[0]), broker.connect(worker=homes[1])
    live.subscribe(broker.topic("+"), qos=qos, retain_as_published=True)
    for retain in (True, False, True):
        publisher.publish(broker.topic("x"), "x", qos, retain=retain)
        live.expect_publish(payload="x", qos=qos, retain=retain)
    clear(publisher, broker.topic("x"))
    live.expect_publish(payload="", retain=True)
