"""Messages of a shared group whose member is gone, on their way to other members: nothing that was
acknowledged gets lost, whenever everything dies (worker/route/redistribute.h)."""

import contextlib
import os
import signal
import time

import pytest

import courtier
import packets
from disk_scene import stand_still
from flows import KEEP, cut_after_all, keep, read_sys
from packets import V311, Type

CONF = ["sys_interval 1", "persistence true", "persistence_location {folder}/"]
NO_LIMIT = pytest.mark.conf("max_queued_messages 0")
COUNT = 20000
QUEUE_MAX = 10
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.one_shape, pytest.mark.conf(*CONF)]


def publish_all(broker, qos, count):
    """All acknowledged when it returns."""
    publisher = broker.connect(worker=0, version=V311)
    publisher.send(*[packets.publish(broker.topic(), b"%d" % i, qos, i + 1, version=V311)
                     for i in range(count)])
    for i in range(count):
        publisher.expect(Type.PUBACK if qos == 1 else Type.PUBREC, packet_id=i + 1)


def take_all(broker, client_id, count, after=0.5):
    """What waits for it, by number: `count` different ones, and what comes in a moment after."""
    client = broker.connect(client_id, **keep(RECEIVE_MAXIMUM=1000))
    assert client.connack.session_present
    got, wanted = [], set(range(count))
    try:
        while True:
            packet = client.recv(timeout=10 if wanted else after)
            if packet.type == Type.PUBREL:
                client.send(packets.ack(Type.PUBCOMP, packet.packet_id))
                continue
            got.append(int(packet.payload))
            wanted.discard(got[-1])
            client.send(packets.ack(Type.PUBACK if packet.qos == 1 else Type.PUBREC,
                                    packet.packet_id))
    except TimeoutError:
        return got


def await_moved(broker):
    """Until only the other session is on disk."""
    while read_sys(broker)["store/durable/sessions"] != "1":
        pass


def member(broker, worker, qos):
    client = broker.connect(worker=worker, **keep(RECEIVE_MAXIMUM=1000))
    client.subscribe("$share/g/" + broker.topic(), qos=qos)
    cut_after_all(client)
    return client.client_id


@NO_LIMIT
@pytest.mark.parametrize("pause", [None, 0, 0.05, 1])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("worker", [0, 1])
def test_survive_the_end_of_a_session(broker, pause, qos, worker):
    gone = member(broker, 0, qos)
    count = COUNT if qos == 1 else COUNT // 5
    publish_all(broker, qos, count)
    other = member(broker, worker, qos)
    broker.connect(gone, clean=True)
    if pause is not None:
        time.sleep(pause)
        broker.restart(kill=True)
    if qos == 2:  # what it has completed is not known, and may come once more
        await_moved(broker)
    got = take_all(broker, other, count)
    assert set(got) == set(range(count))
    if qos == 2:
        assert len(got) == count


class Taker:
    """A member at QoS 2 that takes and completes what comes, over several connections."""

    def __init__(self, broker, client_id):
        self.broker, self.client_id, self.got, self.open = broker, client_id, [], {}

    def take(self, seconds):
        """What comes in so many seconds; or, with None, until nothing more does."""
        client = self.broker.connect(self.client_id, **keep(RECEIVE_MAXIMUM=100))
        deadline = None if seconds is None else time.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while deadline is None or time.monotonic() < deadline:
                self.on_packet(client, client.recv(timeout=seconds or 3))

    def on_packet(self, client, packet):
        if packet.type == Type.PUBREL:
            self.open.pop(packet.packet_id, None)
            client.send(packets.ack(Type.PUBCOMP, packet.packet_id))
            return
        if not (packet.dup and packet.packet_id in self.open):
            self.got.append(int(packet.payload))
        self.open[packet.packet_id] = True
        client.send(packets.ack(Type.PUBREC, packet.packet_id))


@NO_LIMIT
@pytest.mark.parametrize("worker", [0, 1])
def test_what_a_member_completes_meanwhile_comes_once(broker, worker):
    """It is half moved when everything dies, and the new member is done with some of it."""
    gone = member(broker, 0, 2)
    publish_all(broker, 2, COUNT // 5)
    taker = Taker(broker, member(broker, worker, 2))
    broker.connect(gone, clean=True)
    taker.take(0.1)
    broker.restart(kill=True)
    taker.take(None)
    assert len(taker.got) == len(set(taker.got))
    assert set(taker.got) == set(range(COUNT // 5))


@NO_LIMIT
@pytest.mark.parametrize("kill", [True, False])
def test_come_back_twice(broker, kill):
    """A session that left, and does not come back with its client: nobody finds it."""
    gone = member(broker, 0, 1)
    publish_all(broker, 1, COUNT)
    other = member(broker, 1, 1)
    broker.connect(gone, clean=True).disconnect()
    for _ in range(3):
        broker.restart(kill=kill)
    assert not broker.connect(gone, **KEEP).connack.session_present
    assert set(take_all(broker, other, COUNT)) == set(range(COUNT))


@NO_LIMIT
def test_survive_an_unsubscribe(broker):
    gone = broker.connect(worker=0, **keep(RECEIVE_MAXIMUM=1))
    gone.subscribe("$share/g/" + broker.topic(), qos=1)
    publish_all(broker, 1, 400)
    other = member(broker, 1, 1)
    gone.unsubscribe("$share/g/" + broker.topic())
    broker.restart(kill=True)
    mine = take_all(broker, gone.client_id, 0, after=6)
    others = take_all(broker, other, 0, after=6)
    assert set(mine + others) == set(range(400))


class Passing:
    """The member on worker 1 is full, so what comes there is passed on to the one on worker 2.
    Each message has a publisher of its own: those that go straight there do not keep others."""

    COUNT = 8

    def __init__(self, broker, qos):
        self.broker, self.qos, self.topic = broker, qos, broker.topic()
        full = broker.connect(worker=1, **KEEP)
        full.subscribe("$share/g/" + self.topic, qos=qos)
        full.subscribe(broker.topic("own"), qos=1)
        cut_after_all(full)
        self.publishers = [broker.connect(worker=0) for _ in range(self.COUNT)]
        for i in range(QUEUE_MAX):
            self.publishers[0].publish(broker.topic("own"), str(i), 1)
        self.keeper = member(broker, 2, qos)

    @contextlib.contextmanager
    def standing_still(self, name):
        pid = self.broker.process.read_pids()[name]
        stand_still(pid)
        try:
            yield
        finally:
            if courtier.is_alive(pid):
                os.kill(pid, signal.SIGCONT)

    def send_all(self):
        for i, publisher in enumerate(self.publishers):
            publisher.send_publish(self.topic, str(i), self.qos, 1)

    def acknowledged(self, timeout=10):
        """The messages, by number."""
        done, deadline = [], time.monotonic() + timeout
        for i, publisher in enumerate(self.publishers):
            with contextlib.suppress(TimeoutError):
                assert publisher.recv(max(0.01, deadline - time.monotonic())).reason == 0
                done.append(i)
        return done


@pytest.fixture(params=[1, 2])
def passing(broker, request):
    return Passing(broker, request.param)


@pytest.mark.conf(f"max_queued_messages {QUEUE_MAX}")
def test_passed_on_waits_for_the_disk(passing):
    with passing.standing_still("store"):
        passing.send_all()
        assert passing.acknowledged(1) == []
    assert len(passing.acknowledged()) == passing.COUNT


@pytest.mark.conf(f"max_queued_messages {QUEUE_MAX}")
def test_passed_on_survives_on_its_way(broker, passing):
    """The worker that it is passed on to has not taken it when everything dies."""
    with passing.standing_still("worker 2"):
        passing.send_all()
        done = passing.acknowledged(1)
        broker.restart(kill=True)
    assert 0 < len(done) < passing.COUNT
    assert set(take_all(broker, passing.keeper, 0, after=6)) >= set(done)
