"""What comes back when the broker does, with `persistence true`: after a clean stop, and after
all its processes were killed at once. Whatever was acknowledged is there."""

import time

import pytest

import packets
import wire
from flows import KEEP, cut_after_all, finish_publishes, keep, numbers, publish_numbers, take
from packets import V5, V31, V311, Prop, Type

PERSISTENCE = pytest.mark.conf("persistence true", "persistence_location {folder}/")
DOWN_S = 1.3  # an expiry of one second passes meanwhile
# The expectations do not depend on the segments, nor on io_uring with one worker.
pytestmark = [PERSISTENCE, pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock]


@pytest.fixture(params=["stop", "kill"])
def restart(request, broker):
    def restart(**how):
        broker.restart(kill=request.param == "kill", **how)
    restart.is_kill = request.param == "kill"
    return restart


def subscriber(broker, topic, qos=2, version=V5, **how):
    """A session that is away, as its client and its id."""
    client = broker.connect(version=version, **KEEP)
    client.subscribe(topic, qos=qos, **how)
    cut_after_all(client)
    return client.client_id


def back(broker, client_id, version=V5, **how):
    client = broker.connect(client_id, version, **{**KEEP, **how})
    if version != V31:  # which can't tell
        assert client.connack.session_present
    return client


def stored(broker, topic):
    """The retained message there, or None."""
    client = broker.connect()
    client.subscribe(topic, qos=2)
    got = wire.fence(client, client)
    return got[0] if got else None


# -- sessions --

def edge_044_session_is_present(broker, version, restart):
    client_id = subscriber(broker, broker.topic(), version=version)
    connected = broker.connect(version=version, **KEEP)
    restart()
    client = back(broker, client_id, version)
    back(broker, connected.client_id, version)
    broker.connect().publish(broker.topic(), "x", 2)
    client.expect_publish(broker.topic(), "x", qos=2)


def edge_044_clean_session_is_gone(broker, version, restart):
    clean = broker.connect(version=version, clean=True)
    clean.subscribe(broker.topic(), qos=1)
    ended = subscriber(broker, broker.topic(), version=version)
    broker.connect(ended, version, clean=True).ping()
    restart()
    for client_id in (clean.client_id, ended):
        client = broker.connect(client_id, version, clean=False)
        assert not client.connack.session_present
        broker.connect().publish(broker.topic(), "x", 1)
        wire.expect_nothing(client, client)


def edge_044_session_comes_back_again_and_again(broker, restart):
    client_id, publisher = subscriber(broker, broker.topic()), None
    for i in range(3):
        publisher = broker.connect()
        publisher.publish(broker.topic(), str(i), 1 + i % 2)
        restart()
    client = back(broker, client_id)
    assert wire.payloads(client.receive(3)) == numbers(0, 3)
    restart()
    client = back(broker, client_id)
    if not restart.is_kill:  # else an acknowledgement may have come too late
        wire.expect_nothing(client, client)


def edge_044_session_expires_while_down(broker, restart):
    ids = {}
    for seconds in (1, 60):
        client = broker.connect(clean=False, props={Prop.SESSION_EXPIRY: seconds})
        ids[seconds] = client.client_id
        cut_after_all(client)
    restart()
    time.sleep(DOWN_S)
    restart()
    assert not broker.connect(ids[1], clean=False).connack.session_present
    assert broker.connect(ids[60], clean=False).connack.session_present


def edge_044_session_of_connected_client_expires(broker, restart):
    """Its time begins when the broker ends, at the latest when it starts."""
    client = broker.connect(clean=False, props={Prop.SESSION_EXPIRY: 1})
    restart()
    time.sleep(DOWN_S)
    broker.process.settle()
    assert not broker.connect(client.client_id, clean=False).connack.session_present


# -- subscriptions --

def edge_044_subscription_options(broker, restart):
    client = broker.connect(**KEEP)
    one, two, three = (broker.topic(f"{i}/+") for i in range(3))
    client.subscribe(one, qos=1, retain_as_published=True, props={Prop.SUBSCRIPTION_ID: 268435455})
    client.subscribe(two, qos=2, no_local=True, props={Prop.SUBSCRIPTION_ID: 7})
    client.subscribe(three, qos=0)
    cut_after_all(client)
    restart()
    client, publisher = back(broker, client.client_id), broker.connect()
    publisher.publish(broker.topic("0/x"), "a", 2, retain=True)
    client.expect_publish(broker.topic("0/x"), "a", qos=1, retain=True,
                          subscription_ids=[268435455])
    publisher.publish(broker.topic("1/x"), "b", 2, retain=True)
    client.expect_publish(broker.topic("1/x"), "b", qos=2, retain=False, subscription_ids=[7])
    client.publish(broker.topic("1/x"), "own", 1)
    publisher.publish(broker.topic("2/x"), "c", 2)
    client.expect_publish(broker.topic("2/x"), "c", qos=0, subscription_ids=[])


def edge_044_latest_subscription_counts(broker, restart):
    client = broker.connect(**KEEP)
    client.subscribe(broker.topic("changed"), qos=0, props={Prop.SUBSCRIPTION_ID: 1})
    client.subscribe(broker.topic("changed"), qos=2)
    client.subscribe(broker.topic("left"), qos=1)
    client.unsubscribe(broker.topic("left"))
    cut_after_all(client)
    restart()
    client, publisher = back(broker, client.client_id), broker.connect()
    publisher.publish(broker.topic("left"), "x", 1)
    publisher.publish(broker.topic("changed"), "y", 2)
    client.expect_publish(broker.topic("changed"), "y", qos=2, subscription_ids=[])


def edge_044_shared_subscription(broker, restart):
    members = [subscriber(broker, f"$share/g/{broker.topic()}", qos=1) for _ in range(2)]
    restart()
    members = [back(broker, client_id) for client_id in members]
    publish_numbers(broker.connect(), broker.topic(), 0, 20)
    got = [wire.payloads(wire.fence(member, broker.connect())) for member in members]
    assert sorted(got[0] + got[1], key=int) == numbers(0, 20)


# -- messages to a session --

def edge_044_queue_in_order(broker, version, restart):
    client_id, publisher = subscriber(broker, broker.topic(), version=version), broker.connect()
    publish_numbers(publisher, broker.topic(), 0, 100, qos=1)
    publish_numbers(publisher, broker.topic(), 100, 200, qos=2)
    restart()
    got = back(broker, client_id, version).receive(200)
    assert wire.payloads(got) == numbers(0, 200)
    assert [p.qos for p in got] == [1] * 100 + [2] * 100
    assert not any(p.retain for p in got)


def edge_044_queued_message_is_whole(broker, restart):
    client_id, publisher = subscriber(broker, broker.topic("#")), broker.connect()
    props = {Prop.PAYLOAD_FORMAT: 1, Prop.CONTENT_TYPE: "text/plain", Prop.RESPONSE_TOPIC: "r/t",
             Prop.CORRELATION_DATA: b"\0\xff",
             Prop.USER_PROPERTY: [("b", "1"), ("a", "2"), ("b", "1")]}
    large = b"z" * 200_000
    publisher.publish(broker.topic("props"), "p", 1, props=props)
    publisher.publish(broker.topic("large"), large, 2)
    publisher.publish(broker.topic("empty"), "", 1)
    publisher.publish(broker.topic("long/" + "l" * 3000), "l", 1)
    restart()
    client = back(broker, client_id)
    p = client.expect_publish(broker.topic("props"), "p", qos=1)
    assert p.props == props
    client.expect_publish(broker.topic("large"), large, qos=2)
    client.expect_publish(broker.topic("empty"), "", qos=1)
    client.expect_publish(broker.topic("long/" + "l" * 3000), "l")


def edge_044_in_flight_comes_with_dup_and_id(broker, version, restart):
    client = broker.connect(version=version, **KEEP)
    client.subscribe(broker.topic(), qos=2)
    publisher = broker.connect()
    ids = [publisher.send_publish(broker.topic(), str(qos), qos) for qos in (1, 2, 1, 2)]
    sent = take(client, 4)
    for packet_id in ids:
        publisher.expect(Type.PUBACK if packet_id % 2 else Type.PUBREC, packet_id=packet_id)
    client.send(packets.ack(Type.PUBREC, sent[1].packet_id))
    client.expect(Type.PUBREL, packet_id=sent[1].packet_id)
    client.ping()
    restart()
    client = back(broker, client.client_id, version)
    got = [client.recv() for _ in range(4)]
    released = [p for p in got if p.type == Type.PUBREL]
    again = [p for p in got if p.type == Type.PUBLISH]
    assert [p.packet_id for p in released] == [sent[1].packet_id]
    assert [(p.packet_id, p.payload, p.qos) for p in again] == [
        (p.packet_id, p.payload, p.qos) for p in (sent[0], sent[2], sent[3])]
    assert all(p.dup for p in again)


def edge_044_in_flight_before_queue(broker, restart):
    """And no id that is in flight is given to another message."""
    client = broker.connect(**keep(RECEIVE_MAXIMUM=2))
    client.subscribe(broker.topic(), qos=1)
    publisher = broker.connect()
    ids = [publisher.send_publish(broker.topic(), str(i), 1) for i in range(6)]
    sent = take(client, 2)
    finish_publishes(publisher, 1, ids)
    restart()
    client = back(broker, client.client_id)
    got = take(client, 6)
    assert wire.payloads(got) == numbers(0, 6)
    assert [p.packet_id for p in got[:2]] == [p.packet_id for p in sent]
    assert [p.dup for p in got[:2]] == [True] * 2
    if not restart.is_kill:  # else the broker can't know that the others were not sent
        assert [p.dup for p in got[2:]] == [False] * 4
    assert len({p.packet_id for p in got}) == 6


def edge_044_acknowledged_delivery_is_done(broker, restart):
    client = broker.connect(**KEEP)
    client.subscribe(broker.topic(), qos=2)
    publisher = broker.connect()
    for qos in (1, 2):
        publish_numbers(publisher, broker.topic(), 0, 10, qos)
        client.receive(10)
    client.ping()
    time.sleep(DOWN_S)  # nobody tells when an acknowledgement is on disk
    restart()
    client = back(broker, client.client_id)
    wire.expect_nothing(client, client)


def edge_044_message_expires_while_down(broker, restart):
    client_id, publisher = subscriber(broker, broker.topic()), broker.connect()
    for seconds in (1, 1000):
        publisher.publish(broker.topic(), str(seconds), 1, retain=True,
                          props={Prop.MESSAGE_EXPIRY: seconds})
        publisher.publish(broker.topic(str(seconds)), "kept", 1, retain=True,
                          props={Prop.MESSAGE_EXPIRY: seconds})
    restart()
    time.sleep(DOWN_S)
    restart()
    got = wire.fence(back(broker, client_id), broker.connect(), qos=1)
    assert wire.payloads(got) == [b"1000"]
    assert got[0].props[Prop.MESSAGE_EXPIRY] in range(980, 1000)
    assert stored(broker, broker.topic("1")) is None
    p = stored(broker, broker.topic("1000"))
    assert p.props[Prop.MESSAGE_EXPIRY] in range(980, 1000)


# -- messages from a session --

@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
def edge_044_inbound_id_is_known(broker, version, restart):
    client_id = subscriber(broker, broker.topic())
    publisher = broker.connect(version=version, **KEEP)
    for packet_id in (7, 65535):
        publisher.send_publish(broker.topic(), str(packet_id), 2, packet_id)
        publisher.expect(Type.PUBREC, packet_id=packet_id)
    restart()
    publisher = back(broker, publisher.client_id, version)
    publisher.send_publish(broker.topic(), "7", 2, 7, dup=True)
    publisher.expect(Type.PUBREC, packet_id=7)
    for packet_id in (7, 65535):
        publisher.send(packets.ack(Type.PUBREL, packet_id))
        publisher.expect(Type.PUBCOMP, packet_id=packet_id, reason=0)
    publisher.publish(broker.topic(), "new", 2, packet_id=7)
    client = back(broker, client_id)
    assert wire.payloads(wire.fence(client, publisher, qos=2)) == [b"7", b"65535", b"new"]


def edge_044_released_id_is_free(broker, restart):
    client_id = subscriber(broker, broker.topic())
    publisher = broker.connect(**KEEP)
    publisher.publish(broker.topic(), "first", 2, packet_id=7)
    restart()
    publisher = back(broker, publisher.client_id)
    publisher.publish(broker.topic(), "second", 2, packet_id=7)
    client = back(broker, client_id)
    assert wire.payloads(client.receive(2)) == [b"first", b"second"]


# -- retained messages --

def edge_044_retained_message(broker, restart):
    publisher = broker.connect()
    props = {Prop.CONTENT_TYPE: "c", Prop.USER_PROPERTY: [("k", "v")]}
    publisher.publish(broker.topic("kept"), "old", 2, retain=True)
    publisher.publish(broker.topic("kept"), "kept", 1, retain=True, props=props)
    publisher.publish(broker.topic("large"), b"z" * 100_000, 1, retain=True)
    publisher.publish(broker.topic("cleared"), "x", 1, retain=True)
    publisher.publish(broker.topic("cleared"), "", 1, retain=True)
    restart()
    p = stored(broker, broker.topic("kept"))
    assert (p.payload, p.qos, p.retain, p.props) == (b"kept", 1, True, props)
    assert stored(broker, broker.topic("large")).payload == b"z" * 100_000
    assert stored(broker, broker.topic("cleared")) is None
    broker.connect().publish(broker.topic("kept"), "", 1, retain=True)
    restart()
    assert stored(broker, broker.topic("kept")) is None
