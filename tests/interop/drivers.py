"""Foreign clients under remote control. Each has a driver in clients/: a program around the
client's library that takes commands on its standard input and answers on its standard output,
a line for each. All values are free of blanks; payloads and correlation data are in hex.

    connect port= id= [clean= keepalive= reconnect= session-expiry= alias-max=]
            [will-topic= will-payload= will-qos= will-retain= will-user=]
    subscribe filter= qos= [subscription= no-local= as-published= handling=]
    unsubscribe filter=
    publish topic= payload= qos= [retain= count= user=KEY:VALUE... content-type= response=
            correlation= format= expiry= alias=]
    disconnect

`count` publishes so many messages at once, with their numbers behind the payload. A publish
is answered when all is acknowledged. Answers, one for each command in their order:

    ok [present= assigned= code=]   what the broker's packet said, as far as the client tells
    ok lost=                        so many messages of a publish were not sent, says the client
    n/a what=                       the client does not offer this field, or its value
    failed why=

and between them, at any time:

    message topic= payload= qos= retain= dup= [properties as above, in their order]
    closed [reason=]                the connection has ended unasked, and is not opened again
"""

import pathlib
import queue
import subprocess
import threading
import time
from typing import NamedTuple

import pytest

TIMEOUT_S = 15
ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(__file__).resolve().parent / "clients"
BUILD = ROOT / "build/interop/tests/interop"
NODE = ["/usr/bin/env", f"NODE_PATH={ROOT}/build/npm/node_modules", "node"]


class Kind(NamedTuple):
    """One foreign client: how its driver starts, and the versions that it speaks."""

    command: list
    versions: tuple

    def is_there(self):
        paths = [word for word in self.command if word.startswith(str(ROOT))]
        needs_npm = self.command[:3] == NODE
        return all(pathlib.Path(path).exists() for path in paths) and (
            not needs_npm or (ROOT / "build/npm/installed.json").exists())


KINDS = {
    "libmosquitto": Kind([str(BUILD / "driver_mosquitto")], (3, 4, 5)),
    "paho-c": Kind([str(BUILD / "driver_paho")], (3, 4, 5)),
    "paho-python": Kind(["/usr/bin/python3", "-B", str(FOLDER / "driver_paho.py")], (3, 4, 5)),
    "mqtt.js-5": Kind([*NODE, str(FOLDER / "driver_mqttjs.js"), "mqtt"], (4, 5)),
    "mqtt.js-4": Kind([*NODE, str(FOLDER / "driver_mqttjs.js"), "mqtt4"], (4, 5)),
    "mqtts": Kind([*NODE, str(FOLDER / "driver_mqtts.js")], (4,)),
    "u8-mqtt": Kind([*NODE, str(FOLDER / "driver_u8.js")], (4, 5)),
}


class Line:
    """An answer or an event."""

    def __init__(self, text):
        self.text = text
        self.verb, *words = text.split(" ")
        self.pairs = [tuple(word.split("=", 1)) for word in words]

    def __repr__(self):
        return self.text if len(self.text) < 400 else f"{self.text[:400]}... ({len(self.text)})"

    def all(self, key):
        return [value for each, value in self.pairs if each == key]

    def get(self, key):
        return next(iter(self.all(key)), None)

    def number(self, key):
        value = self.get(key)
        return None if value is None else int(value)

    @property
    def payload(self):
        return bytes.fromhex(self.get("payload"))


class Driver:
    """A foreign client, which has one connection."""

    def __init__(self, kind, version):
        # The version goes right behind the script, if there is one.
        command = list(KINDS[kind].command)
        scripts = [i for i, word in enumerate(command) if word.startswith(str(FOLDER))]
        command.insert(scripts[0] + 1 if scripts else len(command), str(version))
        self.kind, self.version = kind, version
        self.client_id = None
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        encoding="utf-8")
        self.answers, self.messages, self.ends = queue.Queue(), queue.Queue(), queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        queues = {"message": self.messages, "closed": self.ends}
        for text in self.process.stdout:
            line = Line(text.rstrip("\n"))
            queues.get(line.verb, self.answers).put(line)

    def kill(self):
        """The client's end without a farewell."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    # -- commands --

    def send(self, verb, **fields):
        """Does not wait: take the answer() later. A list is a field several times."""
        words = [verb]
        for key, value in fields.items():
            for each in value if isinstance(value, list) else [value]:
                each = each.hex() if isinstance(each, bytes) else each
                words.append(f"{key.replace('_', '-')}={each}")
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def answer(self):
        try:
            line = self.answers.get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise AssertionError(f"{self.kind} does not answer") from None
        if line.verb == "n/a":
            pytest.skip(f"{self.kind}: n/a: {line.get('what')}")
        assert line.verb == "ok", f"{self.kind}: {line}"
        return line

    def do(self, verb, **fields):
        self.send(verb, **fields)
        return self.answer()

    def subscribe(self, topic_filter, qos=0, **options):
        code = self.do("subscribe", filter=topic_filter, qos=qos, **options).number("code")
        assert code == qos, f"granted {code}, asked for {qos}"

    def publish(self, topic, payload=b"", qos=0, **rest):
        return self.do("publish", topic=topic, payload=payload, qos=qos, **rest)

    def disconnect(self):
        self.do("disconnect")

    # -- what comes --

    def receive(self, count=1):
        """The next messages."""
        deadline, got = time.monotonic() + TIMEOUT_S, []
        while len(got) < count:
            try:
                got.append(self.messages.get(timeout=max(0, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"{self.kind}: {len(got)} of {count} messages came") from None
        return got

    def receive_until(self, payload):
        """The messages before the one with this payload."""
        got = self.receive()
        while got[-1].payload != payload:
            got += self.receive()
        return got[:-1]

    def await_end(self):
        try:
            return self.ends.get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise AssertionError(f"{self.kind}: the connection has not ended") from None


class Drivers:
    """Makes the clients of one test: all of one kind and version."""

    def __init__(self, broker, kind, version):
        assert KINDS[kind].is_there(), f"{kind} is not built: tests/run interop does that"
        self.broker, self.kind, self.version = broker, kind, version
        # Most tests want two; they start side by side.
        self.spare = [self._start() for _ in range(2)]
        self.running = list(self.spare)

    def _start(self):
        return Driver(self.kind, self.version)

    def _take(self):
        if self.spare:
            return self.spare.pop()
        self.running.append(self._start())
        return self.running[-1]

    def connect(self, client_id=None, present=0, port=None, **fields):
        """A connected client; without an id it gets a new one, at home on the next worker."""
        driver = self._take()
        driver.client_id = self.broker.new_id() if client_id is None else client_id
        answer = driver.do("connect", port=port or self.broker.port, id=driver.client_id, **fields)
        if self.version > 3:  # 3.1 does not tell
            assert answer.number("present") == present
        driver.assigned_id = answer.get("assigned")
        return driver

    def connect_lasting(self, client_id=None, present=0, **fields):
        """The same with a session that outlives the connection."""
        if self.version == 5:
            fields["session_expiry"] = 300
        return self.connect(client_id, present, clean=0, **fields)

    def close(self):
        for driver in self.running:
            driver.kill()
