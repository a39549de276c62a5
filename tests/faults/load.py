"""Clients that publish and receive through faults, and log it for history.py. Each runs in a
thread, connects again whenever its connection ends, and behaves as the standard wants it: what
is not acknowledged is sent again with DUP, what was received of QoS 2 is remembered. What they
do at which moment comes from the seed; what the broker does meanwhile does not."""

import collections
import random
import socket
import threading
import time

import packets
import wire
from history import History, id_of, payload
from packets import V5, V311, Prop, Type, Will

EXPIRY_S = 3600
TICK_S = 0.05  # longest that a client does not look whether it should end
ANSWER_S = 10  # for CONNACK and SUBACK
DRAIN_S = 30  # for all that is owed, as long as something comes each IDLE_S
IDLE_S = 4
LONE_TOPIC = "kept"


class Actor(threading.Thread):
    """One client. on_connected() and on_packet() are its life; it ends when is_done()."""

    clean = False

    def __init__(self, load, name, version=V5):
        super().__init__(daemon=True, name=name)
        self.load, self.version = load, version
        self.rng = random.Random(f"{load.seed}/{name}")
        self.history = load.history
        self.client, self.is_stopping, self.error = None, False, None
        self.connects = 0

    def log(self, kind, **fields):
        self.history.log(kind, self.name, **fields)

    def is_done(self):
        return self.is_stopping

    def run(self):
        try:
            while not self.is_done():
                self.one_connection()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error  # for the main thread

    def one_connection(self):
        try:
            self.client = wire.Client(self.load.port(), self.version, timeout=ANSWER_S)
        except OSError:
            time.sleep(0.005)
            return
        try:
            self.connect()
            self.on_connected()
            while not self.is_done():
                self.turn()
            self.leave()
        except TimeoutError as error:
            raise AssertionError(f"{self.name}: no answer within {ANSWER_S} s") from error
        except (wire.Closed, OSError):
            self.log("closed")
        finally:
            self.client.cut()

    def connect(self):
        props = {} if self.clean else {Prop.SESSION_EXPIRY: EXPIRY_S}
        self.client.send(packets.connect(self.name, self.version, self.clean, 0, props,
                                         self.will()))
        p = self.client.recv()
        if p.type != Type.CONNACK or p.reason:
            time.sleep(0.02)
            raise wire.Closed(f"refused: {p}")
        self.connects += 1
        self.log("connect", present=p.session_present, clean=self.clean)
        self.is_present = p.session_present

    def turn(self):
        try:
            p = self.client.recv(TICK_S)
        except TimeoutError:
            self.on_idle()
            return
        self.on_packet(p)

    def will(self):
        return None

    def on_connected(self):
        pass

    def on_idle(self):
        pass

    def on_packet(self, p):
        if p.type == Type.DISCONNECT:
            raise wire.Closed("told to go")

    def leave(self):
        self.log("disconnect")
        self.client.send(packets.disconnect())

    def cut(self):
        raise wire.Closed("by the client")


class Pending:
    """A PUBLISH whose handshake has not ended."""

    def __init__(self, id_, topic, qos, retain, data):
        self.id, self.topic, self.qos, self.retain, self.data = id_, topic, qos, retain, data
        self.is_received = False  # PUBREC came


class Publisher(Actor):
    """Keeps up to `window` messages in flight. A clean one forgets them at the connection's
    end, another one sends them again."""

    def __init__(self, load, name, version=V5, clean=False, retain=False):
        super().__init__(load, name, version)
        self.clean, self.retain = clean, retain
        self.pending = {}  # packet id, in the order of sending
        self.window = self.rng.choice([1, 5, 20])
        self.count = self.packet_id = 0

    def is_done(self):
        return self.is_stopping and not self.pending

    def on_connected(self):
        if not self.is_present:
            for pending in self.pending.values():
                self.log("drop", id=pending.id)
            self.pending.clear()
        for packet_id, pending in self.pending.items():
            if pending.is_received:
                self.client.send(packets.ack(Type.PUBREL, packet_id))
            else:
                self.send(packet_id, pending, dup=True)
        self.fill()

    def send(self, packet_id, pending, dup=False):
        self.log("send", id=pending.id, packet_id=packet_id or 0, topic=pending.topic,
                 qos=pending.qos, dup=dup, retain=pending.retain,
                 text="" if pending.data else "clear")
        self.client.send_publish(pending.topic, pending.data, pending.qos, packet_id, dup=dup,
                                 retain=pending.retain)

    def fill(self):
        """New messages, as many as may be on their way."""
        while len(self.pending) < self.window and not self.is_stopping:
            self.send_new()
        if self.rng.random() < 0.02:
            self.window = self.rng.choice([1, 5, 20])

    def send_new(self):
        rng = self.rng
        number, self.count = self.count, self.count + 1
        qos = rng.choices([0, 1, 2], [1, 6, 3])[0] if not self.retain else rng.choice([1, 2])
        size = rng.choice([0, 50, 200]) if rng.random() < 0.97 else rng.randrange(4000, 20000)
        data = payload(self.name, number, size)
        if self.retain and rng.random() < 0.1:
            data = b""
        # One topic: the order of retained messages is that of a topic and QoS, so QoS 1 and 2
        # have their own.
        topic = f"{LONE_TOPIC}/{self.name}/{qos}" if self.retain else (
            f"load/{self.name}/{rng.randrange(3)}")
        pending = Pending((self.name, number), topic, qos, self.retain, data)
        packet_id = None
        if qos:
            packet_id = self.free_id()
            self.pending[packet_id] = pending
        self.send(packet_id, pending)

    def free_id(self):
        while True:
            self.packet_id = self.packet_id % 65535 + 1
            if self.packet_id not in self.pending:
                return self.packet_id

    def on_packet(self, p):
        super().on_packet(p)
        pending = self.pending.get(p.packet_id)
        id_ = pending.id if pending else None
        if p.type in (Type.PUBACK, Type.PUBREC):
            if p.reason < 0x80:
                self.log("ack", id=id_, packet_id=p.packet_id)
            if p.type == Type.PUBREC and p.reason < 0x80:
                if pending:
                    pending.is_received = True
                self.client.send(packets.ack(Type.PUBREL, p.packet_id))
                return
        self.log("complete", id=id_, packet_id=p.packet_id)
        self.pending.pop(p.packet_id, None)
        time.sleep(self.load.pause_s)
        self.fill()


class Subscriber(Actor):
    """Receives and acknowledges. `away`: how likely it goes, per message, for a while; it may
    then leave messages unanswered."""

    def __init__(self, load, name, version=V5, text="load/#", qos=2, away=0.0):
        super().__init__(load, name, version)
        self.text, self.qos, self.away = text, qos, away
        self.is_subscribed = False
        self.unanswered = collections.deque()
        self.received = set()
        self.latest_at = time.monotonic()

    def on_connected(self):
        self.unanswered.clear()
        if self.is_subscribed and self.is_present:
            return
        self.log("subscribe", topic=self.text)
        self.client.send(packets.subscribe(1, [(self.text, self.qos)], version=self.version))
        while (p := self.client.recv()).type != Type.SUBACK:
            self.on_packet(p)
        self.log("subscribed", topic=self.text, qos=self.qos)
        self.is_subscribed = True

    def on_packet(self, p):
        super().on_packet(p)
        if p.type == Type.PUBREL:
            self.log("release", packet_id=p.packet_id)
            self.client.send(packets.ack(Type.PUBCOMP, p.packet_id))
        elif p.type == Type.PUBLISH:
            self.on_publish(p)

    def on_publish(self, p):
        id_ = id_of(p.payload) if p.payload else None
        self.log("recv", id=id_, packet_id=p.packet_id, topic=p.topic, qos=p.qos, dup=p.dup,
                 retain=p.retain, text="" if id_ else p.payload[:60].hex())
        self.received.add(id_)
        self.latest_at = time.monotonic()
        if self.rng.random() < self.away:
            time.sleep(0 if self.rng.random() < 0.5 else self.rng.uniform(0.02, 0.3))
            self.cut()
        if p.qos:
            self.unanswered.append(p)
        if self.rng.random() < 0.3 or len(self.unanswered) > 5:
            self.on_idle()

    def on_idle(self):
        while self.unanswered:
            p = self.unanswered.popleft()
            if p.qos == 1:
                self.log("answer", packet_id=p.packet_id)
            self.client.send(packets.ack(Type.PUBACK if p.qos == 1 else Type.PUBREC, p.packet_id))


class Mortal(Actor):
    """Has a will, another one for each connection; leaves with DISCONNECT or without."""

    def __init__(self, load, name, qos=1):
        super().__init__(load, name)
        self.qos, self.count = qos, 0

    def will(self):
        id_ = (self.name, self.count)
        self.count += 1
        self.latest = id_
        topic = f"wills/{self.name}"
        self.log("will", id=id_, topic=topic, qos=self.qos)
        return Will(topic, payload(*id_), self.qos)

    def on_connected(self):
        self.log("armed", id=self.latest)

    def on_idle(self):
        if self.rng.random() < 0.3:
            self.cut()
        if self.rng.random() < 0.3:
            self.client.ping()  # so that it is known to be there at this moment
            self.leave()
            self.client.expect_end()
            self.client.cut()
            raise wire.Closed("left")


class Reader(Actor):
    """Asks for retained messages with a new subscription each time."""

    clean = True

    def __init__(self, load, name, topics):
        super().__init__(load, name)
        self.topics = topics

    def on_idle(self):
        self.read(self.rng.choice(self.topics))

    def on_connected(self):
        for topic in self.topics:
            self.read(topic)

    def read(self, topic):
        at = time.monotonic()
        self.client.subscribe(topic, qos=0)
        self.client.ping()
        # One that was published meanwhile is newer, and comes in place of what is retained.
        live = [p for p in self.client.stash if p.topic == topic]
        got = [p for p in live if p.retain] or live[-1:]
        data = got[0].payload if got else b""
        self.client.stash.clear()
        id_ = id_of(data) if data else None
        event = dict(id=id_, topic=topic, text="torn" if data and id_ is None else "")
        self.history.log_at(at, "read", self.name, **event)
        self.client.unsubscribe(topic)
        self.client.stash.clear()


class Load:
    """All clients of one run. port() tells where the broker is at the moment."""

    def __init__(self, port, seed, pause_s=0.001):
        self.port, self.seed, self.pause_s = port, seed, pause_s
        self.history = History()
        tail = str(seed)
        group = f"$share/g{seed}/load/#"  # without the members of a load before
        self.publishers = [
            Publisher(self, "p5-" + tail), Publisher(self, "p3-" + tail, V311),
            Publisher(self, "clean-" + tail, clean=True),
            Publisher(self, "keeper-" + tail, retain=True)]
        self.subscribers = [
            Subscriber(self, "steady-" + tail), Subscriber(self, "old-" + tail, V311, qos=1),
            Subscriber(self, "away-" + tail, away=0.02),
            Subscriber(self, "watch-" + tail, text="wills/#"),
            Subscriber(self, "member1-" + tail, text=group, away=0.01),
            Subscriber(self, "member2-" + tail, text=group)]
        self.offline = Subscriber(self, "offline-" + tail)
        self.others = [
            Mortal(self, "mortal1-" + tail), Mortal(self, "mortal2-" + tail, qos=2),
            Reader(self, "reader-" + tail, [f"{LONE_TOPIC}/keeper-{tail}/{qos}" for qos in (1, 2)])]

    def start(self):
        """Returns when every session and subscription is there."""
        self.make_offline()
        for actor in self.subscribers:
            actor.start()
        wait(lambda: all(actor.is_subscribed for actor in self.subscribers), "subscribed")
        for actor in self.publishers + self.others:
            actor.start()
        wait(lambda: all(actor.connects for actor in self.publishers), "connected")

    def make_offline(self):
        """A session that only gets its messages at the end."""
        actor = self.offline
        actor.client = wire.Client(self.port(), actor.version)
        actor.connect()
        actor.on_connected()
        actor.client.disconnect()

    def fault(self, name):
        """To be called at once before it."""
        self.history.log("fault", "", text=name)

    def finish(self):
        """Stops, waits till all that is owed has come, and returns how many messages that was."""
        for actor in self.publishers + self.others:
            actor.is_stopping = True
        for actor in self.publishers + self.others:
            actor.join(DRAIN_S)
        for actor in self.publishers:
            actor.pending.clear()  # if there is any, it is stuck
        reader = Reader(self, "last-reader", self.others[-1].topics)
        self.offline.start()
        self.drain()
        self.reconnect_all()
        reader.start()
        wait(lambda: reader.connects, "connected")
        for actor in self.subscribers + [self.offline, reader]:
            actor.is_stopping = True
            actor.join(ANSWER_S)
        for actor in self.all():
            if actor.error is not None:
                raise actor.error
        return sum(actor.count for actor in self.publishers)

    def drain(self):
        """Waits till each subscriber has what it should have, or nothing more comes."""
        acked = {e.id for e in self.history.events if e.kind == "ack"}
        kept = {e.id for e in self.history.events if e.kind == "send" and e.retain}
        subscribers = [a for a in self.subscribers if a.text == "load/#"] + [self.offline]
        group = [a for a in self.subscribers if a.text.startswith("$share/")]
        deadline = time.monotonic() + DRAIN_S
        while any(not acked - kept <= a.received for a in subscribers) or (
                not acked - kept <= set().union(*[a.received.copy() for a in group])):
            now = time.monotonic()
            latest = max(actor.latest_at for actor in subscribers + group)
            if now > deadline or now - max(latest, deadline - DRAIN_S) > IDLE_S:
                break
            time.sleep(0.02)

    def reconnect_all(self):
        """What is not answered comes now at the latest; and nothing that was."""
        for actor in self.subscribers + [self.offline]:
            actor.away = 0
            before = actor.connects
            try:
                actor.client.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is about to, by itself
            wait(lambda a=actor, n=before: a.connects > n, "connected again")
        time.sleep(5 * TICK_S)

    def all(self):
        return self.publishers + self.subscribers + self.others + [self.offline]


def wait(condition, what):
    deadline = time.monotonic() + DRAIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not {what}"
        time.sleep(0.005)
