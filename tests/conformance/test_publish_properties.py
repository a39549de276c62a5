"""Properties of a message: they reach subscribers as the publisher sent them, live, from the
queue of a session, and as retained message; or they end the publisher's connection."""

import pytest

import packets
import wire
from flows import KEEP, clear, cut_after_all
from packets import V5, V31, V311, Prop, Reason

WAYS = pytest.mark.parametrize("way", ["live", "queued", "retained"])
PASSING = {
    Prop.PAYLOAD_FORMAT: 1, Prop.CONTENT_TYPE: "text/plain", Prop.RESPONSE_TOPIC: "answers/to/me",
    Prop.CORRELATION_DATA: b"\0\xff", Prop.USER_PROPERTY: [("k", "v"), ("k", ""), ("", "é")]}


def pass_on(broker, way, props, version=V5, qos=1, topic=None):
    """What a subscriber gets of a message with these properties."""
    publisher, topic = broker.connect(), topic or broker.topic()
    if way == "retained":
        publisher.publish(topic, "payload", qos, retain=True, props=props)
        publisher.ping()
        subscriber = broker.connect(version=version)
        subscriber.subscribe(topic, qos=qos)
        p = subscriber.expect_publish(topic, "payload", qos=qos, retain=True)
        clear(publisher, topic)
        return p
    subscriber = broker.connect(broker.new_id(), version, **KEEP)
    subscriber.subscribe(topic, qos=qos)
    if way == "queued":
        cut_after_all(subscriber)
    publisher.publish(topic, "payload", qos, props=props)
    if way == "queued":
        subscriber = broker.connect(subscriber.client_id, version, **KEEP)
    return subscriber.expect_publish(topic, "payload", qos=qos, retain=False)


def expect_refused(broker, props, *codes):
    """A PUBLISH with them ends the connection and is not forwarded."""
    watcher, client = broker.connect(), broker.connect()
    watcher.subscribe(broker.topic())
    client.send_publish(broker.topic(), "x", props=props)
    client.expect_reject(*codes)
    wire.expect_nothing(watcher, broker.connect())


# -- each property --

@WAYS
@pytest.mark.parametrize("value", [0, 1, None])
def mqtt5_3_3_2_4_payload_format(broker, way, value):
    props = {} if value is None else {Prop.PAYLOAD_FORMAT: value}
    assert pass_on(broker, way, props).props == props


@WAYS
@pytest.mark.parametrize("value", ["r", "/", "a/b/é/\U0001F600", "$SYS/x", "x" * 5000])
def mqtt5_3_3_2_15_response_topic(broker, way, value):
    props = {Prop.RESPONSE_TOPIC: value}
    assert pass_on(broker, way, props).props == props


@WAYS
@pytest.mark.parametrize("value", [b"", b"\0", b"\0\xff\x80\xc3\x28", bytes(range(256)) * 255])
def mqtt5_3_3_2_16_correlation_data(broker, way, value):
    props = {Prop.CORRELATION_DATA: value}
    assert pass_on(broker, way, props).props == props


@WAYS
@pytest.mark.parametrize("pairs", [
    [("name", "value"), ("", ""), ("é", "\U0001F600")],
    [("b", "1"), ("a", "2"), ("b", "0")],
    [("same", "same")] * 3,
    [(f"name {i}", "v" * i) for i in range(100)],
], ids=["empty", "order", "same", "many"])
def mqtt5_3_3_2_17_user_properties(broker, way, pairs):
    # covers: MQTT-3.3.2-18
    props = {Prop.USER_PROPERTY: pairs}
    assert pass_on(broker, way, props).props == props


@WAYS
@pytest.mark.parametrize("value", ["", "text/plain; charset=utf-8", " + # / $ \u200b\U0001F600"])
def mqtt5_3_3_2_20_content_type(broker, way, value):
    props = {Prop.CONTENT_TYPE: value}
    assert pass_on(broker, way, props).props == props


# -- all of them --

def mix():
    """All that pass, in an order of their own, and what does not pass between them."""
    pairs = PASSING[Prop.USER_PROPERTY]
    return [(Prop.USER_PROPERTY, pairs[0]), (Prop.TOPIC_ALIAS, 3),
            (Prop.CORRELATION_DATA, PASSING[Prop.CORRELATION_DATA]),
            (Prop.USER_PROPERTY, pairs[1]), (Prop.MESSAGE_EXPIRY, 1000),
            (Prop.RESPONSE_TOPIC, PASSING[Prop.RESPONSE_TOPIC]),
            (Prop.CONTENT_TYPE, PASSING[Prop.CONTENT_TYPE]), (Prop.USER_PROPERTY, pairs[2]),
            (Prop.PAYLOAD_FORMAT, PASSING[Prop.PAYLOAD_FORMAT])]


@pytest.mark.parametrize("way,qos", [("live", 0), ("live", 1), ("live", 2), ("queued", 1),
                                     ("queued", 2), ("retained", 0), ("retained", 2)])
def edge_098_request_with_all_properties(broker, way, qos):
    # covers: MQTT-3.3.2-4, MQTT-3.3.2-15, MQTT-3.3.2-16, MQTT-3.3.2-17, MQTT-3.3.2-18
    # covers: MQTT-3.3.2-20
    got = pass_on(broker, way, mix(), qos=qos).props
    assert 990 < got.pop(Prop.MESSAGE_EXPIRY) <= 1000
    assert got == PASSING


@WAYS
@pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
def edge_098_older_subscribers_get_no_properties(broker, way, version):
    p = pass_on(broker, way, mix(), version)
    assert p.raw == packets.publish(broker.topic(), "payload", 1, p.packet_id,
                                    retain=way == "retained", version=version)


# -- what is refused --

@pytest.mark.parametrize("prop", [Prop.RESPONSE_TOPIC, Prop.CONTENT_TYPE])
@pytest.mark.parametrize("value", [b"\xc3\x28", b"a\xff", b"a\0b"])
def mqtt5_3_3_2_13_text_is_not_utf8(broker, prop, value):
    # covers: MQTT-3.3.2-19
    expect_refused(broker, {prop: value}, Reason.MALFORMED)


@pytest.mark.parametrize("value", ["a/#", "+", "#", "a/+/b", "a+"])
def mqtt5_3_3_2_14_wildcard_in_a_response_topic(broker, value):
    expect_refused(broker, {Prop.RESPONSE_TOPIC: value}, Reason.PROTOCOL_ERROR, Reason.MALFORMED,
                   Reason.TOPIC_INVALID)


@pytest.mark.parametrize("value", [1, 268435455])
def mqtt5_3_3_4_6_subscription_identifier_from_a_client(broker, value):
    expect_refused(broker, {Prop.SUBSCRIPTION_ID: value}, Reason.PROTOCOL_ERROR, Reason.MALFORMED)
