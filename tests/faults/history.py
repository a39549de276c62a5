"""What clients have sent and seen, and what is wrong with it.

Clients log an event before they send something and after they have received something, so that
the time of an event is never later than its cause nor earlier than its effect. check() reads the
events when all clients are done and all that was owed has come, and returns the violations:

    lost      an acknowledged message did not reach a persistent session that had subscribed
    twice     QoS 2 was delivered more than once
    order     first deliveries of one publisher, topic and QoS are not in the order of sending
    forged    a message or an acknowledgement of something that was never sent
    torn      a payload that is not whole
    unasked   a delivery that no subscription of this client asks for
    dup       a message is sent again without DUP, or first sent with an id that is in use
    resend    a delivery that the client has not answered never came again
    session   a session that should be there was not
    retained  a retained message older than the last acknowledged one
    will      missing, published twice, or published after DISCONNECT
    stuck     a PUBLISH was never acknowledged to its end

Times near a fault need care. A message that nobody has acknowledged may arrive any number of
times (QoS 2: once at most) or not at all. With `window` (durability relaxed) what was
acknowledged in so many seconds before all processes died together may be lost, and what was
finished then may come again."""

import collections
import json
import re
import time
import zlib
from typing import NamedTuple, Optional

NEAR_S = 0.5  # a DISCONNECT so near to a fault may not have been read, or not be on disk


class Event(NamedTuple):
    at: float
    kind: str  # the on_...() of Checker tell what they are
    client: str
    id: Optional[tuple] = None  # of the message: publisher, number; None: no message, or torn
    packet_id: int = 0
    topic: str = ""
    qos: int = 0
    dup: bool = False
    retain: bool = False
    present: bool = False
    clean: bool = False
    text: str = ""


class Violation(NamedTuple):
    kind: str
    text: str


class History:
    def __init__(self):
        self.events = []

    def log(self, kind, client, **fields):
        self.events.append(Event(time.monotonic(), kind, client, **fields))

    def log_at(self, at, kind, client, **fields):
        self.events.append(Event(at, kind, client, **fields))

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            for event in self.events:
                set_fields = {k: v for k, v in event._asdict().items() if v or k == "client"}
                file.write(json.dumps(set_fields) + "\n")


def load(path):
    history = History()
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = json.loads(line)
            if "id" in fields:
                fields["id"] = tuple(fields["id"])
            history.events.append(Event(**fields))
    return history


# -- payloads --

def payload(publisher, number, size=0):
    head = b"%s %d " % (publisher.encode(), number)
    head += b"." * max(0, size - len(head) - 9) + b" "
    return head + b"%08x" % zlib.crc32(head)


def id_of(data):
    """The message that a payload belongs to; None when it is not whole."""
    head, crc = data[:-8], data[-8:]
    if b"%08x" % zlib.crc32(head) != crc:
        return None
    publisher, number = head.split(b" ")[:2]
    return publisher.decode(), int(number)


def matches(text, topic):
    """Does the filter match? Without the rules for "$" but for a group's filter."""
    text = re.sub(r"^\$share/[^/]+/", "", text)
    levels, names = text.split("/"), topic.split("/")
    for i, level in enumerate(levels):
        if level == "#":
            return True
        if i >= len(names) or level not in ("+", names[i]):
            return False
    return len(levels) == len(names)


# -- the checks --

class Sent:
    """One message, and what became of it."""

    def __init__(self, event):
        self.at, self.topic, self.qos = event.at, event.topic, event.qos
        self.retain, self.is_clear = event.retain, event.text == "clear"
        self.count = 0  # how often it was sent
        self.acked_at = None
        self.is_open = event.qos > 0  # the handshake has not ended


class Subscription(NamedTuple):
    text: str
    qos: int
    since: float
    until: float


class Session:
    """A subscriber as its events show it."""

    def __init__(self):
        self.subscriptions = []  # acknowledged ones
        self.asked = []  # filters of all that were sent
        self.first_at = {}  # id: first delivery
        self.deliveries = collections.Counter()  # QoS 2 counted as the client should
        self.new = collections.Counter()  # deliveries without DUP
        self.latest = {}  # (publisher, topic, QoS of sending): number of the latest first delivery
        self.open_1 = {}  # packet id: message, count of faults then, when; received, not answered
        self.open_2 = {}  # packet id: message, and when; received, not released
        self.exists_since = None
        self.connected_at = 0.0


class Checker:
    def __init__(self, events, window):
        self.events = events
        self.violations = []
        self.sent = {}
        self.retained = collections.defaultdict(list)  # topic: ids in the order of sending
        self.sessions = collections.defaultdict(Session)
        self.wills = {}  # id: "armed", "must", "must not"; not in it: asked for, not confirmed
        self.will_of = {}  # client: id
        self.will_ended = {}
        self.will_ids = {}
        self.fault_times = [e.at for e in events if e.kind == "fault"]
        self.window = window
        self.power_cuts = [e.at for e in events if e.kind == "fault" and e.text == "power"]
        self.total_faults = self.power_cuts + [
            e.at for e in events if e.kind == "fault" and e.text == "everything"]
        self.faults = 0  # so far,
        self.fault_at = 0.0  # and the time of the latest

    def add(self, kind, text):
        self.violations.append(Violation(kind, text))

    def is_excused(self, at):
        return self.window > 0 and any(f - self.window <= at <= f + NEAR_S
                                       for f in self.total_faults)

    def is_near_fault(self, at):
        near = NEAR_S + self.window
        return any(at - near <= f <= at + near for f in self.fault_times)

    def is_without_disk(self, at):
        """The broker lives on for a moment, and serves the sessions that it knows; the will of
        a CONNECT is not kept then."""
        return any(f <= at <= f + NEAR_S for f in self.power_cuts)

    def run(self):
        # A receiver may log before the sender's thread has come to log: nobody's order but a
        # client's own is sure, so that all that was sent is noted first.
        for event in self.events:
            if event.kind in ("send", "will"):
                getattr(self, "on_" + event.kind)(event)
        for event in self.events:
            if event.kind not in ("send", "will"):
                getattr(self, "on_" + event.kind)(event)
        self.check_stuck()
        for client, session in self.sessions.items():
            self.check_session(client, session)
        self.check_groups()
        self.check_wills()
        return self.violations

    # -- publishers --

    def on_send(self, e):
        """A PUBLISH is sent, or sent again (dup)."""
        if e.id not in self.sent:
            self.sent[e.id] = Sent(e)
            if e.retain:
                self.retained[e.topic].append(e.id)
        self.sent[e.id].count += 1

    def on_ack(self, e):
        """PUBACK or PUBREC."""
        if e.id not in self.sent:
            self.add("forged", f"{e.client}: acknowledgement of packet id {e.packet_id}")
        elif self.sent[e.id].acked_at is None:
            self.sent[e.id].acked_at = e.at

    def on_complete(self, e):
        """PUBACK or PUBCOMP, or a refusal."""
        if e.id in self.sent:
            self.sent[e.id].is_open = False

    def on_drop(self, e):
        """The publisher's session has ended with its connection: it does not send it again."""
        self.sent[e.id].is_open = False

    def check_stuck(self):
        for id_, sent in self.sent.items():
            if sent.is_open:
                self.add("stuck", f"{id_} QoS {sent.qos} to {sent.topic}")

    # -- sessions --

    def on_connect(self, e):
        """CONNACK; `clean`: nothing is to be kept."""
        session = self.sessions[e.client]
        session.connected_at = e.at
        if e.clean:
            return
        if session.exists_since is None:
            session.exists_since = e.at
        elif not e.present:
            if not self.is_excused(session.exists_since):
                self.add("session", f"{e.client}: not present")
            session.exists_since = e.at
            session.open_1.clear()
            session.open_2.clear()

    def on_subscribe(self, e):
        self.sessions[e.client].asked.append(e.topic)

    def on_subscribed(self, e):
        subscription = Subscription(e.topic, e.qos, e.at, float("inf"))
        self.sessions[e.client].subscriptions.append(subscription)

    def on_unsubscribe(self, e):
        session = self.sessions[e.client]
        session.subscriptions = [s._replace(until=e.at) if s.text == e.topic else s
                                 for s in session.subscriptions]

    def on_fault(self, e):
        self.faults += 1
        self.fault_at = e.at

    def faults_of(self, session, at):
        """How many there had been when the broker sent what came at this moment: just after a
        fault it may be of before, on a connection that is older."""
        is_old = self.faults > 0 and session.connected_at < self.fault_at >= at - NEAR_S
        return self.faults - is_old

    def on_recv(self, e):
        session = self.sessions[e.client]
        if e.id is None:
            self.add("torn", f"{e.client}: {e.topic} {e.text}")
            return
        if not any(matches(text, e.topic) for text in session.asked):
            self.add("unasked", f"{e.client}: {e.id} {e.topic}")
        if e.id in self.will_ids:
            self.on_will_received(session, e)
            return
        sent = self.sent.get(e.id)
        if sent is None or sent.topic != e.topic:
            self.add("forged", f"{e.client}: {e.id} to {e.topic}")
            return
        if e.qos == 2:
            self.recv_2(session, e)
        else:
            self.recv_1(session, e, sent)

    def recv_1(self, session, e, sent):
        faults = self.faults_of(session, e.at)
        old = session.open_1.get(e.packet_id) if e.qos == 1 else None
        if old is not None and old[1] == faults and not (e.dup and old[0] == e.id):
            self.add("dup", f"{e.client}: id {e.packet_id} of {old[0]} again with {e.id}")
        if e.qos == 1:
            session.open_1[e.packet_id] = (e.id, faults, e.at)
        session.new[e.id] += not e.dup
        if session.new[e.id] > sent.count and not self.is_excused(session.first_at[e.id]):
            self.add("dup", f"{e.client}: {e.id} came again without DUP")
        self.deliver(session, e)

    def recv_2(self, session, e):
        id_, at = session.open_2.get(e.packet_id, (None, 0))
        if id_ is not None and (id_ == e.id or not self.is_excused(at)):
            if id_ != e.id:
                self.add("dup", f"{e.client}: id {e.packet_id} of {id_} again with {e.id}")
            if not e.dup:
                self.add("dup", f"{e.client}: {e.id} came again without DUP")
            return
        session.open_2[e.packet_id] = (e.id, e.at)
        self.deliver(session, e)

    def deliver(self, session, e):
        session.deliveries[e.id] += 1
        if e.id in session.first_at:
            if e.qos == 2 and not self.is_excused(session.first_at[e.id]):
                self.add("twice", f"{e.client}: {e.id}")
            return
        session.first_at[e.id] = e.at
        if e.id in self.will_ids:
            return
        if any(text.startswith("$share/") for text in session.asked):
            return  # what another member leaves comes late
        key = (e.id[0], e.topic, self.sent[e.id].qos)
        if session.latest.get(key, -1) > e.id[1]:
            self.add("order", f"{e.client}: {e.id} after {session.latest[key]}")
        session.latest[key] = e.id[1]

    def on_answer(self, e):
        """PUBACK is sent."""
        self.sessions[e.client].open_1.pop(e.packet_id, None)

    def on_release(self, e):
        """PUBREL came."""
        self.sessions[e.client].open_2.pop(e.packet_id, None)

    def check_session(self, client, session):
        own = [s for s in session.subscriptions if not s.text.startswith("$share/")]
        self.check_received(client, own, session.first_at)
        for packet_id, (id_, faults, at) in session.open_1.items():
            # A fault is logged before it comes to pass.
            if faults == self.faults and not self.is_near_fault(at):
                self.add("resend", f"{client}: {id_} id {packet_id}")
        for packet_id, (id_, at) in session.open_2.items():
            if not self.is_excused(at):
                self.add("resend", f"{client}: {id_} id {packet_id}, no PUBREL")

    def check_received(self, who, subscriptions, received):
        """Each message that was acknowledged and that these subscriptions ask for."""
        for id_, sent in self.sent.items():
            if sent.acked_at is None or id_ in received or self.is_excused(sent.acked_at):
                continue
            if any(s.since < sent.at < s.until and s.qos > 0 and matches(s.text, sent.topic)
                   for s in subscriptions):
                self.add("lost", f"{who}: {id_} QoS {sent.qos} to {sent.topic}")

    def check_groups(self):
        """A message for a shared subscription goes to one member."""
        groups = collections.defaultdict(list)
        for client, session in self.sessions.items():
            for s in session.subscriptions:
                if s.text.startswith("$share/"):
                    groups[s.text].append((client, s))
        for text, members in groups.items():
            received, first_at = collections.Counter(), {}
            for client in {client for client, _ in members}:
                for id_, at in self.sessions[client].first_at.items():
                    received[id_] += 1
                    first_at[id_] = min(at, first_at.get(id_, at))
            self.check_received(text, [s for _, s in members], received)
            qos_min = min(s.qos for _, s in members)
            for id_, count in received.items():
                if count > 1 and min(self.sent[id_].qos, qos_min) == 2 and (
                        not self.is_excused(first_at[id_])):
                    self.add("twice", f"{text}: {id_} to {count} members")

    # -- retained --

    def on_read(self, e):
        """What a new subscription got as retained; the time is that of asking."""
        if e.text == "torn":
            self.add("torn", f"retained at {e.topic}")
            return
        ids = self.retained[e.topic]
        sure = [i for i, id_ in enumerate(ids) if self.sent[id_].acked_at is not None and
                self.sent[id_].acked_at < e.at and not self.is_excused(self.sent[id_].acked_at)]
        floor = max(sure, default=-1)
        if e.id is not None:
            if e.id not in ids:
                self.add("forged", f"retained {e.id} at {e.topic}")
            elif ids.index(e.id) < floor:
                self.add("retained", f"{e.topic}: {e.id}, but {ids[floor]} was acknowledged")
        elif floor >= 0 and not any(self.sent[id_].is_clear for id_ in ids[floor:]):
            self.add("retained", f"{e.topic}: nothing, but {ids[floor]} was acknowledged")

    # -- wills --

    def on_will(self, e):
        """A CONNECT with a will is sent."""
        self.will_ids[e.id] = e

    def on_armed(self, e):
        """Its CONNACK came."""
        self.wills[e.id] = "armed"
        self.will_of[e.client] = e.id

    def on_closed(self, e):
        """The connection has ended without DISCONNECT."""
        self.end_will(e, "must")

    def on_disconnect(self, e):
        self.end_will(e, "must not")

    def end_will(self, e, verdict):
        id_ = self.will_of.pop(e.client, None)
        if id_ is not None:
            self.wills[id_] = verdict
            self.will_ended[id_] = e.at

    def on_will_received(self, session, e):
        is_new = e.qos < 2 or e.packet_id not in session.open_2
        if e.qos == 2:
            session.open_2[e.packet_id] = (e.id, e.at)
        if is_new and not (e.qos == 1 and e.dup):
            session.new[e.id] += 1
        session.first_at.setdefault(e.id, e.at)

    def check_wills(self):
        for client, session in self.sessions.items():
            for id_, event in self.will_ids.items():
                if any(matches(s.text, event.topic) and s.since < event.at
                       for s in session.subscriptions):
                    self.check_will(client, session, id_, event)

    def check_will(self, client, session, id_, event):
        verdict, ended_at = self.wills.get(id_), self.will_ended.get(id_, event.at)
        is_unsure = self.is_near_fault(ended_at)
        if verdict == "must" and id_ not in session.first_at and not (
                self.is_excused(event.at) or self.is_without_disk(event.at)):
            self.add("will", f"{client}: {id_} did not come")
        if verdict == "must not" and id_ in session.first_at and not is_unsure:
            self.add("will", f"{client}: {id_} came after DISCONNECT")
        may_repeat = event.qos < 2 and is_unsure
        if session.new[id_] > 1 and not may_repeat and not self.is_excused(session.first_at[id_]):
            self.add("will", f"{client}: {id_} came twice")


def check(history, window=0):
    """The violations. `window`: seconds, of durability relaxed; 0 for strict."""
    return Checker(history.events, window).run()


def summary(violations, most=10):
    """Counts, and the first ones of each kind."""
    by_kind = collections.defaultdict(list)
    for violation in violations:
        by_kind[violation.kind].append(violation.text)
    return "\n".join(f"{kind}: {len(texts)}\n  " + "\n  ".join(texts[:most])
                     for kind, texts in sorted(by_kind.items()))
