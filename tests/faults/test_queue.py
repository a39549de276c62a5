"""Queues that are longer than what a worker holds in memory: they stay on disk, and come back page
by page (worker/route/fetch.h)."""

import os
import signal
import threading
import time

import pytest

import packets
import wire
from courtier import is_alive
from flows import KEEP, cut_after_all, keep, numbers
from packets import V5, V311, Prop, Type

LONG = int(os.environ.get("MESSAGES", "200000"))
BLOCK = 500  # messages that a publisher sends without waiting
GONE = (wire.Closed, AssertionError, OSError)
GROWTH_KIB = 4096  # of a process, whatever waits on disk
PERSISTENCE = ["persistence true", "persistence_location {folder}/", "max_inflight_messages 0"]
NO_LIMIT = pytest.mark.conf(*PERSISTENCE, "max_queued_messages 0")
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.one_shape,
              pytest.mark.timeout(60 + LONG // 500)]


def away(broker, text, worker=None, qos=1, **props):
    """The id of a session that is away, with a subscription."""
    client = broker.connect(worker=worker, **keep(**props))
    client.subscribe(text, qos=qos)
    cut_after_all(client)
    return client.client_id


def publish(publisher, topic, start, end, qos=1, size=0):
    """Numbers, all acknowledged when it returns."""
    for first in range(start, end, BLOCK):
        ids = range(first, min(first + BLOCK, end))
        publisher.send(*[packets.publish(topic, (b"%d" % i).ljust(size), qos, i % 60000 + 1,
                                         version=publisher.version) for i in ids])
        for i in ids:
            publisher.expect(Type.PUBACK, packet_id=i % 60000 + 1)


def memory(broker):
    """Anonymous memory of each process, in KiB."""
    found = {}
    for name, pid in broker.process.read_pids().items():
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            found[name] = int(next(line for line in file if line.startswith("RssAnon")).split()[1])
    return found


def assert_small(broker, before):
    if broker.process.is_sanitized():
        return
    grown = {name: kib - before[name] for name, kib in memory(broker).items()}
    assert all(kib < GROWTH_KIB for kib in grown.values()), grown


def values(received):
    return [int(p.payload) for p in received]


# -- much --

@NO_LIMIT
def test_long_queue_costs_no_memory(broker):
    """It comes in order, while more is published behind it."""
    client_id = away(broker, broker.topic())
    publisher = broker.connect(version=V311)
    publish(publisher, broker.topic(), 0, BLOCK)
    before = memory(broker)
    publish(publisher, broker.topic(), BLOCK, LONG)
    assert_small(broker, before)
    client = broker.connect(client_id, **keep(RECEIVE_MAXIMUM=200))
    more = threading.Thread(target=publish,
                            args=(publisher, broker.topic(), LONG, LONG + LONG // 20))
    more.start()
    assert values(client.receive(LONG + LONG // 20)) == list(range(LONG + LONG // 20))
    more.join()
    assert_small(broker, before)
    publisher.publish(broker.topic(), "last", 1)
    client.expect_publish(payload="last")


@NO_LIMIT
def test_long_queue_of_connected_client(broker, homes):
    """One that acknowledges nothing for a while."""
    count = 5000
    client = broker.connect(worker=homes[1], **keep(RECEIVE_MAXIMUM=3))
    client.subscribe(broker.topic(), qos=1)
    publisher = broker.connect(worker=homes[0], version=V311)
    publish(publisher, broker.topic(), 0, count)
    assert values(client.receive(count)) == list(range(count))


@NO_LIMIT
@pytest.mark.parametrize("window", [1, 30])
def test_bodies_larger_than_a_ring(broker, window):
    client_id = away(broker, broker.topic())
    publisher = broker.connect()
    large = [bytes([i]) * (700000 + i) for i in range(8)]
    for i, payload in enumerate(large):
        publisher.publish(broker.topic(), payload, 1)
        publisher.publish(broker.topic(), b"%d" % i, 1)
    client = broker.connect(client_id, **keep(RECEIVE_MAXIMUM=window))
    got = wire.payloads(client.receive(16))
    assert got[0::2] == large and got[1::2] == numbers(0, 8)


@NO_LIMIT
@pytest.mark.parametrize("window", [1, 7, 1000])
def test_queue_of_all_kinds(broker, window):
    """QoS 1 and 2, subscription identifiers, both versions, and a restart in between."""
    count = 1500
    client = broker.connect(**keep(RECEIVE_MAXIMUM=window))
    client.subscribe(broker.topic(), qos=2, props={Prop.SUBSCRIPTION_ID: 77})
    cut_after_all(client)
    publisher = broker.connect()
    for i in range(count):
        publisher.publish(broker.topic(), str(i), 1 + i % 2)
    old = broker.connect(client.client_id, V311, clean=False)
    assert values(old.receive(100)) == list(range(100))
    cut_after_all(old)
    broker.restart()
    new = broker.connect(client.client_id, **keep(RECEIVE_MAXIMUM=window))
    got = new.receive(count - 100)
    assert values(got) == list(range(100, count))
    assert [p.qos for p in got] == [1 + i % 2 for i in range(100, count)]
    assert all(p.props[Prop.SUBSCRIPTION_ID] == [77] for p in got)


@NO_LIMIT
def test_takeover_while_a_page_is_on_its_way(broker):
    count = 3000
    client_id = away(broker, broker.topic())
    publisher = broker.connect(version=V311)
    publish(publisher, broker.topic(), 0, count)
    got = set()
    for _ in range(20):
        client = broker.connect(client_id, **keep(RECEIVE_MAXIMUM=10))
        got.update(values(client.receive(20)))
    client = broker.connect(client_id, **KEEP)
    while len(got) < count:
        got.add(int(client.expect_publish().payload))
    assert got == set(range(count))


@NO_LIMIT
def test_many_sessions_fetch_at_once(broker):
    """More than may ask at a time."""
    count, sessions = 40, 300
    ids = [away(broker, broker.topic()) for _ in range(sessions)]
    publisher = broker.connect(version=V311)
    publish(publisher, broker.topic(), 0, count)
    clients = [broker.connect(client_id, **keep(RECEIVE_MAXIMUM=5)) for client_id in ids]
    for client in clients:
        assert values(client.receive(count)) == list(range(count))


@NO_LIMIT
def test_end_of_long_queue_holds_nobody_up(broker):
    count = 20000
    client_id = away(broker, broker.topic())
    other_id = away(broker, broker.topic("other"))
    publisher = broker.connect(version=V311)
    publish(publisher, broker.topic(), 0, count, size=300)
    broker.connect(client_id).disconnect()
    slowest = 0
    for i in range(50):
        start = time.monotonic()
        publisher.publish(broker.topic("other"), str(i), 1)
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 1, slowest
    assert values(broker.connect(other_id, **KEEP).receive(50)) == list(range(50))


# -- faults --

def next_publish(client):
    """After the PUBRELs that a resumed session begins with."""
    while (p := client.recv()).type == Type.PUBREL:
        client.send(packets.ack(Type.PUBCOMP, p.packet_id))
    assert p.type == Type.PUBLISH
    return p


def receive_over(broker, client_id, count, fault, **how):
    """All numbers, in the order of their first coming, over a fault after a third of them; and
    those at QoS 2 that came twice: not again, under the same packet id."""
    client, first, twice, seen = broker.connect(client_id, **how), [], [], {}
    while len(seen) < count:
        try:
            p = next_publish(client)
            number = int(p.payload)
            first += [number] * (number not in seen)
            is_again = p.packet_id == seen.setdefault(number, p.packet_id)
            twice += [number] * (p.qos == 2 and not is_again)
            if len(first) == count // 3 and fault:
                fault = fault()
            client.acknowledge(p)
        except GONE:
            client = reconnect(broker, client_id, **how)
    return first, twice


def reconnect(broker, client_id, **how):
    deadline = time.monotonic() + 20
    while True:
        try:
            client = broker.connect(client_id, **how)
            assert client.connack.session_present
            return client
        except GONE:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def kill(broker, target):
    process = broker.process
    if target == "everything":
        process.restart(kill=True)
        return
    for name, pid in process.read_pids().items():
        if name.startswith(target):
            os.kill(pid, signal.SIGKILL)
            while is_alive(pid):
                time.sleep(0.001)


@NO_LIMIT
@pytest.mark.parametrize("target", ["worker", "store", "everything"])
@pytest.mark.parametrize("window, qos", [(1, 1), (50, 1), (50, 2)])
def test_kill_in_the_midst_of_a_queue(broker, target, window, qos):
    count = 4000
    client_id = away(broker, broker.topic(), qos=qos, RECEIVE_MAXIMUM=window)
    publisher = broker.connect(version=V311)
    if qos == 1:
        publish(publisher, broker.topic(), 0, count)
    else:
        for i in range(count // 4):
            publisher.publish(broker.topic(), str(i), 2)
        count //= 4
    first, twice = receive_over(broker, client_id, count, lambda: kill(broker, target),
                                **keep(RECEIVE_MAXIMUM=window))
    assert first == list(range(count)) and twice == []


@NO_LIMIT
@pytest.mark.parametrize("target", ["worker", "store", "everything"])
def test_kill_while_it_grows(broker, target):
    """All that was acknowledged is there once, in order."""
    client_id = away(broker, broker.topic())
    publisher = broker.connect(version=V311)
    acked, i = [], 0
    for _ in range(3):
        end = i + 600
        while i < end:
            try:
                publisher.publish(broker.topic(), str(i), 1)
                acked.append(i)
            except GONE:
                publisher = broker.connect(version=V311)
            i += 1
            if i == end - 300:
                kill(broker, target)
    client = reconnect(broker, client_id, **KEEP)
    got = []
    while not got or got[-1] != acked[-1]:
        got.append(int(client.expect_publish().payload))
    assert got == sorted(set(got)) and set(acked) <= set(got)


# -- limits --

def at_limit(broker, homes, version, lines, payloads):
    """What the publisher hears of each, and what is in the queue."""
    broker.restart(lines=[*PERSISTENCE, *lines])
    since = broker.process.log_position()
    client_id = away(broker, broker.topic(), worker=homes[1])
    heard = []
    for payload in payloads:
        publisher = broker.connect(worker=homes[0], version=version)
        try:
            heard.append(publisher.publish(broker.topic(), payload, 1))
        except GONE:
            heard.append("closed")
    client = broker.connect(client_id, **KEEP)
    got = wire.payloads(wire.fence(client, broker.connect(), qos=1))
    broker.process.wait_log(f"dropped for client {client_id}", since=since)
    return heard, got


LIMITS = pytest.mark.parametrize("limit", ["max_queued_messages 3", "max_queued_bytes"])


@NO_LIMIT
@LIMITS
@pytest.mark.parametrize("version", [V311, V5])
@pytest.mark.parametrize("mode", ["drop", "refuse"])
def test_limit(broker, homes, limit, version, mode):
    """The third message fits exactly, the fourth does not."""
    payloads = [b"a" * 100, b"b" * 100, b"c" * 100, b"d" * 100]
    if limit == "max_queued_bytes":
        limit = f"max_queued_bytes {3 * (100 + len(broker.topic()))}"
    heard, got = at_limit(broker, homes, version, [limit, f"queue_full {mode}"], payloads)
    good = 0 if version == V5 else heard[0]
    refused = {("drop", V5): 0, ("drop", V311): good, ("refuse", V5): 0x97,
               ("refuse", V311): "closed"}[mode, version]
    assert heard == [good, good, good, refused]
    assert got == payloads[:3]


@pytest.mark.conf(*PERSISTENCE, "max_queued_messages 3")
def test_expired_messages_make_room(broker):
    """On disk too, within a second or so; and are not delivered."""
    client_id = away(broker, broker.topic())
    publisher = broker.connect()
    for i in range(3):
        publisher.publish(broker.topic(), f"old {i}", 1, props={Prop.MESSAGE_EXPIRY: 1})
    time.sleep(1.2)
    publisher.publish(broker.topic(), "dropped", 1)
    time.sleep(0.5)
    for i in range(4):
        publisher.publish(broker.topic(), str(i), 1)
    client = broker.connect(client_id, **KEEP)
    assert wire.payloads(wire.fence(client, publisher, qos=1)) == numbers(0, 3)


@NO_LIMIT
def test_expired_messages_are_passed_over(broker):
    client_id = away(broker, broker.topic())
    publisher = broker.connect()
    for i in range(300):
        props = {Prop.MESSAGE_EXPIRY: 1} if i % 3 else {}
        publisher.publish(broker.topic(), str(i), 1, props=props)
    time.sleep(1.5)
    client = broker.connect(client_id, **KEEP)
    assert values(client.receive(100)) == list(range(0, 300, 3))
    wire.expect_nothing(client, publisher)


@pytest.mark.conf(*PERSISTENCE, "max_queued_messages 0", "queue_qos0_messages true")
def test_qos0_is_paged_too(broker):
    client_id = away(broker, broker.topic(), qos=2)
    publisher = broker.connect()
    for i in range(30):
        publisher.publish(broker.topic(), str(i), i % 3)
    publisher.ping()
    got = broker.connect(client_id, **keep(RECEIVE_MAXIMUM=5)).receive(30)
    for qos in range(3):  # the order of messages is one for each QoS
        assert values(p for p in got if p.qos == qos) == list(range(qos, 30, 3))
