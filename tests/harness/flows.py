"""What tests of messages have in common: sessions that stay, numbered messages, retained ones."""

import time

import courtier
import packets
from packets import V311, Prop, Type

KEEP = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}  # arguments of connect()
SYS_QUIET_S = 0.2  # no more retained ones come


def keep(**props):
    """KEEP with more properties of 5.0, by their names."""
    named = {Prop[name]: value for name, value in props.items()}
    return {"clean": False, "props": {Prop.SESSION_EXPIRY: 60, **named}}


def numbers(start, end):
    """Payloads."""
    return [b"%d" % i for i in range(start, end)]


def publish_numbers(publisher, topic, start, end, qos=1):
    """Each acknowledged before the next."""
    for payload in numbers(start, end):
        publisher.publish(topic, payload, qos)


def finish_publishes(publisher, qos, ids):
    """The rest of the handshakes of PUBLISHes that were sent with these ids: acknowledgements
    keep their order. (MQTT-4.6.0-2, MQTT-4.6.0-3)"""
    if qos == 1:
        for packet_id in ids:
            publisher.expect(Type.PUBACK, packet_id=packet_id)
    if qos == 2:
        for packet_id in ids:
            publisher.expect(Type.PUBREC, packet_id=packet_id)
        publisher.send(*[packets.ack(Type.PUBREL, packet_id) for packet_id in ids])
        for packet_id in ids:
            publisher.expect(Type.PUBCOMP, packet_id=packet_id, reason=0)


def take(subscriber, count):
    """So many PUBLISHes, not acknowledged."""
    return [subscriber.expect_publish(acknowledge=False) for _ in range(count)]


def cut_after_all(client):
    """Ends a connection without DISCONNECT when the broker has handled all that came by it;
    returns when it has noticed the end, so that nothing more is sent there."""
    client.ping()
    ends = client.socket.getpeername()[1], client.local_port()
    client.cut()
    deadline = time.monotonic() + 10
    while courtier.is_open(*ends):
        assert time.monotonic() < deadline, "the broker does not close its end"


def clear(publisher, *topics):
    """Removes retained messages, which would come to other tests' wildcards."""
    for topic in topics:
        publisher.publish(topic, "", 1, retain=True)


def read_sys(broker):
    """All values, by name below $SYS/broker/, when a new round begins: but one that comes in the
    midst of the retained ones brings some of them live, so the next is waited for."""
    reader = broker.connect(version=V311)
    reader.subscribe("$SYS/#")
    values, retained_at, is_read = {}, time.monotonic(), False
    while not is_read:
        p = reader.expect_publish()
        assert p.topic.startswith("$SYS/broker/")
        if p.retain:
            retained_at = time.monotonic()
        is_read = (not p.retain and p.topic == "$SYS/broker/uptime" and
                   time.monotonic() - retained_at > SYS_QUIET_S)
        values[p.topic[len("$SYS/broker/"):]] = p.payload.decode()
    reader.disconnect()
    return values
