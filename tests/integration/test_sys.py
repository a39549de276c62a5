"""$SYS: names and formats that tools for Mosquitto expect, and values after known traffic."""

import re
import time

import pytest

import packets
from flows import read_sys
from packets import V311

pytestmark = [pytest.mark.fresh, pytest.mark.conf("sys_interval 1")]


def await_values(broker, **expected):
    """Until these (with _ for /) are the values."""
    wanted = {name.replace("_", "/"): str(value) for name, value in expected.items()}
    deadline = time.monotonic() + 8
    while not wanted.items() <= (values := read_sys(broker)).items():
        if time.monotonic() > deadline:
            assert {name: values.get(name) for name in wanted} == wanted
    return values


def steady_retained_count(broker):
    """$SYS itself is retained, and grows during the first rounds."""
    count, last = 0, -1
    while count != last or count == 0:
        count, last = int(read_sys(broker)["retained messages/count"]), count
    return count


@pytest.mark.clock
def test_version_and_uptime(broker):
    values = read_sys(broker)
    assert re.fullmatch(r"courtier version \d+\.\d+\.\d+", values["version"])
    assert re.fullmatch(r"\d+ seconds", values["uptime"])
    watcher = broker.connect(version=V311)
    watcher.subscribe("$SYS/broker/uptime")
    first = watcher.expect_publish(retain=True)
    watcher.expect_publish(retain=False)
    later = watcher.expect_publish(retain=False)
    assert int(later.payload.split()[0]) > int(first.payload.split()[0])


@pytest.mark.clock
def test_names_of_mosquitto(broker):
    while "load/sockets/1min" not in (values := read_sys(broker)):
        pass  # they come with the first round after the start
    names = """clients/total clients/connected clients/disconnected clients/active clients/inactive
        clients/maximum clients/expired messages/received messages/sent messages/stored
        store/messages/count store/messages/bytes subscriptions/count
        shared_subscriptions/count publish/messages/received publish/messages/sent
        publish/messages/dropped publish/bytes/received publish/bytes/sent
        bytes/received bytes/sent version uptime""".split()
    missing = [name for name in [*names, "retained messages/count"] if name not in values]
    assert missing == []
    kinds = ("messages/received messages/sent publish/received publish/sent publish/dropped "
             "bytes/received bytes/sent sockets connections").split()
    for kind in kinds:
        for span in ("1min", "5min", "15min"):
            assert re.fullmatch(r"\d+\.\d\d", values[f"load/{kind}/{span}"])


@pytest.mark.clock
def test_values_after_known_traffic(broker):
    how = {"clean": False}
    asleep = broker.connect(version=V311, **how)
    asleep.subscribe(broker.topic("q"), qos=1)
    asleep.disconnect()
    subscriber = broker.connect(worker=broker.workers - 1)
    subscriber.subscribe(broker.topic("a"), broker.topic("b"), "$share/g/" + broker.topic("s"))
    publisher = broker.connect()
    for i in range(10):
        publisher.publish(broker.topic("a"), "12345", i % 3)
        subscriber.expect_publish()
    for _ in range(4):
        publisher.publish(broker.topic("q"), "123", 1)
    before = steady_retained_count(broker)
    publisher.publish(broker.topic("r"), "x", 1, retain=True)
    values = await_values(broker, messages_stored=4, publish_messages_received=15,
                          publish_bytes_received=63)
    assert int(values["retained messages/count"]) == before + 1
    # The subscriber's two plain ones, the sleeper's, and perhaps that of who reads this.
    assert 3 <= int(values["subscriptions/count"]) <= 4
    assert values["shared_subscriptions/count"] == "1"
    assert int(values["clients/disconnected"]) == 1
    assert 2 <= int(values["clients/connected"]) <= 4
    assert int(values["clients/total"]) == int(values["clients/connected"]) + 1
    assert int(values["publish/messages/sent"]) >= 10
    assert values["clients/expired"] == "0"


@pytest.mark.clock
def test_gauges_return_to_nothing(broker):
    """O3: what clients brought is gone when they are."""
    clients = [broker.connect(worker=i % broker.workers) for i in range(20)]
    for i, client in enumerate(clients):
        client.subscribe(broker.topic("#"), broker.topic(str(i)), qos=1)
    clients[0].publish(broker.topic("x"), "x" * 100, 1)
    for client in clients:
        client.expect_publish(acknowledge=False)
    for client in clients:
        client.disconnect()
    values = await_values(broker, messages_stored=0, store_messages_count=0,
                          store_messages_bytes=0)
    assert values["shared_subscriptions/count"] == "0"
    # What is left is at most who reads this.
    for name in ("subscriptions/count", "clients/connected", "clients/total"):
        assert int(values[name]) <= 1


@pytest.mark.clock
def test_dropped_messages_are_counted(broker):
    small = broker.connect(props={packets.Prop.MAXIMUM_PACKET_SIZE: 100})
    small.subscribe(broker.topic())
    publisher = broker.connect(worker=broker.workers - 1)
    for _ in range(5):
        publisher.publish(broker.topic(), bytes(200))
    publisher.ping()
    await_values(broker, publish_messages_dropped=5)
