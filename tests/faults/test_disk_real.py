"""Disks as they are: small ones that others fill, read-only and missing ones, a store that has
no more room of its own, and processes that stand still. Some need the right to mount."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from disk_scene import (LARGE, QUOTA, SAY_FULL, STATE_FULL, Canary, Scene, await_state,
                        check_refusals, scene, stand_still)  # noqa: F401
from packets import V311, Type
from test_kill import PERSISTENCE, Run, new_seed

pytestmark = [pytest.mark.disk, pytest.mark.clock, pytest.mark.crash, pytest.mark.one_shape,
              pytest.mark.conf(*PERSISTENCE, "sys_interval 1")]


def folder_conf(location):
    return ["persistence true", f"persistence_location {location}", "max_queued_messages 0",
            "sys_interval 1"]


LARGE_COUNT = 70  # fill the ring to the disk, and more
MOUNTS = {"tmpfs": ["-o", "size=8m,mode=777", "tmpfs"], "ext4": ["-o", "loop"]}


def make_image(folder):
    """A file with an ext4 of 16 MiB."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("no mkfs.ext4 (e2fsprogs)")
    path = os.path.join(folder, "image")
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", path], check=True)
    return path


@pytest.fixture(params=["tmpfs"])
def small_disk(request, broker):
    """A small file system with the broker on it, as root can make it."""
    place = os.path.join(broker.process.folder, "small")
    os.mkdir(place)
    kind = request.param
    what = MOUNTS[kind] + ([make_image(broker.process.folder)] if kind == "ext4" else [])
    made = subprocess.run(["mount", "-t", kind, *what, place],
                          capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"needs the right to mount: {made.stderr.strip()}")
    os.chmod(place, 0o777)
    yield place
    broker.process.kill_all()
    subprocess.run(["umount", "-l", place], check=True)


on_each_kind = pytest.mark.parametrize("small_disk", ["tmpfs", "ext4"], indirect=True)


def fill(place):
    """All of the file system but nothing of the broker's."""
    path = os.path.join(place, "other")
    with open(path, "wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(1 << 16))
    return path


@on_each_kind
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


@pytest.mark.timeout(180)
@on_each_kind
def test_load_on_disk_that_others_fill(broker, small_disk):
    broker.restart(lines=folder_conf(small_disk))
    run, canary = Run(broker, new_seed()), Canary(broker)
    canary.start()
    for _ in range(4):
        run.load.fault("disk")
        path = fill(small_disk)
        time.sleep(run.rng.uniform(0.3, 1.5))
        os.unlink(path)
        time.sleep(run.rng.uniform(0.1, 1))
    canary.check()
    run.finish_right()


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


def test_store_that_stands_still(scene):
    """Nobody is told that it failed: what needs it waits, and all else goes on."""
    pid = scene.broker.process.read_pids()["store"]
    publisher = scene.broker.connect(worker=0)
    stand_still(pid)
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


def await_held(watcher):
    """The broker says that it does not read somebody; and how much waits then."""
    waiting = 0
    while True:
        p = watcher.expect_publish()
        if p.topic.endswith("waiting_bytes"):
            waiting = int(p.payload)
        elif int(p.payload) > 0:
            return waiting


@pytest.mark.conf("max_journal_bytes 64K")
def test_limit_of_what_waits_while_the_store_stands(scene):
    """Whoever needs the disk is not read any more; nothing is lost, and all goes on."""
    broker = scene.broker
    watcher = broker.connect()
    watcher.subscribe("$SYS/broker/store/durable/waiting_bytes")
    watcher.subscribe("$SYS/broker/courtier/clients_held")
    # At the session's home everything that it sends is to be kept.
    publisher = broker.connect(worker=broker.workers - 1, version=V311)
    pid = broker.process.read_pids()["store"]
    os.kill(pid, signal.SIGSTOP)
    for packet_id in range(1, LARGE_COUNT + 1):
        payload = scene.next_payload(2 * LARGE)
        publisher.send_publish(scene.topic, payload, 1, packet_id=packet_id)
        scene.acked.append(payload)
    assert await_held(watcher) < 64 * 1024 + 3 * LARGE
    scene.check_live()
    os.kill(pid, signal.SIGCONT)
    for packet_id in range(1, LARGE_COUNT + 1):
        publisher.expect(Type.PUBACK, packet_id=packet_id)
    broker.restart(kill=True)
    scene.check_kept()


@pytest.mark.parametrize("name", ["store", "worker 1"])
def test_load_while_a_process_stands_still(broker, name):
    """Acknowledgements wait for it; what does not need it goes on; and it goes on itself."""
    run, canary = Run(broker, new_seed()), Canary(broker)
    canary.start()
    for _ in range(2):
        pid = broker.process.read_pids()[name]
        run.load.fault("stop")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)
        time.sleep(run.rng.uniform(0.1, 1))
    canary.check()
    run.finish_right()


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


def test_start_without_folder(broker):
    place = os.path.join(broker.process.folder, "nowhere")
    said = start_in_vain(broker, place)
    assert f"under {place} (persistence_location): No such file or directory" in said
    assert "make the folder" in said


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


def test_second_broker_is_refused_and_disturbs_nobody(scene):
    said = start_in_vain(scene.broker, scene.broker.process.folder)
    assert "another broker uses it" in said
    assert scene.publish(scene.broker.connect()) == 0
    scene.broker.restart(kill=True)
    scene.check_kept()


