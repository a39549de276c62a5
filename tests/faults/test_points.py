"""kill -9 at each place in the code where a death would hurt most, under load: kill_point.h has
the how. Wants a build with these places (tests/run points makes one).

    PASSES  (environment) how many deaths at each place: at the next pass, then at a later one each
"""

import collections
import os
import pathlib
import re
import signal
import struct
import time

import pytest

import packets
import wire
from load import wait
from packets import Will
from test_kill import PERSISTENCE, RELAXED, Run, new_seed

ROOT = pathlib.Path(__file__).parents[2]
PASSES = int(os.environ.get("PASSES", "3"))
LATER_MAX = 40
LATER_MAX_OF = {"child-buried": 4}  # who dies often is replaced ever more slowly
DEATHS_OF_MIX = 8
FIRES_S = 20
SIZE = 64

pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock,
              pytest.mark.timeout(60 + 10 * PASSES)]


def calls():
    """What is between the parentheses of each call in the code."""
    found = []
    for folder in ("common", "shm", "worker", "master"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            if path.name != "kill_point.c":
                found += re.findall(r"\bkill_point\((.*)\);", path.read_text())
    return found


POINTS = [text.strip('"') for text in calls()]


@pytest.fixture(autouse=True)
def build(request):
    with open(request.config.getoption("--broker"), "rb") as file:
        if b"KILL_POINT_FILE" not in file.read():
            pytest.skip("a build without kill points")


class Point:
    """The file that says where the next death is to be."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(SIZE))
        os.chmod(path, 0o666)

    def arm(self, name, passes):
        with open(self.path, "r+b", buffering=0) as file:
            file.seek(4)
            file.write(name.encode().ljust(SIZE - 4, b"\0"))
            file.seek(0)
            file.write(struct.pack("=i", passes))

    def left(self):
        with open(self.path, "rb") as file:
            return struct.unpack("=i", file.read(4))[0]


def kill_worker(run):
    """Its successor asks the store for what it had, and the master has to see to it."""
    pids = run.process.read_pids()
    workers = [name for name in pids if name.startswith("worker")]
    if len(workers) == run.process.workers:
        run.load.fault("worker")
        os.kill(pids[run.rng.choice(workers)], signal.SIGKILL)
        time.sleep(0.2)


def connect_some(run):
    """Clients with homes everywhere, whose wills are published, and one that takes over."""
    clients = []
    for client_id in ("a", "b", "c", "d", "e", "twin", "twin"):
        clients.append(wire.Client(run.broker.port, timeout=1))
        clients[-1].send(packets.connect(client_id, will=Will("other/wills", "gone")))
        clients[-1].recv()
    for client in clients:
        client.cut()


PROVOKED = {"restore-part": kill_worker, "child-buried": kill_worker, "taken-over": connect_some,
            "will-routed": connect_some, "handoff-due": connect_some,
            "handoff-sent": connect_some, "handoff-arrived": connect_some}


def provoke(run, name):
    """Something that leads there, where the load alone seldom does."""
    try:
        PROVOKED.get(name, lambda run: None)(run)
    except (OSError, wire.Closed):
        pass  # it has died of it


def is_whole(process):
    """All of its processes run."""
    return len(process.read_pids()) == process.workers + 1


def die_at(run, point, name, passes):
    """Returns when it happened and the broker is whole again."""
    old = run.process.read_pids()
    run.load.fault(f"{name} {passes}")
    point.arm(name, passes)
    deadline = time.monotonic() + FIRES_S
    while point.left() > 0:
        assert time.monotonic() < deadline, f"{name} is not passed: {point.left()} left"
        provoke(run, name)
        time.sleep(0.01)
    run.load.fault(f"{name} was passed")
    wait(lambda: run.process.process.poll() is not None or run.process.read_pids() != old, "death")
    if run.process.process.poll() is not None:
        run.process.restart(kill=True)
    wait(lambda: is_whole(run.process), "whole again")


def later_pass(run, name):
    return run.rng.randrange(2, LATER_MAX_OF.get(name, LATER_MAX))


def can_be_passed(broker, name):
    return broker.process.workers > 1 or not name.startswith("handoff")


@pytest.fixture
def point(broker, monkeypatch):
    """A file for the broker to look at. Nothing is armed."""
    path = os.path.join(broker.process.folder, "kill_point")
    monkeypatch.setenv("KILL_POINT_FILE", path)
    point = Point(path)
    broker.process.restart()
    return point


def test_names_are_unique():
    names = collections.Counter(POINTS)
    assert all(count == 1 for count in names.values()), names
    assert all(re.fullmatch(r'"[a-z-]+"', text) for text in calls()), calls()
    assert set(PROVOKED) | set(LATER_MAX_OF) <= set(POINTS)


@pytest.mark.conf(*PERSISTENCE)
@pytest.mark.parametrize("name", POINTS)
def test_death_there_loses_nothing(broker, point, name):
    if not can_be_passed(broker, name):
        pytest.skip("nothing to hand over")
    run = Run(broker, new_seed())
    for number in range(PASSES):
        die_at(run, point, name, 1 if number == 0 else later_pass(run, name))
    run.finish_right()


def die_at_several(broker, point, names):
    """Each next death comes while what is left of the one before is put in order."""
    run = Run(broker, new_seed())
    names = [name for name in names if can_be_passed(broker, name)]
    for _ in range(DEATHS_OF_MIX):
        die_at(run, point, run.rng.choice(names), run.rng.randrange(1, 5))
    run.finish_right()


@pytest.mark.conf(*PERSISTENCE)
def test_deaths_at_several_lose_nothing(broker, point):
    die_at_several(broker, point, POINTS)


@pytest.mark.conf(*PERSISTENCE, *RELAXED)
def test_relaxed_deaths_at_several_lose_nothing(broker, point):
    """But for the master's: with it everything dies."""
    die_at_several(broker, point, [name for name in POINTS if name != "child-buried"])
