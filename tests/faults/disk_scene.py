"""What tests of disk trouble have in common: faults, and a broker in the middle of things."""

import errno
import os
import signal
import threading
import time

import pytest

import disk
from flows import KEEP, read_sys
from packets import V311

QUOTA = 0x97
LARGE = 10000
STALL_S = 5  # of a disk, or a process
STATE_OK, STATE_FULL, STATE_FAILING = "0", "1", "2"
SAY_FAILING = r"Persistent data can't be written to .*/courtier\.db: "
SAY_FULL = "There is no room for persistent data"
SAY_BACK = "The disk takes persistent data again"

# Room is allocated before it is used; so that most times nothing else fails on a full disk.
FULL = [("full", disk.ALLOCATE | disk.TRUNCATE, {"error": errno.ENOSPC}, SAY_FULL),
        ("full at the write", disk.WRITE | disk.STATVFS, {"error": errno.ENOSPC},
         SAY_FAILING + "No space left"),
        ("over quota", disk.WRITE, {"error": errno.EDQUOT}, SAY_FAILING + "Disk quota exceeded"),
        ("full by short writes", disk.WRITE | disk.STATVFS, {"is_short": 1},
         SAY_FAILING + "No space left")]
FAILING = [("broken writes", disk.WRITE, {"error": errno.EIO}, SAY_FAILING),
           ("broken syncs", disk.SYNC, {"error": errno.EIO}, SAY_FAILING),
           ("short writes", disk.WRITE, {"is_short": 1}, SAY_FAILING),
           ("read-only", disk.CHANGE, {"error": errno.EROFS}, SAY_FAILING)]
# The write that ends a commit: what is on disk then, nobody knows.
LAST = [("broken last write", disk.HEAD, {"error": errno.EIO}, SAY_FAILING),
        ("short last write", disk.HEAD, {"is_short": 1}, SAY_FAILING)]
SLOW = [("slow syncs", disk.SYNC, {"stall_ms": 700}, None),
        ("slow writes", disk.WRITE, {"stall_ms": 100}, None)]


def stand_still(pid):
    """Each of its threads has stopped when it returns; SIGCONT lets them go on."""
    os.kill(pid, signal.SIGSTOP)
    for task in os.scandir(f"/proc/{pid}/task"):
        while True:
            with open(f"{task.path}/stat", encoding="utf-8") as file:
                if file.read().rpartition(")")[2].split()[0] == "T":
                    break


class Scene:
    """A session that is away, with messages; clients that need no disk; one that does."""

    def __init__(self, broker):
        self.broker, self.disk = broker, broker.process.disk
        self.topic = broker.topic("kept")
        away = broker.connect(worker=broker.workers - 1, **KEEP)
        away.subscribe(self.topic, qos=1)
        away.disconnect()
        self.away_id, self.sent = away.client_id, 0
        # In the same ring as what is to be kept.
        self.live = broker.connect(worker=broker.workers - 1)
        self.live.subscribe(broker.topic("live"), qos=2)
        self.live_publisher = broker.connect(worker=0)
        self.acked = []
        publisher = broker.connect()
        for _ in range(20):
            assert self.publish(publisher) == 0

    def next_payload(self, size=0):
        self.sent += 1
        return b"%d" % self.sent + b"." * size

    def publish(self, publisher, size=0):
        payload = self.next_payload(size)
        reason = publisher.publish(self.topic, payload, 1)
        if reason == 0:
            self.acked.append(payload)
        return reason

    def check_live(self):
        """Without the disk, at every QoS: before a disk that stands still goes on."""
        for qos in range(3):
            begin = time.monotonic()
            payload = self.next_payload()
            assert not self.live_publisher.publish(self.broker.topic("live"), payload, qos)
            assert self.live.expect_publish(qos=qos).payload == payload
            assert time.monotonic() - begin < STALL_S - 1

    def begin(self, fault):
        """Until the workers know of it. What waited for the disk at that moment is refused."""
        _, calls, how, words = fault
        self.disk.fail(calls, **how)
        first = self.broker.connect(worker=0)
        while (reason := self.publish(first, LARGE)) == 0:
            pass
        assert reason == QUOTA
        self.broker.wait_log(words)

    def heal(self):
        since = self.broker.process.log_position()
        self.disk.heal()
        self.await_service(since)

    def await_service(self, since):
        """After this position of the log; the workers hear of it a moment later."""
        self.broker.process.wait_log(SAY_BACK, 6, since)
        publisher, deadline = self.broker.connect(), time.monotonic() + 1
        while self.publish(publisher) != 0:
            assert time.monotonic() < deadline, "publishing does not come back"

    def check_kept(self):
        """All that was acknowledged comes, in its order."""
        client = self.broker.connect(self.away_id, **KEEP)
        assert client.connack.session_present
        last, got = self.acked[-1], []
        while not got or got[-1] != last:
            got.append(client.expect_publish().payload)
        assert [payload for payload in got if payload in self.acked] == self.acked
        client.disconnect()


@pytest.fixture
def scene(broker):
    scene = Scene(broker)
    yield scene
    scene.disk.heal()


def state_of(broker):
    return read_sys(broker)["store/durable/state"]


def await_state(broker, *states):
    deadline = time.monotonic() + 6
    while (state := state_of(broker)) not in states:
        assert time.monotonic() < deadline, f"state {state}, not {states}"


def check_refusals(scene):
    """Each kind of request that needs the disk."""
    broker = scene.broker
    assert scene.publish(broker.connect()) == QUOTA
    assert broker.connect().publish(scene.topic, "x", 2) == QUOTA
    assert broker.connect().publish(broker.topic("r"), "x", 1, retain=True) == QUOTA
    old = broker.connect(version=V311)
    old.send_publish(scene.topic, "x", 1)
    old.expect_close()
    new = broker.raw()
    new.connect(broker.new_id(), QUOTA, **KEEP)
    new = broker.raw(V311)
    new.connect(broker.new_id(), 3, clean=False)


class Canary(threading.Thread):
    """Two clients that need no disk, and notice when something keeps their messages."""

    LATE_S = 2

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.topic, self.error, self.latest = broker.topic("canary"), None, 0
        self.source = broker.connect(worker=0)
        self.sink = broker.connect(worker=broker.workers - 1)
        self.sink.subscribe(self.topic, qos=2)
        self.is_stopping = False

    def run(self):
        try:
            while not self.is_stopping:
                for qos in range(3):
                    self.round(qos)
                time.sleep(0.02)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def round(self, qos):
        begin = time.monotonic()
        payload = b"%d" % self.latest
        assert not self.source.publish(self.topic, payload, qos)
        self.sink.expect_publish(self.topic, payload, qos=qos)
        self.latest += 1
        late = time.monotonic() - begin
        assert late < self.LATE_S, f"QoS {qos} took {late:.1f} s"

    def check(self):
        """Nothing has disturbed it."""
        self.is_stopping = True
        self.join(10)
        assert self.error is None, self.error
        assert self.latest > 0
