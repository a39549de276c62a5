"""A disk that is full, read-only, broken or slow: what needs it is refused or waits, everything
else goes on, nothing acknowledged is lost, and service comes back by itself when the disk does."""

import errno
import os
import signal
import subprocess
import time

import pytest

import disk
import packets
import wire
from flows import KEEP, read_sys
from packets import V5, V311, Prop, Type
from test_kill import PERSISTENCE, Run, new_seed

QUOTA = 0x97
LARGE = 10000
STATE_OK, STATE_FULL, STATE_FAILING = "0", "1", "2"
KEEP_V3 = {"version": V311, "clean": False}
SAY_FAILING = r"Persistent data can't be written to .*/courtier\.db: "
SAY_FULL = "There is no room for persistent data"
SAY_BACK = "The disk takes persistent data again"

pytestmark = [pytest.mark.disk, pytest.mark.clock, pytest.mark.crash,
              pytest.mark.conf(*PERSISTENCE, "sys_interval 1")]

# Room is allocated before it is used; so that most times nothing else fails on a full disk.
FULL = [("full", disk.ALLOCATE | disk.TRUNCATE, {"error": errno.ENOSPC}, SAY_FULL),
        ("full at the write", disk.WRITE | disk.STATVFS, {"error": errno.ENOSPC},
         SAY_FAILING + "No space left"),
        ("full by short writes", disk.WRITE | disk.STATVFS, {"is_short": 1},
         SAY_FAILING + "No space left")]
FAILING = [("broken writes", disk.WRITE, {"error": errno.EIO}, SAY_FAILING),
           ("broken syncs", disk.SYNC, {"error": errno.EIO}, SAY_FAILING),
           ("short writes", disk.WRITE, {"is_short": 1}, SAY_FAILING),
           ("read-only", disk.CHANGE, {"error": errno.EROFS}, SAY_FAILING)]
# The write that ends a commit: what is on disk then, nobody knows.
LAST = [("broken last write", disk.HEAD, {"error": errno.EIO}, SAY_FAILING),
        ("short last write", disk.HEAD, {"is_short": 1}, SAY_FAILING)]
every_fault = pytest.mark.parametrize("fault", FULL + FAILING + LAST,
                                      ids=lambda fault: fault[0].replace(" ", "-"))


class Scene:
    """A session that is away, with messages; clients that need no disk; one that does."""

    def __init__(self, broker):
        self.broker, self.disk = broker, broker.process.disk
        self.topic = broker.topic("kept")
        away = broker.connect(**KEEP)
        away.subscribe(self.topic, qos=1)
        away.disconnect()
        self.away_id, self.sent = away.client_id, 0
        self.live = broker.connect()
        self.live.subscribe(broker.topic("live"), qos=2)
        self.live_publisher = broker.connect()
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
        """Without the disk, at every QoS, and at once."""
        for qos in range(3):
            begin = time.monotonic()
            payload = self.next_payload()
            self.live_publisher.publish(self.broker.topic("live"), payload, qos)
            assert self.live.expect_publish(qos=qos).payload == payload
            assert time.monotonic() - begin < 1

    def begin(self, fault):
        """Until the workers know of it. What waited for the disk at that moment is refused."""
        _, calls, how, words = fault
        self.disk.fail(calls, **how)
        first = self.broker.connect()
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


@every_fault
def test_durable_is_refused_live_goes_on(scene, fault):
    broker = scene.broker
    keeper, old_keeper = broker.connect(**KEEP), broker.connect(**KEEP_V3)
    scene.begin(fault)
    scene.check_live()
    check_refusals(scene)
    keeper.subscribe(broker.topic("no"), codes=[QUOTA])
    old_keeper.subscribe(broker.topic("no"), codes=[0x80])
    await_state(broker, STATE_FULL if fault in FULL else STATE_FAILING)
    scene.check_live()
    scene.heal()
    await_state(broker, STATE_OK)
    scene.check_live()
    keeper.subscribe(broker.topic("yes"), qos=1)
    old_keeper.subscribe(broker.topic("yes"), qos=1)
    broker.connect(**KEEP)
    broker.restart(kill=True)
    scene.check_kept()


@every_fault
def test_session_that_is_there_can_come_back(scene, fault):
    """It may be what makes room."""
    scene.begin(fault)
    client = scene.broker.raw()
    client.send(packets.connect(scene.away_id, V5, False, 0, KEEP["props"]))
    connack = client.expect(Type.CONNACK)
    assert (connack.reason, connack.session_present) == (0, True)
    client.cut()
    scene.heal()
    scene.check_kept()


@pytest.mark.one_shape
@pytest.mark.parametrize("fault", [FULL[0], FULL[1], FAILING[0]], ids=lambda fault: fault[0])
def test_log_is_not_flooded(scene, fault):
    since = scene.broker.process.log_position()
    scene.begin(fault)
    publisher, deadline = scene.broker.connect(), time.monotonic() + 4
    while time.monotonic() < deadline:
        assert scene.publish(publisher) == QUOTA
        time.sleep(0.01)
    lines = [line for line in scene.broker.process.log[since:]
             if "ersistent data" in line or "disk" in line]
    assert 1 <= len(lines) <= 6, "\n".join(lines)
    scene.heal()


@pytest.mark.parametrize("calls", [disk.WRITE, disk.SYNC], ids=["write", "sync"])
@pytest.mark.parametrize("skip", range(4))
def test_one_error_is_not_noticed(scene, calls, skip):
    """It is tried again before anybody is refused."""
    scene.disk.fail(calls, error=errno.EIO, skip=skip, limit=1)
    publisher = scene.broker.connect()
    while scene.disk.met() == 0:
        assert scene.publish(publisher) == 0
    scene.broker.wait_log(SAY_FAILING + "Input/output error")
    for _ in range(20):
        assert scene.publish(publisher) == 0
    scene.disk.heal()
    scene.broker.restart(kill=True)
    scene.check_kept()


@pytest.mark.parametrize("calls", [disk.WRITE, disk.SYNC], ids=["write", "sync"])
def test_acknowledgements_wait_for_a_slow_disk(scene, calls):
    keeper, publisher = scene.broker.connect(**KEEP), scene.broker.connect()
    begin = time.monotonic()
    with scene.disk.failing(calls, stall_ms=5000, limit=1):
        packet_id = publisher.send_publish(scene.topic, payload := scene.next_payload(), 1)
        while scene.disk.met() == 0:
            time.sleep(0.01)
        keeper.send(packets.subscribe(9, [(scene.broker.topic("slow"), 1)]))
        while time.monotonic() - begin < 4.5:
            scene.check_live()
            publisher.ping()
            keeper.send(packets.PINGREQ)
        publisher.expect(Type.PUBACK, packet_id=packet_id, reason=0)
    assert time.monotonic() - begin >= 4.9
    scene.acked.append(payload)
    while (p := keeper.recv()).type == Type.PINGRESP:
        pass
    assert (p.type, p.codes) == (Type.SUBACK, [1])
    scene.check_kept()


def flicker(run, faults, rounds):
    for _ in range(rounds):
        _, calls, how, _ = run.rng.choice(faults)
        run.load.fault("disk")
        with run.process.disk.failing(calls, **how):
            time.sleep(run.rng.uniform(0.05, 1.5))
        time.sleep(run.rng.uniform(0.1, 1.5))


@pytest.mark.timeout(180)
@pytest.mark.one_shape
@pytest.mark.parametrize("faults", [FULL, FAILING, LAST], ids=["full", "failing", "last"])
@pytest.mark.parametrize("ends", ["well", "killed"])
def test_load_through_trouble_loses_nothing(broker, faults, ends):
    run = Run(broker, new_seed())
    flicker(run, faults, 6)
    if ends == "killed":
        with run.process.disk.failing(disk.CHANGE, error=errno.EIO):
            time.sleep(1)
            run.load.fault("everything")
            run.process.kill_all()
        run.process.restart()
    # A client that has a session may come back while its will can't be written.
    run.finish_right(but=["will"] if ends == "killed" else [])


# -- without the shim --

def folder_conf(location):
    return ["persistence true", f"persistence_location {location}", "max_queued_messages 0",
            "sys_interval 1"]


@pytest.fixture
def small_disk(broker):
    """A file system of 8 MiB with the broker on it, as root can make it."""
    place = os.path.join(broker.process.folder, "small")
    os.mkdir(place)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "tmpfs", place],
                          capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"needs the right to mount: {made.stderr.strip()}")
    yield place
    broker.process.kill_all()
    subprocess.run(["umount", "-l", place], check=True)


def fill(place):
    """All of the file system but nothing of the broker's."""
    path = os.path.join(place, "other")
    with open(path, "wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(1 << 16))
    return path


@pytest.mark.one_shape
def test_small_disk_that_others_fill(broker, small_disk):
    broker.restart(lines=folder_conf(small_disk))
    scene = Scene(broker)
    path = fill(small_disk)
    publisher = broker.connect()
    while (reason := scene.publish(publisher, LARGE)) == 0:
        pass
    assert reason == QUOTA
    broker.wait_log(SAY_FULL)
    await_state(broker, STATE_FULL)
    scene.check_live()
    check_refusals(scene)
    since = broker.process.log_position()
    os.unlink(path)
    scene.await_service(since)
    for _ in range(20):
        assert scene.publish(publisher, LARGE) == 0
    broker.restart(kill=True)
    scene.check_kept()


@pytest.mark.one_shape
@pytest.mark.conf("persistence_size_max 1M")
def test_limit_of_size_ends_when_somebody_reads(broker):
    scene = Scene(broker)
    publisher = broker.connect()
    while (reason := scene.publish(publisher, LARGE)) == 0:
        pass
    assert reason == QUOTA
    broker.wait_log(SAY_FULL)
    await_state(broker, STATE_FULL)
    scene.check_live()
    check_refusals(scene)
    since = broker.process.log_position()
    scene.check_kept()
    scene.acked = []
    scene.await_service(since)
    assert scene.publish(publisher, LARGE) == 0
    broker.restart(kill=True)
    scene.check_kept()


@pytest.mark.one_shape
def test_store_that_stands_still(scene):
    """Nobody is told that it failed: what needs it waits, and all else goes on."""
    pid = scene.broker.process.read_pids()["store"]
    publisher = scene.broker.connect()
    os.kill(pid, signal.SIGSTOP)
    packet_id = publisher.send_publish(scene.topic, payload := scene.next_payload(), 1)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        scene.check_live()
        publisher.ping()
    os.kill(pid, signal.SIGCONT)
    publisher.expect(Type.PUBACK, packet_id=packet_id, reason=0)
    scene.acked.append(payload)
    scene.broker.restart(kill=True)
    scene.check_kept()


# -- at start --

def start_in_vain(broker, location):
    """What it says."""
    path = os.path.join(broker.process.folder, "vain.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(["listener 0 127.0.0.1", "allow_anonymous true",
                              *folder_conf(location)]) + "\n")
    result = subprocess.run([broker.process.path, "-c", path], capture_output=True, timeout=20,
                            text=True, check=False)
    assert result.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    return result.stderr


@pytest.mark.one_shape
def test_start_without_folder(broker):
    place = os.path.join(broker.process.folder, "nowhere")
    said = start_in_vain(broker, place)
    assert f"under {place} (persistence_location): No such file or directory" in said
    assert "make the folder" in said


@pytest.mark.one_shape
def test_start_in_folder_of_somebody_else(broker):
    """Made by another user, as after a change of the option user."""
    place = os.path.join(broker.process.folder, "other")
    os.makedirs(place + "/courtier.db", mode=0o700)
    os.chmod(place, 0o755)
    if os.geteuid() != 0:
        os.chmod(place + "/courtier.db", 0)
    said = start_in_vain(broker, place)
    assert f"{place}/courtier.db can't be opened: Permission denied" in said
    assert "chown" in said


@pytest.mark.one_shape
def test_start_on_read_only_disk(broker, small_disk):
    broker.restart(lines=folder_conf(small_disk))
    scene = Scene(broker)
    broker.process.kill_all()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    said = start_in_vain(broker, small_disk)
    assert f"{small_disk}/courtier.db can't be opened: Read-only file system" in said
    assert "remount" in said
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    broker.restart(kill=True)
    scene.check_kept()


@pytest.mark.one_shape
def test_second_broker_is_refused_and_disturbs_nobody(scene):
    said = start_in_vain(scene.broker, scene.broker.process.folder)
    assert "another broker uses it" in said
    assert scene.publish(scene.broker.connect()) == 0
    scene.broker.restart(kill=True)
    scene.check_kept()


@pytest.mark.one_shape
def test_retained_of_qos_0_goes_on(scene):
    """However much of it: nothing of it piles up behind the disk."""
    scene.begin(FAILING[0])
    publisher, topic = scene.broker.connect(), scene.broker.topic("much")
    begin = time.monotonic()
    for i in range(2000):
        publisher.send_publish(topic, b"%d" % i + b"." * LARGE, 0, retain=True)
    publisher.ping()
    assert time.monotonic() - begin < 5
    scene.heal()
    publisher.publish(topic, "last", 1, retain=True)
    scene.broker.restart(kill=True)
    reader = scene.broker.connect()
    reader.subscribe(topic)
    reader.expect_publish(topic, "last", retain=True)
