"""Retained messages: set, replaced, cleared, found by wildcards, Retain Handling, expiry."""

import time

import pytest

import wire
from packets import V311, Prop, Reason, Type, Will


def pair(broker, homes, **how):
    return broker.connect(worker=homes[0]), broker.connect(worker=homes[1], **how)


def clear(publisher, *topics):
    for topic in topics:
        publisher.publish(topic, "", 1, retain=True)


@pytest.mark.spec("MQTT-3.3.1-5", "MQTT-3.3.1-8", "MQTT-3.3.1-6", "MQTT-3.3.1-7")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_set_replace_clear(broker, homes, version, qos):
    publisher = broker.connect(version=version, worker=homes[0])
    topic = broker.topic()

    def stored():
        client = broker.connect(version=version, worker=homes[1])
        client.subscribe(topic, qos=2)
        return [(p.payload, p.qos, p.retain) for p in wire.fence(client, client)]

    publisher.publish(topic, "one", qos, retain=True)
    publisher.ping()
    assert stored() == [(b"one", qos, True)]
    publisher.publish(topic, "two", qos, retain=True)
    publisher.publish(topic, "not stored", qos)
    publisher.ping()
    assert stored() == [(b"two", qos, True)]
    publisher.publish(topic, "", qos, retain=True)
    publisher.ping()
    assert stored() == []


@pytest.mark.spec("MQTT-3.3.1-11")
def test_clearing_is_delivered_live(broker, homes):
    publisher, subscriber = pair(broker, homes)
    subscriber.subscribe(broker.topic())
    clear(publisher, broker.topic())
    subscriber.expect_publish(broker.topic(), "", retain=False)


@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
def test_lower_qos_of_message_and_grant(broker, homes, granted, published):
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    publisher.publish(topic, "x", published, retain=True)
    publisher.ping()
    subscriber.subscribe(topic, qos=granted)
    subscriber.expect_publish(topic, "x", qos=min(granted, published), retain=True, dup=False)
    clear(publisher, topic)


WILDCARDS = [
    ("a/#", {"a", "a/b", "a/b/c"}), ("+/b", {"a/b", "/b"}), ("+", {"a"}), ("a/+/c", {"a/b/c"}),
    ("#", {"a", "a/b", "a/b/c", "/b", "d//e"}), ("d/+/e", {"d//e"}), ("a/b", {"a/b"}),
    ("none/#", set()), ("+/+", {"a/b", "/b"})]


@pytest.mark.parametrize("text,hits", WILDCARDS, ids=[row[0] for row in WILDCARDS])
def test_wildcards_find_retained(broker, homes, text, hits):
    publisher, subscriber = pair(broker, homes)
    top = broker.topic()
    topics = ["a", "a/b", "a/b/c", "/b", "d//e"]
    for topic in topics:
        publisher.publish(f"{top}/{topic}", topic, 1, retain=True)
    subscriber.subscribe(f"{top}/{text}")
    got = wire.fence(subscriber, subscriber)
    assert {p.topic[len(top) + 1:] for p in got} == hits and len(got) == len(hits)
    clear(publisher, *[f"{top}/{topic}" for topic in topics])


@pytest.mark.spec("MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11")
@pytest.mark.parametrize("handling,expected", [(0, [1, 1, 1]), (1, [1, 0, 1]), (2, [0, 0, 0])])
def test_retain_handling(broker, homes, handling, expected):
    """At the first SUBSCRIBE, at a repeated one, and after UNSUBSCRIBE."""
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    publisher.publish(topic, "x", 1, retain=True)
    counts = []
    for i in range(3):
        if i == 2:
            subscriber.unsubscribe(topic)
        subscriber.subscribe(topic, retain_handling=handling)
        counts.append(len(wire.fence(subscriber, subscriber)))
    assert counts == expected
    clear(publisher, topic)


@pytest.mark.spec("MQTT-3.3.1-10")
def test_retain_handling_of_resumed_subscription(broker, homes):
    """EDGE-061, EDGE-063: nothing at the return, nothing for a filter that is there."""
    publisher = broker.connect(worker=homes[0])
    client_id, topic = broker.new_id(homes[1]), broker.topic()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    client = broker.connect(client_id, **how)
    client.subscribe(topic)
    client.cut()
    publisher.publish(topic, "x", 0, retain=True)
    publisher.ping()
    client = broker.connect(client_id, **how)
    wire.expect_nothing(client, publisher)
    client.subscribe(topic, retain_handling=1)
    wire.expect_nothing(client, publisher)
    client.subscribe(topic, retain_handling=0)
    client.expect_publish(topic, "x", retain=True)
    clear(publisher, topic)


def test_v3_subscribe_again_sends_again(broker, homes):
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(version=V311, worker=homes[1])
    publisher.publish(broker.topic(), "x", 1, retain=True)
    for _ in range(3):
        client.subscribe(broker.topic())
        client.expect_publish(broker.topic(), "x", retain=True)
    clear(publisher, broker.topic())


def test_identifier_and_properties(broker, homes):
    """EDGE-056"""
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    props = {Prop.CONTENT_TYPE: "t", Prop.USER_PROPERTY: [("a", "b"), ("a", "c")],
             Prop.CORRELATION_DATA: b"\1\2", Prop.RESPONSE_TOPIC: "r", Prop.PAYLOAD_FORMAT: 1}
    publisher.publish(topic, "x", 1, retain=True, props=props)
    subscriber.subscribe(topic, props={Prop.SUBSCRIPTION_ID: 12})
    p = subscriber.expect_publish(topic, "x", retain=True)
    assert p.props == {**props, Prop.SUBSCRIPTION_ID: [12]}
    clear(publisher, topic)


def test_no_local_and_own_retained_message(broker):
    """EDGE-060: what is stored has no author any more, so it is sent."""
    client = broker.connect()
    client.publish(broker.topic(), "x", 1, retain=True)
    client.subscribe(broker.topic(), no_local=True)
    client.expect_publish(broker.topic(), "x", retain=True)
    clear(client, broker.topic())


@pytest.mark.clock
@pytest.mark.spec("MQTT-3.3.2-5", "MQTT-3.3.2-6")
def test_expiry(broker, homes):
    """EDGE-097: the remaining time is told; then the message is gone."""
    publisher, early = pair(broker, homes)
    late, topic = broker.connect(version=V311, worker=homes[1]), broker.topic()
    publisher.publish(topic + "/short", "s", 1, retain=True, props={Prop.MESSAGE_EXPIRY: 1})
    publisher.publish(topic + "/long", "l", 1, retain=True, props={Prop.MESSAGE_EXPIRY: 50})
    early.subscribe(topic + "/short")
    assert early.expect_publish(payload="s").props[Prop.MESSAGE_EXPIRY] == 1
    time.sleep(2.1)
    late.subscribe(topic + "/#")
    assert wire.payloads(wire.fence(late, late)) == [b"l"]
    early.subscribe(topic + "/long")
    assert early.expect_publish(payload="l").props[Prop.MESSAGE_EXPIRY] in (47, 48)
    clear(publisher, topic + "/long")


@pytest.mark.fresh
@pytest.mark.parametrize("text", ["#", "many/#", "many/+/+"])
@pytest.mark.parametrize("qos", [0, 1])
def test_five_thousand(broker, version, text, qos):
    publisher = broker.connect(worker=0)
    for i in range(5000):
        publisher.send_publish(f"many/{i % 50}/{i}", f"payload {i}", 0, retain=True)
    publisher.publish("many/end/end", "last", 1, retain=True)
    for worker in range(broker.workers):
        client = broker.connect(version=version, worker=worker)
        client.subscribe(text, qos=qos)
        got = client.receive(5001)
        assert len({p.topic for p in got}) == 5001 and all(p.retain for p in got)


@pytest.mark.fresh
def test_thousands_as_qos1_to_narrow_window(broker):
    """The replay goes on as the client acknowledges, and does not fill its queue."""
    publisher = broker.connect(version=V311)
    for i in range(3000):
        publisher.send_publish(f"many/{i}", b"x" * 100, 1, retain=True)
    for _ in range(3000):
        publisher.expect(Type.PUBACK)
    client = broker.connect(worker=broker.workers - 1, props={Prop.RECEIVE_MAXIMUM: 3})
    client.subscribe("many/#", qos=1)
    assert len({p.topic for p in client.receive(3000)}) == 3000


@pytest.mark.conf("retain_available false")
@pytest.mark.spec("MQTT-3.2.2-13", "MQTT-3.2.2-14")
def test_retain_can_be_off(broker):
    client = broker.connect()
    assert client.connack.props[Prop.RETAIN_AVAILABLE] == 0
    client.send_publish(broker.topic(), "x", 1, retain=True)
    client.expect_reject(Reason.RETAIN_UNSUPPORTED)


@pytest.mark.conf("retain_available false")
@pytest.mark.spec("MQTT-3.2.2-13")
def test_retained_will_when_off(broker):
    broker.raw().connect("x", Reason.RETAIN_UNSUPPORTED, will=Will("a", b"x", retain=True))


@pytest.mark.conf("retain_available false")
def test_retain_when_off_before_5(broker):
    client = broker.connect(version=V311)
    client.send_publish(broker.topic(), "x", 1, retain=True)
    client.expect_close()


@pytest.mark.fresh
@pytest.mark.conf("max_retained_messages 10", "sys_interval 0")
def test_limit_of_retained_messages(broker):
    """At the limit new topics are refused, known ones can be replaced and cleared."""
    client = broker.connect()
    for i in range(15):
        client.publish(f"a/{i}", "x", 1, retain=True)
    client.publish("a/3", "new", 1, retain=True)
    client.publish("a/4", "", 1, retain=True)
    client.publish("b", "y", 1, retain=True)
    client.publish("c", "y", 1, retain=True)
    other = broker.connect(worker=broker.workers - 1)
    other.subscribe("+/#", retain_handling=0)
    got = {p.topic: p.payload for p in wire.fence(other, other)}
    expected = {f"a/{i}": b"x" for i in range(10) if i != 4}
    assert got == {**expected, "a/3": b"new", "b": b"y"}
