"""QoS 2 in both directions through crashes and refusals: what is acknowledged comes, and comes
once."""

import os
import signal

import pytest

import packets
import wire
from flows import KEEP, cut_after_all
from packets import Type

CONF = ["persistence true", "persistence_location {folder}/", "max_queued_messages 0"]
PERSISTENCE = pytest.mark.conf(*CONF)
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock, pytest.mark.one_shape]


def subscriber(broker, worker, qos=2):
    client = broker.connect(worker=worker, **KEEP)
    client.subscribe(broker.topic(), qos=qos)
    return client


def back(broker, client, **how):
    client = broker.connect(client.client_id, **{**KEEP, **how})
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
    os.kill(pids["worker 2"], signal.SIGCONT)
    publisher = repeat(broker, publisher, 7)
    assert b"x" in wire.payloads(wire.fence(slow, publisher, qos=2))
    assert wire.payloads(wire.fence(fast, publisher, qos=2)) == []
