"""The power goes under load: the disk takes nothing more from one moment to the next, and all
processes die. Nothing acknowledged may be lost; history.py has all the rules. Wants root.

    ROUNDS  (environment) how many cuts in each test
    SEED    (environment) a failed run's, to have its choices again
"""

import os
import time

import loop_disk
import pytest
from test_kill import Run, new_seed

ROUNDS = int(os.environ.get("ROUNDS", "25"))
ROUNDS_OF_RUN = 13  # before the history is checked and everything begins anew
EIO_S = 0.02  # longest that a broker lives on without its disk
MISSING = loop_disk.missing()
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock,
              pytest.mark.timeout(60 + 10 * ROUNDS),
              pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


@pytest.fixture
def disk(broker):
    """The broker has its data on it. The disk goes before the broker does."""
    with loop_disk.Disk() as disk:
        yield disk
        broker.process.kill_all()


def move(broker, disk, *lines):
    broker.restart(lines=["persistence true", f"persistence_location {disk.path}/",
                          "max_queued_messages 0", *lines])


def cut(run, disk):
    """The power goes, comes back, and the broker starts again."""
    run.load.fault("power")
    disk.cut()
    time.sleep(run.rng.uniform(0, EIO_S))
    run.process.restart(kill=True, meanwhile=disk.repower)


def test_power_cut_loses_nothing(broker, disk):
    move(broker, disk)
    for first in range(0, ROUNDS, ROUNDS_OF_RUN):
        run = Run(broker, new_seed())
        for _ in range(first, min(first + ROUNDS_OF_RUN, ROUNDS)):
            time.sleep(run.rng.uniform(0.02, 0.4))
            cut(run, disk)
        run.finish_right()


@pytest.mark.one_shape
def test_power_cut_takes_what_is_not_committed(broker, disk):
    """The disk is one that forgets, and the history shows it. One cut may find nobody away."""
    move(broker, disk, "durability relaxed", "commit_interval 3600")
    run = Run(broker, new_seed())
    for _ in range(5):
        time.sleep(0.5)
        cut(run, disk)
    kinds = {violation.kind for violation in run.finish()}
    assert kinds & {"session", "lost"}
