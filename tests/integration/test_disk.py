"""The folder of the state on disk: who may look into it, and who may use it."""

import os
import signal
import stat
import subprocess
import time

import pytest

import courtier


@pytest.fixture
def location(tmp_path):
    os.chmod(tmp_path, 0o777)  # for the unprivileged processes
    folder = tmp_path
    while folder != folder.parent and folder.stat().st_uid == os.geteuid():
        os.chmod(folder, folder.stat().st_mode | 0o001)
        folder = folder.parent
    return tmp_path


@pytest.fixture
def keeper(pytestconfig, location):
    """A broker that keeps its state in `location`."""
    if pytestconfig.getoption("--broker-kind") != "courtier":
        pytest.skip("courtier's own files")
    process = courtier.Process(pytestconfig.getoption("--broker"), 2, "epoll",
                               ["persistence true", f"persistence_location {location}"])
    yield process
    assert process.stop() == []


def test_folder_is_private(keeper, location):
    folder = location / "courtier.db"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [file.name for file in folder.iterdir()] == ["data.mdb"]
    assert stat.S_IMODE((folder / "data.mdb").stat().st_mode) == 0o600


def test_second_broker_is_refused(keeper, location):
    conf = location / "second.conf"
    conf.write_text(f"listener 0 127.0.0.1\npersistence true\npersistence_location {location}\n")
    result = subprocess.run([keeper.path, "-c", str(conf)], capture_output=True, timeout=20,
                            text=True)
    assert result.returncode == 3
    assert "another broker uses it" in result.stderr


def test_store_that_dies_is_replaced(keeper):
    old = keeper.read_pids()
    os.kill(old["store"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while keeper.read_pids().get("store", old["store"]) == old["store"]:
        assert time.monotonic() < deadline, "no new store"
        time.sleep(0.01)
    assert {**keeper.read_pids(), "store": 0} == {**old, "store": 0}
