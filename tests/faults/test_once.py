"""QoS 2 in both directions through crashes and refusals: what is acknowledged comes, and comes
once."""

import os
import signal
import time

import pytest

import packets
import wire
from flows import KEEP, cut_after_all, keep
from load import wait
from packets import V311, Type

CONF = ["persistence true", "persistence_location {folder}/", "max_queued_messages 0"]
PERSISTENCE = pytest.mark.conf(*CONF)
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock, pytest.mark.one_shape]


def subscriber(broker, worker, qos=2):
    client = broker.connect(worker=worker, **KEEP)
    client.subscribe(broker.topic(), qos=qos)
    return client


def back(broker, client, **how):
    client = broker.connect(client.client_id, **(how or KEEP))
    assert client.connack.session_present
    return client


def finish(publisher, packet_id):
    publisher.expect(Type.PUBREC, packet_id=packet_id, reason=0)
    publisher.send(packets.ack(Type.PUBREL, packet_id))
    publisher.expect(Type.PUBCOMP, packet_id=packet_id, reason=0)


def repeat(broker, publisher, packet_id, payload="x"):
    """After a restart, to the end. The publisher, who may be in touch with the broker again."""
    publisher = back(broker, publisher)
    publisher.send_publish(broker.topic(), payload, 2, packet_id, dup=True)
    finish(publisher, packet_id)
    return publisher


def stuff_ring(broker, worker):
    """Stops this worker, and fills the ring to it."""
    filler = broker.connect(worker=0)
    os.kill(broker.process.read_pids()[f"worker {worker}"], signal.SIGSTOP)
    filler.socket.settimeout(0.3)
    try:
        while True:
            filler.socket.sendall(packets.publish(broker.topic("fill"), b"f" * 4000, 0))
    except TimeoutError:
        pass


@PERSISTENCE
def test_everything_dies_before_the_last_subscriber_has_it(broker):
    """One had it, and is done with it; the ring to the other's worker is full."""
    fast, slow = subscriber(broker, 1), subscriber(broker, 2)
    slow.subscribe(broker.topic("fill"), qos=0)
    publisher = broker.connect(worker=0, **KEEP)
    stuff_ring(broker, 2)
    publisher.send_publish(broker.topic(), "x", 2, 7)
    fast.expect_publish(broker.topic(), "x")
    cut_after_all(fast)
    publisher.cut()
    broker.restart(kill=True)
    fast = back(broker, fast)
    publisher = repeat(broker, publisher, 7)
    assert wire.payloads(wire.fence(fast, publisher, qos=2)) == []
    back(broker, slow).expect_publish(broker.topic(), "x")


@PERSISTENCE
def test_its_worker_dies_before_the_last_subscriber_has_it(broker):
    """It is not lost to the one that was slow."""
    fast, slow = subscriber(broker, 1), subscriber(broker, 2)
    slow.subscribe(broker.topic("fill"), qos=0)
    publisher = broker.connect(worker=0, **KEEP)
    stuff_ring(broker, 2)
    publisher.send_publish(broker.topic(), "x", 2, 7)
    fast.expect(Type.PUBLISH, payload=b"x")
    publisher.cut()
    pids = broker.process.read_pids()
    os.kill(pids["worker 0"], signal.SIGKILL)
    wait(lambda: broker.process.read_pids().get("worker 0", pids["worker 0"]) != pids["worker 0"],
         "a successor")  # who comes before may be taken in by the one that dies
    os.kill(pids["worker 2"], signal.SIGCONT)
    publisher = repeat(broker, publisher, 7)
    assert b"x" in wire.payloads(wire.fence(slow, publisher, qos=2))
    assert wire.payloads(wire.fence(fast, publisher, qos=2)) == []


# -- refused: the disk is full --

FULL = pytest.mark.conf(*CONF, "persistence_size_max 2M", "max_queued_bytes 0")
LARGE = b"x" * 4000
BURST = 50


def fill(broker):
    """A session that is away, with so much that there is little room for more."""
    filler = broker.connect(worker=0, **KEEP)
    filler.subscribe(broker.topic("fill"), qos=1)
    filler.subscribe(broker.topic("probe"), qos=1)
    cut_after_all(filler)
    publisher = broker.connect()
    for _ in range(200):
        assert publisher.publish(broker.topic("fill"), LARGE, 1) == 0
    return filler


def make_room(broker, filler):
    filler = back(broker, filler, **keep(RECEIVE_MAXIMUM=100))
    filler.receive(200)
    publisher, deadline = broker.connect(), time.monotonic() + 15
    while publisher.publish(broker.topic("probe"), LARGE, 1) != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def publish_until_refused(broker, publisher):
    """In bursts, so that several are under way then: what was acknowledged, and the others."""
    acked, sent = set(), 0
    try:
        while True:
            ids = range(sent + 1, sent + 1 + BURST)
            publisher.send(*[packets.publish(broker.topic(), b"%d-" % i + LARGE, 2, i, version=V311)
                             for i in ids])
            sent += BURST
            for _ in ids:
                acked.add(publisher.expect(Type.PUBREC).packet_id)
    except wire.Closed:
        return acked, set(range(1, sent + 1)) - acked


def drain(client):
    got = []
    try:
        while True:
            p = client.recv(timeout=1)
            client.acknowledge(p)
            got.append(int(p.payload.split(b"-")[0]))
    except TimeoutError:
        return got


@FULL
@pytest.mark.parametrize("online", [False, True], ids=["away", "online"])
@pytest.mark.parametrize("worker", [0, 1])
def test_refused_and_repeated_comes_once(broker, worker, online):
    """Before 5.0 the client isn't told: it comes again with the same packet ids."""
    filler = fill(broker)
    subscribers = [subscriber(broker, worker) for _ in range(3)]
    if not online:
        for client in subscribers:
            cut_after_all(client)
    publisher = broker.connect(worker=0, version=V311, clean=False)
    acked, refused = publish_until_refused(broker, publisher)
    assert refused
    make_room(broker, filler)
    publisher = broker.connect(publisher.client_id, version=V311, clean=False)
    assert publisher.connack.session_present
    for i in sorted(refused):
        publisher.send_publish(broker.topic(), b"%d-" % i + LARGE, 2, i, dup=True)
        finish(publisher, i)
    if not online:
        broker.restart(kill=True)
        subscribers = [back(broker, client) for client in subscribers]
    for client in subscribers:
        assert sorted(drain(client)) == sorted(acked | refused)


@FULL
@pytest.mark.parametrize("online", [False, True], ids=["away", "online"])
def test_full_store_can_be_drained(broker, online):
    """Though some of it was refused: to be done with a message needs no room."""
    client = broker.connect(worker=0, **keep(RECEIVE_MAXIMUM=10))
    client.subscribe(broker.topic(), qos=2)
    if not online:
        cut_after_all(client)
    publisher, count = broker.connect(worker=0), 0
    while publisher.publish(broker.topic(), LARGE, 2) == 0:
        count += 1
    assert count > 100
    if not online:
        client = back(broker, client, **keep(RECEIVE_MAXIMUM=10))
    client.receive(count)
    deadline = time.monotonic() + 15
    while publisher.publish(broker.topic(), "y", 2) != 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
