"""Topic aliases, both ways."""

import pytest

import packets
import wire
from flows import keep, publish_numbers, take
from packets import Prop, Reason, Type

DEFAULT_MAX = 10


def alias(number):
    return {Prop.TOPIC_ALIAS: number}


def watch(broker):
    watcher = broker.connect()
    watcher.subscribe(broker.topic("#"), qos=2)
    return watcher


def expect_refused(broker, client, watcher, reason):
    client.expect_reject(reason)
    wire.expect_nothing(watcher, broker.connect())


# -- set by the client --

@pytest.mark.parametrize("number", [0, DEFAULT_MAX + 1, 65535])
@pytest.mark.parametrize("topic_is_sent", [True, False])
def mqtt5_3_3_2_9_alias_out_of_range(broker, number, topic_is_sent):
    # covers: MQTT-3.3.2-8, EDGE-087
    watcher, client = watch(broker), broker.connect()
    assert client.connack.props[Prop.TOPIC_ALIAS_MAXIMUM] == DEFAULT_MAX
    client.send_publish(broker.topic("a") if topic_is_sent else "", "x", props=alias(number))
    expect_refused(broker, client, watcher, Reason.ALIAS_INVALID)


@pytest.mark.conf("max_topic_alias 0")
def mqtt5_3_3_2_9_no_alias_is_allowed(broker):
    client = broker.connect()
    assert client.connack.props.get(Prop.TOPIC_ALIAS_MAXIMUM, 0) == 0
    client.send_publish(broker.topic("a"), "x", props=alias(1))
    client.expect_reject(Reason.ALIAS_INVALID)


def use_each_alias(broker, client, numbers):
    """Sets all of them, then uses all, at each QoS."""
    watcher = watch(broker)
    for number in numbers:
        client.publish(broker.topic(f"at/{number}"), "set", number % 3, props=alias(number))
    for number in numbers:
        client.publish("", "use", (number + 1) % 3, props=alias(number))
    got = wire.fence(watcher, client)
    by_qos = {qos: [p.topic for p in got if p.qos == qos] for qos in range(3)}
    for qos, topics in by_qos.items():
        expected = [n for n in numbers if n % 3 == qos] + [n for n in numbers if (n + 1) % 3 == qos]
        assert topics == [broker.topic(f"at/{number}") for number in expected]


def mqtt5_3_3_2_12_every_alias_up_to_the_limit(broker):
    client = broker.connect()
    use_each_alias(broker, client, range(1, client.connack.props[Prop.TOPIC_ALIAS_MAXIMUM] + 1))


@pytest.mark.conf("max_topic_alias 65535")
def mqtt5_3_3_2_12_largest_limit(broker):
    client = broker.connect()
    assert client.connack.props[Prop.TOPIC_ALIAS_MAXIMUM] == 65535
    use_each_alias(broker, client, [1, 255, 256, 257, 65534, 65535])


@pytest.mark.parametrize("qos", [0, 1, 2])
def mqtt5_3_3_2_7_alias_ends_with_its_connection(broker, qos):
    # covers: EDGE-087
    watcher, client = watch(broker), broker.connect(broker.new_id(), **keep())
    client.publish(broker.topic("a"), "set", 1, props=alias(1))
    client.publish("", "used", 1, props=alias(1))
    assert wire.payloads(watcher.receive(2)) == [b"set", b"used"]
    client.cut()
    client = broker.connect(client.client_id, **keep())
    assert client.connack.session_present
    client.send_publish("", "x", qos, props=alias(1))
    expect_refused(broker, client, watcher, Reason.PROTOCOL_ERROR)


def edge_087_set_use_and_set_anew(broker):
    watcher, client = watch(broker), broker.connect()
    first, second = broker.topic("first"), broker.topic("second")
    steps = [(first, 1, first), ("", 1, first), (second, 1, second), ("", 1, second),
             (first, 2, first), ("", 1, second), ("", 2, first), (first, None, first),
             (first, 1, first), ("", 1, first), (second, 2, second), ("", 2, second)]
    for qos in (0, 1, 2):
        for topic, number, expected in steps:
            client.publish(topic, "x", qos, props=number and alias(number))
            watcher.expect_publish(expected, "x", qos=qos)


def edge_087_repeat_of_qos2_by_its_alias(broker):
    watcher, client = watch(broker), broker.connect()
    client.publish(broker.topic("a"), "set", 0, props=alias(1))
    for dup in (False, True):
        client.send_publish("", "used", 2, packet_id=7, dup=dup, props=alias(1))
        client.expect(Type.PUBREC, packet_id=7)
    client.send(packets.ack(Type.PUBREL, 7))
    client.expect(Type.PUBCOMP, packet_id=7, reason=0)
    got = wire.fence(watcher, client)
    assert [(p.topic, p.payload) for p in got] == [(broker.topic("a"), b"set"),
                                                   (broker.topic("a"), b"used")]


def edge_087_unknown_alias(broker):
    watcher, client = watch(broker), broker.connect()
    client.publish(broker.topic("a"), "x", 1, props=alias(1))
    watcher.expect_publish(payload="x")
    client.send_publish("", "y", 1, props=alias(2))
    expect_refused(broker, client, watcher, Reason.PROTOCOL_ERROR)


def edge_087_aliases_of_two_clients(broker):
    watcher, clients = watch(broker), [broker.connect() for _ in range(2)]
    for i, client in enumerate(clients):
        client.publish(broker.topic(str(i)), "set", 1, props=alias(1))
        watcher.expect_publish(broker.topic(str(i)))
    for i, client in enumerate(clients):
        client.publish("", "use", 1, props=alias(1))
        watcher.expect_publish(broker.topic(str(i)))


# -- set by the broker --

@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("limit", [None, 0, 1, 3, 65535])
def mqtt5_3_3_2_11_aliases_within_the_clients_limit(broker, qos, limit):
    # covers: MQTT-3.3.2-8
    props = None if limit is None else {Prop.TOPIC_ALIAS_MAXIMUM: limit}
    publisher, subscriber = broker.connect(), broker.connect(props=props)
    topics = [broker.topic(f"quite/long/topic/{i}") for i in range(15)]
    subscriber.subscribe(broker.topic("#"), qos=qos)
    for _ in range(3):
        for topic in topics:
            publisher.publish(topic, "x", qos)
            p = subscriber.expect_publish(topic)  # which knows what each alias stands for
            assert p.props.get(Prop.TOPIC_ALIAS, 0) <= (limit or 0)


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("limit", [0, 5])
def edge_088_repeat_has_its_topic(broker, qos, limit):
    # covers: MQTT-3.3.2-7
    publisher, topic = broker.connect(), broker.topic("with/an/alias")
    client = broker.connect(broker.new_id(), **keep(TOPIC_ALIAS_MAXIMUM=5))
    client.subscribe(topic, qos=qos)
    publish_numbers(publisher, topic, 0, 3, qos)
    before = take(client, 3)
    assert before[1].raw.find(topic.encode()) < 0, "the test needs a message with an alias alone"
    client.cut()
    client = broker.connect(client.client_id, **keep(TOPIC_ALIAS_MAXIMUM=limit))
    again = take(client, 3)
    assert [(p.topic, p.payload, p.dup) for p in again] == \
        [(topic, p.payload, True) for p in before]
    assert topic.encode() in again[0].raw
