"""$SYS/broker/store/durable/: what the numbers are after known work."""

import glob

import pytest

from flows import KEEP, read_sys

MESSAGES = 200
SIZE = 1000
HOURS = 24
PERSISTENCE = ("persistence true", "persistence_location {folder}/", "sys_interval 1")

pytestmark = [pytest.mark.fresh, pytest.mark.clock, pytest.mark.crash]


def read_disk(broker):
    start = "store/durable/"
    return {name[len(start):]: int(value) for name, value in read_sys(broker).items()
            if name.startswith(start)}


def await_disk(broker, **expected):
    """The values, as soon as these are among them; each look takes until the next round."""
    for _ in range(8):
        values = read_disk(broker)
        if expected.items() <= values.items():
            break
    assert {name: values.get(name) for name in expected} == expected
    return values


def fill(broker, payload):
    """A session that is away, with messages."""
    client = broker.connect(**KEEP)
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    publisher = broker.connect()
    for _ in range(MESSAGES):
        publisher.publish(broker.topic(), payload, 1)
    return client.client_id


def data_file(broker):
    path, = glob.glob(f"{broker.process.folder}/courtier.db/data.mdb")
    return path


@pytest.mark.conf(*PERSISTENCE, "durability strict", "max_queued_messages 0")
def test_values_after_known_work(broker):
    before = await_disk(broker, messages=0, sessions=0)
    sleeper = fill(broker, "x" * SIZE)
    values = await_disk(broker, messages=MESSAGES, sessions=1, damaged=0, state=0)
    # Each was acknowledged before the next was sent: each had its own commit.
    assert values["commits"] - before["commits"] >= MESSAGES
    assert values["records"] - before["records"] >= MESSAGES
    assert values["bytes"] - before["bytes"] >= MESSAGES * (SIZE + 4096)
    assert values["bytes_per_day"] % HOURS == 0
    assert 0 < values["bytes_per_day"] <= values["bytes"] * HOURS
    assert values["bytes_per_day"] - before["bytes_per_day"] == \
        (values["bytes"] - before["bytes"]) * HOURS
    assert values["used_bytes"] - before["used_bytes"] >= MESSAGES * SIZE
    assert 0 < values["commit_us"] < 60e6
    client = broker.connect(sleeper, **KEEP)
    for _ in range(MESSAGES):
        client.expect_publish()
    client.ping()
    emptied = await_disk(broker, messages=0)
    assert emptied["used_bytes"] < values["used_bytes"]
    assert emptied["bytes"] > values["bytes"]


@pytest.mark.conf(*PERSISTENCE, "durability strict")
def test_commit_times_are_those_of_the_last_round(broker):
    fill(broker, "x")
    seen = []
    # No round is missed: a look ends when the next one begins.
    while len(seen) < 8 and not (len(seen) > 1 and seen[-2]["max"] > 0 and seen[-1]["max"] == 0):
        values = read_disk(broker)
        seen.append({name: values["commit_us/" + name] for name in ("p50", "p90", "p99", "max")})
    assert set(seen[-1].values()) == {0}
    for times in [times for times in seen if times["max"] > 0]:
        assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["max"]
    assert seen[-2]["max"] > 0


@pytest.mark.one_shape
@pytest.mark.conf(*PERSISTENCE)
def test_damage_is_counted(broker):
    sleeper = fill(broker, "x")
    marked = broker.topic("marked").encode() * 20
    broker.connect().publish(broker.topic(), marked, 1)
    await_disk(broker, messages=MESSAGES + 1, damaged=0)
    broker.process.kill_all()
    with open(data_file(broker), "r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data.replace(marked, marked[::-1]))  # in old copies of the page, too
    broker.restart()
    await_disk(broker, messages=MESSAGES + 1, damaged=0)  # a start reads no message
    broker.connect(sleeper, **KEEP).receive(MESSAGES)
    await_disk(broker, messages=0, damaged=1)


@pytest.mark.one_shape
@pytest.mark.conf("sys_interval 1")
def test_nothing_without_persistence(broker):
    fill(broker, "x")
    assert set(read_disk(broker).values()) <= {0}
