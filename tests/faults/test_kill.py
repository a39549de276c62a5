"""kill -9 at random moments under load: a worker, the store, the master, everything at once.
Nothing acknowledged may be lost, nothing of QoS 2 may come twice; history.py has all the rules.

    ROUNDS  (environment) how many kills in each test; thousands for a long run:
            ROUNDS=1000 pytest tests/faults/test_kill.py --broker build/release/courtier -n 2
    SEED    (environment) a failed run's, to have its choices again
"""

import os
import random
import signal
import tempfile
import time

import pytest

import history
from load import Load, wait

ROUNDS = int(os.environ.get("ROUNDS", "12"))
ROUNDS_OF_RUN = 12  # before the history is checked and everything begins anew
PERSISTENCE = ["persistence true", "persistence_location {folder}/", "max_queued_messages 0"]
RELAXED = ["durability relaxed", "commit_interval 1"]
RELAXED_WINDOW_S = 1.5  # interval, commit, and a slow machine
TARGETS = ["worker", "store", "master", "everything"]
pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.clock,
              pytest.mark.timeout(60 + 10 * ROUNDS)]


def new_seed():
    return int(os.environ.get("SEED", random.randrange(10 ** 9)))


class Run:
    """One load on one broker, with faults between start and end."""

    def __init__(self, broker, seed):
        self.broker, self.process, self.seed = broker, broker.process, seed
        self.rng = random.Random(seed)
        self.load = Load(lambda: broker.port, seed)
        self.load.start()

    def kill(self, target):
        """Kills it, and returns when its successor runs."""
        process, old = self.process, self.process.read_pids()
        names = [name for name in old if name.startswith(target)]
        if names:
            name = self.rng.choice(names)
            self.load.fault(name)
            os.kill(old[name], signal.SIGKILL)
            wait(lambda: process.read_pids().get(name, old[name]) != old[name], f"new {name}")
            return
        self.load.fault("everything")
        if target == "master":
            process.process.kill()
        process.restart(kill=True)

    def finish(self, window=0):
        """The violations."""
        count = self.load.finish()
        print(f"SEED={self.seed}: {count} messages")
        return history.check(self.load.history, window)

    def finish_right(self, window=0, but=()):
        """There are no violations, but for these kinds of them. A wrong history is kept, and
        what the broker said."""
        violations = [v for v in self.finish(window) if v.kind not in but]
        if violations:
            path = os.path.join(tempfile.gettempdir(), f"courtier-history-{self.seed}")
            self.load.history.save(path)
            with open(path + ".log", "w", encoding="utf-8") as file:
                file.write("\n".join(self.process.log))
            pytest.fail(f"SEED={self.seed}, {path}\n{history.summary(violations)}", False)


def kill_at_random(broker, targets, rounds=ROUNDS, window=0):
    """Rounds of kills of these targets; checks each run's history. With a window the kills are
    so far apart that most messages are older."""
    for first in range(0, rounds, ROUNDS_OF_RUN):
        run = Run(broker, new_seed())
        for _ in range(first, min(first + ROUNDS_OF_RUN, rounds)):
            time.sleep(run.rng.uniform(0.02, 0.4) + 2 * window)
            run.kill(run.rng.choice(targets))
        run.finish_right(window)


@pytest.mark.conf(*PERSISTENCE)
def test_no_fault(broker):
    """Load and history agree when nothing happens."""
    run = Run(broker, new_seed())
    time.sleep(1)
    run.finish_right()


@pytest.mark.conf(*PERSISTENCE)
@pytest.mark.parametrize("target", TARGETS)
def test_kill_loses_nothing(broker, target):
    kill_at_random(broker, [target])


@pytest.mark.conf(*PERSISTENCE)
def test_kills_of_all_kinds_lose_nothing(broker):
    kill_at_random(broker, TARGETS)


@pytest.mark.conf(*PERSISTENCE, *RELAXED)
@pytest.mark.parametrize("target", ["worker", "store"])
def test_relaxed_kill_of_process_loses_nothing(broker, target):
    kill_at_random(broker, [target])


@pytest.mark.conf(*PERSISTENCE, *RELAXED)
def test_relaxed_kill_of_everything_loses_the_last_interval(broker):
    kill_at_random(broker, ["master", "everything"], (ROUNDS + 3) // 4, RELAXED_WINDOW_S)
