"""A broker under test as processes: starts it, reads its log, finds which worker holds a
connection, and checks at its end that it went as it should."""

import collections
import glob
import itertools
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import wire

START_MAX_S = 20
STOP_MAX_S = 20  # the master gives up much earlier, and logs it
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehavior|runtime error:")
# What a healthy broker never says.
TROUBLE = re.compile(r"has died|killing it|set aside|can't be started|can't be read")


class Process:
    """One broker with its own configuration and scratch folder. In lines of the configuration
    {folder} stands for the latter."""

    always = ()  # lines that each configuration has, where it does not say otherwise

    def __init__(self, path, workers, event_loop, lines=(), kind="courtier", files=None,
                 prepare=None):
        """`prepare`, called with the process before it starts, may put variables into
        environment and files into folder."""
        self.path, self.workers, self.event_loop, self.kind = path, workers, event_loop, kind
        self.files = files  # how many a process may have open; None: as it is here
        self.folder = tempfile.mkdtemp(prefix="courtier-test-")
        os.chmod(self.folder, 0o777)  # for what the unprivileged processes report
        self.environment = {}
        if prepare is not None:
            prepare(self)
        self.conf_path = os.path.join(self.folder, "test.conf")
        self.log, self._log_changed = [], threading.Condition()
        self._complaints = []  # lines of the log that are a sanitizer's
        self._ids = itertools.count()
        self._free_ids = {}
        self._canaries = []
        self.port = 0 if kind == "courtier" else wire.free_port()
        self._lines = lines
        self.write_conf(lines)
        self._start()

    # -- start and stop --

    def write_conf(self, lines):
        if self.kind == "mosquitto":
            own = [f"listener {self.port} 127.0.0.1", "log_type all"]
        else:
            own = ["listener 0 127.0.0.1", f"workers {self.workers}", "log_type all",
                   f"event_loop {self.event_loop}", "live_size_max 64M"]
        names = {line.split()[0] for line in lines}
        own += ["allow_anonymous true", *self.always]
        own = [line for line in own if line.split()[0] not in names or "listener" in line]
        text = "\n".join([*own, *lines]).replace("{folder}", self.folder)
        with open(self.conf_path, "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def _environment(self):
        report = os.path.join(self.folder, "sanitizer")
        env = dict(os.environ)
        env["ASAN_OPTIONS"] = f"detect_leaks=1:log_path={report}"
        env["UBSAN_OPTIONS"] = f"halt_on_error=1:print_stacktrace=1:log_path={report}"
        env["TSAN_OPTIONS"] = f"log_path={report}"
        for name, value in self.environment.items():
            env[name] = value
        if "LD_PRELOAD" in self.environment:
            env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        return env

    def _limit_files(self):
        if self.files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))

    def _start(self):
        self.process = subprocess.Popen([self.path, "-c", self.conf_path],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=self._environment(),
                                        preexec_fn=self._limit_files)
        self.log_ended, since = False, self.log_position()
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        ready = "running" if self.kind == "courtier" else "Opening ipv4 listen socket"
        self.wait_log(ready, START_MAX_S, since)
        if self.kind == "courtier":
            line = self.find_log(r"Opening ipv4 listen socket on port (\d+)\.", since)
            self.port = int(line.group(1))
        else:
            wire.wait_listening(self.port, START_MAX_S)
        self.pids = self.read_pids()

    def _read_log(self):
        for line in self.process.stderr:
            text = line.decode("utf-8", "backslashreplace").rstrip("\n")
            with self._log_changed:
                self.log.append(text)
                if SANITIZER.search(text):
                    self._complaints.append(text)
                self._log_changed.notify_all()
        with self._log_changed:
            self.log_ended = True
            self._log_changed.notify_all()

    def stop(self):
        """Ends the broker and returns what was wrong with its end, as a list of lines. One that
        a test has killed with SIGKILL has nothing left to do right."""
        wrong = self._end()
        shutil.rmtree(self.folder, ignore_errors=True)
        return wrong

    def restart(self, lines=None, workers=None, kill=False, meanwhile=None):
        """Ends the broker, as it likes or all of it at once, and starts it on the same folder;
        with other lines of configuration or workers, if given. `meanwhile` is called when it
        is gone. Its port may be another one."""
        wrong = self.kill_all() if kill else self._end()
        assert not wrong, "\n".join(wrong)
        if meanwhile is not None:
            meanwhile()
        self._lines = self._lines if lines is None else lines
        self.workers = self.workers if workers is None else workers
        self._free_ids = {}
        self.write_conf(self._lines)
        self._start()

    def kill_all(self):
        """SIGKILL for every process, without time for the others to notice. The master goes
        first, as it would replace what dies."""
        self.forget_canaries()
        pids = self.all_pids()
        for pid in pids:
            send_signal(pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + STOP_MAX_S
        while left := [pid for pid in pids if is_alive(pid)]:
            assert time.monotonic() < deadline, f"still there: {left}"
        self.reader.join(2)
        return self.reports()

    def _end(self):
        self.forget_canaries()
        pids, since = self.all_pids(), self.log_position()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_MAX_S)
            wrong = [] if code in (0, -signal.SIGKILL) else [f"exit code {code}"]
        except subprocess.TimeoutExpired:
            wrong = [f"did not stop within {STOP_MAX_S} s"]
            self.process.kill()
            self.process.wait()
        self.reader.join(2)
        wrong += [f"orphan process {pid}" for pid in pids if is_alive(pid)]
        wrong += [line for line in self.log[since:] if "killing it" in line]
        wrong += self.reports()
        if self.process.returncode == 0:
            left = glob.glob(f"/dev/shm/courtier-{self.process.pid}.*")
            wrong += [f"left behind: {path}" for path in left]
        return wrong

    def reports(self):
        """What sanitizers wrote."""
        lines = []
        for path in glob.glob(os.path.join(self.folder, "sanitizer.*")):
            with open(path, encoding="utf-8", errors="replace") as file:
                lines.append(file.read()[:8000])
        return lines + self._complaints

    def is_sanitized(self):
        """Its memory is then not what it is for users: what is freed stays for a while."""
        with open(self.path, "rb") as file:
            return b"__asan_init" in file.read()

    # -- log --

    def log_position(self):
        return len(self.log)

    def find_log(self, pattern, since=0):
        for line in self.log[since:]:
            if found := re.search(pattern, line):
                return found
        return None

    def wait_log(self, pattern, timeout=10, since=0):
        deadline = time.monotonic() + timeout
        with self._log_changed:
            while (found := self.find_log(pattern, since)) is None:
                left = deadline - time.monotonic()
                if left <= 0 or self.log_ended:
                    raise AssertionError(f"no line {pattern!r} in the log:\n" + self.log_tail())
                self._log_changed.wait(left)
        return found

    def log_tail(self, since=0, count=40):
        return "\n".join(self.log[since:][-count:])

    # -- processes --

    def read_pids(self):
        """Process ids by name: "worker 0" ..., "store"."""
        if self.kind == "mosquitto":
            return {"worker 0": self.process.pid}
        found = {}
        for pid in children_of(self.process.pid):
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                    found[file.read().strip()] = pid
            except OSError:
                pass
        return found

    def all_pids(self):
        return [self.process.pid, *children_of(self.process.pid)]

    def trouble(self, since):
        """What a test must not leave behind: other processes than before, bad log lines."""
        wrong = [] if self.process.poll() is None else [f"exit code {self.process.returncode}"]
        pids = self.read_pids()
        if pids != self.pids:
            wrong.append(f"processes were {self.pids}, are {pids}")
        wrong += [line for line in self.log[since:] if TROUBLE.search(line)]
        return wrong + [report[:200] for report in self.reports()]

    # -- placement --

    def home_of(self, client):
        """The number of the worker that holds this client's connection."""
        return self._homes([client])[0]

    def _homes(self, clients):
        inodes = server_inodes(self.port)
        wanted = [inodes[client.local_port()] for client in clients]
        deadline = time.monotonic() + 5
        while True:
            owners = self._socket_owners()
            # Two for a moment, when a connection has just been passed on.
            if all(len(owners[inode]) == 1 for inode in wanted):
                return [min(owners[inode]) for inode in wanted]
            assert time.monotonic() < deadline, "connections with no one home"

    def _socket_owners(self):
        owners = collections.defaultdict(set)
        for name, pid in self.read_pids().items():
            if name.startswith("worker"):
                for inode in socket_inodes(pid):
                    owners[inode].add(int(name.split()[1]))
        return owners

    def id_on(self, worker):
        """A client id that was never used before and whose home is this worker."""
        if self.workers == 1:
            return f"t{os.getpid()}-{next(self._ids)}"
        while not self._free_ids.get(worker):
            self._find_ids(16 * self.workers)
        return self._free_ids[worker].pop()

    def _find_ids(self, count):
        clients = []
        for _ in range(count):
            client = wire.Client(self.port)
            client.connect(f"t{os.getpid()}-{next(self._ids)}")
            clients.append(client)
        for client, home in zip(clients, self._homes(clients)):
            self._free_ids.setdefault(home, []).append(client.client_id)
        for client in clients:
            client.disconnect()

    def canaries(self):
        """One connected client on each worker, that no test disturbs."""
        if not self._canaries:
            for worker in range(self.workers):
                client = wire.Client(self.port)
                client.connect(self.id_on(worker))
                self._canaries.append(client)
        return self._canaries

    def settle(self):
        """Each worker has taken a turn since the call, so it has read what was sent before."""
        for canary in self.canaries():
            canary.ping()

    def forget_canaries(self):
        for canary in self._canaries:
            canary.cut()
        self._canaries = []


# -- /proc ---------------------------------------------------------------------

def send_signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def server_inodes(port):
    """The broker's sockets at this port: inode by the client's port."""
    found = {}
    with open("/proc/net/tcp", encoding="utf-8") as file:
        next(file)
        for line in file:
            fields = line.split()
            if fields[3] == "01" and int(fields[1][-4:], 16) == port:
                found[int(fields[2][-4:], 16)] = fields[9]
    return found


def is_open(port, client_port):
    """Has the broker its end of this connection still open? (The client's may be closed.)"""
    local, remote = f":{port:04X}", f":{client_port:04X}"
    with open("/proc/net/tcp", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[1].endswith(local) and fields[2].endswith(remote):
                return fields[3] in ("01", "08")  # established, or waits for its close
    return False


def socket_inodes(pid):
    inodes = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(entry.path)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes
