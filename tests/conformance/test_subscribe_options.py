"""Options of a subscription: No Local, identifiers, Retain Handling, Retain As Published."""

import itertools

import pytest

import packets
import wire
from packets import V5, Prop, Reason

LASTING = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}


def again(broker, client, **how):
    """The client on a new connection, with its session."""
    client.disconnect()
    client = broker.connect(client.client_id, client.version, **(LASTING | how))
    assert client.connack.session_present == (client.version != packets.V31)
    return client


def numbered(number):
    return {Prop.SUBSCRIPTION_ID: number}


# -- No Local --

def mqtt5_3_8_3_3_no_local(broker):
    # covers: EDGE-059
    other, client = broker.connect(), broker.connect(**LASTING)
    topic = broker.topic()
    client.subscribe(topic, qos=2, no_local=True)
    other.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        client.publish(topic, "own", qos)
        other.expect_publish(topic, "own", qos=qos)
        wire.expect_nothing(client, client)
        other.publish(topic, "other's", qos)
        other.expect_publish(topic, "other's", qos=qos)
        client.expect_publish(topic, "other's", qos=qos)
    client = again(broker, client)
    client.publish(topic, "own", 1)
    other.expect_publish(topic, "own")
    wire.expect_nothing(client, client, other)


def edge_059_own_messages_through_the_other_filter(broker):
    # covers: MQTT-3.8.3-3
    client = broker.connect()
    topic = broker.topic()
    client.subscribe(topic, qos=2, no_local=True, props=numbered(1))
    client.subscribe(topic + "/#", qos=1, props=numbered(2))
    client.publish(topic, "own", 2)
    assert client.expect_publish(topic, "own", qos=1).subscription_ids == [2]
    client.subscribe(topic + "/#", qos=1, no_local=True)
    client.publish(topic, "own", 2)
    wire.expect_nothing(client, client)


def edge_059_no_local_is_taken_back(broker):
    client, topic = broker.connect(), broker.topic()
    client.subscribe(topic, no_local=True)
    client.subscribe(topic, no_local=False)
    client.publish(topic, "own")
    client.expect_publish(topic, "own")


def edge_060_own_retained_message_with_no_local(broker):
    """Decided: what is stored is sent, No Local is about messages as they are published."""
    client, topic = broker.connect(), broker.topic()
    client.publish(topic, "stored", 1, retain=True)
    client.subscribe(topic, qos=1, no_local=True)
    client.expect_publish(topic, "stored", retain=True)
    client.publish(topic, "", 1, retain=True)
    wire.expect_nothing(client, client)


# -- identifiers --

@pytest.mark.parametrize("number", [1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455])
def edge_058_largest_identifiers(broker, number):
    publisher, client, topic = broker.connect(), broker.connect(), broker.topic()
    for qos in (0, 1, 2):
        client.subscribe(topic, qos=qos, props=numbered(number))
        publisher.publish(topic, "x", qos)
        assert client.expect_publish(topic, qos=qos).subscription_ids == [number]


def edge_058_impossible_identifiers(broker):
    """0 is a protocol error; five bytes, and more, are no number."""
    for raw, reason in [(b"\x00", Reason.PROTOCOL_ERROR),
                        (b"\x80\x80\x80\x80\x01", Reason.MALFORMED),
                        (b"\xff\xff\xff\xff\x7f", Reason.MALFORMED)]:
        client = broker.connect()
        props = {Prop.SUBSCRIPTION_ID: bytearray(raw)}
        client.send(packets.subscribe(1, [(broker.topic(), 0)], props))
        client.expect_reject(reason)


def edge_056_retained_messages_carry_the_identifier(broker):
    publisher, client, topic = broker.connect(), broker.connect(), broker.topic()
    publisher.publish(topic + "/a", "a", 1, retain=True)
    publisher.publish(topic + "/b", "b", 1, retain=True)
    for text, number in [("/+", 5), ("/#", None), ("/a", 268435455), ("/+", 6)]:
        client.subscribe(topic + text, qos=1, props=numbered(number) if number else {})
        got = wire.fence(client, client)
        assert len(got) == (1 if text == "/a" else 2)
        assert all(p.subscription_ids == ([number] if number else []) for p in got)
    for name in "ab":
        publisher.publish(f"{topic}/{name}", "", 1, retain=True)


def edge_057_identifier_is_replaced_and_lasts(broker):
    publisher, client, topic = broker.connect(), broker.connect(**LASTING), broker.topic()
    for number in (7, 8, None, 9):
        client.subscribe(topic, qos=1, props=numbered(number) if number else {})
        expected = [number] if number else []
        publisher.publish(topic, "x", 1)
        assert client.expect_publish(topic).subscription_ids == expected
        client.disconnect()
        publisher.publish(topic, "offline", 1)
        client = broker.connect(client.client_id, **LASTING)
        assert client.expect_publish(topic, "offline").subscription_ids == expected
        publisher.publish(topic, "x", 1)
        assert client.expect_publish(topic).subscription_ids == expected


def edge_057_options_last_with_the_session(broker):
    publisher, client, topic = broker.connect(), broker.connect(**LASTING), broker.topic()
    client.subscribe(topic, qos=1, retain_as_published=True, no_local=True, props=numbered(77))
    client.cut()
    publisher.publish(topic, "offline", 2, retain=True)
    client = broker.connect(client.client_id, **LASTING)
    p = client.expect_publish(topic, "offline", retain=True, qos=1)
    assert p.subscription_ids == [77]
    client.publish(topic, "own", 1)
    wire.expect_nothing(client, client)
    publisher.publish(topic, "", 1, retain=True)
    client.expect_publish(topic, "", retain=True)


# -- retained messages --

def store(broker, version=V5):
    """A client that has stored a message, and its topic."""
    publisher, topic = broker.connect(version=version), broker.topic()
    publisher.publish(topic, "stored", 1, retain=True)
    return publisher, topic


def forget(publisher, topic):
    publisher.publish(topic, "", 1, retain=True)


def edge_061_retain_handling(broker):
    """What comes of each kind at a first SUBSCRIBE, at a second one, after a return with the
    session, and after UNSUBSCRIBE."""
    publisher, topic = store(broker)
    for handling, wanted in [(0, [1, 1, 1, 1]), (1, [1, 0, 0, 1]), (2, [0, 0, 0, 0])]:
        client = broker.connect(**LASTING)
        counts = []
        for step in ("first", "second", "returned", "unsubscribed"):
            if step == "returned":
                client = again(broker, client)
                client._fence = None
            if step == "unsubscribed":
                client.unsubscribe(topic)
            client.subscribe(topic, retain_handling=handling)
            counts.append(len(wire.fence(client, client)))
        assert counts == wanted, f"retain handling {handling}"
    forget(publisher, topic)


def edge_062_retain_as_published(broker):
    publisher, client, topic = broker.connect(), broker.connect(), broker.topic()
    for as_published, retain, qos in itertools.product((False, True), (False, True), (0, 1, 2)):
        publisher.publish(topic, "stored", qos, retain=True)
        wire.fence(publisher, publisher)
        client.subscribe(topic, qos=2, retain_as_published=as_published)
        client.expect_publish(topic, "stored", retain=True, qos=qos)
        publisher.publish(topic, "live", qos, retain=retain)
        client.expect_publish(topic, "live", retain=retain and as_published, qos=qos)
        client.unsubscribe(topic)
    forget(publisher, topic)


def edge_063_no_retained_messages_at_a_return(broker, version):
    publisher, topic = store(broker)
    client = broker.connect(version=version, **LASTING)
    client.subscribe(topic, qos=1)
    client.expect_publish(topic, "stored", retain=True)
    client = again(broker, client)
    wire.expect_nothing(client, publisher)
    client.subscribe(topic, qos=1)
    client.expect_publish(topic, "stored", retain=True)
    forget(publisher, topic)
    client.expect_publish(topic, "", retain=False)
