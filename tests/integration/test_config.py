"""The command line and the configuration file: exit codes, texts, and what is open by default."""

import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

import courtier
import wire

DONE, FAILED, ARGUMENTS, CONF = 0, 1, 2, 3


@pytest.fixture
def program(pytestconfig):
    if pytestconfig.getoption("--broker-kind") != "courtier":
        pytest.skip("courtier's own command line")
    return pytestconfig.getoption("--broker")


@pytest.fixture
def run(program, tmp_path):
    """Runs with these arguments, or on a file with these lines; stdout, stderr and code."""
    def run(*arguments, lines=None):
        if lines is not None:
            path = tmp_path / "courtier.conf"
            path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
            arguments = ("-c", str(path), *arguments)
        return subprocess.run([program, *arguments], capture_output=True, timeout=20, text=True)
    return run


def test_version(run):
    result = run("--version")
    assert result.returncode == DONE
    assert re.fullmatch(r"courtier version \d+\.\d+\.\d+\n", result.stdout)


def test_help(run):
    result = run("--help")
    assert result.returncode == DONE and "--test-config" in result.stdout


@pytest.mark.parametrize("arguments", [["-z"], ["surplus"], ["--nonsense"], ["-c"]])
def test_wrong_arguments(run, arguments):
    result = run(*arguments)
    assert result.returncode == ARGUMENTS and result.stderr


@pytest.mark.parametrize("lines", [
    "", "# only a comment\n", "listener 1883\r\nallow_anonymous true\r\n",
    "listener 1883 127.0.0.1\nmax_connections 10\nlistener 1884\n", "port 1884\n",
    "persistence false\n", "listener 0 /tmp/x.sock\n", "\ufefflistener 1883\n",
    "listener 1883 127.0.0.1\nlistener 1883 127.0.0.1\n", "max_packet_size 10M\n"])
def test_good_file(run, lines):
    result = run("--test-config", lines=lines)
    assert (result.returncode, result.stdout) == (DONE, "Configuration file is OK.\n")


BAD = [
    ("nonsense 1\n", ":1: error: unknown option"),
    ("\nmax_paket_size 1\n", r':2: error: .*Did you mean "max_packet_size"'),
    ("max_packet_size many\n", ":1: error: .*many"),
    ("allow_anonymous perhaps\n", ":1: error: .*allow_anonymous true"),
    ("port=1883\n", ":1: error: .*port"),
    ("listener localhost\n", r":1: error: .*port is missing.*listener 1883 localhost"),
    ("listener @192.168.1.10\n", ":1: error: .*port is missing.*listener 1883"),
    ("listener 99999\n", ":1: error: .*65535"),
    ("pid_file /a\npid_file /b\n", ":2: error: .*:1"),
    ("plugin /usr/lib/x.so\n", ":1: error: .*plugin"),
    ("password_file /etc/passwd\n", ":1: error: .*password_file"),
    ("certfile /x.pem\n", ":1: error: .*certfile"),
    ("include_dir /nonexistent/dir\n", ":1: error: .*/nonexistent/dir"),
    ("ring_size 100000\n", ":1: error: .*power of two"),
    ("workers 0\n", ":1: error: .*workers"),
]


@pytest.mark.parametrize("lines,text", BAD, ids=[row[0].split()[0] for row in BAD])
@pytest.mark.parametrize("way", [["--test-config"], []], ids=["test", "start"])
def test_bad_file(run, lines, text, way):
    """The same words from --test-config and from a start."""
    result = run(*way, lines=lines)
    assert result.returncode == CONF, result.stderr
    assert re.search(text, result.stderr), result.stderr


def test_all_problems_are_told_at_once(run):
    result = run("--test-config", lines="nonsense 1\nworkers x\nother 2\n")
    assert result.returncode == CONF
    assert [f":{n}: error" in result.stderr for n in (1, 2, 3)] == [True] * 3


def test_warnings_do_not_refuse(run):
    result = run("--test-config", lines="autosave_interval 60\npersistence true\n")
    assert result.returncode == DONE and "warning" in result.stderr


def test_missing_file(run):
    result = run("-c", "/nonexistent/courtier.conf", "--test-config")
    assert result.returncode == CONF and "/nonexistent/courtier.conf" in result.stderr


def test_test_config_changes_nothing(run, tmp_path):
    lines = (f"pid_file {tmp_path}/pid\nlog_dest file {tmp_path}/log\n"
             f"listener 0 {tmp_path}/sock\n")
    assert run("--test-config", lines=lines).returncode == DONE
    assert sorted(os.listdir(tmp_path)) == ["courtier.conf"]


def test_sample_file_is_good(run):
    sample = pathlib.Path(__file__).resolve().parents[2] / "etc/courtier.conf"
    assert run("-c", str(sample), "--test-config").returncode == DONE


def test_include_dir(run, tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "b.conf").write_text("nonsense 1\n")
    (folder / "skipped.txt").write_text("other 1\n")
    result = run("--test-config", lines=f"include_dir {folder}\n")
    assert result.returncode == CONF and "b.conf:1: error" in result.stderr
    assert "skipped.txt:1" not in result.stderr


# -- a running broker --

class Started:
    def __init__(self, program, lines, tmp_path, arguments=()):
        path = tmp_path / "courtier.conf"
        path.write_text(lines)
        self.process = subprocess.Popen([program, "-c", str(path), *arguments],
                                        stderr=subprocess.PIPE, text=True)
        self.log = []
        for line in self.process.stderr:
            self.log.append(line)
            if line.rstrip().endswith("running"):
                break

    def ports(self):
        return [int(n) for n in re.findall(r"listen socket on port (\d+)\.", "".join(self.log))]

    def stop(self):
        pids = courtier.children_of(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(5) == DONE
        self.process.stderr.close()
        assert not [pid for pid in pids if courtier.is_alive(pid)]


@pytest.fixture
def start(program, tmp_path):
    started = []

    def start(lines, *arguments):
        started.append(Started(program, lines, tmp_path, arguments))
        return started[-1]
    yield start
    for one in started:
        one.stop()


def other_address():
    """An address of this machine that is not loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


def can_connect(host, port):
    try:
        client = wire.Client(port, host=host, timeout=5)
    except OSError:
        return False
    client.connect("someone")
    client.disconnect()
    return True


def test_without_listener_only_this_machine(start):
    """Anonymous is allowed then. The port is not the usual one, which may be in use."""
    broker = start("", "-p", "0")
    port = broker.ports()[0]
    assert can_connect("127.0.0.1", port)


def test_default_is_local_only(program, tmp_path):
    """Port 1883 of this machine; skipped when somebody has it."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("0.0.0.0", 1883))
        except OSError:
            pytest.skip("port 1883 is in use")
    broker = Started(program, "", tmp_path)
    try:
        assert set(broker.ports()) == {1883}
        assert can_connect("127.0.0.1", 1883)
        address = other_address()
        assert address is None or not can_connect(address, 1883)
    finally:
        broker.stop()


def test_listener_is_for_all_and_wants_names(start):
    broker = start("listener 0\n")
    address, port = other_address(), broker.ports()[0]
    if address is None:
        pytest.skip("this machine has no other address")
    wire.Client(port, host=address).connect("someone", 0x87)


def test_listener_with_anonymous(start):
    broker = start("listener 0\nallow_anonymous true\n")
    port = broker.ports()[0]
    assert can_connect("127.0.0.1", port)
    assert can_connect("::1", port)
    assert other_address() is None or can_connect(other_address(), port)


def test_several_listeners(start, tmp_path):
    path = tmp_path / "mqtt.sock"
    broker = start(f"listener 0 127.0.0.1\nlistener 0 127.0.0.1\nlistener 0 {path}\n"
                   "allow_anonymous true\n")
    first, second = broker.ports()
    assert can_connect("127.0.0.1", first) and can_connect("127.0.0.1", second)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"\x10\x0d\0\4MQTT\4\2\0\0\0\1u")
        assert client.recv(4) == b"\x20\2\0\0"


def test_pid_file(start, tmp_path):
    path = tmp_path / "pid"
    broker = start(f"listener 0 127.0.0.1\npid_file {path}\n")
    assert int(path.read_text()) == broker.process.pid


def test_port_in_use(program, start, tmp_path):
    first = start("listener 0 127.0.0.1\n")
    (tmp_path / "second.conf").write_text(f"listener {first.ports()[0]} 127.0.0.1\n")
    result = subprocess.run([program, "-c", str(tmp_path / "second.conf")], capture_output=True,
                            timeout=20, text=True)
    assert result.returncode == FAILED
    assert str(first.ports()[0]) in result.stderr and "in use" in result.stderr


def test_log_file_and_reopen(start, tmp_path):
    """Log rotation: the file is renamed, SIGRTMIN, and new lines go to a new file."""
    log = tmp_path / "log"
    broker = start(f"listener 0 127.0.0.1\nallow_anonymous true\nlog_dest file {log}\n"
                   "log_dest stderr\n")
    os.rename(log, tmp_path / "log.1")
    broker.process.send_signal(signal.SIGRTMIN)
    for _ in range(200):
        assert can_connect("127.0.0.1", broker.ports()[0])
        if log.exists() and "someone" in log.read_text():
            break
    assert "someone" in log.read_text()


def test_title_and_names_of_processes(start):
    broker = start("listener 0 127.0.0.1\nworkers 2\n")
    names = set()
    for pid in courtier.children_of(broker.process.pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            names.add(file.read().rstrip(b"\0").decode())
    assert names == {"courtier: worker 0", "courtier: worker 1", "courtier: store"}
