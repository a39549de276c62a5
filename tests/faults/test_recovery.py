"""Restarts beyond what the rules of MQTT say (those are in conformance/test_restart.py): other
numbers of workers, wills of clients that were connected, much state, and no state at all."""

import os
import signal
import time

import pytest

import packets
import wire
from courtier import TROUBLE
from flows import KEEP, cut_after_all, keep, numbers, publish_numbers
from packets import V311, Prop, Type, Will

PERSISTENCE = pytest.mark.conf("persistence true", "persistence_location {folder}/",
                               "max_queued_messages 0")
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock]
DOWN_S = 1.3  # a delay of one second passes meanwhile


@pytest.fixture(params=["stop", "kill"])
def restart(request, broker):
    def restart(**how):
        broker.restart(kill=request.param == "kill", **how)
    return restart


def subscriber(broker, text, qos=2, **how):
    """The id of a session that is away."""
    client = broker.connect(**{**KEEP, **how})
    client.subscribe(text, qos=qos)
    cut_after_all(client)
    return client.client_id


def back(broker, client_id, **how):
    client = broker.connect(client_id, **{**KEEP, **how})
    assert client.connack.session_present
    return client


# -- the number of workers --

@PERSISTENCE
@pytest.mark.one_shape
@pytest.mark.parametrize("counts", [(1, 3), (4, 2), (2, 1, 4)], ids=str)
def test_sessions_move_to_their_new_homes(broker, restart, counts):
    first, *rest = counts
    restart(workers=first)
    ids = [subscriber(broker, broker.topic()) for _ in range(12)]
    publisher = broker.connect(**KEEP)
    publisher.send_publish(broker.topic(), "0", 2, 9)
    publisher.expect(Type.PUBREC, packet_id=9)
    expected = [b"0"]
    for number, workers in enumerate(rest, 1):
        restart(workers=workers)
        publisher = back(broker, publisher.client_id)
        publisher.publish(broker.topic(), str(number), 1)
        expected.append(b"%d" % number)
    publisher.send(packets.ack(Type.PUBREL, 9))
    publisher.expect(Type.PUBCOMP, packet_id=9, reason=0)
    for client_id in ids:
        assert wire.payloads(back(broker, client_id).receive(len(expected))) == expected


# -- wills --

def will(broker, **props):
    named = {Prop[name]: value for name, value in props.items()}
    return Will(broker.topic("will"), b"gone", 1, props=named)


def wills(broker, watcher_id):
    """New ones: a kill may come before the acknowledgement of what the watcher has had."""
    watcher = back(broker, watcher_id)
    return wire.payloads(p for p in wire.fence(watcher, broker.connect(), qos=1) if not p.dup)


@PERSISTENCE
def test_will_of_connected_client_comes_once(broker, restart):
    """At the stop or at the start; also of a client without session, and to new subscribers."""
    watcher = subscriber(broker, broker.topic("will"))
    broker.connect(will=will(broker))
    broker.connect(**KEEP, will=will(broker))
    restart()
    broker.process.settle()
    assert wills(broker, watcher) == [b"gone"] * 2
    restart()
    broker.process.settle()
    assert wills(broker, watcher) == []


@PERSISTENCE
@pytest.mark.one_shape
def test_stop_with_many_connections_saves_all(broker):
    """Each has a will, and a message that it does not acknowledge."""
    count = 1200
    watcher = subscriber(broker, broker.topic("will"))
    clients = []
    for i in range(count):
        clients.append(broker.connect(will=Will(broker.topic("will"), b"%d" % i, 2), **KEEP))
        clients[i].subscribe(broker.topic(f"{i % 40}"), qos=1)
    publisher = broker.connect(**KEEP)
    for i in range(40):
        publisher.publish(broker.topic(f"{i}"), "kept", 1)
    since = broker.process.log_position()
    broker.restart()
    assert not broker.process.find_log(TROUBLE, since)
    watcher = back(broker, watcher)
    assert sorted(wire.payloads(watcher.receive(count))) == sorted(b"%d" % i for i in range(count))
    wire.expect_nothing(watcher, broker.connect())
    for client in clients[::40]:
        assert wire.payloads(back(broker, client.client_id).receive(1)) == [b"kept"]


@PERSISTENCE
def test_will_after_disconnect_does_not_come(broker, restart):
    watcher = subscriber(broker, broker.topic("will"))
    broker.connect(**KEEP, will=will(broker)).disconnect()
    time.sleep(0.2)  # nobody tells when it is on disk
    restart()
    broker.process.settle()
    assert wills(broker, watcher) == []


def connect_past_one(broker, client_id, **how):
    """The kernel may give the connection to a worker that stands still: then to another one."""
    while True:
        try:
            return broker.raw(timeout=0.5).connect(client_id, **how)
        except TimeoutError:
            continue


@PERSISTENCE
@pytest.mark.one_shape
@pytest.mark.parametrize("session", [KEEP, {}], ids=["kept", "clean"])
def test_will_waits_on_disk_beside_the_next_one(broker, session):
    """The client is back with another will before the first one is where it belongs."""
    watching = broker.connect(worker=1, **KEEP)
    watching.subscribe(broker.topic("will"), qos=2)
    cut_after_all(watching)
    mortal = broker.connect(worker=0, **session, will=Will(broker.topic("will"), b"first", 2))
    os.kill(broker.process.read_pids()["worker 1"], signal.SIGSTOP)
    mortal.cut()
    connect_past_one(broker, mortal.client_id, **session,
                     will=Will(broker.topic("will"), b"second", 2))
    broker.restart(kill=True)
    broker.process.settle()
    assert wills(broker, watching.client_id) == [b"first", b"second"]


@PERSISTENCE
def test_retained_will_is_stored(broker, restart):
    broker.connect(**KEEP, will=Will(broker.topic("will"), b"gone", 1, retain=True))
    restart()
    broker.process.settle()
    late = broker.connect()
    late.subscribe(broker.topic("will"))
    late.expect_publish(broker.topic("will"), "gone", retain=True)


@PERSISTENCE
def test_delayed_will_waits_through_restart(broker, restart):
    watcher = subscriber(broker, broker.topic("will"))
    mortal = broker.connect(**KEEP, will=will(broker, WILL_DELAY=1))
    mortal.cut()
    time.sleep(0.2)
    restart()
    time.sleep(DOWN_S)
    broker.process.settle()
    assert wills(broker, watcher) == [b"gone"]


@PERSISTENCE
def test_delayed_will_is_cancelled_by_return(broker, restart):
    watcher = subscriber(broker, broker.topic("will"))
    mortal = broker.connect(**KEEP, will=will(broker, WILL_DELAY=2))
    mortal.cut()
    restart()
    back(broker, mortal.client_id)
    time.sleep(2.2)
    broker.process.settle()
    assert wills(broker, watcher) == []


# -- much, and nothing --

@PERSISTENCE
@pytest.mark.one_shape
def test_many_sessions_and_a_long_queue(broker, restart):
    ids = [subscriber(broker, broker.topic(f"{i % 50}")) for i in range(300)]
    deep = subscriber(broker, broker.topic("deep"), **keep(RECEIVE_MAXIMUM=100))
    publisher = broker.connect(version=V311)
    count = 5000
    publisher.send(*[packets.publish(broker.topic("deep"), b"%d" % i, 1, i + 1, version=V311)
                     for i in range(count)])
    for i in range(count):
        publisher.expect(Type.PUBACK, packet_id=i + 1)
    for i in range(50):
        publish_numbers(publisher, broker.topic(f"{i}"), 0, 3)
    restart()
    assert wire.payloads(back(broker, deep).receive(count)) == numbers(0, count)
    for client_id in ids:
        assert wire.payloads(back(broker, client_id).receive(3)) == numbers(0, 3)


@pytest.mark.one_shape
@pytest.mark.conf("persistence false", "persistence_location {folder}/")
def test_nothing_is_kept_without_persistence(broker, restart):
    client_id = subscriber(broker, broker.topic())
    broker.connect().publish(broker.topic(), "x", 1, retain=True)
    restart()
    client = broker.connect(client_id, **KEEP)
    assert not client.connack.session_present
    client.subscribe(broker.topic())
    wire.expect_nothing(client, broker.connect())
    assert sorted(os.listdir(broker.process.folder)) == ["test.conf"]


@PERSISTENCE
@pytest.mark.one_shape
def test_persistence_turned_off_leaves_the_file(broker, restart):
    """And turned on again it is as it was."""
    client_id = subscriber(broker, broker.topic())
    broker.connect().publish(broker.topic(), "x", 1)
    restart(lines=["persistence false", "persistence_location {folder}/"])
    assert not broker.connect(client_id, **KEEP).connack.session_present
    restart(lines=["persistence true", "persistence_location {folder}/"])
    assert wire.payloads(back(broker, client_id).receive(1)) == [b"x"]
