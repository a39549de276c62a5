"""Every option that is a limit, at its limit: just inside, just outside, and nobody else hurt.
Those of queues and windows are in test_queue.py, of packets in test_packet_size.py."""

import time

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will


def attempt(broker, client_id, version=V5, **how):
    """A connection's CONNACK code, or None when it is closed without one."""
    client = broker.raw(version)
    client.send(packets.connect(client_id, version, **how))
    try:
        p = client.recv()
    except wire.Closed:
        return None
    client.connack = p
    return p.reason


def until(condition, what, timeout=5):
    """Polls for what only the broker's processes know."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what


# -- connections and sessions --

@pytest.mark.bare
@pytest.mark.conf("global_max_connections 3")
def test_global_max_connections(broker):
    clients = []
    until(lambda: attempt(broker, "probe") == 0, "the broker's gauge fell back to 0")
    broker.clients[-1].disconnect()
    for i in range(3):
        client = broker.raw()
        client.connect(f"{broker.prefix}-{i}")
        clients.append(client)
    assert attempt(broker, "one too many") is None
    for client in clients:
        client.ping()
    clients[1].disconnect()
    until(lambda: attempt(broker, "one more") == 0, "room for a new connection")


@pytest.mark.bare
@pytest.mark.conf("max_connections 3")
def test_max_connections_of_listener(broker):
    clients = []
    for i in range(3):
        client = broker.raw()
        client.connect(f"{broker.prefix}-{i}")
        clients.append(client)
    assert attempt(broker, "one too many") is None
    for client in clients:
        client.ping()
    clients[1].disconnect()
    until(lambda: attempt(broker, "one more") == 0, "room for a new connection")


@pytest.mark.bare
@pytest.mark.conf("max_sessions 4")
@pytest.mark.spec("MQTT-3.1.4-2")
def test_max_sessions(broker, version):
    """Connected and absent ones; who has a session already is let in."""
    until(lambda: attempt(broker, "probe") == 0, "sessions of the test before are gone")
    broker.clients[-1].disconnect()
    kept = broker.raw()
    kept.connect(f"{broker.prefix}-kept", props={Prop.SESSION_EXPIRY: 60})
    kept.disconnect()
    others = []
    for i in range(3):
        client = broker.raw()
        client.connect(f"{broker.prefix}-{i}")
        others.append(client)
    expected = Reason.QUOTA if version == V5 else 3
    assert attempt(broker, "one too many", version) == expected
    again = broker.raw()
    again.connect(f"{broker.prefix}-kept", clean=False)
    assert again.connack.session_present
    again.disconnect()  # with expiry 0: its session ends
    until(lambda: attempt(broker, "one more") == 0, "room for a new session")
    for client in others:
        client.ping()


@pytest.mark.conf("max_subscriptions_per_session 5")
def test_max_subscriptions_per_session(broker, version):
    client = broker.connect(version=version)
    refused = {V5: Reason.QUOTA, V311: 0x80, V31: 0}[version]
    filters = [broker.topic(str(i)) for i in range(7)]
    client.subscribe(*filters, qos=1, codes=[1] * 5 + [refused] * 2)
    client.subscribe(filters[2], qos=1)  # replaces
    client.unsubscribe(filters[0])
    client.subscribe(filters[6], qos=1)
    client.subscribe(filters[5], qos=1, codes=[refused])
    client.publish(filters[5], "refused")
    client.publish(filters[6], "granted")
    client.expect_publish(filters[6], "granted")


# -- topics --

@pytest.mark.conf("max_topic_levels 4")
@pytest.mark.parametrize("version", [V311, V5])
def test_max_topic_levels(broker, version):
    client = broker.connect(version=version)
    refused = Reason.QUOTA if version == V5 else 0x80
    top = broker.topic()
    client.subscribe(top + "/b/c/#", top + "/b/c/d/#", codes=[0, refused])
    client.publish(top + "/b/c/d", "x")
    client.expect_publish(top + "/b/c/d", "x")
    client.send_publish(top + "/b/c/d/e", "x")
    client.expect_reject(Reason.TOPIC_INVALID)


@pytest.mark.conf("max_topic_length 50")
@pytest.mark.parametrize("version", [V311, V5])
def test_max_topic_length(broker, version):
    client = broker.connect(version=version)
    refused = Reason.QUOTA if version == V5 else 0x80
    topic = broker.topic().ljust(50, "x")
    client.subscribe(topic, topic + "y", codes=[0, refused])
    client.publish(topic, "x")
    client.expect_publish(topic, "x")
    client.send_publish(topic + "y", "x")
    client.expect_reject(Reason.TOPIC_INVALID)


@pytest.mark.conf("max_topic_length 50")
def test_max_topic_length_of_will(broker):
    broker.raw().connect("x", Reason.TOPIC_INVALID, will=Will("x" * 51))


def test_default_limit_of_levels(broker, homes):
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1])
    topic = broker.topic("/".join("abc" for _ in range(199)))
    subscriber.subscribe(topic, broker.topic("+" + "/+" * 198))
    publisher.publish(topic, "x")
    assert len(subscriber.receive(2)) == 2
    subscriber.subscribe(topic + "/x", codes=[Reason.QUOTA])


def test_longest_topic(broker, homes):
    """65535 bytes, in one level: longer than any key of the live store."""
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1])
    topics = [broker.topic().ljust(65534, "x") + last for last in "ab"]
    subscriber.subscribe(topics[0])
    for topic in topics:
        publisher.publish(topic, topic[-1], 1, retain=True)
    subscriber.expect_publish(topics[0], "a")
    subscriber.subscribe(topics[1])
    subscriber.expect_publish(topics[1], "b", retain=True)
    for topic in topics:
        publisher.publish(topic, "", 1, retain=True)


# -- retained messages and the live store --

@pytest.mark.fresh
@pytest.mark.clock
@pytest.mark.conf("max_retained_messages 10")
def test_retained_limit_does_not_count_sys(broker):
    client = broker.connect()
    client.subscribe("$SYS/broker/uptime")
    client.expect_publish(retain=True)
    client.publish(broker.topic(), "x", 1, retain=True)
    client.subscribe(broker.topic())
    client.expect_publish(broker.topic(), "x", retain=True)


@pytest.mark.fresh
@pytest.mark.conf("live_size_max 1M")
def test_full_live_store(broker):
    """Subscriptions are refused with a code, all else goes on, and freed room can be used."""
    keeper, filler = broker.connect(), broker.connect(worker=broker.workers - 1)
    keeper.subscribe(broker.topic("kept"))
    filters, refused = [], False
    while not refused:
        batch = [broker.topic(f"filter/number/{len(filters) + i}") for i in range(200)]
        filler.send(packets.subscribe(1, [(f, 0) for f in batch]))
        codes = filler.expect(Type.SUBACK).codes
        assert set(codes) <= {0, Reason.QUOTA}
        filters += [f for f, code in zip(batch, codes) if code == 0]
        refused = Reason.QUOTA in codes
    assert len(filters) > 500
    for f in (filters[0], filters[-1]):
        keeper.publish(f, "x")
        filler.expect_publish(f, "x")
    filler.publish(broker.topic("kept"), "still routed")
    keeper.expect_publish(broker.topic("kept"), "still routed")
    filler.publish(broker.topic("big"), bytes(500000), 1, retain=True)
    filler.unsubscribe(*filters)
    until(lambda: subscribes(keeper, broker.topic("new")), "room in the live store")
    filler.publish(broker.topic("new"), "x")
    keeper.expect_publish(broker.topic("new"), "x")


def subscribes(client, text):
    client.send(packets.subscribe(9, [(text, 0)]))
    return client.await_packet(Type.SUBACK).codes == [0]


@pytest.mark.fresh
@pytest.mark.conf("live_size_max 1M")
def test_full_live_store_of_retained_messages(broker):
    client = broker.connect()
    reader = broker.connect(worker=broker.workers - 1)
    reader.subscribe(broker.topic("+"))  # now, as a new filter takes room too,
    wire.expect_nothing(reader, reader)  # and so does that of the fence
    for i in range(100):
        client.publish(broker.topic(str(i)), bytes(20000), 1, retain=True)
        reader.expect_publish(retain=False)
    reader.subscribe(broker.topic("+"))
    stored = {p.topic for p in wire.fence(reader, reader)}
    assert 10 <= len(stored) < 60
    for topic in stored:
        client.publish(topic, "", 1, retain=True)
    client.publish(broker.topic("new"), bytes(20000), 1, retain=True)
    late = broker.connect(worker=broker.workers - 1)
    late.subscribe(broker.topic("new"))
    late.expect_publish(broker.topic("new"), retain=True)


# -- a client that never reads --

def stuff(publisher, topic, size, count, qos):
    """Publishes so many; returns after the broker has answered a ping behind them."""
    for _ in range(count):
        publisher.publish(topic, bytes(size), qos)
    publisher.ping()


def deaf_client(broker, worker, **how):
    client = broker.raw(receive_buffer=4096)
    client.connect(broker.new_id(worker), **how)
    return client


@pytest.mark.conf("max_output_buffer 64K")
@pytest.mark.clock
def test_client_that_never_reads_and_keep_alive(broker):
    """It is cut when it does not ping, whatever waits for it."""
    publisher = broker.connect()
    deaf = deaf_client(broker, 0, keep_alive=1)
    deaf.subscribe(broker.topic())
    stuff(publisher, broker.topic(), 50000, 100, 0)
    until(lambda: attempt_publish(publisher, broker.topic()) == Reason.NO_SUBSCRIBERS,
          "the deaf client is gone", 8)


def attempt_publish(client, topic):
    return client.publish(topic, "x", 1)


# -- descriptors --

@pytest.mark.files(120)
def test_descriptor_limit(broker):
    """F14: at the limit new connections are closed, old ones work, and it ends."""
    clients, closed = [], 0
    while closed < 5:
        client = broker.raw(V31)
        client.send(packets.connect(f"fd{len(clients)}", V31))
        try:
            client.expect_connack()
            clients.append(client)
        except wire.Closed:
            closed += 1
        assert len(clients) < 120 * broker.workers
    assert len(clients) >= 5
    for client in clients:
        client.ping()
    for client in clients:
        client.disconnect()
    until(lambda: attempt(broker, "after") == 0, "a connection after the limit")
