"""kill -9 at each place in the code where a death would hurt most, under load: kill_point.h has
the how. Wants a build with these places (tests/run points makes one).

    PASSES  (environment) how many deaths at each place; the first, then one later pass each
"""

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
from test_kill import PERSISTENCE, Run, new_seed

ROOT = pathlib.Path(__file__).parents[2]
PASSES = int(os.environ.get("PASSES", "3"))
LATER_MAX = 40
FIRES_S = 20
SIZE = 64

pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock,
              pytest.mark.timeout(60 + 10 * PASSES)]


def points():
    """The names of all that there are."""
    found = set()
    for folder in ("common", "shm", "worker", "master"):
        for path in (ROOT / folder).rglob("*.c"):
            found.update(re.findall(r'\bkill_point\("([a-z-]+)"\)', path.read_text()))
    return sorted(found)


@pytest.fixture(autouse=True)
def build(request):
    with open(request.config.getoption("--broker"), "rb") as file:
        if b"KILL_POINT_FILE" not in file.read():
            pytest.skip("a build without kill points")


class Point:
    """One place, by its name, and the file that arms it."""

    def __init__(self, folder, name):
        self.name, self.path = name, os.path.join(folder, "kill_point")
        with open(self.path, "wb") as file:
            file.write(bytes(SIZE))
        os.chmod(self.path, 0o666)

    def arm(self, passes):
        with open(self.path, "r+b", buffering=0) as file:
            file.seek(4)
            file.write(self.name.encode().ljust(SIZE - 4, b"\0"))
            file.seek(0)
            file.write(struct.pack("=i", passes))

    def left(self):
        with open(self.path, "rb") as file:
            return struct.unpack("=i", file.read(4))[0]


def provoke(run, name):
    """Something that leads there, where the load alone does not."""
    if name in ("restore-part", "child-buried"):
        pids = run.process.read_pids()
        workers = [name for name in pids if name.startswith("worker")]
        if len(workers) == run.process.workers:
            run.load.fault("worker")
            os.kill(pids[run.rng.choice(workers)], signal.SIGKILL)
            time.sleep(0.2)
    if name == "taken-over":
        try:
            for _ in range(2):
                wire.Client(run.broker.port, timeout=1).send(packets.connect("twin"))
        except OSError:
            pass  # it has died of it


def is_whole(process):
    """All of its processes run."""
    return len(process.read_pids()) == process.workers + 1


def die_at(run, point, passes):
    """Returns when it happened and the broker is whole again."""
    old = run.process.read_pids()
    run.load.fault(f"{point.name} {passes}")
    point.arm(passes)
    deadline = time.monotonic() + FIRES_S
    while point.left() > 0:
        assert time.monotonic() < deadline, f"{point.name} is not passed: {point.left()} left"
        provoke(run, point.name)
        time.sleep(0.01)
    run.load.fault(f"{point.name} was passed")
    wait(lambda: run.process.process.poll() is not None or run.process.read_pids() != old, "death")
    if run.process.process.poll() is not None:
        run.process.restart(kill=True)
    wait(lambda: is_whole(run.process), "whole again")


@pytest.mark.conf(*PERSISTENCE)
@pytest.mark.parametrize("name", points())
def test_death_there_loses_nothing(broker, name, monkeypatch):
    if name.startswith("handoff") and broker.process.workers == 1:
        pytest.skip("nothing to hand over")
    point = Point(broker.process.folder, name)
    monkeypatch.setenv("KILL_POINT_FILE", point.path)
    broker.process.restart()
    run = Run(broker, new_seed())
    for number in range(PASSES):
        die_at(run, point, 1 if number == 0 else run.rng.randrange(2, LATER_MAX))
    run.finish_right()
