"""Message Expiry Interval. Each test waits once, for all that it looks at."""

import time

import pytest

import packets
import wire
from flows import clear, cut_after_all, keep, take
from packets import V5, V31, V311, Prop, Type

EXPIRED_S = 1.2  # an expiry of one second has passed
clock = pytest.mark.clock


def expiry(seconds):
    return {Prop.MESSAGE_EXPIRY: seconds}


class Waiting:
    """Subscribers that do not take messages yet, for one topic: `absent` is away, `full` has a
    full window, and somebody new will ask for what is retained."""

    def __init__(self, broker, version=V5):
        self.broker, self.version, self.topic = broker, version, broker.topic("waits")
        self.publisher = broker.connect()
        self.absent_id = broker.new_id()
        absent = broker.connect(self.absent_id, version, **keep())
        absent.subscribe(self.topic, qos=1)
        cut_after_all(absent)
        self.full = broker.connect(version=version, props={Prop.RECEIVE_MAXIMUM: 20})
        self.full.subscribe(self.topic, broker.topic("fill"), qos=1)
        for _ in range(20):
            self.publisher.publish(broker.topic("fill"), "x", 1)
        self.open = take(self.full, 20)

    def publish(self, payload, **how):
        self.publisher.publish(self.topic, payload, 1, retain=True, **how)
        self.publisher.ping()

    def received(self):
        """What each of them gets now, by its name."""
        absent = self.broker.connect(self.absent_id, self.version, **keep())
        for p in self.open:
            self.full.acknowledge(p)
        late = self.broker.connect(version=self.version)
        late.subscribe(self.topic, qos=1)
        got = {"absent": wire.fence(absent, self.publisher, qos=1),
               "full": wire.fence(self.full, self.publisher, qos=1),
               "late": wire.fence(late, late)}
        clear(self.publisher, self.topic)
        return got


@clock
def mqtt5_3_3_2_5_expired_message_is_dropped(broker, version):
    """A subscriber of an older version does not see the number; it counts all the same."""
    # covers: EDGE-097
    waiting = Waiting(broker, version)
    waiting.publish("expires", props=expiry(1))
    time.sleep(EXPIRED_S)
    assert waiting.received() == {"absent": [], "full": [], "late": []}


@clock
def mqtt5_3_3_2_6_remaining_seconds_are_sent(broker):
    # covers: EDGE-097
    waiting = Waiting(broker)
    live = broker.connect()
    live.subscribe(waiting.topic)
    start = time.monotonic()
    waiting.publish("lasts", props=expiry(10))
    assert live.expect_publish(payload="lasts").props in (expiry(10), expiry(9))
    time.sleep(2)
    received = waiting.received()
    passed = time.monotonic() - start
    for name, messages in received.items():
        assert wire.payloads(messages) == [b"lasts"], name
        assert 10 - passed <= messages[0].props[Prop.MESSAGE_EXPIRY] <= 8, name


@clock
def edge_097_expired_ones_among_others(broker):
    """What has not expired arrives, in its order, and without a number if it never had one; the
    retained message that an expired one has replaced does not come back."""
    # covers: MQTT-3.3.2-5, MQTT-3.3.2-6
    waiting = Waiting(broker)
    for payload, props in [("for ever", None), ("short", expiry(1)), ("largest", expiry(2**32 - 1)),
                           ("again short", expiry(1))]:
        waiting.publish(payload, props=props)
    time.sleep(EXPIRED_S)
    received = waiting.received()
    assert received.pop("late") == []
    for name, messages in received.items():
        assert wire.payloads(messages) == [b"for ever", b"largest"], name
        assert messages[0].props == {}
        assert 2**32 - 60 < messages[1].props[Prop.MESSAGE_EXPIRY] < 2**32 - 1


@pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
def edge_097_message_of_an_older_publisher_has_no_number(broker, version):
    publisher, subscriber = broker.connect(version=version), broker.connect()
    subscriber.subscribe(broker.topic(), qos=1)
    publisher.publish(broker.topic(), "x", 1)
    assert subscriber.expect_publish(payload="x").props == {}


@clock
def mqtt5_4_3_3_7_sent_message_does_not_expire(broker):
    publisher, topic = broker.connect(), broker.topic()
    client = broker.connect(broker.new_id(), **keep())
    client.subscribe(topic, qos=2)
    for qos in (1, 2):
        publisher.publish(topic, "x", qos, props=expiry(1))
    before = take(client, 2)
    cut_after_all(client)
    time.sleep(EXPIRED_S)
    client = broker.connect(client.client_id, **keep())
    for p in before:
        client.expect_publish(topic, "x", qos=p.qos, packet_id=p.packet_id, dup=True)
    client.ping()


@clock
def mqtt5_4_3_3_13_expiry_does_not_break_off_the_handshake(broker):
    """Neither the publisher's nor the subscriber's."""
    publisher, subscriber, topic = broker.connect(), broker.connect(), broker.topic()
    subscriber.subscribe(topic, qos=2)
    publisher.send_publish(topic, "x", 2, packet_id=5, props=expiry(1))
    publisher.expect(Type.PUBREC, packet_id=5, reason=0)
    p, = take(subscriber, 1)
    subscriber.send(packets.ack(Type.PUBREC, p.packet_id))
    subscriber.expect(Type.PUBREL, packet_id=p.packet_id, reason=0)
    time.sleep(EXPIRED_S)
    publisher.send(packets.ack(Type.PUBREL, 5))
    publisher.expect(Type.PUBCOMP, packet_id=5, reason=0)
    subscriber.send(packets.ack(Type.PUBREC, p.packet_id))
    subscriber.expect(Type.PUBREL, packet_id=p.packet_id, reason=0)
    subscriber.send(packets.ack(Type.PUBCOMP, p.packet_id))
    wire.expect_nothing(subscriber, publisher)
