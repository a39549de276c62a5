"""Messages of a shared group whose member is gone, on their way to other members: nothing that was
acknowledged gets lost, whenever everything dies (worker/route/redistribute.h)."""

import time

import pytest

import packets
from flows import KEEP, cut_after_all, keep, read_sys
from packets import V311, Type

CONF = ["sys_interval 1", "persistence true", "persistence_location {folder}/",
        "max_queued_messages 0"]
COUNT = 20000
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.one_shape, pytest.mark.conf(*CONF)]


def publish_all(broker, qos, count):
    """All acknowledged when it returns."""
    publisher = broker.connect(worker=0, version=V311)
    publisher.send(*[packets.publish(broker.topic(), b"%d" % i, qos, i + 1, version=V311)
                     for i in range(count)])
    for i in range(count):
        publisher.expect(Type.PUBACK if qos == 1 else Type.PUBREC, packet_id=i + 1)


def take_all(broker, client_id, window=1000):
    client = broker.connect(client_id, **keep(RECEIVE_MAXIMUM=window))
    assert client.connack.session_present
    got = []
    try:
        while True:
            packet = client.recv(timeout=6)
            if packet.type == Type.PUBREL:
                client.send(packets.ack(Type.PUBCOMP, packet.packet_id))
                continue
            got.append(int(packet.payload))
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
    got = take_all(broker, other)
    assert set(got) == set(range(count))
    if qos == 2:
        assert len(got) == count


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
    assert set(take_all(broker, other)) == set(range(COUNT))


def test_survive_an_unsubscribe(broker):
    gone = broker.connect(worker=0, **keep(RECEIVE_MAXIMUM=1))
    gone.subscribe("$share/g/" + broker.topic(), qos=1)
    publish_all(broker, 1, 400)
    other = member(broker, 1, 1)
    gone.unsubscribe("$share/g/" + broker.topic())
    broker.restart(kill=True)
    mine = take_all(broker, gone.client_id)
    others = take_all(broker, other)
    assert set(mine + others) == set(range(400))
