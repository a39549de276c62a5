"""Brokers under comparison: how to configure, start and stop each kind."""

import os
import shlex
import socket
import subprocess
import tempfile
import time

START_TIMEOUT_S = 10
STOP_TIMEOUT_S = 10
LOG_END_SIZE = 2000

# The same for every broker that reads a mosquitto.conf. No limit on queues: a
# message dropped on purpose would look like one lost.
COMMON_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
log_dest stderr
log_type error
"""
NOTHING_KEPT = "persistence false\n"
ALL_KEPT = "persistence true\npersistence_location {folder}/\nsys_interval 1\n"


class BrokerError(Exception):
    """A broker that cannot be started."""


def free_port():
    """A TCP port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """One entry of the command line: [NAME=]KIND[:ARGUMENT]."""

    def __init__(self, text, options):
        name, equals, rest = text.partition("=")
        if not equals or ":" in name:
            name, rest = "", text
        self.kind, _, self.argument = rest.partition(":")
        if os.path.exists(self.argument):
            self.argument = os.path.abspath(self.argument)  # it runs in a folder of its own
        makers = {
            "mosquitto": self.mosquitto_command,
            "courtier": self.courtier_command,
            "floor": self.floor_command,
            "command": self.custom_command,
        }
        if self.kind not in makers:
            raise BrokerError(f"{text}: the kind is none of {', '.join(makers)}")
        self.name = name or self.kind
        self.make_command = makers[self.kind]
        self.workers = options.workers
        self.cpus = {0} if options.pin else None
        self.lines = [line.partition("=")[2] for line in options.config
                      if line.partition("=")[0] == self.name]
        self.process = None
        self.folder = None
        self.port = 0
        self.is_fanout = False
        self.keeps = False

    def config(self, extra):
        """Writes the configuration file and returns its path."""
        path = os.path.join(self.folder.name, "broker.conf")
        kept = ALL_KEPT if self.keeps else NOTHING_KEPT
        text = (COMMON_CONFIG + kept).format(port=self.port, folder=self.folder.name) + extra
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "".join(line + "\n" for line in self.lines))
        return path

    def mosquitto_command(self):
        """Mosquitto as installed, or at the path given."""
        return [self.argument or "mosquitto", "-c", self.config("")]

    def courtier_command(self):
        """Our broker at the path given."""
        return [self.argument or "courtier", "-c", self.config(f"workers {self.workers}\n")]

    def floor_command(self):
        """The relay that forwards bytes between paired clients: the kernel's share."""
        return [self.argument, "--port", str(self.port), *(["--fanout"] if self.is_fanout else [])]

    def custom_command(self):
        """Any command; {port}, {workers} and {folder} are replaced."""
        return shlex.split(self.argument.format(port=self.port, workers=self.workers,
                                                folder=self.folder.name))

    def start(self, scenario):
        """Starts afresh on a free port and waits until it accepts connections."""
        self.is_fanout = "fanout" in scenario["args"]
        self.keeps = scenario.get("keeps", False)
        self.folder = tempfile.TemporaryDirectory(prefix="courtier-compare-")
        os.chmod(self.folder.name, 0o777)  # brokers that root starts are not root for long
        self.port = free_port()
        pin = (lambda: os.sched_setaffinity(0, self.cpus)) if self.cpus else None
        with open(os.path.join(self.folder.name, "log"), "wb") as log:
            try:
                self.process = subprocess.Popen(self.make_command(), stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL, preexec_fn=pin,
                                                cwd=self.folder.name)
            except OSError as error:
                raise BrokerError(f"{self.name}: {error}") from error
        self.wait_until_open()

    def wait_until_open(self):
        """Returns when a connection succeeds."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        text = self.log_end()
        self.stop()
        raise BrokerError(f"{self.name}: does not start:\n{text}")

    def log_end(self):
        """The end of what it printed."""
        with open(os.path.join(self.folder.name, "log"), encoding="utf-8",
                  errors="replace") as file:
            return file.read()[-LOG_END_SIZE:]

    def stop(self):
        """Ends the process and removes its folder."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.folder.cleanup()
