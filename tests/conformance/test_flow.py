"""Receive Maximum, both ways, and clients that take nothing."""

import time

import pytest

import packets
import wire
from flows import keep, numbers, publish_numbers, take
from packets import V5, V31, V311, Prop, Reason, Type

DEFAULT_WINDOW = 20
OLDER = pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])


def fill(broker, qos, window, waiting=3, topic=None):
    """A publisher, and a subscriber with a full window and messages waiting behind it; what it
    has not acknowledged."""
    publisher, topic = broker.connect(), topic or broker.topic()
    subscriber = broker.connect(broker.new_id(), **keep(RECEIVE_MAXIMUM=window))
    subscriber.subscribe(topic, qos=qos)
    publish_numbers(publisher, topic, 0, window + waiting, qos)
    return publisher, subscriber, take(subscriber, window)


# -- towards the client --

@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("window", [1, 2, 3])
def mqtt5_4_9_0_2_no_more_than_the_window_is_open(broker, qos, window):
    # covers: MQTT-3.3.4-9, MQTT-4.9.0-1
    publisher, subscriber, first = fill(broker, qos, window, 10 - window)
    assert wire.payloads(first) == numbers(0, window)
    wire.expect_nothing(subscriber, publisher)  # its marker of QoS 0 goes past
    publisher.publish(broker.topic(), "QoS 0")
    subscriber.expect_publish(payload="QoS 0", qos=0)


@pytest.mark.parametrize("window", [1, 65535, None])
def mqtt5_4_9_0_1_window_of_any_size(broker, window):
    """The broker's own limit (max_inflight_messages, 20) holds also for a wider window."""
    publisher, topic = broker.connect(), broker.topic()
    subscriber = broker.connect(props={} if window is None else {Prop.RECEIVE_MAXIMUM: window})
    subscriber.subscribe(topic, qos=1)
    publish_numbers(publisher, topic, 0, 25)
    expected = min(window or 65535, DEFAULT_WINDOW)
    first = take(subscriber, expected)
    wire.expect_nothing(subscriber, publisher)
    for p in first:
        subscriber.acknowledge(p)
    assert wire.payloads(first + subscriber.receive(25 - expected)) == numbers(0, 25)


FREEING = {  # packets with which the subscriber ends one delivery, by QoS
    "PUBACK": (1, [(Type.PUBACK, None)]),
    "refusing PUBACK": (1, [(Type.PUBACK, 0x80)]),
    "refusing PUBREC": (2, [(Type.PUBREC, 0x97)]),
    "PUBCOMP": (2, [(Type.PUBREC, None), (Type.PUBCOMP, None)]),
}


@pytest.mark.parametrize("what", FREEING)
def mqtt5_3_3_4_9_each_end_frees_one_slot(broker, what):
    # covers: EDGE-083, MQTT-4.9.0-2
    qos, steps = FREEING[what]
    publisher, subscriber, open_ones = fill(broker, qos, 2, 8)
    for number in range(2, 6):
        p = open_ones.pop(0)
        for kind, reason in steps:
            wire.expect_nothing(subscriber, publisher)
            subscriber.send(packets.ack(kind, p.packet_id, reason))
            if kind == Type.PUBREC and reason is None:
                subscriber.expect(Type.PUBREL, packet_id=p.packet_id)
        open_ones += take(subscriber, 1)
        assert open_ones[-1].payload == b"%d" % number
    wire.expect_nothing(subscriber, publisher)


@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_3_3_4_10_full_window_holds_back_only_publish(broker, qos):
    # covers: MQTT-4.9.0-3, EDGE-085
    publisher, client, open_ones = fill(broker, qos, 2)
    client.ping()
    client.subscribe(broker.topic("other"), qos=2)
    assert client.publish(broker.topic("nobody"), "x", 1) == Reason.NO_SUBSCRIBERS
    assert client.publish(broker.topic("nobody"), "x", 2) == Reason.NO_SUBSCRIBERS
    publisher.publish(broker.topic("other"), "QoS 0")
    client.expect_publish(broker.topic("other"), "QoS 0", qos=0)
    client.unsubscribe(broker.topic("other"))
    if qos == 2:
        for p in open_ones:
            client.send(packets.ack(Type.PUBREC, p.packet_id))
            client.expect(Type.PUBREL, packet_id=p.packet_id, reason=0)
        client.send(packets.ack(Type.PUBREL, 999))
        client.expect(Type.PUBCOMP, packet_id=999, reason=Reason.ID_NOT_FOUND)
    wire.expect_nothing(client, publisher)


@pytest.mark.parametrize("qos", [1, 2])
def edge_084_repeats_stay_within_a_smaller_window(broker, qos):
    # covers: MQTT-4.9.0-1, MQTT-3.3.4-9
    publisher, client, before = fill(broker, qos, 12, 5)
    client.cut()
    client = broker.connect(client.client_id, **keep(RECEIVE_MAXIMUM=2))
    open_ones = []
    for number in range(17):
        while len(open_ones) < min(2, 17 - number):
            p = client.expect_publish(acknowledge=False)
            open_ones.append(p)
            is_repeat = len(before) > 0
            assert p.dup == is_repeat
            if is_repeat:
                old = before.pop(0)
                assert (p.packet_id, p.payload) == (old.packet_id, old.payload)
        wire.expect_nothing(client, publisher)
        p = open_ones.pop(0)
        assert p.payload == b"%d" % number
        client.acknowledge(p)
    wire.expect_nothing(client, publisher)


def edge_084_open_pubrels_take_room_in_the_window(broker):
    publisher, client, before = fill(broker, 2, 5, 2)
    for p in before[:3]:
        client.send(packets.ack(Type.PUBREC, p.packet_id))
        client.expect(Type.PUBREL, packet_id=p.packet_id)
    client.cut()
    client = broker.connect(client.client_id, **keep(RECEIVE_MAXIMUM=2))
    for p in before[:3]:
        client.expect(Type.PUBREL, packet_id=p.packet_id)
    for p in before[:3]:
        client.send(packets.ack(Type.PUBCOMP, p.packet_id))
    open_ones = take(client, 2)
    assert [(p.packet_id, p.payload) for p in open_ones] == \
        [(p.packet_id, p.payload) for p in before[3:]]
    wire.expect_nothing(client, publisher)
    for p in open_ones:
        client.acknowledge(p)
    assert wire.payloads(client.receive(2)) == numbers(5, 7)


@OLDER
@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_4_9_0_1_older_clients_have_a_window_too(broker, version, qos):
    """Which the standard leaves open: as Mosquitto, max_inflight_messages."""
    publisher, subscriber = broker.connect(), broker.connect(version=version)
    subscriber.subscribe(broker.topic(), qos=qos)
    publish_numbers(publisher, broker.topic(), 0, 25, qos)
    first = take(subscriber, DEFAULT_WINDOW)
    wire.expect_nothing(subscriber, publisher)
    for p in first:
        subscriber.acknowledge(p)
    assert wire.payloads(first + subscriber.receive(5)) == numbers(0, 25)


# -- from the client --

def open_flows(broker, client, count):
    for i in range(1, count + 1):
        client.send_publish(broker.topic(), "x", 2, packet_id=i)
        client.expect(Type.PUBREC, packet_id=i)


@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_3_3_4_7_client_exceeds_the_brokers_window(broker, qos):
    client = broker.connect()
    assert client.connack.props[Prop.RECEIVE_MAXIMUM] == DEFAULT_WINDOW
    open_flows(broker, client, DEFAULT_WINDOW)
    client.send_publish(broker.topic(), "x", 2, packet_id=7, dup=True)
    client.expect(Type.PUBREC, packet_id=7)
    client.send(packets.ack(Type.PUBREL, 1))
    client.expect(Type.PUBCOMP, packet_id=1)
    client.send_publish(broker.topic(), "x", 2, packet_id=21)
    client.expect(Type.PUBREC, packet_id=21)
    client.send_publish(broker.topic(), "x", 0)
    client.ping()
    client.send_publish(broker.topic(), "x", qos, packet_id=22)
    client.expect_reject(Reason.RECEIVE_MAXIMUM)


def mqtt5_3_3_4_7_refused_messages_take_no_room(broker):
    client = broker.connect()
    for _ in range(2 * DEFAULT_WINDOW):
        client.send_publish("$SYS/broker/x", "x", 2)
        client.expect(Type.PUBREC, reason=Reason.NOT_AUTHORIZED)
    open_flows(broker, client, DEFAULT_WINDOW)


def mqtt5_3_3_4_8_broker_serves_who_has_filled_its_window(broker):
    # covers: MQTT-4.9.0-3
    client, other = broker.connect(), broker.connect()
    open_flows(broker, client, DEFAULT_WINDOW)
    client.ping()
    client.subscribe(broker.topic("in"), qos=2)
    for qos in (0, 1, 2):
        other.publish(broker.topic("in"), "x", qos)
        client.expect_publish(broker.topic("in"), "x", qos=qos)
    client.unsubscribe(broker.topic("in"))
    for i in range(1, DEFAULT_WINDOW + 1):
        client.send(packets.ack(Type.PUBREL, i))
        client.expect(Type.PUBCOMP, packet_id=i, reason=0)
    open_flows(broker, client, DEFAULT_WINDOW)


@OLDER
def mqtt5_3_3_4_7_older_clients_are_told_no_window(broker, version):
    client = broker.connect(version=version)
    open_flows(broker, client, 100)
    client.ping()


# -- a client that stops reading --

def deaf_client(broker, topic, qos, version=V5):
    client = broker.raw(version, receive_buffer=4096)
    client.connect(broker.new_id())
    client.subscribe(topic, broker.topic("end"), qos=qos)
    return client


def read_to_end(client):
    """The numbers of the messages that a client gets when it reads again."""
    got = []
    while (p := client.expect_publish()).payload != b"end":
        got.append(int(p.payload[:8]))
    return got


def stream(broker, topic, count, size, qos):
    """Publishes to all deaf clients and to another one, which gets everything, and in time."""
    publisher, other = broker.connect(), broker.connect()
    other.subscribe(topic, qos=qos)
    slowest = 0
    for i in range(count):
        sent = time.monotonic()
        publisher.publish(topic, b"%08d" % i + bytes(size), qos)
        assert int(other.expect_publish(topic).payload[:8]) == i
        slowest = max(slowest, time.monotonic() - sent)
    assert slowest < 2, "a deaf subscriber holds up its publisher for half a second at most"
    return publisher


@pytest.mark.conf("max_output_buffer 64K")
@pytest.mark.clock
def edge_086_deaf_client_loses_qos0(broker):
    """What does not fit is dropped for it alone."""
    topic = broker.topic()
    deaf = [deaf_client(broker, topic, 1, version) for version in packets.VERSIONS]
    publisher = stream(broker, topic, 1500, 8000, 0)
    publisher.publish(broker.topic("end"), "end", 1)
    for client in deaf:
        got = read_to_end(client)
        assert got == sorted(set(got)) and 0 < len(got) < 1500


@pytest.mark.conf("max_output_buffer 64K", "max_queued_messages 50")
@pytest.mark.clock
def edge_086_queue_of_deaf_client_is_bounded(broker):
    """Beside the queue only the window is kept."""
    topic = broker.topic()
    deaf = [deaf_client(broker, topic, 1, version) for version in packets.VERSIONS]
    publisher = stream(broker, topic, 300, 20000, 1)
    first = [wire.payloads(client.receive(50)) for client in deaf]
    publisher.publish(broker.topic("end"), "end", 1)
    for client, begin in zip(deaf, first):
        got = [int(payload[:8]) for payload in begin] + read_to_end(client)
        assert got == list(range(len(got))) and len(got) <= 50 + DEFAULT_WINDOW


@pytest.mark.conf("max_output_buffer 64K")
@pytest.mark.clock
def edge_086_qos0_is_dropped_before_qos1(broker):
    publisher, topic = broker.connect(), broker.topic()
    deaf = deaf_client(broker, topic, 1)
    for i in range(1000):
        publisher.publish(topic, b"%08d" % i + bytes(8000), 1 if i % 10 == 5 else 0)
    publisher.publish(broker.topic("end"), "end", 1)
    got = read_to_end(deaf)
    assert [i for i in got if i % 10 == 5] == list(range(5, 1000, 10))
    assert len(got) < 1000


def mqtt5_3_3_4_7_qos1_beyond_the_window_waits_for_its_turn(broker, homes):
    """Clients that count nothing get their PUBACKs as from a broker with one thread."""
    topic = broker.topic()
    subscriber = broker.connect(worker=homes[1])
    subscriber.subscribe(topic, qos=1)
    client = broker.connect(worker=homes[0])
    client.send(*(packets.publish(topic, str(i), 1, i) for i in range(1, 201)))
    for packet_id in range(1, 201):
        client.expect(Type.PUBACK, packet_id=packet_id, reason=Reason.SUCCESS)
    assert wire.payloads(subscriber.receive(200)) == numbers(1, 201)
    client.ping()


def mqtt5_3_3_4_7_window_is_new_with_each_connection(broker):
    """Open QoS 2 identifiers of a former connection stay known, and take no room in it."""
    topic, client_id = broker.topic(), broker.new_id()
    client = broker.connect(client_id, **keep())
    for packet_id in range(1, DEFAULT_WINDOW + 1):
        client.send_publish(topic, b"old", 2, packet_id)
        client.expect(Type.PUBREC, packet_id=packet_id)
    client.cut()
    client = broker.connect(client_id, **keep())
    for packet_id in range(101, 101 + DEFAULT_WINDOW):
        client.send_publish(topic, b"new", 2, packet_id)
        client.expect(Type.PUBREC, packet_id=packet_id)
    client.send(packets.ack(Type.PUBREL, 1))
    client.expect(Type.PUBCOMP, packet_id=1, reason=Reason.SUCCESS)
    client.send_publish(topic, b"too many", 2, 200)
    client.expect_reject(Reason.RECEIVE_MAXIMUM)
