"""What is on disk is damaged while the broker is away, or while it runs: it starts, serves what
is left, never anything wrong, and says what happened. Every page, one by one, is the matter of
tests/damage/."""

import os
import random
import re
import signal
import struct
import subprocess

import pytest

import wire
from flows import KEEP, cut_after_all, numbers, publish_numbers

LINES = ["persistence true", "persistence_location {folder}/", "max_queued_messages 0",
         "sys_interval 1"]
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock, pytest.mark.conf(*LINES)]
COPY = pytest.mark.conf("persistence_copy_interval 1")
PAGE = 4096
COUNT = 60


def path_of(broker, name="data.mdb"):
    return os.path.join(broker.process.folder, "courtier.db", name)


def state_of(broker):
    """A session that is away with a queue, and a retained message."""
    client = broker.connect(**KEEP)
    client.subscribe(broker.topic("queue"), qos=1)
    cut_after_all(client)
    publisher = broker.connect()
    publish_numbers(publisher, broker.topic("queue"), 0, COUNT)
    publisher.publish(broker.topic("kept"), "kept", 1, retain=True)
    return client.client_id


def what_is_left(broker, client_id):
    """Is the session there, and its queue, in order."""
    client = broker.connect(client_id, **KEEP)
    if not client.connack.session_present:
        return None
    return wire.payloads(wire.fence(client, broker.connect(), qos=1))


def works(broker):
    """New state is kept as if nothing had been."""
    client_id = state_of(broker)
    broker.restart(kill=True)
    assert what_is_left(broker, client_id) == numbers(0, COUNT)


def check_store(broker):
    done = subprocess.run([broker.process.path, "-c", broker.process.conf_path, "--check-store"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    return done.returncode, done.stdout


def sys_number(broker, name):
    client = broker.connect()
    client.subscribe(f"$SYS/broker/store/durable/{name}")
    return int(client.expect_publish().payload)


def read_file(path):
    with open(path, "rb") as file:
        return bytearray(file.read())


def write_file(path, memory):
    with open(path, "r+b") as file:
        file.truncate(0)
        file.write(memory)


# -- damages, of a path --

def garble_metas(path):
    memory = read_file(path)
    memory[:2 * PAGE] = random.Random(1).randbytes(2 * PAGE)
    write_file(path, memory)


def garble_most(path):
    memory = read_file(path)
    memory[2 * PAGE:] = random.Random(2).randbytes(len(memory) - 2 * PAGE)
    write_file(path, memory)


def cut_short(path):
    os.truncate(path, 5 * PAGE // 2)


def make_empty(path):
    os.truncate(path, 0)


def put_text(path):
    write_file(path, b"This is a letter and no database.\n" * 1000)


DAMAGES = [garble_metas, garble_most, cut_short, make_empty, put_text]


@pytest.mark.one_shape
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
def test_starts_on_a_damaged_file_and_says_so(broker, damage):
    client_id = state_of(broker)
    broker.restart(meanwhile=lambda: damage(path_of(broker)))
    left = what_is_left(broker, client_id) or []
    assert left == [payload for payload in numbers(0, COUNT) if payload in left]
    if damage is not make_empty:
        assert broker.process.find_log(r"is damaged: ")
        assert broker.process.find_log(r"made anew with \d+ sessions")
        assert sys_number(broker, "salvages") == 1
        assert os.path.exists(path_of(broker, "data.mdb.bad-1"))
    works(broker)


def one_meta(path):
    memory = read_file(path)
    memory[:512] = b"\xff" * 512
    write_file(path, memory)


@pytest.mark.one_shape
def test_one_damaged_meta_page_costs_the_last_commit_at_most(broker):
    client_id = state_of(broker)
    broker.restart(kill=True, meanwhile=lambda: one_meta(path_of(broker)))
    left = what_is_left(broker, client_id)
    assert left in (numbers(0, COUNT), numbers(0, COUNT - 1))
    works(broker)


@pytest.mark.one_shape
def test_damaged_files_kept_aside_are_few(broker):
    for _ in range(4):
        broker.restart(meanwhile=lambda: put_text(path_of(broker)))
    names = sorted(os.listdir(os.path.dirname(path_of(broker))))
    assert [name for name in names if "bad" in name] == ["data.mdb.bad-3", "data.mdb.bad-4"]


# -- the older copy --

@COPY
@pytest.mark.one_shape
@pytest.mark.parametrize("damage", [*DAMAGES, os.unlink], ids=lambda f: f.__name__)
def test_copy_gives_back_what_the_file_lost(broker, damage):
    client_id = state_of(broker)
    broker.restart()
    client = broker.connect()
    client.subscribe("$SYS/broker/store/durable/copy/bytes")
    while int(client.expect_publish().payload) == 0:
        pass
    broker.restart(meanwhile=lambda: damage(path_of(broker)))
    assert what_is_left(broker, client_id) == numbers(0, COUNT)
    late = broker.connect()
    late.subscribe(broker.topic("kept"))
    late.expect_publish(broker.topic("kept"), "kept", retain=True)
    works(broker)


# -- while it runs --

BODIES = 10  # DURABLE_MESSAGE of durable_key.h


def spoil_leaves(path, kind):
    """Pages that begin with a row of this kind are none any more: in place, under the map."""
    header = struct.Struct("=QHHHH" if struct.calcsize("P") == 8 else "=IHHHH")
    with open(path, "r+b") as file:
        for at in range(2 * PAGE, os.path.getsize(path), PAGE):
            file.seek(at)
            page = file.read(PAGE)
            flags = header.unpack_from(page)[2]
            first = struct.unpack_from("=H", page, header.size)[0] + 8
            if flags == 2 and first < PAGE and page[first] == kind:
                file.seek(at + header.size - 6)
                file.write(b"\0\0")


@COPY
@pytest.mark.one_shape
def test_damage_that_a_reader_meets_is_salvaged(broker):
    """What LMDB says of a page is not taken for the loss of one message."""
    client_id = state_of(broker)
    broker.restart()
    client = broker.connect()
    client.subscribe("$SYS/broker/store/durable/copy/bytes")
    while int(client.expect_publish().payload) == 0:
        pass
    since = broker.process.log_position()
    spoil_leaves(path_of(broker), BODIES)
    reader = broker.connect(client_id, **KEEP)
    broker.process.wait_log("The store .* has died: .*found the database damag", since=since)
    broker.process.wait_log("made anew with 1 sessions", since=since)
    assert wire.payloads(reader.receive(COUNT)) == numbers(0, COUNT)
    broker.process.settle()
    works(broker)


@pytest.mark.one_shape
def test_damage_under_a_running_broker_is_no_crash_loop(broker):
    """The store dies, is replaced, and finds it."""
    client_id = state_of(broker)
    garble_most(path_of(broker))
    since = broker.process.log_position()
    os.kill(broker.process.pids["store"], signal.SIGKILL)
    broker.process.wait_log("made anew with", since=since)
    broker.process.settle()
    works(broker)


# -- who may not --

def newer_format(path):
    """The row FORMAT (a word, the number, and its complement) of a version after ours."""
    memory = read_file(path)
    [row] = {row for row in re.findall(rb"CRTR(?s:.{8})", memory)
             if struct.unpack(">II", row[4:])[0] ^ struct.unpack(">II", row[4:])[1] == 0xFFFFFFFF}
    number = struct.unpack(">I", row[4:8])[0] + 1
    newer = b"CRTR" + struct.pack(">II", number, ~number & 0xFFFFFFFF)
    write_file(path, memory.replace(row, newer))


def start_alone(broker):
    """Exit code and log of another start on the same configuration."""
    done = subprocess.run([broker.process.path, "-c", broker.process.conf_path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    return done.returncode, done.stdout


@pytest.mark.one_shape
def test_newer_format_is_left_alone(broker):
    client_id = state_of(broker)
    path = path_of(broker)

    def meanwhile():
        mine = read_file(path)
        newer_format(path)
        before = read_file(path)
        code, log = start_alone(broker)
        assert code != 0 and "another version of courtier made it" in log
        assert read_file(path) == before
        assert check_store(broker)[0] == 2
        write_file(path, mine)
    broker.restart(meanwhile=meanwhile)
    assert what_is_left(broker, client_id) == numbers(0, COUNT)


@pytest.mark.one_shape
def test_second_broker_on_the_folder_refuses(broker):
    client_id = state_of(broker)
    code, log = start_alone(broker)
    assert code != 0 and "another broker uses it" in log
    assert what_is_left(broker, client_id) == numbers(0, COUNT)


# -- courtier --check-store --

@pytest.mark.one_shape
def test_check_store_tells_and_changes_nothing(broker):
    state_of(broker)
    path = path_of(broker)
    code, text = check_store(broker)
    assert code == 2 and "a broker uses it" in text

    def meanwhile():
        code, text = check_store(broker)
        assert code == 0 and f"{COUNT} deliveries" in text and "1 sessions" in text
        garble_most(path)
        before = read_file(path)
        code, text = check_store(broker)
        assert code == 1 and "damaged: page" in text
        assert read_file(path) == before
        make_empty(path)
        assert check_store(broker)[0] == 1
        os.unlink(path)
        assert check_store(broker)[0] == 2
    broker.restart(meanwhile=meanwhile)
    works(broker)
