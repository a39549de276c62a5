"""Brokers that do lose messages, so that the tests of faults can be trusted: one that keeps
nothing, and Debian's mosquitto, which keeps what its last autosave saw."""

import shutil
import time

import pytest

import courtier
from test_kill import PERSISTENCE, Run, new_seed

pytestmark = [pytest.mark.fresh, pytest.mark.crash, pytest.mark.one_shape]


def kinds_after_kill(broker):
    run = Run(broker, new_seed())
    time.sleep(0.5)
    run.kill("everything")
    time.sleep(0.5)
    return {violation.kind for violation in run.finish()}


def test_loss_without_persistence_is_found(broker):
    assert {"lost", "session"} <= kinds_after_kill(broker)


class Mosquitto:
    """As much of the fixture `broker` as Run needs."""

    def __init__(self):
        path = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = courtier.Process(path, 1, "epoll", PERSISTENCE, kind="mosquitto")

    @property
    def port(self):
        return self.process.port


@pytest.fixture
def mosquitto():
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("no mosquitto")
    broker = Mosquitto()
    yield broker
    broker.process.stop()


def test_mosquitto_passes_without_faults(mosquitto):
    """But for its order, which it sometimes loses when a client with much in flight returns, and
    retained messages of QoS 2, which it stores at PUBREL only."""
    run = Run(mosquitto, new_seed())
    time.sleep(1)
    run.finish_right(but={"order", "retained"})


def test_loss_of_mosquitto_is_found(mosquitto):
    assert {"lost", "session"} <= kinds_after_kill(mosquitto)
